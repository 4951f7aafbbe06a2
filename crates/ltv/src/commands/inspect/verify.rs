//! Whether files are still the ones that were written.

use crate::exit::Failure;
use ltv_core::{Error, artefact, manifest::FileEntry};
use parquet::{
    arrow::arrow_reader::ParquetRecordBatchReaderBuilder,
    file::reader::{FileReader, SerializedFileReader},
};
use std::{fmt::Display, fs::File, path::Path};

const AGAIN: &str = "the file was changed or damaged: make the artefact again";

/// Compares the size, rows and checksum of each file with its entry in the manifest, and the rows
/// of all with their sum.
pub(super) fn files(folder: &Path, entries: &[FileEntry], rows: u64) -> Result<(), Failure> {
    for entry in entries {
        let path = folder.join(&entry.path);
        let file = File::open(&path).map_err(|e| Error::io(&path, "read", e))?;
        let bytes = file.metadata().map_err(|e| Error::io(&path, "read", e))?;
        same(&path, "bytes", bytes.len(), entry.bytes)?;
        same(
            &path,
            "checksum",
            artefact::checksum(&path)?,
            entry.blake3.clone(),
        )?;
        let reader = SerializedFileReader::new(file).map_err(|e| damaged(&path, &e))?;
        let found = reader.metadata().file_metadata().num_rows();
        same(&path, "rows", found.max(0) as u64, entry.rows)?;
    }
    let sum = entries.iter().map(|entry| entry.rows).sum();
    same(folder, "rows in all files", sum, rows)
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
