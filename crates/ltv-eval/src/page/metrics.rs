//! The table of metrics of a horizon, and of paired differences.

use super::{
    format::{number, percent},
    glossary::{self, ENTRIES, Entry},
    input::SetScores,
    table::{Cell, Emphasis, Table},
};
use crate::{
    metric::{Direction, Metric},
    report::Score,
    text::COMPARED,
};

/// Sets x metrics of one horizon, the best of each column marked.
pub(crate) fn table(sets: &[SetScores], days: u32) -> Option<Table> {
    let first = sets.first()?;
    let columns: Vec<&Entry> = ENTRIES
        .iter()
        .filter(|e| sets.iter().any(|s| score(s, e.metric).is_some()))
        .collect();
    if columns.is_empty() {
        return None;
    }
    let heads = columns.iter().map(|e| head(e, first));
    let row = |set: &SetScores| {
        let cells = columns.iter().map(|e| cell(sets, set, e.metric));
        std::iter::once(Cell::new(set.set.clone()))
            .chain(cells)
            .collect()
    };
    let intervals = sets
        .iter()
        .flat_map(|s| &s.scores)
        .any(|s| s.interval.is_some());
    let small = if intervals {
        "Small: 95 % interval. "
    } else {
        ""
    };
    let best = if sets.len() > 1 {
        "Marked: best of the column; it may be so by chance. "
    } else {
        ""
    };
    Some(Table {
        caption: format!("Metrics, {days} days"),
        note: format!("{small}{best}What each metric means stands in the glossary at the end."),
        header: std::iter::once(Cell::new("Predictions"))
            .chain(heads)
            .collect(),
        rows: sets.iter().map(row).collect(),
    })
}

/// Each set minus the reference; None when there is no difference.
pub(crate) fn differences(
    reference: &str,
    sets: &[(String, Vec<Score>)],
    days: u32,
) -> Option<Table> {
    let sets: Vec<_> = sets.iter().filter(|s| !s.1.is_empty()).collect();
    if sets.is_empty() {
        return None;
    }
    let heads = COMPARED.iter().map(|&metric| {
        let name = glossary::find(metric).map_or(metric.name(), |e| e.name);
        Cell::new(name).detail(metric.direction().mark())
    });
    let row = |set: &&(String, Vec<Score>)| {
        let found = |metric| set.1.iter().find(|s| s.metric == metric);
        let cells = COMPARED.iter().map(|&metric| difference(found(metric)));
        std::iter::once(Cell::new(set.0.clone()))
            .chain(cells)
            .collect()
    };
    Some(Table {
        caption: format!("Difference to {reference}, {days} days"),
        note: format!(
            "Each set minus {reference} over the same resamples of users; small: 95 % interval. Green \
             is better than {reference}, orange worse, grey within noise: the interval contains 0."
        ),
        header: std::iter::once(Cell::new("Predictions"))
            .chain(heads)
            .collect(),
        rows: sets.iter().map(row).collect(),
    })
}

fn score(set: &SetScores, metric: Metric) -> Option<&Score> {
    set.scores.iter().find(|s| s.metric == metric)
}

fn is_share(metric: Metric) -> bool {
    ideal(metric).is_some()
}

fn ideal(metric: Metric) -> Option<Metric> {
    let pair = Metric::CAPTURES.iter().find(|pair| pair.0 == metric);
    pair.map(|pair| pair.1)
}

fn shown(metric: Metric, value: f64) -> String {
    if is_share(metric) {
        percent(value)
    } else {
        number(value)
    }
}

fn head(entry: &Entry, first: &SetScores) -> Cell {
    let mark = match entry.metric.direction() {
        Direction::Reference => "",
        direction => direction.mark(),
    };
    let best = ideal(entry.metric)
        .and_then(|metric| score(first, metric)?.value)
        .map_or(String::new(), |v| format!(" max {}", percent(v)));
    Cell::new(entry.name)
        .detail(format!("{mark}{best}").trim())
        .title(format!("{} {}", entry.means, entry.beware))
}

