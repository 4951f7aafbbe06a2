//! Equal-frequency bins of numeric features, in bounded memory, from summaries that can be merged.
//!
//! A feature's distinct values are counted exactly while there are at most [`EXACT`] of them.
//! When there are more, the values that by then hold a quarter of a bin each (at most
//! `4 max_bins`) stay counted exactly and all others enter a t-digest. Of the quantile sketches
//! in the `datasketches` crate it is the one without coin flips: KLL and REQ compact with
//! thread-local random bits that cannot be seeded, so that two fits of the same data would differ.

use arrow::array::Float64Array;
use datasketches::tdigest::TDigestMut;
use ltv_core::encoding::Scale;
use std::collections::HashMap;

/// Most distinct values counted exactly.
pub(super) const EXACT: usize = 4096;
/// Centroids of the t-digest: rank error well under a hundredth of a bin.
const COMPRESSION: u16 = 1000;
/// Points at which the t-digest is read off.
const GRID: usize = 4096;

/// What one pass learns about a numeric column; those of a sequence are merged.
#[derive(Debug)]
pub(super) struct NumberSummary {
    max_bins: usize,
    /// Counts of non-zero values by bit pattern.
    exact: HashMap<u64, u64>,
    /// Everything else, once there are too many distinct values.
    digest: Option<TDigestMut>,
    moments: Option<Moments>,
}

/// Count, sum and sum of squares of the transformed values.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Moments {
    count: f64,
    sum: f64,
    squares: f64,
}

impl NumberSummary {
    pub(super) fn new(max_bins: usize, with_scale: bool) -> Self {
        let moments = with_scale.then(Moments::default);
        Self {
            max_bins,
            exact: HashMap::new(),
            digest: None,
            moments,
        }
    }

    pub(super) fn add(&mut self, column: &Float64Array) {
        for value in column.iter().flatten().filter(|x| x.is_finite()) {
            if let Some(moments) = &mut self.moments {
                moments.add(value.signum() * value.abs().ln_1p());
            }
            if value != 0.0 {
                self.add_one(value);
            }
        }
    }

    fn add_one(&mut self, value: f64) {
        let bits = value.to_bits();
        match (self.exact.get_mut(&bits), &mut self.digest) {
            (Some(count), _) => *count += 1,
            (None, Some(digest)) => digest.update(value),
            (None, None) => {
                self.exact.insert(bits, 1);
                if self.exact.len() > EXACT {
                    self.overflow();
                }
            }
        }
    }

    /// What one summary would have learnt from the values of both, but for the error of the
    /// t-digest where there are many distinct values. The order of merging is part of the result.
    pub(super) fn merged(mut self, other: Self) -> Self {
        if let (Some(ours), Some(theirs)) = (&mut self.moments, other.moments) {
            ours.count += theirs.count;
            ours.sum += theirs.sum;
            ours.squares += theirs.squares;
        }
        for (bits, count) in other.exact {
            *self.exact.entry(bits).or_default() += count;
        }
        match (&mut self.digest, other.digest) {
            (Some(ours), Some(theirs)) => ours.merge(&theirs),
            (ours @ None, theirs) => *ours = theirs,
            (Some(_), None) => {}
        }
        if self.digest.is_some() || self.exact.len() > EXACT {
            self.overflow();
        }
        self
    }

    /// Moves all but the frequent values to the t-digest, in ascending order.
    fn overflow(&mut self) {
        let digested = self.digest.as_ref().map_or(0, TDigestMut::total_weight);
        let rows = digested + self.exact.values().sum::<u64>();
        let frequent = |count: u64| count.saturating_mul(4 * self.max_bins as u64) >= rows;
        let mut digest = self
            .digest
            .take()
            .unwrap_or_else(|| TDigestMut::new(COMPRESSION).unwrap_or_default());
        for (value, count) in sorted(&self.exact) {
            if !frequent(count) {
                (0..count).for_each(|_| digest.update(value));
            }
        }
        self.exact.retain(|_, count| frequent(*count));
        self.digest = Some(digest);
    }

