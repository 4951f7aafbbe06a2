//! The whole evaluation for a person at a terminal, at most 100 columns wide.

use crate::{
    calibration::Calibration,
    layout::{pad, printable},
    metric::{Direction, Metric, Null},
    report::{Evaluation, HorizonResult, Scope, Score, Scores, SegmentResult},
};
use std::fmt::Write;

/// Width of the first column, of a cell, and cells side by side: 22 + 3 x 26 = 100.
const NAME: usize = 22;
const CELL: usize = 26;
const SIDE_BY_SIDE: usize = 3;
/// Widths of the first two columns of segment tables: 18 + 24 + 8 rows + 5 x 10 = 100.
const SEGMENT: usize = 18;
const SET: usize = 24;

/// Rows of the main table: captures carry their ideal in the name, the bias its standard error.
const MAIN: [Metric; 16] = [
    Metric::NRMSE,
    Metric::NMAE,
    Metric::AMBE,
    Metric::Bias,
    Metric::CalibrationRatio,
    Metric::DecileMape,
    Metric::MutualGini,
    Metric::NormGini,
    Metric::LabelGini,
    Metric::PredGini,
    Metric::Spearman,
    Metric::Auc,
    Metric::Capture1,
    Metric::Capture5,
    Metric::Capture10,
    Metric::Capture20,
];

/// Metrics whose differences are shown, in text and on pages.
pub(crate) const COMPARED: [Metric; 8] = [
    Metric::NRMSE,
    Metric::NMAE,
    Metric::AMBE,
    Metric::MutualGini,
    Metric::NormGini,
    Metric::Spearman,
    Metric::Auc,
    Metric::Capture10,
];

/// Columns of the segment tables.
const BY_SEGMENT: [Metric; 5] = [
    Metric::NRMSE,
    Metric::NMAE,
    Metric::CalibrationRatio,
    Metric::MutualGini,
    Metric::NormGini,
];

impl Evaluation {
    /// Everything but the curves in aligned columns of at most 100 characters, without colours: some
    /// seventy lines for each horizon, and more with segments.
    pub fn details(&self) -> String {
        let mut out = String::new();
        let horizons: Vec<String> = self.horizons.iter().map(u32::to_string).collect();
        line(
            &mut out,
            &format!(
                "Evaluation of {} rows, horizons {} days",
                self.rows,
                horizons.join(", ")
            ),
        );
        if let Some(b) = self.bootstrap {
            let resamples = format!("{} resamples of users, seed {}", b.replicates, b.seed);
            line(
                &mut out,
                &format!("[low, high]: 95 % interval from {resamples}"),
            );
            drawn(&mut out, self);
        }
        line(
            &mut out,
            "↓ lower is better, ↑ higher, →x closer to x; * best of the sets",
        );
        line(
            &mut out,
            "Mutual Gini is blind to who is who: read it with Norm. Gini, just below it",
        );
        line(
            &mut out,
            "Top k%, max x: share of all value held by the k% predicted highest, at most x",
        );
        for result in &self.results {
            horizon(&mut out, result, self.reference.as_deref());
        }
        self.order(&mut out);
        out
    }

    fn order(&self, out: &mut String) {
        if self.horizons.len() < 2 {
            return;
        }
        line(
            out,
            "\nOrder violations: share of rows where a longer horizon is predicted lower ↓",
        );
        let pairs = self
            .horizons
            .windows(2)
            .map(|w| format!("{}>{}", w[0], w[1]));
        let heads: Vec<String> = std::iter::once("any".to_owned()).chain(pairs).collect();
        line(out, &format!("{:NAME$}{}", "", columns(&heads)));
        for set in &self.sets {
            let shares = set
                .order
                .iter()
                .flat_map(|o| std::iter::once(o.any).chain(o.adjacent.clone()));
            let cells: Vec<String> = shares.map(number).collect();
            line(out, &format!("{}{}", pad(&set.name, NAME), columns(&cells)));
        }
    }
}

/// Narrow right-aligned cells, as many as fit.
fn columns(cells: &[String]) -> String {
    cells
        .iter()
        .take(7)
        .map(|cell| format!("{cell:>10}"))
        .collect()
}

