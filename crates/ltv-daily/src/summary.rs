//! What is said of a day in the end.

use crate::gate::Check;
use ltv_core::Day;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How a day ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everyone is scored by a new model that passed.
    Published,
    /// The new model did not pass: everyone is scored by the one before.
    Kept,
    /// The data or the scores did not pass: nothing of this day is published.
    Stopped,
}

impl Outcome {
    /// Its name in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Kept => "kept",
            Self::Stopped => "stopped",
        }
    }
}

/// One day of the loop: what `ltv daily` says in the end, and `reports/<date>.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Always `ltv-daily`.
    pub format: String,
    /// Version of the layout: 1.
    pub version: u32,
    /// The as-of date: the first day whose events were not known.
    pub date: Day,
    /// How it ended.
    pub outcome: Outcome,
    /// The checks that failed, in words.
    pub reasons: Vec<String>,
    /// The checks that failed and were accepted for this day, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<String>,
    /// Users of the dataset.
    pub users: u64,
    /// Events that it is made of.
    pub events: u64,
    /// How the dataset was made.
    pub features: String,
    /// Rows that were made anew.
    pub made: u64,
    /// The model that was trained, if it came to that.
    pub candidate: Option<Candidate>,
    /// The model that scored.
    pub model: Option<String>,
    /// Users who were scored.
    pub scored: Option<u64>,
    /// The horizons, in days.
    pub horizons: Vec<u32>,
    /// Sums of predictions, one for each horizon.
    pub totals: Vec<f64>,
    /// The snapshot.
    pub snapshot: Option<PathBuf>,
    /// What the store says of what was published.
    pub published: Option<serde_json::Value>,
    /// All checks.
    pub checks: Vec<Check>,
    /// Where the time went.
    pub stages: Vec<StageTime>,
}

/// The model of a day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its id.
    pub model: String,
    /// The model that it went on from; `None` where it was trained from random weights.
    pub parent: Option<String>,
    /// Why so.
    pub how: String,
    /// The model that served until then.
    pub champion: Option<String>,
}

/// A stage and its time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageTime {
    /// Its name.
    pub stage: String,
    /// How long it took.
    pub seconds: f64,
    /// Whether an earlier attempt had done it.
    pub remembered: bool,
}

impl Summary {
    /// Value of `format`.
    pub const FORMAT: &'static str = "ltv-daily";
    /// Version this program writes.
    pub const VERSION: u32 = 1;
}
