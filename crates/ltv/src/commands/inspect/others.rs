//! What `ltv inspect` says of a store, a comparison of snapshots and an exported model.

use super::{Options, verified};
use crate::{
    commands::diff,
    exit::Failure,
    report::{Facts, Report, count},
};
use ltv_core::{Error, artefact::parse_json, manifest::Head};
use ltv_online::{Embedded, Store};
use ltv_score::Diff;
use serde_json::json;
use std::{fs::File, io::Read, path::Path, time::SystemTime};

/// Bytes of a file in which an exported model says that it is one.
const LOOK: u64 = 400;

/// Whether a folder is a store of published predictions.
pub(super) fn is_store(path: &Path) -> bool {
    path.join(ltv_online::embedded::POINTER).exists()
}

pub(super) fn store(path: &Path, options: &Options) -> Result<Report, Failure> {
    let store = Embedded::open(path)?;
    let live = store
        .live()
        .ok_or_else(|| Failure::internal("a store without a live version"))?;
    if options.verify {
        store.verify(&live.id)?;
    }
    let mut facts = Facts::default();
    facts.add("live", &live.id);
    facts.add("as of", live.as_of);
    facts.add("published", &live.published);
    let hours = live.age(SystemTime::now()) as f64 / 3600.0;
    facts.add("  that is", format!("{hours:.1} hours ago"));
    facts.add("model id", &live.model_id);
    facts.add("users", count(live.rows));
    for (status, segment) in &live.segments {
        facts.add(format!("  {status}"), count(segment.rows));
    }
    for (column, spread) in live.horizons.columns().iter().zip(&live.spread) {
        let [median, high] = [0.5, 0.99].map(|p| spread.quantile(p));
        let text = format!(
            "P50 {median:.4}, P99 {high:.4}, largest {:.4}",
            spread.largest
        );
        facts.add(format!("  {column}"), text);
    }
    let mut text = facts.text(&format!("{}: a store", path.display()));
    verified(&mut text, options, "the live version has its checksum");
    Report::new(text, &json!({ "kind": "store", "live": *live }))
}

pub(super) fn diff(path: &Path, text: &str) -> Result<Report, Failure> {
    let head: Head = parse_json(path, text.as_bytes())?;
    head.expect(path, Diff::FORMAT, Diff::VERSION)?;
    let found: Diff = parse_json(path, text.as_bytes())?;
    let title = format!(
        "{}: a comparison of snapshots, version {}\n",
        path.display(),
        found.version
    );
    Report::new(title + &diff::text(&found), &found)
}

/// Whether a file is a model that `ltv export` wrote.
pub(super) fn is_onnx(path: &Path) -> Result<bool, Failure> {
    let failed = |e| Error::io(path, "read", e);
    let mut start = vec![];
    let file = File::open(path).map_err(failed)?;
    file.take(LOOK).read_to_end(&mut start).map_err(failed)?;
    Ok(ltv_onnx::is_export(&start))
}

pub(super) fn onnx(path: &Path) -> Result<Report, Failure> {
    let metadata = path.metadata().map_err(|e| Error::io(path, "read", e))?;
    let mut facts = Facts::default();
    facts.add("bytes", count(metadata.len()));
    facts.add("runs in", "ONNX Runtime and whatever reads ONNX");
    let text = facts.text(&format!(
        "{}: a model that 'ltv export' wrote",
        path.display()
    ));
    let json = json!({ "kind": "onnx", "bytes": metadata.len() });
    Report::new(text, &json)
}
