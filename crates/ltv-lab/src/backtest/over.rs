//! Metrics over the dates, and who is better over all of them.

use super::document::OverTime;
use ltv_eval::{Comparison, Metric, Paired, comparison::ContestantResult};

/// The metrics followed over time: those with a better and a worse side that can be told from the
/// value alone.
pub const FOLLOWED: [Metric; 8] = [
    Metric::NRMSE,
    Metric::NMAE,
    Metric::AMBE,
    Metric::CalibrationRatio,
    Metric::MutualGini,
    Metric::NormGini,
    Metric::Spearman,
    Metric::Auc,
];

/// Every followed metric of every model and horizon.
pub(super) fn over_time(dates: &[Comparison]) -> Vec<OverTime> {
    let Some(first) = dates.first() else {
        return vec![];
    };
    let mut all = vec![];
    for &horizon in &first.horizons {
        for metric in FOLLOWED {
            let predicts = |c: &&ContestantResult| c.horizons.contains(&horizon);
            let models: Vec<&ContestantResult> =
                first.contestants.iter().filter(predicts).collect();
            let mut block: Vec<OverTime> = models
                .iter()
                .map(|c| values(dates, c, horizon, metric))
                .collect();
            rivals(&mut block);
            all.extend(block);
        }
    }
    all
}

fn values(
    dates: &[Comparison],
    model: &ContestantResult,
    horizon: u32,
    metric: Metric,
) -> OverTime {
    let found = dates.iter().map(|comparison| {
        let entry = comparison.horizon(horizon)?.entry(&model.name)?;
        entry.metric(metric).map(|m| (m.mean, m.sd))
    });
    let (values, sds): (Vec<_>, Vec<_>) = found.map(Option::unwrap_or_default).unzip();
    OverTime {
        model: model.name.clone(),
        horizon,
        metric,
        meant: model
            .metrics
            .as_ref()
            .is_none_or(|own| own.contains(&metric)),
        mean: super::mean(values.iter().copied()),
        values,
        sds,
        rival: None,
        excess: None,
    }
}

/// Finds for each the best of the others.
fn rivals(block: &mut [OverTime]) {
    let meant: Vec<bool> = block.iter().map(|m| m.meant).collect();
    let costs: Vec<Vec<Option<f64>>> = block
        .iter()
        .map(|m| m.values.iter().map(|v| m.metric.cost((*v)?, 0.0)).collect())
        .collect();
    let names: Vec<String> = block.iter().map(|m| m.model.clone()).collect();
    for (i, own) in block.iter_mut().enumerate().filter(|(i, _)| meant[*i]) {
        let others = (0..names.len()).filter(|&j| j != i && meant[j]);
        let gaps = others.filter_map(|j| Some((j, gap(&costs[i], &costs[j])?)));
        // The largest excess is over the best rival, the first in order among equals.
        let best = gaps.reduce(|a, b| if b.1.mean > a.1.mean { b } else { a });
        (own.rival, own.excess) = best.map(|(j, gap)| (names[j].clone(), gap)).unzip();
    }
}

/// The first minus the second, over the dates on which both have a value.
fn gap(first: &[Option<f64>], second: &[Option<f64>]) -> Option<Paired> {
    let pairs = first.iter().zip(second);
    let differences: Vec<f64> = pairs.filter_map(|(a, b)| Some((*a)? - (*b)?)).collect();
    Paired::new(&differences)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn model(name: &str, metric: Metric, values: &[Option<f64>]) -> OverTime {
        OverTime {
            model: name.to_owned(),
            horizon: 30,
            metric,
            meant: true,
            values: values.to_vec(),
            sds: vec![],
            mean: None,
            rival: None,
            excess: None,
        }
    }

    #[test]
    fn the_rival_is_the_best_of_the_others_on_the_dates_of_both() {
        let metric = Metric::NormGini;
        let mut block = [
            model("a", metric, &[Some(0.5), Some(0.6), None]),
            model("b", metric, &[Some(0.4), Some(0.4), Some(0.9)]),
            model("c", metric, &[Some(0.7), Some(0.7), Some(0.7)]),
            model("d", metric, &[None, None, None]),
        ];
        block[2].meant = false;
        rivals(&mut block);
        let found = |i: usize| (block[i].rival.as_deref(), block[i].excess.map(|e| e.mean));
        let (rival, excess) = found(0);
        assert_eq!(rival, Some("b"));
        assert!((excess.unwrap() + 0.15).abs() < 1e-12, "better: negative");
        assert_eq!(found(1).0, Some("a"));
        assert_eq!(found(2), (None, None), "not meant for it");
        assert_eq!(found(3), (None, None), "nothing to compare");
    }

    #[test]
    fn ratios_are_better_when_closer_to_one() {
        let metric = Metric::CalibrationRatio;
        let mut block = [
            model("high", metric, &[Some(1.5), Some(1.5)]),
            model("low", metric, &[Some(0.7), Some(0.7)]),
        ];
        rivals(&mut block);
        let excess = block[0].excess.unwrap();
        assert!((excess.mean - 0.2).abs() < 1e-12 && excess.decided());
    }
}
