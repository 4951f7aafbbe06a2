//! Keeping the latest snapshots of a folder, and nothing else of it.

use crate::ScoreError;
use ltv_core::{
    Day, Error, artefact,
    manifest::{Head, MANIFEST, SnapshotManifest},
};
use serde::Serialize;
use std::{
    fs, io, mem,
    num::NonZero,
    path::{Path, PathBuf},
};

/// How the names of snapshots start that are being removed: nobody takes them for one.
pub(crate) const GONE: &str = ".ltv-gone-";

/// A snapshot of the folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// Its as-of date.
    pub as_of: Day,
    /// Bytes of its files.
    pub bytes: u64,
    /// BLAKE3 checksum of its manifest, in hexadecimal.
    pub manifest: String,
}

/// A folder with a snapshot's manifest that is neither counted nor removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Passed {
    /// Where it is.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

/// What became of the snapshots of a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// Latest first.
    pub kept: Vec<Found>,
    /// Latest first; still there after a rehearsal.
    pub removed: Vec<Found>,
    /// By name.
    pub passed: Vec<Passed>,
}

/// Removes all snapshots in `folder` but the `keep` latest by as-of date, and of the same date by name.
///
/// Removed is what `ltv score` made and nothing else: folders without a manifest of a snapshot are not looked at, and
/// a snapshot that holds other files, cannot be read or is pointed to by a link in `folder` is left and
/// not counted. A snapshot loses its name first, in one step, so that nobody reads half of it; one
/// whose removal was interrupted goes with the next run. With `rehearse`, nothing is removed.
///
/// # Errors
/// When `folder` is a snapshot itself or cannot be listed, or a file cannot be removed.
pub fn prune(folder: &Path, keep: NonZero<usize>, rehearse: bool) -> Result<Pruned, ScoreError> {
    if folder.join(MANIFEST).exists() {
        let (problem, hint) = (
            "holds a manifest.json, so it is no folder of snapshots",
            "give the folder that snapshots lie in side by side",
        );
        return Err(Error::artefact(folder, problem, hint).into());
    }
    let entries = Entries::of(folder)?;
    let mut pruned = Pruned::default();
    for path in &entries.folders {
        match look(path, &entries.links) {
            Some(Ok(found)) => pruned.kept.push(found),
            Some(Err(passed)) => pruned.passed.push(passed),
            None => {}
        }
    }
    pruned
        .kept
        .sort_by(|a, b| (b.as_of, &b.path).cmp(&(a.as_of, &a.path)));
    pruned.removed = pruned.kept.split_off(keep.get().min(pruned.kept.len()));
    if !rehearse {
        entries.gone.iter().try_for_each(|path| remove_all(path))?;
        for found in mem::take(&mut pruned.removed) {
            match remove(&found)? {
                true => pruned.removed.push(found),
                false => pruned.passed.push(Passed {
                    path: found.path,
                    reason: "it was replaced meanwhile".to_owned(),
                }),
            }
        }
    }
    Ok(pruned)
}

/// What lies in a folder, by name.
#[derive(Default)]
struct Entries {
    folders: Vec<PathBuf>,
    /// What an interrupted run has left.
    gone: Vec<PathBuf>,
    /// Where links point to.
    links: Vec<PathBuf>,
}

impl Entries {
    fn of(folder: &Path) -> Result<Self, ScoreError> {
        let failed = |e| Error::io(folder, "list", e);
        let mut all = Self::default();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (kind, path) = (entry.file_type().map_err(failed)?, entry.path());
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if kind.is_symlink() {
                all.links.extend(fs::canonicalize(path));
            } else if kind.is_dir() && name.starts_with(GONE) {
                all.gone.push(path);
            } else if kind.is_dir() && !name.starts_with('.') {
                all.folders.push(path);
            }
        }
        all.folders.sort();
        Ok(all)
    }
}

/// The snapshot in `path`, or why it is left alone; `None` where there is none.
fn look(path: &Path, links: &[PathBuf]) -> Option<Result<Found, Passed>> {
    let passed = |reason: String| {
        Some(Err(Passed {
            path: path.to_path_buf(),
            reason,
        }))
    };
    let file = path.join(MANIFEST);
    if !file.exists() {
        return None;
    }
    match artefact::read_json::<Head>(&file) {
        Ok(head) if head.format == SnapshotManifest::FORMAT => {}
        Ok(_) => return None,
        Err(error) => return passed(error.to_string()),
    }
    let manifest = match SnapshotManifest::read(path) {
        Ok(manifest) => manifest,
        Err(error) => return passed(error.to_string()),
    };
    match SnapshotManifest::stranger(path) {
        Ok(None) => {}
        Ok(Some(entry)) => return passed(format!("holds '{entry}', which is not part of it")),
        Err(error) => return passed(error.to_string()),
    }
    for file in &manifest.files {
        // A copy that is not finished has its manifest, and may be the latest.
        let there = fs::metadata(path.join(&file.path)).map(|found| found.len());
        if there.ok() != Some(file.bytes) {
            return passed(format!("'{}' is missing or not whole", file.path));
        }
    }
    let whole = fs::canonicalize(path);
    if whole.is_ok_and(|whole| links.iter().any(|link| link.starts_with(&whole))) {
        return passed("a link points to it".to_owned());
    }
    let sum = match artefact::checksum(&file) {
        Ok(sum) => sum,
        Err(error) => return passed(error.to_string()),
    };
    Some(Ok(Found {
        manifest: sum,
        path: path.to_path_buf(),
        as_of: manifest.as_of,
        bytes: manifest.files.iter().map(|file| file.bytes).sum(),
    }))
}

