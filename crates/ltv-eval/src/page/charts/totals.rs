//! Predicted against actual totals of cohorts and of segments.

use crate::page::{
    chart::{
        Chart, actual, amount, axis_tip, front, item_tip, legend, line, number_axis, with_unit,
    },
    format::{against, grouped, number, rounded},
    input::{GroupTotal, Totals},
    palette::Palette,
    table::{Cell, Table},
};
use serde_json::{Value, json};

/// The chart of a column; None without a value of it.
pub(crate) fn totals(totals: &Totals, days: u32, unit: &str, palette: &Palette) -> Option<Chart> {
    let first = totals.groups.first()?;
    let sets: Vec<&str> = first.predicted.iter().map(|p| p.set.as_str()).collect();
    let in_time = totals.ordered && totals.groups.len() > 1;
    let option = if in_time {
        timeline(totals, &sets, unit, palette)
    } else {
        rows(totals, &sets, unit, palette)
    };
    Some(Chart {
        id: format!("totals-{days}"),
        title: format!("Totals by {}", totals.name),
        summary: summary(totals, &sets, unit),
        height: if in_time {
            430
        } else {
            110 + 30 * totals.groups.len()
        },
        wide: true,
        option,
        data: table(totals, &sets, unit),
    })
}

fn predicted(group: &GroupTotal, set: &str) -> f64 {
    let found = group.predicted.iter().find(|p| p.set == set);
    found.map_or(f64::NAN, |p| p.total)
}

fn ratio(group: &GroupTotal, set: &str) -> f64 {
    if group.actual > 0.0 {
        predicted(group, set) / group.actual
    } else {
        f64::NAN
    }
}

/// Totals above, ratios below, both over time.
fn timeline(totals: &Totals, sets: &[&str], unit: &str, palette: &Palette) -> Value {
    let groups = &totals.groups;
    let names: Vec<&str> = groups.iter().map(|g| g.name.as_str()).collect();
    let each = |f: &dyn Fn(&GroupTotal) -> f64| groups.iter().map(|g| rounded(f(g))).collect();
    let mut series = vec![line("Actual", &actual(), each(&|g| g.actual))];
    for set in sets {
        series.push(line(set, &palette.style(set), each(&|g| predicted(g, set))));
    }
    let target = json!({"silent": true, "symbol": "none", "label": {"show": false},
        "data": [{"yAxis": 1}], "lineStyle": {"color": "@axis", "type": [4, 4], "width": 1}});
    for (i, set) in sets.iter().enumerate() {
        let mut ratios = line(set, &palette.style(set), each(&|g| ratio(g, set)));
        ratios["xAxisIndex"] = json!(1);
        ratios["yAxisIndex"] = json!(1);
        if i == 0 {
            ratios["markLine"] = target.clone();
        }
        series.push(ratios);
    }
    let mut below = number_axis("Predicted / actual");
    below["gridIndex"] = json!(1);
    below["scale"] = json!(true);
    below["splitNumber"] = json!(3);
    json!({
        "legend": legend(&["Actual"], sets),
        "tooltip": axis_tip("text", &["number", "number"]),
        "axisPointer": {"link": [{"xAxisIndex": "all"}]},
        // The same edges left and right, so that months stand above each other.
        "grid": [{"top": 44, "height": 190, "left": 76, "outerBoundsMode": "auto"},
            {"top": 264, "bottom": 52, "left": 76, "outerBoundsMode": "auto"}],
        "xAxis": [
            {"type": "category", "data": names, "boundaryGap": false, "axisLabel": {"show": false}},
            {"type": "category", "data": names, "boundaryGap": false, "gridIndex": 1, "name": totals.name},
        ],
        "yAxis": [number_axis(&with_unit("Total", unit)), below],
        "series": series,
    })
}

