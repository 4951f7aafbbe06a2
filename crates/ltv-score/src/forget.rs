//! Snapshots without some of their users: see [`ltv_data::forget`].

use crate::{ScoreError, output};
use arrow::{
    array::{Array, BooleanArray, Float64Array, RecordBatch},
    datatypes::Schema,
};
use ltv_core::{
    Error,
    address::is_address,
    artefact::PART,
    manifest::{FileEntry, MANIFEST, SnapshotManifest},
};
use ltv_data::forget::{Artefact, ForgetError};
use ltv_eval::Sum;
use parquet::file::properties::WriterProperties;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The reason in [`SnapshotManifest::dropped`] for users who were forgotten.
pub const FORGOTTEN: &str = "forgotten";

/// The folder of a snapshot.
pub struct SnapshotFolder(SnapshotManifest);

/// What is to be known of the rows of a file that stay.
#[derive(Default)]
pub struct Seen {
    totals: Vec<Sum>,
    order_violations: u64,
}

/// The snapshots that `folder` stands for: itself, or those in it side by side, by name. What `ltv prune` was removing there
/// when it was killed is removed.
///
/// # Errors
/// When there is none, or one is being made there, or was when its run was killed: it may hold users, and is not
/// whole.
pub fn snapshot_folders(folder: &Path, rehearse: bool) -> Result<Vec<PathBuf>, ScoreError> {
    if is_address(folder) || folder.join(MANIFEST).exists() {
        return Ok(vec![folder.to_path_buf()]);
    }
    let failed = |e| Error::io(folder, "list", e);
    let (mut found, mut parts) = (vec![], vec![]);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, name) = (entry.path(), entry.file_name());
        let (name, is_folder) = (
            name.to_string_lossy(),
            entry.file_type().map_err(failed)?.is_dir(),
        );
        if let (true, Some(target)) = (is_folder, name.strip_prefix(PART)) {
            parts.push((folder.join(target), path));
        } else if is_folder && name.starts_with(crate::prune::GONE) && !rehearse {
            fs::remove_dir_all(&path).map_err(|e| Error::io(&path, "remove", e))?;
        } else if is_folder && !name.starts_with('.') && path.join(MANIFEST).exists() {
            found.push(path);
        }
    }
    found.sort();
    // What is left beside a snapshot that is there goes when that is looked at.
    if let Some((_, part)) = parts.iter().find(|(target, _)| !found.contains(target)) {
        let problem = "a snapshot that is being made, or whose run did not finish";
        let hint = "finish it with 'ltv score', or remove this folder, and run this again";
        return Err(Error::artefact(part, problem, hint).into());
    }
    match found.is_empty() {
        false => Ok(found),
        true => {
            let (problem, hint) = ("no snapshot, and none in it", "give the right folder");
            Err(Error::artefact(folder, problem, hint).into())
        }
    }
}

impl Artefact for SnapshotFolder {
    type Seen = Seen;
    const KIND: &'static str = "snapshot";
    const LEAST: u64 = 0;

    fn read(folder: &Path) -> ltv_core::Result<Self> {
        SnapshotManifest::read(folder).map(Self)
    }

    fn stranger(folder: &Path) -> ltv_core::Result<Option<String>> {
        SnapshotManifest::stranger(folder)
    }

    fn files(&self) -> &[FileEntry] {
        &self.0.files
    }

    fn columns(&self) -> Vec<String> {
        self.0.horizons.columns()
    }

    fn see(
        &self,
        (batch, file): (&RecordBatch, &Path),
        stays: &BooleanArray,
        seen: &mut Seen,
    ) -> Result<(), ForgetError> {
        let mut columns = vec![];
        for name in self.columns() {
            let column = batch.column_by_name(&name);
            let column = column.and_then(|c| c.as_any().downcast_ref::<Float64Array>());
            let column = column.filter(|column| column.null_count() == 0);
            columns.push(column.ok_or_else(|| {
                let problem = format!("column '{name}' is missing, or not numbers alone");
                Error::artefact(file, problem, "make the snapshot again with 'ltv score'")
            })?);
        }
        seen.totals.resize(columns.len(), Sum::default());
        for row in (0..stays.len()).filter(|&row| stays.value(row)) {
            for (total, column) in seen.totals.iter_mut().zip(&columns) {
                total.add(column.value(row));
            }
            let mut pairs = columns.windows(2);
            let falls = pairs.any(|pair| pair[0].value(row) > pair[1].value(row));
            seen.order_violations += u64::from(falls);
        }
        Ok(())
    }

    fn without(self, files: Vec<FileEntry>, removed: u64, seen: Vec<Seen>) -> Self {
        let mut manifest = self.0;
        manifest.files = files;
        manifest.rows = manifest.rows.saturating_sub(removed);
        // With them, rows and those who have none are still the users of the dataset.
        *manifest.dropped.entry(FORGOTTEN.to_owned()).or_default() += removed;
        let total = |t: usize| {
            let files = seen.iter().filter_map(|file| file.totals.get(t));
            files.map(|total| total.value()).collect::<Sum>().value()
        };
        manifest.totals = (0..manifest.horizons.len()).map(total).collect();
        manifest.order_violations = seen.iter().map(|file| file.order_violations).sum();
        // Nothing in a row says whether it was projected.
        manifest.projected = manifest.projected.min(manifest.rows);
        Self(manifest)
    }

    fn write(&self, folder: &Path) -> ltv_core::Result<()> {
        self.0.write(folder)
    }

    fn properties(schema: &Schema) -> WriterProperties {
        output::properties(schema)
    }
}
