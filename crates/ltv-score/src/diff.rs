//! What moved from one snapshot to another: who came and went, how far values moved, and how the
//! distribution of each horizon changed.
//!
//! Users of both are met in bounded memory: rows are dealt out by a hash of the user into scratch files small
//! enough to be joined one pair after the other. Distributions are compared in a histogram of bounded size,
//! whose groups are less than 0.1 % wide.

mod deal;
mod rows;
#[cfg(test)]
mod tests;

use crate::ScoreError;
use deal::Deal;
use ltv_core::{
    Day, Error, Horizons,
    labels::LabelHistogram,
    manifest::{MANIFEST, SnapshotManifest},
    progress::Progress,
};
use ltv_eval::{
    Sum,
    drift::{self, Psi, Reading},
};
use ltv_files::Stores;
use rows::Row;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Bins that distributions are compared in: tenths of the old snapshot's users.
const BINS: u32 = 10;
/// Quantiles of relative movement that are reported.
const LEVELS: [f64; 3] = [0.5, 0.9, 0.99];

/// How to compare, as opposed to what.
#[derive(Debug, Clone, PartialEq)]
pub struct DiffOptions {
    /// From which relative change on a user counts as moved, 0 or more: 0.1 is a tenth of the old value.
    pub moved: f64,
    /// Bytes that users being met may take, about.
    pub memory: u64,
    /// Where scratch files go; they are gone when the comparison is.
    pub scratch: PathBuf,
}

impl Default for DiffOptions {
    /// A tenth, 256 MiB, and the system's folder for temporary files.
    fn default() -> Self {
        Self {
            moved: 0.1,
            memory: 256 << 20,
            scratch: std::env::temp_dir(),
        }
    }
}

/// What moved between two snapshots.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diff {
    /// Always `ltv-diff`.
    pub format: String,
    /// Version of the layout: 1.
    pub version: u32,
    /// The snapshot that is compared with.
    pub old: Side,
    /// The snapshot that is compared.
    pub new: Side,
    /// Users in both.
    pub both: u64,
    /// Users in the old one alone.
    pub gone: u64,
    /// Users in the new one alone.
    pub arrived: u64,
    /// From which relative change on a user counts as moved.
    pub moved_by: f64,
    /// What moved on each horizon, ascending.
    pub horizons: Vec<Movement>,
}

impl Diff {
    /// Value of `format`.
    pub const FORMAT: &'static str = "ltv-diff";
    /// Version this program writes.
    pub const VERSION: u32 = 1;
}

/// One of the two snapshots.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// Its as-of date.
    pub as_of: Day,
    /// Its model.
    pub model_id: String,
    /// How its values were decoded.
    pub decoding: String,
    /// Its users.
    pub rows: u64,
}

/// What moved on one horizon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Movement {
    /// Days.
    pub horizon: u32,
    /// Sum of the old values of all users, in label units.
    pub old_total: f64,
    /// Sum of the new values of all users.
    pub new_total: f64,
    /// The same of users in both.
    pub old_of_both: f64,
    /// The same of users in both.
    pub new_of_both: f64,
    /// Users in both whose value rose by more than the stated share, or from 0.
    pub up: u64,
    /// Users in both whose value fell by more than the stated share.
    pub down: u64,
    /// Median, P90 and P99 of `|new - old| / old` among users in both with an old value above 0; absent
    /// where there are none.
    pub relative: Option<[f64; 3]>,
    /// Population stability index of all users' values, in tenths of the old ones; absent where a side has no
    /// user.
    pub psi: Option<Psi>,
    /// The usual words for it.
    pub reading: Option<Reading>,
}

/// Compares the snapshot in `new` with the one in `old`: folders, or addresses `s3://bucket/prefix`.
///
/// # Errors
/// When either is no snapshot, lacks a file or has one of another length, or names a user twice; when they predict other
/// horizons, or their user ids are of different types; when scratch files cannot be written.
pub fn diff(
    old: &Path,
    new: &Path,
    options: &DiffOptions,
    progress: &dyn Progress,
) -> Result<Diff, ScoreError> {
    check_options(options)?;
    let stores = Stores::default();
    let (old, new) = (stores.place(old)?, stores.place(new)?);
    let before = SnapshotManifest::parse(old.name(), old.read(MANIFEST)?.as_deref())?;
    let after = SnapshotManifest::parse(new.name(), new.read(MANIFEST)?.as_deref())?;
    if before.horizons != after.horizons {
        let (found, expected) = (after.horizons.days(), before.horizons.days());
        let problem = format!("predicts {found:?} days, the other {expected:?}");
        let hint = "compare snapshots of models with the same horizons";
        return Err(Error::artefact(new.name(), problem, hint).into());
    }
    rows::check_types((&old, &before), (&new, &after))?;
    let rows = before.rows + after.rows;
    let width = before.horizons.len();
    let mut deal = Deal::new(rows, width, options)?;
    let mut tally = Tally::new(&before.horizons, options.moved);
    progress.start("diff", Some(rows));
    for (side, (place, manifest)) in [(&old, &before), (&new, &after)].into_iter().enumerate() {
        rows::read(place, manifest, progress, &mut |row| {
            tally.all(side, &row);
            deal.add(side, &row)
        })?;
    }
    for hand in 0..deal.hands() {
        let [old_rows, new_rows] = [deal.hand(0, hand)?, deal.hand(1, hand)?];
        tally.meet(&old_rows, &new_rows, (old.name(), new.name()))?;
    }
    progress.finish();
    Ok(tally.result(before, after))
}

