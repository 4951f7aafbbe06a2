//! What is fuzzed here (fuzz/README.md): documents and configuration, from bytes that may be anything. A target
//! panics where a promise is broken.

use crate::{
    artefact::to_json,
    config::{FeatureConfig, TrainConfig, merge, parse_toml},
    manifest::{DatasetManifest, SnapshotManifest},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt::Debug, path::Path};

/// Manifests of datasets and snapshots: what is read is written and read again as it was.
pub fn manifests(data: &[u8]) {
    let folder = Path::new("made");
    if let Ok(manifest) = DatasetManifest::parse(folder, Some(data)) {
        let written = to_json(folder, &manifest).expect("it can be written");
        let again = DatasetManifest::parse(folder, Some(&written));
        assert_eq!(again.expect("it can be read again"), manifest);
    }
    if let Ok(manifest) = SnapshotManifest::parse(folder, Some(data)) {
        let written = to_json(folder, &manifest).expect("it can be written");
        let again = SnapshotManifest::parse(folder, Some(&written));
        assert_eq!(again.expect("it can be read again"), manifest);
        let outside =
            |path: &str| path.starts_with('/') || path.split('/').any(|part| part == "..");
        assert!(!manifest.files.iter().any(|file| outside(&file.path)));
        let rows: u64 = manifest.files.iter().map(|file| file.rows).sum();
        assert_eq!(rows, manifest.rows);
    }
}

/// Configuration of features and of training: what passes its check is written and read again as it was, and laid
/// over itself stays what it is.
pub fn config(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    one::<FeatureConfig>(text, |config| config.check().is_ok());
    one::<TrainConfig>(text, |config| config.check().is_ok());
    if let Ok(table) = parse_toml::<toml::Table>("made.toml", text) {
        let mut merged = table.clone();
        merge(&mut merged, table.clone());
        // Not compared as they are: a number may be none.
        assert_eq!(format!("{merged:?}"), format!("{table:?}"));
    }
}

fn one<T>(text: &str, check: fn(&T) -> bool)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    if let Ok(config) = parse_toml::<T>("made.toml", text)
        && check(&config)
    {
        let written = toml::to_string(&config).expect("it can be written");
        let again: T = parse_toml("made.toml", &written).expect("it can be read again");
        assert_eq!(again, config);
    }
}

#[cfg(test)]
mod tests;
