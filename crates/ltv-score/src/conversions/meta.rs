//! The Conversions API of Meta: one body of a request on each line.

use super::{
    platform::{BATCH, WEBSITE},
    rules::{Conversion, Rules},
};
use serde::Serialize;
use std::io::{self, Write};

/// The body of a request.
#[derive(Debug, Serialize)]
struct Body<'a> {
    data: &'a [Event],
}

#[derive(Debug, Serialize)]
struct Event {
    event_name: String,
    event_time: i64,
    event_id: String,
    action_source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_source_url: Option<String>,
    user_data: UserData,
    custom_data: CustomData,
}

#[derive(Debug, Serialize)]
struct UserData {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    em: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ph: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_id: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fbc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fbp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_user_agent: Option<String>,
}

#[derive(Debug, Serialize)]
struct CustomData {
    currency: String,
    value: f64,
    predicted_ltv: f64,
}

/// Events that wait for their body to be full.
#[derive(Default)]
pub(super) struct Bodies(Vec<Event>);

impl Bodies {
    pub(super) fn add(
        &mut self,
        out: &mut impl Write,
        rules: &Rules<'_>,
        row: Conversion,
    ) -> io::Result<()> {
        self.0.push(event(rules, row));
        match self.0.len() < BATCH {
            true => Ok(()),
            false => self.flush(out),
        }
    }

    /// Writes those that wait.
    pub(super) fn flush(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        serde_json::to_writer(&mut *out, &Body { data: &self.0 })?;
        self.0.clear();
        writeln!(out)
    }
}

fn event(rules: &Rules<'_>, row: Conversion) -> Event {
    let options = rules.options;
    let website = options.action_source == WEBSITE;
    let contact = row.contact;
    let list = |hash: Option<String>| hash.into_iter().collect();
    Event {
        event_name: options.name.trim().to_owned(),
        event_time: row.time,
        event_id: row.id,
        action_source: options.action_source.clone(),
        event_source_url: options.source_url.clone().filter(|_| website),
        user_data: UserData {
            em: list(contact.email),
            ph: list(contact.phone),
            external_id: list(contact.external_id),
            fbc: contact.fbc,
            fbp: contact.fbp,
            client_user_agent: contact.user_agent,
        },
        custom_data: CustomData {
            currency: rules.currency.code.to_owned(),
            value: row.value,
            predicted_ltv: row.value,
        },
    }
}
