//! `ltv inspect`: what a file or folder is and holds.

mod checkpoint;
mod others;
mod verify;

use super::{Context, features, train};
use crate::{
    cli::Common,
    exit::Failure,
    options::Overlay,
    outputs::header,
    report::{Facts, Report, count},
};
use clap::Args;
use ltv_core::{
    Error,
    address::is_address,
    artefact::{self, parse_json},
    manifest::{DatasetManifest, Head, MANIFEST, SnapshotManifest},
};
use ltv_data::{Dataset, dataset::shard_folders, simulate::SimulationManifest};
use ltv_eval::Evaluation;
use ltv_files::{Place, Stores};
use ltv_model::Bundle;
use ltv_score::Diff;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// Say what a dataset, bundle, snapshot or any other file or folder of ltv is and holds
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ltv inspect model.ltv\n  ltv inspect data --verify --json\n  ltv inspect s3://lake/snapshots/today --verify"
)]
pub(crate) struct Flags {
    /// File or folder; of a dataset, a snapshot or a simulation also its address s3://bucket/prefix
    path: PathBuf,
    /// Read everything, and compare it with the rows and checksums that the artefact itself states
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options of the configuration file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    verify: bool,
}

/// Explains whatever it is.
pub(crate) fn run(flags: Flags, _: &Context) -> Result<Report, Failure> {
    let mut options = Overlay::default().file(flags.common.config.as_deref())?;
    options.set("verify", flags.verify.then_some(true))?;
    let options: Options = options.resolve()?;
    let path = flags.path.as_path();
    if path.is_dir() || is_address(path) {
        return folder(path, &options);
    }
    if path.file_name().is_some_and(|n| n == MANIFEST) {
        return folder(artefact::parent(path), &options);
    }
    let mut start = [0; 4];
    let mut file = File::open(path).map_err(|e| Error::io(path, "read", e))?;
    let read = file
        .read(&mut start)
        .map_err(|e| Error::io(path, "read", e))?;
    match &start[..read] {
        b"PAR1" => parquet_file(path, file, &options),
        [b'{', ..] => document(path),
        _ => match header(path)? {
            Some(header) if checkpoint::is_one(&header) => checkpoint::report(path, &header),
            Some(_) => bundle(path, &options),
            None if others::is_onnx(path)? => others::onnx(path),
            None => {
                let problem = "not an artefact of ltv, or a damaged one";
                Err(Error::artefact(path, problem, WHAT_ELSE).into())
            }
        },
    }
}

const WHAT_ELSE: &str = "give a dataset, bundle, checkpoint, snapshot, store, simulation, evaluation, \
                         comparison of snapshots, ONNX or Parquet file";

/// The last line of a verified artefact.
fn verified(text: &mut String, options: &Options, what: &str) {
    if options.verify {
        text.push_str(&format!("  verified: {what}\n"));
    }
}

fn bundle(path: &Path, options: &Options) -> Result<Report, Failure> {
    let bundle = Bundle::load(path)?;
    let mut text = train::summary(path, &bundle);
    verified(
        &mut text,
        options,
        "document and weights have their checksum",
    );
    let json = json!({
        "kind": "bundle", "model_id": bundle.id, "document": bundle.document,
    });
    Report::new(text, &json)
}

/// A folder, or an address.
fn folder(path: &Path, options: &Options) -> Result<Report, Failure> {
    let place = Stores::default().place(path)?;
    let manifest = place.file(MANIFEST);
    let Some(bytes) = place.read(MANIFEST)? else {
        if others::is_store(path) {
            return others::store(path, options);
        }
        let shards = shard_folders(path)?;
        if shards.iter().any(|shard| shard != place.name()) {
            return dataset(path, options);
        }
        let problem = "holds no manifest.json: not an artefact of ltv, or not finished";
        return Err(Error::artefact(path, problem, WHAT_ELSE).into());
    };
    let head: Head = parse_json(&manifest, &bytes)?;
    match head.format.as_str() {
        DatasetManifest::FORMAT => dataset(path, options),
        SnapshotManifest::FORMAT => snapshot((&place, &bytes), options),
        SimulationManifest::FORMAT => {
            head.expect(
                &manifest,
                SimulationManifest::FORMAT,
                SimulationManifest::VERSION,
            )?;
            simulation(&place, &parse_json(&manifest, &bytes)?, options)
        }
        other => {
            let problem = format!("'{other}' is not a kind of artefact that ltv knows");
            Err(Error::artefact(&manifest, problem, "update ltv, or give another folder").into())
        }
    }
}

fn dataset(path: &Path, options: &Options) -> Result<Report, Failure> {
    let dataset = Dataset::open(path)?;
    let manifest = dataset.manifest();
    let mut text = features::summary(path, manifest);
    for feature in &manifest.features {
        let kind = format!("{:?}", feature.kind).to_lowercase();
        let columns = match feature.columns.len() {
            1 => String::new(),
            n => format!(", {n} columns"),
        };
        text.push_str(&format!("    {} ({kind}{columns})\n", feature.name));
    }
    if options.verify {
        dataset.verify()?;
    }
    verified(&mut text, options, FILES);
    Report::new(text, manifest)
}

