//! Batches of some columns of an input file: in one go from this machine, one row group after the
//! other, each fetched whole, from an object store.

use super::input::InputFile;
use crate::{DataError, Result};
use arrow::record_batch::RecordBatch;
use ltv_files::{Input, Source, column_ranges};
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
};
use std::ops::Range;

/// Rows of a batch, at most.
pub(crate) const BATCH: usize = 8192;

/// Reads the columns that were asked for.
#[derive(Debug)]
pub(crate) struct GroupReader<'a> {
    file: &'a InputFile,
    input: Input,
    mask: ProjectionMask,
    reader: Option<ParquetRecordBatchReader>,
    /// Row groups that have not been started, and how many of them are taken at once.
    rest: Range<usize>,
    step: usize,
}

impl<'a> GroupReader<'a> {
    /// Of the columns at `positions` in the file's schema.
    pub(crate) fn new(file: &'a InputFile, positions: impl Iterator<Item = usize>) -> Result<Self> {
        let metadata = &file.metadata;
        let groups = metadata.metadata().num_row_groups();
        Ok(Self {
            input: file.source.open()?,
            mask: ProjectionMask::roots(metadata.parquet_schema(), positions),
            reader: None,
            rest: 0..groups,
            step: match file.source {
                Source::Local(_) => groups.max(1),
                Source::Remote(_) => 1,
            },
            file,
        })
    }

    /// The next batch; `None` at the end of the file.
    pub(crate) fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.reader.as_mut().and_then(Iterator::next) {
                return Ok(Some(batch.map_err(|e| DataError::NotParquet {
                    path: self.file.path.clone(),
                    problem: e.to_string(),
                })?));
            }
            let groups: Vec<usize> = self.rest.by_ref().take(self.step).collect();
            if groups.is_empty() {
                return Ok(None);
            }
            self.reader = Some(self.start(groups)?);
        }
    }

    fn start(&self, groups: Vec<usize>) -> Result<ParquetRecordBatchReader> {
        let file = self.file;
        let input = self.input.hold(|| self.ranges(&groups))?;
        ParquetRecordBatchReaderBuilder::new_with_metadata(input, file.metadata.clone())
            .with_row_groups(groups)
            .with_projection(self.mask.clone())
            .with_batch_size(BATCH)
            .build()
            .map_err(|e| DataError::parquet(&file.path, e))
    }

    /// Where the columns are in row groups.
    fn ranges(&self, groups: &[usize]) -> Vec<Range<u64>> {
        let metadata = self.file.metadata.metadata();
        let of = |&group: &usize| column_ranges(metadata.row_group(group), &self.mask);
        groups.iter().flat_map(of).collect()
    }
}
