//! What the model is worse without.

use crate::page::{
    chart::{Chart, item_tip, number_axis, whiskers},
    format::{number, rounded},
    input::{FeatureDrop, Importance},
    palette::Palette,
    table::Table,
};
use serde_json::{Value, json};

/// Most features drawn; the table holds all.
const DRAWN: usize = 30;

/// The chart; None without a feature.
pub(crate) fn importance(importance: &Importance, palette: &Palette) -> Option<Chart> {
    let first = importance.features.first()?;
    let drawn: Vec<&FeatureDrop> = importance.features.iter().take(DRAWN).collect();
    let names: Vec<&str> = drawn.iter().map(|f| f.name.as_str()).collect();
    let color = palette
        .sets()
        .first()
        .map_or("@c1".to_owned(), |set| palette.style(set).color);
    let bars: Vec<Value> = drawn
        .iter()
        .map(|f| json!({"value": rounded(f.drop), "tip": words(f)}))
        .collect();
    let intervals = drawn.iter().enumerate().filter_map(|(i, f)| {
        let (low, high) = f.interval?;
        Some(json!([i, rounded(low), rounded(high)]))
    });
    let left_out = match importance.features.len() - drawn.len() {
        0 => String::new(),
        n => format!(" {n} less important features are in the table only."),
    };
    Some(Chart {
        id: "importance".to_owned(),
        title: "What does the model rely on?".to_owned(),
        summary: format!(
            "{}. Most important is {}.{left_out}",
            importance.measure,
            words(first)
        ),
        height: 70 + 24 * drawn.len(),
        wide: true,
        option: json!({
            "tooltip": item_tip(),
            "xAxis": number_axis("Drop (units of the measure named above)"),
            "yAxis": {"type": "category", "data": names, "inverse": true, "names": true},
            "series": [
                {"type": "bar", "name": "Drop", "data": bars, "color": color, "barMaxWidth": 14,
                    "itemStyle": {"borderRadius": 2}},
                whiskers("Interval", "@ink", intervals.collect(), true),
            ],
        }),
        data: table(importance),
    })
}

fn words(feature: &FeatureDrop) -> String {
    let interval = feature.interval.map_or(String::new(), |(low, high)| {
        format!(" ({} to {})", number(low), number(high))
    });
    format!("{}: {}{interval}", feature.name, number(feature.drop))
}

fn table(importance: &Importance) -> Table {
    let rows = importance.features.iter().map(|f| {
        let interval = f.interval.map_or("–".to_owned(), |(low, high)| {
            format!("{} to {}", number(low), number(high))
        });
        vec![f.name.clone(), number(f.drop), interval]
    });
    Table::plain(&importance.measure, &["Feature", "Drop", "Interval"], rows)
}
