//! Percentile bootstrap over users.
//!
//! A resample is drawn as multiplicities: how often each row occurs among `n` draws with
//! replacement. Rows stay sorted, so one replicate of all metrics is a pass over the rows. Replicate
//! `r` of a scope has a random stream of its own, made from the seed, the scope's name and `r`:
//! results do not depend on threads, and all prediction sets see the same resamples, which is what
//! makes differences between them paired.

use crate::{
    error::EvalError,
    measure::measure,
    metric::Metric,
    sample::{Ranking, Sample},
    tally::Tally,
};
use ltv_core::progress::Progress;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// How intervals are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Number of resamples, 20 to 1,000,000; 1000 gives steady ends.
    pub replicates: u32,
    /// Seed of all resamples.
    pub seed: u64,
}

impl Bootstrap {
    /// Checks the number of replicates.
    ///
    /// # Errors
    /// When it is outside 20 to 1,000,000.
    pub fn check(&self) -> Result<(), EvalError> {
        if (20..=1_000_000).contains(&self.replicates) {
            return Ok(());
        }
        Err(EvalError::Replicates {
            found: self.replicates,
        })
    }
}

/// A 95 % percentile interval over users.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// 2.5th percentile.
    pub low: f64,
    /// 97.5th percentile.
    pub high: f64,
    /// Resamples in which the metric had a value; the others are left out.
    pub replicates: u32,
}

/// Name of the random stream of a horizon.
pub(crate) fn stream(horizon: u32) -> String {
    format!("bootstrap/{horizon}")
}

/// Metrics of one resample; NaN where there is no value.
pub(crate) type Replicate = [f64; Metric::COUNT];

/// Measures every resample of a scope, in order. `progress` may stop the work at each of them.
pub(crate) fn replicates(
    sample: &Sample,
    ranking: &Ranking,
    bootstrap: &Bootstrap,
    scope: &str,
    progress: &dyn Progress,
) -> Vec<Replicate> {
    if sample.rows() == 0 {
        return Vec::new();
    }
    let seed = ltv_core::seed::derive(bootstrap.seed, scope);
    let one = |(weights, tally): &mut (Vec<u8>, Tally), stream: u32| {
        progress.advance(0);
        draw(weights, sample.rows(), seed, stream);
        let values = measure(&tally.fill(sample, ranking, weights));
        Metric::ALL.map(|metric| values.get(metric).unwrap_or(f64::NAN))
    };
    (0..bootstrap.replicates)
        .into_par_iter()
        .map_init(Default::default, one)
        .collect()
}

/// Multiplicities of `rows` draws with replacement.
pub(crate) fn draw(weights: &mut Vec<u8>, rows: usize, seed: u64, stream: u32) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(u64::from(stream));
    weights.clear();
    weights.resize(rows, 0);
    let rows = rows as u32;
    for _ in 0..rows {
        let weight = &mut weights[random.random_range(0..rows) as usize];
        // A row drawn more than 255 times has a probability under 1 / 256!.
        *weight = weight.saturating_add(1);
    }
}

/// Interval of a metric. None when fewer than half of the resamples gave it a value.
pub(crate) fn interval(replicates: &[Replicate], metric: Metric) -> Option<Interval> {
    percentiles(
        replicates.iter().map(|r| r[metric as usize]).collect(),
        replicates.len(),
    )
}

/// Interval of the paired difference `first - second`.
pub(crate) fn paired_interval(
    first: &[Replicate],
    second: &[Replicate],
    metric: Metric,
) -> Option<Interval> {
    let m = metric as usize;
    percentiles(
        first.iter().zip(second).map(|(a, b)| a[m] - b[m]).collect(),
        first.len(),
    )
}

/// 95 % interval of finite values. None when they are fewer than half of `of`.
pub(crate) fn percentiles(mut values: Vec<f64>, of: usize) -> Option<Interval> {
    values.retain(|v| v.is_finite());
    if values.is_empty() || values.len() * 2 < of {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    let replicates = values.len() as u32;
    Some(Interval {
        low: quantile(&values, 0.025),
        high: quantile(&values, 0.975),
        replicates,
    })
}

/// Quantile of ascending values, linear between the nearest two (type 7 of Hyndman and Fan 1996).
fn quantile(ascending: &[f64], p: f64) -> f64 {
    let place = p * (ascending.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(ascending.len() - 1);
    let part = place - below as f64;
    ascending[below] + part * (ascending[above] - ascending[below])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiplicities_sum_to_the_rows_and_repeat() {
        let (mut a, mut b) = (Vec::new(), vec![9; 3]);
        draw(&mut a, 1000, 7, 3);
        draw(&mut b, 1000, 7, 3);
        assert_eq!(a, b);
        assert_eq!(a.iter().map(|&w| u32::from(w)).sum::<u32>(), 1000);
        draw(&mut b, 1000, 7, 4);
        assert_ne!(a, b);
    }

    #[test]
    fn multiplicities_have_the_variance_of_draws_with_replacement() {
        let mut weights = Vec::new();
        draw(&mut weights, 100_000, 1, 0);
        let square: f64 = weights.iter().map(|&w| f64::from(w).powi(2)).sum::<f64>() / 1e5;
        // E[w^2] = 1 + (1 - 1/n); its standard error here is about 0.01.
        assert!((square - 2.0).abs() < 0.05, "{square}");
    }

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(quantile(&[5.0], 0.975), 5.0);
        assert_eq!(percentiles(vec![f64::NAN, f64::NAN, 1.0], 3), None);
    }
}
