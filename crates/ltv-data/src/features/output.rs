//! Writing the Parquet file of one part.

use super::columns::Layout;
use crate::{DataError, Result};
use arrow::{
    array::{ArrayRef, AsArray, RecordBatch},
    compute::{CastOptions, cast_with_options},
    datatypes::Float64Type,
};
use ltv_core::{
    artefact::{self, AtomicFile},
    manifest::FileEntry,
};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};
use std::{collections::BTreeMap, fs::File, path::Path};

/// Most rows in a row group.
const ROW_GROUP: usize = 65_536;

/// What was written.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) file: FileEntry,
    pub(crate) statuses: BTreeMap<String, u64>,
    /// Sum of the feature `n_events`.
    pub(crate) window_events: u64,
}

/// A part's file under construction.
pub(crate) struct PartWriter<'a> {
    layout: &'a Layout,
    name: String,
    target: std::path::PathBuf,
    file: AtomicFile,
    writer: ArrowWriter<File>,
    rows: u64,
    statuses: BTreeMap<String, u64>,
    window_events: f64,
}

impl<'a> PartWriter<'a> {
    /// Starts part `index` in `folder`.
    pub(crate) fn create(folder: &Path, index: usize, layout: &'a Layout) -> Result<Self> {
        let name = format!("part-{index:05}.parquet");
        let target = folder.join(&name);
        let file = AtomicFile::create(&target)?;
        let level = ZstdLevel::try_new(3).unwrap_or_default();
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .build();
        let writer = ArrowWriter::try_new(file.handle()?, layout.schema.clone(), Some(properties))
            .map_err(|source| DataError::Write {
                path: target.clone(),
                source,
            })?;
        let statuses = BTreeMap::new();
        Ok(Self {
            layout,
            name,
            target,
            file,
            writer,
            rows: 0,
            statuses,
            window_events: 0.0,
        })
    }

    /// Adds rows of the query's result.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let batch = self.conform(batch)?;
        self.rows += batch.num_rows() as u64;
        let statuses = batch.column(2).as_string::<i32>();
        for status in statuses.iter().flatten() {
            match self.statuses.get_mut(status) {
                Some(count) => *count += 1,
                None => {
                    self.statuses.insert(status.to_string(), 1);
                }
            }
        }
        if let Some(counts) = batch.column_by_name("n_events") {
            let counts = counts.as_primitive::<Float64Type>();
            self.window_events += arrow::compute::sum(counts).unwrap_or(0.0);
        }
        self.writer
            .write(&batch)
            .map_err(|source| DataError::Write {
                path: self.target.clone(),
                source,
            })
    }

    /// Casts the engine's types (for example string views) to those of the layout.
    fn conform(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let options = CastOptions {
            safe: false,
            ..Default::default()
        };
        let fields = self.layout.schema.fields().iter();
        let columns: Result<Vec<ArrayRef>, _> = batch
            .columns()
            .iter()
            .zip(fields)
            .map(|(column, field)| cast_with_options(column, field.data_type(), &options))
            .collect();
        Ok(RecordBatch::try_new(self.layout.schema.clone(), columns?)?)
    }

    /// Finishes the file and gives it its name.
    pub(crate) fn finish(self) -> Result<Written> {
        let Self {
            name: path,
            target,
            file,
            writer,
            rows,
            statuses,
            window_events,
            ..
        } = self;
        writer.close().map_err(|source| DataError::Write {
            path: target.clone(),
            source,
        })?;
        file.commit()?;
        let metadata = std::fs::metadata(&target).map_err(|e| DataError::io(&target, "read", e))?;
        let blake3 = artefact::checksum(&target)?;
        let file = FileEntry {
            path,
            rows,
            bytes: metadata.len(),
            blake3,
        };
        Ok(Written {
            file,
            statuses,
            window_events: window_events as u64,
        })
    }
}