    /// Upper edges of all bins but the last, strictly increasing: see [`edges`].
    pub(super) fn edges(&mut self) -> Vec<f64> {
        let exact = sorted(&self.exact)
            .into_iter()
            .map(|(value, count)| (value, count as f64));
        let mut groups: Vec<(f64, f64)> = exact.collect();
        groups.extend(self.grid());
        groups.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        edges(&merge_close(groups), self.max_bins)
    }

    /// The t-digest as [`GRID`] points of equal weight.
    fn grid(&mut self) -> Vec<(f64, f64)> {
        let Some(digest) = &mut self.digest else {
            return vec![];
        };
        let ranks: Vec<f64> = (0..GRID).map(|i| (i as f64 + 0.5) / GRID as f64).collect();
        let weight = digest.total_weight() as f64 / GRID as f64;
        let values = digest.quantiles(&ranks).ok().flatten().unwrap_or_default();
        values.into_iter().map(|value| (value, weight)).collect()
    }

    pub(super) fn scale(&self) -> Option<Scale> {
        self.moments.map(|m| m.scale())
    }
}

impl Moments {
    pub(super) fn add(&mut self, x: f64) {
        self.count += 1.0;
        self.sum += x;
        self.squares += x * x;
    }

    /// Standard deviation 1 where the values do not vary beyond rounding.
    fn scale(&self) -> Scale {
        let (mean, sd) = self.mean_and_sd();
        let sd = sd.unwrap_or(1.0);
        Scale { mean, sd }
    }

    /// Mean, and standard deviation where the values vary beyond rounding.
    pub(super) fn mean_and_sd(&self) -> (f64, Option<f64>) {
        let n = self.count.max(1.0);
        let mean = self.sum / n;
        let variance = self.squares / n - mean * mean;
        let varies = variance > 1e-12 * (1.0 + mean * mean);
        (mean, varies.then(|| variance.sqrt()))
    }
}

fn sorted(counts: &HashMap<u64, u64>) -> Vec<(f64, u64)> {
    let mut values: Vec<(f64, u64)> = counts
        .iter()
        .map(|(&bits, &n)| (f64::from_bits(bits), n))
        .collect();
    values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    values
}

/// Joins neighbours that differ by no more than the rounding of the t-digest's interpolation.
fn merge_close(groups: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let mut merged: Vec<(f64, f64)> = Vec::with_capacity(groups.len());
    for (value, weight) in groups {
        match merged.last_mut() {
            Some(last) if value - last.0 <= 1e-12 * value.abs() => {
                *last = (value, last.1 + weight);
            }
            _ => merged.push((value, weight)),
        }
    }
    merged
}

/// Cuts `(value, weight)` groups, strictly increasing by value, into equal-frequency bins and
/// returns the upper edges of all bins but the last.
///
/// A value that holds at least `1 / max_bins` of the weight is a bin by itself. The runs between
/// such values get bins in proportion to their weight, at least one each, so that there are
/// fewer than `2 max_bins + 1` bins in all. With at most `max_bins` values, each is a bin.
fn edges(groups: &[(f64, f64)], max_bins: usize) -> Vec<f64> {
    let total: f64 = groups.iter().map(|g| g.1).sum();
    let share = total / max_bins as f64;
    let mut edges = vec![];
    if groups.len() <= max_bins {
        edges.extend(groups.iter().map(|g| g.0));
    } else {
        // Runs of light values, and heavy values one by one.
        for run in groups.chunk_by(|a, b| a.1 < share && b.1 < share) {
            cut_run(run, share, &mut edges);
        }
    }
    edges.pop();
    edges
}

