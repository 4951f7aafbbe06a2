//! The gate of the data: the log day by day, what was known before, what is new.

use super::{Check, EVIDENCE};
use crate::{
    census::{BEFORE, ByValue, Census, Moments},
    config::Gate,
};
use ltv_core::Day;
use ltv_data::features::LogDay;
use ltv_eval::Psi;
use std::collections::BTreeSet;

/// Newcomers that a value must have had in a day, to be missed when it has none.
const MISSED: f64 = 20.0;
/// Newcomers that a value must be expected to have, to be looked at by itself.
const COUNTABLE: f64 = 10.0;
/// Days of the log that a day is compared with, at least.
const LEAST_DAYS: usize = 7;

/// The checks of a dataset beside the one before, of which `old` was counted where they can be compared; and of the
/// last days of the log, from which `since` on are new.
pub(crate) fn data(
    old: Option<&Census>,
    (new, days, since): (&Census, &[LogDay], Day),
    horizons: &[u32],
    gate: &Gate,
) -> Vec<Check> {
    let mut checks = log_days(days, since, gate);
    if let Some(old) = old {
        checks.extend(history(old, new, horizons, gate));
    }
    for (t, days) in horizons.iter().enumerate() {
        checks.extend(fresh_labels(*days, &new.fresh[t], &new.before[t], gate));
    }
    checks.extend(fresh_users(new, gate));
    checks.extend(mixes(new, gate));
    checks
}

/// Every new day of the log against the four weeks before it: its events, and what an event is worth.
pub(super) fn log_days(days: &[LogDay], since: Day, gate: &Gate) -> Vec<Check> {
    let mut checks = vec![];
    for (place, today) in days.iter().enumerate().filter(|(_, day)| day.day >= since) {
        let before = &days[place.saturating_sub(BEFORE as usize)..place];
        if before.len() < LEAST_DAYS {
            continue;
        }
        let day = today.day;
        let events: Vec<f64> = before.iter().map(|d| d.events as f64).collect();
        let what = format!("events of {day}, as a multiple of those of the days before");
        let (option, limit) = ("day_events", gate.day_events);
        checks.extend(unlike(&events, today.events as f64, (option, what, limit)));
        let worth = |d: &LogDay| d.value / d.events.max(1) as f64;
        let values: Vec<f64> = before.iter().filter(|d| d.events > 0).map(worth).collect();
        if today.events == 0 || values.iter().all(|v| *v == 0.0) {
            continue;
        }
        let what = format!("value of an event of {day}, as a multiple of those of the days before");
        let (option, limit) = ("day_value", gate.day_value);
        checks.extend(unlike(&values, worth(today), (option, what, limit)));
    }
    checks
}

/// Whether a number is not like those before it: beyond the limit, and beyond what these differ by.
fn unlike(before: &[f64], now: f64, (option, what, limit): (&str, String, f64)) -> Option<Check> {
    let n = before.len() as f64;
    let mean = before.iter().sum::<f64>() / n;
    if mean <= 0.0 {
        return None;
    }
    let variance = before.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    let factor = now / mean;
    let outside = factor > limit || factor < 1.0 / limit;
    let certain = (now - mean).abs() > EVIDENCE * variance.sqrt();
    Some(Check::new(
        "data",
        option,
        what,
        factor,
        limit,
        !(outside && certain),
    ))
}

/// What was known before must still be so.
fn history(old: &Census, new: &Census, horizons: &[u32], gate: &Gate) -> Vec<Check> {
    let lost = |what: String, before: u64, now: u64| {
        let share = 1.0 - now as f64 / before.max(1) as f64;
        let passed = share <= gate.users_lost;
        Check::new("data", "users_lost", what, share, gate.users_lost, passed)
    };
    let mut checks = vec![lost(
        "share of known users who are gone".into(),
        old.shared,
        new.shared,
    )];
    for (key, &before) in &old.shared_by {
        let now = new.shared_by.get(key).copied().unwrap_or(0);
        let (column, value) = key;
        let check = lost(format!("the same with {column} '{value}'"), before, now);
        // A handful of users may get another value.
        checks.extend((before as f64 >= MISSED || check.passed).then_some(check));
    }
    for (t, days) in horizons.iter().enumerate() {
        let [before, now] = [&old.known[t], &new.known[t]].map(Moments::total);
        if before <= 0.0 {
            continue;
        }
        let change = now / before - 1.0;
        let what = format!("change of the labels of {days} days that were known before, in sum");
        let (limit, passed) = (gate.labels_changed, change.abs() <= gate.labels_changed);
        checks.push(Check::new(
            "data",
            "labels_changed",
            what,
            change,
            limit,
            passed,
        ));
    }
    checks
}

