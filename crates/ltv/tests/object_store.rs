//! Datasets, events and users in an object store, through the real binary and a real server with the
//! S3 API, where one is installed.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "support/store.rs"]
mod store;
mod support;

use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Child, Stdio},
    thread::sleep,
    time::Duration,
};
use store::{KEY, SECRET, Store, bare, free_port, refusal};
use support::{Workspace, text};

const FEATURES: &str = "features --preset simulator --quiet --as-of 2024-04-01";
const COMPARE: &str = "
seeds = [1]
bootstrap = 20
split.test = 0.3

[[models]]
name = 'RFM'
peer = { kind = 'rfm', recency = 3, frequency = 3, monetary = 3 }

[[models]]
name = 'BG/NBD'
peer = { kind = 'btyd', penalty = 0.01 }
";
const TRAIN: &str = "train --quiet --epochs 2 --batch 128";

/// A workspace with events, users and a dataset of them, all of which are in the bucket too.
fn uploaded(store: &Store) -> Workspace {
    let at = Workspace::new();
    at.ok("simulate --users 3000 --quiet --out sim");
    at.ok(&format!(
        "{FEATURES} --events sim/events --users sim/users --out data"
    ));
    store.upload(&at, "sim", "raw/sim");
    store.upload(&at, "data", "sets/data");
    at
}

fn bytes(at: &Workspace, name: &str) -> Vec<u8> {
    fs::read(at.path(name)).unwrap()
}

#[test]
fn the_whole_way_is_the_same_from_a_store_and_from_files() {
    let Some(store) = Store::start() else { return };
    let at = uploaded(&store);
    let events = "--events s3://lake/raw/sim/events --users s3://lake/raw/sim/users/";
    store.ok(&at, &format!("{FEATURES} {events} --out far"));
    assert!(at.files("far") == at.files("data"), "another dataset");

    at.ok(&format!("{TRAIN} --data data --out near.ltv"));
    for (threads, cache) in [(1, "off"), (2, ".")] {
        let line =
            format!("{TRAIN} --data s3://lake/sets/data --threads {threads} --cache {cache}");
        store.ok(&at, &format!("{line} --out far.ltv"));
        assert!(
            bytes(&at, "far.ltv") == bytes(&at, "near.ltv"),
            "another model"
        );
    }

    let score = "score --model near.ltv --quiet";
    at.ok(&format!("{score} --data data --out near"));
    store.ok(
        &at,
        &format!("{score} --data s3://lake/sets/data --out scores"),
    );
    assert!(at.files("scores") == at.files("near"), "other scores");
    let fresh = format!("{score} {events} --features s3://lake/sets/data --as-of 2024-04-01");
    store.ok(&at, &format!("{fresh} --out fresh"));
    assert!(at.files("fresh") == at.files("near"), "other scores");

    let evaluate = "evaluate --model near.ltv --quiet --json --bootstrap 20";
    let near = at.ok(&format!("{evaluate} --data data"));
    let far = store.ok(&at, &format!("{evaluate} --data s3://lake/sets/data"));
    let [near, far] = [near, far].map(|t| serde_json::from_str::<Value>(&t).unwrap());
    assert!(near["results"].is_array());
    assert_eq!(near["results"], far["results"]);
    let inspected = store.ok(&at, "inspect s3://lake/sets/data --verify");
    assert!(
        inspected.starts_with("s3://lake/sets/data: a dataset"),
        "{inspected}"
    );
    assert!(inspected.contains("verified"), "{inspected}");
}

/// Three shards of a population, in a folder and in the bucket.
fn shards(store: &Store) -> Workspace {
    let at = Workspace::new();
    for i in 1..=3 {
        at.ok(&format!(
            "simulate --users 3000 --shard {i}/3 --quiet --out sim{i}"
        ));
        let tables = format!("--events sim{i}/events --users sim{i}/users");
        at.ok(&format!("{FEATURES} {tables} --out shards/part-{i}"));
    }
    store.upload(&at, "shards", "shards");
    at
}

#[test]
fn shards_may_be_here_and_there() {
    let Some(store) = Store::start() else { return };
    let at = shards(&store);
    at.ok(&format!("{TRAIN} --data shards --out near.ltv"));
    let (far, near) = ("s3://lake/shards", "shards");
    fs::create_dir(store.path("shards/.hidden")).unwrap();
    for data in [
        far.to_owned(),
        format!("{far}/part-1 {far}/part-2/ {far}/part-3"),
        format!("{near}/part-1 {far}/part-2 {near}/part-3"),
    ] {
        store.ok(&at, &format!("{TRAIN} --data {data} --out far.ltv"));
        assert!(bytes(&at, "far.ltv") == bytes(&at, "near.ltv"), "{data}");
    }
    let twice = format!("{TRAIN} --data {near}/part-1 {far}/part-1 --out far.ltv");
    let error = store.error(&at, &twice);
    assert!(
        error.contains("s3://lake/shards/part-1/part-00000.parquet"),
        "{error}"
    );
    assert!(error.contains("also in shards/part-1/"), "{error}");
    store.upload(&at, "sim1/users", "shards/odd");
    let error = store.error(&at, &format!("{TRAIN} --data {far} --out far.ltv"));
    assert!(error.contains("but 'odd' in it is none"), "{error}");
}

