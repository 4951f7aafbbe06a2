//! Bad input: every message names file, column and row, and says what to do.

use super::house::{self, Event, User};
use crate::{BuildOptions, DataError, Result, build_dataset};
use arrow::{
    array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, UInt64Array},
    compute::concat_batches,
};
use ltv_core::{
    Day, Fault,
    config::{FeatureConfig, Label},
    progress::Silent,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

fn run(log: &Path, out: &Path) -> Result<()> {
    let config = house::full_config(19_100, 7, Label::Value);
    let options = BuildOptions::default();
    build_dataset(&[log.to_path_buf()], None, &config, out, &options, &Silent).map(|_| ())
}

/// The message for a log made of `batch`, and that nothing was left behind.
fn message(batch: &RecordBatch) -> String {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.parquet");
    house::write(&log, batch);
    let error = run(&log, &folder.path().join("out")).unwrap_err();
    assert_eq!(error.fault(), Fault::User, "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    error.to_string()
}

fn good(rows: i64) -> RecordBatch {
    let events: Vec<_> = (0..rows).map(|i| Event::new(i, 19_000, i)).collect();
    house::events_batch(&events)
}

fn replace(batch: &RecordBatch, name: &str, column: ArrayRef) -> RecordBatch {
    let schema = batch.schema();
    let fields = schema.fields().iter().zip(batch.columns());
    let columns = fields.map(|(field, old)| {
        let new = if field.name() == name {
            column.clone()
        } else {
            old.clone()
        };
        (field.name().clone(), new, true)
    });
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

#[test]
fn columns_missing_or_of_the_wrong_type() {
    let mut batch = good(3);
    batch.remove_column(2);
    let text = message(&batch);
    let expected = "log.parquet: there is no column 'value' (events.value); the file has: \
                    user_id, timestamp, seq";
    assert!(text.contains(expected), "{text}");
    let words: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
    let text = message(&replace(&good(3), "value", words.clone()));
    assert!(
        text.contains("column 'value' (events.value) is Utf8; it must be a number"),
        "{text}"
    );
    let text = message(&replace(&good(3), "timestamp", words));
    assert!(text.contains("it must be a timestamp or a date"), "{text}");
    let ids: ArrayRef = Arc::new(UInt64Array::from(vec![1, 2, 3]));
    let text = message(&replace(&good(3), "user_id", ids));
    assert!(
        text.contains("is UInt64; it must be an integer of at most 63 bits"),
        "{text}"
    );
}

#[test]
fn values_that_must_not_be_there() {
    // The row is in a later batch of the reader, and rows before it are dropped for the as-of day.
    let spoil = |name: &str, column: ArrayRef| {
        let dropped: Vec<_> = (0..9000).map(|i| Event::new(i, 19_200, 1)).collect();
        let bad = replace(&good(3), name, column);
        let all = [house::events_batch(&dropped), good(40), bad];
        message(&concat_batches(&all[0].schema(), &all).unwrap())
    };
    let value = |x| -> ArrayRef { Arc::new(Float64Array::from(vec![Some(1.0), Some(2.0), x])) };
    for (x, problem) in [
        (None, "the value is missing (null)"),
        (Some(f64::NAN), "the value is not a number (NaN)"),
        (Some(f64::NEG_INFINITY), "the value is infinite (-inf)"),
        (Some(-1e14), "-100000000000000 is too large"),
    ] {
        let text = spoil("value", value(x));
        let expected = format!("log.parquet: column 'value', row 9043: {problem}");
        assert!(text.contains(&expected), "{text}");
    }
    let users: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(2)]));
    let text = spoil("user_id", users);
    assert!(
        text.contains("column 'user_id', row 9042: the user id is missing (null)"),
        "{text}"
    );
    let times: ArrayRef = Arc::new(arrow::array::TimestampMicrosecondArray::from(vec![
        None,
        Some(1),
        Some(2),
    ]));
    let text = spoil("timestamp", times);
    assert!(
        text.contains("column 'timestamp', row 9041: the time is missing (null)"),
        "{text}"
    );
    let text = spoil("size", value(Some(f64::INFINITY)));
    assert!(
        text.contains("column 'size', row 9043: the value is infinite (inf)"),
        "{text}"
    );
}

