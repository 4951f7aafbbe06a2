//! Values of several sets at the same places, one line for each set.

use crate::page::{
    chart::{Chart, axis_tip, legend, line, number_axis},
    format::{number, rounded},
    input::{Curve, Lines},
    palette::Palette,
    table::Table,
};
use serde_json::{Value, json};

/// The chart; None without a value.
pub(crate) fn lines(lines: &Lines, palette: &Palette) -> Option<Chart> {
    let known = |c: &&Curve| c.values.iter().any(|v| v.is_finite());
    let curves: Vec<&Curve> = lines.curves.iter().filter(known).collect();
    let first = *curves.first()?;
    let sets: Vec<&str> = curves.iter().map(|c| c.set.as_str()).collect();
    let mut series: Vec<Value> = curves.iter().map(|c| of_curve(c, palette)).collect();
    if let Some(target) = lines.target {
        series[0]["markLine"] = json!({"silent": true, "symbol": "none", "label": {"show": false},
            "data": [{"yAxis": rounded(target)}],
            "lineStyle": {"color": "@axis", "type": [4, 4], "width": 1}});
    }
    let mut y = number_axis(&lines.axis);
    y["scale"] = json!(true);
    Some(Chart {
        id: "lines".to_owned(),
        title: lines.title.clone(),
        summary: summary(lines, first),
        height: 320,
        wide: lines.names.len() > 12,
        option: json!({
            "legend": legend(&[], &sets),
            "tooltip": axis_tip("text", &["number"]),
            "xAxis": {"type": "category", "data": lines.names, "name": lines.places,
                "boundaryGap": lines.names.len() == 1},
            "yAxis": y,
            "series": series,
        }),
        data: table(lines, &curves),
    })
}

fn of_curve(curve: &Curve, palette: &Palette) -> Value {
    let style = palette.style(&curve.set);
    let values = curve.values.iter().map(|&v| rounded(v)).collect();
    let mut series = line(&curve.set, &style, values);
    // A place alone between two without a value would not be seen.
    series["symbol"] = json!(style.symbol);
    series["symbolSize"] = json!(7);
    series
}

fn summary(lines: &Lines, first: &Curve) -> String {
    let mut letters = lines.note.chars();
    let head: String = letters
        .next()
        .map_or(String::new(), |c| c.to_uppercase().collect());
    let note = match head.as_str() {
        "" => String::new(),
        head => format!("{head}{}. ", letters.as_str()),
    };
    let known = || {
        let pairs = first.values.iter().zip(&lines.names);
        pairs.filter(|(value, _)| value.is_finite())
    };
    let (Some((from, start)), Some((to, end))) = (known().next(), known().next_back()) else {
        return note;
    };
    let set = &first.set;
    match start == end {
        true => format!("{note}{set}: {} at {start}.", number(*from)),
        false => format!(
            "{note}{set}: {} at {start}, {} at {end}.",
            number(*from),
            number(*to)
        ),
    }
}

fn table(lines: &Lines, curves: &[&Curve]) -> Table {
    let header: Vec<&str> = std::iter::once(lines.places.as_str())
        .chain(curves.iter().map(|c| c.set.as_str()))
        .collect();
    let rows = lines.names.iter().enumerate().map(|(i, name)| {
        let value = |c: &&Curve| number(c.values.get(i).copied().unwrap_or(f64::NAN));
        std::iter::once(name.clone())
            .chain(curves.iter().map(value))
            .collect()
    });
    Table::plain(&lines.title, &header, rows)
}
