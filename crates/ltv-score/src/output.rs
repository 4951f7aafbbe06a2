//! The files of a snapshot: made in a hidden folder, which takes the output's place in one step.

use crate::ScoreError;
use arrow::record_batch::RecordBatch;
use ltv_core::{
    artefact::AtomicFolder,
    manifest::{FileEntry, SnapshotManifest},
};
use ltv_data::part::{PartError, PartFile};
use std::path::{Path, PathBuf};

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
    match SnapshotManifest::stranger(out)? {
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
    open: Option<PartFile>,
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
                None => {
                    let name = PartFile::name(self.finished.len());
                    let properties = PartFile::properties();
                    PartFile::create(&self.folder, name, batch.schema(), properties)?
                }
            };
            let rows = (batch.num_rows() - start).min(self.file_rows - part.rows() as usize);
            part.add(&batch.slice(start, rows))?;
            start += rows;
            if part.rows() as usize == self.file_rows {
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

impl From<PartError> for ScoreError {
    fn from(error: PartError) -> Self {
        match error {
            PartError::Core(error) => error.into(),
            PartError::Write { path, source } => Self::Write { path, source },
        }
    }
}
