//! Comparisons against loops over all pairs.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::{
    ScoreOptions, score,
    testing::{Fake, batch, dataset, predicted, write},
};
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use ltv_core::progress::Silent;
use std::{fs, sync::Arc};
use tempfile::TempDir;

/// Old and new values of user `i` on 30 days: every third falls by a fifth, every fifth doubles.
fn new_value(i: usize, old: f64) -> f64 {
    match (i % 3, i % 5) {
        (0, _) => old * 0.8,
        (_, 0) => old * 2.0,
        _ => old * 1.05,
    }
}

/// Changes predictions as [`new_value`] says: it tells users by their order in the dataset.
fn changed(users: Vec<usize>) -> Fake {
    Fake::with(move |rows, predictions| {
        assert_eq!(rows.rows, users.len(), "one row group");
        for (values, &i) in predictions.values.chunks_mut(2).zip(&users) {
            values[0] = new_value(i, values[0]);
            values[1] = 3.0 * values[1] + 20.0;
        }
    })
}

fn old_users() -> Vec<usize> {
    (0..40).collect()
}

fn new_users() -> Vec<usize> {
    (10..48).collect()
}

/// Users 0 to 39 in `old`, 10 to 47 in `new`.
fn snapshots() -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    for (users, data, out, model) in [
        (old_users(), "d0", "old", Fake::new()),
        (new_users(), "d1", "new", changed(new_users())),
    ] {
        fs::create_dir(place(data)).unwrap();
        let dataset = dataset(&place(data), &[users]);
        let options = ScoreOptions::default();
        score(&dataset, &model, &place(out), &options, &Silent).unwrap();
    }
    let (old, new) = (place("old"), place("new"));
    (folder, old, new)
}

fn options(moved: f64, memory: u64) -> DiffOptions {
    DiffOptions {
        moved,
        memory,
        ..DiffOptions::default()
    }
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9 * (1.0 + b.abs())
}

#[test]
fn everything_is_what_loops_over_pairs_say() {
    let (_folder, old, new) = snapshots();
    for (moved, memory) in [(0.1, 1 << 20), (0.1, 1), (0.0, 3000), (1.5, 1 << 20)] {
        let found = diff(&old, &new, &options(moved, memory), &Silent).unwrap();
        assert_eq!((found.both, found.gone, found.arrived), (30, 10, 8));
        let pairs: Vec<(f64, f64)> = (10..40)
            .map(|i| (predicted(i, 0), new_value(i, predicted(i, 0))))
            .collect();
        let first = &found.horizons[0];
        let up = pairs.iter().filter(|(a, b)| b - a > moved * a).count();
        let down = pairs.iter().filter(|(a, b)| a - b > moved * a).count();
        assert_eq!((first.up, first.down), (up as u64, down as u64), "{moved}");
        assert!(near(first.old_of_both, pairs.iter().map(|p| p.0).sum()));
        assert!(near(first.new_of_both, pairs.iter().map(|p| p.1).sum()));
        let total: f64 = (0..40).map(|i| predicted(i, 0)).sum();
        assert!(near(first.old_total, total));
        let mut relative: Vec<f64> = pairs
            .iter()
            .filter(|(a, _)| *a > 0.0)
            .map(|(a, b)| (b - a).abs() / a)
            .collect();
        relative.sort_by(f64::total_cmp);
        let median = relative[relative.len().div_ceil(2) - 1];
        assert!(near(first.relative.unwrap()[0], median));
        assert_eq!(found.horizons[1].reading, Some(Reading::Changed));
    }
}

#[test]
fn a_snapshot_has_not_moved_from_itself() {
    let (_folder, old, _) = snapshots();
    let found = diff(&old, &old, &DiffOptions::default(), &Silent).unwrap();
    assert_eq!((found.both, found.gone, found.arrived), (40, 0, 0));
    for movement in &found.horizons {
        assert_eq!((movement.up, movement.down), (0, 0));
        assert_eq!(movement.relative, Some([0.0; 3]));
        assert_eq!(movement.psi.unwrap().value, 0.0);
    }
}

/// The same users, named by text.
fn named(folder: &Path) -> PathBuf {
    let plain = batch(&old_users());
    let ids: StringArray = old_users()
        .iter()
        .map(|i| Some(format!("user-{i:03}")))
        .collect();
    let columns = plain.schema();
    let columns = columns.fields().iter().zip(plain.columns());
    let columns = columns.map(|(field, array)| {
        let array = match field.name().as_str() {
            "user_id" => Arc::new(ids.clone()) as ArrayRef,
            _ => array.clone(),
        };
        (field.name().clone(), array)
    });
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    fs::create_dir(folder.join("text")).unwrap();
    let dataset = write(&folder.join("text"), &[batch]);
    let out = folder.join("named");
    score(
        &dataset,
        &Fake::new(),
        &out,
        &ScoreOptions::default(),
        &Silent,
    )
    .unwrap();
    out
}

#[test]
fn users_may_be_named_by_text_but_not_on_one_side_alone() {
    let (folder, old, _) = snapshots();
    let named = named(folder.path());
    let found = diff(&named, &named, &options(0.1, 1), &Silent).unwrap();
    assert_eq!((found.both, found.gone), (40, 0));
    let error = diff(&old, &named, &DiffOptions::default(), &Silent).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("named") && error.contains("its user ids are text"),
        "{error}"
    );
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let (_folder, old, new) = snapshots();
    let refused = |options: &DiffOptions, part: &str| {
        let error = diff(&old, &new, options, &Silent).unwrap_err();
        assert_eq!(error.fault(), ltv_core::Fault::User);
        assert!(error.to_string().contains(part), "{error}");
    };
    refused(&options(-0.5, 1), "moved");
    refused(&options(f64::NAN, 1), "moved");
    let nowhere = DiffOptions {
        scratch: old.join("nowhere"),
        ..DiffOptions::default()
    };
    refused(&nowhere, "nowhere");
    let whole = SnapshotManifest::read(&new).unwrap();
    let mut other = whole.clone();
    other.horizons = Horizons::new(vec![30, 365]).unwrap();
    other.write(&new).unwrap();
    refused(&DiffOptions::default(), "[30, 365]");
    let mut other = whole.clone();
    other.files.push(whole.files[0].clone());
    other.rows *= 2;
    other.write(&new).unwrap();
    refused(&DiffOptions::default(), "names a user twice");
    whole.write(&new).unwrap();
    let part = new.join("part-00000.parquet");
    let bytes = fs::read(&part).unwrap();
    fs::write(&part, &bytes[..bytes.len() - 1]).unwrap();
    refused(&DiffOptions::default(), "bytes, but the manifest says");
    fs::remove_file(&part).unwrap();
    refused(&DiffOptions::default(), "part-00000.parquet");
}