#[test]
fn experiments_read_from_a_store() {
    let Some(store) = Store::start() else { return };
    let at = uploaded(&store);
    at.write("compare.toml", COMPARE);
    let compare = "compare --config compare.toml --quiet --json";
    let near = at.ok(&format!(
        "{compare} --data data --events sim/events --out near"
    ));
    let events = "--events s3://lake/raw/sim/events";
    let line = format!("{compare} --data s3://lake/sets/data {events} --out far");
    let far = store.ok(&at, &line);
    let [near, far] = [near, far].map(|t| serde_json::from_str::<Value>(&t).unwrap());
    assert!(near["rows"].as_u64().unwrap() > 100, "{near}");
    assert_eq!(near["results"], far["results"]);
}

/// Waits until the file `name` is there, while the process runs.
fn wait_for(at: &Workspace, name: &str, child: &mut Child) {
    while !at.path(name).exists() {
        assert!(child.try_wait().unwrap().is_none(), "over before {name}");
        sleep(Duration::from_millis(1));
    }
}

const SLOW: &str = "train --data s3://lake/sets/data --quiet --epochs 6 --batch 64 --patience 1000 \
                    --checkpoint part --checkpoint-steps 10 --cache off";

#[test]
fn a_killed_training_goes_on_from_a_store() {
    let Some(store) = Store::start() else { return };
    let at = uploaded(&store);
    let whole = SLOW
        .replace("s3://lake/sets/data", "data")
        .replace("part", "other");
    at.ok(&format!("{whole} --out near.ltv"));
    let line = format!("{SLOW} --out far.ltv");
    let mut child = store.ltv(&at, &line).stdout(Stdio::null()).spawn().unwrap();
    wait_for(&at, "part", &mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!at.path("far.ltv").exists());
    store.ok(&at, &format!("{line} --resume"));
    assert!(
        bytes(&at, "far.ltv") == bytes(&at, "near.ltv"),
        "another model"
    );
}

/// Puts other bytes in the place of an object, in one step.
fn replace(path: &Path, bytes: &[u8]) {
    let new = path.with_extension("new");
    fs::write(&new, bytes).unwrap();
    fs::rename(new, path).unwrap();
}

#[test]
fn an_object_that_is_replaced_in_use_ends_the_training() {
    let Some(store) = Store::start() else { return };
    let at = uploaded(&store);
    let mut command = store.ltv(&at, &format!("{SLOW} --out far.ltv"));
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    wait_for(&at, "part", &mut child);
    // Of the same size, and as good a file: a byte of its data is another.
    let path = store.path("sets/data/part-00000.parquet");
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    replace(&path, &bytes);
    let error = refusal(&child.wait_with_output().unwrap());
    assert!(
        error.contains("s3://lake/sets/data/part-00000.parquet: it was replaced"),
        "{error}"
    );
    assert!(!at.path("far.ltv").exists());
}

#[test]
fn what_is_wrong_in_a_bucket_is_one_error_that_says_so() {
    let Some(store) = Store::start() else { return };
    let at = uploaded(&store);
    let train = |data: &str| format!("{TRAIN} --data {data} --out x.ltv");
    let is = |line: &str, parts: &[&str]| {
        let error = store.error(&at, line);
        assert!(
            parts.iter().all(|p| error.contains(p)),
            "ltv {line}\n{error}"
        );
    };
    is(
        &train("s3://pond/data"),
        &["s3://pond/data: there is no such bucket"],
    );
    is(
        &train("s3://lake/nothing"),
        &["s3://lake/nothing: not a dataset", "ltv features"],
    );
    is(
        "inspect s3://lake/nothing",
        &["s3://lake/nothing: holds no manifest.json"],
    );
    let users = |users: &str| {
        format!("{FEATURES} --events s3://lake/raw/sim/events --users {users} --out x")
    };
    is(
        &users("s3://lake/none"),
        &["s3://lake/none: there is no such object"],
    );
    is(
        &users("s3://lake/sets/data/manifest.json"),
        &["manifest.json: not a readable Parquet"],
    );

    let path = store.path("sets/data/part-00000.parquet");
    let whole = fs::read(&path).unwrap();
    let url = "s3://lake/sets/data/part-00000.parquet: ";
    let data = train("s3://lake/sets/data");
    for kept in [whole.len() - 1, 10_000, 0] {
        replace(&path, &whole[..kept]);
        is(&data, &[url, "cut short", &whole.len().to_string()]);
    }
    replace(&path, &vec![b'x'; whole.len()]);
    is(&data, &[url, "not a whole Parquet file"]);
    fs::remove_file(&path).unwrap();
    is(&data, &[url, "there is no such object"]);
    fs::write(store.path("sets/data/manifest.json"), "{").unwrap();
    is(
        &data,
        &["s3://lake/sets/data/manifest.json: not a valid document"],
    );
    assert!(!at.path("x.ltv").exists() && !at.path("x").exists());
}

