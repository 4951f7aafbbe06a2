//! The documents that describe artefacts of many files. A manifest is written last: a folder
//! without one is not an artefact.

use crate::{
    Day, Error, Horizons, Result,
    artefact::{self, parse_json},
    config::{FeatureConfig, Label},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path},
};

/// Name of the manifest inside an artefact's folder.
pub const MANIFEST: &str = "manifest.json";

/// One file of an artefact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Name relative to the artefact's folder.
    pub path: String,
    /// Rows in it.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// BLAKE3 checksum in hexadecimal.
    pub blake3: String,
}

/// What a dataset column is to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// One Float64 column.
    Numeric,
    /// One Utf8 column.
    Categorical,
    /// One Float64 column for each day of the window.
    Sequence,
}

/// One feature of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureEntry {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: FeatureKind,
    /// Its columns.
    pub columns: Vec<String>,
}

/// Describes a dataset: `manifest.json` beside its Parquet files.
///
/// Columns of the files, in order: `user_id` (Int64 or Utf8), `reg_day` (Date32), `status`
/// (Utf8, DESIGN section 8), the columns of `features`, the columns of `keep`, and `ltv_<N>`
/// (Float64, null when immature) for each horizon. Rows are ordered by user within a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetManifest {
    /// Always `ltv-dataset`.
    pub format: String,
    /// Version of the layout; this program writes 1.
    pub version: u32,
    /// First day whose events were not known.
    pub as_of: Day,
    /// Observation window in days.
    pub window_days: u32,
    /// Horizons of the labels.
    pub horizons: Horizons,
    /// What the labels count.
    pub label: Label,
    /// The features, in order.
    pub features: Vec<FeatureEntry>,
    /// Columns that are carried along but are not features.
    pub keep: Vec<String>,
    /// Users in all files.
    pub rows: u64,
    /// Events read, those on or after the as-of date not counted.
    pub events: u64,
    /// What was read but left out, by reason; reasons without a case are absent. `events_later`:
    /// events on or after the as-of date. `events_before_registration`: events of users in the
    /// dataset on days before they registered. Users: `users_without_registration` (neither a
    /// registration date nor an event), `users_later` (registered on or after the as-of date),
    /// `users_filtered` (outside `registered_from` .. `registered_before`).
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub dropped: BTreeMap<String, u64>,
    /// Users by status.
    pub statuses: BTreeMap<String, u64>,
    /// The Parquet files.
    pub files: Vec<FileEntry>,
    /// The configuration that made it.
    pub config: FeatureConfig,
}

impl DatasetManifest {
    /// Value of `format`.
    pub const FORMAT: &'static str = "ltv-dataset";
    /// Version this program writes and reads.
    pub const VERSION: u32 = 1;

    /// What is wrong with a folder without one, and what to do.
    const MISSING: (&'static str, &'static str) = (
        "not a dataset: it has no manifest.json",
        "make one with 'ltv features'",
    );

    /// Of a dataset made as `config` says: its rows are those of `files`. No column is kept, nothing
    /// is counted yet.
    pub fn new(config: FeatureConfig, features: Vec<FeatureEntry>, files: Vec<FileEntry>) -> Self {
        let options = &config.dataset;
        Self {
            format: Self::FORMAT.into(),
            version: Self::VERSION,
            as_of: options.as_of,
            window_days: options.window_days,
            horizons: options.horizons.clone(),
            label: options.label,
            features,
            keep: vec![],
            rows: files.iter().map(|f| f.rows).sum(),
            events: 0,
            dropped: BTreeMap::new(),
            statuses: BTreeMap::new(),
            files,
            config,
        }
    }

    /// Reads the manifest of the dataset in `folder`.
    ///
    /// # Errors
    /// When the folder has no manifest, or one of another kind or version, or one that names files elsewhere.
    pub fn read(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let manifest = read_manifest(folder, Self::FORMAT, Self::VERSION, Self::MISSING)?;
        Self::consistent(manifest, folder)
    }

    /// The manifest of the dataset in `folder`, from the bytes of its file, where there is one.
    ///
    /// # Errors
    /// When there is none, or as [`DatasetManifest::read`].
    pub fn parse(folder: impl AsRef<Path>, bytes: Option<&[u8]>) -> Result<Self> {
        let folder = folder.as_ref();
        let (problem, hint) = Self::MISSING;
        let bytes = bytes.ok_or_else(|| Error::artefact(folder, problem, hint))?;
        let manifest = parse_manifest(&folder.join(MANIFEST), bytes, Self::FORMAT, Self::VERSION)?;
        Self::consistent(manifest, folder)
    }

