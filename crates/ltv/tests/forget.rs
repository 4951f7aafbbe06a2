//! Users forgotten through the real binary: no byte of them is left, nobody else is touched, and nothing brings them
//! back.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use arrow::{array::AsArray, util::pretty::pretty_format_batches};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use std::{
    fs::{self, File},
    path::Path,
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};
use support::{Workspace, dates, floats, words};

/// An id like no other.
const WHO: &str = "zq-distinctive-4711-qz";
const USERS: usize = 240;

fn name(user: usize) -> String {
    match user {
        17 => WHO.to_owned(),
        user => format!("user-{user:04}"),
    }
}

/// A dataset of three files, a model, snapshots of two days and a store with both, of users with texts for ids.
fn world() -> Workspace {
    let at = Workspace::new();
    // Days since 1970: from 2024-01-01 on.
    let rows: Vec<(String, i32)> = (0..USERS)
        .flat_map(|user| (0..6).map(move |e| (user, e)))
        .map(|(user, e)| (name(user), 19_723 + (user % 9) as i32 + e * 2))
        .collect();
    let ids = words(rows.iter().map(|(id, _)| id.as_str()));
    let times = dates(rows.iter().map(|(_, day)| *day));
    let amounts = floats((0..rows.len()).map(|i| (i % 7) as f64 + 0.5));
    let columns = [("user_id", ids), ("timestamp", times), ("amount", amounts)];
    at.parquet("events.parquet", &columns);
    for day in ["2024-03-01", "2024-03-02"] {
        at.ok(&format!(
            "features --events events.parquet --event-value amount --label value --window-days 5 --horizons 7,14 \
             --partitions 3 --as-of {day} --quiet --out data-{day}"
        ));
        if day == "2024-03-01" {
            at.ok("train --data data-2024-03-01 --epochs 1 --quiet --out model.ltv");
        }
        at.ok(&format!(
            "score --model model.ltv --data data-{day} --file-rows 1 --quiet --out snapshots/{day}"
        ));
        at.ok(&format!("publish snapshots/{day} --store store --quiet"));
    }
    at
}

const PLACES: &str = "--data data-2024-03-02 --snapshot snapshots --store store";

/// How many files below `folder` hold the bytes, as they are or, of Parquet files, decoded.
fn holding(at: &Workspace, folder: &str, text: &str) -> usize {
    let files = at.files(folder);
    let holds = |(name, bytes): (&std::path::PathBuf, &Vec<u8>)| {
        let plain = bytes.windows(text.len()).any(|w| w == text.as_bytes());
        let is_table = name.extension().is_some_and(|e| e == "parquet");
        plain || (is_table && decoded(&at.path(folder).join(name)).contains(text))
    };
    files.iter().filter(|file| holds(*file)).count()
}

fn decoded(path: &Path) -> String {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
    pretty_format_batches(&batches).unwrap().to_string()
}

/// What the store and the snapshots say of everybody else.
fn others(at: &Workspace) -> (Value, Vec<String>) {
    let ids: Vec<String> = (0..USERS).map(name).filter(|id| id != WHO).collect();
    let line = format!("get {} --store store --json --quiet", ids.join(" "));
    let answer: Value = serde_json::from_str(&at.ok(&line)).unwrap();
    let mut rows = vec![];
    for folder in [
        "snapshots/2024-03-01",
        "snapshots/2024-03-02",
        "data-2024-03-02",
    ] {
        for path in at
            .files(folder)
            .into_keys()
            .filter(|p| p.extension().unwrap() == "parquet")
        {
            let text = decoded(&at.path(folder).join(path));
            // Widths follow the longest.
            let cells = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
            let kept = text
                .lines()
                .filter(|l| l.starts_with('|') && !l.contains(WHO));
            rows.extend(kept.map(cells));
        }
    }
    rows.sort();
    rows.dedup();
    (answer["results"].clone(), rows)
}

fn json(at: &Workspace, line: &str) -> Value {
    serde_json::from_str(&at.ok(&format!("{line} --json --quiet"))).unwrap()
}