#[test]
fn credentials_that_do_not_work_are_not_repeated() {
    let Some(store) = Store::start() else { return };
    let at = uploaded(&store);
    let line = "inspect s3://lake/sets/data";
    let with = |set: &[(&str, &str)], part: &str| {
        for more in ["", " --log-format json"] {
            let mut command = store.ltv(&at, &format!("{line}{more}"));
            command.envs(set.iter().copied());
            let output = command.output().unwrap();
            let error = refusal(&output);
            assert!(error.contains(part), "{error}");
            for (_, value) in set.iter().filter(|(name, _)| !name.contains("ENDPOINT")) {
                assert!(value.len() < 8 || !error.contains(value), "{error}");
            }
        }
    };
    with(
        &[("AWS_SECRET_ACCESS_KEY", "not-the-secret")],
        "SignatureDoesNotMatch",
    );
    with(
        &[("AWS_ACCESS_KEY_ID", "SOMEBODYELSE")],
        "does not accept the credentials",
    );
    with(&[("AWS_SECRET_ACCESS_KEY", "")], "set both");
    with(&[("AWS_ALLOW_HTTP", "false")], "AWS_ALLOW_HTTP=true");
    let nobody = format!("http://127.0.0.1:{}", free_port());
    with(&[("AWS_ENDPOINT_URL", &nobody)], "cannot be reached");
    let user = format!("http://{KEY}:{SECRET}@127.0.0.1");
    with(&[("AWS_ENDPOINT_URL", &user)], "a password");
}

#[test]
fn without_a_store_there_is_one_error() {
    let at = Workspace::new();
    let is = |set: &[(&str, &str)], line: &str, parts: &[&str]| {
        let mut command = bare(&at, line);
        command.envs(set.iter().copied());
        let error = refusal(&command.output().unwrap());
        assert!(
            parts.iter().all(|p| error.contains(p)),
            "ltv {line}\n{error}"
        );
    };
    let line = "inspect s3://lake/data";
    is(
        &[],
        line,
        &["s3://lake: no credentials", "AWS_EC2_METADATA_DISABLED"],
    );
    is(
        &[("AWS_PROFILE", "work")],
        line,
        &["AWS_PROFILE", "export-credentials --format env"],
    );
    for address in ["gs://lake/data", "az://lake/data", "https://host/lake"] {
        let line = format!("train --data {address} --out x.ltv");
        is(
            &[],
            &line,
            &[address, "not supported", "s3://bucket/prefix"],
        );
        let line = format!("{FEATURES} --events {address} --users {address} --out x");
        is(
            &[],
            &line,
            &[address, "not supported", "s3://bucket/prefix"],
        );
    }
    for address in [
        format!("s3://{KEY}:{SECRET}@lake/x"),
        format!("s3://lake/x?token={SECRET}"),
    ] {
        is(
            &[],
            &format!("inspect {address}"),
            &["s3://lake/x: an address with"],
        );
    }
    assert!(at.everything().len() == 1, "something was written");
}

#[test]
fn other_results_are_not_written_to_a_store() {
    let at = Workspace::new();
    at.ok("simulate --users 300 --quiet --out sim");
    at.ok(&format!(
        "{FEATURES} --events sim/events --users sim/users --out data"
    ));
    let before = at.everything();
    for line in [
        format!("{TRAIN} --data data --out s3://lake/x.ltv"),
        "simulate --users 10 --quiet --out s3://lake/x".into(),
    ] {
        let error = refusal(&bare(&at, &line).output().unwrap());
        assert!(error.contains("s3://lake/x"), "{error}");
        let what = "this result is not written to object stores";
        assert!(error.contains(what), "{error}");
    }
    // Where one could be written: without credentials, or in another kind of store.
    let features = format!("{FEATURES} --events sim/events --users sim/users --out");
    for (out, part) in [
        ("s3://lake/x", "no credentials"),
        ("gs://lake/x", "not supported"),
    ] {
        let line = format!("{features} {out}");
        let error = refusal(&bare(&at, &line).output().unwrap());
        assert!(error.contains(part), "{error}");
    }
    let output = bare(&at, "evaluate --model s3://lake/x.ltv --data data")
        .output()
        .unwrap();
    let error = refusal(&output);
    assert!(
        error.contains("s3://lake/x.ltv") && error.contains("download it"),
        "{error}"
    );
    assert_eq!(text(&output.stdout), "");
    assert!(at.everything() == before, "something was written");
}
