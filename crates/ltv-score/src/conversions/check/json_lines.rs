//! Bodies of requests to Meta, one on each line.

use super::{Findings, in_time};
use crate::{
    ScoreError,
    conversions::{
        Platform,
        currency::Currency,
        identify,
        platform::{ACTION_SOURCES, BATCH, WEBSITE},
    },
};
use ltv_core::Error;
use serde_json::{Map, Value};
use std::{
    io::{BufRead, Read},
    path::Path,
};

/// Bytes of a line at most: a thousand events take far less.
const LONGEST: u64 = 64 << 20;

/// Keys of an event, and of the two tables in it.
const EVENT: [&str; 7] = [
    "event_name",
    "event_time",
    "event_id",
    "action_source",
    "event_source_url",
    "user_data",
    "custom_data",
];
const USER: [&str; 6] = ["em", "ph", "external_id", "fbc", "fbp", "client_user_agent"];
const CUSTOM: [&str; 3] = ["value", "currency", "predicted_ltv"];

/// Checks all lines.
pub(super) fn check(
    mut reader: impl BufRead,
    path: &Path,
    findings: &mut Findings,
) -> Result<Platform, ScoreError> {
    let mut bytes = vec![];
    for line in 1.. {
        bytes.clear();
        let read = reader.by_ref().take(LONGEST).read_until(b'\n', &mut bytes);
        if read.map_err(|e| Error::io(path, "read", e))? == 0 {
            break;
        }
        body(&bytes, line, findings)?;
    }
    Ok(Platform::Meta)
}

fn body(bytes: &[u8], line: u64, findings: &mut Findings) -> Result<(), ScoreError> {
    let parsed: Option<Value> = serde_json::from_slice(bytes).ok();
    let events = parsed
        .as_ref()
        .and_then(|body| body.as_object())
        .filter(|body| body.len() == 1);
    let Some(events) = events.and_then(|body| body.get("data")?.as_array()) else {
        findings.problem(line, "not a table with a list 'data'");
        return Ok(());
    };
    let fits = (1..=BATCH).contains(&events.len());
    findings.rule(fits, line, "a request holds 1 to 1000 events");
    for event in events {
        findings.rows += 1;
        match event.as_object() {
            Some(event) => one(event, line, findings)?,
            None => findings.problem(line, "an event is no table"),
        }
    }
    Ok(())
}

fn one(event: &Map<String, Value>, line: u64, findings: &mut Findings) -> Result<(), ScoreError> {
    let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or("");
    only(event, &EVENT, line, findings);
    let name = text("event_name");
    let named = !name.is_empty() && name.chars().count() <= Platform::Meta.longest_name();
    findings.rule(named, line, "event_name: empty, or too long");
    let source = text("action_source");
    findings.rule(
        ACTION_SOURCES.contains(&source),
        line,
        "action_source: not known",
    );
    let id = text("event_id");
    findings.rule(
        !id.is_empty() && !identify::has_address(id),
        line,
        "event_id: cannot be one",
    );
    findings.unique("event_id", &format!("{name}\n{id}"), line)?;
    // In seconds a moment has ten digits until 2286.
    let time = event.get("event_time").and_then(Value::as_i64);
    let time = time.filter(|time| (0..10_000_000_000).contains(time));
    findings.rule(
        time.is_some(),
        line,
        "event_time: not in whole seconds since 1970",
    );
    let oldest = Platform::Meta.oldest(source);
    let recent = in_time(findings.as_of, time.unwrap_or_default(), oldest);
    findings.rule(recent, line, "event_time: too old, or in the future");
    let table = |key: &str| {
        event
            .get(key)
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default()
    };
    let user_data = table("user_data");
    user(&user_data, line, findings);
    let page = !text("event_source_url").is_empty() && user_data.contains_key("client_user_agent");
    let address = identify::has_address(text("event_source_url"));
    findings.rule(
        !address,
        line,
        "event_source_url: an e-mail address may be in it",
    );
    let complete = source != WEBSITE || page;
    findings.rule(
        complete,
        line,
        "website needs event_source_url and client_user_agent",
    );
    custom(&table("custom_data"), line, findings);
    Ok(())
}

/// No key but these: what is not known may be personal data.
fn only(table: &Map<String, Value>, known: &[&str], line: u64, findings: &mut Findings) {
    let strange = table.keys().any(|key| !known.contains(&key.as_str()));
    findings.rule(!strange, line, "a parameter that is not known");
}

fn user(data: &Map<String, Value>, line: u64, findings: &mut Findings) {
    only(data, &USER, line, findings);
    for key in ["em", "ph", "external_id"] {
        let hash = |value: &Value| value.as_str().is_some_and(identify::is_hash);
        let hashes = |value: &Value| {
            value
                .as_array()
                .is_some_and(|all| !all.is_empty() && all.iter().all(hash))
        };
        let fine = data.get(key).is_none_or(hashes);
        findings.rule(fine, line, format!("{key}: not a list of SHA-256 hashes"));
    }
    for key in ["fbc", "fbp"] {
        let cookie = |value: &Value| value.as_str().is_some_and(identify::is_cookie);
        let fine = data.get(key).is_none_or(cookie);
        findings.rule(fine, line, format!("{key}: not as Meta's cookie has it"));
    }
    let agent = |value: &Value| {
        value
            .as_str()
            .is_some_and(|text| !identify::has_address(text))
    };
    let fine = data.get("client_user_agent").is_none_or(agent);
    let what = "client_user_agent: no text, or an e-mail address may be in it";
    findings.rule(fine, line, what);
    let known = data.keys().any(|key| key != "client_user_agent");
    findings.rule(known, line, "user_data: nothing to know a user by");
}

fn custom(data: &Map<String, Value>, line: u64, findings: &mut Findings) {
    only(data, &CUSTOM, line, findings);
    let currency = data.get("currency").and_then(Value::as_str);
    let currency = currency.and_then(Currency::of);
    findings.rule(currency.is_some(), line, "currency: none of ISO 4217");
    let value = data.get("value").and_then(Value::as_f64);
    match value.filter(|value| value.is_finite() && *value > 0.0) {
        Some(value) => findings.total += value,
        None => findings.problem(line, "value: no number above 0"),
    }
    let predicted = data.get("predicted_ltv").and_then(Value::as_f64);
    findings.rule(predicted == value, line, "predicted_ltv: not the value");
}
