//! Snapshots put live through the real binary: what is looked up is what was scored, a failed or killed
//! publication changes nothing, and there is a way back.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use arrow::{
    array::AsArray,
    datatypes::{Float64Type, Int64Type},
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use support::Workspace;

/// Two models' snapshots of the same users, of which none is past the horizon in one.
fn snapshots(users: u32) -> Workspace {
    let at = Workspace::new();
    at.ok(&format!("simulate --users {users} --quiet --out sim"));
    at.ok(
        "features --preset simulator --events sim/events --users sim/users --quiet \
           --as-of 2024-04-01 --out data",
    );
    for seed in [1, 2] {
        at.ok(&format!(
            "train --data data --epochs 1 --quiet --seed {seed} --out {seed}.ltv"
        ));
        at.ok(&format!(
            "score --model {seed}.ltv --data data --quiet --out snap{seed}"
        ));
    }
    at
}

/// Users of a snapshot with `ltv_90` and `ltv_365_p90`.
fn scores(folder: &Path) -> BTreeMap<i64, [f64; 2]> {
    let manifest = fs::read_to_string(folder.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let mut all = BTreeMap::new();
    for file in manifest["files"].as_array().unwrap() {
        let path = folder.join(file["path"].as_str().unwrap());
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            let column = |name: &str| {
                let column = batch.column_by_name(name).unwrap();
                column.as_primitive::<Float64Type>().clone()
            };
            let (value, decile) = (column("ltv_90"), column("ltv_365_p90"));
            let ids = batch.column_by_name("user_id").unwrap();
            for (row, id) in ids.as_primitive::<Int64Type>().values().iter().enumerate() {
                all.insert(*id, [value.value(row), decile.value(row)]);
            }
        }
    }
    all
}

fn json(at: &Workspace, line: &str) -> Value {
    serde_json::from_str(&at.ok(&format!("{line} --json --quiet"))).unwrap()
}

/// Some users of the store, against a snapshot.
fn check(at: &Workspace, snapshot: &str) -> Value {
    let scores = scores(&at.path(snapshot));
    let users: Vec<i64> = scores.keys().copied().step_by(scores.len() / 50).collect();
    let words: Vec<String> = users.iter().map(i64::to_string).collect();
    let found = json(at, &format!("get {} --store store", words.join(" ")));
    let results = found["results"].as_array().unwrap();
    assert_eq!(results.len(), users.len());
    for (user, result) in users.iter().zip(results) {
        assert_eq!(result["user_id"], user.to_string());
        let [value, decile] = scores[user];
        let horizons = &result["horizons"];
        assert_eq!(horizons[1]["days"], 90);
        // JSON has the shortest decimal that is this f32.
        let single = |x: &Value| x.as_f64().unwrap() as f32;
        assert_eq!(single(&horizons[1]["ltv"]), value as f32);
        if found["detail"] != "values" {
            assert_eq!(single(&horizons[3]["p90"]), decile as f32);
        }
    }
    found
}

fn fails(at: &Workspace, line: &str, parts: &[&str]) {
    let output = at.ltv(line).output().unwrap();
    let error = support::text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{line}: {error}");
    for part in parts {
        assert!(error.contains(part), "{line}: {error}");
    }
}

