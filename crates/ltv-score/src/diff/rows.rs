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
use ltv_data::dataset::column_ranges;
use ltv_files::{FilesError, Input, Place, open_each};
use parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{
            ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
        },
    },
    errors::ParquetError,
    file::reader::Length,
};
use std::{fmt::Display, path::Path};

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
    old: (&Place, &SnapshotManifest),
    new: (&Place, &SnapshotManifest),
) -> Result<(), ScoreError> {
    let kind = |(place, manifest): (&Place, &SnapshotManifest)| match manifest.files.first() {
        None => Ok(None),
        Some(file) => {
            let (_, metadata) = open(place, file)?;
            let column = metadata.schema().field_with_name("user_id");
            let path = place.file(&file.path);
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
        let path = place.file(&entry.path);
        let (input, metadata) = open(place, entry)?;
        let mut rows = 0;
        for group in 0..metadata.metadata().num_row_groups() {
            for batch in reader((&input, &metadata), group, &wanted, &path)? {
                let batch = batch.map_err(|e| unreadable(&path, e.into()))?;
                each((&batch, rows), &manifest.horizons, &path, sink)?;
                rows += batch.num_rows() as u64;
                progress.advance(batch.num_rows() as u64);
            }
        }
        if rows != entry.rows {
            let problem = format!("{rows} rows, but the manifest says {}", entry.rows);
            return Err(damaged(&path, problem));
        }
    }
    Ok(())
}

/// The wanted columns of one row group, which are fetched together where the file is an object.
fn reader(
    (input, metadata): (&Input, &ArrowReaderMetadata),
    group: usize,
    wanted: &[String],
    path: &Path,
) -> Result<ParquetRecordBatchReader, ScoreError> {
    let wanted = wanted.iter().map(String::as_str);
    let mask = ProjectionMask::columns(metadata.parquet_schema(), wanted);
    let held = input.hold(|| column_ranges(metadata.metadata().row_group(group), &mask))?;
    ParquetRecordBatchReaderBuilder::new_with_metadata(held, metadata.clone())
        .with_row_groups(vec![group])
        .with_projection(mask)
        .with_batch_size(BATCH)
        .build()
        .map_err(|e| unreadable(path, e))
}

fn open(place: &Place, entry: &FileEntry) -> Result<(Input, ArrowReaderMetadata), ScoreError> {
    let path = place.file(&entry.path);
    let mut opened = open_each(vec![place.entry(&entry.path, entry.bytes)?]);
    let nothing = || ScoreError::internal("a file was opened and is not there");
    let input = opened.next().ok_or_else(nothing)??;
    let bytes = input.len();
    if bytes != entry.bytes {
        let problem = format!("{bytes} bytes, but the manifest says {}", entry.bytes);
        return Err(damaged(&path, problem));
    }
    let metadata = ArrowReaderMetadata::load(&input, Default::default());
    Ok((input, metadata.map_err(|e| unreadable(&path, e))?))
}

/// What the Parquet reader said of a file: trouble with fetching it, or with what is in it.
fn unreadable(path: &Path, error: ParquetError) -> ScoreError {
    match FilesError::of_parquet(error) {
        Ok(fetching) => fetching.into(),
        Err(problem) => damaged(path, problem),
    }
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