fn horizon(out: &mut String, result: &HorizonResult, reference: Option<&str>) {
    let scope = &result.overall;
    let title = format!(
        "\nHorizon {} days: {} mature rows, {} with a positive label, {} immature",
        result.horizon, scope.rows, scope.positives, result.immature
    );
    line(out, &title);
    if let Some(calibration) = &result.calibration {
        ranges(out, calibration);
    }
    for block in scope.scores.chunks(SIDE_BY_SIDE) {
        main_table(out, scope, block);
    }
    if let Some(reference) = reference {
        let others: Vec<&Scores> = scope.scores.iter().filter(|s| s.set != reference).collect();
        for block in others.chunks(SIDE_BY_SIDE) {
            differences(out, reference, block);
        }
    }
    for block in scope.scores.chunks(SIDE_BY_SIDE) {
        deciles(out, block);
    }
    result
        .segments
        .iter()
        .for_each(|segments| segment(out, segments));
}

/// Whether predicted ranges hold.
fn ranges(out: &mut String, calibration: &Calibration) {
    let percent = |share: f64| format!("{:.1}", 100.0 * share);
    if let Some(c) = calibration.central {
        let ends = format!("[{}, {}]", percent(c.low), percent(c.high));
        let share = percent(c.share);
        line(
            out,
            &format!("  values in their predicted middle 80 %: {share} % {ends}"),
        );
    }
    for q in &calibration.quantiles {
        let (below, up_to) = (percent(q.below), percent(q.at_or_below));
        let off = if q.holds {
            ""
        } else {
            ", off by over 3 points"
        };
        line(
            out,
            &format!(
                "  P{:.0}: {below} % of values below it, {up_to} % not above{off}",
                100.0 * q.level
            ),
        );
    }
}

fn main_table(out: &mut String, scope: &Scope, block: &[Scores]) {
    head(out, "", block.iter());
    for metric in MAIN {
        let name = row_name(metric, block.first());
        let cells = block
            .iter()
            .map(|scores| cell(scores.score(metric), best(scope, scores, metric)));
        row(out, &name, cells);
    }
}

fn differences(out: &mut String, reference: &str, block: &[&Scores]) {
    line(out, &format!("  minus '{}', paired:", printable(reference)));
    head(out, "", block.iter().copied());
    for metric in COMPARED {
        let cells = block
            .iter()
            .map(|scores| cell(scores.difference(metric), false));
        row(out, &row_name(metric, None), cells);
    }
}

fn deciles(out: &mut String, block: &[Scores]) {
    let most = block
        .iter()
        .map(|scores| scores.deciles.len())
        .max()
        .unwrap_or(0);
    if most == 0 {
        return;
    }
    line(
        out,
        "  deciles by prediction: mean prediction, mean label, ratio →1",
    );
    head(out, "", block.iter());
    for i in 0..most {
        let decile = |scores: &Scores| scores.deciles.get(i).cloned();
        let name = block
            .iter()
            .find_map(decile)
            .map(|d| format!("  {} ({} rows)", d.decile, d.rows));
        let cells = block.iter().filter_map(decile).map(|d| {
            let ratio = d.ratio.map_or("–".to_owned(), number);
            let means = (number(d.mean_prediction), number(d.mean_label));
            format!("{:>8}{:>8}{ratio:>8}", means.0, means.1)
        });
        row(out, &name.unwrap_or_default(), cells);
    }
}

fn segment(out: &mut String, segments: &SegmentResult) {
    let names = BY_SEGMENT.map(|metric| short_name(metric).to_owned() + metric.direction().mark());
    let heads: String = names.iter().map(|name| format!(" {name:>9}")).collect();
    let title = pad(&format!("  by {}", segments.name), SEGMENT);
    line(out, &format!("{title}{}{:>8}{heads}", pad("", SET), "rows"));
    for value in &segments.values {
        let label = pad(&format!("  {}", value.label), SEGMENT);
        if let Some(reason) = value.reason {
            line(
                out,
                &format!("{label}{}{:>8}  {reason}", pad("", SET), value.rows),
            );
        }
        for scores in &value.scores {
            let cells =
                BY_SEGMENT.map(|metric| scores.value(metric).map_or("–".to_owned(), number));
            let cells: String = cells.iter().map(|cell| format!(" {cell:>9}")).collect();
            line(
                out,
                &format!("{label}{}{:>8}{cells}", pad(&scores.set, SET), value.rows),
            );
        }
    }
}

