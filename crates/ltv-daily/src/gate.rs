//! What must hold before anything of a day goes live, and whether it does.
//!
//! Three gates: of the data, before anything is learned from it; of the new model, beside the one that serves; and
//! of the scores, beside those that are live. Every check says what was found, and what the limit was.

use crate::{
    census::{BEFORE, ByValue, Census, Moments},
    config::Gate,
    judge::Judged,
};
use ltv_core::Day;
use ltv_data::features::LogDay;
use ltv_eval::{Direction, HorizonResult, Metric, Psi, Scope, Scores};
use ltv_score::diff::Diff;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Standard errors that a difference must exceed, beside its limit: a day brings some ten comparisons, and chance
/// must not stop it in a lifetime.
const EVIDENCE: f64 = 5.0;
/// Newcomers that a value must have had in a day, to be missed when it has none.
const MISSED: f64 = 20.0;
/// Newcomers that a value must be expected to have, to be looked at by itself.
const COUNTABLE: f64 = 10.0;
/// Days of the log that a day is compared with, at least.
const LEAST_DAYS: usize = 7;
/// Test users, and those of them with value, that calibration is judged by.
const LEAST_ROWS: u64 = 50;
const LEAST_POSITIVES: u64 = 30;
/// Relative movement of half of the users from which on it matters how values are distributed.
const MOVED: f64 = 0.1;
/// The new model, among the prediction sets.
pub(crate) const CANDIDATE: &str = "candidate";
/// The model that serves.
pub(crate) const CHAMPION: &str = "champion";
/// Sorting by what users did in the window.
pub(crate) const TRIVIAL: &str = "trivial sort";

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Which gate it belongs to: `data`, `model`, `scores`.
    pub gate: String,
    /// The option that says where the limit is.
    pub option: String,
    /// What was looked at, in words.
    pub what: String,
    /// What was found; absent where there was nothing to look at.
    pub found: Option<f64>,
    /// The limit; absent where there is none.
    pub limit: Option<f64>,
    /// Whether it holds.
    pub passed: bool,
}

impl Check {
    fn new(gate: &str, option: &str, what: String, found: f64, limit: f64, passed: bool) -> Self {
        Self {
            gate: gate.to_owned(),
            option: option.to_owned(),
            what,
            found: found.is_finite().then_some(found),
            limit: limit.is_finite().then_some(limit),
            passed,
        }
    }

    /// Something that could not be looked at, and whether that is as it should be.
    pub(crate) fn blind(gate: &str, what: String, passed: bool) -> Self {
        Self::new(gate, "accept", what, f64::NAN, f64::NAN, passed)
    }

    /// What is wrong, in words.
    pub fn reason(&self) -> String {
        match (self.found, self.limit) {
            (Some(found), Some(limit)) => {
                format!(
                    "{}: {found:.4}, and gate.{} is {limit}",
                    self.what, self.option
                )
            }
            (None, Some(limit)) => format!("{}, and gate.{} is {limit}", self.what, self.option),
            _ => self.what.clone(),
        }
    }
}

/// What a gate found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) passed: bool,
    /// Whether it passed because somebody said so.
    #[serde(default)]
    pub(crate) accepted: bool,
    pub(crate) checks: Vec<Check>,
}

