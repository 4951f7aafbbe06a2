//! What a command has to say when it is done: text for people or one JSON document for programs.

use crate::{exit::Failure, timing::Timing};
use ltv_core::config::Label;
use serde::Serialize;
use std::{
    fmt::Write as _,
    io::{self, ErrorKind, Write},
};

/// The result of a command, in both forms.
pub(crate) struct Report {
    text: String,
    json: serde_json::Value,
}

impl Report {
    /// Text for people beside the document for programs.
    pub(crate) fn new(text: impl Into<String>, json: &impl Serialize) -> Result<Self, Failure> {
        let json = serde_json::to_value(json).map_err(Failure::internal)?;
        Ok(Self {
            text: text.into(),
            json,
        })
    }

    /// The same with where the time went: in the end, or under `timing`.
    pub(crate) fn timed(mut self, timing: &Timing) -> Result<Self, Failure> {
        if timing.is_empty() {
            return Ok(self);
        }
        let summary = serde_json::to_value(timing.summary()).map_err(Failure::internal)?;
        if let Some(fields) = self.json.as_object_mut() {
            fields.insert("timing".to_owned(), summary);
        }
        self.text = format!("{}\n\n{}", self.text.trim_end(), timing.text());
        Ok(self)
    }

    /// Text, and the document.
    pub(crate) fn parts(self) -> (String, serde_json::Value) {
        (self.text, self.json)
    }

    /// Prints one of the two on standard output. A reader that went away (`| head`) is no error.
    pub(crate) fn print(&self, json: bool) -> Result<(), Failure> {
        let text = if json {
            format!("{:#}", self.json)
        } else {
            self.text.clone()
        };
        print(&text)
    }
}

/// Prints `text` and a line end on standard output.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush());
    match written {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(Failure::user(format!(
            "cannot write to standard output: {e}"
        ))),
        _ => Ok(()),
    }
}

/// Lines of a name and a value, values in one column.
#[derive(Default)]
pub(crate) struct Facts(Vec<(String, String)>);

impl Facts {
    /// Adds a line.
    pub(crate) fn add(&mut self, name: impl Into<String>, value: impl ToString) {
        self.0.push((name.into(), value.to_string()));
    }

    /// The lines under a title.
    pub(crate) fn text(&self, title: &str) -> String {
        let width = self.0.iter().map(|(n, _)| n.len()).max().unwrap_or(0);
        let mut out = format!("{title}\n");
        for (name, value) in &self.0 {
            let _ = writeln!(out, "  {name:width$}  {value}");
        }
        out
    }
}

/// A whole number with thousands apart: `1,234,567`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// What a label counts, in words.
pub(crate) fn label_words(label: Label) -> &'static str {
    match label {
        Label::ActiveDays => "active days",
        Label::Value => "value",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let texts = [0, 12, 999, 1000, 1_234_567].map(count);
        assert_eq!(texts, ["0", "12", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn values_of_facts_stand_in_a_column() {
        let mut facts = Facts::default();
        facts.add("rows", 3);
        facts.add("as of", "2024-01-01");
        assert_eq!(facts.text("a"), "a\n  rows   3\n  as of  2024-01-01\n");
    }
}
