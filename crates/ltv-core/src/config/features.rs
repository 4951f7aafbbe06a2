//! `ltv features`: which columns of which tables become which features and labels.

use crate::{Day, Error, Horizons, Result};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, path::PathBuf};

/// All options of `ltv features`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureConfig {
    /// The columns of the event log.
    #[serde(default)]
    pub events: EventColumns,
    /// The columns of the user table, where there is one.
    #[serde(default)]
    pub users: UserColumns,
    /// As-of date, window, horizons, label.
    pub dataset: DatasetOptions,
    /// Day-level sequences over the window (paper section 3.2).
    #[serde(default = "default_sequences")]
    pub sequences: Vec<Sequence>,
    /// Mean, largest, first and most frequent value of event columns over the window.
    #[serde(default)]
    pub aggregates: Aggregate,
    /// Holidays: a share of the window's days, and whether registration fell on one.
    #[serde(default)]
    pub holidays: Holidays,
}

fn default_sequences() -> Vec<Sequence> {
    vec![Sequence {
        name: "cnt".into(),
        measure: Measure::Count,
    }]
}

/// Columns of the event log: one row for each event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventColumns {
    /// Who: an integer or text column without nulls.
    pub user: String,
    /// When: a timestamp (read as UTC) or a date column without nulls.
    pub time: String,
    /// How much: a numeric column; needed when the label is `value`.
    pub value: Option<String>,
    /// Breaks ties among events of one user at one time; without it the smallest value wins.
    pub order: Option<String>,
}

impl Default for EventColumns {
    fn default() -> Self {
        Self {
            user: "user_id".into(),
            time: "timestamp".into(),
            value: None,
            order: None,
        }
    }
}

/// Columns of the user table: one row for each user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UserColumns {
    /// Who: the same type as in the event log.
    pub user: String,
    /// Registration date or timestamp; without it, the day of the user's first event.
    pub registration: Option<String>,
    /// Columns copied as features: channel, device, country, ... Text and integers become
    /// categories; floats become numbers.
    pub profile: Vec<String>,
    /// Columns copied to the dataset but never shown to the model (for example cost).
    pub keep: Vec<String>,
}

impl Default for UserColumns {
    fn default() -> Self {
        Self {
            user: "user_id".into(),
            registration: None,
            profile: vec![],
            keep: vec![],
        }
    }
}

/// What a dataset is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetOptions {
    /// First day whose events are not (fully) known. Nothing on or after it is read.
    pub as_of: Day,
    /// Length of the observation window in days, `1..=365`.
    #[serde(default = "default_window")]
    pub window_days: u32,
    /// Prediction horizons in days.
    #[serde(default)]
    pub horizons: Horizons,
    /// What a user is worth.
    pub label: Label,
    /// Only users registered on or after this day, if given.
    #[serde(default)]
    pub registered_from: Option<Day>,
    /// Only users registered before this day, if given.
    #[serde(default)]
    pub registered_before: Option<Day>,
}

fn default_window() -> u32 {
    7
}

/// What the label of a horizon counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// Distinct days with at least one event (the paper's label).
    ActiveDays,
    /// `max(0, sum of the value column)`: summed first, then floored at 0.
    Value,
}

/// A day-level sequence: one column for each day of the window, `<name>_d0`, `<name>_d1`, ...
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    /// Stem of the column names.
    pub name: String,
    /// What is added up over a day.
    pub measure: Measure,
}

/// What a sequence adds up over a day. In TOML: `"count"` or `{ sum = "column" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Number of events.
    Count,
    /// Sum of a numeric event column.
    Sum(String),
}

/// Aggregates of event columns over the window; empty lists for none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Aggregate {
    /// Numeric or boolean columns whose mean becomes `mean_<column>`.
    pub mean: Vec<String>,
    /// Numeric columns whose largest value becomes `max_<column>`.
    pub max: Vec<String>,
    /// Columns whose value at the first event becomes `first_<column>`, a category.
    pub first: Vec<String>,
    /// Numeric columns whose value at the first event becomes `first_<column>`, a number.
    pub first_numeric: Vec<String>,
    /// Columns whose most frequent value becomes `mode_<column>`; ties go to the smallest.
    pub mode: Vec<String>,
}

/// Which days are holidays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Holidays {
    /// Days given one by one.
    pub days: Vec<Day>,
    /// A text file with one `YYYY-MM-DD` on each line; `#` starts a comment.
    pub file: Option<PathBuf>,
    /// The calendar of `ltv simulate`.
    pub simulator: bool,
}

impl FeatureConfig {
    /// Without sequences, aggregates or holidays, on columns of the usual names.
    pub fn bare(dataset: DatasetOptions) -> Self {
        Self {
            events: EventColumns::default(),
            users: UserColumns::default(),
            dataset,
            sequences: vec![],
            aggregates: Aggregate::default(),
            holidays: Holidays::default(),
        }
    }

    /// Checks what types cannot: ranges, name clashes, columns that one option needs of another.
    ///
    /// # Errors
    /// Names the key, what is wrong and what would be right.
    pub fn check(&self) -> Result<()> {
        let window = self.dataset.window_days;
        if !(1..=365).contains(&window) {
            let problem = format!("{window} is not between 1 and 365 days");
            return Err(Error::config("dataset.window_days", problem));
        }
        if self.dataset.label == Label::Value && self.events.value.is_none() {
            let problem = "label = \"value\" needs the name of a numeric column of the event log";
            return Err(Error::config("events.value", problem));
        }
        if let (Some(from), Some(to)) =
            (self.dataset.registered_from, self.dataset.registered_before)
            && from >= to
        {
            let problem = format!("{from} is not before registered_before = {to}");
            return Err(Error::config("dataset.registered_from", problem));
        }
        self.check_names()
    }

    fn check_names(&self) -> Result<()> {
        let mut seen = BTreeSet::new();
        for sequence in &self.sequences {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if sequence.name.is_empty() || !sequence.name.chars().all(plain) {
                let problem = format!(
                    "'{}' is not a name of letters, digits and '_'",
                    sequence.name
                );
                return Err(Error::config("sequences.name", problem));
            }
            if !seen.insert(&sequence.name) {
                let problem = format!("'{}' is given twice", sequence.name);
                return Err(Error::config("sequences.name", problem));
            }
        }
        Ok(())
    }
}