fn check_options(options: &DiffOptions) -> Result<(), ScoreError> {
    if !(options.moved >= 0.0 && options.moved.is_finite()) {
        let problem = format!("{} is not a share of 0 or more", options.moved);
        return Err(Error::config("moved", problem).into());
    }
    Ok(())
}

/// What is counted on the way.
struct Tally {
    moved: f64,
    both: u64,
    movements: Vec<Movement>,
    /// Distributions of all users, old and new.
    values: Vec<[LabelHistogram; 2]>,
    relative: Vec<LabelHistogram>,
    /// Of users in both, old and new: what they add up to does not depend on the order in which they meet,
    /// but for the last digit.
    sums: Vec<[Sum; 2]>,
}

impl Tally {
    fn new(horizons: &Horizons, moved: f64) -> Self {
        let movement = |&horizon: &u32| Movement {
            horizon,
            old_total: 0.0,
            new_total: 0.0,
            old_of_both: 0.0,
            new_of_both: 0.0,
            up: 0,
            down: 0,
            relative: None,
            psi: None,
            reading: None,
        };
        Self {
            moved,
            both: 0,
            movements: horizons.days().iter().map(movement).collect(),
            values: vec![Default::default(); horizons.len()],
            relative: vec![LabelHistogram::default(); horizons.len()],
            sums: vec![Default::default(); horizons.len()],
        }
    }

    /// A row of either side.
    fn all(&mut self, side: usize, row: &Row<'_>) {
        for (values, &value) in self.values.iter_mut().zip(row.values) {
            values[side].add(value);
        }
    }

    /// Rows of both sides, by user, of the same share of users.
    fn meet(
        &mut self,
        old: &[(u128, Vec<f64>)],
        new: &[(u128, Vec<f64>)],
        folders: (&Path, &Path),
    ) -> Result<(), ScoreError> {
        check_users(old, folders.0)?;
        check_users(new, folders.1)?;
        let mut new = new.iter().peekable();
        for (user, old) in old {
            while new.next_if(|(other, _)| other < user).is_some() {}
            if let Some((_, new)) = new.next_if(|(other, _)| other == user) {
                self.pair(old, new);
            }
        }
        Ok(())
    }

    /// A user in both.
    fn pair(&mut self, old: &[f64], new: &[f64]) {
        self.both += 1;
        let pairs = old.iter().zip(new);
        let all = self.movements.iter_mut().zip(&mut self.relative);
        for (((movement, relative), sums), (&old, &new)) in all.zip(&mut self.sums).zip(pairs) {
            sums[0].add(old);
            sums[1].add(new);
            if old > 0.0 {
                relative.add((new - old).abs() / old);
            }
            let limit = self.moved * old;
            movement.up += u64::from(new - old > limit);
            movement.down += u64::from(old - new > limit);
        }
    }

    fn result(self, before: SnapshotManifest, after: SnapshotManifest) -> Diff {
        let horizons = self
            .movements
            .into_iter()
            .zip(&self.values)
            .zip(&self.relative);
        let finished = horizons
            .enumerate()
            .map(|(t, ((movement, values), relative))| {
                let [old, new] = values;
                let edges = drift::edges(old, BINS);
                let psi = Psi::new(&drift::counts(old, &edges), &drift::counts(new, &edges));
                Movement {
                    old_total: before.totals[t],
                    new_total: after.totals[t],
                    old_of_both: self.sums[t][0].value(),
                    new_of_both: self.sums[t][1].value(),
                    relative: (relative.count() > 0).then(|| LEVELS.map(|p| relative.quantile(p))),
                    reading: psi.map(|psi| psi.reading()),
                    psi,
                    ..movement
                }
            });
        Diff {
            format: Diff::FORMAT.to_owned(),
            version: Diff::VERSION,
            both: self.both,
            gone: before.rows - self.both,
            arrived: after.rows - self.both,
            moved_by: self.moved,
            horizons: finished.collect(),
            old: side(before),
            new: side(after),
        }
    }
}

fn side(manifest: SnapshotManifest) -> Side {
    Side {
        as_of: manifest.as_of,
        model_id: manifest.model_id,
        decoding: manifest.decoding,
        rows: manifest.rows,
    }
}

/// Fails when two rows, which are in the order of users, are of one.
fn check_users(rows: &[(u128, Vec<f64>)], folder: &Path) -> Result<(), ScoreError> {
    if rows.windows(2).all(|pair| pair[0].0 < pair[1].0) {
        return Ok(());
    }
    let problem = "names a user twice";
    let hint =
        "two of the scored datasets share users: make datasets of different users, and score again";
    Err(Error::artefact(folder, problem, hint).into())
}
