//! The feature query: one plain SQL statement, generated from the configuration.
//!
//! It uses common table expressions, `CASE`, `SUM`, `COUNT`, `MIN`, `MAX`, `COALESCE`, `RANK`,
//! `ROW_NUMBER` and joins, and no date function, so that it runs on DataFusion, DuckDB and
//! Spark. It reads normalised tables:
//!
//! | table | columns |
//! |---|---|
//! | `events` | `user_id`; `day` (integer, days since 1970-01-01 in UTC); `time_ns` (integer, nanoseconds into the day) for first values; `event_order` where an order column is configured; `num_<column>` (double, null for missing) for numeric columns; `cat_<column>` (integer or text) for columns of first and most frequent values |
//! | `users`, where there is a user table | `user_id`, `reg_day` (integer, null where unknown) where a registration column is configured, `profile_<column>` (text or double), `keep_<column>` |
//! | `calendar` | one row for each day: `day`, `weekday`, `month`, `weekend`, `holiday` (text); `weekend_share`, `holiday_share` (double) of the window that starts that day |
//!
//! `reg_day` comes out as an integer; everything else has its final type. [`printed_sql`] says the
//! same, column by column, to whoever runs the statement elsewhere.

mod tables;
mod words;

use self::words::{identifier, indent, name, select};
use super::columns;
use ltv_core::config::{FeatureConfig, Label, Measure};

/// Type in which numbers are added up: exact to 6 decimals, so that sums do not depend on order.
const MONEY: &str = "DECIMAL(20, 6)";

/// The SQL text that makes the dataset of `config`, with or without a user table.
pub fn feature_sql(config: &FeatureConfig, with_users: bool) -> String {
    let query = Query {
        config,
        with_users,
        as_of: config.dataset.as_of.0,
    };
    let mut tables = vec![
        ("first_event".to_string(), query.first_event()),
        ("registered".to_string(), query.registered()),
        ("chosen".to_string(), query.chosen()),
        ("timed".to_string(), query.timed()),
        ("daily".to_string(), query.daily()),
        ("totals".to_string(), query.totals()),
        ("labels".to_string(), query.labels()),
    ];
    if columns::reads_firsts(config) {
        tables.push(("ranked".into(), query.ranked()));
        tables.push(("firsts".into(), query.firsts()));
    }
    for (index, column) in config.aggregates.mode.iter().enumerate() {
        tables.push((format!("mode_{index}"), query.mode(column)));
    }
    let tables: Vec<_> = tables
        .iter()
        .map(|(name, body)| format!("{name} AS (\n{}\n)", indent(body)))
        .collect();
    format!("WITH {}\n{}\n", tables.join(",\n"), query.last())
}

/// The same text below comments that say, for each column of the tables that it reads, what it holds
/// and which column of the input it comes from.
pub fn printed_sql(config: &FeatureConfig, with_users: bool) -> String {
    let (comments, sql) = (
        tables::comments(config, with_users),
        feature_sql(config, with_users),
    );
    format!("{comments}\n{sql}")
}

/// The SQL text that makes one row for each user with events: first and last day, days with
/// events, days on which the value adds up to more than zero, and what these add up to. It reads
/// `events` alone.
pub(crate) fn history_sql(config: &FeatureConfig) -> String {
    let total = match &config.events.value {
        Some(column) => format!("SUM(CAST({} AS {MONEY}))", name("num", column)),
        None => "CAST(NULL AS DOUBLE)".into(),
    };
    let as_of = config.dataset.as_of.0;
    let daily = format!(
        "SELECT user_id, day, {total} AS total\nFROM events\nWHERE day < {as_of}\nGROUP BY user_id, day"
    );
    let items = [
        "user_id",
        "MIN(day) AS first_day",
        "MAX(day) AS last_day",
        "COUNT(*) AS days",
        "COUNT(CASE WHEN total > 0 THEN 1 END) AS paid_days",
        "COALESCE(CAST(SUM(CASE WHEN total > 0 THEN total END) AS DOUBLE), CAST(0 AS DOUBLE)) AS paid",
    ]
    .map(String::from);
    format!(
        "{}\nFROM (\n{}\n) daily\nGROUP BY user_id\nORDER BY user_id\n",
        select(&items),
        indent(&daily)
    )
}

