//! What values are made of: snapshots, and the user table.

use super::{ConversionOptions, judge::NOW, scores, table::Table};
use crate::ScoreError;
use ltv_core::{
    Day, Error,
    manifest::{MANIFEST, SnapshotManifest},
};
use ltv_files::{Place, Stores};
use std::path::{Path, PathBuf};

/// A snapshot.
pub(super) struct Side {
    pub(super) place: Place,
    pub(super) manifest: SnapshotManifest,
}

impl Side {
    fn open(stores: &Stores, path: &Path) -> Result<Self, ScoreError> {
        let place = stores.place(path)?;
        let manifest = SnapshotManifest::parse(place.name(), place.read(MANIFEST)?.as_deref())?;
        Ok(Self { place, manifest })
    }

    /// The horizon asked for, or the longest.
    fn horizon(&self, asked: Option<u32>) -> Result<u32, ScoreError> {
        let known = self.manifest.horizons.days();
        let missing = |days: u32| ScoreError::Horizon {
            what: "snapshot",
            days,
            known: known.to_vec(),
        };
        let days = asked.or(known.last().copied()).unwrap_or_default();
        known
            .contains(&days)
            .then_some(days)
            .ok_or_else(|| missing(days))
    }
}

fn check_days(
    now: &Side,
    before: Option<&Side>,
    horizon: u32,
    as_of: Day,
) -> Result<(), ScoreError> {
    if as_of < now.manifest.as_of {
        let problem = format!(
            "{as_of} is before {}, the snapshot's; give that day or a later one",
            now.manifest.as_of
        );
        return Err(Error::config("as_of", problem).into());
    }
    let Some(before) = before else { return Ok(()) };
    before.horizon(Some(horizon))?;
    if before.manifest.as_of >= as_of {
        let (first, name) = (before.manifest.as_of, before.place.name().display());
        let problem = format!(
            "{name} is of {first}, which is not before {as_of}; give the snapshot of the first upload"
        );
        return Err(Error::config("since", problem).into());
    }
    Ok(())
}

/// All of it, open.
pub(super) struct Sources {
    pub(super) now: Side,
    /// The snapshot of the first upload.
    before: Option<Side>,
    pub(super) table: Table,
    pub(super) horizon: u32,
    /// Day on which values are sent.
    pub(super) as_of: Day,
    /// Whether ids of users are whole numbers.
    pub(super) numbers: bool,
}

impl Sources {
    pub(super) fn open(
        snapshot: &Path,
        users: &[PathBuf],
        options: &ConversionOptions,
    ) -> Result<Self, ScoreError> {
        let stores = Stores::default();
        let now = Side::open(&stores, snapshot)?;
        let since = options.since.as_ref();
        let before = since.map(|since| Side::open(&stores, since)).transpose()?;
        let horizon = now.horizon(options.horizon)?;
        let as_of = options.as_of.unwrap_or(now.manifest.as_of);
        check_days(&now, before.as_ref(), horizon, as_of)?;
        let numbers = scores::numbers(&now.place, &now.manifest)?;
        if let Some(before) = &before
            && scores::numbers(&before.place, &before.manifest)? != numbers
        {
            let problem = "its user ids are of another type than the snapshot's";
            let hint = "give the snapshot of the first upload";
            return Err(Error::artefact(before.place.name(), problem, hint).into());
        }
        let table = Table::find(users)?;
        table.check(&options.columns)?;
        Ok(Self {
            now,
            before,
            table,
            horizon,
            as_of,
            numbers,
        })
    }

    /// The snapshot of a side.
    pub(super) fn side(&self, side: u8) -> Option<&Side> {
        match side {
            NOW => Some(&self.now),
            _ => self.before.as_ref(),
        }
    }
}
