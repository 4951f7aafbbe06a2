//! Standard error, line by line: text for people, or one JSON object a line for programs
//! (docs/formats/log.md).

use clap::ValueEnum;
use ltv_core::Day;
use serde::Serialize;
use std::{
    io::{Write, stderr},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// Whether lines are JSON: one choice for the whole process, which a panic can still ask for.
static JSON: AtomicBool = AtomicBool::new(false);

impl Format {
    /// From now on lines are written so.
    pub(crate) fn choose(self) {
        JSON.store(self == Self::Json, Ordering::Relaxed);
    }

    /// How lines are written now.
    pub(crate) fn chosen() -> Self {
        if JSON.load(Ordering::Relaxed) {
            Self::Json
        } else {
            Self::Text
        }
    }

    /// What a command line asks for that could not be read as a whole.
    pub(crate) fn asked(arguments: impl IntoIterator<Item = String>) -> Self {
        let mut value = false;
        for argument in arguments {
            if argument == "--log-format=json" || (value && argument == "json") {
                return Self::Json;
            }
            value = argument == "--log-format";
        }
        Self::Text
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    StageStarted,
    StageProgress,
    StageFinished,
    Note,
    Request,
    Warning,
    Error,
}

/// Whose concern a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Input, options or disk are to be put right.
    User,
    /// A defect of this program.
    Internal,
    /// A signal stopped it.
    Stopped,
    /// A gate of the daily loop did not let something pass.
    Gate,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    Info,
    Warning,
    Error,
}

/// One line. Fields without a value are left out.
#[derive(Debug, Serialize)]
pub(crate) struct Entry<'a> {
    pub(crate) time: String,
    pub(crate) level: Level,
    pub(crate) event: Event,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stage: Option<&'a str>,
    /// Units that are done, and of how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) done: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) total: Option<u64>,
    /// Units in a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rate: Option<f64>,
    /// Since the stage began, and until it is over, about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seconds_left: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<&'a str>,
    /// The exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<Kind>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<Answered<'a>>,
}

/// A request that a server answered.
#[derive(Debug, Serialize)]
pub(crate) struct Answered<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) method: &'static str,
    pub(crate) route: &'static str,
    /// Of HTTP.
    pub(crate) status: u16,
    /// Whose token came with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client: Option<&'a str>,
    /// Why it was refused or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<&'static str>,
}

impl<'a> Entry<'a> {
    /// Of now, with nothing but what happened.
    pub(crate) fn new(event: Event) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            time: rfc3339(now.unwrap_or_default()),
            level: match event {
                Event::Warning => Level::Warning,
                Event::Error => Level::Error,
                _ => Level::Info,
            },
            event,
            stage: None,
            done: None,
            total: None,
            rate: None,
            seconds: None,
            seconds_left: None,
            message: None,
            code: None,
            kind: None,
            request: None,
        }
    }

    /// Of now, in words.
    pub(crate) fn saying(event: Event, message: &'a str) -> Self {
        Self {
            message: Some(message),
            ..Self::new(event)
        }
    }

    /// As one line of JSON.
    pub(crate) fn json(&self) -> String {
        // Texts, numbers and units: there is nothing in it that JSON lacks.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Writes a line in one piece. A reader that went away is no reason to stop.
pub(crate) fn write(line: &str) {
    let _ = stderr().lock().write_all(format!("{line}\n").as_bytes());
}

/// Why the program ends, in one message.
pub(crate) fn error(message: &str, code: u8, kind: Kind) {
    match Format::chosen() {
        Format::Text => write(&format!("error: {message}")),
        Format::Json => {
            let entry = Entry {
                code: Some(code),
                kind: Some(kind),
                ..Entry::saying(Event::Error, message)
            };
            write(&entry.json());
        }
    }
}

/// A time since 1970 in UTC, to the millisecond: `2024-02-29T12:00:00.000Z`.
fn rfc3339(since: Duration) -> String {
    let (seconds, millis) = (since.as_secs(), since.subsec_millis());
    let day = Day(i32::try_from(seconds / 86_400).unwrap_or(i32::MAX));
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    format!(
        "{day}T{hours:02}:{minutes:02}:{:02}.{millis:03}Z",
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds as `date -u -d @N` writes them.
    #[test]
    fn times_are_those_of_the_calendar() {
        let text = |seconds, millis: u32| rfc3339(Duration::new(seconds, millis * 1_000_000));
        assert_eq!(text(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(951_827_696, 7), "2000-02-29T12:34:56.007Z");
        assert_eq!(text(1_700_000_000, 999), "2023-11-14T22:13:20.999Z");
    }

    #[test]
    fn the_format_is_found_in_a_line_that_is_wrong() {
        let asked = |line: &str| Format::asked(line.split(' ').map(String::from));
        assert_eq!(asked("train --log-format json --nonsense"), Format::Json);
        assert_eq!(asked("train --log-format=json"), Format::Json);
        assert_eq!(asked("train --log-format text json"), Format::Text);
        assert_eq!(asked("train --nonsense json"), Format::Text);
    }

    #[test]
    fn what_has_no_value_is_left_out() {
        let entry = Entry {
            time: "now".into(),
            ..Entry::saying(Event::Warning, "a \"quoted\"\nline")
        };
        let expected =
            r#"{"time":"now","level":"warning","event":"warning","message":"a \"quoted\"\nline"}"#;
        assert_eq!(entry.json(), expected);
    }
}
