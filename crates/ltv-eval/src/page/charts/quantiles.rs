//! Predicted quantiles: nominal level against the share of labels below.

use crate::page::{
    chart::{Chart, at, guide, item_tip, legend, share_axis, whiskers},
    format::{grouped, percent, rounded},
    input::{QuantileCount, SetQuantiles},
    palette::Palette,
    table::Table,
};
use serde_json::{Value, json};

/// How far sets stand apart at the same level.
const APART: f64 = 0.014;

/// The chart of all sets; None without a level.
pub(crate) fn quantiles(sets: &[SetQuantiles], days: u32, palette: &Palette) -> Option<Chart> {
    let first = sets.first().filter(|s| !levels(s).is_empty())?;
    let names: Vec<&str> = sets.iter().map(|s| s.set.as_str()).collect();
    let mut series = vec![guide("Exact", vec![at(0.0, 0.0), at(1.0, 1.0)])];
    for (i, set) in sets.iter().enumerate() {
        let shift = APART * (i as f64 - (sets.len() as f64 - 1.0) / 2.0);
        series.extend(of_set(set, shift, palette));
    }
    Some(Chart {
        id: format!("quantiles-{days}"),
        title: "Do the predicted ranges hold?".to_owned(),
        summary: summary(first),
        height: 340,
        wide: false,
        option: json!({
            "legend": legend(&["Exact"], &names),
            "tooltip": item_tip(),
            "xAxis": share_axis("Level of the predicted quantile (%)"),
            "yAxis": share_axis("Actual values below it (% of users)"),
            "series": series,
        }),
        data: table(sets),
    })
}

/// Levels that were counted over somebody.
fn levels(set: &SetQuantiles) -> Vec<&QuantileCount> {
    set.quantiles.iter().filter(|q| q.users > 0).collect()
}

/// Share of labels strictly below, and below or equal.
fn shares(q: &QuantileCount) -> (f64, f64) {
    let users = q.users as f64;
    (q.below as f64 / users, q.at_or_below as f64 / users)
}

/// The share that is nearest to the level: the level itself where ties leave room for it.
fn nearest(q: &QuantileCount) -> f64 {
    let (below, at_or_below) = shares(q);
    q.level.max(below).min(at_or_below.max(below))
}

fn of_set(set: &SetQuantiles, shift: f64, palette: &Palette) -> [Value; 2] {
    let style = palette.style(&set.set);
    let levels = levels(set);
    let dots: Vec<Value> = levels
        .iter()
        .map(|q| json!({"value": at(q.level + shift, nearest(q)), "tip": words(q)}))
        .collect();
    let bars = levels
        .iter()
        .map(|q| {
            let (below, at_or_below) = shares(q);
            json!([
                rounded(q.level + shift),
                rounded(below),
                rounded(at_or_below)
            ])
        })
        .collect();
    [
        json!({"type": "scatter", "name": set.set, "data": dots, "symbol": style.symbol,
            "symbolSize": 10, "color": style.color, "z": 4}),
        whiskers(&set.set, &style.color, bars, false),
    ]
}

/// `P90: 88.1 % of values below, 91.0 % at or below`.
fn words(q: &QuantileCount) -> String {
    let (below, at_or_below) = shares(q);
    let level = name(q);
    if q.below == q.at_or_below {
        format!("{level}: {} of values below", percent(below))
    } else {
        format!(
            "{level}: {} of values below, {} at or below",
            percent(below),
            percent(at_or_below)
        )
    }
}

fn name(q: &QuantileCount) -> String {
    format!("P{}", rounded(100.0 * q.level))
}

fn summary(set: &SetQuantiles) -> String {
    let mut parts: Vec<String> = levels(set).into_iter().map(words).collect();
    parts.extend(set.central.map(|c| {
        let share = percent(c.share);
        format!("{share} of values in the middle 80\u{a0}% of their predicted distribution")
    }));
    format!(
        "Right where the bar meets the dashed line; a bar is long where many users share a value. {}: {}.",
        set.set,
        parts.join("; ")
    )
}

fn table(sets: &[SetQuantiles]) -> Table {
    let rows = sets.iter().flat_map(|set| {
        levels(set).into_iter().map(|q| {
            let (below, at_or_below) = shares(q);
            vec![
                format!("{} · {}", set.set, name(q)),
                percent(below),
                percent(at_or_below),
                grouped(q.users),
            ]
        })
    });
    let header = ["Quantile", "Values below", "At or below", "Users"];
    Table::plain(
        "Share of actual values below predicted quantiles",
        &header,
        rows,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_told_where_it_is_known() {
        let mut set = SetQuantiles {
            set: "ODMN".into(),
            quantiles: vec![],
            central: None,
        };
        assert!(!summary(&set).contains("middle"));
        let (share, low, high) = (0.789, 0.78, 0.8);
        set.central = Some(crate::Central { share, low, high });
        let text = summary(&set);
        assert!(
            text.contains("78.9\u{a0}% of values in the middle"),
            "{text}"
        );
    }

    #[test]
    fn ties_may_hold_the_level() {
        let count = |level, below, at_or_below| QuantileCount {
            level,
            below,
            at_or_below,
            users: 10,
        };
        assert_eq!(nearest(&count(0.1, 0, 7)), 0.1);
        assert_eq!(nearest(&count(0.9, 7, 8)), 0.8);
        assert_eq!(nearest(&count(0.5, 6, 6)), 0.6);
        assert_eq!(words(&count(0.9, 8, 8)), "P90: 80.0\u{a0}% of values below");
    }
}
