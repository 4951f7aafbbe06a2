//! Lorenz curves with the area of Mutual Gini (the paper's figure 4), and gain curves.

use crate::page::{
    chart::{Chart, actual, at, axis_tip, guide, legend, line, share_axis},
    format::{number, percent},
    input::SetCurves,
    palette::Palette,
    table::Table,
};
use serde_json::{Value, json};

/// Percentages of users in the table of numbers.
const ROWS: [f64; 13] = [
    0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0,
];

/// Labels and one set, the area between them shaded.
pub(crate) fn lorenz(set: &SetCurves, days: u32, palette: &Palette) -> Option<Chart> {
    let curves = &set.curves;
    if curves.label.len() < 2 || curves.prediction.len() < 2 {
        return None;
    }
    let style = palette.style(&set.set);
    let band = json!({"type": "custom", "data": [0], "silent": true, "z": 1, "clip": true,
        "tooltip": {"show": false}, "color": style.color,
        "renderItem": {"use": "band", "between": [0, 1]}});
    let option = json!({
        "legend": legend(&["Actual", "Equal values"], &[&set.set]),
        "tooltip": axis_tip("percent", &["percent"]),
        "xAxis": share_axis("Users, highest value first (% of users)"),
        "yAxis": share_axis("Share of all value (%)"),
        "series": [
            line("Actual", &actual(), points(&curves.label)),
            line(&set.set, &style, points(&curves.prediction)),
            guide("Equal values", diagonal()),
            band,
        ],
    });
    Some(Chart {
        id: format!("lorenz-{days}"),
        title: "Is value spread over users as predicted?".to_owned(),
        summary: summary(set),
        height: 340,
        wide: false,
        option,
        data: table(&[("Actual", &curves.label), (&set.set, &curves.prediction)]),
    })
}

fn summary(set: &SetCurves) -> String {
    let or_dash = |v: Option<f64>| v.map_or("–".to_owned(), number);
    format!(
        "Lorenz curves, each sorted by itself. The shaded area between them is the Mutual Gini, {}; \
         Gini of actual values {}, of predictions {}. The top 10\u{a0}% of users hold {} of actual value \
         and {} of predicted value.",
        or_dash(set.mutual_gini),
        or_dash(set.label_gini),
        or_dash(set.prediction_gini),
        percent(value_at(&set.curves.label, 0.1)),
        percent(value_at(&set.curves.prediction, 0.1)),
    )
}

/// Lorenz curves of several sets against the labels.
pub(crate) fn several(sets: &[SetCurves], days: u32, palette: &Palette) -> Option<Chart> {
    let first = sets.first().filter(|s| s.curves.label.len() > 1)?;
    let names: Vec<&str> = sets.iter().map(|s| s.set.as_str()).collect();
    let mut series = vec![
        line("Actual", &actual(), points(&first.curves.label)),
        guide("Equal values", diagonal()),
    ];
    let curve = |s: &SetCurves| line(&s.set, &palette.style(&s.set), points(&s.curves.prediction));
    series.extend(sets.iter().map(curve));
    let mut columns = vec![("Actual", &first.curves.label)];
    columns.extend(sets.iter().map(|s| (s.set.as_str(), &s.curves.prediction)));
    let closest = sets
        .iter()
        .filter_map(|s| Some((s.mutual_gini?, &s.set)))
        .min_by(|a, b| a.0.total_cmp(&b.0));
    let closest = closest.map_or(String::new(), |(gini, set)| {
        format!(
            " {set} comes closest to it, with a Mutual Gini of {}.",
            number(gini)
        )
    });
    Some(Chart {
        id: format!("curves-{days}"),
        title: format!("Spread of value, {days} days"),
        summary: format!(
            "Lorenz curves of {} sets against that of actual values.{closest}",
            sets.len()
        ),
        height: 380,
        wide: false,
        option: json!({
            "legend": legend(&["Actual", "Equal values"], &names),
            "tooltip": axis_tip("percent", &["percent"]),
            "xAxis": share_axis("Users, highest value first (% of users)"),
            "yAxis": share_axis("Share of all value (%)"),
            "series": series,
        }),
        data: table(&columns),
    })
}

/// Value found by going through users in order of each set's predictions.
pub(crate) fn gain(sets: &[SetCurves], days: u32, palette: &Palette) -> Option<Chart> {
    let first = sets.first().filter(|s| s.curves.gain.len() > 1)?;
    let names: Vec<&str> = sets.iter().map(|s| s.set.as_str()).collect();
    let mut series = vec![
        line("Perfect order", &actual(), points(&first.curves.label)),
        guide("Chance", diagonal()),
    ];
    let curve = |s: &SetCurves| line(&s.set, &palette.style(&s.set), points(&s.curves.gain));
    series.extend(sets.iter().map(curve));
    let mut columns = vec![("Perfect order", &first.curves.label)];
    columns.extend(sets.iter().map(|s| (s.set.as_str(), &s.curves.gain)));
    let gini = first.normalised_gini.map_or(String::new(), |g| {
        format!("; normalised Gini {}", number(g))
    });
    Some(Chart {
        id: format!("gain-{days}"),
        title: "Are the right users ranked first?".to_owned(),
        summary: format!(
            "Gain curves. The 10\u{a0}% of users that {} predicts highest hold {} of all value; in perfect \
             order it would be {}, by chance 10\u{a0}%{gini}.",
            first.set,
            percent(value_at(&first.curves.gain, 0.1)),
            percent(value_at(&first.curves.label, 0.1)),
        ),
        height: 340,
        wide: false,
        option: json!({
            "legend": legend(&["Perfect order", "Chance"], &names),
            "tooltip": axis_tip("percent", &["percent"]),
            "xAxis": share_axis("Users, highest prediction first (% of users)"),
            "yAxis": share_axis("Share of all value (%)"),
            "series": series,
        }),
        data: table(&columns),
    })
}

fn points(curve: &[f64]) -> Vec<Value> {
    let last = (curve.len() - 1).max(1) as f64;
    let point = |(i, y): (usize, &f64)| at(i as f64 / last, *y);
    curve.iter().enumerate().map(point).collect()
}

fn diagonal() -> Vec<Value> {
    vec![at(0.0, 0.0), at(1.0, 1.0)]
}

/// Height of a curve of evenly spaced points, straight between them.
fn value_at(curve: &[f64], share: f64) -> f64 {
    let Some(last) = curve.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = share * last as f64;
    let left = (place.floor() as usize).min(last);
    let right = (left + 1).min(last);
    let weight = place - left as f64;
    // A whole place is its own point, even where the next one is not a number.
    if weight < 1e-9 {
        return curve[left];
    }
    curve[left] + weight * (curve[right] - curve[left])
}

fn table(columns: &[(&str, &Vec<f64>)]) -> Table {
    let header: Vec<&str> = std::iter::once("Share of users")
        .chain(columns.iter().map(|c| c.0))
        .collect();
    let row = |&share: &f64| {
        let values = columns.iter().map(|c| percent(value_at(c.1, share)));
        std::iter::once(percent(share)).chain(values).collect()
    };
    Table::plain("Share of all value", &header, ROWS.iter().map(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_read_between_their_points() {
        let curve = [0.0, 0.5, 1.0];
        assert_eq!(value_at(&curve, 0.25), 0.25);
        assert_eq!(value_at(&curve, 0.5), 0.5);
        assert_eq!(value_at(&curve, 1.0), 1.0);
        assert!(value_at(&[], 0.5).is_nan());
    }
}