#[test]
fn no_byte_is_left_and_nobody_else_is_touched() {
    let at = world();
    let folders = ["data-2024-03-02", "snapshots", "store"];
    assert_eq!(folders.map(|folder| holding(&at, folder, WHO)), [1, 2, 2]);
    let before = others(&at);
    let everything = at.everything();
    let planned = json(&at, &format!("forget {WHO} nobody {PLACES} --dry-run"));
    assert!(at.everything() == everything, "a dry run changes nothing");

    let line = format!("forget {WHO} nobody {PLACES} --json --log-format json");
    let output = at.run(&line);
    let [out, log] = [&output.stdout, &output.stderr].map(|bytes| support::text(bytes));
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert!(!out.contains(WHO) && !log.contains(WHO), "{out}{log}");
    let done: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(folders.map(|folder| holding(&at, folder, WHO)), [0, 0, 0]);
    let hidden = at
        .names()
        .into_iter()
        .filter(|p| p.to_string_lossy().contains("/."));
    assert_eq!(hidden.count(), 0);
    for (found, planned) in both(&done["artefacts"], &planned["artefacts"]) {
        assert_eq!(found["removed"], serde_json::json!([1, 0]));
        assert_eq!(planned["removed"], found["removed"]);
        assert_eq!(found["rewritten"].as_array().unwrap().len(), 1);
        assert_eq!(found["rows"], USERS - 1);
        assert_eq!(found["proof"]["rows"], USERS - 1);
        assert_ne!(found["before"], found["after"]);
        assert_eq!(planned["before"], found["before"]);
    }
    let store = &done["stores"][0];
    assert_eq!(store["removed"], serde_json::json!([2, 0]));
    assert_eq!(store["proof"]["rows"], 2 * (USERS - 1));
    assert!(others(&at) == before, "somebody else's answer has changed");
    let error = at.error(&format!("get {WHO} --store store"));
    assert!(error.contains("is not in version"), "{error}");
    what_is_left_is_whole(&at);

    let again = at.ok(&format!("forget {WHO} {PLACES} --quiet"));
    assert_eq!(again.matches("user 1: not there").count(), 4, "{again}");
    assert!(!again.contains("->"), "{again}");
}

fn both<'a>(a: &'a Value, b: &'a Value) -> impl Iterator<Item = (&'a Value, &'a Value)> {
    let (a, b) = (a.as_array().unwrap(), b.as_array().unwrap());
    assert_eq!((a.len(), b.len()), (3, 3));
    a.iter().zip(b)
}

