//! Drift: how far a distribution has moved since a model was trained, as the population stability
//! index (PSI) of counts in bins that were cut once, on the training rows.
//!
//! With `p` the share of a bin among training rows and `q` its share among later ones,
//! `PSI = sum over bins of (q - p) ln(q / p)`: the Kullback-Leibler divergence of each from the other,
//! added (Jeffreys 1946). It is 0 where nothing moved, symmetric, and blind to where in a bin a
//! value lies.
//!
//! The usual reading, [`Reading`], is a rule of thumb from credit scoring (Siddiqi 2006, "Credit Risk
//! Scorecards"), not a test: with few rows chance alone reaches it ([`Psi::noise`]), with many rows a
//! PSI far below 0.1 is certain and may still matter, and a feature that moved may be one that the
//! model hardly uses.

use ltv_core::labels::LabelHistogram;
use serde::{Deserialize, Serialize};

/// The least share that a bin counts with: an empty one would make the index infinite. A bin that
/// holds a tenth on one side and nothing on the other adds `0.0999 ln 1000`, about 0.69.
pub const FLOOR: f64 = 1e-4;
/// Below this it is usual to speak of no change.
pub const MOVED: f64 = 0.1;
/// Above this it is usual to speak of a different population.
pub const CHANGED: f64 = 0.25;

/// A population stability index.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Psi {
    /// The index, 0 or more.
    pub value: f64,
    /// What it would be on average if both samples came from one population:
    /// `(bins - 1) (1 / n + 1 / m)` for `n` and `m` rows in `bins` bins that are not empty, the mean of
    /// the chi-squared distribution that it follows in large samples.
    pub noise: f64,
}

/// The usual words for a population stability index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// Under [`MOVED`].
    Stable,
    /// From [`MOVED`] to [`CHANGED`].
    Moved,
    /// Above [`CHANGED`].
    Changed,
}

impl Psi {
    /// The index of two counts over the same bins; a bin that one of them lacks is empty there. `None`
    /// when either side holds nothing.
    ///
    /// Bins empty on both sides do not count; one that is empty on one side has a share of [`FLOOR`]
    /// there, the other shares staying as they are.
    pub fn new(before: &[u64], after: &[u64]) -> Option<Self> {
        let (n, m): (u64, u64) = (before.iter().sum(), after.iter().sum());
        if n == 0 || m == 0 {
            return None;
        }
        let (mut value, mut used) = (0.0, 0_u32);
        for bin in 0..before.len().max(after.len()) {
            let [b, a] = [before, after].map(|side| side.get(bin).copied().unwrap_or(0));
            if a + b == 0 {
                continue;
            }
            let p = (b as f64 / n as f64).max(FLOOR);
            let q = (a as f64 / m as f64).max(FLOOR);
            value += (q - p) * (q / p).ln();
            used += 1;
        }
        let noise = f64::from(used - 1) * (1.0 / n as f64 + 1.0 / m as f64);
        Some(Self { value, noise })
    }

    /// The usual words for it.
    pub fn reading(&self) -> Reading {
        match self.value {
            v if v > CHANGED => Reading::Changed,
            v if v >= MOVED => Reading::Moved,
            _ => Reading::Stable,
        }
    }
}

/// Upper ends of all bins but the last, ascending: the distinct values among the quantiles at
/// `1 / bins`, `2 / bins`, ... A value that holds more than one of them is a bin together with whatever lies
/// between it and the end before, so that there may be fewer than `bins` bins.
pub fn edges(labels: &LabelHistogram, bins: u32) -> Vec<f64> {
    let at = |k: u32| labels.quantile(f64::from(k) / f64::from(bins));
    let mut edges: Vec<f64> = (1..bins).map(at).collect();
    edges.dedup();
    edges
}