/// Labels of the last cohort against those of the cohorts before.
pub(super) fn fresh_labels(
    days: u32,
    fresh: &Moments,
    before: &Moments,
    gate: &Gate,
) -> Option<Check> {
    if fresh.rows == 0 || before.total() <= 0.0 {
        return None;
    }
    let factor = fresh.mean() / before.mean();
    // A few users who are all alike tell nothing of how far users differ.
    let variance = fresh.variance().max(before.variance());
    let error = (variance / fresh.rows as f64 + variance / before.rows as f64).sqrt();
    let certain = (fresh.mean() - before.mean()).abs() > EVIDENCE * error;
    let outside = factor > gate.fresh_labels || factor < 1.0 / gate.fresh_labels;
    let what =
        format!("labels of {days} days that have become known, as a multiple of those before");
    let limit = gate.fresh_labels;
    Some(Check::new(
        "data",
        "fresh_labels",
        what,
        factor,
        limit,
        !(outside && certain),
    ))
}

/// Newcomers of a day against those of the days before.
fn fresh_users(new: &Census, gate: &Gate) -> Option<Check> {
    let expected = new.predecessors as f64 * f64::from(new.days) / f64::from(BEFORE);
    if expected < MISSED {
        return None;
    }
    let found = new.newcomers as f64;
    let factor = found / expected;
    let certain = (found - expected).abs() > EVIDENCE * (expected + expected.powi(2) * 0.01).sqrt();
    let outside = factor > gate.fresh_users || factor < 1.0 / gate.fresh_users;
    let (what, limit) = (
        "newcomers, as a multiple of those before".to_owned(),
        gate.fresh_users,
    );
    Some(Check::new(
        "data",
        "fresh_users",
        what,
        factor,
        limit,
        !(outside && certain),
    ))
}

/// The mix of newcomers, by each column, against that of the days before.
pub(super) fn mixes(new: &Census, gate: &Gate) -> Vec<Check> {
    let columns: BTreeSet<&String> = new
        .predecessors_by
        .keys()
        .map(|(column, _)| column)
        .collect();
    columns
        .into_iter()
        .flat_map(|column| mix(column, new, gate))
        .collect()
}

fn mix(column: &str, new: &Census, gate: &Gate) -> Vec<Check> {
    let of = |counts: &ByValue, value: &String| {
        let key = (column.to_owned(), value.clone());
        counts.get(&key).copied().unwrap_or(0)
    };
    let sides = [&new.predecessors_by, &new.newcomers_by];
    let values = sides.iter().flat_map(|side| side.keys());
    let own = values.filter(|(name, _)| name == column);
    let values: BTreeSet<&String> = own.map(|(_, value)| value).collect();
    let [before, now] =
        sides.map(|side| -> Vec<u64> { values.iter().map(|v| of(side, v)).collect() });
    let mut checks: Vec<Check> = moved_mix(column, &before, &now, gate).into_iter().collect();
    let (all, total) = (new.newcomers as f64, before.iter().sum::<u64>() as f64);
    for (value, (&before, &now)) in values.iter().zip(before.iter().zip(&now)) {
        let expected = before as f64 / total.max(1.0) * all;
        if expected >= MISSED && now == 0 {
            let what =
                format!("newcomers with {column} '{value}', where {expected:.0} were expected");
            let limit = gate.values_psi;
            checks.push(Check::new(
                "data",
                "values_psi",
                what,
                0.0,
                limit,
                limit.is_infinite(),
            ));
        }
    }
    checks
}

/// How far the mix has moved, beyond chance; values that are too rare for a day are put together.
fn moved_mix(column: &str, before: &[u64], now: &[u64], gate: &Gate) -> Option<Check> {
    let (n, m) = (
        before.iter().sum::<u64>() as f64,
        now.iter().sum::<u64>() as f64,
    );
    let countable = |&b: &u64| b as f64 / n.max(1.0) * m >= COUNTABLE;
    let pairs = before.iter().zip(now);
    let (common, rare): (Vec<_>, Vec<_>) = pairs.partition(|(b, _)| countable(b));
    let mut sides: [Vec<u64>; 2] = [
        common.iter().map(|(b, _)| **b).collect(),
        common.iter().map(|(_, a)| **a).collect(),
    ];
    let others = rare
        .iter()
        .fold((0, 0), |(b, a), (x, y)| (b + **x, a + **y));
    if countable(&others.0) {
        sides[0].push(others.0);
        sides[1].push(others.1);
    }
    let psi = Psi::new(&sides[0], &sides[1])?;
    // In large samples a multiple of a chi-squared variable, whose mean is the noise.
    let freedom = sides[0].len().saturating_sub(1).max(1) as f64;
    let chance = psi.noise * (1.0 + EVIDENCE * (2.0 / freedom).sqrt());
    let what = format!("how far the mix of newcomers by {column} has moved");
    let passed = psi.value - chance <= gate.values_psi;
    Some(Check::new(
        "data",
        "values_psi",
        what,
        psi.value,
        gate.values_psi,
        passed,
    ))
}
