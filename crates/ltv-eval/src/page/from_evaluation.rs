//! Filling a report from an evaluation.

use super::{
    format::{against, grouped, number, percent},
    input::{
        DecilePoint, Dot, Fact, Headline, HorizonPart, MetricDots, OrderPair, OrderShares, Part,
        ReportInput, SetCurves, SetDeciles, SetScores,
    },
    metrics,
    table::Table,
};
use crate::{
    metric::{Direction, Metric},
    report::{Evaluation, HorizonResult, Scope, Score, Scores, SetOrder},
};

/// Metrics drawn as points: name, axis, what is good, line.
const DOTS: [(Metric, &str, &str, Option<f64>); 4] = [
    (
        Metric::NormGini,
        "Normalised Gini",
        "higher is better: 1 is the perfect order",
        None,
    ),
    (Metric::NRMSE, "NRMSE", "lower is better", None),
    (
        Metric::CalibrationRatio,
        "Predicted / actual total",
        "closer to 1 is better",
        Some(1.0),
    ),
    (
        Metric::MutualGini,
        "Mutual Gini",
        "lower is better, if the ranking is good as well",
        None,
    ),
];

impl ReportInput {
    /// Everything an evaluation holds: headlines, metrics, curves, deciles, order violations, and
    /// with several sets their differences. The first set is what the report is about. Parts that an
    /// evaluation does not hold are left out without a word; set them, or say why not.
    pub fn from_evaluation(title: impl Into<String>, evaluation: &Evaluation) -> Self {
        let sets: Vec<String> = evaluation.sets.iter().map(|s| s.name.clone()).collect();
        let no_curves = "all labels or all predictions are 0, or no label is mature yet";
        let reference = evaluation.reference.as_deref();
        let results = evaluation.results.iter();
        let horizons = results.map(|r| horizon(r, reference, no_curves));
        let headlines = match sets.first() {
            Some(set) => Part::Given(headlines(evaluation, set)),
            None => Part::absent("no predictions were evaluated"),
        };
        Self {
            title: title.into(),
            facts: key_facts(evaluation),
            headlines,
            horizons: horizons.collect(),
            order: order(evaluation),
            sets,
            ..Self::default()
        }
    }
}

fn key_facts(evaluation: &Evaluation) -> Vec<Fact> {
    let days: Vec<String> = evaluation.horizons.iter().map(u32::to_string).collect();
    let mut facts = vec![
        Fact::new("Users", grouped(evaluation.rows)),
        Fact::new("Horizons", format!("{} days", days.join(", "))),
    ];
    if let Some(bootstrap) = evaluation.bootstrap {
        let resamples = grouped(bootstrap.replicates.into());
        let users = evaluation.drawn().map_or(String::new(), |drawn| {
            format!("at most {} ", grouped(drawn))
        });
        let text = format!(
            "95 %, from {resamples} resamples of {users}users, seed {}",
            bootstrap.seed
        );
        facts.push(Fact::new("Intervals", text));
    }
    facts
}

fn headlines(evaluation: &Evaluation, set: &str) -> Vec<Headline> {
    let results = evaluation.results.iter();
    results.map(|result| headline(result, set)).collect()
}

fn headline(result: &HorizonResult, set: &str) -> Headline {
    let scope = &result.overall;
    let title = format!("Next {} days", result.horizon);
    let scores = scope.set(set);
    let captured = scores.and_then(|s| Some((s, s.value(Metric::Capture10)?)));
    let Some((scores, share)) = captured else {
        let reason = scope.reason.map(|r| r.to_string());
        let score = scores.and_then(|s| s.score(Metric::Capture10)?.reason);
        let reason = reason.or(score.map(|r| r.to_string())).unwrap_or_default();
        return Headline {
            title,
            figure: "–".to_owned(),
            text: format!("Nothing can be said yet: {reason}."),
            facts: vec![],
        };
    };
    let best = scores.value(Metric::IdealCapture10).unwrap_or(f64::NAN);
    Headline {
        title,
        figure: percent(share),
        text: format!(
            "of all value is held by the tenth of users that {set} predicts highest. Perfect foresight \
             would find {}, chance 10\u{a0}%.",
            percent(best)
        ),
        facts: headline_facts(scope, scores),
    }
}

