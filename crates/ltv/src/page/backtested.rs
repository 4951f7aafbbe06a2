//! The page of a backtest.

mod age;
mod drift;

use super::{fingerprint, reproduce, unit};
use crate::exit::Failure;
use ltv_data::Dataset;
use ltv_eval::{
    Metric,
    page::{Cell, Curve, Emphasis, Fact, Lines, ReportInput, Section, Table, page},
};
use ltv_lab::{
    Backtest, BacktestConfig,
    backtest::{Cohort, OverTime},
};

/// Metrics drawn over time: title, what is good, the line to be near.
const DRAWN: [(Metric, &str, &str, Option<f64>); 4] = [
    (Metric::NRMSE, "NRMSE", "lower is better", None),
    (
        Metric::NormGini,
        "Normalised Gini",
        "higher is better",
        None,
    ),
    (
        Metric::CalibrationRatio,
        "Predicted / actual total",
        "closer to 1 is better",
        Some(1.0),
    ),
    (Metric::Spearman, "Spearman", "higher is better", None),
];

/// Makes the page.
pub(crate) fn backtested(config: &BacktestConfig, found: &Backtest) -> Result<String, Failure> {
    let data = Dataset::open(&config.data)?;
    let mut sections: Vec<Section> = vec![];
    for &horizon in found.horizons.iter().rev() {
        sections.push(over_time(found, horizon));
    }
    sections.push(drift::labels(found));
    sections.push(drift::features(found));
    if found.dates.len() > 1 {
        sections.push(age::stability(found));
        sections.push(age::ageing(found));
    }
    let input = ReportInput {
        title: "Lifetime value: a backtest".to_owned(),
        subtitle: format!(
            "At each date models are trained with what was known then, and judged on those who \
             registered in the {} days from it on, with the labels known on {}.",
            found.judge_days, found.known_on
        ),
        unit: unit(data.manifest().label).to_owned(),
        sets: found.models.clone(),
        facts: facts(config, found),
        sections: sections.into_iter().filter(|s| !is_empty(s)).collect(),
        reproduce: reproduce(
            vec![
                Fact::new("dataset", config.data.display().to_string()),
                Fact::new("dataset fingerprint", fingerprint(&data)),
                Fact::new("seeds", format!("{:?}", config.seeds)),
            ],
            config,
        )?
        .into(),
        ..ReportInput::default()
    };
    Ok(page(&input))
}

fn is_empty(section: &Section) -> bool {
    section.lines.is_empty() && section.tables.is_empty()
}

fn facts(config: &BacktestConfig, found: &Backtest) -> Vec<Fact> {
    let dates = &found.dates;
    let span = match (dates.first(), dates.last()) {
        (Some(first), Some(last)) => format!("{}, {} to {}", dates.len(), first.as_of, last.as_of),
        _ => "0".to_owned(),
    };
    vec![
        Fact::new("Dates", span),
        Fact::new(
            "Judged",
            format!("{} days of registration", found.judge_days),
        ),
        Fact::new("Labels known on", found.known_on.to_string()),
        Fact::new("Horizons", format!("{:?} days", found.horizons)),
        Fact::new("Seeds", format!("{:?}", config.seeds)),
    ]
}

fn days(found: &Backtest) -> Vec<String> {
    found.dates.iter().map(|d| d.as_of.to_string()).collect()
}

fn plain(value: Option<f64>) -> f64 {
    value.unwrap_or(f64::NAN)
}

