//! What fuzzing has kept.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::{
    Horizons,
    config::{DatasetOptions, Label},
    manifest::{FeatureEntry, FeatureKind, FileEntry, SnapshotInput},
};

#[path = "../../../../fuzz/replay.rs"]
mod replay;

fn file() -> FileEntry {
    FileEntry {
        path: "part-00000.parquet".into(),
        rows: 7,
        bytes: 900,
        blake3: "af1349b9".into(),
    }
}

fn dataset() -> DatasetManifest {
    let mut config = FeatureConfig::bare(DatasetOptions {
        as_of: "2024-04-01".parse().unwrap(),
        window_days: 7,
        horizons: Horizons::default(),
        label: Label::Value,
        registered_from: Some("2023-01-01".parse().unwrap()),
        registered_before: None,
    });
    config.events.value = Some("revenue".into());
    config.holidays.days = vec!["2024-01-01".parse().unwrap()];
    let feature = FeatureEntry {
        name: "cnt".into(),
        kind: FeatureKind::Sequence,
        columns: vec!["cnt_d0".into(), "cnt_d1".into()],
    };
    let mut manifest = DatasetManifest::new(config, vec![feature], vec![file()]);
    manifest.dropped.insert("events_later".into(), 3);
    manifest.statuses.insert("active".into(), 7);
    manifest
}

fn snapshot() -> SnapshotManifest {
    SnapshotManifest {
        format: SnapshotManifest::FORMAT.into(),
        version: SnapshotManifest::VERSION,
        as_of: "2024-04-01".parse().unwrap(),
        model_id: "0f3a9c51d2e84b67".into(),
        model_blake3: Some("0f3a9c51d2e84b67".repeat(4)),
        input: Some(SnapshotInput {
            blake3: "af1349b9".into(),
            rows: 9,
            events: 100,
        }),
        horizons: Horizons::default(),
        decoding: "expectation".into(),
        rows: 7,
        dropped: [("past_horizon".to_owned(), 2)].into(),
        projected: 1,
        order_violations: 0,
        monotone: true,
        totals: vec![0.1, 1e300, 5e-324, 7.0],
        files: vec![file()],
    }
}

#[test]
fn manifests_are_refused_or_come_back() {
    let seeds = [
        to_json("seed", &dataset()).unwrap(),
        to_json("seed", &snapshot()).unwrap(),
    ];
    assert!(DatasetManifest::parse("seed", Some(&seeds[0])).is_ok());
    assert!(SnapshotManifest::parse("seed", Some(&seeds[1])).is_ok());
    replay::replay("manifests", &seeds, manifests);
}

#[test]
fn manifests_name_files_in_their_folder() {
    for path in ["../part", "/part", "a/../../part", ".", ""] {
        let wrong = FileEntry {
            path: path.into(),
            ..file()
        };
        let (mut dataset, mut snapshot) = (dataset(), snapshot());
        (dataset.files, snapshot.files) = (vec![wrong.clone()], vec![wrong]);
        let [a, b] = [to_json("made", &dataset), to_json("made", &snapshot)].map(Result::unwrap);
        let errors = [
            DatasetManifest::parse("made", Some(&a)).unwrap_err(),
            SnapshotManifest::parse("made", Some(&b)).unwrap_err(),
        ];
        for error in errors.map(|error| error.to_string()) {
            let expected = format!("'{path}' is no file in its folder");
            assert!(error.contains(&expected), "{error}");
        }
    }
}

#[test]
fn configuration_is_refused_or_comes_back() {
    let mut features = dataset().config;
    features.aggregates.mean = vec!["revenue".into()];
    let configs = [TrainConfig::default(), TrainConfig::paper()];
    let mut seeds = vec![toml::to_string(&features).unwrap()];
    seeds.extend(configs.map(|config| toml::to_string(&config).unwrap()));
    let seeds: Vec<Vec<u8>> = seeds.into_iter().map(String::into_bytes).collect();
    replay::replay("config", &seeds, config);
}