fn headline_facts(scope: &Scope, scores: &Scores) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(score) = scores.score(Metric::CalibrationRatio)
        && let Some(ratio) = score.value
    {
        let noise = score.interval.filter(|i| i.low <= 1.0 && i.high >= 1.0);
        let noise = noise.map_or("", |_| ", within noise");
        facts.push(Fact::new(
            "Total vs. actual",
            format!("{}{noise}", against(ratio)),
        ));
    }
    if let Some(gini) = scores.value(Metric::NormGini) {
        facts.push(Fact::new(
            "Normalised Gini",
            format!("{} of 1", number(gini)),
        ));
    }
    if let Some(gini) = scores.value(Metric::MutualGini) {
        facts.push(Fact::new("Mutual Gini", number(gini)));
    }
    let positive = percent(scope.positives as f64 / scope.rows.max(1) as f64);
    facts.push(Fact::new("Users", grouped(scope.rows)));
    facts.push(Fact::new("Worth more than 0", positive));
    facts
}

fn horizon(result: &HorizonResult, reference: Option<&str>, no_curves: &str) -> HorizonPart {
    let scope = &result.overall;
    let scores: Vec<SetScores> = scope
        .scores
        .iter()
        .map(|s| SetScores {
            set: s.set.clone(),
            scores: s.metrics.clone(),
        })
        .collect();
    let curves: Vec<SetCurves> = scope.scores.iter().filter_map(curves).collect();
    let deciles: Vec<SetDeciles> = scope.scores.iter().map(deciles).collect();
    let deciles: Vec<SetDeciles> = deciles
        .into_iter()
        .filter(|s| !s.deciles.is_empty())
        .collect();
    HorizonPart {
        days: result.horizon,
        users: scope.rows,
        positives: scope.positives,
        immature: result.immature,
        scores: unless_empty(scores, "no label is mature yet"),
        dots: dots_of(scope),
        tables: reference
            .and_then(|reference| differences(scope, reference, result.horizon))
            .into_iter()
            .collect(),
        curves: unless_empty(curves, no_curves),
        deciles: unless_empty(deciles, "no label is mature yet"),
        ..HorizonPart::default()
    }
}

fn differences(scope: &Scope, reference: &str, days: u32) -> Option<Table> {
    let set = |s: &Scores| (s.set.clone(), s.differences.clone());
    let sets: Vec<(String, Vec<Score>)> = scope.scores.iter().map(set).collect();
    metrics::differences(reference, &sets, days)
}

/// Points of each metric, with several sets.
fn dots_of(scope: &Scope) -> Vec<MetricDots> {
    if scope.scores.len() < 2 {
        return vec![];
    }
    let dots = DOTS.iter().map(|metric| dots(scope, *metric));
    dots.filter(|d| !d.rows.is_empty()).collect()
}

fn unless_empty<T>(parts: Vec<T>, reason: &str) -> Part<Vec<T>> {
    if parts.is_empty() {
        Part::absent(reason)
    } else {
        Part::Given(parts)
    }
}

fn curves(scores: &Scores) -> Option<SetCurves> {
    Some(SetCurves {
        set: scores.set.clone(),
        curves: scores.curves.clone()?,
        mutual_gini: scores.value(Metric::MutualGini),
        label_gini: scores.value(Metric::LabelGini),
        prediction_gini: scores.value(Metric::PredGini),
        normalised_gini: scores.value(Metric::NormGini),
    })
}

fn deciles(scores: &Scores) -> SetDeciles {
    let deciles = scores.deciles.iter().map(|d| DecilePoint {
        decile: d.decile,
        users: d.rows,
        predicted: d.mean_prediction,
        actual: d.mean_label,
        interval: None,
    });
    SetDeciles {
        set: scores.set.clone(),
        deciles: deciles.collect(),
    }
}

fn dots(
    scope: &Scope,
    (metric, name, note, target): (Metric, &str, &str, Option<f64>),
) -> MetricDots {
    let dot = |scores: &Scores| {
        let score = scores.score(metric)?;
        Some(Dot {
            set: scores.set.clone(),
            value: score.value?,
            interval: score.interval.map(|i| (i.low, i.high)),
        })
    };
    debug_assert_ne!(metric.direction(), Direction::Reference);
    MetricDots {
        title: name.to_owned(),
        axis: name.to_owned(),
        note: note.to_owned(),
        target,
        rows: scope.scores.iter().filter_map(dot).collect(),
    }
}

fn order(evaluation: &Evaluation) -> Part<Vec<OrderShares>> {
    if evaluation.horizons.len() < 2 {
        return Part::default();
    }
    let shares = |set: &SetOrder| {
        let order = set.order.as_ref()?;
        let pairs = evaluation.horizons.windows(2).zip(&order.adjacent);
        Some(OrderShares {
            set: set.name.clone(),
            pairs: pairs
                .map(|(days, &before)| OrderPair {
                    shorter: days[0],
                    longer: days[1],
                    before,
                    after: None,
                })
                .collect(),
            any: Some(order.any),
            projected: None,
        })
    };
    let sets = evaluation.sets.iter().filter_map(shares).collect();
    unless_empty(sets, "no row was evaluated")
}
