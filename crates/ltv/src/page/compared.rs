//! The page of a comparison.

use super::{
    evaluated::{histogram, totals},
    fingerprint, reproduce, training, unit,
};
use crate::exit::Failure;
use ltv_data::Dataset;
use ltv_eval::{
    EvalInput, Metric, NamedPredictions,
    comparison::{Comparison, HorizonComparison, MetricResult, Verdict},
    evaluate,
    page::{
        Cell, Comparison as Side, Dot, Emphasis, Fact, MetricDots, OrderPair, OrderShares, Part,
        ReportInput, Table, page,
    },
};
use ltv_lab::{CompareConfig, Outcome, run::Run};
use ltv_score::evaluate::{Breakdown, histograms};

/// Metrics of the tables: the paper's, then ours.
const COLUMNS: [(Metric, &str); 8] = [
    (Metric::NRMSE, "NRMSE"),
    (Metric::NMAE, "NMAE"),
    (Metric::AMBE, "AMBE"),
    (Metric::MutualGini, "Mutual Gini"),
    (Metric::PredGini, "Gini of predictions"),
    (Metric::NormGini, "Normalised Gini"),
    (Metric::Spearman, "Spearman"),
    (Metric::CalibrationRatio, "Predicted / actual"),
];

/// Metrics drawn as points: what is good, and the line to be near.
const DOTS: [(Metric, &str, &str, Option<f64>); 4] = [
    (Metric::NRMSE, "NRMSE", "lower is better", None),
    (
        Metric::NormGini,
        "Normalised Gini",
        "higher is better",
        None,
    ),
    (
        Metric::MutualGini,
        "Mutual Gini",
        "lower is better, beside a good rank metric",
        None,
    ),
    (
        Metric::CalibrationRatio,
        "Predicted / actual total",
        "closer to 1 is better",
        Some(1.0),
    ),
];

/// Makes the page.
pub(crate) fn compared(config: &CompareConfig, outcome: &Outcome) -> Result<String, Failure> {
    let comparison = &outcome.comparison;
    let train = Dataset::open(&config.data)?;
    let mut input = shown(outcome)?;
    input = ReportInput {
        subtitle:
            "All models are trained on the same users and judged on the same later ones, or on \
                   users held out by hash; a mark says what is within noise."
                .to_owned(),
        unit: unit(train.manifest().label).to_owned(),
        facts: facts(config, outcome, &train),
        order: order(comparison, &outcome.runs),
        headlines: Part::default(),
        ..input
    };
    // A name keeps its colour, also in charts of all models.
    let all = comparison.contestants.iter().map(|c| c.name.clone());
    let rest: Vec<String> = all.filter(|name| !input.sets.contains(name)).collect();
    input.sets.extend(rest);
    input.comparison = Side {
        tables: comparison
            .results
            .iter()
            .flat_map(|r| tables(comparison, r))
            .collect(),
        dots: comparison.results.iter().flat_map(dots).collect(),
        curves: vec![],
    }
    .into();
    let runs = losses(&outcome.runs);
    if !runs.is_empty() {
        input.training = runs.into();
    }
    input.reproduce = reproduce(
        vec![
            Fact::new("dataset", config.data.display().to_string()),
            Fact::new("dataset fingerprint", fingerprint(&train)),
            Fact::new(
                "judged on",
                outcome.judged.dataset().folder().display().to_string(),
            ),
            Fact::new("their fingerprint", fingerprint(outcome.judged.dataset())),
            Fact::new("seeds", format!("{:?}", config.seeds)),
        ],
        config,
    )?
    .into();
    Ok(page(&input))
}

/// Most models whose curves, deciles and cohorts are drawn.
const DRAWN: usize = 6;

/// The first models that predict all horizons, as their first seed: curves, deciles, cohorts.
fn shown(outcome: &Outcome) -> Result<ReportInput, Failure> {
    let judged = &outcome.judged;
    let mut sets: Vec<NamedPredictions> = vec![];
    for (row, contestant) in outcome.comparison.contestants.iter().enumerate() {
        if sets.len() < DRAWN
            && let Some(values) = outcome.predictions(row)?
        {
            let name = contestant.name.clone();
            sets.push(NamedPredictions { name, values });
        }
    }
    let title = "Lifetime value: a comparison of models";
    if sets.is_empty() {
        return Ok(ReportInput {
            title: title.to_owned(),
            ..ReportInput::default()
        });
    }
    let evaluation = evaluate(&EvalInput {
        horizons: &judged.horizons,
        labels: &judged.labels,
        predictions: &sets,
        segments: &[],
        bootstrap: None,
        reference: None,
    })?;
    let mut input = ReportInput::from_evaluation(title, &evaluation);
    let cohorts = Breakdown::new(
        &judged.months,
        true,
        &judged.horizons,
        &judged.labels,
        &sets,
    );
    let labels = histograms(&judged.labels, judged.horizons.len());
    for (t, part) in input.horizons.iter_mut().enumerate() {
        part.totals = vec![totals(&cohorts, t, &input.sets)].into();
        part.labels = histogram(&labels[t], vec![]).into();
    }
    Ok(input)
}

fn facts(config: &CompareConfig, outcome: &Outcome, train: &Dataset) -> Vec<Fact> {
    let manifest = train.manifest();
    vec![
        Fact::new("Trained as of", manifest.as_of.to_string()),
        Fact::new("Judged on", format!("{} users", outcome.judged.len())),
        Fact::new("Horizons", format!("{:?} days", manifest.horizons.days())),
        Fact::new("Seeds", format!("{:?}", config.seeds)),
        Fact::new(
            "Intervals",
            format!("95 %, from {} resamples of users", config.bootstrap),
        ),
    ]
}

