//! Order violations of predictions that come a column at a time.

use crate::order::ORDER_TOLERANCE;
use serde::{Deserialize, Serialize};

/// Shares of users whose predictions cross, mature or not; mean over runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Crossings {
    /// For each predicted horizon but the last: it and the next one predicted.
    pub pairs: Vec<CrossingShare>,
    /// Share of users with at least one such pair.
    pub any: f64,
}

/// A horizon and the next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CrossingShare {
    /// Days.
    pub shorter: u32,
    /// Days.
    pub longer: u32,
    /// Share of users with `p_shorter > p_longer + 1e-6`.
    pub share: f64,
}

/// Counts of one contestant's crossings, over all its runs.
#[derive(Debug, Default)]
pub(crate) struct CrossingCount {
    pairs: Vec<u64>,
    any: u64,
    /// Of the current run: its last column, its next pair, and the users that crossed so far.
    previous: Option<Vec<f64>>,
    pair: usize,
    crossed: Vec<bool>,
}

impl CrossingCount {
    /// Takes the next column of a run, horizons ascending.
    pub(crate) fn add(&mut self, column: Vec<f64>) {
        self.crossed.resize(column.len(), false);
        if let Some(shorter) = &self.previous {
            let mut count = 0;
            for ((p, next), crossed) in shorter.iter().zip(&column).zip(&mut self.crossed) {
                let crosses = *p > next + ORDER_TOLERANCE;
                count += u64::from(crosses);
                *crossed |= crosses;
            }
            self.pairs.resize(self.pairs.len().max(self.pair + 1), 0);
            self.pairs[self.pair] += count;
            self.pair += 1;
        }
        self.previous = Some(column);
    }

    /// Ends a run.
    pub(crate) fn end_run(&mut self) {
        self.any += self
            .crossed
            .iter()
            .map(|&crossed| u64::from(crossed))
            .sum::<u64>();
        self.crossed.fill(false);
        self.previous = None;
        self.pair = 0;
    }

    /// Shares over `rows` rows of each of `runs` runs; None below two horizons and without rows.
    pub(crate) fn shares(&self, days: &[u32], rows: usize, runs: usize) -> Option<Crossings> {
        let of = (rows * runs) as f64;
        let pair = |(window, &count): (&[u32], &u64)| CrossingShare {
            shorter: window[0],
            longer: window[1],
            share: count as f64 / of,
        };
        (days.len() > 1 && rows > 0).then(|| Crossings {
            pairs: days.windows(2).zip(&self.pairs).map(pair).collect(),
            any: self.any as f64 / of,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::order::order_violations;
    use proptest::prelude::*;

    fn count(runs: &[Vec<f64>], horizons: usize) -> CrossingCount {
        let mut count = CrossingCount::default();
        for run in runs {
            for t in 0..horizons {
                count.add(run.chunks_exact(horizons).map(|row| row[t]).collect());
            }
            count.end_run();
        }
        count
    }

    proptest! {
        #[test]
        fn columns_count_as_rows_do(
            values in proptest::collection::vec(0..4u8, 24), other in proptest::collection::vec(0..4u8, 24)
        ) {
            let runs = [values, other].map(|run| run.into_iter().map(f64::from).collect::<Vec<_>>());
            let shares = count(&runs, 3).shares(&[30, 90, 365], 8, 2).unwrap();
            let each = runs.map(|run| order_violations(&run, 3).unwrap());
            prop_assert!((shares.any - (each[0].any + each[1].any) / 2.0).abs() < 1e-15);
            for (i, pair) in shares.pairs.iter().enumerate() {
                let mean = (each[0].adjacent[i] + each[1].adjacent[i]) / 2.0;
                prop_assert!((pair.share - mean).abs() < 1e-15);
            }
            prop_assert_eq!((shares.pairs[1].shorter, shares.pairs[1].longer), (90, 365));
        }
    }

    #[test]
    fn one_horizon_cannot_cross() {
        assert_eq!(count(&[vec![1.0, 2.0]], 1).shares(&[30], 2, 1), None);
    }
}
