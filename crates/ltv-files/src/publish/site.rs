//! What is at a prefix before anything is written there.

use super::{DIGITS, PURPOSE, Publication, only};
use crate::{FilesError, Place, bucket::Bucket, error::Problem, place::below, runtime::wait};
use bytes::Bytes;
use ltv_core::manifest::{FileEntry, MANIFEST};
use object_store::{PutMode, path::Path as Key};
use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Folder below the prefix that is there while an artefact is made.
pub(super) const WORK: &str = "_ltv";

/// A prefix of a bucket, as it is before an artefact is made there.
#[derive(Debug, Clone)]
pub struct Site {
    place: Place,
    bucket: Arc<Bucket>,
    prefix: Key,
    /// Sizes of the objects there, by their names below the prefix.
    found: BTreeMap<String, u64>,
    /// The manifest there, and its tag.
    manifest: Option<(Bytes, Option<String>)>,
    /// Objects that the manifest there names.
    old: HashSet<String>,
}

impl Site {
    /// Looks at a prefix, and writes nothing; `None` for a folder of this machine.
    ///
    /// # Errors
    /// When it cannot be listed, or its manifest cannot be read.
    pub fn at(place: &Place) -> Result<Option<Self>, FilesError> {
        let Some((bucket, prefix)) = place.prefix() else {
            return Ok(None);
        };
        let mut site = Self {
            place: place.clone(),
            bucket: bucket.clone(),
            prefix: prefix.clone(),
            found: BTreeMap::new(),
            manifest: None,
            old: HashSet::new(),
        };
        site.manifest = site.read_manifest()?;
        site.found = site.list()?;
        Ok(Some(site))
    }