fn what_is_left_is_whole(at: &Workspace) {
    at.ok("inspect snapshots/2024-03-02");
    at.ok("inspect data-2024-03-02");
    at.ok("diff snapshots/2024-03-01 snapshots/2024-03-02 --quiet");
    at.ok("evaluate --model model.ltv --data data-2024-03-02 --part all --quiet");
    at.ok("train --data data-2024-03-02 --epochs 1 --quiet --out again.ltv");
    at.ok("score --model model.ltv --data data-2024-03-02 --quiet --out anew");
    let read = |folder: &str| {
        let text = fs::read_to_string(at.path(folder).join("manifest.json")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let (forgotten, anew) = (read("snapshots/2024-03-02"), read("anew"));
    assert_eq!(forgotten["dropped"]["forgotten"], 1);
    assert_eq!(forgotten["rows"], anew["rows"]);
    // Against a scoring of those who are left.
    for (ours, theirs) in forgotten["totals"]
        .as_array()
        .unwrap()
        .iter()
        .zip(anew["totals"].as_array().unwrap())
    {
        let (ours, theirs) = (ours.as_f64().unwrap(), theirs.as_f64().unwrap());
        assert!(
            (ours - theirs).abs() <= 1e-9 * theirs.abs(),
            "{ours} {theirs}"
        );
    }
    let statuses = read("data-2024-03-02")["statuses"].clone();
    let sum: u64 = statuses
        .as_object()
        .unwrap()
        .values()
        .map(|n| n.as_u64().unwrap())
        .sum();
    assert_eq!(sum, (USERS - 1) as u64);
}

#[test]
fn nothing_brings_a_user_back() {
    let at = world();
    fs::create_dir(at.path("backup")).unwrap();
    for (name, bytes) in at.files("snapshots/2024-03-02") {
        fs::write(at.path("backup").join(name), bytes).unwrap();
    }
    at.write("requests.txt", format!("{WHO}\nuser-0003\n"));
    at.ok(&format!("forget --users requests.txt {PLACES} --quiet"));
    let error = at.error("publish backup --store store --quiet");
    assert!(
        error.contains("2 users of this snapshot were forgotten"),
        "{error}"
    );
    at.ok("publish --rollback --store store --quiet");
    let error = at.error(&format!("get {WHO} --store store"));
    assert!(error.contains("-forgot-1"), "{error}");
    at.ok("publish snapshots/2024-03-02 --store store --quiet");
    at.error(&format!("get {WHO} --store store"));
    at.ok("get user-0004 --store store");
}

#[test]
fn what_cannot_be_done_changes_nothing() {
    let at = world();
    let before = at.everything();
    let fails = |line: &str, part: &str| {
        let error = at.error(line);
        assert!(error.contains(part), "{line}: {error}");
        assert!(!error.contains(WHO), "{error}");
    };
    fails(&format!("forget {WHO}"), "--store, --snapshot or --data");
    fails(
        &format!("forget {WHO} --store nowhere"),
        "nothing is published",
    );
    fails(&format!("forget {WHO} --snapshot store"), "no snapshot");
    fails(&format!("forget {WHO} --data model.ltv"), "model.ltv");
    fails(
        &format!("forget {WHO} --data s3://lake/data"),
        "object store",
    );
    fails(&format!("forget {WHO} {PLACES} --store nowhere"), "nowhere");
    assert!(at.everything() == before);
    at.write("data-2024-03-02/notes", "mine");
    fails(&format!("forget {WHO} {PLACES}"), "holds 'notes'");
    fs::remove_file(at.path("data-2024-03-02/notes")).unwrap();
    let everybody: Vec<String> = (0..USERS).map(name).collect();
    at.write("all", everybody.join("\n"));
    fails(&format!("forget --users all {PLACES}"), "holds nobody else");
    fs::remove_file(at.path("all")).unwrap();
    assert!(at.everything() == before);
    let part = at
        .files("snapshots/2024-03-01")
        .into_keys()
        .find(|p| p.extension().unwrap() == "parquet");
    let part = at.path("snapshots/2024-03-01").join(part.unwrap());
    let mut bytes = fs::read(&part).unwrap();
    bytes[10] ^= 1;
    fs::write(&part, bytes).unwrap();
    let before = at.everything();
    fails(&format!("forget {WHO} {PLACES}"), "checksum");
    assert!(at.everything() == before);
}

/// Kills in a row, each at its own moment.
const KILLS: u32 = 12;

#[test]
fn a_kill_leaves_the_old_or_the_new_whole_and_the_next_run_ends_it() {
    let at = world();
    let line = |user: usize| format!("forget {} {PLACES} --quiet", name(user));
    let began = Instant::now();
    at.ok(&line(100));
    let whole = began.elapsed();
    let mut killed = 0;
    for turn in 0..KILLS {
        let user = 101 + turn as usize;
        let mut child = at.ltv(&line(user)).stdout(Stdio::null()).spawn().unwrap();
        sleep(whole * turn / KILLS);
        let _ = child.kill();
        killed += u32::from(!child.wait().unwrap().success());
        // Whatever is there can be read, and has its checksums.
        at.ok("get user-0000 --store store");
        at.ok("diff snapshots/2024-03-01 snapshots/2024-03-02 --quiet");
        at.ok(&format!("forget nobody {PLACES} --dry-run --quiet"));
        at.ok(&line(user));
        for folder in ["data-2024-03-02", "snapshots", "store"] {
            assert_eq!(
                holding(&at, folder, &name(user)),
                0,
                "{folder} after kill {turn}"
            );
        }
    }
    assert!(killed > 0, "no process was killed in time");
    let hidden = fs::read_dir(at.path("")).unwrap().flatten();
    let hidden = hidden.filter(|e| e.file_name().to_string_lossy().starts_with('.'));
    assert_eq!(hidden.count(), 0);
}

#[test]
fn shards_and_whole_numbers() {
    let at = Workspace::new();
    at.ok("simulate --users 400 --quiet --out sim");
    at.ok("features --preset simulator --events sim/events --users sim/users --quiet --partitions 4 --as-of 2024-04-01 --out shards/one");
    let part = at
        .files("shards/one")
        .into_keys()
        .find(|p| p.extension().unwrap() == "parquet")
        .unwrap();
    let file = File::open(at.path("shards/one").join(part)).unwrap();
    let mut batches = ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .build()
        .unwrap();
    let batch = batches.next().unwrap().unwrap();
    let ids = batch.column_by_name("user_id").unwrap();
    let user = ids.as_primitive::<arrow::datatypes::Int64Type>().value(0);
    // What a scoring that was killed left beside it may hold everybody.
    fs::create_dir_all(at.path("shards/.ltv-part-one/new")).unwrap();
    at.write("shards/.ltv-part-one/new/part-00000.parquet", "scores");
    at.write("shards/.ltv-part-one/lock", "");
    let error = at.error("forget 17 x --data shards --quiet");
    assert!(
        error.contains("user 2 of those given cannot be in") && error.contains("whole numbers"),
        "{error}"
    );
    let done = json(&at, &format!("forget {user} -1 --data shards"));
    let found = &done["artefacts"][0];
    assert_eq!(found["path"], "shards/one");
    assert_eq!(found["removed"], serde_json::json!([1, 0]));
    assert!(!at.path("shards/.ltv-part-one").exists());
    let text = at.ok(&format!("forget {user} --data shards --quiet"));
    assert!(
        text.contains("user 1: not there") && text.contains("read again"),
        "{text}"
    );
    at.ok("train --data shards --epochs 1 --quiet --out model.ltv");
}

/// A Redis server, for as long as a test runs.
struct Redis {
    port: u16,
    child: std::process::Child,
    _folder: tempfile::TempDir,
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Redis {
    /// `None`, and says so, where none is installed.
    #[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
    fn start() -> Option<Self> {
        let named = std::env::var_os("LTV_REDIS_SERVER").unwrap_or("redis-server".into());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let folder = tempfile::tempdir().unwrap();
        let child = std::process::Command::new(named)
            .args([
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--port",
                &port.to_string(),
                "--dir",
            ])
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn();
        let Ok(child) = child else {
            println!("skipped: no redis-server; LTV_REDIS_SERVER may name it");
            return None;
        };
        for _ in 0..1000 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            sleep(Duration::from_millis(10));
        }
        let _folder = folder;
        Some(Self {
            port,
            child,
            _folder,
        })
    }
}

#[test]
fn a_user_vanishes_from_redis() {
    let Some(redis) = Redis::start() else {
        return;
    };
    let at = world();
    let store = format!("redis://127.0.0.1:{}", redis.port);
    for day in ["2024-03-01", "2024-03-02"] {
        at.ok(&format!("publish snapshots/{day} --store {store} --quiet"));
    }
    let other =
        |store: &str| json(&at, &format!("get user-0004 --store {store}"))["results"].clone();
    assert_eq!(other(&store), other("store"));
    let done = json(&at, &format!("forget {WHO} --store {store}"));
    let done = &done["stores"][0];
    assert_eq!(done["removed"], serde_json::json!([2]));
    assert_eq!(
        done["proof"],
        serde_json::json!({"versions": 2, "rows": 2 * (USERS - 1)})
    );
    let gone = |error: String| assert!(error.contains("is not in version"), "{error}");
    gone(at.error(&format!("get {WHO} --store {store}")));
    assert_eq!(other(&store), other("store"));
    let error = at.error(&format!(
        "publish snapshots/2024-03-02 --store {store} --quiet"
    ));
    assert!(error.contains("were forgotten there"), "{error}");
    at.ok(&format!("publish --rollback --store {store} --quiet"));
    gone(at.error(&format!("get {WHO} --store {store}")));
    let again = at.ok(&format!("forget {WHO} --store {store} --quiet"));
    assert!(again.contains("user 1: not there"), "{again}");
}