#[test]
fn what_is_looked_up_is_what_was_scored() {
    let at = snapshots(1200);
    fails(&at, "get 1 --store store", &["store", "ltv publish"]);
    fails(&at, "get 1", &["--store DIR"]);
    let first = json(&at, "publish snap1 --store store");
    assert_eq!(
        first["version"]["rows"].as_u64().unwrap() as usize,
        scores(&at.path("snap1")).len()
    );
    assert_eq!(check(&at, "snap1")["version"], first["version"]["id"]);
    let text = at.ok("publish snap2 --store store --quiet");
    assert!(text.starts_with("store: live"), "{text}");
    let live = check(&at, "snap2");
    assert_ne!(live["model_id"], first["version"]["model_id"]);
    let back = json(&at, "publish --rollback --store store");
    assert_eq!(back["id"], first["version"]["id"]);
    check(&at, "snap1");
    fails(
        &at,
        "publish --rollback --store store",
        &["no version before"],
    );
    // It is still there, and need not be loaded again.
    let again = json(&at, "publish snap2 --store store");
    assert_eq!(again["was_there"], true);
    check(&at, "snap2");
    fails(
        &at,
        "get -7 --store store",
        &["user '-7' is not in version"],
    );
    fails(
        &at,
        "get x --store store",
        &["'x' is no user", "whole numbers"],
    );
    fails(&at, "get 1 --store snap1", &["nothing is published"]);
    fails(
        &at,
        "publish snap1 --store data",
        &["data", "not part of a store"],
    );
    fails(
        &at,
        "publish nowhere --store store",
        &["nowhere: not a snapshot"],
    );
    fails(&at, "publish data --store store", &["data", "ltv-snapshot"]);
    let values = json(&at, "publish snap2 --values-only --store store");
    assert_eq!(values["version"]["detail"], "values");
    let user = scores(&at.path("snap2")).into_keys().next().unwrap();
    let found = json(&at, &format!("get {user} --store store"));
    assert!(found["results"][0]["horizons"][0].get("p50").is_none());
    let text = at.ok(&format!("get {user} --store store"));
    assert!(text.contains("horizon") && text.contains("365"), "{text}");
}

#[test]
fn a_damaged_snapshot_does_not_go_live() {
    let at = snapshots(600);
    at.ok("publish snap1 --store store --quiet");
    let part = at.path("snap2/part-00000.parquet");
    let mut bytes = fs::read(&part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&part, &bytes).unwrap();
    let line = "publish snap2 --store store --quiet";
    fails(&at, line, &["snap2/part-00000.parquet", "checksum"]);
    fs::write(&part, &bytes[..middle]).unwrap();
    fails(&at, line, &["snap2/part-00000.parquet"]);
    fs::remove_file(&part).unwrap();
    fails(&at, line, &["snap2/part-00000.parquet"]);
    check(&at, "snap1");
    let versions = fs::read_dir(at.path("store/versions")).unwrap();
    assert_eq!(versions.count(), 1);
}

/// Kills in a row, each at its own moment.
const KILLS: u32 = 20;

/// A process that cannot write files of more than 16 KiB stands for a full disk: it refuses a write in its middle.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_old_version_live() {
    let at = snapshots(1200);
    json(&at, "publish snap1 --store store");
    let script = "trap '' XFSZ; ulimit -f 16; exec \"$0\" publish snap2 --store store --quiet";
    let output = Command::new("bash")
        .current_dir(at.path(""))
        .args(["-c", script, env!("CARGO_BIN_EXE_ltv")])
        .output()
        .unwrap();
    let error = support::text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("store"), "{error}");
    check(&at, "snap1");
    json(&at, "publish snap2 --store store");
    check(&at, "snap2");
}

#[test]
fn a_killed_publication_leaves_the_old_version_live() {
    let at = snapshots(600);
    // Of three versions one is always gone, and has to be loaded again.
    let snapshots = ["snap1", "snap2", "snap1"];
    let line = |i: usize| {
        let more = if i == 2 { "--values-only" } else { "" };
        format!("publish {} {more} --store store", snapshots[i])
    };
    let (mut ids, mut whole) = (vec![], Duration::ZERO);
    for i in 0..3 {
        let began = Instant::now();
        ids.push(json(&at, &line(i))["version"]["id"].clone());
        whole = whole.max(began.elapsed());
    }
    let (mut live, mut changed) = (2, 0);
    for turn in 0..KILLS {
        let next = (live + 1) % 3;
        let mut child = at.ltv(&line(next)).stdout(Stdio::null()).spawn().unwrap();
        sleep(whole * turn / KILLS);
        let _ = child.kill();
        child.wait().unwrap();
        let now = &json(&at, &format!("get {} --store store", users(&at)[0]))["version"];
        assert!(
            [&ids[live], &ids[next]].contains(&now),
            "{now} after kill {turn}"
        );
        if *now == ids[next] {
            (live, changed) = (next, changed + 1);
        }
        check(&at, snapshots[live]);
    }
    assert!(changed < KILLS, "no process was killed in time");
    json(&at, &line((live + 1) % 3));
    let left = fs::read_dir(at.path("store/versions")).unwrap().flatten();
    let left: Vec<_> = left.map(|e| e.file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

fn users(at: &Workspace) -> Vec<i64> {
    scores(&at.path("snap1")).into_keys().collect()
}
