//! What must hold before anything of a day goes live, and whether it does.
//!
//! Three gates: of the data, before anything is learned from it; of the new model, beside the one that serves; and
//! of the scores, beside those that are live. Every check says what was found, and what the limit was.

mod data;
mod model;
mod scores;
#[cfg(test)]
mod tests;

pub(crate) use data::data;
pub(crate) use model::{CANDIDATE, CHAMPION, TRIVIAL, model};
pub(crate) use scores::scores;

use serde::{Deserialize, Serialize};

/// Standard errors that a difference must exceed, beside its limit: a day brings some ten comparisons, and chance
/// must not stop it in a lifetime.
const EVIDENCE: f64 = 5.0;

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
