//! Whether files are still the ones that were written.

use crate::exit::Failure;
use ltv_core::{Error, manifest::FileEntry};
use ltv_files::{Place, open_each};
use parquet::{
    arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder},
    file::reader::Length,
};
use std::{fmt::Display, fs::File, path::Path};

const AGAIN: &str = "the file was changed or damaged: make the artefact again";

/// Compares the size, rows and checksum of each file with its entry in the manifest, and the rows
/// of all with their sum.
pub(super) fn files(place: &Place, entries: &[FileEntry], rows: u64) -> Result<(), Failure> {
    let files = entries
        .iter()
        .map(|file| place.entry(&file.path, file.bytes));
    let opened = open_each(files.collect::<Result<_, _>>()?);
    for (entry, input) in entries.iter().zip(opened) {
        let (path, input) = (place.file(&entry.path), input?);
        same(&path, "bytes", input.len(), entry.bytes)?;
        let checksum = input.source().checksum(&path)?;
        same(&path, "checksum", checksum, entry.blake3.clone())?;
        let footer = ArrowReaderMetadata::load(&input, Default::default());
        let footer = footer.map_err(|e| damaged(&path, &e))?;
        let found = footer.metadata().file_metadata().num_rows();
        same(&path, "rows", found.max(0) as u64, entry.rows)?;
    }
    let sum = entries.iter().map(|entry| entry.rows).sum();
    same(place.name(), "rows in all files", sum, rows)
}

/// Decodes every row of a Parquet file.
pub(super) fn decode(path: &Path) -> Result<(), Failure> {
    let file = File::open(path).map_err(|e| Error::io(path, "read", e))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.build())
        .map_err(|e| damaged(path, &e))?;
    for batch in reader {
        batch.map_err(|e| damaged(path, &e))?;
    }
    Ok(())
}

fn same<T: PartialEq + Display>(
    path: &Path,
    what: &str,
    found: T,
    expected: T,
) -> Result<(), Failure> {
    if found == expected {
        return Ok(());
    }
    let problem = format!("{what}: {found}, but the manifest says {expected}");
    Err(Error::artefact(path, problem, AGAIN).into())
}

fn damaged(path: &Path, error: &impl Display) -> Failure {
    let problem = format!("not a whole Parquet file ({error})");
    Error::artefact(path, problem, AGAIN).into()
}
