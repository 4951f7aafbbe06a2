//! The folder of a snapshot while it is made.
//!
//! ```text
//! parent/
//!   snapshot/                  the old one, whole, until the new one is
//!   .ltv-part-snapshot/
//!     new/part-00000.parquet   a part, whole
//!     part-00000.json          what is known of it, written after it
//! ```

use super::record_name;
use crate::{ScoreError, part::Made};
use ltv_core::{
    artefact::{self, AtomicFolder},
    manifest::SnapshotManifest,
};
use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

/// A snapshot under construction in a folder of this machine.
pub(crate) struct Local {
    folder: AtomicFolder,
}

impl Local {
    /// Starts the snapshot that will be at `out`, which must be replaceable, or goes on with one for the
    /// same purpose; with what is known of the parts that are there, of so many.
    pub(super) fn begin(
        out: &Path,
        purpose: &str,
        parts: usize,
    ) -> Result<(Self, Vec<Option<Made>>), ScoreError> {
        check_output(out)?;
        let (folder, goes_on) = AtomicFolder::resume(out, purpose)?;
        let output = Self { folder };
        let made = (0..parts).map(|number| match goes_on {
            true => output.found(number),
            false => Ok(None),
        });
        let made = made.collect::<Result<Vec<_>, _>>()?;
        output.keep_only(&made)?;
        Ok((output, made))
    }

    /// Where parts are made.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    fn record(&self, number: usize) -> PathBuf {
        self.folder.scratch().join(record_name(number))
    }

    /// Writes down what is known of a part.
    pub(super) fn keep(&self, number: usize, made: &Made) -> Result<(), ScoreError> {
        Ok(artefact::write_json(self.record(number), made)?)
    }

    /// What is known of a part whose file has the content that was written. Should the folder hold another
    /// snapshot's files, as it does after a kill right when they changed places, they are not taken for
    /// this one's.
    fn found(&self, number: usize) -> Result<Option<Made>, ScoreError> {
        let record = self.record(number);
        if !record.exists() {
            return Ok(None);
        }
        let Ok(made) = artefact::read_json::<Made>(&record) else {
            return Ok(None);
        };
        let Some(file) = &made.file else {
            return Ok(Some(made));
        };
        let path = self.path().join(&file.path);
        let is_whole = path.exists() && artefact::checksum(&path)? == file.blake3;
        Ok(is_whole.then_some(made))
    }

    /// Removes all files but those of the parts that were found.
    fn keep_only(&self, made: &[Option<Made>]) -> Result<(), ScoreError> {
        let files = made.iter().flatten().filter_map(|made| made.file.as_ref());
        let own: HashSet<&str> = files.map(|file| file.path.as_str()).collect();
        let folder = self.path();
        let failed = |e| ltv_core::Error::io(folder, "list", e);
        for entry in fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !own.contains(&*name) {
                let removed = match path.is_dir() {
                    true => fs::remove_dir_all(&path),
                    false => fs::remove_file(&path),
                };
                removed.map_err(|e| ltv_core::Error::io(&path, "remove", e))?;
            }
        }
        Ok(())
    }

    /// Writes the manifest and gives the folder its name.
    pub(super) fn commit(self, manifest: &SnapshotManifest) -> Result<(), ScoreError> {
        manifest.write(self.folder.path())?;
        // Whatever arrived there while we were scoring is not ours to remove.
        check_output(self.folder.target())?;
        Ok(self.folder.commit()?)
    }
}

/// Nothing is ever replaced but a snapshot and its own files.
pub(crate) fn check_output(out: &Path) -> Result<(), ScoreError> {
    match SnapshotManifest::stranger(out)? {
        Some(entry) => Err(ScoreError::OutputInUse {
            path: out.to_path_buf(),
            entry,
        }),
        None => Ok(()),
    }
}
