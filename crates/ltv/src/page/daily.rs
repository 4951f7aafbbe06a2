//! The report page of one day of the loop.

use super::reproduce;
use crate::{exit::Failure, report::count};
use ltv_daily::{DailyConfig, Summary, gate::Check};
use ltv_eval::page::{Cell, Emphasis, Fact, ReportInput, Section, Table, page};

/// The page of a day.
pub(crate) fn daily_page(summary: &Summary, config: &DailyConfig) -> Result<String, Failure> {
    let input = ReportInput {
        title: format!("{}: {}", summary.date, summary.outcome.name()),
        subtitle: match summary.reasons.as_slice() {
            [] if summary.accepted.is_empty() => "All gates passed.".to_owned(),
            [] => format!("Accepted: {}.", summary.accepted.join("; ")),
            reasons => format!("Failed: {}.", reasons.join("; ")),
        },
        facts: facts(summary),
        sections: vec![checks(summary), scores(summary), stages(summary)],
        reproduce: reproduce(vec![Fact::new("as of", summary.date.to_string())], config)?.into(),
        ..ReportInput::default()
    };
    Ok(page(&input))
}

fn facts(summary: &Summary) -> Vec<Fact> {
    let or_none = |text: Option<&str>| text.unwrap_or("none").to_owned();
    let candidate = summary.candidate.as_ref();
    vec![
        Fact::new("Users", count(summary.users)),
        Fact::new("Events", count(summary.events)),
        Fact::new("Features", summary.features.clone()),
        Fact::new("Rows made", count(summary.made)),
        Fact::new("New model", or_none(candidate.map(|c| c.model.as_str()))),
        Fact::new("Trained", or_none(candidate.map(|c| c.how.as_str()))),
        Fact::new("Scored by", or_none(summary.model.as_deref())),
    ]
}

fn section(id: &str, title: &str, lead: &str, tables: Vec<Table>) -> Section {
    Section {
        id: id.to_owned(),
        link: title.to_owned(),
        title: title.to_owned(),
        lead: lead.to_owned(),
        lines: vec![],
        tables,
    }
}

fn table(caption: &str, header: &[&str], rows: Vec<Vec<Cell>>) -> Table {
    Table {
        caption: caption.to_owned(),
        note: String::new(),
        header: header.iter().map(|name| Cell::new(*name)).collect(),
        rows,
    }
}

fn checks(summary: &Summary) -> Section {
    let gates = [
        ("data", "The data"),
        ("model", "The new model, on users it was never trained on"),
        ("scores", "The scores, beside those that were live"),
    ];
    let of = |(gate, caption): (&str, &str)| {
        let own = summary.checks.iter().filter(|check| check.gate == gate);
        let rows: Vec<_> = own.map(row).collect();
        table(caption, &["Check", "Found", "Limit", "Passed"], rows)
    };
    let mut tables: Vec<Table> = gates.into_iter().map(of).collect();
    tables.retain(|table| !table.rows.is_empty());
    let lead = "Each limit is an option of [gate]; docs/guide/daily.md says what is compared.";
    section("checks", "Gates", lead, tables)
}

fn row(check: &Check) -> Vec<Cell> {
    let mut passed = Cell::new(if check.passed { "yes" } else { "no" });
    if !check.passed {
        passed.emphasis = Emphasis::Warning;
    }
    vec![
        Cell::new(check.what.clone()),
        Cell::new(check.found.map_or("-".to_owned(), |x| format!("{x:.4}"))),
        Cell::new(check.limit.map_or("-".to_owned(), |x| x.to_string()))
            .title(format!("gate.{}", check.option)),
        passed,
    ]
}

fn scores(summary: &Summary) -> Section {
    let rows = summary.horizons.iter().zip(&summary.totals);
    let rows: Vec<_> = rows
        .map(|(days, total)| {
            let mean = total / summary.scored.unwrap_or(0).max(1) as f64;
            let cells = [
                format!("{days} days"),
                format!("{total:.2}"),
                format!("{mean:.4}"),
            ];
            cells.map(Cell::new).to_vec()
        })
        .collect();
    let mut tables = vec![table(
        "Predicted value",
        &["Horizon", "Total", "Mean"],
        rows,
    )];
    tables.retain(|table| !table.rows.is_empty());
    let lead = match summary.scored {
        Some(rows) => format!("{} users were scored.", count(rows)),
        None => "Nobody was scored.".to_owned(),
    };
    section("scores", "Scores", &lead, tables)
}

fn stages(summary: &Summary) -> Section {
    let rows = summary.stages.iter().map(|stage| {
        let when = if stage.remembered {
            "by an earlier attempt"
        } else {
            "now"
        };
        let cells = [
            stage.stage.clone(),
            format!("{:.2}", stage.seconds),
            when.to_owned(),
        ];
        cells.map(Cell::new).to_vec()
    });
    let tables = vec![table(
        "Stages",
        &["Stage", "Seconds", "Done"],
        rows.collect(),
    )];
    section("stages", "Time", "", tables)
}
