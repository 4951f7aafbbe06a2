//! An artefact of many files on its way to a prefix of a bucket, where a reader sees the old one or the new one.
//!
//! ```text
//! s3://bucket/prefix/
//!   manifest.json                          names the files of the old artefact, until the new one is whole
//!   part-00000-0f3a9c51d2e84b67.parquet    named after its content: none is ever replaced by another
//!   _ltv/<hash of the purpose>/            while one is made
//!     purpose                              what is made, in words
//!     part-00000.json                      what is known of a finished file
//! ```
//!
//! A store has no folders that could change places, but it puts one object whole or not at all: the manifest.
//! Files are made on this machine, one for each thread, uploaded under names that no other content has, and
//! removed from this machine. What no manifest names any more is removed after the new one is there, and
//! not before: whoever is killed, and whenever, leaves the old artefact or the new one, and
//! perhaps objects that the next run to the same prefix removes.
//!
//! The manifest is only put in the place of the one that was there at first, where the store knows such conditions:
//! of two runs at once, one is refused.

mod site;
mod upload;

pub use site::Site;

use crate::{
    FilesError,
    error::Problem,
    explain::{explain_write, is_transport, knows_no_conditions},
    place::{side_by_side, whole},
    runtime::wait,
};
use bytes::Bytes;
use ltv_core::{
    Error,
    artefact::AtomicFolder,
    manifest::{FileEntry, MANIFEST},
    progress::Progress,
};
use object_store::{PutMode, UpdateVersion};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// What is made there, in words.
const PURPOSE: &str = "purpose";
/// Hexadecimal digits of a file's checksum that are part of its name.
const DIGITS: usize = 16;

/// How long the manifest is put again where requests fail on their way.
const PATIENCE: Duration = Duration::from_secs(60);

/// An artefact under construction. Dropped without a commit, it leaves its objects there: another run may be
/// making the same under the same names, and may be about to commit. On this machine it leaves nothing.
#[derive(Debug)]
pub struct Publication {
    site: Site,
    /// Folder of records: its name below the prefix.
    work: String,
    stage: AtomicFolder,
}

impl Publication {
    /// Begins, or goes on with what a run for the same purpose left; files are made in a hidden folder in
    /// `scratch`, which is made where it is not there.
    fn begin(site: Site, purpose: &str, scratch: &Path) -> Result<Self, FilesError> {
        let hash = blake3::hash(purpose.as_bytes()).to_hex();
        let begun = Self {
            stage: AtomicFolder::create(scratch.join("ltv-upload"))?,
            site,
            work: format!("{}/{hash}", site::WORK),
        };
        // Also tells, before the work, whether anything may be written there at all.
        begun.put(
            format!("{}/{PURPOSE}", begun.work),
            purpose.to_owned().into(),
        )?;
        Ok(begun)
    }

    /// Where files are made before they are [added](Self::add).
    pub fn path(&self) -> &Path {
        self.stage.path()
    }

    /// A folder of this machine for other files, which go away with the rest. The names `lock`, `new` and `old` are taken.
    pub fn scratch(&self) -> &Path {
        self.stage.scratch()
    }

