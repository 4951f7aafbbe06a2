//! One Parquet file of a dataset.

use super::check_schema;
use crate::stream::StreamError;
use arrow::datatypes::Schema;
use ltv_core::manifest::{DatasetManifest, FileEntry};
use ltv_files::{Input, Source};
use parquet::{
    arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions},
    file::{metadata::RowGroupMetaData, reader::Length},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// One Parquet file of a dataset. Its footer, which is far larger than what is kept of it, is read
/// again by whoever reads rows: a dataset may have many thousands of files.
#[derive(Debug)]
pub struct DatasetFile {
    path: PathBuf,
    source: Source,
    /// Rows in each row group.
    groups: Vec<u64>,
    schema: Arc<Schema>,
    /// The smallest and the largest user of every row group, as far as the footer tells.
    outermost: Vec<Vec<u8>>,
}

/// The schema of the file before: nearly always that of the next, which then shares it.
#[derive(Debug, Default)]
pub(super) struct Schemas(Option<Arc<Schema>>);

impl Schemas {
    fn shared(&mut self, schema: &Arc<Schema>) -> Arc<Schema> {
        let before = self.0.take().filter(|before| before == schema);
        self.0
            .insert(before.unwrap_or_else(|| schema.clone()))
            .clone()
    }
}

impl DatasetFile {
    /// A file that has just been opened, and is named `path` in messages.
    pub(super) fn new(
        input: &Input,
        path: PathBuf,
        (entry, manifest): (&FileEntry, &DatasetManifest),
        schemas: &mut Schemas,
    ) -> Result<Self, StreamError> {
        let metadata = footer(input, &path, Some(entry.bytes))?;
        let groups = metadata.metadata().row_groups();
        let opened = Self {
            groups: groups.iter().map(rows).collect(),
            outermost: groups.iter().flat_map(outermost).collect(),
            schema: schemas.shared(metadata.schema()),
            source: input.source(),
            path,
        };
        if opened.rows() != entry.rows {
            let (path, found) = (opened.path.clone(), opened.rows());
            return Err(StreamError::Rows {
                path,
                expected: entry.rows,
                found,
            });
        }
        check_schema(opened.schema(), manifest, &opened.path)?;
        Ok(opened)
    }

    /// Where it is; an address for an object.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Rows in it.
    pub fn rows(&self) -> u64 {
        self.groups.iter().sum()
    }

    /// Rows in each of its row groups.
    pub fn row_groups(&self) -> &[u64] {
        &self.groups
    }

    /// Its columns.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    pub(super) fn outermost(&self) -> &[Vec<u8>] {
        &self.outermost
    }

    /// BLAKE3 checksum of its bytes, in hexadecimal.
    pub(super) fn checksum(&self) -> Result<String, StreamError> {
        Ok(self.source.checksum(&self.path)?)
    }

    /// The footer, and the file it is of.
    ///
    /// # Errors
    /// When it cannot be read, or is no longer the one that was there when the dataset was opened.
    pub(crate) fn footer(&self) -> Result<(ArrowReaderMetadata, Input), StreamError> {
        let input = self.source.open()?;
        let metadata = footer(&input, &self.path, None)?;
        let groups = metadata.metadata().row_groups().iter().map(rows);
        if groups.eq(self.groups.iter().copied()) && *metadata.schema() == self.schema {
            return Ok((metadata, input));
        }
        Err(StreamError::Parquet {
            path: self.path.clone(),
            problem: "it was replaced while it was in use".into(),
        })
    }
}

/// Reads the footer of a file that should have so many bytes.
fn footer(
    input: &Input,
    path: &Path,
    bytes: Option<u64>,
) -> Result<ArrowReaderMetadata, StreamError> {
    ArrowReaderMetadata::load(input, ArrowReaderOptions::new()).map_err(|e| {
        match (StreamError::parquet(path, e), bytes) {
            (StreamError::Parquet { path, problem }, Some(bytes)) if input.len() != bytes => {
                let found = input.len();
                let problem = format!("{found} bytes, the manifest says {bytes}; {problem}");
                StreamError::Parquet { path, problem }
            }
            (other, _) => other,
        }
    })
}

fn rows(group: &RowGroupMetaData) -> u64 {
    group.num_rows().max(0) as u64
}

/// The ends of the user column; none where they were not written, or not whole.
fn outermost(group: &RowGroupMetaData) -> Vec<Vec<u8>> {
    let mut columns = group.columns().iter();
    let users = columns.find(|c| c.column_path().string() == "user_id");
    let Some(found) = users.and_then(|column| column.statistics()) else {
        return vec![];
    };
    let least = found.min_bytes_opt().filter(|_| found.min_is_exact());
    let most = found.max_bytes_opt().filter(|_| found.max_is_exact());
    least.into_iter().chain(most).map(<[u8]>::to_vec).collect()
}
