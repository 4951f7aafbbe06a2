//! The files of a snapshot: made in a hidden folder, which takes the output's place in one step.

use crate::ScoreError;
use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use ltv_core::{
    Error,
    artefact::{self, AtomicFile, AtomicFolder},
    manifest::{FileEntry, MANIFEST, SnapshotManifest},
};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

/// Most rows in a row group.
const ROW_GROUP: usize = 65_536;

/// Starts the snapshot that will be at `out`, which must be replaceable.
pub(crate) fn begin(out: &Path) -> Result<AtomicFolder, ScoreError> {
    check_output(out)?;
    Ok(AtomicFolder::create(out)?)
}

/// Writes the manifest and gives the folder its name.
pub(crate) fn commit(folder: AtomicFolder, manifest: &SnapshotManifest) -> Result<(), ScoreError> {
    manifest.write(folder.path())?;
    // Whatever arrived there while we were scoring is not ours to remove.
    check_output(folder.target())?;
    Ok(folder.commit()?)
}

/// Nothing is ever replaced but a snapshot and its own files.
fn check_output(out: &Path) -> Result<(), ScoreError> {
    let mut own = vec![];
    if out.join(MANIFEST).exists() {
        let old = SnapshotManifest::read(out)?;
        own.extend(old.files.into_iter().map(|f| f.path));
        own.push(MANIFEST.to_owned());
    }
    match artefact::stranger(out, own.iter().map(String::as_str))? {
        Some(entry) => Err(ScoreError::OutputInUse {
            path: out.to_path_buf(),
            entry,
        }),
        None => Ok(()),
    }
}

/// Writes rows to `part-00000.parquet`, `part-00001.parquet`, ... in a folder.
pub(crate) struct Parts {
    folder: PathBuf,
    file_rows: usize,
    open: Option<Part>,
    finished: Vec<FileEntry>,
}

impl Parts {
    /// Starts with no file at all; each gets `file_rows` rows, the last what is left.
    pub(crate) fn new(folder: PathBuf, file_rows: usize) -> Self {
        Self {
            folder,
            file_rows,
            open: None,
            finished: vec![],
        }
    }

    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<(), ScoreError> {
        let mut start = 0;
        while start < batch.num_rows() {
            let mut part = match self.open.take() {
                Some(part) => part,
                None => Part::create(&self.folder, self.finished.len(), batch.schema())?,
            };
            let rows = (batch.num_rows() - start).min(self.file_rows - part.rows);
            part.add(&batch.slice(start, rows))?;
            start += rows;
            if part.rows == self.file_rows {
                self.finished.push(part.finish()?);
            } else {
                self.open = Some(part);
            }
        }
        Ok(())
    }

    /// Finishes the last file; all files in order.
    pub(crate) fn finish(mut self) -> Result<Vec<FileEntry>, ScoreError> {
        if let Some(part) = self.open.take() {
            self.finished.push(part.finish()?);
        }
        Ok(self.finished)
    }
}

struct Part {
    name: String,
    path: PathBuf,
    file: AtomicFile,
    writer: ArrowWriter<File>,
    rows: usize,
}

impl Part {
    fn create(folder: &Path, index: usize, schema: SchemaRef) -> Result<Self, ScoreError> {
        let name = format!("part-{index:05}.parquet");
        let path = folder.join(&name);
        let file = AtomicFile::create(&path)?;
        let level = ZstdLevel::try_new(3).unwrap_or_default();
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .build();
        let writer = ArrowWriter::try_new(file.handle()?, schema, Some(properties))
            .map_err(|source| write_error(&path, source))?;
        Ok(Self {
            name,
            path,
            file,
            writer,
            rows: 0,
        })
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<(), ScoreError> {
        self.rows += batch.num_rows();
        self.writer
            .write(batch)
            .map_err(|source| write_error(&self.path, source))
    }

    fn finish(self) -> Result<FileEntry, ScoreError> {
        let footer = self
            .writer
            .close()
            .map_err(|source| write_error(&self.path, source))?;
        self.file.commit()?;
        let bytes = fs::metadata(&self.path).map_err(|e| Error::io(&self.path, "read", e))?;
        Ok(FileEntry {
            path: self.name,
            rows: footer.file_metadata().num_rows().max(0) as u64,
            bytes: bytes.len(),
            blake3: artefact::checksum(&self.path)?,
        })
    }
}

fn write_error(path: &Path, source: parquet::errors::ParquetError) -> ScoreError {
    ScoreError::Write {
        path: path.to_path_buf(),
        source,
    }
}