fn cut_run(run: &[(f64, f64)], share: f64, edges: &mut Vec<f64>) {
    let weight: f64 = run.iter().map(|g| g.1).sum();
    let bins = (weight / share).round().max(1.0);
    let (mut seen, mut closed) = (0.0, 0.0);
    for (i, &(value, w)) in run.iter().enumerate() {
        seen += w;
        let full = (seen * bins / weight + 1e-9).floor();
        if i + 1 == run.len() || full > closed {
            edges.push(value);
            closed = full;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use ltv_core::encoding::Cells;
    use proptest::prelude::*;

    fn fitted(values: &[f64], max_bins: usize) -> Vec<f64> {
        let mut summary = NumberSummary::new(max_bins, false);
        summary.add(&Float64Array::from(values.to_vec()));
        summary.edges()
    }

    /// Rows in each bin, by definition of [`Cells::Bins`].
    fn shares(values: &[f64], edges: &[f64]) -> Vec<usize> {
        let cells = Cells::Bins {
            edges: edges.to_vec(),
        };
        let mut counts = vec![0; cells.count()];
        values
            .iter()
            .for_each(|&x| counts[cells.of_number(Some(x)) as usize] += 1);
        counts.split_off(2)
    }

    #[test]
    fn few_values_are_bins_each() {
        assert_eq!(
            fitted(&[3.0, 0.0, 1.0, f64::NAN, 2.0, 2.0, f64::INFINITY], 32),
            [1.0, 2.0]
        );
        assert_eq!(fitted(&[0.0, f64::NAN], 32), [] as [f64; 0]);
        assert_eq!(fitted(&[5.0], 32), [] as [f64; 0]);
        assert_eq!(fitted(&[], 32), [] as [f64; 0]);
    }

    #[test]
    fn equal_frequency_of_distinct_values() {
        let values: Vec<f64> = (1..=320).map(f64::from).collect();
        let edges = fitted(&values, 32);
        assert_eq!(
            edges,
            (1..32).map(|i| f64::from(i * 10)).collect::<Vec<_>>()
        );
        assert_eq!(shares(&values, &edges), [10; 32]);
    }

    #[test]
    fn heavy_values_stand_alone() {
        let mut values: Vec<f64> = (1..=100).map(f64::from).collect();
        values.extend([50.0; 100]);
        let edges = fitted(&values, 10);
        let i = edges.iter().position(|&e| e == 50.0).unwrap();
        assert_eq!(edges[i - 1], 49.0);
        assert_eq!(shares(&values, &edges)[i], 101);
    }

    #[test]
    fn many_values_go_through_the_digest() {
        // A skewed feature of 200,000 distinct values, and one value of a fifth of all rows.
        let n = 200_000;
        let mut values = vec![];
        for i in 0..n {
            let u = (f64::from(i) * 0.618_033_988_749_894_9).fract();
            values.push(-(1.0 - u).ln() * 100.0 + 1e-3);
            if i % 4 == 0 {
                values.push(77.0);
            }
        }
        let edges = fitted(&values, 32);
        assert!(edges.windows(2).all(|w| w[0] < w[1]));
        let expected = values.len() as f64 / 32.0;
        let shares = shares(&values, &edges);
        let heavy = edges.iter().position(|&e| e == 77.0).unwrap();
        assert!((shares[heavy] as f64 - f64::from(n / 4)).abs() < 0.02 * expected);
        for (i, &share) in shares.iter().enumerate().filter(|(i, _)| *i != heavy) {
            assert!(
                (share as f64) < 1.6 * expected,
                "bin {i}: {share} of {expected}"
            );
        }
        assert_eq!(edges, fitted(&values, 32), "the same data, the same edges");
    }

    #[test]
    fn merging_many_values_is_as_good_as_adding_them() {
        // The values of one summary are not those of the next, and one value is heavy in all.
        let part = |k: u32| -> Vec<f64> {
            let value = |i: u32| match i % 5 {
                0 => 77.0,
                _ => f64::from(i).sqrt() * f64::from(k + 1),
            };
            (0..40_000).map(value).collect()
        };
        let parts: Vec<Vec<f64>> = (0..6).map(part).collect();
        let summary = |values: &Vec<f64>| {
            let mut summary = NumberSummary::new(32, true);
            summary.add(&Float64Array::from(values.clone()));
            summary
        };
        let edges = |parts: &[Vec<f64>]| {
            let merged = parts.iter().map(summary).reduce(NumberSummary::merged);
            merged.unwrap().edges()
        };
        let (merged, all) = (edges(&parts), parts.concat());
        assert!(merged.windows(2).all(|w| w[0] < w[1]));
        let expected = all.iter().filter(|&&x| x != 0.0).count() as f64 / 32.0;
        let shares = shares(&all, &merged);
        let heavy = merged.iter().position(|&e| e == 77.0).unwrap();
        assert!((shares[heavy] as f64 - 48_000.0).abs() < 0.02 * expected);
        for (i, &share) in shares.iter().enumerate().filter(|(i, _)| *i != heavy) {
            assert!(
                (share as f64) < 1.6 * expected,
                "bin {i}: {share} of {expected}"
            );
        }
        assert_eq!(merged, edges(&parts), "the same data, the same edges");
    }

    #[test]
    fn scale_of_constants_and_of_numbers() {
        let mut summary = NumberSummary::new(32, true);
        summary.add(&Float64Array::from(vec![Some(1e6), None, Some(1e6)]));
        let scale = summary.scale().unwrap();
        assert_eq!((scale.sd, scale.apply(Some(1e6))), (1.0, 0.0));
        let mut summary = NumberSummary::new(32, true);
        summary.add(&Float64Array::from(vec![
            0.0,
            1f64.exp() - 1.0,
            1.0 - 1f64.exp(),
        ]));
        let scale = summary.scale().unwrap();
        assert!(scale.mean.abs() < 1e-12 && (scale.sd - (2f64 / 3.0).sqrt()).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn merging_few_values_equals_adding_them(
            values in proptest::collection::vec(-40i16..400, 0..600), cut in 0usize..600,
        ) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let (a, b) = values.split_at(cut.min(values.len()));
            let summary = |values: &[f64]| {
                let mut summary = NumberSummary::new(8, true);
                summary.add(&Float64Array::from(values.to_vec()));
                summary
            };
            let (mut one, mut two) = (summary(&values), summary(a).merged(summary(b)));
            prop_assert_eq!(one.edges(), two.edges());
            let (one, two) = (one.scale().unwrap(), two.scale().unwrap());
            prop_assert!((one.mean - two.mean).abs() < 1e-9 && (one.sd - two.sd).abs() < 1e-9);
        }

        #[test]
        fn bins_are_even(
            values in proptest::collection::vec(-40i16..400, 1..600), max_bins in 2usize..40,
        ) {
            let values: Vec<f64> = values.into_iter().map(|x| f64::from(x.max(-3))).collect();
            let nonzero: Vec<f64> = values.iter().copied().filter(|&x| x != 0.0).collect();
            let edges = fitted(&values, max_bins);
            prop_assert!(edges.windows(2).all(|w| w[0] < w[1]));
            prop_assert!(edges.len() <= 2 * max_bins);
            let share = nonzero.len() as f64 / max_bins as f64;
            let cells = Cells::Bins { edges: edges.clone() };
            for (bin, rows) in shares(&nonzero, &edges).into_iter().enumerate() {
                let inside: std::collections::BTreeSet<u64> = nonzero
                    .iter()
                    .filter(|&&x| cells.of_number(Some(x)) as usize == bin + 2)
                    .map(|x| x.to_bits())
                    .collect();
                prop_assert!(inside.len() == 1 || (rows as f64) < 2.5 * share + 1.0);
                // Only values lighter than a bin may share one.
                for &bits in inside.iter().filter(|_| inside.len() > 1) {
                    let count = nonzero.iter().filter(|x| x.to_bits() == bits).count();
                    prop_assert!((count as f64) < share);
                }
            }
        }
    }
}
