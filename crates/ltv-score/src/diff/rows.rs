//! The users of a snapshot and their values, row by row.

use crate::ScoreError;
use arrow::{
    array::{Array, AsArray},
    datatypes::{DataType, Float64Type, Int64Type},
    record_batch::RecordBatch,
};
use ltv_core::{Error, Horizons, manifest::SnapshotManifest, progress::Progress};
use ltv_files::{Part, Place};
use std::{fmt::Display, path::Path};

const AGAIN: &str = "the file was changed or damaged: make the snapshot again";

/// One user.
pub(super) struct Row<'a> {
    /// The id itself where it is a number, and 128 bits of its BLAKE3 hash where it is text.
    pub(super) user: u128,
    /// `ltv_<N>` for each horizon.
    pub(super) values: &'a [f64],
}

/// Whether ids are of one type, as far as the first files tell.
pub(super) fn check_types(
    old: (&Place, &SnapshotManifest),
    new: (&Place, &SnapshotManifest),
) -> Result<(), ScoreError> {
    let kind = |(place, manifest): (&Place, &SnapshotManifest)| match manifest.files.first() {
        None => Ok(None),
        Some(file) => {
            let part = Part::open(place, file)?;
            let column = part.schema().field_with_name("user_id");
            let column = column.map_err(|_| damaged(part.path(), "no column 'user_id'"))?;
            Ok::<_, ScoreError>(Some(*column.data_type() == DataType::Int64))
        }
    };
    match (kind(old)?, kind(new)?) {
        (Some(one), Some(other)) if one != other => {
            let words = |number| if number { "whole numbers" } else { "text" };
            let problem = format!(
                "its user ids are {}, the other's {}",
                words(other),
                words(one)
            );
            let hint = "compare snapshots of the same users";
            Err(Error::artefact(new.0.name(), problem, hint).into())
        }
        _ => Ok(()),
    }
}

/// Calls `sink` with every row.
pub(super) fn read(
    place: &Place,
    manifest: &SnapshotManifest,
    progress: &dyn Progress,
    sink: &mut dyn FnMut(Row<'_>) -> Result<(), ScoreError>,
) -> Result<(), ScoreError> {
    let wanted: Vec<String> = std::iter::once("user_id".to_owned())
        .chain(manifest.horizons.columns())
        .collect();
    for entry in &manifest.files {
        let part = Part::open(place, entry)?;
        part.each(&wanted, &mut |batch, first| {
            each((batch, first), &manifest.horizons, part.path(), sink)?;
            progress.advance(batch.num_rows() as u64);
            Ok::<_, ScoreError>(())
        })?;
    }
    Ok(())
}

fn damaged(path: &Path, problem: impl Display) -> ScoreError {
    Error::artefact(path, problem.to_string(), AGAIN).into()
}

/// The rows of a batch before which so many were read.
fn each(
    (batch, before): (&RecordBatch, u64),
    horizons: &Horizons,
    path: &Path,
    sink: &mut dyn FnMut(Row<'_>) -> Result<(), ScoreError>,
) -> Result<(), ScoreError> {
    let missing = |name: &str| {
        damaged(
            path,
            format!("column '{name}' is missing or of another type"),
        )
    };
    let column = |name: &str| batch.column_by_name(name).ok_or_else(|| missing(name));
    let mut values = vec![];
    for name in horizons.columns() {
        let numbers = column(&name)?.as_primitive_opt::<Float64Type>();
        values.push(
            numbers
                .filter(|c| c.null_count() == 0)
                .ok_or_else(|| missing(&name))?,
        );
    }
    let ids = column("user_id")?;
    let mut row = vec![0.0; values.len()];
    for r in 0..batch.num_rows() {
        let user = user(ids, r).ok_or_else(|| missing("user_id"))?;
        for (to, column) in row.iter_mut().zip(&values) {
            *to = column.value(r);
        }
        let values = row.as_slice();
        if !values
            .iter()
            .all(|value| value.is_finite() && *value >= 0.0)
        {
            let row = before + r as u64 + 1;
            return Err(damaged(
                path,
                format!("row {row}: {values:?} is no prediction"),
            ));
        }
        sink(Row { user, values })?;
    }
    Ok(())
}

fn user(ids: &arrow::array::ArrayRef, row: usize) -> Option<u128> {
    if ids.is_null(row) {
        return None;
    }
    let hashed = |text: &str| {
        let hash = blake3::hash(text.as_bytes());
        let (start, _) = hash.as_bytes().split_first_chunk::<16>()?;
        Some(u128::from_le_bytes(*start))
    };
    match ids.data_type() {
        DataType::Int64 => Some(ids.as_primitive::<Int64Type>().value(row) as u64 as u128),
        DataType::Utf8 => hashed(ids.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => hashed(ids.as_string::<i64>().value(row)),
        DataType::Utf8View => hashed(ids.as_string_view().value(row)),
        _ => None,
    }
}
