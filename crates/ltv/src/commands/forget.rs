//! `ltv forget`: users vanish from stores, snapshots and datasets, and the report shows it.

use super::Context;
use crate::{
    cli::Common,
    exit::Failure,
    options::Overlay,
    report::{Report, count},
};
use clap::Args;
use ltv_core::Error;
use ltv_data::forget::{self, Artefact, DataFolder, Plan, Users, data_folders};
use ltv_online::{Erase, UserId};
use ltv_score::forget::{SnapshotFolder, snapshot_folders};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashSet,
    fmt::Write as _,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Remove users from stores, snapshots and datasets, and prove it
///
/// Nothing is changed before everything was read and can be done. No file is changed in place: others take their places in one
/// step, without the users, and what was there is removed. Then everything is read again, whole. Users are called by their places on the command
/// line, so that what is kept of the report and the log does not name them. Who is not there is no error, and is said.
///
/// The event log and the user table are not touched: remove users from them first, or the next night brings them back.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ltv forget 4711 --data data --snapshot snapshots --store store --dry-run
  ltv forget 4711 --data data --snapshot snapshots --store store --json > proof.json
  ltv forget --users requests.txt --store redis://cache:6379")]
pub(crate) struct Flags {
    /// Ids of users
    #[arg(
        value_name = "USER",
        required_unless_present = "users",
        conflicts_with = "users",
        allow_negative_numbers = true
    )]
    ids: Vec<String>,
    /// File with an id on each line, in place of USER, which the list of processes shows; - is standard input
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,
    /// Folder of a store, or redis://host:port; may be given several times, as the others may
    #[arg(long, value_name = "DIR")]
    store: Vec<PathBuf>,
    /// Folder of a snapshot, or one that snapshots lie in side by side
    #[arg(long, value_name = "DIR")]
    snapshot: Vec<PathBuf>,
    /// Folder of a dataset, or of its shards
    #[arg(long, value_name = "DIR")]
    data: Vec<PathBuf>,
    /// Change nothing, only say what would be
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options of the configuration file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    store: Vec<PathBuf>,
    snapshot: Vec<PathBuf>,
    data: Vec<PathBuf>,
    dry_run: bool,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Document {
    /// How many were given.
    users: usize,
    dry_run: bool,
    stores: Vec<InStore>,
    artefacts: Vec<forget::Forgotten>,
}

#[derive(Debug, Serialize)]
struct InStore {
    store: String,
    #[serde(flatten)]
    done: ltv_online::Forgotten,
}

/// Removes, and says what.
pub(crate) fn run(flags: Flags, context: &Context) -> Result<Report, Failure> {
    let mut options = Overlay::default().file(flags.common.config.as_deref())?;
    options.list("store", &flags.store)?;
    options.list("snapshot", &flags.snapshot)?;
    options.list("data", &flags.data)?;
    options.set("dry_run", flags.dry_run.then_some(true))?;
    let options: Options = options.resolve()?;
    if options.store.is_empty() && options.snapshot.is_empty() && options.data.is_empty() {
        let message = "say from where, with --store, --snapshot or --data";
        return Err(Failure::user(message));
    }
    let ids = ids(flags.ids, flags.users.as_deref())?;
    let document = forget_all(&ids, &options, context)?;
    Report::new(text(&document), &document)
}

/// The ids that were given, each once.
fn ids(given: Vec<String>, file: Option<&Path>) -> Result<Vec<String>, Failure> {
    let mut ids = match file {
        None => given,
        Some(path) => lines(path)?,
    };
    let mut seen = HashSet::new();
    ids.retain(|id| seen.insert(id.clone()));
    match (ids.is_empty(), ids.iter().position(String::is_empty)) {
        (false, None) => Ok(ids),
        (true, _) => Err(Failure::user("users: nobody is given")),
        (_, Some(at)) => Err(Failure::user(format!("users: number {} is empty", at + 1))),
    }
}

fn lines(path: &Path) -> Result<Vec<String>, Failure> {
    let text = match path == Path::new("-") {
        true => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map(|_| text)
        }
        false => fs::read_to_string(path),
    };
    let text = text.map_err(|e| Error::io(path, "read", e))?;
    Ok(text.lines().map(String::from).collect())
}