    fn consistent(manifest: Self, folder: &Path) -> Result<Self> {
        match outside(&manifest.files) {
            Some(problem) => {
                let hint = "make the dataset again";
                Err(Error::artefact(folder.join(MANIFEST), problem, hint))
            }
            None => Ok(manifest),
        }
    }

    /// Writes the manifest into `folder`, whole or not at all.
    ///
    /// # Errors
    /// See [`artefact::AtomicFile`].
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<()> {
        artefact::write_json(folder.as_ref().join(MANIFEST), self)
    }

    /// The first entry of the folder `out` that is no part of a dataset there; `None` where a dataset
    /// may be written.
    ///
    /// # Errors
    /// When it holds the manifest of something else, or cannot be listed.
    pub fn stranger(out: &Path) -> Result<Option<String>> {
        stranger(out, || Ok(Self::read(out)?.files))
    }
}

/// Adds counts by name.
pub fn add_counts(to: &mut BTreeMap<String, u64>, from: &BTreeMap<String, u64>) {
    for (name, n) in from {
        *to.entry(name.clone()).or_default() += n;
    }
}

/// Describes a snapshot: the scores of every user from one model at one as-of date.
///
/// Columns of its Parquet files, in order: `user_id` (as in the dataset), `as_of` (Date32),
/// `model_id` (Utf8), `status` (Utf8), then for each horizon `N` in turn `ltv_<N>`,
/// `ltv_<N>_p10`, `ltv_<N>_p50`, `ltv_<N>_p90` and `ltv_<N>_positive` (Float64; the last is
/// P(value > 0)).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SnapshotManifest {
    /// Always `ltv-snapshot`.
    pub format: String,
    /// Version of the layout; this program writes 1.
    pub version: u32,
    /// As-of date of the scored dataset.
    pub as_of: Day,
    /// Id of the model: the BLAKE3 checksum of its bundle's content, shortened.
    pub model_id: String,
    /// The whole checksum, in hexadecimal; unknown in snapshots of early programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_blake3: Option<String>,
    /// What was scored; unknown in snapshots of early programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<SnapshotInput>,
    /// Horizons.
    pub horizons: Horizons,
    /// How `ltv_<N>` was decoded.
    pub decoding: String,
    /// Users in all files.
    pub rows: u64,
    /// Users of the dataset who got no row, by reason; reasons without a case are absent.
    /// `past_horizon`: older than the longest horizon, dropped on request; `forgotten`: removed later. With `rows` they are the
    /// users of the dataset.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub dropped: BTreeMap<String, u64>,
    /// Users whose predictions the order projection had to touch.
    pub projected: u64,
    /// Users for whom a shorter horizon's prediction exceeds a longer one's; 0 when `monotone`.
    pub order_violations: u64,
    /// Whether order across horizons is guaranteed.
    pub monotone: bool,
    /// Sum of predictions for each horizon.
    pub totals: Vec<f64>,
    /// The Parquet files.
    pub files: Vec<FileEntry>,
}

/// The dataset that a snapshot was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotInput {
    /// BLAKE3 checksum of its manifest without the names of its files: of what was made and how, wherever it
    /// lies.
    pub blake3: String,
    /// Users in it: those of the snapshot, and those who were left out.
    pub rows: u64,
    /// Events that it was made of.
    pub events: u64,
}

impl SnapshotManifest {
    /// Value of `format`.
    pub const FORMAT: &'static str = "ltv-snapshot";
    /// Version this program writes and reads.
    pub const VERSION: u32 = 1;

    /// What is wrong with a folder without one, and what to do.
    const MISSING: (&'static str, &'static str) = (
        "not a snapshot: it has no manifest.json",
        "make one with 'ltv score'",
    );

    /// Reads the manifest of the snapshot in `folder`.
    ///
    /// # Errors
    /// When the folder has no manifest, or one of another kind or version, or one that contradicts itself.
    pub fn read(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let manifest = read_manifest(folder, Self::FORMAT, Self::VERSION, Self::MISSING)?;
        Self::consistent(manifest, folder)
    }

