//! Datasets without some of their users.

use super::{Artefact, ForgetError};
use crate::{dataset::shard_folders, part::PartFile, stream::columns};
use arrow::{
    array::{BooleanArray, RecordBatch},
    datatypes::Schema,
};
use ltv_core::{
    address::is_address,
    manifest::{DatasetManifest, FileEntry},
};
use parquet::file::properties::WriterProperties;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The folder of a dataset, or of a shard.
pub struct DataFolder(DatasetManifest);

/// The folders of datasets that `folder` stands for: itself, or its shards.
///
/// # Errors
/// When it is an address, or as [`shard_folders`].
pub fn data_folders(folder: &Path) -> Result<Vec<PathBuf>, ForgetError> {
    match is_address(folder) {
        true => Err(ForgetError::Remote(folder.to_path_buf())),
        false => Ok(shard_folders(folder)?),
    }
}

impl Artefact for DataFolder {
    /// Statuses of those who go.
    type Seen = BTreeMap<String, u64>;
    const KIND: &'static str = "dataset";
    const LEAST: u64 = 1;

    fn read(folder: &Path) -> ltv_core::Result<Self> {
        DatasetManifest::read(folder).map(Self)
    }

    fn stranger(folder: &Path) -> ltv_core::Result<Option<String>> {
        DatasetManifest::stranger(folder)
    }

    fn files(&self) -> &[FileEntry] {
        &self.0.files
    }

    fn columns(&self) -> Vec<String> {
        vec!["status".to_owned()]
    }

    fn see(
        &self,
        (batch, file): (&RecordBatch, &Path),
        stays: &BooleanArray,
        seen: &mut Self::Seen,
    ) -> Result<(), ForgetError> {
        let place = file.display().to_string();
        let statuses = columns::required(batch, "status", &place)?;
        let statuses = columns::utf8(statuses, "status", &place, "Utf8")?;
        let gone = statuses.iter().zip(stays.values());
        for (status, _) in gone.filter(|(_, stays)| !stays) {
            *seen
                .entry(status.unwrap_or_default().to_owned())
                .or_default() += 1;
        }
        Ok(())
    }

    fn without(self, files: Vec<FileEntry>, removed: u64, seen: Vec<Self::Seen>) -> Self {
        let mut manifest = self.0;
        manifest.files = files;
        manifest.rows = manifest.rows.saturating_sub(removed);
        for (status, rows) in seen.into_iter().flatten() {
            if let Some(count) = manifest.statuses.get_mut(&status) {
                *count = count.saturating_sub(rows);
            }
        }
        manifest.statuses.retain(|_, count| *count > 0);
        Self(manifest)
    }

    fn write(&self, folder: &Path) -> ltv_core::Result<()> {
        self.0.write(folder)
    }

    fn properties(_: &Schema) -> WriterProperties {
        PartFile::properties()
    }
}
