//! Snapshots whose parts are made by another engine, on many machines: each part is scored and written by
//! [`score_part`] wherever its rows are, and one process commits those that count.
//!
//! An engine may make a part several times, when a machine dies or is slow. Every try writes a
//! file of its own, and only what the engine returns to the one who commits is part of the snapshot. What is committed
//! has as many rows, and events, as were counted apart from it, and no user twice in one part. That parts hold
//! different users is the engine's to see to: the adapter to Spark compares a hash of all rows.

use crate::{
    ScoreError, ScoreOptions,
    batch::Rows,
    coalesced,
    output::check_output,
    part::{Made, PAST_HORIZON, Tally, write},
};
use arrow::{
    array::{Array, AsArray},
    compute::{cast, sum},
    datatypes::{DataType, Float64Type},
    error::ArrowError,
    record_batch::RecordBatch,
};
use ltv_core::{
    Day, Error, address,
    artefact::{self, AtomicFolder},
    manifest::{FileEntry, SnapshotManifest},
    predictor::Predictor,
    progress::Progress,
};
use ltv_data::{encoding::Encoder, part::PartFile};
use ltv_eval::Sum;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
};

/// Rows that are predicted at once, at least.
const ROWS: usize = 4096;
/// The column whose sum shows that no event was lost or came twice, where it is there.
const EVENTS: &str = "n_events";

/// A part that was scored: what travels from where it was made to where the snapshot is committed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoredPart {
    made: Made,
    /// The sum of `n_events`, where the rows have it.
    events: f64,
}

impl ScoredPart {
    /// Its file within the folder where parts are written; none where nobody got a row.
    pub fn file(&self) -> Option<&FileEntry> {
        self.made.file.as_ref()
    }

    /// Users who came: those who got a row, and those who were left out.
    pub fn rows(&self) -> u64 {
        self.made.rows()
    }
}

/// Scores rows into a file of its own, `name` in `folder`, and says what is to be known of it. The rows are those of a
/// dataset, ordered by user.
///
/// # Errors
/// As [`crate::score`].
pub fn score_part(
    model: &dyn Predictor,
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
    (folder, name): (&Path, &str),
    as_of: Day,
    options: &ScoreOptions,
    progress: &dyn Progress,
) -> Result<ScoredPart, ScoreError> {
    let encoder = Encoder::new(std::sync::Arc::new(model.encoding().clone()));
    let mut tally = Tally::new(model, options.monotone);
    let (mut file, mut first_row) = (None, 0);
    let mut events = Sum::default();
    let batches = coalesced(batches, ROWS);
    // The place of the rows, in messages.
    let place = Path::new(name);
    for batch in batches {
        let batch = batch.map_err(|e| {
            let hint = "make the rows again";
            Error::artefact(place, format!("its rows cannot be read ({e})"), hint)
        })?;
        let rows = Rows::of(&batch, name).map_err(|e| e.offset_by(first_row))?;
        tally.follow(&rows.users, place, first_row)?;
        first_row += batch.num_rows() as u64;
        progress.advance(batch.num_rows() as u64);
        events.add(sum_of(&batch, EVENTS)?);
        let encoded = encoder.encode(&batch, None)?;
        let (encoded, rows) = tally.wanted(options.past_horizon, encoded, rows)?;
        if rows.is_empty() {
            continue;
        }
        let predictions = rows.predict(model, &encoded)?;
        tally.count(&rows, &predictions)?;
        write(
            &mut file,
            folder,
            name,
            &rows.scored(model, &predictions, as_of)?,
        )?;
    }
    let file = file.map(PartFile::finish).transpose()?;
    Ok(ScoredPart {
        made: tally.finish(file),
        events: events.value(),
    })
}

/// The sum of a column of numbers, 0 where it is not there.
fn sum_of(batch: &RecordBatch, name: &str) -> Result<f64, ScoreError> {
    let Some(column) = batch.column_by_name(name) else {
        return Ok(0.0);
    };
    let numbers = cast(column, &DataType::Float64).map_err(ScoreError::internal)?;
    debug_assert_eq!(numbers.len(), batch.num_rows());
    Ok(sum(numbers.as_primitive::<Float64Type>()).unwrap_or(0.0))
}

/// What the parts of a snapshot must add up to, counted apart from them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Rows.
    pub rows: u64,
    /// Distinct users.
    pub users: u64,
    /// The sum of `n_events`, 0 where rows do not have it.
    pub events: f64,
}

