//! `ltv publish`: a snapshot goes live, or the one before it does again.

use super::Context;
use crate::{
    cli::Common,
    exit::Failure,
    options::Overlay,
    report::{Facts, Report, count},
};
use clap::Args;
use ltv_core::{
    address::{self, is_address},
    manifest::{MANIFEST, SnapshotManifest},
    progress::Progress,
};
use ltv_files::{Part, Place, Stores};
use ltv_online::{
    Embedded, Erase, OnlineError, Publication, Redis, Store, Version,
    publish::{Sink, columns, publish, roll_back},
    value::Detail,
};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Put a snapshot live in a store, all at once or not at all
///
/// The snapshot is loaded beside the version that is live, read back and put live in one step; the version before stays, and
/// --rollback puts it live again. Whatever fails or is killed, what was live still is.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ltv publish snapshot --store store
  ltv publish snapshot --store 'redis://cache:6379?ttl=3d'
  ltv publish --rollback --store store")]
pub(crate) struct Flags {
    /// Folder of the snapshot, or s3://bucket/prefix
    #[arg(value_name = "SNAPSHOT", required_unless_present = "rollback")]
    snapshot: Option<PathBuf>,
    /// Folder of the store, made where there is none; or redis://host:port, see docs/formats/store-redis.md
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Publish values alone, without quantiles and P(value > 0): in less than half of the bytes
    #[arg(long)]
    values_only: bool,
    /// Put the version before live again, in place of a snapshot
    #[arg(long, conflicts_with = "snapshot")]
    rollback: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options of the configuration file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    store: Option<PathBuf>,
    values_only: bool,
}

/// Publishes, and says what is live.
pub(crate) fn run(flags: Flags, context: &Context) -> Result<Report, Failure> {
    let mut options = Overlay::default().file(flags.common.config.as_deref())?;
    options.set("store", flags.store)?;
    options.set("values_only", flags.values_only.then_some(true))?;
    let options: Options = options.resolve()?;
    let store = store_at(options.store.as_deref(), |folder| {
        Ok(Embedded::to_publish(folder))
    })?;
    let Some(snapshot) = &flags.snapshot else {
        let version = roll_back(&*store)?;
        return Report::new(facts("live again", &store.name(), &version), &*version);
    };
    let place = Stores::default().place(snapshot)?;
    let found = from_snapshot(
        &place,
        detail(options.values_only),
        &*store,
        &context.progress,
    );
    context.progress.finish();
    let found = found?;
    let what = match found.was_there {
        true => "live, had been loaded before",
        false => "live",
    };
    Report::new(facts(what, &store.name(), &found.version), &found)
}

/// Publishes the snapshot in a folder to the store that `store` names; what the store says of it.
pub(super) fn publish_snapshot(
    store: &Path,
    snapshot: &Path,
    values_only: bool,
    progress: &dyn Progress,
) -> Result<serde_json::Value, Failure> {
    let store = store_at(Some(store), |folder| Ok(Embedded::to_publish(folder)))?;
    let place = Stores::default().place(snapshot)?;
    let found = from_snapshot(&place, detail(values_only), &*store, progress)?;
    serde_json::to_value(&found).map_err(Failure::internal)
}

fn detail(values_only: bool) -> Detail {
    match values_only {
        true => Detail::Values,
        false => Detail::Everything,
    }
}

/// The store that `--store` names, to read.
pub(super) fn open(store: Option<&Path>) -> Result<Box<dyn Store>, Failure> {
    store_at(store, |folder| Embedded::open(folder))
}

/// The store that `--store` names, from which users are to vanish.
pub(super) fn to_erase(store: &Path) -> Result<Box<dyn Erase>, Failure> {
    if let Some(redis) = redis_at(store)? {
        return Ok(Box::new(redis));
    }
    Ok(Box::new(Embedded::to_publish(store)))
}

/// A store in Redis, or else what `embedded` makes of a folder.
pub(super) fn store_at(
    store: Option<&Path>,
    embedded: impl FnOnce(&Path) -> Result<Embedded, OnlineError>,
) -> Result<Box<dyn Store>, Failure> {
    let Some(path) = store else {
        let message = "store: say where it is, with --store DIR or redis://host:port";
        return Err(Failure::user(message));
    };
    match redis_at(path)? {
        Some(redis) => Ok(Box::new(redis)),
        None => Ok(Box::new(embedded(path)?)),
    }
}

/// The store in Redis at an address; `None` for a folder.
fn redis_at(path: &Path) -> Result<Option<Redis>, Failure> {
    if !is_address(path) {
        return Ok(None);
    }
    let address = path.to_string_lossy();
    match address.starts_with("redis://") || address.starts_with("rediss://") {
        true => Ok(Some(Redis::open(&address)?)),
        false => {
            let shown = shown_address(path);
            let message = format!("{shown}: no store; give a folder, or redis://host:port");
            Err(Failure::user(message))
        }
    }
}

/// An address without what may be a password.
fn shown_address(path: &Path) -> String {
    address::parts(path).map_or_else(String::new, address::shown)
}

/// Publishes the snapshot in `place`, whose files must be those that were written.
fn from_snapshot(
    place: &Place,
    detail: Detail,
    store: &dyn Store,
    progress: &dyn Progress,
) -> Result<Publication, Failure> {
    let document = place.read(MANIFEST)?;
    let manifest = SnapshotManifest::parse(place.name(), document.as_deref())?;
    let document = document.unwrap_or_default();
    let wanted = columns(&manifest.horizons, detail);
    let mut rows = |sink: Sink<'_>| {
        for entry in &manifest.files {
            // A snapshot that was damaged or changed does not go live.
            let part = Part::open_whole(place, entry)?;
            part.each(&wanted, &mut |batch, first| {
                crate::signals::stop_if_asked();
                sink(batch, part.path(), first)
            })?;
        }
        Ok(())
    };
    Ok(publish(
        (&manifest, &document),
        detail,
        &mut rows,
        store,
        progress,
    )?)
}

fn facts(what: &str, store: &str, version: &Version) -> String {
    let mut facts = Facts::default();
    facts.add("version", version.id.clone());
    facts.add("as of", version.as_of.to_string());
    facts.add("model", version.model_id.clone());
    facts.add("users", count(version.rows));
    facts.add("published", version.published.clone());
    facts.text(&format!("{store}: {what}"))
}
