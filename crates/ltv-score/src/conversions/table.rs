//! The advertiser's user table: Parquet files, read row group by row group.

use super::{
    Columns,
    contact::{Cells, Contact, Unusable, column, is_text, text, wrong_type},
};
use crate::{ScoreError, users::UserId};
use arrow::{
    array::{Array, ArrayRef, AsArray},
    compute::cast,
    datatypes::{DataType, Int64Type},
    record_batch::RecordBatch,
};
use ltv_core::{Error, progress::Progress};
use ltv_files::{Entry, FilesError, Input, Stores, column_ranges, open_each};
use parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder},
    },
    errors::ParquetError,
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Rows read at a time.
const BATCH: usize = 8192;

/// A user of the table.
pub(super) struct Listed {
    pub(super) user: UserId,
    pub(super) contact: Contact,
}

/// The files of the table, by name.
pub(super) struct Table(Vec<Entry>);

impl Table {
    /// Files as given; below folders every `*.parquet`, hidden ones and those that start with `_` left out.
    pub(super) fn find(paths: &[PathBuf]) -> Result<Self, ScoreError> {
        if paths.is_empty() {
            let problem = "no file given; give the Parquet files of the user table";
            return Err(Error::config("users", problem).into());
        }
        let stores = Stores::default();
        let mut files: Vec<Entry> = vec![];
        for path in paths {
            let place = stores.place(path)?;
            let mut found = place.files(|part| !part.starts_with(['.', '_']))?;
            if !matches!(found.as_slice(), [one] if one.path() == path) {
                found.retain(|e| e.path().extension().is_some_and(|e| e == "parquet"));
            }
            if found.is_empty() {
                let hint = "give a file, or a folder with files";
                return Err(Error::artefact(path, "no Parquet file in it", hint).into());
            }
            files.extend(found);
        }
        let mut seen = BTreeSet::new();
        for file in &files {
            if !seen.insert(file.identity()?) {
                let hint = "give every file once";
                return Err(Error::artefact(file.path(), "is given twice", hint).into());
            }
        }
        Ok(Self(files))
    }

    /// Looks at the first file, so that a slip is said before all scores are read.
    pub(super) fn check(&self, columns: &Columns) -> Result<(), ScoreError> {
        let Some(first) = self.0.first() else {
            return Ok(());
        };
        for input in open_each(vec![first.clone()]) {
            footer(&input?, columns, first.path())?;
        }
        Ok(())
    }

    /// What messages call a file.
    pub(super) fn path(&self, file: u32) -> &Path {
        self.0
            .get(file as usize)
            .map_or(Path::new("users"), |file| file.path())
    }

    /// Calls `sink` with every user, and the file and row, from 1, where they are. `numbers`: whether ids must be.
    pub(super) fn read(
        &self,
        (columns, numbers): (&Columns, bool),
        unusable: &mut Unusable,
        progress: &dyn Progress,
        sink: &mut dyn FnMut(Listed, u32, u64) -> Result<(), ScoreError>,
    ) -> Result<(), ScoreError> {
        let opened = open_each(self.0.clone());
        for ((file, entry), input) in (0..).zip(&self.0).zip(opened) {
            let path = entry.path();
            let mut before = 0;
            each_batch(&input?, columns, path, &mut |batch| {
                let users = ids(batch, &columns.user, numbers, (path, before))?;
                let cells = Cells::of(batch, columns, path)?;
                for (row, user) in users.into_iter().enumerate() {
                    let contact = cells.contact(row, unusable);
                    sink(Listed { user, contact }, file, before + row as u64 + 1)?;
                }
                before += batch.num_rows() as u64;
                progress.advance(batch.num_rows() as u64);
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// What a file says of itself; it has the wanted columns.
fn footer(
    input: &Input,
    columns: &Columns,
    path: &Path,
) -> Result<ArrowReaderMetadata, ScoreError> {
    let metadata = ArrowReaderMetadata::load(input, Default::default());
    let metadata = metadata.map_err(|e| unreadable(path, e))?;
    let known: Vec<&String> = metadata
        .schema()
        .fields()
        .iter()
        .map(|f| f.name())
        .collect();
    if let Some(missing) = columns.names().find(|name| !known.contains(name)) {
        let problem = format!("no column '{missing}'; there are {known:?}");
        return Err(Error::artefact(path, problem, "name one of these").into());
    }
    Ok(metadata)
}

/// Calls `sink` with the wanted columns of all rows, in order.
fn each_batch(
    input: &Input,
    columns: &Columns,
    path: &Path,
    sink: &mut dyn FnMut(&RecordBatch) -> Result<(), ScoreError>,
) -> Result<(), ScoreError> {
    let unreadable = |error: ParquetError| unreadable(path, error);
    let metadata = footer(input, columns, path)?;
    let wanted = columns.names().map(String::as_str);
    let mask = ProjectionMask::columns(metadata.parquet_schema(), wanted);
    for group in 0..metadata.metadata().num_row_groups() {
        let held = input.hold(|| column_ranges(metadata.metadata().row_group(group), &mask))?;
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(held, metadata.clone())
            .with_row_groups(vec![group])
            .with_projection(mask.clone())
            .with_batch_size(BATCH)
            .build();
        for batch in reader.map_err(unreadable)? {
            sink(&batch.map_err(|e| unreadable(e.into()))?)?;
        }
    }
    Ok(())
}

/// What the Parquet reader said of a file: trouble with fetching it, or with what is in it.
fn unreadable(path: &Path, error: ParquetError) -> ScoreError {
    match FilesError::of_parquet(error) {
        Ok(fetching) => fetching.into(),
        Err(problem) => {
            let problem = format!("not a readable Parquet file ({problem})");
            Error::artefact(path, problem, "give the Parquet files of the user table").into()
        }
    }
}

/// The ids of a batch before which so many rows were read.
fn ids(
    batch: &RecordBatch,
    name: &str,
    numbers: bool,
    (path, before): (&Path, u64),
) -> Result<Vec<UserId>, ScoreError> {
    let column = column(batch, name, path)?;
    let found = column.data_type();
    let fits = if numbers {
        found.is_integer()
    } else {
        is_text(found)
    };
    if !fits {
        let expected = match numbers {
            true => "whole numbers, as the snapshot's user ids are",
            false => "text, as the snapshot's user ids are",
        };
        return Err(wrong_type(path, name, found, expected));
    }
    let gap = |row: usize| {
        let problem = format!(
            "row {}: '{name}' is null, or too large",
            before + row as u64 + 1
        );
        let hint = "every row of the user table needs the id of its user";
        ScoreError::from(Error::artefact(path, problem, hint))
    };
    match numbers {
        true => whole(column)?
            .into_iter()
            .enumerate()
            .map(|(row, id)| id.ok_or_else(|| gap(row)))
            .collect(),
        false => {
            let text = text(column, name, path)?;
            let one = |row| {
                text.is_valid(row)
                    .then(|| UserId::Text(text.value(row).to_owned()))
            };
            (0..text.len())
                .map(|row| one(row).ok_or_else(|| gap(row)))
                .collect()
        }
    }
}

fn whole(column: &ArrayRef) -> Result<Vec<Option<UserId>>, ScoreError> {
    // What does not fit into 64 bits with a sign becomes null.
    let ids = cast(column, &DataType::Int64).map_err(ScoreError::internal)?;
    let ids = ids.as_primitive::<Int64Type>();
    Ok(ids.iter().map(|id| id.map(UserId::Number)).collect())
}
