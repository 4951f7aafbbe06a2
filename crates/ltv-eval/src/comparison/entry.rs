//! One contestant on one horizon: its runs' values and the mean over runs, resamples included.

use super::document::MetricResult;
use crate::{
    bootstrap::{self, Interval, Replicate},
    metric::{Metric, Null, Values},
};

/// Metrics of the runs so far.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    runs: Vec<Values>,
    /// For each resample, the mean over runs; NaN where a run has no value.
    pub(crate) replicates: Vec<Replicate>,
}

/// Mean and sample standard deviation over runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) mean: f64,
    /// None with one run.
    pub(crate) sd: Option<f64>,
    pub(crate) runs: usize,
}

/// The mean of `count` values from that of all but the last. Equal values have themselves as
/// their mean, to the last bit: a copy with more runs ties exactly.
fn running_mean(mean: f64, value: f64, count: usize) -> f64 {
    mean + (value - mean) / count as f64
}

impl Spread {
    /// Of at least one value.
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut mean = 0.0;
        for (i, &value) in values.iter().enumerate() {
            mean = running_mean(mean, value, i + 1);
        }
        let square: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
        let sd = (values.len() > 1).then(|| (square / (values.len() - 1) as f64).sqrt());
        Self {
            mean,
            sd,
            runs: values.len(),
        }
    }

    /// Variance of the mean; 0 with one run.
    pub(crate) fn mean_variance(&self) -> f64 {
        self.sd.map_or(0.0, |sd| sd * sd / self.runs as f64)
    }
}

impl Entry {
    /// Adds a run.
    pub(crate) fn add(&mut self, values: Values, replicates: Vec<Replicate>) {
        self.runs.push(values);
        if self.runs.len() == 1 {
            self.replicates = replicates;
            return;
        }
        for (mean, run) in self.replicates.iter_mut().zip(&replicates) {
            for (mean, &value) in mean.iter_mut().zip(run) {
                *mean = running_mean(*mean, value, self.runs.len());
            }
        }
    }

    /// Mean and spread of a metric. A mean over some of the runs would compare unlike things: one
    /// run without a value leaves the whole without one, for its reason.
    pub(crate) fn spread(&self, metric: Metric) -> Result<Spread, Null> {
        let values: Result<Vec<f64>, Null> = self.runs.iter().map(|run| run.get(metric)).collect();
        let spread = Spread::of(&values?);
        match spread.mean.is_finite() && spread.sd.is_none_or(f64::is_finite) {
            true => Ok(spread),
            false => Err(Null::Overflow),
        }
    }

    /// Gini coefficient of the labels, which predictions are read against; NaN when there is none.
    pub(crate) fn label_gini(&self) -> f64 {
        let gini = self.runs.first().map(|run| run.get(Metric::LabelGini));
        gini.and_then(Result::ok).unwrap_or(f64::NAN)
    }

    /// How bad the mean over runs is; None without a value or merit.
    pub(crate) fn cost(&self, metric: Metric) -> Option<f64> {
        let cost = metric.cost(self.spread(metric).ok()?.mean, self.label_gini())?;
        cost.is_finite().then_some(cost)
    }

    /// How bad it is in a resample; NaN without a value.
    pub(crate) fn replicate_cost(replicate: &Replicate, metric: Metric) -> f64 {
        let (value, label) = (
            replicate[metric as usize],
            replicate[Metric::LabelGini as usize],
        );
        metric.cost(value, label).unwrap_or(f64::NAN)
    }

    /// The metric for the document.
    pub(crate) fn result(&self, metric: Metric) -> MetricResult {
        let spread = self.spread(metric);
        let interval: Option<Interval> = bootstrap::interval(&self.replicates, metric);
        MetricResult {
            metric,
            mean: spread.map(|s| s.mean).ok(),
            sd: spread.ok().and_then(|s| s.sd),
            runs: self.runs.iter().map(|run| run.get(metric).ok()).collect(),
            reason: spread.err(),
            interval: interval.filter(|_| spread.is_ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn run(nrmse: Result<f64, Null>) -> (Values, Vec<Replicate>) {
        let mut values = Values::none(Null::NoRows);
        values.put(Metric::NRMSE, nrmse);
        (values, vec![[nrmse.unwrap_or(f64::NAN); Metric::COUNT]])
    }

    #[test]
    fn mean_and_sd_by_hand() {
        let spread = Spread::of(&[1.0, 2.0, 6.0]);
        assert_eq!((spread.mean, spread.runs), (3.0, 3));
        assert_eq!(spread.sd, Some(7f64.sqrt()));
        assert!((spread.mean_variance() - 7.0 / 3.0).abs() < 1e-15);
        assert_eq!(Spread::of(&[0.1]).sd, None);
        assert_eq!(Spread::of(&[0.1; 3]).mean, 0.1);
    }

    #[test]
    fn replicates_are_averaged_one_by_one() {
        let mut entry = Entry::default();
        for value in [1.0, 2.0, 6.0] {
            let (values, replicates) = run(Ok(value));
            entry.add(values, replicates);
        }
        assert_eq!(entry.replicates[0][Metric::NRMSE as usize], 3.0);
        assert_eq!(entry.cost(Metric::NRMSE), Some(3.0));
    }

    #[test]
    fn a_run_without_a_value_leaves_no_mean() {
        let mut entry = Entry::default();
        for value in [Ok(1.0), Err(Null::ZeroLabels)] {
            let (values, replicates) = run(value);
            entry.add(values, replicates);
        }
        let result = entry.result(Metric::NRMSE);
        assert_eq!(
            (result.mean, result.sd, result.interval),
            (None, None, None)
        );
        assert_eq!(result.reason, Some(Null::ZeroLabels));
        assert_eq!(result.runs, [Some(1.0), None]);
    }
}
