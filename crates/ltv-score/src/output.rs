//! The files of a snapshot: made in a hidden folder beside the output, which takes the output's
//! place in one rename.

use crate::ScoreError;
use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use ltv_core::{
    Error,
    artefact::{self, AtomicFile, create_folder},
    manifest::{FileEntry, MANIFEST, SnapshotManifest},
};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};
use std::{
    collections::HashSet,
    fs::{self, File},
    path::{Path, PathBuf},
};

/// Most rows in a row group.
const ROW_GROUP: usize = 65_536;

/// Where a snapshot is made. Dropped, it takes everything uncommitted with it.
#[derive(Debug)]
pub(crate) struct Workshop {
    /// The output; a link is followed, so that what it points to is replaced and not the link.
    out: PathBuf,
    /// Holds the new folder, and for a moment the old one.
    hidden: tempfile::TempDir,
}

impl Workshop {
    /// Checks that `out` may be written, and starts beside it.
    pub(crate) fn open(out: &Path) -> Result<Self, ScoreError> {
        let out = fs::canonicalize(out).unwrap_or_else(|_| out.to_path_buf());
        check_output(&out)?;
        let parent = parent(&out);
        create_folder(parent)?;
        let hidden = tempfile::Builder::new()
            .prefix(".ltv-score-")
            .tempdir_in(parent)
            .map_err(|e| Error::io(parent, "create a temporary folder in", e))?;
        let workshop = Self { out, hidden };
        // A folder of its own, because the temporary one is for its owner's eyes only.
        create_folder(workshop.folder())?;
        Ok(workshop)
    }

    /// The folder that becomes the snapshot.
    pub(crate) fn folder(&self) -> PathBuf {
        self.hidden.path().join("snapshot")
    }

    /// Writes the manifest and gives the folder its name. An old snapshot steps aside first, and
    /// back again if the new one cannot take its place.
    pub(crate) fn commit(self, manifest: &SnapshotManifest) -> Result<(), ScoreError> {
        manifest.write(self.folder())?;
        // Whatever arrived there while we were scoring is not ours to remove.
        check_output(&self.out)?;
        let old = self.hidden.path().join("old");
        let replaces = self.out.exists();
        let rename = |from: &Path, to: &Path| {
            fs::rename(from, to).map_err(|e| Error::io(&self.out, "replace", e))
        };
        if replaces {
            rename(&self.out, &old)?;
        }
        if let Err(error) = rename(&self.folder(), &self.out) {
            if replaces {
                rename(&old, &self.out)?;
            }
            return Err(error.into());
        }
        sync(parent(&self.out))
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    }
}

/// A rename is durable only once its folder is.
fn sync(folder: &Path) -> Result<(), ScoreError> {
    #[cfg(unix)]
    File::open(folder)
        .and_then(|handle| handle.sync_all())
        .map_err(|e| Error::io(folder, "write", e))?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// Nothing is ever replaced but a snapshot and its own files.
fn check_output(out: &Path) -> Result<(), ScoreError> {
    if !out.exists() {
        return Ok(());
    }
    let mut own = HashSet::new();
    if out.join(MANIFEST).exists() {
        let old = SnapshotManifest::read(out)?;
        own.extend(old.files.into_iter().map(|f| f.path));
        own.insert(MANIFEST.to_owned());
    }
    for entry in fs::read_dir(out).map_err(|e| Error::io(out, "list", e))? {
        let entry = entry.map_err(|e| Error::io(out, "list", e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !own.contains(&name) {
            let path = out.to_path_buf();
            return Err(ScoreError::OutputInUse { path, entry: name });
        }
    }
    Ok(())
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
