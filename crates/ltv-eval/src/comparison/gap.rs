//! The difference between two contestants in one metric, and how sure it is.

use super::entry::{Entry, Spread};
use crate::{
    bootstrap::{Interval, percentiles},
    metric::Metric,
};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// One contestant minus another in one metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// Difference of the means over runs, in units of the metric.
    pub difference: f64,
    /// Its 95 % bootstrap interval over users, resampled in pairs; null when fewer than half of the
    /// resamples have a value for both.
    pub difference_interval: Option<Interval>,
    /// By how much the first is worse: its [`Metric::cost`] minus the other's, negative when
    /// better. Where lower is better it is the difference, where higher is better its negative;
    /// where closer is better it is that of the two distances.
    pub excess: f64,
    /// Its 95 % bootstrap interval over users, as above.
    pub excess_interval: Option<Interval>,
    /// By how much the means differ by chance of seeds at 95 %; 0 when both have one run.
    pub seed_margin: f64,
    /// Interval of `excess` over users and seeds together: see [the module](super).
    pub combined: Option<Range>,
}

/// The ends of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Gap {
    /// `first - second`; None when either lacks a value, and for metrics without merit.
    pub(crate) fn new(first: &Entry, second: &Entry, metric: Metric) -> Option<Self> {
        let (a, b) = (first.spread(metric).ok()?, second.spread(metric).ok()?);
        let (difference, excess) = (a.mean - b.mean, first.cost(metric)? - second.cost(metric)?);
        let seed_margin = seed_margin(a, b);
        if ![difference, excess, seed_margin]
            .iter()
            .all(|v| v.is_finite())
        {
            return None;
        }
        let pairs = || first.replicates.iter().zip(&second.replicates);
        let (m, of) = (metric as usize, first.replicates.len());
        let cost = |replicate| Entry::replicate_cost(replicate, metric);
        let excess_interval = percentiles(pairs().map(|(a, b)| cost(a) - cost(b)).collect(), of);
        Some(Self {
            difference,
            difference_interval: percentiles(pairs().map(|(a, b)| a[m] - b[m]).collect(), of),
            excess,
            excess_interval,
            seed_margin,
            combined: excess_interval.map(|users| combine(excess, users, seed_margin)),
        })
    }

    /// Whether the difference is beyond noise. Without an interval nothing is.
    pub fn decided(&self) -> bool {
        self.combined
            .is_some_and(|range| range.low > 0.0 || range.high < 0.0)
    }
}

/// The combined interval of the module's documentation. A percentile interval may miss its own
/// estimate, where resampling shifts a metric; it still holds what it holds, so neither end is drawn
/// in.
fn combine(estimate: f64, users: Interval, margin: f64) -> Range {
    let (below, above) = (estimate - users.low, users.high - estimate);
    Range {
        low: users.low.min(estimate - below.max(0.0).hypot(margin)),
        high: users.high.max(estimate + above.max(0.0).hypot(margin)),
    }
}

/// Half the width of Welch's 95 % interval for a difference of means over runs.
fn seed_margin(a: Spread, b: Spread) -> f64 {
    let (first, second) = (a.mean_variance(), b.mean_variance());
    let variance = first + second;
    if variance <= 0.0 {
        return 0.0;
    }
    // A contestant of one run has variance 0 here, and divides it by no degrees of freedom.
    let part = |variance: f64, runs: usize| match variance > 0.0 {
        true => variance * variance / (runs - 1) as f64,
        false => 0.0,
    };
    let freedom = variance * variance / (part(first, a.runs) + part(second, b.runs));
    t_quantile(freedom) * variance.sqrt()
}

/// 97.5th percentile of Student's t. Its limit, the normal's, where `freedom` is out of range,
/// which a variance too small to be squared can make it.
pub(crate) fn t_quantile(freedom: f64) -> f64 {
    const NORMAL: f64 = 1.959_963_984_540_054;
    let t = StudentsT::new(0.0, 1.0, freedom).map(|t| t.inverse_cdf(0.975));
    t.ok().filter(|t| t.is_finite()).unwrap_or(NORMAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(low: f64, high: f64) -> Interval {
        Interval {
            low,
            high,
            replicates: 100,
        }
    }

    /// NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.2, column 0.975.
    #[test]
    fn t_quantiles_of_the_printed_table() {
        for (freedom, t) in [
            (1.0, 12.706),
            (2.0, 4.303),
            (4.0, 2.776),
            (10.0, 2.228),
            (100.0, 1.984),
        ] {
            let found = t_quantile(freedom);
            assert!((found - t).abs() < 6e-4, "{freedom}: {found}");
        }
        assert_eq!(t_quantile(f64::NAN), 1.959_963_984_540_054);
    }

    #[test]
    fn equal_spreads_give_the_classic_t_interval() {
        // Welch equals Student with 2 (n - 1) degrees of freedom: t = 2.776 for three runs each.
        let margin = seed_margin(Spread::of(&[1.0, 2.0, 3.0]), Spread::of(&[5.0, 6.0, 7.0]));
        assert!(
            (margin - 2.7764 * (2f64 / 3.0).sqrt()).abs() < 1e-3,
            "{margin}"
        );
        // Against a model without a seed only the other's spread counts, with n - 1.
        let margin = seed_margin(Spread::of(&[1.0, 2.0, 3.0]), Spread::of(&[5.0]));
        assert!(
            (margin - 4.3027 * (1f64 / 3.0).sqrt()).abs() < 1e-3,
            "{margin}"
        );
        assert_eq!(
            seed_margin(Spread::of(&[1.0]), Spread::of(&[2.0, 2.0])),
            0.0
        );
    }

    #[test]
    fn both_sources_widen_the_interval() {
        // Users reach 3 below and 1 above, seeds 4 and 0.
        let range = combine(10.0, interval(7.0, 11.0), 4.0);
        assert_eq!(range.low, 5.0);
        assert!((range.high - (10.0 + 17f64.sqrt())).abs() < 1e-15);
        let range = combine(10.0, interval(7.0, 11.0), 0.0);
        assert_eq!((range.low, range.high), (7.0, 11.0));
        // An interval beside its estimate is kept whole.
        let range = combine(10.0, interval(10.5, 12.0), 0.1);
        assert!((range.low - 9.9).abs() < 1e-12 && range.high >= 12.0);
    }
}
