//! Values of a snapshot as conversions for ad platforms, in the formats that these document.
//!
//! ```text
//!   snapshot (and that of the first upload)  --\                 judged,       without        written,
//!                                               sorted by user --> may be sent --> duplicates --> read back
//!   user table, addresses and numbers hashed --/
//! ```
//!
//! Rows are sorted outside memory, so that it does not grow with them, and come out in the order of users whatever
//! memory there is.

pub mod check;
mod contact;
mod currency;
mod google;
mod identify;
mod judge;
mod key;
mod meta;
mod options;
mod platform;
mod rules;
mod scores;
mod sorting;
mod sources;
mod table;
#[cfg(test)]
mod tests;
mod write;

pub use check::{Checked, check_conversions};
pub use contact::Unusable;
pub use options::{Columns, ConversionOptions, is_conversions};
use platform::PHYSICAL_STORE;
pub use platform::{Platform, Reason};
pub use sorting::Scratch;

use crate::ScoreError;
use currency::Currency;
use judge::{BEFORE, Judged, NOW, Rows};
use ltv_core::{Day, progress::Progress};
use rules::Rules;
use serde::{Deserialize, Serialize};
use sources::Sources;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use write::Written;

/// What was written, and what was left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exported {
    /// Always `ltv-conversions`.
    pub format: String,
    /// Version of the layout: 1.
    pub version: u32,
    /// For whom.
    pub platform: Platform,
    /// Name of the conversion, or of the event.
    pub name: String,
    /// Day on which it can be sent.
    pub as_of: Day,
    /// As-of date of the snapshot.
    pub snapshot_as_of: Day,
    /// The model that predicted.
    pub model_id: String,
    /// Days that values are of.
    pub horizon: u32,
    /// Code of the currency.
    pub currency: String,
    /// Largest value sent, where one was asked for.
    pub cap: Option<f64>,
    /// Users of the snapshot: those sent, and those left out.
    pub users: u64,
    /// Values sent.
    pub rows: u64,
    /// Their sum.
    pub total: f64,
    /// Users of the snapshot who were left out, by the first reason that applies.
    pub left_out: BTreeMap<Reason, u64>,
    /// Users of the table who are not in the snapshot.
    pub not_scored: u64,
    /// Identifiers of the table that could not be used.
    pub unusable: Unusable,
    /// What the platform asks for beyond each row, and the file does not have.
    pub warnings: Vec<String>,
}

impl Exported {
    /// Value of `format`.
    pub const FORMAT: &'static str = "ltv-conversions";
    /// Version this program writes.
    pub const VERSION: u32 = 1;

    /// Everybody was looked at, and somebody's value is sent.
    fn check(&self, action_source: &str) -> Result<(), ScoreError> {
        let sum = self.rows + self.left_out.values().sum::<u64>();
        if sum != self.users {
            let problem = format!("{sum} users of {} were looked at", self.users);
            return Err(ScoreError::internal(problem));
        }
        if self.rows == 0 {
            return Err(ScoreError::NothingToSend {
                platform: self.platform.name(),
                left_out: told(&self.left_out),
                hint: self.hint(action_source),
            });
        }
        Ok(())
    }

    /// What to do where nothing is left. Who is of a complete window may have converted too long ago for Meta.
    fn hint(&self, action_source: &str) -> &'static str {
        let left = |reason| self.left_out.contains_key(&reason);
        let recent = self.platform == Platform::Meta && action_source != PHYSICAL_STORE;
        match recent && (left(Reason::Status) || left(Reason::TooOld)) {
            true => {
                "Meta takes what happened in the last 7 days, and users are 'active' when their window is over: give \
                 --time of a later event, such as the last purchase, or a model with a window of less than 7 days, or \
                 --status observing"
            }
            false => "check the columns, the day and the options",
        }
    }
}

/// Writes the values of the snapshot in `snapshot`, of users whom the Parquet files in `users` know, to `out`.
///
/// # Errors
/// When an option is wrong; when the snapshot or a file of the table is not what it should be, or names a user twice;
/// when nothing is left to send; when files cannot be written.
pub fn conversions(
    snapshot: &Path,
    users: &[PathBuf],
    out: &Path,
    options: &ConversionOptions,
    progress: &dyn Progress,
) -> Result<Exported, ScoreError> {
    let options = &options.for_platform();
    let platform = options.check()?;
    let sources = Sources::open(snapshot, users, options)?;
    let rows = Rows::read(options, options.room(out), &sources, progress)?;
    let currency = Currency::parse(&options.currency)?;
    let first = sources.side(BEFORE).map(|side| side.manifest.as_of);
    let rules = Rules {
        options,
        platform,
        currency,
        as_of: sources.as_of,
        scale: rows.scale(NOW, currency),
        first: first.map(|day| (day, rows.scale(BEFORE, currency))),
    };
    let unusable = rows.unusable;
    let Judged {
        spool,
        left_out,
        not_scored,
    } = rows.judge(&rules, &sources, progress)?;
    let written = spool.write(&rules, out, progress)?;
    let found = Exported {
        not_scored,
        unusable,
        ..report(&rules, &sources, left_out, &written)
    };
    found.check(&options.action_source)?;
    written.file.commit()?;
    Ok(found)
}

fn report(
    rules: &Rules<'_>,
    sources: &Sources,
    mut left_out: BTreeMap<Reason, u64>,
    written: &Written,
) -> Exported {
    if written.duplicates > 0 {
        left_out.insert(Reason::Duplicate, written.duplicates);
    }
    let manifest = &sources.now.manifest;
    Exported {
        format: Exported::FORMAT.to_owned(),
        version: Exported::VERSION,
        platform: rules.platform,
        name: rules.options.name.trim().to_owned(),
        as_of: rules.as_of,
        snapshot_as_of: manifest.as_of,
        model_id: manifest.model_id.clone(),
        horizon: sources.horizon,
        currency: rules.currency.code.to_owned(),
        cap: rules.scale.cap,
        users: manifest.rows,
        rows: written.rows,
        total: written.total,
        left_out,
        not_scored: 0,
        unusable: Unusable::default(),
        warnings: written.warnings.clone(),
    }
}

/// Reasons and numbers, in words.
fn told(left_out: &BTreeMap<Reason, u64>) -> String {
    let told = left_out
        .iter()
        .map(|(reason, users)| format!("{users} {}", reason.words()));
    let told: Vec<String> = told.collect();
    match told.is_empty() {
        true => "no user in the snapshot".to_owned(),
        false => told.join(", "),
    }
}
