//! Sample-ratio mismatch: do the arms have the shares of users that they should have?
//!
//! Pearson's chi-squared over control, treatment and the users in neither, against the shares wanted:
//! `sum (n - N p)^2 / (N p)` with one degree of freedom less than there are cells. A mismatch
//! means that who is counted depends on the arm, and then no difference between arms can be trusted
//! (Fabijan et al., "Diagnosing sample ratio mismatch", KDD 2019, where p < 0.0005 counts).
//!
//! The law of chi-squared is that of many users. Where a cell expects fewer than 5, by the rule of
//! thumb that is usual (Cochran 1954), its tail is too light and would cry wolf: there is no verdict.

use super::document::Mismatch;
use crate::segment::Segments;
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// Below this probability, over the number of tests made, shares are not what they should be.
pub const LEVEL: f64 = 0.001;

/// Fewest users that each cell must expect for a verdict.
const LEAST: f64 = 5.0;

/// Where a user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arm {
    Control,
    Treatment,
    Neither,
}

impl Arm {
    /// By the user's fraction: control from below, treatment from `share` on.
    pub(super) fn of(fraction: f64, share: f64) -> Self {
        match fraction {
            f if f < share => Self::Control,
            f if f < 2.0 * share => Self::Treatment,
            _ => Self::Neither,
        }
    }
}

/// Users by arm.
fn counts(arms: impl Iterator<Item = Arm>) -> [u64; 3] {
    let mut counts = [0; 3];
    arms.for_each(|arm| counts[arm as usize] += 1);
    counts
}

/// The check of all users, then of each value of each segment.
pub(super) fn checks(arms: &[Arm], segments: &[Segments], share: f64) -> Vec<Mismatch> {
    let mut all = vec![check(("all", "all"), counts(arms.iter().copied()), share)];
    let mut by_value = vec![];
    for segment in segments {
        let mut cells = vec![[0; 3]; segment.labels.len()];
        for (&code, &arm) in segment.codes.iter().zip(arms) {
            cells[code as usize][arm as usize] += 1;
        }
        // Values whose users were all left out say nothing.
        let found = segment.labels.iter().zip(cells);
        let found = found.filter(|(_, n)| n.iter().sum::<u64>() > 0);
        by_value.extend(found.map(|(label, n)| check((&segment.name, label), n, share)));
    }
    judge(&mut all);
    judge(&mut by_value);
    all.extend(by_value);
    all
}

/// The verdicts on what was tested together: the level is divided by the number of tests made.
fn judge(together: &mut [Mismatch]) {
    let tests = together.iter().filter(|c| c.p.is_some()).count();
    for check in together {
        check.holds = check.p.map(|p| p >= LEVEL / tests as f64);
    }
}

/// The test of one group of users, not yet judged.
fn check((column, label): (&str, &str), counts: [u64; 3], share: f64) -> Mismatch {
    let rest = (1.0 - 2.0 * share).max(0.0);
    // Two arms of a half leave nobody over, to the last digit.
    let cells = if rest < 1e-9 { 2 } else { 3 };
    let shares = [share, share, rest];
    let total: u64 = counts.iter().sum();
    let chi_squared = counts[..cells].iter().zip(shares).map(|(&n, share)| {
        let expected = total as f64 * share;
        (n as f64 - expected).powi(2) / expected
    });
    let chi_squared: f64 = chi_squared.sum();
    let least = shares[..cells]
        .iter()
        .copied()
        .fold(f64::INFINITY, f64::min);
    let p = match total as f64 * least {
        expected if expected < LEAST => None,
        _ => probability(chi_squared, cells - 1),
    };
    Mismatch {
        column: column.to_owned(),
        label: label.to_owned(),
        control: counts[0],
        treatment: counts[1],
        neither: counts[2],
        chi_squared: p.map(|_| chi_squared),
        p,
        holds: None,
    }
}

