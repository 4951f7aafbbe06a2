//! Snapshots of parts that were made by another engine.

use super::{options, people};
use crate::{
    Expected, ScoreOptions, ScoredPart, commit_parts, score, score_part,
    testing::{AS_OF, Fake, batch},
};
use arrow::{
    array::{ArrayRef, Float64Array, RecordBatch},
    compute::concat_batches,
};
use ltv_core::{
    Fault,
    manifest::{MANIFEST, SnapshotManifest},
    progress::Silent,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::TempDir;

/// A folder, where parts are written in it, and the snapshot to be.
fn place() -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let staging = folder.path().join(".staging");
    fs::create_dir(&staging).unwrap();
    let out = folder.path().join("snapshot");
    (folder, staging, out)
}

/// Events of user `i`.
fn events(i: usize) -> f64 {
    (i % 4) as f64
}

/// The users with these numbers, as rows of another engine: with events.
fn rows(users: &[usize]) -> RecordBatch {
    let plain = batch(users);
    let n = users.iter().map(|&i| events(i)).collect::<Float64Array>();
    let fields = plain.schema();
    let named = fields.fields().iter().zip(plain.columns());
    let named = named.map(|(f, c)| (f.name().clone(), c.clone(), true));
    let n: ArrayRef = Arc::new(n);
    let all = named.chain([("n_events".to_owned(), n, true)]);
    RecordBatch::try_from_iter_with_nullable(all).unwrap()
}

/// Three parts by remainder, each in batches of 32 rows.
fn parts(staging: &Path, model: &Fake, how: &ScoreOptions) -> Vec<ScoredPart> {
    let part = |k: usize| {
        let users: Vec<usize> = (0..300).filter(|i| i % 3 == k).collect();
        let batches = users.chunks(32).map(|users| Ok(rows(users)));
        let name = format!("part-{k}-0.parquet");
        score_part(model, batches, (staging, &name), AS_OF, how, &Silent).unwrap()
    };
    (0..3).map(part).collect()
}

fn expected() -> Expected {
    Expected {
        rows: 300,
        users: 300,
        events: (0..300).map(events).sum(),
    }
}

fn read(folder: &Path, manifest: &SnapshotManifest) -> RecordBatch {
    let mut all = vec![];
    for file in &manifest.files {
        let file = fs::File::open(folder.join(&file.path)).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        all.extend(reader.build().unwrap().map(Result::unwrap));
    }
    concat_batches(&all[0].schema(), &all).unwrap()
}

#[test]
fn a_snapshot_of_parts_is_that_of_the_dataset() {
    let (folder, staging, out) = place();
    let model = Fake::new();
    for past_horizon in [crate::PastHorizon::Keep, crate::PastHorizon::Drop] {
        let how = ScoreOptions {
            past_horizon,
            ..ScoreOptions::default()
        };
        let made = parts(&staging, &model, &how);
        let target = (AS_OF, expected());
        let manifest = commit_parts(&out, &staging, made, &model, target, &how).unwrap();
        let data = folder.path().join("data");
        fs::create_dir_all(&data).unwrap();
        let local = folder.path().join("local");
        let dataset = people(&data);
        let how = ScoreOptions {
            past_horizon,
            ..options()
        };
        let other = score(&dataset, &model, &local, &how, &Silent).unwrap();
        let same = (
            &other.rows,
            &other.dropped,
            &other.totals,
            other.projected,
            other.order_violations,
        );
        let found = (
            &manifest.rows,
            &manifest.dropped,
            &manifest.totals,
            manifest.projected,
            manifest.order_violations,
        );
        assert_eq!(found, same);
        assert_eq!(SnapshotManifest::read(&out).unwrap(), manifest);
        // Files hold the same users, in the same order.
        assert_eq!(read(&out, &manifest), read(&local, &other));
    }
}

#[test]
fn another_try_of_a_part_counts_once() {
    let (_folder, staging, out) = place();
    let (model, how) = (Fake::new(), ScoreOptions::default());
    let made = parts(&staging, &model, &how);
    let users: Vec<usize> = (0..300).filter(|i| i % 3 == 0).collect();
    let again = score_part(
        &model,
        [Ok(rows(&users))].into_iter(),
        (&staging, "part-0-1.parquet"),
        AS_OF,
        &how,
        &Silent,
    );
    let again = again.unwrap();
    assert_eq!((again.rows(), again.file().unwrap().rows), (100, 100));
    let manifest = commit_parts(&out, &staging, made, &model, (AS_OF, expected()), &how).unwrap();
    assert_eq!(manifest.rows, 300);
    assert!(staging.join("part-0-1.parquet").exists());
}

/// Nothing is committed, and what was there stays.
#[test]
fn what_does_not_add_up_is_refused() {
    let (folder, staging, out) = place();
    let (model, how) = (Fake::new(), ScoreOptions::default());
    let first = parts(&staging, &model, &how);
    commit_parts(&out, &staging, first, &model, (AS_OF, expected()), &how).unwrap();
    let before = fs::read(out.join(MANIFEST)).unwrap();
    let made = parts(&staging, &model, &how);
    let refused = |parts: Vec<ScoredPart>, expected: Expected| {
        let target = (AS_OF, expected);
        let error = commit_parts(&out, &staging, parts, &model, target, &how).unwrap_err();
        assert_eq!(error.fault(), Fault::User);
        assert_eq!(fs::read(out.join(MANIFEST)).unwrap(), before);
        error.to_string()
    };
    let lost = refused(made[..2].to_vec(), expected());
    assert!(
        lost.contains("200 users were scored where there are 300"),
        "{lost}"
    );
    let twice = [made.as_slice(), &made[..1]].concat();
    let more = Expected {
        rows: 400,
        users: 400,
        ..expected()
    };
    assert!(refused(twice, more).contains("came twice"));
    let doubled = Expected {
        users: 299,
        ..expected()
    };
    assert!(refused(made.clone(), doubled).contains("twice"));
    let fewer = Expected {
        events: 3.0,
        ..expected()
    };
    assert!(refused(made.clone(), fewer).contains("events were seen"));
    let file = staging.join("part-1-0.parquet");
    let mut content = fs::read(&file).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(&file, content).unwrap();
    assert!(refused(made, expected()).contains("checksum"));
    let names = fs::read_dir(folder.path()).unwrap();
    let names: Vec<_> = names.map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn users_out_of_order_or_twice_are_refused_where_they_are() {
    let (_folder, staging, _) = place();
    let (model, how) = (Fake::new(), ScoreOptions::default());
    let batches = [Ok(rows(&[1, 2, 3])), Ok(rows(&[3, 4]))].into_iter();
    let error = score_part(
        &model,
        batches,
        (&staging, "a.parquet"),
        AS_OF,
        &how,
        &Silent,
    )
    .unwrap_err();
    assert!(error.to_string().contains("row 4"), "{error}");
    assert_eq!(fs::read_dir(&staging).unwrap().count(), 0);
}

#[test]
fn nothing_else_is_replaced() {
    let (_folder, staging, out) = place();
    let (model, how) = (Fake::new(), ScoreOptions::default());
    let made = parts(&staging, &model, &how);
    fs::create_dir(&out).unwrap();
    fs::write(out.join("notes.txt"), "mine").unwrap();
    let target = (AS_OF, expected());
    let error = commit_parts(&out, &staging, made.clone(), &model, target, &how).unwrap_err();
    assert!(error.to_string().contains("notes.txt"), "{error}");
    let address = Path::new("s3://bucket/snapshot");
    let error = commit_parts(address, &staging, made, &model, target, &how).unwrap_err();
    assert_eq!(error.fault(), Fault::User);
}
