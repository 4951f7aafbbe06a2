//! The users of a snapshot and their values, row by row.

use crate::ScoreError;
use arrow::{
    array::{Array, AsArray},
    datatypes::{DataType, Float64Type, Int64Type},
    record_batch::RecordBatch,
};
use ltv_core::{
    Error, Horizons,
    manifest::{FileEntry, SnapshotManifest},
    progress::Progress,
};
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder},
};
use std::{fmt::Display, fs::File, path::Path};

const AGAIN: &str = "the file was changed or damaged: make the snapshot again";
/// Rows read at a time.
const BATCH: usize = 8192;

/// One user.
pub(super) struct Row<'a> {
    /// The id itself where it is a number, and 128 bits of its BLAKE3 hash where it is text.
    pub(super) user: u128,
    /// `ltv_<N>` for each horizon.
    pub(super) values: &'a [f64],
}

/// Whether ids are of one type, as far as the first files tell.
pub(super) fn check_types(
    old: (&Path, &SnapshotManifest),
    new: (&Path, &SnapshotManifest),
) -> Result<(), ScoreError> {
    let kind = |(folder, manifest): (&Path, &SnapshotManifest)| match manifest.files.first() {
        None => Ok(None),
        Some(file) => {
            let (_, metadata) = open(folder, file)?;
            let column = metadata.schema().field_with_name("user_id");
            let path = folder.join(&file.path);
            let column = column.map_err(|_| damaged(&path, "no column 'user_id'"))?;
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
            Err(Error::artefact(new.0, problem, hint).into())
        }
        _ => Ok(()),
    }
}

/// Calls `sink` with every row.
pub(super) fn read(
    folder: &Path,
    manifest: &SnapshotManifest,
    progress: &dyn Progress,
    sink: &mut dyn FnMut(Row<'_>) -> Result<(), ScoreError>,
) -> Result<(), ScoreError> {
    for entry in &manifest.files {
        let path = folder.join(&entry.path);
        let (file, metadata) = open(folder, entry)?;
        let wanted: Vec<String> = std::iter::once("user_id".to_owned())
            .chain(manifest.horizons.columns())
            .collect();
        let mask =
            ProjectionMask::columns(metadata.parquet_schema(), wanted.iter().map(String::as_str));
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
            .with_projection(mask)
            .with_batch_size(BATCH)
            .build()
            .map_err(|e| damaged(&path, e))?;
        let mut rows = 0;
        for batch in reader {
            let batch = batch.map_err(|e| damaged(&path, e))?;
            each((&batch, rows), &manifest.horizons, &path, sink)?;
            rows += batch.num_rows() as u64;
            progress.advance(batch.num_rows() as u64);
        }
        if rows != entry.rows {
            let problem = format!("{rows} rows, but the manifest says {}", entry.rows);
            return Err(damaged(&path, problem));
        }
    }
    Ok(())
}

fn open(folder: &Path, entry: &FileEntry) -> Result<(File, ArrowReaderMetadata), ScoreError> {
    let path = folder.join(&entry.path);
    let file = File::open(&path).map_err(|e| Error::io(&path, "read", e))?;
    let bytes = file
        .metadata()
        .map_err(|e| Error::io(&path, "read", e))?
        .len();
    if bytes != entry.bytes {
        let problem = format!("{bytes} bytes, but the manifest says {}", entry.bytes);
        return Err(damaged(&path, problem));
    }
    let metadata = ArrowReaderMetadata::load(&file, Default::default());
    Ok((file, metadata.map_err(|e| damaged(&path, e))?))
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
