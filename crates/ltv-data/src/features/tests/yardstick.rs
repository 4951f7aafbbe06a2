//! The public sets of the benchmark, where they are present: rows and labels as its protocol
//! prints them.

use super::house;
use crate::{BuildOptions, build_dataset};
use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::Float64Type,
};
use ltv_core::{
    config::FeatureConfig,
    manifest::{DatasetManifest, FileEntry},
    progress::Silent,
};
use std::path::{Path, PathBuf};

fn data(name: &str) -> Option<PathBuf> {
    let shared = std::env::var("LTV_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_string());
    let path = Path::new(&shared).join("data").join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not present", path.display());
        return None;
    }
    Some(path)
}

/// Count, sum and number of zeros of the known cells of a numeric column.
fn summary(batches: &[RecordBatch], name: &str) -> (usize, f64, usize) {
    let column = |b: &RecordBatch| {
        let column = b
            .column_by_name(name)
            .unwrap()
            .as_primitive::<Float64Type>()
            .clone();
        column.iter().flatten().collect::<Vec<_>>()
    };
    let known: Vec<f64> = batches.iter().flat_map(column).collect();
    (
        known.len(),
        known.iter().sum(),
        known.iter().filter(|&&y| y == 0.0).count(),
    )
}

fn build(path: PathBuf, config: &str) -> (DatasetManifest, Vec<RecordBatch>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("features.toml");
    std::fs::write(&file, config).unwrap();
    let config: FeatureConfig = ltv_core::config::read_toml(&file).unwrap();
    let out = folder.path().join("dataset");
    let options = BuildOptions {
        partitions: None,
        threads: 2,
        ..BuildOptions::default()
    };
    let manifest = build_dataset(&[path], None, &config, &out, &options, &Silent).unwrap();
    let read = |f: &FileEntry| house::read_batches(&out.join(&f.path));
    let batches = manifest.files.iter().flat_map(read).collect();
    (manifest, batches)
}

/// Label: name, mature rows, sum, share of zeros.
fn check_labels(batches: &[RecordBatch], expected: &[(&str, usize, f64, f64)]) {
    for &(name, count, sum, zero) in expected {
        let (n, total, zeros) = summary(batches, name);
        assert_eq!(n, count, "{name}");
        assert!(
            (total - sum).abs() < 1e-4,
            "{name}: {total} instead of {sum}"
        );
        assert!((zeros as f64 / n as f64 - zero).abs() < 1e-12, "{name}");
    }
}

fn check_sums(batches: &[RecordBatch], expected: &[(&str, f64)]) {
    for &(name, sum) in expected {
        let (_, found, _) = summary(batches, name);
        assert!(
            (found - sum).abs() <= 1e-10 * sum.abs(),
            "{name}: {found} instead of {sum}"
        );
    }
}

#[test]
fn oss_commits_as_of_mid_2021() {
    let Some(path) = data("oss_commits.parquet") else {
        return;
    };
    let config = r#"
        [dataset]
        as_of = "2021-07-01"
        label = "active_days"
        [aggregates]
        mean = ["n_files", "subject_len", "is_merge"]
        first = ["repo"]
        first_numeric = ["tz_min"]
    "#;
    let (manifest, batches) = build(path, config);
    assert_eq!((manifest.rows, manifest.events), (61_717, 915_326));
    assert_eq!(manifest.dropped["events_later"], 1_215_325 - 915_326);
    check_labels(
        &batches,
        &[
            ("ltv_30", 61_159, 19_120.0, 0.8656616360633758),
            ("ltv_90", 60_072, 40_787.0, 0.8059495272339858),
            ("ltv_180", 58_611, 65_590.0, 0.7615294057429493),
            ("ltv_365", 54_525, 104_817.0, 0.7091792755616689),
        ],
    );
    check_sums(
        &batches,
        &[
            ("cnt_d0", 78_838.0),
            ("cnt_d6", 2_392.0),
            ("n_events", 103_474.0),
            ("active_days", 73_889.0),
            ("recency", 25_744.0),
            ("mean_n_files", 124_635.07705350505),
            ("mean_subject_len", 2_859_072.634630993),
            ("mean_is_merge", 470.4664217030962),
        ],
    );
}

const MONEY: &str = r#"
    sequences = [{ name = "cnt", measure = "count" }, { name = "val", measure = { sum = "value" } }]
    [events]
    value = "value"
    [dataset]
    window_days = 30
    label = "value"
"#;

#[test]
fn cdnow_in_full() {
    let Some(path) = data("cdnow.parquet") else {
        return;
    };
    let (manifest, batches) = build(path, &format!("{MONEY}as_of = \"1998-07-01\""));
    assert_eq!((manifest.rows, manifest.events), (23_570, 69_659));
    check_labels(
        &batches,
        &[
            ("ltv_30", 23_570, 154_774.6, 0.8689859991514637),
            ("ltv_90", 23_570, 374_947.78, 0.765634280865507),
            ("ltv_180", 23_570, 678_245.29, 0.6758591429783624),
            ("ltv_365", 23_570, 1_237_757.52, 0.5863809927874417),
        ],
    );
    let sums = [
        ("cnt_d0", 23_951.0),
        ("val_d29", 5_318.4),
        ("value_sum", 990_452.48),
        ("value_mean", 766_041.9685997474),
        ("value_max", 823_898.8500000001),
    ];
    check_sums(&batches, &sums);
}

#[test]
fn online_retail_with_returns() {
    let Some(path) = data("online_retail.parquet") else {
        return;
    };
    let more =
        "as_of = \"2011-12-10\"\nhorizons = [30, 90, 180]\n[aggregates]\nfirst = [\"country\"]";
    let (manifest, batches) = build(path, &format!("{MONEY}{more}"));
    assert_eq!((manifest.rows, manifest.events), (4_372, 406_829));
    check_labels(
        &batches,
        &[
            ("ltv_30", 3_794, 568_873.06, 0.7514496573537164),
            ("ltv_90", 3_264, 1_509_558.45, 0.5058210784313726),
            ("ltv_180", 2_630, 2_796_257.36, 0.3319391634980989),
        ],
    );
    let sums = [
        ("n_events", 129_491.0),
        ("val_d0", 1_787_318.063),
        ("value_sum", 2_186_809.043),
        ("value_mean", 136_997.72690252063),
        ("value_max", 467_732.46),
    ];
    check_sums(&batches, &sums);
}
