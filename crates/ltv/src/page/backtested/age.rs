//! How predictions move from one date to the next, and what age costs.

use super::{has_value, plain};
use ltv_eval::{
    Metric,
    page::{Cell, Curve, Lines, Section, Table},
};
use ltv_lab::{
    Backtest,
    backtest::{AGED, Ageing, Stability},
};

/// How much predictions for the same users move from one date to the next.
pub(super) fn stability(found: &Backtest) -> Section {
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
pub(super) fn ageing(found: &Backtest) -> Section {
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
