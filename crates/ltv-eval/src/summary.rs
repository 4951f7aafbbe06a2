//! The evaluation on one screen.

use crate::{
    calibration::Calibration,
    layout::pad,
    metric::Metric,
    report::{Evaluation, HorizonResult, Scope, Score, Scores, SegmentResult},
    text::{drawn, line, number, short_name},
};

/// Widths of the first column and of a cell: 15 + 7 x 12 = 99.
const NAME: usize = 15;
const CELL: usize = 12;
/// Columns of the table.
const METRICS: [Metric; 7] = [
    Metric::NRMSE,
    Metric::NMAE,
    Metric::Bias,
    Metric::MutualGini,
    Metric::NormGini,
    Metric::Spearman,
    Metric::Auc,
];
/// Values of a column that are shown, and horizons that stand side by side: 18 + 10 + 4 x 18 = 100.
const SEGMENTS: usize = 10;
const SIDE_BY_SIDE: usize = 4;

impl Evaluation {
    /// The essence in aligned columns of at most 100 characters, without colours: four lines and one
    /// for each set, for each horizon. Sets named `<other set> (...)`, such as the median of a
    /// model, are left to [`Evaluation::details`].
    pub fn summary(&self) -> String {
        let mut out = String::new();
        let heads = METRICS.map(|m| format!("{:>CELL$}", head(m))).concat();
        line(&mut out, &format!("{:NAME$}{heads}", ""));
        for result in &self.results {
            horizon(&mut out, result);
        }
        legend(&mut out, self);
        uncertainty(&mut out, self);
        let columns = self.results.first().map_or(0, |r| r.segments.len());
        (0..columns).for_each(|column| segments(&mut out, self, column));
        out
    }
}

fn head(metric: Metric) -> String {
    format!("{} {}", short_name(metric), metric.direction().mark())
}

fn horizon(out: &mut String, result: &HorizonResult) {
    let scope = &result.overall;
    let positive = 100.0 * scope.positives as f64 / scope.rows.max(1) as f64;
    let immature = match result.immature {
        0 => String::new(),
        n => format!("; {n} not known yet"),
    };
    line(
        out,
        &format!(
            "ltv_{}: {} users, {positive:.1} % above 0{immature}",
            result.horizon, scope.rows
        ),
    );
    for scores in shown(scope) {
        let cells = METRICS.map(|m| format!("{:>CELL$}", cell(scores.score(m))));
        let name = pad(&format!("  {}", scores.set), NAME);
        line(out, &format!("{name}{}", cells.concat()));
    }
}

/// The sets but for other decodings of one of them.
fn shown(scope: &Scope) -> impl Iterator<Item = &Scores> {
    let variant = |set: &str| {
        let base = set.split_once(" (").map(|(base, _)| base);
        base.is_some_and(|base| scope.set(base).is_some())
    };
    scope.scores.iter().filter(move |s| !variant(&s.set))
}

fn legend(out: &mut String, evaluation: &Evaluation) {
    let interval = evaluation.bootstrap.map_or(String::new(), |_| {
        "; ±: half the width of the 95 % interval".to_owned()
    });
    line(
        out,
        &format!("↓ lower is better, ↑ higher, →0 closer to 0{interval}"),
    );
    drawn(out, evaluation);
    line(
        out,
        "Bias: mean prediction minus mean value (AMBE without its sign). Mut.Gini compares only \
         the shapes",
    );
    line(
        out,
        "of both distributions, not who is who: read it with NormGini (1: the true order).",
    );
    let crossing: Vec<String> = evaluation
        .sets
        .iter()
        .filter_map(|set| Some((set, set.order.as_ref()?.any)))
        .filter(|(_, any)| *any > 0.0)
        .map(|(set, any)| format!("{:.2} % of {}", 100.0 * any, set.name))
        .collect();
    if !crossing.is_empty() {
        line(
            out,
            &format!("rows whose horizons cross: {}", crossing.join(", ")),
        );
    }
}

