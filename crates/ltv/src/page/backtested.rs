//! The page of a backtest.

use super::{fingerprint, reproduce, unit};
use crate::exit::Failure;
use ltv_data::Dataset;
use ltv_eval::{
    Metric, Psi, Reading,
    page::{Cell, Curve, Emphasis, Fact, Lines, ReportInput, Section, Table, page},
};
use ltv_lab::{
    Backtest, BacktestConfig,
    backtest::{AGED, Ageing, Cohort, DateResult, OverTime, Stability},
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
    sections.push(labels(found));
    sections.push(features(found));
    if found.dates.len() > 1 {
        sections.push(stability(found));
        sections.push(ageing(found));
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

/// Means of labels, training rows against judged users, and their drift.
fn labels(found: &Backtest) -> Section {
    let mut header = vec![
        Cell::new("As of"),
        Cell::new("Trained on"),
        Cell::new("Judged"),
    ];
    for horizon in &found.horizons {
        header.push(Cell::new(format!("Mean, {horizon} days")).detail("training → judged"));
        header.push(Cell::new(format!("PSI, {horizon} days")));
    }
    let row = |d: &DateResult| {
        let mut cells = vec![
            Cell::new(d.as_of.to_string()),
            Cell::new(crate::report::count(d.train_rows)),
            Cell::new(crate::report::count(d.judged_rows)),
        ];
        let mean = |v: Option<f64>| v.map_or("–".to_owned(), |v| format!("{v:.3}"));
        for label in &d.labels {
            let means = format!("{} → {}", mean(label.train_mean), mean(label.judged_mean));
            cells.extend([Cell::new(means), index(label.psi)]);
        }
        cells
    };
    Section {
        id: "labels".to_owned(),
        link: "Labels".to_owned(),
        title: "Drift of labels".to_owned(),
        lead: READING.to_owned(),
        lines: vec![],
        tables: vec![Table {
            caption: "Labels of judged users against those known at the date".to_owned(),
            note: String::new(),
            header,
            rows: found.dates.iter().map(row).collect(),
        }],
    }
}

const READING: &str = "The population stability index says how far judged users are from training \
                       rows. Under 0.1 it is usual to speak of no change, above 0.25 of another \
                       population; these are rules of thumb. With few rows chance alone reaches them \
                       (≈ marks what chance would explain), and a feature that moved may be one that \
                       the model hardly uses.";

fn index(psi: Option<Psi>) -> Cell {
    let Some(psi) = psi else {
        return Cell::new("–");
    };
    let chance = psi.value <= psi.noise;
    let emphasis = match psi.reading() {
        _ if chance => Emphasis::Muted,
        Reading::Changed => Emphasis::Warning,
        Reading::Moved => Emphasis::None,
        Reading::Stable => Emphasis::Muted,
    };
    let mark = if chance { "≈ " } else { "" };
    Cell::new(format!("{mark}{:.3}", psi.value))
        .title(format!("by chance alone about {:.4}", psi.noise))
        .emphasis(emphasis)
}

/// Features by dates, those that moved most first.
fn features(found: &Backtest) -> Section {
    let names = found.dates.first().map_or(&[][..], |d| &d.features);
    let psi = |d: &DateResult, i: usize| d.features.get(i).and_then(|f| f.psi);
    let most = |i: usize| {
        let values = found.dates.iter().filter_map(|d| psi(d, i));
        values.map(|p| p.value).fold(0.0, f64::max)
    };
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by(|&a, &b| most(b).total_cmp(&most(a)));
    let header = std::iter::once("Feature".to_owned()).chain(days(found));
    let row = |&i: &usize| {
        let cells = found.dates.iter().map(|d| index(psi(d, i)));
        std::iter::once(Cell::new(names[i].name.clone()))
            .chain(cells)
            .collect()
    };
    let curve = |&i: &usize| Curve {
        set: names[i].name.clone(),
        values: found
            .dates
            .iter()
            .map(|d| plain(psi(d, i).map(|p| p.value)))
            .collect(),
    };
    let lines = Lines {
        title: "The features that moved most".to_owned(),
        note: "population stability index; of a daily sequence the day that moved most".to_owned(),
        places: "as-of date".to_owned(),
        names: days(found),
        axis: "PSI".to_owned(),
        target: Some(ltv_eval::drift::CHANGED),
        curves: order.iter().take(6).map(curve).collect(),
    };
    Section {
        id: "features".to_owned(),
        link: "Features".to_owned(),
        title: "Drift of features".to_owned(),
        lead: "Judged users against training rows, feature by feature; the index is that above. A \
               feature of the calendar moves by construction where less than a year is judged."
            .to_owned(),
        lines: vec![lines].into_iter().filter(has_value).collect(),
        tables: vec![Table {
            caption: "Population stability index of every feature".to_owned(),
            note: "Set apart: above 0.25. Grey: under 0.1, or no more than chance.".to_owned(),
            header: header.map(Cell::new).collect(),
            rows: order.iter().map(row).collect(),
        }],
    }
}

/// How much predictions for the same users move from one date to the next.
fn stability(found: &Backtest) -> Section {
    let share = |v: Option<f64>| v.map_or("–".to_owned(), |v| format!("{:.1} %", 100.0 * v));
    let heads = [
        "Model",
        "Days",
        "Model of",
        "and of",
        "Spearman",
        "Change of mean",
        "In another decile",
    ];
    let row = |s: &Stability| {
        let spearman = s.spearman.map_or("–".to_owned(), |v| format!("{v:.3}"));
        [
            s.model.clone(),
            s.horizon.to_string(),
            s.from.to_string(),
            s.to.to_string(),
            spearman,
            share(s.mean_change),
            share(Some(s.decile_changed)),
        ]
        .map(Cell::new)
        .to_vec()
    };
    let longest = found.longest().unwrap_or(0);
    let of = |model: &String| {
        let own = |s: &&Stability| s.horizon == longest && s.model == *model;
        found.stability.iter().filter(own).collect::<Vec<_>>()
    };
    let own = found.models.iter().flat_map(of);
    Section {
        id: "stability".to_owned(),
        link: "Stability".to_owned(),
        title: "Stability of predictions".to_owned(),
        lead:
            "The users judged at a date are predicted by its model and by that of the date before."
                .to_owned(),
        lines: vec![],
        tables: vec![Table {
            caption: format!("Two models on the same users, {longest} days"),
            note: "Other horizons are in the tables beside this page.".to_owned(),
            header: heads.map(Cell::new).to_vec(),
            rows: own.map(row).collect(),
        }],
    }
}

/// What age costs, for every horizon and metric.
fn ageing(found: &Backtest) -> Section {
    let mut lines = vec![];
    let mut rows = vec![];
    for &horizon in found.horizons.iter().rev() {
        let of = |model: &String| -> Vec<&Ageing> {
            let own = |a: &&Ageing| a.horizon == horizon && a.model == *model;
            found.ageing.iter().filter(own).collect()
        };
        let all: Vec<(&String, Vec<&Ageing>)> = found.models.iter().map(|m| (m, of(m))).collect();
        let names: Vec<String> = all
            .iter()
            .map(|(_, own)| own)
            .max_by_key(|own| own.len())
            .map_or(vec![], |own| {
                own.iter().map(|a| format!("{:.0}", a.age_days)).collect()
            });
        for (m, metric) in AGED.iter().enumerate() {
            lines.push(aged(horizon, (m, *metric), &names, &all));
        }
        let old = all.iter().flat_map(|(_, own)| own).filter(|a| a.steps > 0);
        rows.extend(old.map(|a| aged_row(a)));
    }
    lines.retain(has_value);
    let mut header = ["Model", "Days", "Age", "Dates"].map(Cell::new).to_vec();
    header.extend(AGED.map(|metric| Cell::new(metric.name()).detail("of the fresh model")));
    Section {
        id: "age".to_owned(),
        link: "Age".to_owned(),
        title: "What age costs".to_owned(),
        lead: "Models of earlier dates predict the users of later ones. Lines show the old model's \
               value less the fresh one's, on the same users and dates; the higher the age, the fewer \
               dates there are."
            .to_owned(),
        lines,
        tables: vec![Table {
            caption: "Old models, and fresh ones on the same users".to_owned(),
            note: String::new(),
            header,
            rows,
        }],
    }
}

fn aged(
    horizon: u32,
    (place, metric): (usize, Metric),
    names: &[String],
    all: &[(&String, Vec<&Ageing>)],
) -> Lines {
    let lost = |a: &Ageing| {
        let pair = a.metrics.get(place);
        plain(pair.and_then(|p| Some(p.stale? - p.fresh?)))
    };
    Lines {
        title: format!("{} by age of the model, {horizon} days", metric.name()),
        note: "old less fresh".to_owned(),
        places: "days old".to_owned(),
        names: names.to_vec(),
        axis: format!("Change of {}", metric.name()),
        target: Some(0.0),
        curves: all
            .iter()
            .map(|(model, own)| Curve {
                set: (*model).clone(),
                values: own.iter().map(|a| lost(a)).collect(),
            })
            .collect(),
    }
}

fn aged_row(a: &Ageing) -> Vec<Cell> {
    let number = |v: Option<f64>| v.map_or("–".to_owned(), |v| format!("{v:.4}"));
    let mut cells = vec![
        Cell::new(a.model.clone()),
        Cell::new(a.horizon.to_string()),
        Cell::new(format!("{:.0} days", a.age_days)),
        Cell::new(a.dates.to_string()),
    ];
    let metrics = a.metrics.iter();
    cells.extend(metrics.map(|m| Cell::new(number(m.stale)).detail(number(m.fresh))));
    cells
}
