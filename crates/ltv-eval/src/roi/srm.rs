//! Sample-ratio mismatch: do the arms have the shares of users that they should have?
//!
//! Pearson's chi-squared over control, treatment and the users in neither, against the shares wanted:
//! `sum (n - N p)^2 / (N p)` with one degree of freedom less than there are cells. A mismatch
//! means that who is counted depends on the arm, and then no difference between arms can be trusted
//! (Fabijan et al., "Diagnosing sample ratio mismatch", KDD 2019, where p < 0.0005 counts).

use super::document::Mismatch;
use crate::segment::Segments;
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// Below this probability, over the number of tests made, shares are not what they should be.
pub const LEVEL: f64 = 0.001;

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
    let tests = segments.iter().map(|s| s.labels.len()).sum::<usize>();
    let mut all = vec![check(
        ("all", "all"),
        counts(arms.iter().copied()),
        share,
        1,
    )];
    for segment in segments {
        let mut cells = vec![[0; 3]; segment.labels.len()];
        for (&code, &arm) in segment.codes.iter().zip(arms) {
            cells[code as usize][arm as usize] += 1;
        }
        // Values whose users were all left out say nothing.
        let found = segment.labels.iter().zip(cells);
        let found = found.filter(|(_, n)| n.iter().sum::<u64>() > 0);
        all.extend(found.map(|(label, n)| check((&segment.name, label), n, share, tests)));
    }
    all
}

fn check((column, label): (&str, &str), counts: [u64; 3], share: f64, tests: usize) -> Mismatch {
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
    let p = match total {
        0 => None,
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
        holds: p.is_none_or(|p| p >= LEVEL / tests.max(1) as f64),
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
        let found = check(("all", "all"), [120, 90, 790], 0.1, 1);
        assert!((found.chi_squared.unwrap() - 5.125).abs() < 1e-12);
        assert!((found.p.unwrap() - (-2.5625f64).exp()).abs() < 1e-9);
        assert!(found.holds);
        let off = check(("all", "all"), [160, 90, 750], 0.1, 1);
        assert!(!off.holds);
        // Halves: 4,965 and 5,035 of 10,000 give 2 * 35^2 / 5000 = 0.49 and p = 0.4839.
        let halves = check(("all", "all"), [4965, 5035, 0], 0.5, 1);
        assert!((halves.chi_squared.unwrap() - 0.49).abs() < 1e-12);
        assert!((halves.p.unwrap() - 0.483_927).abs() < 1e-5);
        assert_eq!(check(("all", "all"), [0; 3], 0.1, 1).p, None);
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
                .map(|i| u32::from(i % 10 == 0 && i < 200))
                .collect(),
            labels: vec!["a".into(), "b".into()],
        };
        let found = checks(&arms, &[segments], 0.1);
        assert_eq!((found[0].control, found[0].treatment), (300, 300));
        assert_eq!((found[1].control, found[2].control), (280, 20));
        assert!(found[0].holds && found[1].holds && !found[2].holds);
    }
}