#[test]
fn files_that_are_no_parquet() {
    let folder = tempfile::tempdir().unwrap();
    let (log, out) = (folder.path().join("log.parquet"), folder.path().join("out"));
    let problem = |bytes: &[u8]| {
        std::fs::write(&log, bytes).unwrap();
        let error = run(&log, &out).unwrap_err();
        assert!(matches!(error, DataError::NotParquet { .. }), "{error}");
        error.to_string()
    };
    assert!(problem(b"").contains("log.parquet: not a readable Parquet file (it is empty)"));
    problem(b"user_id,timestamp\n1,2024-01-01\n");
    let path = folder.path().join("whole.parquet");
    house::write(&path, &good(500));
    let whole = std::fs::read(&path).unwrap();
    problem(&whole[..whole.len() / 2]);
    problem(&[&whole[..whole.len() - 200], &whole[whole.len() - 8..]].concat());
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_file(&log).unwrap();
    let error = run(folder.path(), &out).unwrap_err().to_string();
    assert!(error.contains("no .parquet file in this folder"), "{error}");
    let error = run(&log, &out).unwrap_err().to_string();
    assert!(
        error.contains("cannot read") && error.contains("log.parquet"),
        "{error}"
    );
}

#[test]
fn tables_that_do_not_fit_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let names: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
    house::write(&path("1.parquet"), &good(3));
    house::write(&path("2.parquet"), &replace(&good(3), "user_id", names));
    let error = run(folder.path(), &path("out")).unwrap_err().to_string();
    let expected = "2.parquet: column 'user_id' is text, but an integer in";
    assert!(error.contains(expected), "{error}");
    let user = |user| User {
        user,
        registered: None,
        channel: None,
        cost: None,
    };
    let config = house::with_users(house::full_config(19_100, 7, Label::Value), true);
    let twice = [user(1), user(2), user(1)];
    let built = house::build(
        &[Event::new(1, 19_000, 1)],
        Some(&twice),
        &config,
        &Default::default(),
    );
    let error = built.err().unwrap().to_string();
    let expected = "users.parquet: column 'user_id', row 3: user '1' has a row already, row 1 of";
    assert!(error.contains(expected), "{error}");
    let mut clash = house::full_config(19_100, 7, Label::Value);
    clash.aggregates.first.push("size2".into());
    clash.aggregates.first_numeric.push("code".into());
    clash.aggregates.first.pop();
    let error = house::build(&[], None, &clash, &Default::default())
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("would be called 'first_code'"), "{error}");
}

#[test]
fn a_dataset_of_nobody_is_never_written() {
    let problem = |events: &[Event], config: &FeatureConfig| {
        let error = house::build(events, None, config, &Default::default());
        let error = error.err().unwrap();
        assert_eq!(error.fault(), Fault::User);
        error.to_string()
    };
    let mut config = house::full_config(19_100, 7, Label::Value);
    let text = problem(&[], &config);
    assert!(text.contains("0 events before the as-of date"), "{text}");
    let text = problem(&[Event::new(1, 19_100, 1)], &config);
    assert!(text.contains("left out: 1 events_later"), "{text}");
    config.dataset.registered_from = Some(Day(19_050));
    let text = problem(&[Event::new(1, 19_000, 1)], &config);
    assert!(text.contains("1 events before the as-of date"), "{text}");
    assert!(text.contains("left out: 1 users_filtered"), "{text}");
    let with_registration = house::with_users(house::full_config(19_100, 7, Label::Value), true);
    let text = problem(&[Event::new(1, 19_000, 1)], &with_registration);
    assert_eq!(
        text,
        "users.registration: comes from a user table: give one, or leave this out"
    );
}

#[test]
fn only_datasets_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (log, out) = (folder.path().join("log.parquet"), folder.path().join("out"));
    house::write(&log, &good(30));
    let build = |partitions| {
        let config = house::full_config(19_100, 7, Label::Value);
        let options = BuildOptions {
            partitions: Some(partitions),
            threads: 1,
            ..BuildOptions::default()
        };
        build_dataset(
            std::slice::from_ref(&log),
            None,
            &config,
            &out,
            &options,
            &Silent,
        )
    };
    let files = |out: &Path| -> Vec<PathBuf> {
        let mut all: Vec<_> = std::fs::read_dir(out)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        all.sort();
        all
    };
    build(3).unwrap();
    assert_eq!(files(&out).len(), 4);
    build(2).unwrap();
    assert_eq!(files(&out).len(), 3);
    std::fs::write(out.join("notes.txt"), "mine").unwrap();
    let error = build(1).unwrap_err().to_string();
    assert!(
        error.contains("holds 'notes.txt', which is not part of a dataset"),
        "{error}"
    );
    std::fs::remove_file(out.join("notes.txt")).unwrap();
    std::fs::remove_file(out.join("manifest.json")).unwrap();
    let error = build(1).unwrap_err();
    assert!(matches!(error, DataError::OutputInUse { .. }), "{error}");
    assert_eq!(files(&out).len(), 2);
    assert_eq!(files(folder.path()).len(), 2, "no work folder is left");
}
