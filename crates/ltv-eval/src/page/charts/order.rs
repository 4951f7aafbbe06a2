//! Order violations before and after the projection.

use crate::page::{
    chart::{Chart, item_tip, legend},
    format::percent,
    input::{OrderPair, OrderShares},
    palette::Palette,
    table::Table,
};
use serde_json::{Value, json};

/// The chart of all sets; None without a pair.
pub(crate) fn order(sets: &[OrderShares], palette: &Palette) -> Option<Chart> {
    let first = sets.first().filter(|s| !s.pairs.is_empty())?;
    let names: Vec<&str> = sets.iter().map(|s| s.set.as_str()).collect();
    let pairs: Vec<String> = first.pairs.iter().map(pair_name).collect();
    let series: Vec<Value> = sets.iter().map(|set| bars(set, palette)).collect();
    let per_pair = 14 + 16 * sets.len();
    Some(Chart {
        id: "order".to_owned(),
        title: "How often is a longer horizon predicted lower?".to_owned(),
        summary: summary(first),
        height: 110 + per_pair * pairs.len(),
        wide: true,
        option: json!({
            "legend": legend(&[], &names),
            "tooltip": item_tip(),
            "xAxis": {"type": "value", "name": "Users with crossed predictions, before the projection (%)",
                "min": 0, "axisLabel": {"formatter": {"use": "percent"}}},
            "yAxis": {"type": "category", "data": pairs, "inverse": true, "names": true},
            "series": series,
        }),
        data: table(sets),
    })
}

fn pair_name(pair: &OrderPair) -> String {
    format!("{} to {} days", pair.shorter, pair.longer)
}

fn bars(set: &OrderShares, palette: &Palette) -> Value {
    let bar = |pair: &OrderPair| {
        let tip = format!("{}: {} of users", pair_name(pair), percent(pair.before));
        json!({"value": pair.before, "tip": tip})
    };
    json!({"type": "bar", "name": set.set, "data": set.pairs.iter().map(bar).collect::<Vec<_>>(),
        "color": palette.style(&set.set).color, "barMaxWidth": 14, "barGap": "20%",
        "itemStyle": {"borderRadius": 2}})
}

fn summary(set: &OrderShares) -> String {
    let worst = set
        .pairs
        .iter()
        .max_by(|a, b| a.before.total_cmp(&b.before));
    let worst = worst.map_or(String::new(), |pair| {
        format!(
            ", most often from {}: {}",
            pair_name(pair),
            percent(pair.before)
        )
    });
    let any = set.any.map_or(String::new(), |any| {
        format!(
            "{} of users have at least one such pair{worst}. ",
            percent(any)
        )
    });
    let projected = set.projected.map_or(String::new(), |share| {
        format!("The projection moved {} of users. ", percent(share))
    });
    let after: Option<f64> = set.pairs.iter().map(|p| p.after).sum();
    let after = match after {
        Some(0.0) => "After it no pair is out of order.",
        Some(_) => "After it pairs are still out of order, which must not be.",
        None => "",
    };
    format!("{}: {any}{projected}{after}", set.set)
        .trim_end()
        .to_owned()
}

fn table(sets: &[OrderShares]) -> Table {
    let dash = |v: Option<f64>| v.map_or("–".to_owned(), percent);
    let rows = sets.iter().flat_map(|set| {
        let pairs = set.pairs.iter().map(|p| {
            let name = format!("{} · {}", set.set, pair_name(p));
            vec![name, percent(p.before), dash(p.after)]
        });
        let any = vec![
            format!("{} · any pair", set.set),
            dash(set.any),
            String::new(),
        ];
        let moved = vec![
            format!("{} · moved by the projection", set.set),
            dash(set.projected),
            String::new(),
        ];
        let kept = [(set.any, any), (set.projected, moved)];
        pairs
            .chain(kept.into_iter().filter(|k| k.0.is_some()).map(|k| k.1))
            .collect::<Vec<_>>()
    });
    let header = ["Horizons", "Before the projection", "After it"];
    Table::plain("Share of users with crossed predictions", &header, rows)
}
