//! Losses while training.

use crate::page::{
    chart::{Chart, at, axis_tip, number_axis},
    format::{grouped, number},
    input::TrainingRun,
    palette::Palette,
    table::Table,
};
use serde_json::{Value, json};

/// Most rows of the table of numbers for each run.
const ROWS: usize = 25;

/// The chart of all runs; None without a loss.
pub(crate) fn training(runs: &[TrainingRun], palette: &Palette) -> Option<Chart> {
    let drawn: Vec<&TrainingRun> = runs
        .iter()
        .filter(|r| !r.training.is_empty() || !r.validation.is_empty())
        .collect();
    let first = *drawn.first()?;
    let thin = drawn.len() > 1;
    let series: Vec<Value> = drawn
        .iter()
        .flat_map(|run| of_run(run, thin, palette))
        .collect();
    let mut y = number_axis("Loss");
    y["scale"] = json!(true);
    let mut x = number_axis("Training steps");
    x["max"] = json!("dataMax");
    Some(Chart {
        id: "training".to_owned(),
        title: "Did training settle?".to_owned(),
        summary: summary(first, drawn.len()),
        height: 340,
        wide: true,
        option: json!({
            "legend": {"data": ["Training", "Validation"]},
            "tooltip": axis_tip("number", &["number"]),
            "xAxis": x,
            "yAxis": y,
            "series": series,
        }),
        data: table(&drawn),
    })
}

fn of_run(run: &TrainingRun, thin: bool, palette: &Palette) -> Vec<Value> {
    let color = palette.style(&run.set).color;
    let width = if thin { 1.0 } else { 2.0 };
    let points = |losses: &[(u64, f64)]| -> Vec<Value> {
        losses.iter().map(|l| at(l.0 as f64, l.1)).collect()
    };
    let curve = |name: &str, losses: &[(u64, f64)], color: &str| {
        json!({"type": "line", "name": name, "label": run.name, "data": points(losses), "symbol": "none",
            "color": color, "lineStyle": {"width": width, "color": color}})
    };
    let mut out = Vec::new();
    if !run.training.is_empty() {
        out.push(curve("Training", &run.training, "@axis"));
    }
    if !run.validation.is_empty() {
        let mut validation = curve("Validation", &run.validation, &color);
        if let Some(step) = run.best_step {
            validation["markLine"] = json!({"silent": true, "symbol": "none",
                "data": [{"xAxis": step}], "label": {"show": !thin, "formatter": "best"},
                "lineStyle": {"color": "@axis", "type": [4, 4], "width": 1}});
        }
        out.push(validation);
    }
    out
}

fn summary(run: &TrainingRun, runs: usize) -> String {
    let who = if runs > 1 {
        format!("{runs} runs; {}: ", run.name)
    } else {
        String::new()
    };
    let span = |what: &str, losses: &[(u64, f64)]| match (losses.first(), losses.last()) {
        (Some(a), Some(b)) => format!("{what} loss went from {} to {}", number(a.1), number(b.1)),
        _ => String::new(),
    };
    let parts = [
        span("training", &run.training),
        span("validation", &run.validation),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|p| !p.is_empty()).collect();
    let best = run.best_step.map_or(String::new(), |step| {
        format!("; the weights of step {} were kept", grouped(step))
    });
    let text = format!("{who}{}{best}.", parts.join(", "));
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |c| {
        c.to_uppercase().collect::<String>() + letters.as_str()
    })
}

fn table(runs: &[&TrainingRun]) -> Table {
    let rows = runs.iter().flat_map(|run| {
        let steps: std::collections::BTreeSet<u64> = run
            .validation
            .iter()
            .chain(if run.validation.is_empty() {
                &run.training[..]
            } else {
                &[]
            })
            .map(|l| l.0)
            .collect();
        let every = steps.len().div_ceil(ROWS).max(1);
        let loss = |losses: &[(u64, f64)], step: u64| {
            let found = losses.iter().find(|l| l.0 == step);
            found.map_or("–".to_owned(), |l| number(l.1))
        };
        let chosen: Vec<u64> = steps
            .into_iter()
            .enumerate()
            .filter(|(i, step)| i % every == 0 || run.best_step == Some(*step))
            .map(|(_, step)| step)
            .collect();
        chosen.into_iter().map(move |step| {
            vec![
                format!("{} · {}", run.name, grouped(step)),
                loss(&run.training, step),
                loss(&run.validation, step),
            ]
        })
    });
    Table::plain(
        "Losses by step",
        &["Run and step", "Training", "Validation"],
        rows,
    )
}