/// Probability of a chi-squared as large or larger by chance.
fn probability(chi_squared: f64, freedom: usize) -> Option<f64> {
    let law = ChiSquared::new(freedom as f64).ok()?;
    Some(law.sf(chi_squared))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Percentiles of the printed tables: 3.841 and 6.635 for one degree of freedom, 5.991 and 9.210
    /// for two; and with two, the survival function is `exp(-x / 2)`.
    #[test]
    fn probabilities_of_the_printed_table() {
        for (chi, freedom, p) in [
            (3.841_459, 1, 0.05),
            (6.634_897, 1, 0.01),
            (5.991_465, 2, 0.05),
            (9.210_340, 2, 0.01),
        ] {
            assert!(
                (probability(chi, freedom).unwrap() - p).abs() < 1e-7,
                "{chi}"
            );
        }
        for chi in [0.0, 0.3, 7.0, 60.0] {
            let found = probability(chi, 2).unwrap();
            assert!((found / (-chi / 2.0f64).exp() - 1.0).abs() < 1e-9, "{chi}");
        }
    }

    /// 1,000 users, 10 % each wanted: (120 - 100)^2 / 100 + (90 - 100)^2 / 100 + (790 - 800)^2 / 800
    /// = 5.125, p = exp(-2.5625).
    #[test]
    fn a_check_by_hand() {
        let judged = |counts, share| {
            let mut one = [check(("all", "all"), counts, share)];
            judge(&mut one);
            let [one] = one;
            one
        };
        let found = judged([120, 90, 790], 0.1);
        assert!((found.chi_squared.unwrap() - 5.125).abs() < 1e-12);
        assert!((found.p.unwrap() - (-2.5625f64).exp()).abs() < 1e-9);
        assert_eq!(found.holds, Some(true));
        assert_eq!(judged([160, 90, 750], 0.1).holds, Some(false));
        // Halves: 4,965 and 5,035 of 10,000 give 2 * 35^2 / 5000 = 0.49 and p = 0.4839.
        let halves = judged([4965, 5035, 0], 0.5);
        assert!((halves.chi_squared.unwrap() - 0.49).abs() < 1e-12);
        assert!((halves.p.unwrap() - 0.483_927).abs() < 1e-5);
        for few in [[0; 3], [5, 0, 44]] {
            let found = judged(few, 0.1);
            assert_eq!(
                (found.chi_squared, found.p, found.holds),
                (None, None, None)
            );
        }
        assert!(judged([6, 4, 40], 0.1).holds.is_some());
    }

    /// Thirty values of columns of which one can be tested: it is judged as the only test. With
    /// 100 users, (22 - 10)^2 / 10 + 4 / 10 + (70 - 80)^2 / 80 = 16.05, p = exp(-8.025) = 0.00033.
    #[test]
    fn values_with_too_few_users_are_no_tests() {
        let mut arms = vec![Arm::Control; 22];
        arms.extend([Arm::Treatment; 8]);
        arms.extend([Arm::Neither; 70]);
        // The other values have a user each.
        arms.extend([Arm::Control; 29]);
        let segments = Segments {
            name: "channel".into(),
            codes: (0..129).map(|i: u32| i.saturating_sub(99)).collect(),
            labels: (0..30).map(|i| i.to_string()).collect(),
        };
        let found = checks(&arms, &[segments], 0.1);
        assert!((found[1].p.unwrap() - (-8.025f64).exp()).abs() < 1e-9);
        assert_eq!(found[1].holds, Some(false));
        assert!(
            found[2..]
                .iter()
                .all(|c| c.holds.is_none() && c.p.is_none())
        );
    }

    /// Right arms of few users: of 20,000 groups of 50 to 89, at most 1 in 1,000 is off beyond four
    /// standard errors of that.
    #[test]
    fn small_groups_raise_no_false_alarm() {
        let mut random = ChaCha8Rng::seed_from_u64(11);
        let groups = 20_000;
        let alarms = (0..groups).filter(|i| {
            let users = 50 + i % 40;
            let arms = (0..users).map(|_| Arm::of(random.random(), 0.1));
            let mut one = [check(("all", "all"), counts(arms), 0.1)];
            judge(&mut one);
            one[0].holds == Some(false)
        });
        let alarms = alarms.count() as f64;
        let expected = f64::from(groups) * LEVEL;
        // Still a little too many at the edge of the rule: twice the level is allowed for.
        assert!(
            alarms < 2.0 * expected + 4.0 * (2.0 * expected).sqrt(),
            "{alarms}"
        );
    }

    #[test]
    fn segments_are_counted_by_value_and_judged_together() {
        let arms: Vec<Arm> = (0..3000)
            .map(|i| Arm::of(f64::from(i % 10) / 10.0, 0.1))
            .collect();
        let segments = Segments {
            name: "channel".into(),
            // All of the second value are in the control arm.
            codes: (0..3000)
                .map(|i| u32::from(i % 10 == 0 && i < 600))
                .collect(),
            labels: vec!["a".into(), "b".into()],
        };
        let found = checks(&arms, &[segments], 0.1);
        assert_eq!((found[0].control, found[0].treatment), (300, 300));
        assert_eq!((found[1].control, found[2].control), (240, 60));
        let holds: Vec<_> = found.iter().map(|c| c.holds).collect();
        assert_eq!(holds, [Some(true), Some(true), Some(false)]);
    }
}
