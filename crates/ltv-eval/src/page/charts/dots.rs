//! A metric of several models as points with intervals.

use crate::page::{
    chart::{Chart, item_tip, number_axis, whiskers},
    format::{number, rounded},
    input::{Dot, MetricDots},
    palette::Palette,
    table::Table,
};
use serde_json::{Value, json};

/// The chart of a metric; None without a model that has it.
pub(crate) fn dots(metric: &MetricDots, palette: &Palette) -> Option<Chart> {
    let rows: Vec<&Dot> = metric.rows.iter().filter(|r| r.value.is_finite()).collect();
    let first = *rows.first()?;
    let names: Vec<&str> = rows.iter().map(|r| r.set.as_str()).collect();
    let series: Vec<Value> = rows
        .iter()
        .enumerate()
        .flat_map(|(i, row)| of_row(row, i, palette))
        .chain(metric.target.map(target))
        .collect();
    let mut x = number_axis(&metric.axis);
    x["scale"] = json!(true);
    Some(Chart {
        id: "dots".to_owned(),
        title: metric.title.clone(),
        summary: summary(metric, first),
        height: 70 + 26 * rows.len(),
        wide: false,
        option: json!({
            "tooltip": item_tip(),
            "xAxis": x,
            "yAxis": {"type": "category", "data": names, "inverse": true, "names": true,
                "splitLine": {"show": true}},
            "series": series,
        }),
        data: table(metric, &rows),
    })
}

fn of_row(row: &Dot, place: usize, palette: &Palette) -> Vec<Value> {
    let style = palette.style(&row.set);
    let point = json!({"type": "scatter", "name": row.set, "symbol": style.symbol, "symbolSize": 11,
        "color": style.color, "z": 4, "data": [{"value": [rounded(row.value), place], "tip": words(row)}]});
    let bar = row.interval.map(|(low, high)| {
        let data = vec![json!([place, rounded(low), rounded(high)])];
        whiskers(&row.set, &style.color, data, true)
    });
    std::iter::once(point).chain(bar).collect()
}

/// A line at the perfect or neutral value.
fn target(value: f64) -> Value {
    json!({"type": "line", "data": [], "silent": true,
        "markLine": {"silent": true, "symbol": "none", "label": {"show": false},
            "data": [{"xAxis": rounded(value)}],
            "lineStyle": {"color": "@axis", "type": [4, 4], "width": 1}}})
}

fn words(row: &Dot) -> String {
    let interval = row.interval.map_or(String::new(), |(low, high)| {
        format!(" ({} to {})", number(low), number(high))
    });
    format!("{}{interval}", number(row.value))
}

fn summary(metric: &MetricDots, first: &Dot) -> String {
    let note = if metric.note.is_empty() {
        String::new()
    } else {
        let mut letters = metric.note.chars();
        let head: String = letters
            .next()
            .map_or(String::new(), |c| c.to_uppercase().collect());
        format!("{head}{}. ", letters.as_str())
    };
    format!("{note}{}: {}.", first.set, words(first))
}

fn table(metric: &MetricDots, rows: &[&Dot]) -> Table {
    let rows = rows.iter().map(|row| {
        let interval = row.interval.map_or("–".to_owned(), |(low, high)| {
            format!("{} to {}", number(low), number(high))
        });
        vec![row.set.clone(), number(row.value), interval]
    });
    Table::plain(&metric.title, &["Model", "Value", "Interval"], rows)
}