/// What has been verified of tables.
const FILES: &str = "every file has the rows and the checksum of the manifest";

fn snapshot((place, bytes): (&Place, &[u8]), options: &Options) -> Result<Report, Failure> {
    let manifest = SnapshotManifest::parse(place.name(), Some(bytes))?;
    let mut text = snapshot_text(place.name(), &manifest);
    if options.verify {
        verify::files(place, &manifest.files, manifest.rows)?;
    }
    verified(&mut text, options, FILES);
    Report::new(text, &manifest)
}

/// What a snapshot holds, on less than a screen.
pub(super) fn snapshot_text(path: &Path, manifest: &SnapshotManifest) -> String {
    let mut facts = Facts::default();
    facts.add("as of", manifest.as_of);
    facts.add("model id", &manifest.model_id);
    facts.add("decoding", &manifest.decoding);
    facts.add("users", count(manifest.rows));
    for (reason, n) in &manifest.dropped {
        facts.add(format!("  left out: {reason}"), count(*n));
    }
    let order = match (
        manifest.monotone,
        manifest.projected,
        manifest.order_violations,
    ) {
        (true, touched, _) => {
            let share = 100.0 * touched as f64 / manifest.rows.max(1) as f64;
            format!(
                "guaranteed; {} users projected ({share:.2} %)",
                count(touched)
            )
        }
        (false, _, crossing) => format!("free; {} users cross", count(crossing)),
    };
    facts.add("order of horizons", order);
    for (column, total) in manifest.horizons.columns().iter().zip(&manifest.totals) {
        let mean = total / manifest.rows.max(1) as f64;
        facts.add(
            format!("  {column}"),
            format!("total {total:.2}, mean {mean:.4}"),
        );
    }
    facts.add("files", manifest.files.len());
    facts.text(&format!(
        "{}: a snapshot, version {}",
        path.display(),
        manifest.version
    ))
}

fn simulation(
    place: &Place,
    manifest: &SimulationManifest,
    options: &Options,
) -> Result<Report, Failure> {
    if options.verify {
        verify::files(place, &manifest.event_files, manifest.events)?;
        verify::files(place, &manifest.user_files, manifest.users)?;
    }
    let config = &manifest.config;
    let mut facts = Facts::default();
    facts.add("users", count(manifest.users));
    if let Some(shard) = config.shard {
        facts.add("shard", format!("{shard} of {} users", count(config.users)));
    }
    facts.add("events", count(manifest.events));
    facts.add(
        "files",
        manifest.event_files.len() + manifest.user_files.len(),
    );
    facts.add("first day", config.start);
    facts.add(
        "registrations",
        format!("{} days", config.days_of_registration),
    );
    facts.add("all known as of", manifest.as_of);
    facts.add("seed", config.seed);
    let title = format!(
        "{}: a simulation, version {}",
        place.name().display(),
        manifest.version
    );
    let mut text = facts.text(&title);
    verified(&mut text, options, FILES);
    Report::new(text, manifest)
}

/// A JSON document: a comparison of snapshots, or else an evaluation.
fn document(path: &Path) -> Result<Report, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", e))?;
    let head: Option<Head> = serde_json::from_str(&text).ok();
    if head.is_some_and(|head| head.format == Diff::FORMAT) {
        return others::diff(path, &text);
    }
    let evaluation = Evaluation::from_json(&text).map_err(|e| {
        let problem = format!("a JSON file, but not an evaluation ({e})");
        let hint = "give a file that 'ltv evaluate --out' or 'ltv diff --out' wrote";
        Error::artefact(path, problem, hint)
    })?;
    let title = format!(
        "{}: an evaluation, version {}\n",
        path.display(),
        evaluation.version
    );
    Report::new(title + &evaluation.summary(), &evaluation)
}

fn parquet_file(path: &Path, file: File, options: &Options) -> Result<Report, Failure> {
    if options.verify {
        verify::decode(path)?;
    }
    let reader = SerializedFileReader::new(file).map_err(|e| {
        Error::artefact(
            path,
            format!("not a whole Parquet file ({e})"),
            "write it again",
        )
    })?;
    let metadata = reader.metadata();
    let rows = metadata.file_metadata().num_rows().max(0) as u64;
    let mut facts = Facts::default();
    facts.add("rows", count(rows));
    facts.add("row groups", metadata.num_row_groups());
    let mut columns = vec![];
    for column in metadata.file_metadata().schema_descr().columns() {
        let kind = match column.logical_type_ref() {
            Some(logical) => format!("{} as {logical:?}", column.physical_type()),
            None => column.physical_type().to_string(),
        };
        facts.add(format!("  {}", column.path().string()), &kind);
        columns.push(json!({ "name": column.path().string(), "type": kind }));
    }
    let json = json!({
        "kind": "parquet", "rows": rows, "row_groups": metadata.num_row_groups(),
        "columns": columns,
    });
    let mut text = facts.text(&format!("{}: a Parquet file", path.display()));
    verified(&mut text, options, "every row can be read");
    Report::new(text, &json)
}
