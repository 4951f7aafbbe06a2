//! Properties of the query's text.

use super::house;
use crate::features::{feature_sql, printed_sql};
use ltv_core::config::Label;

#[test]
fn one_plain_statement() {
    let config = house::with_users(house::full_config(19_000, 7, Label::Value), true);
    for with_users in [false, true] {
        let sql = feature_sql(&config, with_users);
        assert!(sql.starts_with("WITH ") && !sql.contains(';'));
        let balance = |open, close| sql.matches(open).count() == sql.matches(close).count();
        assert!(balance('(', ')') && sql.matches('"').count().is_multiple_of(2));
        assert!(sql.trim_end().ends_with("ORDER BY c.user_id"));
        let upper = sql.to_uppercase();
        for word in [
            "ARRAY", "UNNEST", "DATE_", "EXTRACT", "INTERVAL", "FILTER", "::", "QUALIFY",
        ] {
            assert!(!upper.contains(word), "{word}");
        }
        assert_eq!(
            sql.contains("FROM first_event f\n  FULL OUTER JOIN users"),
            with_users
        );
    }
}

#[test]
fn reads_only_days_before_the_as_of_day() {
    let sql = feature_sql(&house::full_config(19_000, 7, Label::ActiveDays), false);
    let body = |start: &str| {
        let from = sql.find(start).unwrap();
        sql[from..].split("\n),").next().unwrap().to_string()
    };
    // `events` is read in two places, and bounded in both.
    assert_eq!(sql.matches("FROM events").count(), 2);
    assert!(body("first_event AS (").contains("WHERE day < 19000"));
    assert!(body("timed AS (").contains("e.day < 19000"));
    assert!(sql.contains("c.reg_day + 10 > 19000 THEN NULL"));
}

#[test]
fn names_are_quoted_where_needed() {
    let mut config = house::with_users(house::full_config(19_000, 2, Label::Value), true);
    config.users.profile = vec!["Land \"A\"".into(), "order".into(), "plain".into()];
    let sql = feature_sql(&config, true);
    assert!(sql.contains(r#"c."profile_Land ""A""" AS "Land ""A""""#));
    assert!(sql.contains(r#"c.profile_order AS "order""#));
    assert!(sql.contains("c.profile_plain AS plain"));
    assert!(sql.contains("SUM(CASE WHEN rel = 1 THEN n END) AS day_cnt_d1"));
    assert!(sql.contains("SUM(CAST(num_value AS DECIMAL(20, 6)))"));
}

/// Comments stay comments whatever a column is called, and name every column that is read.
#[test]
fn the_printed_statement_says_what_it_reads() {
    let mut config = house::with_users(house::full_config(19_000, 2, Label::Value), true);
    config.events.order = Some("seq".into());
    config.users.keep = vec!["two\nlines; DROP".into()];
    let (printed, sql) = (printed_sql(&config, true), feature_sql(&config, true));
    let comments = printed.strip_suffix(&sql).unwrap();
    assert!(
        comments
            .lines()
            .all(|l| l.is_empty() || l.starts_with("--")),
        "{comments}"
    );
    for column in [
        "user_id <- user_id",
        "day <- \"timestamp\"",
        "time_ns <- \"timestamp\"",
        "event_order <- seq",
        "num_size <- size",
        "\"cat_Word\" <- \"Word\"",
        "reg_day <- signup",
        "profile_channel <- channel",
    ] {
        assert!(
            comments.contains(&format!("--   {column}: ")),
            "{column}\n{comments}"
        );
    }
    assert!(
        comments.contains("'1' on 2022-01-05, 2021-12-29, else"),
        "{comments}"
    );
    config.holidays = Default::default();
    assert!(!printed_sql(&config, false).contains("holiday"));
    assert!(!printed_sql(&config, false).contains("-- users"));
}