    /// The manifest of the snapshot in `folder`, from the bytes of its file, where there is one.
    ///
    /// # Errors
    /// As [`SnapshotManifest::read`].
    pub fn parse(folder: impl AsRef<Path>, bytes: Option<&[u8]>) -> Result<Self> {
        let folder = folder.as_ref();
        let (problem, hint) = Self::MISSING;
        let bytes = bytes.ok_or_else(|| Error::artefact(folder, problem, hint))?;
        let manifest = parse_manifest(&folder.join(MANIFEST), bytes, Self::FORMAT, Self::VERSION)?;
        Self::consistent(manifest, folder)
    }

    fn consistent(manifest: Self, folder: &Path) -> Result<Self> {
        match manifest.contradiction() {
            Some(problem) => {
                let hint = "make the snapshot again";
                Err(Error::artefact(folder.join(MANIFEST), problem, hint))
            }
            None => Ok(manifest),
        }
    }

    /// What it says of itself that cannot be.
    fn contradiction(&self) -> Option<String> {
        let mut rows = self.files.iter().map(|file| file.rows);
        let sum = rows.try_fold(0, u64::checked_add);
        if sum != Some(self.rows) {
            let sum = sum.map_or("too many".into(), |sum| sum.to_string());
            return Some(format!("{} rows, but {sum} in its files", self.rows));
        }
        let (totals, horizons) = (self.totals.len(), self.horizons.len());
        if totals != horizons {
            return Some(format!("{totals} totals of {horizons} horizons"));
        }
        outside(&self.files)
    }

    /// Writes the manifest into `folder`, whole or not at all.
    ///
    /// # Errors
    /// See [`artefact::AtomicFile`].
    pub fn write(&self, folder: impl AsRef<Path>) -> Result<()> {
        artefact::write_json(folder.as_ref().join(MANIFEST), self)
    }

    /// The first entry of the folder `out` that is no part of a snapshot there; `None` where a
    /// snapshot may be written.
    ///
    /// # Errors
    /// When it holds the manifest of something else, or cannot be listed.
    pub fn stranger(out: &Path) -> Result<Option<String>> {
        stranger(out, || Ok(Self::read(out)?.files))
    }
}

/// What is wrong with a list of files one of which does not lie in the artefact's folder: whoever writes a manifest
/// says nothing of other places.
fn outside(files: &[FileEntry]) -> Option<String> {
    let within = |file: &&FileEntry| {
        let mut parts = Path::new(&file.path).components();
        let named = parts.clone().next().is_some();
        named && parts.all(|part| matches!(part, Component::Normal(_)))
    };
    let file = files.iter().find(|file| !within(file))?;
    Some(format!("'{}' is no file in its folder", file.path))
}

/// Reads a manifest of the given kind and version; `missing` is what to say, and advise, where the
/// folder has none.
fn read_manifest<T: DeserializeOwned>(
    folder: &Path,
    format: &str,
    version: u32,
    (problem, hint): (&'static str, &'static str),
) -> Result<T> {
    let path = folder.join(MANIFEST);
    if !path.exists() {
        return Err(Error::artefact(folder, problem, hint));
    }
    let bytes = fs::read(&path).map_err(|e| Error::io(&path, "read", e))?;
    parse_manifest(&path, &bytes, format, version)
}

fn parse_manifest<T: DeserializeOwned>(
    path: &Path,
    bytes: &[u8],
    format: &str,
    version: u32,
) -> Result<T> {
    let head: Head = parse_json(path, bytes)?;
    head.expect(path, format, version)?;
    parse_json(path, bytes)
}

fn stranger(out: &Path, files: impl FnOnce() -> Result<Vec<FileEntry>>) -> Result<Option<String>> {
    let mut own = vec![];
    if out.join(MANIFEST).exists() {
        own.extend(files()?.into_iter().map(|f| f.path));
        own.push(MANIFEST.to_string());
    }
    artefact::stranger(out, own.iter().map(String::as_str))
}

/// The fields that every manifest starts with.
#[derive(Debug, Deserialize)]
pub struct Head {
    /// Kind of artefact.
    pub format: String,
    /// Version of its layout.
    pub version: u32,
}

impl Head {
    /// Checks kind and version.
    ///
    /// # Errors
    /// When either differs from what is expected.
    pub fn expect(&self, path: &Path, format: &str, version: u32) -> Result<()> {
        if self.format != format {
            let problem = format!("this is a '{}', not a '{format}'", self.format);
            return Err(Error::artefact(path, problem, "give the right folder"));
        }
        if self.version > version {
            let problem = format!(
                "written as version {}, newest known is {version}",
                self.version
            );
            return Err(Error::artefact(path, problem, "update ltv to read it"));
        }
        Ok(())
    }
}