    fn read_manifest(&self) -> Result<Option<(Bytes, Option<String>)>, FilesError> {
        let (bucket, key) = (self.bucket(), self.key(MANIFEST)?);
        let read = wait(async move { bucket.get(&key, None, None).await });
        match read {
            Ok((meta, bytes)) => Ok(Some((bytes, meta.e_tag))),
            Err(FilesError::Remote {
                problem: Problem::Missing,
                ..
            }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// The bytes of the manifest there.
    pub fn manifest(&self) -> Option<&[u8]> {
        self.manifest.as_ref().map(|(bytes, _)| bytes.as_ref())
    }

    /// The first object, by name, that is neither the manifest nor one of `files`, which it names, nor left by a
    /// run of ours that did not commit: `None` where an artefact may be made. From now on `files` are known
    /// as those that it replaces.
    pub fn stranger(&mut self, files: &[FileEntry]) -> Option<String> {
        self.old = files.iter().map(|file| file.path.clone()).collect();
        let ours = self.manifest.is_some() || self.found.keys().any(|name| is_work(name));
        let known = |name: &str| name == MANIFEST || (ours && self.is_own(name));
        let mut names = self.found.keys();
        names.find(|name| !known(name)).cloned()
    }

    /// Begins an artefact, or goes on with what a run for the same `purpose` left; files are made in a hidden
    /// folder of this machine in `scratch`, which is made where it is not there.
    ///
    /// # Errors
    /// When nothing may be written there, or in `scratch`.
    pub fn begin(self, purpose: &str, scratch: &Path) -> Result<Publication, FilesError> {
        Publication::begin(self, purpose, scratch)
    }

    /// Whether an object is one that may be removed once another artefact is there.
    pub(super) fn is_own(&self, name: &str) -> bool {
        self.old.contains(name) || is_work(name) || is_part(name)
    }

    /// How the manifest is put, so that it replaces only the one that was there.
    pub(super) fn unchanged(&self) -> PutMode {
        match &self.manifest {
            None => PutMode::Create,
            // A weak tag never matches.
            Some((_, Some(e_tag))) if !e_tag.starts_with("W/") => only(e_tag),
            Some(_) => PutMode::Overwrite,
        }
    }

    /// Whether the manifest there now has these bytes.
    pub(super) fn has_manifest(&self, expected: Option<&Bytes>) -> Result<bool, FilesError> {
        let found = self.read_manifest()?;
        Ok(found.as_ref().map(|(bytes, _)| bytes) == expected)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.found.keys().map(String::as_str)
    }

    pub(super) fn size(&self, name: &str) -> Option<u64> {
        self.found.get(name).copied()
    }

    pub(super) fn bucket(&self) -> Arc<Bucket> {
        self.bucket.clone()
    }

    /// What messages call the object of a name.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.place.file(name)
    }

    pub(super) fn key(&self, name: &str) -> Result<Key, FilesError> {
        let failed = |problem| FilesError::remote(self.file(name).display(), problem);
        below(&self.prefix, name).map_err(failed)
    }

    /// Sizes of the objects there now, by their names below the prefix.
    pub(super) fn list(&self) -> Result<BTreeMap<String, u64>, FilesError> {
        let (bucket, prefix) = (self.bucket(), self.prefix.clone());
        let found = wait(async move { bucket.below(&prefix).await })?;
        let named = |(key, size): (Key, u64)| {
            let parts = key.prefix_match(&self.prefix)?;
            let parts: Vec<_> = parts.map(|part| part.as_ref().to_owned()).collect();
            Some((parts.join("/"), size))
        };
        Ok(found.into_iter().filter_map(named).collect())
    }

    /// Removes objects, by their names below the prefix.
    pub(super) fn delete(&self, names: Vec<String>) -> Result<(), FilesError> {
        if names.is_empty() {
            return Ok(());
        }
        let keys = names.iter().map(|name| self.key(name));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let bucket = self.bucket();
        wait(async move { bucket.delete(keys).await })
    }
}

/// `_ltv/HASH/purpose`, or a record beside it.
pub(super) fn is_work(name: &str) -> bool {
    let mut parts = name.split('/');
    let (work, hash, file) = (parts.next(), parts.next(), parts.next());
    let record = |file: &str| file == PURPOSE || file.ends_with(".json");
    work == Some(WORK)
        && hash.is_some_and(|hash| is_hash(hash, 64))
        && file.is_some_and(record)
        && parts.next().is_none()
}

/// `part-00000-0f3a9c51d2e84b67.parquet`.
fn is_part(name: &str) -> bool {
    let middle = name.strip_prefix("part-");
    let middle = middle.and_then(|rest| rest.strip_suffix(".parquet"));
    let halves = middle.and_then(|middle| middle.split_once('-'));
    halves.is_some_and(|(number, hash)| {
        number.len() >= 5 && number.bytes().all(|b| b.is_ascii_digit()) && is_hash(hash, DIGITS)
    })
}

fn is_hash(text: &str, digits: usize) -> bool {
    let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    text.len() == digits && text.bytes().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::named_after_content;

    #[test]
    fn names_of_our_own_are_told_from_others() {
        let hash = "0123456789abcdef".repeat(4);
        for name in ["purpose", "part-00000.json"] {
            assert!(is_work(&format!("_ltv/{hash}/{name}")));
            assert!(!is_work(&format!("_ltv/{}/{name}", &hash[1..])));
            assert!(!is_work(&format!("_ltv/{hash}/x/{name}")));
            assert!(!is_work(&format!("ltv/{hash}/{name}")));
            assert!(!is_part(name));
        }
        assert!(!is_work(&format!("_ltv/{hash}")));
        assert!(!is_work("_ltv"));
        for other in [
            "part-00000.parquet",
            "part-00000-0f3a9c51.parquet",
            "part-00000-0f3a9c51d2e84b67.snappy.parquet",
            "part-00000-0F3A9C51D2E84B67.parquet",
            "part-0-0f3a9c51d2e84b67.parquet",
            "x/part-00000-0f3a9c51d2e84b67.parquet",
            "part-00000-5bf1e0a7-0f3a-9c51-d2e8-4b67c000.parquet",
        ] {
            assert!(!is_part(other), "{other}");
        }
    }

    #[test]
    fn a_file_is_named_after_its_content() {
        let file = FileEntry {
            path: "part-00007.parquet".into(),
            rows: 1,
            bytes: 1,
            blake3: "0f3a9c51d2e84b6735c1be9d8d44f3a0".into(),
        };
        let name = named_after_content(&file);
        assert_eq!(name, "part-00007-0f3a9c51d2e84b67.parquet");
        assert!(is_part(&name));
    }
}