/// One table for each table of the configuration, or one of all.
fn tables(comparison: &Comparison, result: &HorizonComparison) -> Vec<Table> {
    let meant = |name: &str| {
        let own = comparison.contestants.iter().find(|c| c.name == name);
        own.and_then(|c| c.metrics.as_deref())
    };
    let named: Vec<_> = result.tables.iter().filter(|t| t.table.is_some()).collect();
    let shown = match named[..] {
        [] => result.tables.iter().collect(),
        _ => named,
    };
    let header = std::iter::once(Cell::new("Model"))
        .chain(COLUMNS.iter().map(|(_, name)| Cell::new(*name)))
        .collect::<Vec<_>>();
    let table = |t: &ltv_eval::comparison::TableResult| Table {
        caption: match &t.table {
            Some(name) => format!("{name}: next {} days", result.horizon),
            None => format!("Next {} days", result.horizon),
        },
        note: "Mean over seeds, below it the standard deviation. Filled: the best of its column; \
               green: within noise of it. ° not what the model is meant for, so not judged."
            .to_owned(),
        header: header.clone(),
        rows: t
            .rows
            .iter()
            .map(|row| line(result, row, meant(&row.contestant)))
            .collect(),
    };
    shown.into_iter().map(table).collect()
}

fn line(
    result: &HorizonComparison,
    row: &ltv_eval::comparison::TableRow,
    meant: Option<&[Metric]>,
) -> Vec<Cell> {
    let name = &row.contestant;
    let meant = |metric: Metric| meant.is_none_or(|own| own.contains(&metric));
    let cell = |metric: Metric| {
        let found = result.entry(name).and_then(|e| e.metric(metric));
        let Some(mean) = found.and_then(|m| m.mean) else {
            return Cell::new("–");
        };
        let emphasis = match row.standing(metric).map(|s| s.verdict) {
            Some(Verdict::Best | Verdict::BestWithinNoise) => Emphasis::Best,
            Some(Verdict::WithinNoise) => Emphasis::NearBest,
            _ => Emphasis::None,
        };
        let sd = found.and_then(|m| m.sd).map(|sd| format!("± {sd:.4}"));
        Cell {
            text: format!("{mean:.4}{}", if meant(metric) { "" } else { " °" }),
            detail: sd.unwrap_or_default(),
            title: match meant(metric) {
                true => String::new(),
                false => "not what this model is meant for, so not judged".to_owned(),
            },
            emphasis,
        }
    };
    std::iter::once(Cell::new(name.clone()))
        .chain(COLUMNS.iter().map(|(metric, _)| cell(*metric)))
        .collect()
}

fn dots(result: &HorizonComparison) -> Vec<MetricDots> {
    let of = |&(metric, name, note, target): &(Metric, &str, &str, Option<f64>)| {
        let dot = |e: &ltv_eval::comparison::EntryResult| {
            let found: &MetricResult = e.metric(metric)?;
            Some(Dot {
                set: e.contestant.clone(),
                value: found.mean?,
                interval: found.interval.map(|i| (i.low, i.high)),
            })
        };
        MetricDots {
            title: format!("{name}, {} days", result.horizon),
            axis: name.to_owned(),
            note: note.to_owned(),
            target,
            rows: result.entries.iter().filter_map(dot).collect(),
        }
    };
    DOTS.iter().map(of).filter(|d| !d.rows.is_empty()).collect()
}

/// Published order violations by pair, and what the projection had to move.
fn order(comparison: &Comparison, runs: &[Vec<Run>]) -> Part<Vec<OrderShares>> {
    let moved: Vec<f64> = runs
        .iter()
        .flat_map(|runs| {
            let mean = |set: usize| {
                let shares = runs.iter().map(|r| r.record.sets[set].projected);
                shares.sum::<f64>() / runs.len() as f64
            };
            (0..runs[0].record.sets.len()).map(mean).collect::<Vec<_>>()
        })
        .collect();
    let sets = comparison
        .contestants
        .iter()
        .zip(moved)
        .filter_map(|(c, moved)| {
            let order = c.order.as_ref()?;
            let pairs = order.pairs.iter().map(|pair| OrderPair {
                shorter: pair.shorter,
                longer: pair.longer,
                before: pair.share,
                after: None,
            });
            Some(OrderShares {
                set: c.name.clone(),
                pairs: pairs.collect(),
                any: Some(order.any),
                projected: Some(moved),
            })
        });
    let sets: Vec<OrderShares> = sets.collect();
    match sets.is_empty() {
        true => Part::absent("no model predicts two horizons"),
        false => sets.into(),
    }
}

/// Losses of the first network.
fn losses(runs: &[Vec<Run>]) -> Vec<ltv_eval::page::TrainingRun> {
    let looks = |run: &Run| {
        run.record
            .models
            .first()
            .is_some_and(|m| !m.validations.is_empty())
    };
    let Some(first) = runs.iter().find(|runs| runs.iter().any(looks)) else {
        return vec![];
    };
    let curve = |run: &Run| {
        let record = &run.record;
        let model = record.models.first()?;
        let name = format!("{}, seed {}", record.name, record.seed);
        Some(training(name, &record.name, &model.validations))
    };
    first.iter().filter_map(curve).collect()
}