fn head<'a>(out: &mut String, name: &str, block: impl Iterator<Item = &'a Scores>) {
    row(out, name, block.map(|scores| printable(&scores.set)));
}

fn row(out: &mut String, name: &str, cells: impl Iterator<Item = String>) {
    let mut text = pad(name, NAME);
    cells.for_each(|cell| text.push_str(&pad(&cell, CELL)));
    line(out, &text);
}

/// Whom intervals are from, where not all users were resampled.
pub(crate) fn drawn(out: &mut String, evaluation: &Evaluation) {
    if let Some(drawn) = evaluation.drawn() {
        line(
            out,
            &format!("intervals: from {drawn} users at most, drawn at random, and scaled to all"),
        );
    }
}

/// `0.5340* [0.5201,0.5480]`, or a dash with the reason.
fn cell(score: Option<&Score>, best: bool) -> String {
    let Some(score) = score else {
        return "–".to_owned();
    };
    let Some(value) = score.value else {
        return format!("– {}", score.reason.map_or("", short_reason));
    };
    let mut text = number(value);
    if best {
        text.push('*');
    }
    if let Some(interval) = score.interval {
        let ends = format!("[{},{}]", number(interval.low), number(interval.high));
        let _ = write!(text, " {ends}");
    }
    text
}

/// Whether no set of the scope does better; false for a single set and for metrics without merit.
fn best(scope: &Scope, scores: &Scores, metric: Metric) -> bool {
    let cost = |scores: &Scores| {
        let label = scores.value(Metric::LabelGini).unwrap_or(0.0);
        metric.cost(scores.value(metric)?, label)
    };
    let costs: Vec<f64> = scope.scores.iter().filter_map(cost).collect();
    let Some(ours) = cost(scores).filter(|_| costs.len() > 1) else {
        return false;
    };
    costs.iter().all(|&other| ours <= other)
}

fn row_name(metric: Metric, scores: Option<&Scores>) -> String {
    let position = Metric::CAPTURES
        .iter()
        .position(|(capture, _)| *capture == metric);
    let name = match position {
        Some(i) => {
            let ideal = scores.and_then(|s| s.value(Metric::CAPTURES[i].1));
            let best = ideal.map_or(String::new(), |v| format!(", max {v:.2}"));
            format!("Top {}%{best}", Metric::TOP_PERCENT[i])
        }
        None => long_name(metric).to_owned(),
    };
    match metric.direction() {
        Direction::Reference => format!("  {name}"),
        direction => format!("  {name} {}", direction.mark()),
    }
}

fn long_name(metric: Metric) -> &'static str {
    match metric {
        Metric::CalibrationRatio => "Sum ratio",
        Metric::DecileMape => "Decile MAPE",
        Metric::MutualGini => "Mutual Gini",
        Metric::NormGini => "Norm. Gini",
        Metric::LabelGini => "Gini, labels",
        Metric::PredGini => "Gini, pred.",
        Metric::Auc => "AUC value > 0",
        other => other.name(),
    }
}

pub(crate) fn short_name(metric: Metric) -> &'static str {
    match metric {
        Metric::CalibrationRatio => "Ratio",
        Metric::MutualGini => "Mut.Gini",
        other => other.name(),
    }
}

fn short_reason(reason: Null) -> &'static str {
    match reason {
        Null::NoRows => "no mature rows",
        Null::ZeroLabels => "labels all zero",
        Null::ZeroPredictions => "predictions all zero",
        Null::ConstantLabels => "labels all equal",
        Null::ConstantPredictions => "predictions all equal",
        Null::OneClass => "labels all 0 or all >0",
        Null::Overflow => "numbers too large",
    }
}

/// A number in about seven characters.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        v if v < 1e-9 => "0.0000".to_owned(),
        v if v < 1e-4 => format!("{value:.1e}"),
        v if v < 10.0 => format!("{value:.4}"),
        v if v < 100.0 => format!("{value:.3}"),
        v if v < 1000.0 => format!("{value:.2}"),
        v if v < 1e4 => format!("{value:.1}"),
        v if v < 1e6 => format!("{value:.0}"),
        _ => format!("{value:.1e}"),
    }
}

pub(crate) fn line(out: &mut String, text: &str) {
    out.push_str(text.trim_end());
    out.push('\n');
}