/// A row for each value: a bar for what was, a point for each set.
fn rows(totals: &Totals, sets: &[&str], unit: &str, palette: &Palette) -> Value {
    let groups = &totals.groups;
    let names: Vec<&str> = groups.iter().map(|g| g.name.as_str()).collect();
    let bars: Vec<Value> = groups
        .iter()
        .map(|g| json!({"value": rounded(g.actual), "tip": tip(g, None, unit)}))
        .collect();
    let mut series = vec![
        json!({"type": "bar", "name": "Actual", "data": bars, "color": "@bar",
        "barWidth": 14, "itemStyle": {"borderRadius": 2}}),
    ];
    for (i, set) in sets.iter().enumerate() {
        let style = palette.style(set);
        let points: Vec<Value> = groups
            .iter()
            .enumerate()
            .map(|(row, g)| {
                json!({"value": [rounded(predicted(g, set)), row], "tip": tip(g, Some(set), unit)})
            })
            .collect();
        series.push(
            json!({"type": "scatter", "name": set, "data": points, "symbolSize": 12,
            "symbol": style.symbol, "color": style.color, "z": front(i),
            "itemStyle": {"borderColor": "@card", "borderWidth": 1.5}}),
        );
    }
    let ratios: Vec<String> = groups
        .iter()
        .map(|g| {
            format!(
                "× {}",
                number(sets.first().map_or(f64::NAN, |s| ratio(g, s)))
            )
        })
        .collect();
    let mut x = number_axis(&with_unit("Total", unit));
    x["min"] = json!(0);
    json!({
        "legend": legend(&["Actual"], sets),
        "tooltip": item_tip(),
        "xAxis": x,
        "yAxis": [
            {"type": "category", "data": names, "inverse": true, "names": true},
            {"type": "category", "data": ratios, "inverse": true, "position": "right"},
        ],
        "series": series,
    })
}

fn tip(group: &GroupTotal, set: Option<&str>, unit: &str) -> String {
    match set {
        None => format!(
            "{}: {} actual, {} users",
            group.name,
            amount(group.actual, unit),
            grouped(group.users)
        ),
        Some(set) => format!(
            "{}: {} predicted, {} times actual",
            group.name,
            amount(predicted(group, set), unit),
            number(ratio(group, set))
        ),
    }
}

fn summary(totals: &Totals, sets: &[&str], unit: &str) -> String {
    let actual: f64 = totals.groups.iter().map(|g| g.actual).sum();
    let Some(set) = sets.first() else {
        return format!("Actual total {}.", amount(actual, unit));
    };
    let predicted: f64 = totals.groups.iter().map(|g| predicted(g, set)).sum();
    let over = if actual > 0.0 {
        format!(
            ", {} the actual {}",
            against(predicted / actual),
            amount(actual, unit)
        )
    } else {
        String::new()
    };
    let known = totals
        .groups
        .iter()
        .filter(|g| ratio(g, set).is_finite() && ratio(g, set) > 0.0);
    let farthest = known.max_by(|a, b| {
        let far = |g: &GroupTotal| ratio(g, set).ln().abs();
        far(a).total_cmp(&far(b))
    });
    let farthest = farthest.map_or(String::new(), |g| {
        format!(
            " Farthest off is {}, predicted at {} times what it was worth.",
            g.name,
            number(ratio(g, set))
        )
    });
    format!(
        "{set} predicts {} in total{over}.{farthest}",
        amount(predicted, unit)
    )
}

fn table(totals: &Totals, sets: &[&str], unit: &str) -> Table {
    let mut header = vec![
        Cell::new(totals.name.clone()),
        Cell::new("Users"),
        Cell::new(with_unit("Actual", unit)),
    ];
    header.extend(
        sets.iter()
            .map(|s| Cell::new(*s).detail("and ratio to actual")),
    );
    let row = |g: &GroupTotal| {
        let mut cells = vec![
            Cell::new(g.name.clone()),
            Cell::new(grouped(g.users)),
            Cell::new(number(g.actual)),
        ];
        cells.extend(
            sets.iter()
                .map(|s| Cell::new(number(predicted(g, s))).detail(number(ratio(g, s)))),
        );
        cells
    };
    Table {
        caption: format!("Totals by {}", totals.name),
        note: String::new(),
        header,
        rows: totals.groups.iter().map(row).collect(),
    }
}
