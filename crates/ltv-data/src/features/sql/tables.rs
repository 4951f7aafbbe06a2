//! What the tables of the feature query hold, in words, as SQL comments: for whoever runs it
//! elsewhere.

use super::words::identifier;
use crate::features::{
    columns,
    input::{self, Role, Wanted},
};
use ltv_core::config::FeatureConfig;

/// A comment of one table or column on each line, and what the query leaves to whoever runs it.
pub(super) fn comments(config: &FeatureConfig, with_users: bool) -> String {
    let mut lines = vec![
        "The dataset of 'ltv features': one row for each user, in their order. The statement reads these".into(),
        "tables, whose columns are made of those of yours behind the arrows; the page".into(),
        "docs/guide/warehouses.md makes them in DuckDB and in Spark.".into(),
        String::new(),
        "events, a row for each event:".into(),
    ];
    lines.extend(input::event_columns(config).iter().flat_map(sources));
    if with_users {
        lines.push("users, a row for each user, none twice:".into());
        lines.extend(input::user_columns(config).iter().flat_map(sources));
    }
    lines.extend(calendar(config));
    lines.extend([
        String::new(),
        "What these columns may not hold, 'ltv features' refuses; the statement does not look for it.".into(),
        "reg_day comes out as days since 1970-01-01, for you to make a date of.".into(),
    ]);
    let line = |l: &String| format!("-- {l}").trim_end().to_string() + "\n";
    lines.iter().map(line).collect()
}

/// One line for each column of a table that comes from the column of an input.
fn sources(wanted: &Wanted) -> Vec<String> {
    let line = |target: &str, words: &str| {
        let source = plain(&identifier(&wanted.column));
        format!("  {} <- {source}: {words}", plain(target))
    };
    let day = "INTEGER, days since 1970-01-01 in UTC, never null";
    match wanted.role {
        Role::Day => vec![line(&wanted.target, day)],
        Role::Time => vec![
            line(&wanted.target, day),
            line("time_ns", "BIGINT, nanoseconds into that day"),
        ],
        role => vec![line(&identifier(&wanted.target), words(role))],
    }
}

/// What a column must hold.
fn words(role: Role) -> &'static str {
    match role {
        Role::User => "BIGINT or text, never null",
        Role::Day | Role::Time | Role::Registration => {
            "INTEGER, days since 1970-01-01 in UTC, null where unknown"
        }
        Role::Value => "DOUBLE, never null, finite, its size below 1e14",
        Role::Number => "DOUBLE, null for NaN, its size below 1e14; of a boolean 0 or 1",
        Role::Category => "BIGINT or text; of a boolean 'true' or 'false'",
        Role::Order => "BIGINT, DOUBLE or text",
        Role::Profile => {
            "DOUBLE of a float or a decimal, null for NaN; else text, 'true' or 'false' of a boolean"
        }
        Role::Keep => "as it is",
    }
}

fn calendar(config: &FeatureConfig) -> Vec<String> {
    let (as_of, window) = (config.dataset.as_of, config.dataset.window_days);
    let known = columns::calendar(config);
    let wanted = |source: &str| known.iter().any(|(_, column, _)| *column == source);
    let share = format!("DOUBLE, the share of such days among the {window} from that day on");
    let all = [
        ("weekday", "text, from '0' on Mondays to '6'".to_string()),
        ("month", "text, from '1' to '12'".into()),
        (
            "weekend",
            "text, '1' on Saturdays and Sundays, else '0'".into(),
        ),
        (
            "holiday",
            format!("text, '1' on {}, else '0'", holidays(config)),
        ),
        ("weekend_share", share.clone()),
        ("holiday_share", share),
    ];
    let mut lines = vec![
        format!(
            "calendar, a row for each day from the first of a user's to the one before {as_of}:"
        ),
        "  day: INTEGER, days since 1970-01-01".into(),
    ];
    let columns = all.iter().filter(|(column, _)| wanted(column));
    lines.extend(columns.map(|(column, words)| format!("  {column}: {words}")));
    lines
}

/// The configured holidays.
fn holidays(config: &FeatureConfig) -> String {
    let holidays = &config.holidays;
    let mut parts: Vec<String> = holidays.days.iter().map(|day| day.to_string()).collect();
    if let Some(path) = &holidays.file {
        parts.push(format!(
            "the days of {}",
            plain(&path.display().to_string())
        ));
    }
    if holidays.simulator {
        let simulated = "the holidays of 'ltv simulate' (January 1-3, February 10-16, May 1-5, October 1-7, \
                         November 11, December 24-26)";
        parts.push(simulated.into());
    }
    parts.join(", ")
}

/// Text that stays on its line.
fn plain(text: &str) -> String {
    let safe = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(safe).collect()
}
