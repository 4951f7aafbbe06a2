//! Distribution of the labels with the edges of the model's buckets (the paper's figure 1).

use crate::page::{
    chart::{Chart, amount, item_tip, log_axis, number_axis, with_unit},
    format::{grouped, number, percent, rounded},
    input::LabelHistogram,
    table::Table,
};
use serde_json::{Value, json};

/// Values that spread over more than this factor are drawn on a logarithmic axis.
const SPREAD: f64 = 100.0;

/// The chart; None when the bins do not fit their edges or hold nobody.
pub(crate) fn histogram(labels: &LabelHistogram, days: u32, unit: &str) -> Option<Chart> {
    let (first, last) = (*labels.edges.first()?, *labels.edges.last()?);
    let users: u64 = labels.counts.iter().sum::<u64>() + labels.zeros;
    let fits = labels.edges.len() == labels.counts.len() + 1;
    if !fits || labels.counts.iter().all(|&n| n == 0) {
        return None;
    }
    let log = first > 0.0 && last > SPREAD * first;
    let bins: Vec<Value> = labels
        .edges
        .windows(2)
        .zip(&labels.counts)
        .map(|(bin, &count)| bar(bin, count, users, unit))
        .collect();
    let inside = |edge: &&f64| (first..=last).contains(*edge);
    let edges: Vec<Value> = labels
        .bucket_edges
        .iter()
        .filter(inside)
        .map(|&edge| json!({"xAxis": rounded(edge)}))
        .collect();
    let name = with_unit("Actual value of a user", unit);
    let mut x = if log {
        log_axis(&name, (first, last))
    } else {
        number_axis(&name)
    };
    x["min"] = rounded(first);
    x["max"] = rounded(last);
    Some(Chart {
        id: format!("labels-{days}"),
        title: "How is actual value distributed?".to_owned(),
        summary: summary(labels, users, edges.len(), log, unit),
        height: 340,
        wide: false,
        option: json!({
            "tooltip": item_tip(),
            "xAxis": x,
            "yAxis": {"type": "value", "name": "Share of users (%)",
                "axisLabel": {"formatter": {"use": "percent"}}},
            "series": [{"type": "custom", "name": "Users", "data": bins, "color": "@bar", "clip": true,
                "encode": {"x": [0, 1], "y": 2}, "renderItem": {"use": "bin"},
                "markLine": {"silent": true, "symbol": "none", "label": {"show": false}, "data": edges,
                    "lineStyle": {"color": "@c2", "type": [3, 3], "width": 1}}}],
        }),
        data: table(labels, users, unit),
    })
}

fn bar(bin: &[f64], count: u64, users: u64, unit: &str) -> Value {
    let share = count as f64 / users as f64;
    json!({"value": [rounded(bin[0]), rounded(bin[1]), rounded(share)],
        "tip": format!("{} to {}: {} of users ({})",
            number(bin[0]), amount(bin[1], unit), percent(share), grouped(count))})
}

fn summary(labels: &LabelHistogram, users: u64, edges: usize, log: bool, unit: &str) -> String {
    let zeros = percent(labels.zeros as f64 / users as f64);
    let most = labels.counts.iter().enumerate().max_by_key(|(_, n)| **n);
    let most = most.map_or(String::new(), |(i, _)| {
        format!(
            " The fullest bin lies between {} and {}.",
            number(labels.edges[i]),
            amount(labels.edges[i + 1], unit)
        )
    });
    let axis = if log { " The axis is logarithmic." } else { "" };
    let dashed = match edges {
        0 => String::new(),
        n => format!(" The {n} dashed lines are edges of the model's buckets."),
    };
    format!(
        "Of {} users, {zeros} are worth exactly 0 and are not drawn.{most}{axis}{dashed}",
        grouped(users)
    )
}

fn table(labels: &LabelHistogram, users: u64, unit: &str) -> Table {
    let share = |count: u64| percent(count as f64 / users as f64);
    let row = |name: String, count: u64| vec![name, grouped(count), share(count)];
    let zero = std::iter::once(row("exactly 0".to_owned(), labels.zeros));
    let bins = labels.edges.windows(2).zip(&labels.counts);
    let bins =
        bins.map(|(bin, &count)| row(format!("{} to {}", number(bin[0]), number(bin[1])), count));
    let header = [
        with_unit("Actual value", unit),
        "Users".into(),
        "Share".into(),
    ];
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    Table::plain("Users by actual value", &header, zero.chain(bins))
}
