//! How far judged users are from training rows.

use super::{days, has_value, plain};
use crate::report::count;
use ltv_eval::{
    Psi, Reading,
    page::{Cell, Curve, Emphasis, Lines, Section, Table},
};
use ltv_lab::{Backtest, backtest::DateResult};

/// Means of labels, training rows against judged users, and their drift.
pub(super) fn labels(found: &Backtest) -> Section {
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
            Cell::new(count(d.train_rows)),
            Cell::new(count(d.judged_rows)),
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
pub(super) fn features(found: &Backtest) -> Section {
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
