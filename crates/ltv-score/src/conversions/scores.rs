//! The users of a snapshot, with the value and the status of each.

use crate::{
    ScoreError,
    users::{UserId, Users},
};
use arrow::{
    array::{Array, AsArray},
    compute::cast,
    datatypes::{DataType, Float64Type},
    record_batch::RecordBatch,
};
use ltv_core::{Error, manifest::SnapshotManifest, progress::Progress};
use ltv_files::{Part, Place};
use std::{fmt::Display, path::Path};

const AGAIN: &str = "the file was changed or damaged: make the snapshot again";

/// A user of a snapshot.
pub(super) struct Score {
    pub(super) user: UserId,
    /// Of the horizon, as predicted.
    pub(super) value: f64,
    /// Whether the status is one of those asked for.
    pub(super) wanted: bool,
}

/// What is wanted of a snapshot.
pub(super) struct Wanted<'a> {
    pub(super) horizon: u32,
    pub(super) status: &'a [String],
}

/// Whether the user ids are numbers; true where there are none.
pub(super) fn numbers(place: &Place, manifest: &SnapshotManifest) -> Result<bool, ScoreError> {
    let Some(file) = manifest.files.first() else {
        return Ok(true);
    };
    let part = Part::open(place, file)?;
    let column = part.schema().field_with_name("user_id");
    let column = column.map_err(|_| damaged(part.path(), "no column 'user_id'"))?;
    Ok(*column.data_type() == DataType::Int64)
}

/// Calls `sink` with every user, and the file and row, from 1, where they are.
pub(super) fn read(
    (place, manifest): (&Place, &SnapshotManifest),
    wanted: &Wanted<'_>,
    progress: &dyn Progress,
    sink: &mut dyn FnMut(Score, u32, u64) -> Result<(), ScoreError>,
) -> Result<(), ScoreError> {
    let column = format!("ltv_{}", wanted.horizon);
    let columns = ["user_id", "status", &column].map(str::to_owned);
    for (file, entry) in (0..).zip(&manifest.files) {
        let part = Part::open(place, entry)?;
        part.each(&columns, &mut |batch, first| {
            each(
                batch,
                (&column, wanted.status),
                part.path(),
                &mut |score, row| sink(score, file, first + row),
            )
            .map_err(|e| e.offset_by(first))?;
            progress.advance(batch.num_rows() as u64);
            Ok::<_, ScoreError>(())
        })?;
    }
    Ok(())
}

fn damaged(path: &Path, problem: impl Display) -> ScoreError {
    Error::artefact(path, problem.to_string(), AGAIN).into()
}

/// The rows of a batch, from 1.
fn each(
    batch: &RecordBatch,
    (value, status): (&str, &[String]),
    path: &Path,
    sink: &mut dyn FnMut(Score, u64) -> Result<(), ScoreError>,
) -> Result<(), ScoreError> {
    let wrong = |name: &str| {
        let problem = format!("column '{name}' is missing, of another type, or has gaps");
        damaged(path, problem)
    };
    let users = Users::of(batch, &path.display().to_string())?;
    let values = batch.column_by_name(value);
    let values = values.and_then(|column| column.as_primitive_opt::<Float64Type>());
    let values = values.filter(|column| column.null_count() == 0);
    let values = values.ok_or_else(|| wrong(value))?;
    let statuses = batch.column_by_name("status");
    let statuses = statuses.and_then(|column| cast(column, &DataType::Utf8).ok());
    let statuses = statuses.ok_or_else(|| wrong("status"))?;
    let statuses = statuses.as_string::<i32>();
    for row in 0..batch.num_rows() {
        let value = values.value(row);
        if !(value.is_finite() && value >= 0.0) {
            return Err(damaged(path, format!("{value} is no prediction")));
        }
        let is = |wanted: &String| statuses.is_valid(row) && wanted == statuses.value(row);
        let score = Score {
            user: users.id(row),
            value,
            wanted: status.iter().any(is),
        };
        sink(score, row as u64 + 1)?;
    }
    Ok(())
}
