//! Mean prediction against mean label by decile.

use crate::page::{
    chart::{
        Chart, amount, at, decades, front, guide, item_tip, legend, log_axis, number_axis,
        whiskers, with_unit,
    },
    format::{against, grouped, number, percent, rounded},
    input::{DecilePoint, SetDeciles},
    palette::Palette,
    table::Table,
};
use serde_json::{Value, json};

/// Values that spread over more than this factor are drawn on logarithmic axes.
const SPREAD: f64 = 30.0;

/// The chart of all sets; None without a decile.
pub(crate) fn calibration(
    sets: &[SetDeciles],
    days: u32,
    unit: &str,
    palette: &Palette,
) -> Option<Chart> {
    let first = sets.first().filter(|s| !s.deciles.is_empty())?;
    let means = || {
        sets.iter()
            .flat_map(|s| &s.deciles)
            .flat_map(|d| [d.predicted, d.actual])
    };
    let log = decades(means(), SPREAD);
    let names: Vec<&str> = sets.iter().map(|s| s.set.as_str()).collect();
    let ends = log.unwrap_or((0.0, means().filter(|v| v.is_finite()).fold(0.0, f64::max)));
    let mut series = vec![guide("Exact", vec![at(ends.0, ends.0), at(ends.1, ends.1)])];
    for (i, set) in sets.iter().enumerate() {
        let mut of_set = of_set(set, log, unit, palette);
        of_set.iter_mut().for_each(|s| s["z"] = json!(front(i)));
        series.extend(of_set);
    }
    let axis = |name: &str| {
        let name = with_unit(name, unit);
        log.map_or_else(|| number_axis(&name), |ends| log_axis(&name, ends))
    };
    Some(Chart {
        id: format!("calibration-{days}"),
        title: "Are amounts right from top to bottom?".to_owned(),
        summary: summary(first, log.is_some(), unit),
        height: 340,
        wide: false,
        option: json!({
            "legend": legend(&["Exact"], &names),
            "tooltip": item_tip(),
            "xAxis": axis("Mean prediction of the decile"),
            "yAxis": axis("Mean actual value"),
            "series": series,
        }),
        data: table(sets, unit),
    })
}

/// Points and intervals of a set; on logarithmic axes only what is positive.
fn of_set(set: &SetDeciles, log: Option<(f64, f64)>, unit: &str, palette: &Palette) -> Vec<Value> {
    let style = palette.style(&set.set);
    let drawn = |d: &&DecilePoint| log.is_none() || (d.predicted > 0.0 && d.actual > 0.0);
    let lowest = log.map_or(f64::NEG_INFINITY, |ends| ends.0);
    let points: Vec<Value> = set
        .deciles
        .iter()
        .filter(drawn)
        .map(|d| json!({"value": at(d.predicted, d.actual), "tip": tip(d, unit)}))
        .collect();
    let bars: Vec<Value> = set
        .deciles
        .iter()
        .filter(drawn)
        .filter_map(|d| {
            let (low, high) = d.interval?;
            Some(json!([
                rounded(d.predicted),
                rounded(low.max(lowest)),
                rounded(high)
            ]))
        })
        .collect();
    let dots = json!({"type": "scatter", "name": set.set, "data": points, "symbol": style.symbol,
        "symbolSize": 9, "color": style.color});
    if bars.is_empty() {
        return vec![dots];
    }
    vec![dots, whiskers(&set.set, &style.color, bars, false)]
}

fn tip(d: &DecilePoint, unit: &str) -> String {
    let interval = d.interval.map_or(String::new(), |(low, high)| {
        format!(" ({} to {})", number(low), number(high))
    });
    format!(
        "Decile {}: predicted {}, actual {}{interval}",
        d.decile,
        amount(d.predicted, unit),
        amount(d.actual, unit),
    )
}

fn summary(set: &SetDeciles, log: bool, unit: &str) -> String {
    let top = &set.deciles[0];
    let weigh = |of: &dyn Fn(&DecilePoint) -> f64| -> f64 {
        set.deciles.iter().map(|d| d.users as f64 * of(d)).sum()
    };
    let (apart, total) = (
        weigh(&|d| (d.predicted - d.actual).abs()),
        weigh(&|d| d.actual),
    );
    let apart = if total > 0.0 {
        let share = percent(apart / total);
        format!(" Over all ten, {share} of the value is predicted too high or too low.")
    } else {
        String::new()
    };
    let ratio = if top.actual > 0.0 {
        format!(", {} what it was", against(top.predicted / top.actual))
    } else {
        String::new()
    };
    let hidden = set
        .deciles
        .iter()
        .filter(|d| log && !(d.predicted > 0.0 && d.actual > 0.0))
        .count();
    let hidden = match hidden {
        0 => String::new(),
        1 => " One decile with a mean of 0 cannot be drawn on a logarithmic axis.".to_owned(),
        n => format!(" {n} deciles with a mean of 0 cannot be drawn on a logarithmic axis."),
    };
    format!(
        "Ten groups by prediction, exact on the dashed line. The top tenth of {} was predicted at {} \
         a user and was worth {}{ratio}.{apart}{hidden}",
        set.set,
        amount(top.predicted, unit),
        amount(top.actual, unit),
    )
}

fn table(sets: &[SetDeciles], unit: &str) -> Table {
    let rows = sets.iter().flat_map(|set| {
        set.deciles.iter().map(|d| {
            let interval = d.interval.map_or("–".to_owned(), |(low, high)| {
                format!("{} to {}", number(low), number(high))
            });
            let ratio = if d.actual > 0.0 {
                number(d.predicted / d.actual)
            } else {
                "–".to_owned()
            };
            vec![
                format!("{} · {}", set.set, d.decile),
                grouped(d.users),
                number(d.predicted),
                number(d.actual),
                interval,
                ratio,
            ]
        })
    });
    let predicted = with_unit("Mean predicted", unit);
    let actual = with_unit("Mean actual", unit);
    let header = [
        "Decile",
        "Users",
        &predicted,
        &actual,
        "95 % interval",
        "Ratio",
    ];
    Table::plain("Deciles by prediction, 1 is the highest", &header, rows)
}
