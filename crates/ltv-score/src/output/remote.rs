//! The prefix of a snapshot while it is made: see [`ltv_files::publish`].

use super::record_name;
use crate::{ScoreError, part::Made};
use ltv_core::{
    artefact::{parse_json, to_json},
    manifest::{MANIFEST, SnapshotManifest},
    progress::Progress,
};
use ltv_files::{Publication, Site};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// A snapshot under construction below a prefix of a bucket.
pub(crate) struct Remote {
    out: PathBuf,
    publication: Publication,
}

impl Remote {
    /// Starts the snapshot that will be at `site`, which must hold a snapshot or nothing; see [`super::Output::begin`].
    pub(super) fn begin(
        out: &Path,
        mut site: Site,
        (purpose, scratch): (&str, &Path),
        parts: usize,
    ) -> Result<(Self, Vec<Option<Made>>), ScoreError> {
        let old = site
            .manifest()
            .map(|bytes| SnapshotManifest::parse(out, Some(bytes)));
        let old = old.transpose()?.map(|old| old.files).unwrap_or_default();
        if let Some(entry) = site.stranger(&old) {
            let path = out.to_path_buf();
            return Err(ScoreError::OutputInUse { path, entry });
        }
        let remote = Self {
            out: out.to_path_buf(),
            publication: site.begin(purpose, scratch)?,
        };
        let made = remote.found(parts)?;
        Ok((remote, made))
    }

    pub(super) fn path(&self) -> &Path {
        self.publication.path()
    }

    /// What is known of the parts that are there, whole.
    fn found(&self, parts: usize) -> Result<Vec<Option<Made>>, ScoreError> {
        let records: BTreeMap<_, _> = self.publication.records()?.into_iter().collect();
        let found = (0..parts).map(|number| {
            let made: Made = parse_json(&self.out, records.get(&record_name(number))?).ok()?;
            let whole = |file| self.publication.holds(file);
            made.file.as_ref().is_none_or(whole).then_some(made)
        });
        Ok(found.collect())
    }

    /// Uploads the file of a part, and then what is known of it.
    pub(super) fn keep(&self, number: usize, mut made: Made) -> Result<Made, ScoreError> {
        if let Some(file) = made.file.take() {
            made.file = Some(self.publication.add(file)?);
        }
        let record = to_json(&self.out, &made)?;
        self.publication.remember(&record_name(number), record)?;
        Ok(made)
    }

    /// Puts the manifest, and removes what it does not name.
    pub(super) fn commit(
        self,
        manifest: &SnapshotManifest,
        progress: &dyn Progress,
    ) -> Result<(), ScoreError> {
        let bytes = to_json(self.out.join(MANIFEST), manifest)?;
        Ok(self.publication.commit(bytes, &manifest.files, progress)?)
    }
}