/// Metrics over the dates, and the ratio of totals by month; of one horizon.
fn over_time(found: &Backtest, horizon: u32) -> Section {
    let of = |metric: Metric| {
        let wanted = move |m: &&OverTime| m.horizon == horizon && m.metric == metric;
        found.metrics.iter().filter(wanted)
    };
    let mut lines: Vec<Lines> = DRAWN
        .iter()
        .map(|&(metric, title, note, target)| Lines {
            title: format!("{title}, {horizon} days"),
            note: note.to_owned(),
            places: "as-of date".to_owned(),
            names: days(found),
            axis: title.to_owned(),
            target,
            curves: of(metric)
                .filter(|m| m.meant)
                .map(|m| Curve {
                    set: m.model.clone(),
                    values: m.values.iter().map(|v| plain(*v)).collect(),
                })
                .collect(),
        })
        .collect();
    lines.push(months(found, horizon));
    lines.retain(has_value);
    let tables = DRAWN.iter().take(3).map(|&(metric, title, ..)| {
        let rows: Vec<&OverTime> = of(metric).filter(|m| m.mean.is_some()).collect();
        dated(found, format!("{title}, {horizon} days"), &rows)
    });
    Section {
        id: format!("time-{horizon}"),
        link: format!("{horizon} days"),
        title: format!("Next {horizon} days, over time"),
        lead: String::new(),
        tables: tables.filter(|t| !t.rows.is_empty()).collect(),
        lines,
    }
}

fn has_value(lines: &Lines) -> bool {
    let values = lines.curves.iter().flat_map(|c| &c.values);
    values.into_iter().any(|v| v.is_finite())
}

/// A row for each model, a column for each date, and who is better over all of them.
fn dated(found: &Backtest, caption: String, rows: &[&OverTime]) -> Table {
    let number = |v: Option<f64>| v.map_or("–".to_owned(), |v| format!("{v:.4}"));
    let names = std::iter::once("Model".to_owned()).chain(days(found));
    let mut header: Vec<Cell> = names.map(Cell::new).collect();
    header.extend(["Mean", "Worse than the best other by"].map(Cell::new));
    let row = |m: &&OverTime| {
        let mut cells = vec![Cell::new(m.model.clone())];
        for (value, sd) in m.values.iter().zip(&m.sds) {
            let sd = sd.map(|sd| format!("± {sd:.4}")).unwrap_or_default();
            cells.push(Cell::new(number(*value)).detail(sd));
        }
        cells.push(Cell::new(number(m.mean)));
        cells.push(match &m.excess {
            None if !m.meant => Cell::new("°").title("not what this model is meant for"),
            None => Cell::new("–"),
            Some(gap) => {
                let mut detail = m.rival.clone().unwrap_or_default();
                if let (Some(low), Some(high)) = (gap.low, gap.high) {
                    detail += &format!(", {low:+.4} to {high:+.4}");
                }
                let best = match (gap.mean < 0.0, gap.decided()) {
                    (true, true) => Emphasis::Best,
                    (_, false) => Emphasis::NearBest,
                    (false, true) => Emphasis::None,
                };
                Cell::new(format!("{:+.4}", gap.mean))
                    .detail(detail)
                    .emphasis(best)
            }
        });
        cells
    };
    Table {
        caption,
        note: "Mean over seeds, below it the standard deviation. Last column: negative is better; the \
               interval of 95 % is over dates and takes them for independent, which is too narrow where \
               dates judge the same users."
            .to_owned(),
        header,
        rows: rows.iter().map(row).collect(),
    }
}

/// Ratio of totals by registration month.
fn months(found: &Backtest, horizon: u32) -> Lines {
    let all: Vec<_> = found
        .models
        .iter()
        .map(|m| (m, found.months(m, horizon)))
        .collect();
    let mut names: Vec<String> = all
        .iter()
        .flat_map(|(_, months)| months.iter().map(|c| c.cohort.clone()))
        .collect();
    names.sort_unstable();
    names.dedup();
    let value = |months: &[&Cohort], name: &String| {
        let own = months.iter().find(|c| c.cohort == *name);
        plain(own.and_then(|c| c.ratio))
    };
    let curves = all.iter().map(|(model, months)| Curve {
        set: (*model).clone(),
        values: names.iter().map(|name| value(months, name)).collect(),
    });
    Lines {
        title: format!("Predicted / actual total by registration month, {horizon} days"),
        note: "each month as the last model before it predicts it; closer to 1 is better"
            .to_owned(),
        places: "registration month".to_owned(),
        axis: "Predicted / actual".to_owned(),
        target: Some(1.0),
        curves: curves.collect(),
        names,
    }
}
