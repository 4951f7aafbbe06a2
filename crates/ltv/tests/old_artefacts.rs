//! Artefacts that earlier programs wrote are still read. `fixtures/<artefact>-v<version>` was
//! written by the last program of that version and is never written again.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use arrow::{
    array::AsArray,
    datatypes::{DataType, Date32Type, Float64Type, Int64Type},
};
use ltv_core::{Day, manifest::SnapshotManifest};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};
use support::Workspace;

/// A copy of a fixture in a workspace.
fn fixture(name: &str) -> (Workspace, PathBuf) {
    let at = Workspace::new();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    for entry in fs::read_dir(from.join(name)).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        at.write(&format!("{name}/{file}"), fs::read(path).unwrap());
    }
    let folder = at.path(name);
    (at, folder)
}

#[test]
fn a_snapshot_of_version_1() {
    let (at, folder) = fixture("snapshot-v1");
    let text = at.ok("inspect snapshot-v1 --verify");
    assert!(text.contains("a snapshot, version 1"), "{text}");
    assert!(text.contains("verified"), "{text}");

    let manifest = SnapshotManifest::read(&folder).unwrap();
    assert_eq!((manifest.version, manifest.rows), (1, 27));
    assert_eq!(manifest.dropped["past_horizon"], 111);
    assert_eq!(manifest.horizons.days(), [30, 90, 180, 365]);
    let file = File::open(folder.join(&manifest.files[0].path)).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let batch = reader.build().unwrap().next().unwrap().unwrap();
    let names: Vec<_> = batch
        .schema_ref()
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .collect();
    assert_eq!(names[..4], ["user_id", "as_of", "model_id", "status"]);
    assert_eq!(
        names[4..9],
        [
            "ltv_30",
            "ltv_30_p10",
            "ltv_30_p50",
            "ltv_30_p90",
            "ltv_30_positive"
        ]
    );
    assert_eq!((names.len(), batch.num_rows()), (4 + 5 * 4, 27));
    assert_eq!(*batch["user_id"].data_type(), DataType::Int64);
    assert!(
        batch["user_id"]
            .as_primitive::<Int64Type>()
            .values()
            .is_sorted()
    );
    let as_of = batch["as_of"].as_primitive::<Date32Type>().value(0);
    assert_eq!(Day(as_of), manifest.as_of);
    assert_eq!(
        batch["model_id"].as_string::<i32>().value(0),
        manifest.model_id
    );
    for (column, total) in manifest.horizons.columns().iter().zip(&manifest.totals) {
        let values = batch[column.as_str()].as_primitive::<Float64Type>();
        let sum: f64 = values.values().iter().sum();
        assert!((sum - total).abs() < 1e-9 * total, "{column}");
    }
}

/// The field came after the first snapshots of version 1.
#[test]
fn a_snapshot_that_does_not_say_who_was_dropped() {
    let (_at, folder) = fixture("snapshot-v1");
    let path = folder.join("manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    manifest.as_object_mut().unwrap().remove("dropped").unwrap();
    fs::write(&path, manifest.to_string()).unwrap();
    assert!(SnapshotManifest::read(&folder).unwrap().dropped.is_empty());
}
