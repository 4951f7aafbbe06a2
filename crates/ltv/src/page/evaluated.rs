//! The page of an evaluation.

use super::{fingerprint, reproduce, training, unit};
use crate::{exit::Failure, report::label_words};
use ltv_core::labels::LabelHistogram as Labels;
use ltv_data::Dataset;
use ltv_eval::{
    Evaluation,
    page::{
        Fact, FeatureDrop, GroupTotal, Importance as Drops, LabelHistogram, Part, QuantileCount,
        ReportInput, SetQuantiles, SetTotal, Totals, page,
    },
};
use ltv_lab::Opened;
use ltv_score::{
    Evidence, Importance,
    evaluate::{Breakdown, QUANTILES, QuantileTally},
};
use serde::Serialize;
use std::path::Path;

/// Bins of a label histogram.
const BINS: usize = 40;

/// Everything that an evaluation found.
pub(crate) struct Judgement<'a> {
    /// The model's file.
    pub(crate) path: &'a Path,
    pub(crate) model: &'a Opened,
    pub(crate) dataset: &'a Dataset,
    pub(crate) evaluation: &'a Evaluation,
    pub(crate) evidence: &'a Evidence,
    pub(crate) importance: Option<&'a [Importance]>,
    /// On whom, in a sentence.
    pub(crate) whom: &'a str,
    pub(crate) seed: u64,
}

/// Makes the page; `options` are those of the command, resolved.
pub(crate) fn evaluated(
    found: &Judgement<'_>,
    options: &impl Serialize,
) -> Result<String, Failure> {
    let model = found.model;
    let name = found.path.file_name().unwrap_or(found.path.as_os_str());
    let title = format!("Lifetime value: {}", name.display());
    let mut input = ReportInput::from_evaluation(title, found.evaluation);
    input.subtitle = format!("On {}.", found.whom);
    input.unit = unit(model.label).to_owned();
    input.facts.extend(facts(found));
    horizons(&mut input, found);
    if let (Part::Given(sets), Some(moved)) = (&mut input.order, found.evidence.projected) {
        // Published values are in order; the share that the projection moved is that of the first.
        let share = moved as f64 / found.evidence.rows.max(1) as f64;
        if let Some(set) = sets.first_mut() {
            set.projected = Some(share);
        }
    }
    if let Some(network) = &model.network {
        let name = format!("seed {}", network.record.seed);
        let set = input.sets.first().cloned().unwrap_or_default();
        input.training = vec![training(name, &set, &network.record.validations)].into();
    }
    input.importance = match found.importance {
        Some(all) => drops(all).into(),
        None => Part::absent("feature importance was not asked for: --importance measures it"),
    };
    input.reproduce = reproduce(
        vec![
            Fact::new("model id", model.predictor.model_id()),
            Fact::new("dataset", found.dataset.folder().display().to_string()),
            Fact::new("dataset fingerprint", fingerprint(found.dataset)),
            Fact::new("seed", found.seed.to_string()),
        ],
        options,
    )?
    .into();
    Ok(page(&input))
}

fn facts(found: &Judgement<'_>) -> Vec<Fact> {
    let model = found.model;
    let label = format!(
        "{} after {} days",
        label_words(model.label),
        model.window_days
    );
    vec![
        Fact::new("Model", model.predictor.model_id()),
        Fact::new("Trained as of", model.as_of.to_string()),
        Fact::new("Judged as of", found.dataset.manifest().as_of.to_string()),
        Fact::new("Label", label),
    ]
}

/// What the evaluation does not hold, horizon by horizon.
fn horizons(input: &mut ReportInput, found: &Judgement<'_>) {
    let set = input.sets.first().cloned().unwrap_or_default();
    let known = found.model.network.as_ref();
    for (t, part) in input.horizons.iter_mut().enumerate() {
        part.quantiles = match found.evidence.quantiles.get(t) {
            Some(tallies) => {
                let central = found.evidence.central.get(t).copied().flatten();
                let mut quantiles = quantiles(&set, tallies);
                quantiles.central = central;
                vec![quantiles].into()
            }
            None => Part::absent("this model gives no quantiles"),
        };
        let buckets = known.and_then(|network| {
            let place = network.horizons.position(part.days)?;
            network.spec.horizons.get(place)
        });
        let edges: Vec<f64> = buckets
            .map(|b| b.flat().flat_map(|b| [b.left, b.left + b.width]).collect())
            .unwrap_or_default();
        if let Some(labels) = found.evidence.labels.get(t).filter(|l| l.count() > 0) {
            part.labels = histogram(labels, edges).into();
        }
        let names: Vec<String> = input.sets.clone();
        let totals = found
            .evidence
            .breakdowns
            .iter()
            .map(|b| totals(b, t, &names));
        part.totals = totals.collect::<Vec<_>>().into();
    }
}