fn cell(sets: &[SetScores], set: &SetScores, metric: Metric) -> Cell {
    let Some(score) = score(set, metric) else {
        return Cell::new("–").emphasis(Emphasis::Muted);
    };
    let Some(value) = score.value else {
        let reason = score.reason.map_or(String::new(), |r| r.to_string());
        return Cell::new("–").title(reason).emphasis(Emphasis::Muted);
    };
    let mut cell = Cell::new(shown(metric, value));
    if let Some(interval) = score.interval {
        let (low, high) = (shown(metric, interval.low), shown(metric, interval.high));
        let low = low.trim_end_matches("\u{a0}%");
        cell = cell.detail(format!("{low} to {high}"));
    }
    if is_best(sets, set, metric) {
        cell = cell.emphasis(Emphasis::Best);
    }
    cell
}

/// Whether no set does better; false for a single set and for metrics without merit.
fn is_best(sets: &[SetScores], set: &SetScores, metric: Metric) -> bool {
    let cost = |set: &SetScores| {
        let label = score(set, Metric::LabelGini).and_then(|s| s.value);
        metric.cost(score(set, metric)?.value?, label.unwrap_or(0.0))
    };
    let costs: Vec<f64> = sets.iter().filter_map(cost).collect();
    cost(set).is_some_and(|ours| costs.len() > 1 && costs.iter().all(|&other| ours <= other))
}

fn difference(score: Option<&Score>) -> Cell {
    let Some((score, value)) = score.and_then(|s| Some((s, s.value?))) else {
        return Cell::new("–").emphasis(Emphasis::Muted);
    };
    let sign = if value > 0.0 { "+" } else { "" };
    let cell = Cell::new(format!("{sign}{}", number(value)));
    let Some(interval) = score.interval else {
        return cell;
    };
    let lower_is_better = score.metric.direction() == Direction::Lower;
    let emphasis = if interval.low <= 0.0 && interval.high >= 0.0 {
        Emphasis::Muted
    } else if (value < 0.0) == lower_is_better {
        Emphasis::Best
    } else {
        Emphasis::Warning
    };
    cell.detail(format!(
        "{} to {}",
        number(interval.low),
        number(interval.high)
    ))
    .emphasis(emphasis)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::Interval;

    fn score(metric: Metric, value: f64) -> Score {
        let interval = Interval {
            low: value - 0.1,
            high: value + 0.1,
            replicates: 100,
        };
        Score::new(metric, Ok(value), Some(interval))
    }

    fn set(name: &str, scores: Vec<Score>) -> SetScores {
        SetScores {
            set: name.to_owned(),
            scores,
        }
    }

    #[test]
    fn best_follows_direction() {
        let sets = [
            set(
                "a",
                vec![score(Metric::NRMSE, 2.0), score(Metric::NormGini, 0.5)],
            ),
            set(
                "b",
                vec![score(Metric::NRMSE, 3.0), score(Metric::NormGini, 0.6)],
            ),
        ];
        let table = table(&sets, 30).unwrap();
        let marks = |row: usize| [1, 2].map(|i| table.rows[row][i].emphasis);
        assert_eq!(marks(0), [Emphasis::Best, Emphasis::None]);
        assert_eq!(marks(1), [Emphasis::None, Emphasis::Best]);
        assert_eq!(table.rows[0][1].detail, "1.90 to 2.10");
    }

    #[test]
    fn differences_within_noise_are_grey() {
        let sets = [(
            "a".to_owned(),
            vec![
                score(Metric::NRMSE, -0.5),
                score(Metric::NMAE, 0.05),
                score(Metric::NormGini, -0.5),
            ],
        )];
        let table = differences("r", &sets, 30).unwrap();
        let at = |i: usize| table.rows[0][i].emphasis;
        assert_eq!(
            [at(1), at(2), at(5)],
            [Emphasis::Best, Emphasis::Muted, Emphasis::Warning]
        );
    }
}
