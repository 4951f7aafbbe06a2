//! Whether predicted distributions hold: as many labels where they say so.
//!
//! For a label `y` and a predicted distribution `F`, the randomised probability integral transform is
//! `F(y-) + u (F(y) - F(y-))` with `u` uniform in `[0, 1]`, where `F(y-) = P(value < y)` and
//! `F(y) = P(value <= y)`; it is uniform over users if, and only if, distributions are calibrated on
//! average (Czado, Gneiting and Held, "Predictive model assessment for count data", 2009). So it lies in
//! `[0.1, 0.9]` for 80 % of them. Nothing is drawn here: a label counts by the share of `u` for
//! which it lies there, which is what all draws would come to.

use serde::{Deserialize, Serialize};

/// The middle of a distribution, and the share of labels that belongs there.
pub const MIDDLE: [f64; 2] = [0.1, 0.9];

/// By how much a share may miss a level and still be said to hold: 3 points.
pub const TOLERANCE: f64 = 0.03;

/// How the distributions of one horizon hold, over users with a mature label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Users with a mature label.
    pub users: u64,
    /// Labels in the [`MIDDLE`] of their distribution, which is taken before horizons are put in
    /// order; null for a model whose distribution is not known.
    pub central: Option<Central>,
    /// The published quantiles, which are in order across horizons, by ascending level.
    pub quantiles: Vec<QuantileShare>,
}

/// Labels in the middle of their predicted distribution: 80 % where it is calibrated, fewer where it is too
/// narrow, more where it is too wide.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Central {
    /// Their share, in `[0, 1]`.
    pub share: f64,
    /// Where it would lie for other users, 95 % (normal approximation).
    pub low: f64,
    /// The other end.
    pub high: f64,
}

/// Labels below a predicted quantile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct QuantileShare {
    /// Its level `p`, in `(0, 1)`.
    pub level: f64,
    /// Share of labels below it, `P(y < q_p)`.
    pub below: f64,
    /// Share of labels not above it, `P(y <= q_p)`.
    pub at_or_below: f64,
    /// Whether `P(y < q_p) <= p <= P(y <= q_p)`, within [`TOLERANCE`].
    pub holds: bool,
}

impl QuantileShare {
    /// From counts over `users`, at least one.
    pub fn new(level: f64, below: u64, at_or_below: u64, users: u64) -> Self {
        let share = |count: u64| count as f64 / users as f64;
        let (below, at_or_below) = (share(below), share(at_or_below));
        Self {
            level,
            below,
            at_or_below,
            holds: below <= level + TOLERANCE && at_or_below >= level - TOLERANCE,
        }
    }
}

/// Counts labels in the middle as they come by.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CentralTally {
    users: u64,
    sum: f64,
    squares: f64,
}

impl CentralTally {
    /// Adds a label by its `P(value < y)` and `P(value <= y)`.
    pub fn add(&mut self, below: f64, at_most: f64) {
        let [low, high] = MIDDLE;
        let width = at_most - below;
        // A distribution of no jump there but for rounding.
        let share = if width > 1e-12 {
            (at_most.min(high) - below.max(low)).max(0.0) / width
        } else {
            f64::from((low..=high).contains(&at_most))
        };
        self.users += 1;
        self.sum += share;
        self.squares += share * share;
    }

    /// The share; none of nobody.
    pub fn central(&self) -> Option<Central> {
        let n = self.users as f64;
        let share = (self.users > 0).then_some(self.sum / n)?;
        let variance = (self.squares / n - share * share).max(0.0);
        let half = 1.96 * (variance / n).sqrt();
        Some(Central {
            share,
            low: (share - half).max(0.0),
            high: (share + half).min(1.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share for labels at the `n` middles of equal steps from 0 to 1, by what is predicted of each.
    fn share(predicted: impl Fn(f64) -> [f64; 2]) -> f64 {
        let mut tally = CentralTally::default();
        let n = 100_000;
        for i in 0..n {
            let [below, at_most] = predicted((f64::from(i) + 0.5) / f64::from(n));
            tally.add(below, at_most);
        }
        tally.central().unwrap().share
    }

    fn uniform(from: f64, to: f64) -> impl Fn(f64) -> [f64; 2] {
        move |y| [((y - from) / (to - from)).clamp(0.0, 1.0); 2]
    }

    /// In closed form: labels are uniform in [0, 1].
    #[test]
    fn known_distributions() {
        let cases = [
            ("calibrated", share(uniform(0.0, 1.0)), 0.8),
            // 0.1 and 0.9 lie at 0.3 and 0.7.
            ("too narrow", share(uniform(0.25, 0.75)), 0.4),
            ("too wide", share(uniform(-0.5, 1.5)), 1.0),
            ("too low", share(uniform(-1.0, 0.0)), 0.0),
        ];
        for (name, found, expected) in cases {
            assert!((found - expected).abs() < 1e-4, "{name}: {found}");
        }
    }

    /// 70 % of labels are 0, others uniform above.
    #[test]
    fn a_point_mass_at_zero() {
        let of = |predicted: f64| {
            share(move |v| match v {
                v if v < 0.7 => [0.0, predicted],
                v => {
                    let above = (v - 0.7) / 0.3;
                    [predicted + (1.0 - predicted) * above; 2]
                }
            })
        };
        assert!((of(0.7) - 0.8).abs() < 1e-4, "{}", of(0.7));
        // Of zeros 0.8 / 0.95 are counted, of others none below 0.95.
        let too_many = 0.7 * 0.8 / 0.95;
        assert!((of(0.95) - too_many).abs() < 1e-4, "{}", of(0.95));
        // Nobody is predicted zero: all that are lie at the very bottom.
        assert!((of(0.0) - 0.3 * 0.8).abs() < 1e-4, "{}", of(0.0));
        // Everybody is: a jump from 0 to 1 is no evidence against it.
        let mut tally = CentralTally::default();
        tally.add(0.0, 1.0);
        assert!((tally.central().unwrap().share - 0.8).abs() < 1e-12);
    }

    #[test]
    fn intervals_narrow_with_users() {
        let of = |n: u32| {
            let mut tally = CentralTally::default();
            (0..n).for_each(|i| tally.add(f64::from(i % 10) / 10.0, f64::from(i % 10) / 10.0));
            tally.central().unwrap()
        };
        // Nine of ten: 0.1 to 0.9. The binomial interval at 100 is 0.9 +- 1.96 * 0.03.
        let central = of(100);
        assert!((central.share - 0.9).abs() < 1e-12);
        assert!((central.low - (0.9 - 1.96 * 0.03)).abs() < 1e-12);
        let many = of(10_000);
        let ratio = (central.high - central.low) / (many.high - many.low);
        assert!((ratio - 10.0).abs() < 1e-9, "{ratio}");
        assert_eq!(CentralTally::default().central(), None);
    }

    #[test]
    fn levels_hold_within_three_points_and_in_ties() {
        let holds =
            |level, below, at_or_below| QuantileShare::new(level, below, at_or_below, 100).holds;
        assert!(holds(0.5, 50, 50) && holds(0.5, 53, 53) && holds(0.5, 47, 47));
        assert!(!holds(0.5, 54, 54) && !holds(0.5, 46, 46));
        // With 70 % of labels at zero, a P10 of zero is right.
        assert!(holds(0.1, 0, 70) && holds(0.5, 0, 70) && !holds(0.9, 0, 70));
    }
}