/// Looks everywhere, and only then changes something: first what others are made of.
fn forget_all(ids: &[String], options: &Options, context: &Context) -> Result<Document, Failure> {
    let (users, dry_run) = (Users::new(ids), options.dry_run);
    let mut data = vec![];
    for folder in &options.data {
        data.extend(data_folders(folder)?);
    }
    let mut snapshots = vec![];
    for folder in &options.snapshot {
        snapshots.extend(snapshot_folders(folder, dry_run)?);
    }
    let data = plans::<DataFolder>(&data, &users, dry_run, context)?;
    let snapshots = plans::<SnapshotFolder>(&snapshots, &users, dry_run, context)?;
    let stores = options.store.iter();
    let stores = stores.map(|store| super::publish::to_erase(store));
    let stores = stores.collect::<Result<Vec<_>, _>>()?;
    let known: Vec<UserId> = ids.iter().cloned().map(UserId::Text).collect();
    let in_all = |dry_run| {
        let found = stores
            .iter()
            .map(|store| in_store(&**store, &known, dry_run, context));
        found.collect::<Result<Vec<_>, Failure>>()
    };
    let mut found = in_all(true)?;
    let mut artefacts = carried_out(data, dry_run, context)?;
    artefacts.extend(carried_out(snapshots, dry_run, context)?);
    if !dry_run {
        found = in_all(false)?;
    }
    Ok(Document {
        users: ids.len(),
        dry_run,
        stores: found,
        artefacts,
    })
}

fn plans<'a, A: Artefact>(
    folders: &[PathBuf],
    users: &'a Users,
    dry_run: bool,
    context: &Context,
) -> Result<Vec<Plan<'a, A>>, Failure> {
    let mut plans = vec![];
    for folder in folders {
        crate::signals::stop_if_asked();
        plans.push(Plan::make(folder, users, dry_run, &context.progress)?);
    }
    Ok(plans)
}

fn carried_out<A: Artefact>(
    plans: Vec<Plan<'_, A>>,
    dry_run: bool,
    context: &Context,
) -> Result<Vec<forget::Forgotten>, Failure> {
    let mut done = vec![];
    for plan in plans {
        crate::signals::stop_if_asked();
        done.push(match dry_run {
            true => plan.rehearsed(),
            false => plan.carry_out(&context.progress)?,
        });
    }
    Ok(done)
}

fn in_store(
    store: &dyn Erase,
    users: &[UserId],
    dry_run: bool,
    context: &Context,
) -> Result<InStore, Failure> {
    crate::signals::stop_if_asked();
    let done = ltv_online::forget(store, users, dry_run, &context.progress)?;
    Ok(InStore {
        store: store.name(),
        done,
    })
}

fn text(document: &Document) -> String {
    let mut out = String::new();
    for found in &document.artefacts {
        let rows = (found.rows_before, found.rows);
        place(&mut out, found.kind, &found.path.display(), rows);
        removed(&mut out, &found.removed, document.dry_run);
        if found.before != found.after {
            let files = found.rewritten.len();
            let _ = writeln!(out, "  manifest  {} -> {}", found.before, found.after);
            let _ = writeln!(out, "  rewritten {} files", count(files as u64));
        }
        if let Some(proof) = found.proof {
            let [files, rows, bytes] = [proof.files, proof.rows, proof.bytes].map(count);
            let _ = writeln!(
                out,
                "  proof     {files} files, {rows} rows, {bytes} bytes read again: none of the users is there"
            );
        }
    }
    for InStore { store, done } in &document.stores {
        let rows =
            |of: fn(&ltv_online::forget::Replaced) -> u64| done.versions.iter().map(of).sum();
        place(
            &mut out,
            "store",
            store,
            (rows(|v| v.rows_before), rows(|v| v.rows)),
        );
        removed(&mut out, &done.removed, document.dry_run);
        for version in done.versions.iter().filter(|v| v.before != v.after) {
            let _ = writeln!(out, "  version   {} -> {}", version.before, version.after);
        }
        if let Some(proof) = done.proof {
            let [versions, rows] = [proof.versions, proof.rows].map(count);
            let _ = writeln!(
                out,
                "  proof     {versions} versions, {rows} rows read again: none of the users is there"
            );
        }
    }
    out
}

fn place(out: &mut String, kind: &str, name: &dyn std::fmt::Display, rows: (u64, u64)) {
    let (before, after) = (count(rows.0), count(rows.1));
    let _ = writeln!(out, "{kind} {name}: {before} rows, then {after}");
}

/// A line for each user; many are added up.
fn removed(out: &mut String, rows: &[u64], dry_run: bool) {
    /// Users who get a line each.
    const LINES: usize = 20;
    let word = if dry_run { "to remove" } else { "removed" };
    if rows.len() > LINES {
        let there = rows.iter().filter(|&&rows| rows > 0).count() as u64;
        let absent = count(rows.len() as u64 - there);
        let (there, rows) = (count(there), count(rows.iter().sum()));
        let _ = writeln!(
            out,
            "  {word} {rows} rows of {there} users; {absent} users not there"
        );
        return;
    }
    for (at, rows) in rows.iter().enumerate() {
        let _ = match rows {
            0 => writeln!(out, "  user {}: not there", at + 1),
            rows => writeln!(out, "  user {}: {word} {} rows", at + 1, count(*rows)),
        };
    }
}