impl Verdict {
    /// Of checks; `accept` lets them pass whatever they say.
    pub(crate) fn of(checks: Vec<Check>, accept: bool) -> Self {
        let passed = checks.iter().all(|check| check.passed);
        Self {
            passed: passed || accept,
            accepted: accept && !passed,
            checks,
        }
    }
}

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
fn log_days(days: &[LogDay], since: Day, gate: &Gate) -> Vec<Check> {
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
fn fresh_labels(days: u32, fresh: &Moments, before: &Moments, gate: &Gate) -> Option<Check> {
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
fn mixes(new: &Census, gate: &Gate) -> Vec<Check> {
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

/// The checks of a new model beside the one that serves.
pub(crate) fn model(judged: &Judged, gate: &Gate) -> Vec<Check> {
    let unknown = judged.unknown.iter().map(|days| {
        let what = format!("no test user has a known label of {days} days yet: not judged");
        Check::new(
            "model",
            "calibration",
            what,
            f64::NAN,
            gate.calibration,
            true,
        )
    });
    let mut checks: Vec<Check> = unknown.collect();
    for cohort in &judged.horizons {
        let result = &cohort.result;
        let all = (result, &result.overall);
        checks.extend(calibration(all, "", (gate.calibration, "calibration")));
        for segment in &result.segments {
            for scope in &segment.values {
                let of = format!(" of {} '{}'", segment.name, scope.label);
                let limit = (gate.calibration_by, "calibration_by");
                checks.extend(calibration((result, scope), &of, limit));
            }
        }
        let Some(scores) = result.overall.set(CANDIDATE) else {
            continue;
        };
        checks.extend(
            gate.metrics
                .iter()
                .filter_map(|&m| not_worse(result, scores, m, gate)),
        );
        if gate.trivial {
            checks.extend(beats_sorting(result, scores));
        }
    }
    checks
}

/// A calibration ratio must not lie beyond the limit: so surely that it is not chance, and further than that of the
/// model that serves, which would score instead.
fn calibration(
    (result, scope): (&HorizonResult, &Scope),
    of: &str,
    (limit, option): (f64, &str),
) -> Option<Check> {
    let scores = scope.set(CANDIDATE)?;
    let what = format!("predicted over true ltv_{}{of}", result.horizon);
    if scope.rows < LEAST_ROWS || scope.positives < LEAST_POSITIVES {
        let what = format!("{what}: {} users, too few to judge by", scope.rows);
        return Some(Check::blind("model", what, true));
    }
    let ratio = scores.value(Metric::CalibrationRatio)?;
    let (bias, error) = (scores.value(Metric::Bias)?, scores.value(Metric::BiasSe)?);
    let certain = bias.abs() > EVIDENCE * error;
    let distance = (ratio - 1.0).abs();
    let champion = scope
        .set(CHAMPION)
        .and_then(|s| s.value(Metric::CalibrationRatio));
    let better = champion.is_none_or(|theirs| distance > (theirs - 1.0).abs());
    let passed = !(distance > limit && certain && better);
    Some(Check::new("model", option, what, ratio, limit, passed))
}

/// The interval of the paired difference must not lie wholly beyond what is allowed.
fn not_worse(
    result: &HorizonResult,
    scores: &Scores,
    metric: Metric,
    gate: &Gate,
) -> Option<Check> {
    let champion = result.overall.set(CHAMPION)?.value(metric)?;
    let difference = scores.difference(metric)?;
    let (value, interval) = (difference.value?, difference.interval?);
    let allowed = gate.worse * champion.abs();
    let (loss, surely) = match metric.direction() {
        Direction::Lower => (value, interval.low),
        Direction::Higher => (-value, -interval.high),
        // Signs may differ: only what is a distance can be compared.
        _ => return None,
    };
    let what = format!(
        "{} of ltv_{}, lost since the model before, as a share",
        metric.name(),
        result.horizon
    );
    let share = if champion == 0.0 {
        0.0
    } else {
        loss / champion.abs()
    };
    Some(Check::new(
        "model",
        "worse",
        what,
        share,
        gate.worse,
        surely <= allowed,
    ))
}

/// The ranking must not be worse than that of last week's activity.
fn beats_sorting(result: &HorizonResult, scores: &Scores) -> Option<Check> {
    let sorted = result.overall.set(TRIVIAL)?.score(Metric::NormGini)?;
    let own = scores.score(Metric::NormGini)?;
    let (ours, theirs) = (own.value?, sorted.value?);
    let passed = own.interval?.high >= sorted.interval?.low;
    let what = format!(
        "normalised Gini of ltv_{} above that of sorting by activity",
        result.horizon
    );
    Some(Check::new(
        "model",
        "trivial",
        what,
        ours - theirs,
        0.0,
        passed,
    ))
}

/// The checks of new scores beside those that are live.
pub(crate) fn scores(
    diff: Option<&Diff>,
    order_violations: Option<u64>,
    aged_out: u64,
    gate: &Gate,
) -> Vec<Check> {
    let mut checks = vec![];
    if let Some(order_violations) = order_violations {
        let what = "users whose values fall with the horizon".to_owned();
        let (found, limit) = (order_violations as f64, gate.order_violations as f64);
        let passed = order_violations <= gate.order_violations;
        checks.push(Check::new(
            "scores",
            "order_violations",
            what,
            found,
            limit,
            passed,
        ));
    }
    let Some(diff) = diff else {
        return checks;
    };
    // Who is too old to be scored any more is not lost.
    let lost = diff.gone.saturating_sub(aged_out) as f64 / diff.old.rows.max(1) as f64;
    let (what, limit) = (
        "share of published users who are gone".to_owned(),
        gate.users_lost,
    );
    checks.push(Check::new(
        "scores",
        "users_lost",
        what,
        lost,
        limit,
        lost <= limit,
    ));
    for movement in &diff.horizons {
        let days = movement.horizon;
        if movement.old_of_both > 0.0 {
            let change = movement.new_of_both / movement.old_of_both - 1.0;
            let what = format!("change of ltv_{days} of the same users, in sum");
            let passed = change.abs() <= gate.movement;
            checks.push(Check::new(
                "scores",
                "movement",
                what,
                change,
                gate.movement,
                passed,
            ));
        }
        if let Some(psi) = movement.psi {
            let what = format!("how far the distribution of ltv_{days} has moved");
            // Where values lie close together, small steps lead from one bin to the next.
            let moved = movement.relative.is_some_and(|[median, ..]| median > MOVED);
            let passed = psi.value - 4.0 * psi.noise <= gate.movement_psi || !moved;
            let limit = gate.movement_psi;
            checks.push(Check::new(
                "scores",
                "movement_psi",
                what,
                psi.value,
                limit,
                passed,
            ));
        }
    }
    checks
}

#[cfg(test)]
mod tests;
