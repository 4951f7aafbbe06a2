//! Writing the Parquet file of one part.

use super::columns::Layout;
use crate::{Result, part::PartFile};
use arrow::{
    array::{ArrayRef, AsArray, RecordBatch},
    compute::{CastOptions, cast_with_options},
    datatypes::Float64Type,
};
use ltv_core::manifest::FileEntry;
use std::{collections::BTreeMap, path::Path};

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
    file: PartFile,
    statuses: BTreeMap<String, u64>,
    window_events: f64,
}

impl<'a> PartWriter<'a> {
    /// Starts part `index` in `folder`.
    pub(crate) fn create(folder: &Path, index: usize, layout: &'a Layout) -> Result<Self> {
        let schema = layout.schema.clone();
        let name = PartFile::name(index);
        Ok(Self {
            layout,
            file: PartFile::create(folder, name, schema, PartFile::properties())?,
            statuses: BTreeMap::new(),
            window_events: 0.0,
        })
    }

    /// Adds rows of the query's result.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let batch = self.conform(batch)?;
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
        Ok(self.file.add(&batch)?)
    }

    /// Casts the engine's types (for example string views) to those of the layout.
    pub(crate) fn conform(&self, batch: &RecordBatch) -> Result<RecordBatch> {
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
        Ok(Written {
            file: self.file.finish()?,
            statuses: self.statuses,
            window_events: self.window_events as u64,
        })
    }
}
