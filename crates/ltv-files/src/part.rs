//! The Parquet files that a manifest names, read batch by batch.

use crate::{FilesError, Input, Place, open_each};
use arrow::record_batch::RecordBatch;
use ltv_core::{Error, manifest::FileEntry};
use parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{
            ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
        },
    },
    errors::ParquetError,
    file::{
        metadata::{ColumnChunkMetaData, RowGroupMetaData},
        reader::Length,
    },
};
use std::{
    fmt::Display,
    ops::Range,
    path::{Path, PathBuf},
};

const AGAIN: &str = "the file was changed or damaged: make the artefact again";
/// Rows read at a time.
const BATCH: usize = 8192;

/// A file of an artefact, open.
#[derive(Debug)]
pub struct Part {
    path: PathBuf,
    rows: u64,
    input: Input,
    metadata: ArrowReaderMetadata,
}

impl Part {
    /// Opens the file with this entry in a manifest; it has the bytes that the entry says.
    ///
    /// # Errors
    /// When it is not there, or not the file that was written.
    pub fn open(place: &Place, entry: &FileEntry) -> Result<Self, FilesError> {
        let path = place.file(&entry.path);
        let mut opened = open_each(vec![place.entry(&entry.path, entry.bytes)?]);
        let nothing = || FilesError::internal("a file was opened and is not there");
        let input = opened.next().ok_or_else(nothing)??;
        let bytes = input.len();
        if bytes != entry.bytes {
            let problem = format!("{bytes} bytes, but the manifest says {}", entry.bytes);
            return Err(damaged(&path, problem));
        }
        let metadata = ArrowReaderMetadata::load(&input, Default::default());
        Ok(Self {
            metadata: metadata.map_err(|e| unreadable(&path, e))?,
            rows: entry.rows,
            path,
            input,
        })
    }

    /// As [`Part::open`], of a file whose every byte is the one that was written.
    ///
    /// # Errors
    /// As [`Part::open`]; when its checksum is not the manifest's, or it cannot be read to its end.
    pub fn open_whole(place: &Place, entry: &FileEntry) -> Result<Self, FilesError> {
        let part = Self::open(place, entry)?;
        match part.input.source().checksum(&part.path)? == entry.blake3 {
            true => Ok(part),
            false => Err(damaged(&part.path, "its checksum is not the manifest's")),
        }
    }

    /// What messages call it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its columns.
    pub fn schema(&self) -> &arrow::datatypes::Schema {
        self.metadata.schema()
    }

    /// Calls `sink` with the wanted columns of all rows, in order, and the row that each batch begins
    /// with, from 0. Columns that are not there are left out.
    ///
    /// # Errors
    /// When it cannot be read, or has other rows than its entry says; and those of `sink`.
    pub fn each<E: From<FilesError>>(
        &self,
        columns: &[String],
        sink: &mut dyn FnMut(&RecordBatch, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rows = 0;
        for group in 0..self.metadata.metadata().num_row_groups() {
            for batch in self.group(group, columns)? {
                let batch = batch.map_err(|e| unreadable(&self.path, e.into()))?;
                sink(&batch, rows)?;
                rows += batch.num_rows() as u64;
            }
        }
        if rows != self.rows {
            let problem = format!("{rows} rows, but the manifest says {}", self.rows);
            return Err(damaged(&self.path, problem).into());
        }
        Ok(())
    }

    /// The wanted columns of one row group, which are fetched together where the file is an object.
    fn group(
        &self,
        group: usize,
        columns: &[String],
    ) -> Result<ParquetRecordBatchReader, FilesError> {
        let wanted = columns.iter().map(String::as_str);
        let mask = ProjectionMask::columns(self.metadata.parquet_schema(), wanted);
        let metadata = self.metadata.metadata().row_group(group);
        let held = self.input.hold(|| column_ranges(metadata, &mask))?;
        ParquetRecordBatchReaderBuilder::new_with_metadata(held, self.metadata.clone())
            .with_row_groups(vec![group])
            .with_projection(mask)
            .with_batch_size(BATCH)
            .build()
            .map_err(|e| unreadable(&self.path, e))
    }
}

/// What the Parquet reader said of a file: trouble with fetching it, or with what is in it.
fn unreadable(path: &Path, error: ParquetError) -> FilesError {
    match FilesError::of_parquet(error) {
        Ok(fetching) => fetching,
        Err(problem) => damaged(path, problem),
    }
}

fn damaged(path: &Path, problem: impl Display) -> FilesError {
    Error::artefact(path, problem.to_string(), AGAIN).into()
}

/// Where the columns of `mask` are in a row group, but for those of which the footer makes no sense.
pub fn column_ranges(group: &RowGroupMetaData, mask: &ProjectionMask) -> Vec<Range<u64>> {
    let columns = group.columns().iter().enumerate();
    let wanted = columns.filter(|(leaf, _)| mask.leaf_included(*leaf));
    wanted.filter_map(|(_, column)| range(column)).collect()
}

fn range(column: &ColumnChunkMetaData) -> Option<Range<u64>> {
    let dictionary = column.dictionary_page_offset();
    let start = dictionary.unwrap_or_else(|| column.data_page_offset());
    let start = u64::try_from(start).ok()?;
    let length = u64::try_from(column.compressed_size()).ok()?;
    Some(start..start.checked_add(length)?)
}