    /// What a run for the same purpose has [remembered](Self::remember), by name.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn records(&self) -> Result<Vec<(String, Bytes)>, FilesError> {
        let own = format!("{}/", self.work);
        let names = self.site.names().filter_map(|name| name.strip_prefix(&own));
        let names: Vec<&str> = names.filter(|name| *name != PURPOSE).collect();
        let keys = names
            .iter()
            .map(|name| self.site.key(&format!("{own}{name}")));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let reads = keys.into_iter().map(|key| whole(self.site.bucket(), key));
        let read = side_by_side(reads.collect())?;
        let found = names.into_iter().zip(read);
        let found =
            found.filter_map(|(name, read)| Some(read.transpose()?.map(|b| (name.to_owned(), b))));
        found.collect()
    }

    /// Whether a file that was added by an earlier run was there when this one began, with the size that it had.
    pub fn holds(&self, file: &FileEntry) -> bool {
        self.site.size(&file.path) == Some(file.bytes)
    }

    /// Uploads a file that lies in [`path`](Self::path) under a name that tells its content, and removes it from this
    /// machine; its line in the manifest.
    ///
    /// # Errors
    /// When it cannot be read, or the store refuses it.
    pub fn add(&self, file: FileEntry) -> Result<FileEntry, FilesError> {
        let path = self.path().join(&file.path);
        let name = named_after_content(&file);
        let (bucket, key, local) = (self.site.bucket(), self.site.key(&name)?, path.clone());
        wait(async move { upload::upload(&bucket, &key, &local).await })?;
        fs::remove_file(&path).map_err(|e| Error::io(&path, "remove", e))?;
        Ok(FileEntry { path: name, ..file })
    }

    /// Keeps what is known of a finished file for a run that goes on with this one.
    ///
    /// # Errors
    /// When the store refuses it.
    pub fn remember(&self, name: &str, record: Vec<u8>) -> Result<(), FilesError> {
        self.put(format!("{}/{name}", self.work), record.into())
    }

    fn put(&self, name: String, bytes: Bytes) -> Result<(), FilesError> {
        let (bucket, key) = (self.site.bucket(), self.site.key(&name)?);
        wait(async move {
            let put = bucket.put(&key, bytes, PutMode::Overwrite).await;
            put.map_err(|e| explain_write(&bucket.url(&key), &e))
        })
    }

    /// Puts the manifest, which names `files`, and with it the artefact; then removes the files of the artefact that
    /// was replaced, and what runs that did not commit have left. What cannot be removed is told to `progress`, and
    /// removed by the next run to the same prefix.
    ///
    /// # Errors
    /// When a file is no longer there, or has another size; when another run has committed in the meantime; when the
    /// store refuses. The old artefact is then as it was.
    pub fn commit(
        self,
        manifest: Vec<u8>,
        files: &[FileEntry],
        progress: &dyn Progress,
    ) -> Result<(), FilesError> {
        progress.start("commit", None);
        let manifest = Bytes::from(manifest);
        let old = self.publish(manifest.clone(), files)?;
        if let Err(error) = self.clear(old, &manifest) {
            progress.note(&format!("old objects could not be removed: {error}"));
        }
        progress.finish();
        Ok(())
    }

    /// Puts the manifest; the names of the objects that are then not needed any more.
    fn publish(&self, manifest: Bytes, files: &[FileEntry]) -> Result<Vec<String>, FilesError> {
        self.check(files, &self.site.list()?)?;
        self.put_manifest(manifest.clone())?;
        // The condition does not hold a run off that put the very manifest that was there, and removed the rest.
        let there = self.site.list()?;
        if let Err(lost) = self.check(files, &there) {
            self.take_back(&manifest)?;
            return Err(lost);
        }
        let keep: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
        let old = there.into_keys();
        let old = old.filter(|name| self.site.is_own(name) && !keep.contains(name.as_str()));
        Ok(old.collect())
    }

    /// Fails when a file is not there, whole.
    fn check(&self, files: &[FileEntry], there: &BTreeMap<String, u64>) -> Result<(), FilesError> {
        let lost = |file: &&FileEntry| there.get(&file.path) != Some(&file.bytes);
        match files.iter().find(lost) {
            Some(file) => {
                let url = self.site.file(&file.path);
                Err(FilesError::remote(url.display(), Problem::Lost))
            }
            None => Ok(()),
        }
    }

    /// Removes objects, unless another manifest is there by now, which may name them.
    fn clear(&self, old: Vec<String>, manifest: &Bytes) -> Result<(), FilesError> {
        if !self.site.has_manifest(Some(manifest))? {
            return Ok(());
        }
        // Records last: as long as one is there, the others are known to be ours.
        let (records, files) = old.into_iter().partition(|name| site::is_work(name));
        self.site.delete(files)?;
        self.site.delete(records)
    }

    fn put_manifest(&self, manifest: Bytes) -> Result<(), FilesError> {
        let (bucket, key) = (self.site.bucket(), self.site.key(MANIFEST)?);
        let before = self.site.manifest().map(Bytes::copy_from_slice);
        let mut mode = self.site.unchanged();
        wait(async move {
            let (began, mut pause) = (Instant::now(), Duration::from_millis(250));
            loop {
                let put = bucket.put(&key, manifest.clone(), mode.clone()).await;
                let Err(error) = put else {
                    return Ok(());
                };
                let there = whole(bucket.clone(), key.clone()).await;
                // An answer that was lost, or another run that made the same.
                if matches!(&there, Ok(Some(there)) if *there == manifest) {
                    return Ok(());
                }
                if knows_no_conditions(&error) && !matches!(mode, PutMode::Overwrite) {
                    mode = PutMode::Overwrite;
                    continue;
                }
                // The library makes no request again that has a condition, because it cannot know whether it
                // came through. Here the old manifest says that it did not.
                let is_as_before = !matches!(&there, Ok(there) if *there != before);
                if !is_transport(&error) || !is_as_before || began.elapsed() > PATIENCE {
                    return Err(explain_write(&bucket.url(&key), &error));
                }
                sleep(pause).await;
                pause *= 2;
            }
        })
    }

    /// Puts the manifest back that was there, where ours names files that are gone.
    fn take_back(&self, ours: &Bytes) -> Result<(), FilesError> {
        if !self.site.has_manifest(Some(ours))? {
            return Ok(());
        }
        match self.site.manifest() {
            Some(before) => self.put(MANIFEST.to_owned(), Bytes::copy_from_slice(before)),
            None => self.site.delete(vec![MANIFEST.to_owned()]),
        }
    }
}

/// `part-00000-0f3a9c51d2e84b67.parquet` for `part-00000.parquet`.
fn named_after_content(file: &FileEntry) -> String {
    let digits = file.blake3.get(..DIGITS).unwrap_or(&file.blake3);
    match file.path.rsplit_once('.') {
        Some((stem, extension)) => format!("{stem}-{digits}.{extension}"),
        None => format!("{}-{digits}", file.path),
    }
}

/// The version of an object that a write may replace.
fn only(e_tag: &str) -> PutMode {
    PutMode::Update(UpdateVersion {
        e_tag: Some(e_tag.to_owned()),
        version: None,
    })
}