/// Takes a snapshot's name away, and then its files; `false` where another one has taken its place since
/// it was looked at, which then keeps it.
fn remove(found: &Found) -> Result<bool, ScoreError> {
    let path = &found.path;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let gone = path.with_file_name(format!("{GONE}{name}"));
    match fs::rename(path, &gone) {
        // Another process prunes too.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(true),
        renamed => renamed.map_err(|e| Error::io(path, "remove", e))?,
    }
    if artefact::checksum(gone.join(MANIFEST))? != found.manifest {
        fs::rename(&gone, path).map_err(|e| Error::io(&gone, "rename", e))?;
        return Ok(false);
    }
    remove_all(&gone)?;
    Ok(true)
}

fn remove_all(path: &Path) -> Result<(), ScoreError> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => Ok(removed.map_err(|e| Error::io(path, "remove", e))?),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use ltv_core::{Horizons, manifest::FileEntry};

    fn snapshot(at: &Path, name: &str, as_of: &str) {
        let folder = at.join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("part-00000.parquet"), "scores").unwrap();
        let manifest = SnapshotManifest {
            format: SnapshotManifest::FORMAT.into(),
            version: SnapshotManifest::VERSION,
            as_of: as_of.parse().unwrap(),
            model_id: "m".into(),
            model_blake3: None,
            input: None,
            horizons: Horizons::new(vec![30]).unwrap(),
            decoding: "expectation".into(),
            rows: 1,
            dropped: Default::default(),
            projected: 0,
            order_violations: 0,
            monotone: true,
            totals: vec![1.0],
            files: vec![FileEntry {
                path: "part-00000.parquet".into(),
                rows: 1,
                bytes: 6,
                blake3: String::new(),
            }],
        };
        manifest.write(&folder).unwrap();
    }

    fn names(of: &[Found]) -> Vec<String> {
        let name = |f: &Found| f.path.file_name().unwrap().to_str().unwrap().to_owned();
        of.iter().map(name).collect()
    }

    fn keep(n: usize) -> NonZero<usize> {
        NonZero::new(n).unwrap()
    }

    #[test]
    fn the_latest_stay_and_strangers_are_left() {
        let at = tempfile::tempdir().unwrap();
        let at = at.path();
        // The date in the manifest counts, not the name; of one date, the later name is later.
        for (name, as_of) in [
            ("z", "2024-01-01"),
            ("y", "2024-01-02"),
            ("a", "2024-01-03"),
            ("b", "2024-01-03"),
            ("mine", "2023-01-01"),
            ("live", "2023-01-02"),
            (".ltv-gone-x", "2022-01-01"),
        ] {
            snapshot(at, name, as_of);
        }
        fs::write(at.join("mine/notes"), "").unwrap();
        fs::create_dir(at.join("other")).unwrap();
        fs::write(at.join("file"), "").unwrap();
        fs::create_dir(at.join("data")).unwrap();
        let dataset = r#"{"format": "ltv-dataset", "version": 1}"#;
        fs::write(at.join("data/manifest.json"), dataset).unwrap();
        fs::create_dir(at.join("torn")).unwrap();
        fs::write(at.join("torn/manifest.json"), "{").unwrap();
        std::os::unix::fs::symlink("live/part-00000.parquet", at.join("current")).unwrap();
        // A copy that has only begun is later than all others.
        snapshot(at, "copied", "2024-02-01");
        fs::remove_file(at.join("copied/part-00000.parquet")).unwrap();

        let before = fs::read_dir(at).unwrap().count();
        let planned = prune(at, keep(3), true).unwrap();
        assert_eq!(fs::read_dir(at).unwrap().count(), before);
        assert_eq!(names(&planned.kept), ["b", "a", "y"]);
        assert_eq!(names(&planned.removed), ["z"]);
        let why: Vec<&str> = planned.passed.iter().map(|p| p.reason.as_str()).collect();
        assert_eq!(why[0], "'part-00000.parquet' is missing or not whole");
        assert_eq!(why[1], "a link points to it");
        assert_eq!(why[2], "holds 'notes', which is not part of it");
        assert!(why[3].contains("torn") && why.len() == 4, "{why:?}");

        assert_eq!(prune(at, keep(3), false).unwrap(), planned);
        let gone = ["z", ".ltv-gone-x", ".ltv-gone-z"];
        assert!(gone.iter().all(|name| !at.join(name).exists()));
        assert_eq!(fs::read_dir(at).unwrap().count(), before - 2);
        assert!(prune(at, keep(9), false).unwrap().removed.is_empty());
    }

    #[test]
    fn what_was_replaced_meanwhile_stays() {
        let at = tempfile::tempdir().unwrap();
        let at = at.path();
        snapshot(at, "daily", "2024-01-01");
        let Some(Ok(found)) = look(&at.join("daily"), &[]) else {
            panic!("a snapshot");
        };
        fs::remove_dir_all(at.join("daily")).unwrap();
        snapshot(at, "daily", "2024-01-02");
        assert!(!remove(&found).unwrap());
        let now = SnapshotManifest::read(at.join("daily")).unwrap();
        assert_eq!(now.as_of.to_string(), "2024-01-02");
        // Another process was faster.
        fs::remove_dir_all(at.join("daily")).unwrap();
        assert!(remove(&found).unwrap());
    }

    #[test]
    fn a_snapshot_is_no_folder_of_snapshots() {
        let at = tempfile::tempdir().unwrap();
        snapshot(at.path(), "s", "2024-01-01");
        let error = prune(&at.path().join("s"), keep(1), false).unwrap_err();
        assert!(error.to_string().contains("side by side"), "{error}");
        let error = prune(&at.path().join("none"), keep(1), false).unwrap_err();
        assert!(error.to_string().contains("none"), "{error}");
    }
}