/// Commits the snapshot `out` of parts whose files are in the folder `staging`, of the same file system: they are
/// moved, renamed in the order of `parts`, and the manifest is written last. Files of tries that do not count
/// stay where they are.
///
/// # Errors
/// When the parts do not add up to what is expected, or a file is not the one that was written: nothing
/// is then committed. When `out` holds anything but a snapshot, or is an address.
pub fn commit_parts(
    out: &Path,
    staging: &Path,
    parts: Vec<ScoredPart>,
    model: &dyn Predictor,
    (as_of, expected): (Day, Expected),
    options: &ScoreOptions,
) -> Result<SnapshotManifest, ScoreError> {
    address::check_output(out)?;
    check_output(out)?;
    check(out, &parts, expected)?;
    let folder = AtomicFolder::alone(out)?;
    let files = parts.iter().filter_map(ScoredPart::file);
    let files: Vec<FileEntry> = files
        .enumerate()
        .map(|(number, file)| taken(staging, folder.path(), number, file))
        .collect::<Result<_, _>>()?;
    let count = |of: fn(&Made) -> u64| parts.iter().map(|part| of(&part.made)).sum();
    let dropped: u64 = count(|made| made.dropped);
    let total = |t: usize| {
        let totals = parts.iter().map(|part| part.made.totals[t]);
        totals.collect::<Sum>().value()
    };
    let manifest = SnapshotManifest {
        format: SnapshotManifest::FORMAT.into(),
        version: SnapshotManifest::VERSION,
        as_of,
        model_id: model.model_id().to_owned(),
        model_blake3: options.model_blake3.clone(),
        // Whoever made the rows, it was no dataset of ours.
        input: None,
        horizons: model.horizons().clone(),
        decoding: options.decoding.clone(),
        rows: files.iter().map(|file| file.rows).sum(),
        dropped: BTreeMap::from_iter((dropped > 0).then_some((PAST_HORIZON.to_owned(), dropped))),
        projected: count(|made| made.projected),
        order_violations: count(|made| made.order_violations),
        monotone: options.monotone,
        totals: (0..model.horizons().len()).map(total).collect(),
        files,
    };
    manifest.write(folder.path())?;
    // Whatever arrived there in the meantime is not ours to remove.
    check_output(folder.target())?;
    folder.commit()?;
    Ok(manifest)
}

/// Every row once, and every event.
fn check(out: &Path, parts: &[ScoredPart], expected: Expected) -> Result<(), ScoreError> {
    let refused = |problem: String| -> Result<(), ScoreError> {
        let hint = "nothing was committed: make it again, from rows that stay the same";
        Err(Error::artefact(out, problem, hint).into())
    };
    let Expected {
        rows,
        users,
        events,
    } = expected;
    if rows != users {
        return refused(format!(
            "{rows} rows of {users} users, who would be there twice"
        ));
    }
    let found: u64 = parts.iter().map(ScoredPart::rows).sum();
    if found != rows {
        return refused(format!("{found} users were scored where there are {rows}"));
    }
    let mut seen = HashSet::new();
    let files = parts.iter().filter_map(ScoredPart::file);
    if let Some(file) = files.clone().find(|file| !seen.insert(&file.path)) {
        return refused(format!("the file '{}' came twice", file.path));
    }
    let mut seen = HashSet::new();
    if files.clone().any(|file| !seen.insert(&file.blake3)) {
        return refused("two files hold the same users".to_owned());
    }
    let sum = parts
        .iter()
        .map(|part| part.events)
        .collect::<Sum>()
        .value();
    // Whole numbers, exact in a sum of doubles far beyond any count of events.
    if sum != events {
        return refused(format!("{sum} events were seen where there are {events}"));
    }
    Ok(())
}

/// Moves the file of a part to its place in the snapshot.
fn taken(
    staging: &Path,
    to: &Path,
    number: usize,
    file: &FileEntry,
) -> Result<FileEntry, ScoreError> {
    let from: PathBuf = staging.join(&file.path);
    if artefact::checksum(&from)? != file.blake3 {
        let problem = "its checksum is not that of what was written";
        return Err(Error::artefact(&from, problem, "score again").into());
    }
    let name = PartFile::name(number);
    let target = to.join(&name);
    std::fs::rename(&from, &target).map_err(|e| Error::io(&target, "move a part to", e))?;
    Ok(FileEntry {
        path: name,
        ..file.clone()
    })
}