/// Labels in each bin: bin `i` holds those above end `i - 1` and up to end `i`.
pub fn counts(labels: &LabelHistogram, edges: &[f64]) -> Vec<u64> {
    let mut counts = vec![0; edges.len() + 1];
    for group in labels.groups() {
        counts[edges.partition_point(|&end| end < group.mean())] += group.count;
    }
    counts
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn psi(before: &[u64], after: &[u64]) -> f64 {
        Psi::new(before, after).unwrap().value
    }

    #[test]
    fn closed_forms() {
        // Halves become a quarter and three quarters: (1/4) ln 2 + (1/4) ln (3/2) = (1/4) ln 3.
        assert!((psi(&[5, 5], &[10, 30]) - 0.25 * 3f64.ln()).abs() < 1e-12);
        // A tenth goes away altogether: the floor stands for nothing, 0.9 becomes 1.
        let gone = (FLOOR - 0.1) * (FLOOR / 0.1).ln() + 0.1 * (1.0 / 0.9f64).ln();
        assert!((psi(&[1, 9], &[0, 10]) - gone).abs() < 1e-12);
        assert_eq!(psi(&[3, 0, 7], &[30, 0, 70]), 0.0);
        // A bin that only one side knows.
        assert_eq!(psi(&[3, 7], &[3, 7, 0]), 0.0);
        assert!(psi(&[3, 7], &[3, 7, 10]) > 1.0);
        assert_eq!(Psi::new(&[0, 0], &[1, 2]), None);
        assert_eq!(Psi::new(&[], &[]), None);
    }

    #[test]
    fn the_usual_words() {
        let words =
            [0.0, 0.0999, 0.1, 0.25, 0.2501].map(|value| Psi { value, noise: 0.0 }.reading());
        use Reading::{Changed, Moved, Stable};
        assert_eq!(words, [Stable, Stable, Moved, Moved, Changed]);
    }

    /// Samples of one population, drawn anew: their mean index is the stated noise.
    #[test]
    fn chance_alone_reaches_the_stated_noise() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let mut draw = |rows: usize| {
            let mut counts = [0_u64; 10];
            (0..rows).for_each(|_| counts[random.random_range(0..10)] += 1);
            counts
        };
        let (n, m, times) = (2000, 500, 400);
        let mean = (0..times).map(|_| psi(&draw(n), &draw(m))).sum::<f64>() / f64::from(times);
        let stated = Psi::new(&[200; 10], &[50; 10]).unwrap().noise;
        assert!((stated - 9.0 * (1.0 / 2000.0 + 1.0 / 500.0)).abs() < 1e-12);
        // Chi-squared with 9 degrees of freedom: a standard error of sqrt(2 / 9 / 400), 2.4 %.
        assert!((mean / stated - 1.0).abs() < 0.1, "{mean} for {stated}");
    }

    #[test]
    fn labels_fall_into_bins_of_equal_frequency() {
        let mut labels = LabelHistogram::default();
        (0..1000).for_each(|i| labels.add(f64::from(i)));
        let ends = edges(&labels, 10);
        assert_eq!(ends.len(), 9);
        assert!(counts(&labels, &ends).iter().all(|&n| n == 100));
        // Most are worth nothing: zero is a bin of its own, the rest is cut as far as it goes.
        let mut labels = LabelHistogram::default();
        (0..100).for_each(|i| labels.add(f64::from((i - 69).max(0))));
        let ends = edges(&labels, 10);
        assert_eq!(ends, [0.0, 10.0, 20.0]);
        assert_eq!(counts(&labels, &ends), [70, 10, 10, 10]);
        assert_eq!(counts(&LabelHistogram::default(), &ends), [0; 4]);
    }

    proptest! {
        #[test]
        fn never_negative_symmetric_and_blind_to_order_and_size(
            pairs in proptest::collection::vec((0_u64..500, 0_u64..500), 1..20), times in 1_u64..9,
        ) {
            let (before, after): (Vec<u64>, Vec<u64>) = pairs.iter().copied().unzip();
            let Some(found) = Psi::new(&before, &after) else { return Ok(()) };
            prop_assert!(found.value >= 0.0 && found.value.is_finite());
            prop_assert!((found.value - psi(&after, &before)).abs() < 1e-9);
            let (mut b, mut a) = (before.clone(), after.clone());
            b.reverse();
            a.reverse();
            prop_assert!((found.value - psi(&b, &a)).abs() < 1e-9);
            let larger: Vec<u64> = before.iter().map(|n| n * times).collect();
            prop_assert!((found.value - psi(&larger, &after)).abs() < 1e-9);
            prop_assert!(psi(&before, &before) == 0.0);
        }
    }
}