/// Whether predicted ranges hold: two lines, where there are ranges.
fn uncertainty(out: &mut String, evaluation: &Evaluation) {
    let known: Vec<(u32, &Calibration)> = evaluation
        .results
        .iter()
        .filter_map(|r| Some((r.horizon, r.calibration.as_ref()?)))
        .collect();
    let central = known.iter().filter_map(|(days, c)| {
        let share = 100.0 * c.central?.share;
        Some(format!("ltv_{days} {share:.1} %"))
    });
    let central: Vec<String> = central.take(SIDE_BY_SIDE).collect();
    if !central.is_empty() {
        let shares = central.join(", ");
        line(
            out,
            &format!("values in their predicted middle 80 %: {shares}"),
        );
    }
    let Some((_, first)) = known.first() else {
        return;
    };
    let missed = first
        .quantiles
        .iter()
        .enumerate()
        .filter_map(|(i, quantile)| {
            let missed = |c: &Calibration| c.quantiles.get(i).is_some_and(|q| !q.holds);
            let days = known.iter().filter(|(_, c)| missed(c));
            let days: Vec<String> = days
                .take(SIDE_BY_SIDE)
                .map(|(d, _)| d.to_string())
                .collect();
            let level = 100.0 * quantile.level;
            (!days.is_empty()).then(|| format!("P{level:.0} of {}", days.join(", ")))
        });
    let missed: Vec<String> = missed.collect();
    match missed.is_empty() {
        true => line(out, "P10, P50 and P90 hold within 3 points"),
        false => {
            let missed = missed.join("; ");
            line(out, &format!("off by over 3 points: {missed} days"));
        }
    }
}

/// One column's values: how the first set does on each.
fn segments(out: &mut String, evaluation: &Evaluation, column: usize) {
    let results: Vec<(u32, &SegmentResult)> = evaluation
        .results
        .iter()
        .take(SIDE_BY_SIDE)
        .map(|r| (r.horizon, &r.segments[column]))
        .collect();
    let Some((_, first)) = results.first() else {
        return;
    };
    let set = evaluation.sets.first().map_or("", |s| s.name.as_str());
    line(
        out,
        &format!(
            "\nby {}: NormGini and predicted over true sum of {set}",
            first.name
        ),
    );
    let heads: String = results
        .iter()
        .map(|(days, _)| format!("{:>18}", format!("ltv_{days}")))
        .collect();
    line(out, &format!("{:18}{:>10}{heads}", "", "users"));
    let mut order: Vec<usize> = (0..first.values.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(first.values[i].rows), i));
    for &i in order.iter().take(SEGMENTS) {
        let cells: String = results
            .iter()
            .map(|(_, r)| segment_cell(&r.values[i]))
            .collect();
        let scope = &first.values[i];
        let name = pad(&format!("  {}", scope.label), 18);
        line(out, &format!("{name}{:>10}{cells}", scope.rows));
    }
    if let Some(more) = order.len().checked_sub(SEGMENTS + 1) {
        line(out, &format!("  and {} more", more + 1));
    }
}

fn segment_cell(scope: &Scope) -> String {
    let value = |metric| {
        let scores = scope.scores.first();
        let value = scores.and_then(|s| s.value(metric));
        value.map_or("–".to_owned(), |v| fixed(v, 3))
    };
    let (order, ratio) = (value(Metric::NormGini), value(Metric::CalibrationRatio));
    format!("{order:>11}{ratio:>7}")
}

/// `0.534±.012`, or a dash.
fn cell(score: Option<&Score>) -> String {
    let Some((score, value)) = score.and_then(|s| Some((s, s.value?))) else {
        return "–".to_owned();
    };
    let half = score.interval.map(|i| (i.high - i.low) / 2.0);
    // An interval far wider than its value decides how much of either can be told.
    let decimals = match value.abs().max(half.unwrap_or(0.0)) {
        v if v < 10.0 => 3,
        v if v < 100.0 => 2,
        v if v < 1000.0 => 1,
        _ => 0,
    };
    let text = fixed(value, decimals);
    let Some(half) = half.map(|half| fixed(half, decimals)) else {
        return text;
    };
    let both = match half.strip_prefix("0.") {
        Some(digits) => format!("{text}±.{digits}"),
        None => format!("{text}±{half}"),
    };
    // Beside a very large number there is no room for its interval.
    match both.chars().count() < CELL {
        true => both,
        false => text,
    }
}

/// Decimals as asked, or a power of ten for what is too long.
fn fixed(value: f64, decimals: usize) -> String {
    // -0.0004 is not "-0.000".
    let text = format!("{value:.decimals$}");
    match text.len() {
        0..=7 if text.trim_matches(['-', '0', '.']).is_empty() => {
            text.trim_start_matches('-').to_owned()
        }
        0..=7 => text,
        _ => number(value),
    }
}
