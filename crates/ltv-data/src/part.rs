//! A Parquet file of an artefact under construction.

use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use ltv_core::{
    Error,
    artefact::{self, AtomicFile},
    manifest::FileEntry,
};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::WriterProperties,
};
use std::{
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
};

/// Most rows in a row group.
const ROW_GROUP: usize = 65_536;
/// Bytes gathered before they are written.
const BUFFER: usize = 1 << 20;

/// Why a part could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// The operating system refused.
    #[error(transparent)]
    Core(#[from] Error),
    /// The Parquet writer failed.
    #[error("cannot write {}: {source}; free space there or choose another folder", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: ParquetError,
    },
}

/// A Parquet file under construction: it gets its name when it is whole.
pub struct PartFile {
    name: String,
    path: PathBuf,
    file: AtomicFile,
    writer: ArrowWriter<BufWriter<File>>,
    rows: u64,
}

impl PartFile {
    /// `part-00000.parquet` for part 0, and so on.
    pub fn name(index: usize) -> String {
        format!("part-{index:05}.parquet")
    }

    /// How datasets and snapshots are written: ZSTD at level 3, row groups of 65,536 rows.
    pub fn properties() -> WriterProperties {
        let level = ZstdLevel::try_new(3).unwrap_or_default();
        WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .build()
    }

    /// Starts the file `name` in `folder`.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create(
        folder: &Path,
        name: String,
        schema: SchemaRef,
        properties: WriterProperties,
    ) -> Result<Self, PartError> {
        let path = folder.join(&name);
        let file = AtomicFile::create(&path)?;
        let sink = BufWriter::with_capacity(BUFFER, file.handle()?);
        match ArrowWriter::try_new(sink, schema, Some(properties)) {
            Ok(writer) => Ok(Self {
                name,
                path,
                file,
                writer,
                rows: 0,
            }),
            Err(source) => Err(PartError::Write { path, source }),
        }
    }

    /// Rows added so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds rows, of the schema that the file was created with.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), PartError> {
        self.rows += batch.num_rows() as u64;
        self.writer.write(batch).map_err(|source| PartError::Write {
            path: self.path.clone(),
            source,
        })
    }

    /// Finishes the file and gives it its name; its line in a manifest.
    ///
    /// # Errors
    /// When the disk is full.
    pub fn finish(self) -> Result<FileEntry, PartError> {
        let Self {
            name,
            path,
            file,
            writer,
            rows,
        } = self;
        let sink = writer.into_inner().map_err(|source| PartError::Write {
            path: path.clone(),
            source,
        })?;
        sink.into_inner()
            .map_err(|e| Error::io(&path, "write", e.into_error()))?;
        file.commit()?;
        let metadata = std::fs::metadata(&path).map_err(|e| Error::io(&path, "read", e))?;
        Ok(FileEntry {
            path: name,
            rows,
            bytes: metadata.len(),
            blake3: artefact::checksum(&path)?,
        })
    }
}