struct Query<'a> {
    config: &'a FeatureConfig,
    with_users: bool,
    as_of: i32,
}

impl Query<'_> {
    fn window(&self) -> i32 {
        self.config.dataset.window_days as i32
    }

    /// Days from registration to the end of the longest horizon.
    fn span(&self) -> i32 {
        self.window() + self.config.dataset.horizons.longest() as i32
    }

    fn first_event(&self) -> String {
        format!(
            "SELECT user_id, MIN(day) AS first_day\nFROM events\nWHERE day < {}\nGROUP BY user_id",
            self.as_of
        )
    }

    /// Every known user, with the registration day where there is one.
    fn registered(&self) -> String {
        if !self.with_users {
            return "SELECT user_id, first_day, first_day AS reg_day\nFROM first_event".into();
        }
        let users = &self.config.users;
        let reg_day = match users.registration {
            Some(_) => "COALESCE(u.reg_day, f.first_day)",
            None => "f.first_day",
        };
        let mut items = vec![
            "COALESCE(f.user_id, u.user_id) AS user_id".to_string(),
            "f.first_day".to_string(),
            format!("{reg_day} AS reg_day"),
        ];
        items.extend(
            users
                .profile
                .iter()
                .map(|c| format!("u.{}", name("profile", c))),
        );
        items.extend(users.keep.iter().map(|c| format!("u.{}", name("keep", c))));
        format!(
            "{}\nFROM first_event f\nFULL OUTER JOIN users u ON f.user_id = u.user_id",
            select(&items)
        )
    }

    fn chosen(&self) -> String {
        let dataset = &self.config.dataset;
        let mut text = format!("SELECT *\nFROM registered\nWHERE reg_day < {}", self.as_of);
        if let Some(day) = dataset.registered_from {
            text += &format!("\n  AND reg_day >= {}", day.0);
        }
        if let Some(day) = dataset.registered_before {
            text += &format!("\n  AND reg_day < {}", day.0);
        }
        text
    }

    /// Known events of chosen users, from registration to the end of the longest horizon.
    fn timed(&self) -> String {
        let mut items = vec!["e.user_id".to_string(), "e.day - c.reg_day AS rel".into()];
        if columns::reads_firsts(self.config) {
            items.push("e.time_ns".into());
        }
        if self.config.events.order.is_some() {
            items.push("e.event_order".into());
        }
        let numbers = columns::numbers(self.config);
        items.extend(numbers.iter().map(|c| format!("e.{}", name("num", c))));
        let categories = columns::categories(self.config);
        items.extend(categories.iter().map(|c| format!("e.{}", name("cat", c))));
        format!(
            "{}\nFROM events e\nINNER JOIN chosen c ON e.user_id = c.user_id\n\
             WHERE e.day < {}\n  AND e.day >= c.reg_day\n  AND e.day < c.reg_day + {}",
            select(&items),
            self.as_of,
            self.span()
        )
    }

    /// One row for each user and day with events.
    fn daily(&self) -> String {
        let mut items = vec!["user_id".to_string(), "rel".into(), "COUNT(*) AS n".into()];
        for column in columns::summed(self.config) {
            let number = name("num", &column);
            items.push(format!(
                "SUM(CAST({number} AS {MONEY})) AS {}",
                name("sum", &column)
            ));
            items.push(format!("COUNT({number}) AS {}", name("known", &column)));
        }
        for column in columns::maximised(self.config) {
            items.push(format!(
                "MAX({}) AS {}",
                name("num", &column),
                name("max", &column)
            ));
        }
        format!("{}\nFROM timed\nGROUP BY user_id, rel", select(&items))
    }

    /// One row for each user with events in the window: what they add up to, by day and in all.
    fn totals(&self) -> String {
        let mut items = vec!["user_id".to_string()];
        items.extend(self.day_totals());
        items.push("SUM(n) AS n_events".into());
        items.push("COUNT(*) AS active_days".into());
        items.push("MAX(rel) AS recency".into());
        for column in columns::summed(self.config) {
            for kind in ["sum", "known"] {
                let source = name(kind, &column);
                items.push(format!("SUM({source}) AS {source}"));
            }
        }
        for column in columns::maximised(self.config) {
            let source = name("max", &column);
            items.push(format!("MAX({source}) AS {source}"));
        }
        format!(
            "{}\nFROM daily\nWHERE rel < {}\nGROUP BY user_id",
            select(&items),
            self.window()
        )
    }

    /// One row for each user with events after the window: what the horizons add up to. Apart from
    /// the window's totals, because most events lie here and have nothing to do with those.
    fn labels(&self) -> String {
        let mut items = vec!["user_id".to_string()];
        items.extend(self.label_totals());
        format!(
            "{}\nFROM daily\nWHERE rel >= {}\nGROUP BY user_id",
            select(&items),
            self.window()
        )
    }

    fn day_totals(&self) -> Vec<String> {
        let mut items = vec![];
        for sequence in &self.config.sequences {
            let source = match &sequence.measure {
                Measure::Count => "n".to_string(),
                Measure::Sum(column) => name("sum", column),
            };
            for day in 0..self.window() {
                let target = name("day", &columns::day_column(&sequence.name, day as u32));
                items.push(format!(
                    "SUM(CASE WHEN rel = {day} THEN {source} END) AS {target}"
                ));
            }
        }
        items
    }

    fn label_totals(&self) -> Vec<String> {
        let window = self.window();
        let source = match (self.config.dataset.label, &self.config.events.value) {
            (Label::Value, Some(column)) => name("sum", column),
            _ => "1".to_string(),
        };
        let item = |&n: &u32| {
            let end = window + n as i32;
            format!("SUM(CASE WHEN rel < {end} THEN {source} END) AS label_{n}")
        };
        self.config
            .dataset
            .horizons
            .days()
            .iter()
            .map(item)
            .collect()
    }

    /// Window events with their place in time; events at the same place are ties.
    fn ranked(&self) -> String {
        let order = match self.config.events.order {
            Some(_) => ", event_order NULLS LAST",
            None => "",
        };
        let aggregates = &self.config.aggregates;
        let mut items = vec!["user_id".to_string()];
        items.extend(aggregates.first.iter().map(|c| name("cat", c)));
        items.extend(aggregates.first_numeric.iter().map(|c| name("num", c)));
        items.push(format!(
            "RANK() OVER (PARTITION BY user_id ORDER BY rel, time_ns{order}) AS place"
        ));
        format!(
            "{}\nFROM timed\nWHERE rel < {}",
            select(&items),
            self.window()
        )
    }

    /// Value at the first event; the smallest where several events come first.
    fn firsts(&self) -> String {
        let aggregates = &self.config.aggregates;
        let mut items = vec!["user_id".to_string()];
        for column in &aggregates.first {
            let source = name("cat", column);
            items.push(format!(
                "CAST(MIN({source}) AS STRING) AS {}",
                name("first", column)
            ));
        }
        for column in &aggregates.first_numeric {
            items.push(format!(
                "MIN({}) AS {}",
                name("num", column),
                name("first", column)
            ));
        }
        format!(
            "{}\nFROM ranked\nWHERE place = 1\nGROUP BY user_id",
            select(&items)
        )
    }

    /// Most frequent value in the window; ties go to the smallest.
    fn mode(&self, column: &str) -> String {
        let (source, window) = (name("cat", column), self.window());
        let counted = format!(
            "SELECT user_id, {source}, COUNT(*) AS n\nFROM timed\n\
             WHERE rel < {window} AND {source} IS NOT NULL\nGROUP BY user_id, {source}"
        );
        let placed = format!(
            "SELECT user_id, {source},\n  \
             ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY n DESC, {source}) AS place\n\
             FROM (\n{}\n) counted",
            indent(&counted)
        );
        format!(
            "SELECT user_id, CAST({source} AS STRING) AS {}\nFROM (\n{}\n) placed\nWHERE place = 1",
            name("mode", column),
            indent(&placed)
        )
    }

    fn last(&self) -> String {
        let mut items = vec!["c.user_id".to_string(), "c.reg_day".into(), self.status()];
        items.extend(self.day_columns());
        items.extend(self.window_columns());
        items.extend(self.category_columns());
        items.extend(self.calendar_columns());
        if self.with_users {
            let users = &self.config.users;
            let copy = |kind: &str, c: &String| format!("c.{} AS {}", name(kind, c), identifier(c));
            items.extend(users.profile.iter().map(|c| copy("profile", c)));
            items.extend(users.keep.iter().map(|c| copy("keep", c)));
        }
        items.extend(self.label_columns());
        let mut joins = String::from("\nLEFT JOIN totals t ON t.user_id = c.user_id");
        joins += "\nLEFT JOIN labels l ON l.user_id = c.user_id";
        if columns::reads_firsts(self.config) {
            joins += "\nLEFT JOIN firsts f ON f.user_id = c.user_id";
        }
        for index in 0..self.config.aggregates.mode.len() {
            joins += &format!("\nLEFT JOIN mode_{index} m{index} ON m{index}.user_id = c.user_id");
        }
        joins += "\nLEFT JOIN calendar k ON k.day = c.reg_day";
        format!(
            "{}\nFROM chosen c{joins}\nORDER BY c.user_id",
            select(&items)
        )
    }

    /// DESIGN section 8.
    fn status(&self) -> String {
        let (as_of, window, span) = (self.as_of, self.window(), self.span());
        format!(
            "CASE WHEN c.first_day IS NULL THEN 'no_events'\n       \
             WHEN c.reg_day + {window} > {as_of} THEN 'observing'\n       \
             WHEN c.reg_day + {span} <= {as_of} THEN 'past_horizon'\n       \
             ELSE 'active' END AS status"
        )
    }

    /// A day that is not over by the as-of day is missing, not zero.
    fn day_columns(&self) -> Vec<String> {
        let mut items = vec![];
        for sequence in &self.config.sequences {
            for day in 0..self.window() {
                let target = columns::day_column(&sequence.name, day as u32);
                items.push(format!(
                    "CASE WHEN c.reg_day + {day} < {} THEN {} END AS {}",
                    self.as_of,
                    or_zero(&name("day", &target)),
                    identifier(&target)
                ));
            }
        }
        items
    }

    fn window_columns(&self) -> Vec<String> {
        let mut items = vec![
            format!("{} AS n_events", or_zero("n_events")),
            format!("{} AS active_days", or_zero("active_days")),
            "CAST(t.recency AS DOUBLE) AS recency".to_string(),
        ];
        if let Some(value) = &self.config.events.value {
            items.push(format!("{} AS value_sum", or_zero(&name("sum", value))));
            items.push(format!("{} AS value_mean", mean(value)));
            items.push(format!("t.{} AS value_max", name("max", value)));
        }
        let aggregates = &self.config.aggregates;
        items.extend(
            aggregates
                .mean
                .iter()
                .map(|c| format!("{} AS {}", mean(c), name("mean", c))),
        );
        items.extend(
            aggregates
                .max
                .iter()
                .map(|c| format!("t.{}", name("max", c))),
        );
        items
    }

    fn category_columns(&self) -> Vec<String> {
        let aggregates = &self.config.aggregates;
        let firsts = aggregates.first.iter().chain(&aggregates.first_numeric);
        let mut items: Vec<_> = firsts.map(|c| format!("f.{}", name("first", c))).collect();
        let modes = aggregates.mode.iter().enumerate();
        items.extend(modes.map(|(i, c)| format!("m{i}.{}", name("mode", c))));
        items
    }

    fn calendar_columns(&self) -> Vec<String> {
        columns::calendar(self.config)
            .into_iter()
            .map(|(target, source, _)| format!("k.{source} AS {target}"))
            .collect()
    }

    fn label_columns(&self) -> Vec<String> {
        let item = |&n: &u32| {
            format!(
                "CASE WHEN c.reg_day + {} > {} THEN NULL\n       \
                 WHEN l.label_{n} > 0 THEN CAST(l.label_{n} AS DOUBLE)\n       \
                 ELSE CAST(0 AS DOUBLE) END AS ltv_{n}",
                self.window() + n as i32,
                self.as_of
            )
        };
        self.config
            .dataset
            .horizons
            .days()
            .iter()
            .map(item)
            .collect()
    }
}

/// A total that is 0 for users without events.
fn or_zero(column: &str) -> String {
    format!("COALESCE(CAST(t.{column} AS DOUBLE), CAST(0 AS DOUBLE))")
}

/// Mean over the events whose value is known; null where there is none.
fn mean(column: &str) -> String {
    let (sum, known) = (name("sum", column), name("known", column));
    format!("CAST(t.{sum} AS DOUBLE) / CAST(NULLIF(t.{known}, 0) AS DOUBLE)")
}