fn quantiles(set: &str, tallies: &[QuantileTally; 3]) -> SetQuantiles {
    let count = |(tally, &level): (&QuantileTally, &f64)| QuantileCount {
        level,
        below: tally.below,
        at_or_below: tally.at_or_below,
        users: tally.users,
    };
    SetQuantiles {
        set: set.to_owned(),
        quantiles: tallies.iter().zip(&QUANTILES).map(count).collect(),
        central: None,
    }
}

pub(super) fn totals(breakdown: &Breakdown, t: usize, sets: &[String]) -> Totals {
    let group = |g: &ltv_score::evaluate::Group| GroupTotal {
        name: g.label.clone(),
        users: g.users,
        actual: g.actual,
        predicted: sets
            .iter()
            .zip(&g.predicted)
            .map(|(set, &total)| SetTotal {
                set: set.clone(),
                total,
            })
            .collect(),
    };
    Totals {
        name: breakdown.name.clone(),
        ordered: breakdown.ordered,
        groups: breakdown.horizons[t].iter().map(group).collect(),
    }
}

/// Labels above 0 in bins of equal width, or of equal ratio where the tail is long.
pub(super) fn histogram(labels: &Labels, mut bucket_edges: Vec<f64>) -> LabelHistogram {
    bucket_edges.sort_by(f64::total_cmp);
    bucket_edges.dedup();
    let positive = || labels.groups().filter(|g| g.high > 0.0);
    let zeros = labels
        .groups()
        .filter(|g| g.high == 0.0)
        .map(|g| g.count)
        .sum();
    let (Some(low), Some(high)) = (positive().next(), positive().next_back()) else {
        return LabelHistogram {
            zeros,
            bucket_edges,
            ..LabelHistogram::default()
        };
    };
    let (low, high) = (low.low, high.high);
    let long = high / low > 100.0;
    let (from, to) = if long {
        (low.ln(), high.ln())
    } else {
        (0.0, high)
    };
    let place = |x: f64| {
        let share = (if long { x.ln() } else { x } - from) / (to - from);
        ((share * BINS as f64) as usize).min(BINS - 1)
    };
    let mut counts = vec![0; BINS];
    for group in positive() {
        // The end of a bin belongs to the next one; a group is as narrow as a price point.
        counts[place(0.5 * (group.low + group.high))] += group.count;
    }
    let edge = |i: usize| {
        let x = from + (to - from) * i as f64 / BINS as f64;
        if long { x.exp() } else { x }
    };
    LabelHistogram {
        edges: (0..=BINS).map(edge).collect(),
        counts,
        zeros,
        bucket_edges,
    }
}

/// What the ranking of the longest horizon owes to each feature.
fn drops(all: &[Importance]) -> Drops {
    let longest = all.iter().map(|i| i.horizon).max().unwrap_or(0);
    let mut features: Vec<FeatureDrop> = all
        .iter()
        .filter(|i| i.horizon == longest)
        .filter_map(|i| {
            let drop = i.rank?;
            Some(FeatureDrop {
                name: i.feature.clone(),
                drop,
                interval: i.rank_sd.map(|sd| (drop - 2.0 * sd, drop + 2.0 * sd)),
            })
        })
        .collect();
    features.sort_by(|a, b| b.drop.total_cmp(&a.drop));
    Drops {
        measure: format!(
            "loss of normalised Gini, {longest} days, when the feature is shuffled (2 standard deviations)"
        ),
        features,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(values: &[f64]) -> Labels {
        let mut labels = Labels::default();
        values.iter().for_each(|&y| labels.add(y));
        labels
    }

    #[test]
    fn every_label_is_in_a_bin_and_zeros_are_apart() {
        let days = histogram(&labels(&[0.0, 0.0, 1.0, 2.0, 80.0]), vec![5.0, 1.0, 5.0]);
        assert_eq!((days.zeros, days.counts.iter().sum::<u64>()), (2, 3));
        assert_eq!((days.edges[0], days.edges[BINS]), (0.0, 80.0));
        assert_eq!(days.bucket_edges, [1.0, 5.0]);
        let spend = histogram(&labels(&[0.5, 10.0, 5000.0]), vec![]);
        assert_eq!(spend.counts.iter().sum::<u64>(), 3);
        assert!((spend.edges[0] - 0.5).abs() < 1e-9 && (spend.edges[BINS] - 5000.0).abs() < 1e-6);
        let nothing = histogram(&labels(&[0.0]), vec![]);
        assert_eq!((nothing.zeros, nothing.edges.len()), (1, 0));
    }
}
