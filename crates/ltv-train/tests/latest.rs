//! What the latest users tell: a trend that has turned is not followed past them. And what the users of the test
//! tell: nothing.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use arrow::{
    array::{ArrayRef, Int64Array, TimestampSecondArray},
    record_batch::RecordBatch,
};
use ltv_core::{
    config::{FeatureConfig, Mature, TrainConfig},
    progress::Silent,
    seed::user_fraction,
};
use ltv_data::{BuildOptions, Dataset, build_dataset};
use ltv_model::Bundle;
use ltv_train::{FitRun, fit};
use parquet::arrow::ArrowWriter;
use serde_json::json;
use std::{fs::File, path::Path, sync::Arc};

const USERS: i64 = 6_000;
/// Days over which they register, evenly.
const DAYS: i64 = 4 * 365;

/// Active days out of the 30 after the window, by the share of [`DAYS`] that has passed: falling, and
/// where it turns, staying within the last quarter at what they had been after half of the time.
fn active(passed: f64, turns: bool) -> f64 {
    let falling = 20.0 - 20.0 * passed;
    if turns && passed > 0.75 {
        10.0
    } else {
        falling
    }
}

/// One event on the day of registration and one on each active day of the month after the window, of
/// which `active` says how many, given the user and the share of [`DAYS`] that has passed.
fn events(path: &Path, active: &dyn Fn(i64, f64) -> f64) {
    let (mut users, mut times) = (vec![], vec![]);
    for user in 0..USERS {
        // Registration in an order that says nothing about the hash of the id.
        let day = user * 7919 % USERS * DAYS / USERS;
        let active = active(user, day as f64 / DAYS as f64);
        let mut add = |day: i64| {
            users.push(user);
            times.push(day * 86_400);
        };
        add(day);
        (0..30)
            .filter(|n| ((n * 13 + user * 17) % 30) < active as i64)
            .for_each(|n| add(day + 7 + n));
    }
    let users: ArrayRef = Arc::new(Int64Array::from(users));
    let times: ArrayRef = Arc::new(TimestampSecondArray::from(times));
    let batch = RecordBatch::try_from_iter([("user_id", users), ("timestamp", times)]).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn trained(active: &dyn Fn(i64, f64) -> f64, test: f64) -> Bundle {
    let folder = tempfile::tempdir().unwrap();
    let (log, out) = (
        folder.path().join("events.parquet"),
        folder.path().join("dataset"),
    );
    events(&log, active);
    let features = json!({ "dataset": {
        "as_of": "1974-02-09", "horizons": [30, 365], "label": "active_days",
    } });
    let features: FeatureConfig = serde_json::from_value(features).unwrap();
    let options = BuildOptions::default();
    build_dataset(&[log], None, &features, &out, &options, &Silent).unwrap();
    let mut config = TrainConfig::default();
    config.split.mature = Mature::Shortest;
    config.split.test = test;
    (config.fit.rate, config.fit.epochs) = (0.01, 30);
    let run = FitRun {
        seed: 1,
        threads: 2,
        ..FitRun::default()
    };
    fit(&Dataset::open(&out).unwrap(), &config, &run, &Silent).unwrap()
}

#[test]
fn a_trend_is_followed_until_it_turns() {
    let least = |turns| {
        let bundle = trained(&|_, passed| active(passed, turns), 0.0);
        bundle.document.encoding.cohort.unwrap().least
    };
    // The 365-day horizon, of which the last year is not mature, has an end of its own.
    let goes_on = least(false);
    assert!(goes_on[0] == 0.0 && goes_on[1] < 0.3, "{goes_on:?}");
    let turned = least(true);
    assert!(turned[0] > 0.5 && turned[1] == turned[0], "{turned:?}");
}

/// Neither trend nor recalibration nor curves have seen what the users of the test were worth.
#[test]
fn users_of_the_test_change_nothing() {
    let truth = trained(&|_, passed| active(passed, true), 0.3);
    let poisoned = trained(
        &|user, passed| match user_fraction(user) < 0.3 {
            true => 30.0,
            false => active(passed, true),
        },
        0.3,
    );
    assert!(truth.document.recalibration.is_some() && truth.document.matching.is_some());
    assert_eq!(truth, poisoned);
}
