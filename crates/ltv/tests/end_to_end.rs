//! The whole way through the real binary: the same bytes whatever the threads and interruptions,
//! horizons that never cross, and labels of a real log that agree with a slow count.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Date32Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    thread::sleep,
    time::Duration,
};
use support::Workspace;

const HORIZONS: [i32; 4] = [30, 90, 180, 365];

/// Simulated users as a dataset that is partly immature.
fn dataset(users: u32) -> Workspace {
    let at = Workspace::new();
    at.ok(&format!("simulate --users {users} --quiet --out sim"));
    at.ok(
        "features --preset simulator --events sim/events --users sim/users --quiet \
           --as-of 2024-04-01 --out data",
    );
    at
}

fn batches(path: &Path) -> Vec<RecordBatch> {
    let file = File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    reader.build().unwrap().map(Result::unwrap).collect()
}

/// All rows of the Parquet files in a folder.
fn table(folder: &Path) -> Vec<RecordBatch> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "parquet"))
        .collect();
    files.sort();
    files.iter().flat_map(|f| batches(f)).collect()
}

fn numbers(batch: &RecordBatch, column: &str) -> Vec<f64> {
    let array = batch.column_by_name(column).unwrap();
    array.as_primitive::<Float64Type>().values().to_vec()
}

/// Users of a snapshot, after checking every number in it: finite, not negative, shares within
/// [0, 1], quantiles in order, and no horizon above the next.
fn check_snapshot(folder: &Path) -> usize {
    let mut users = 0;
    for batch in table(folder) {
        users += batch.num_rows();
        let mut before: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for n in HORIZONS {
            for suffix in ["", "_p10", "_p50", "_p90", "_positive"] {
                let now = numbers(&batch, &format!("ltv_{n}{suffix}"));
                assert!(
                    now.iter().all(|v| v.is_finite() && *v >= 0.0),
                    "{n}{suffix}"
                );
                if let Some(before) = before.get(suffix) {
                    let crossing = before.iter().zip(&now).filter(|(a, b)| a > b).count();
                    assert_eq!(crossing, 0, "ltv_{n}{suffix} is below the horizon before");
                }
                before.insert(suffix, now);
            }
            let above = |a: &str, b: &str| before[a].iter().zip(&before[b]).all(|(a, b)| a <= b);
            assert!(above("_p10", "_p50") && above("_p50", "_p90"), "{n}");
            assert!(before["_positive"].iter().all(|p| *p <= 1.0), "{n}");
        }
    }
    users
}

#[test]
fn threads_change_no_byte() {
    let at = dataset(4000);
    for threads in [1, 2, 4] {
        let same = format!("--quiet --threads {threads} --seed 5");
        at.ok(&format!(
            "features --preset simulator --events sim/events --users sim/users \
             --as-of 2024-04-01 --out data{threads} {same}"
        ));
        at.ok(&format!(
            "train --data data{threads} --epochs 2 --out {threads}.ltv {same}"
        ));
        at.ok(&format!(
            "score --model {threads}.ltv --data data{threads} --out snap{threads} {same}"
        ));
    }
    for threads in [2, 4] {
        let (one, many) = (at.files("data1"), at.files(&format!("data{threads}")));
        assert!(one == many, "datasets of 1 and {threads} threads differ");
        let bundle = |n| fs::read(at.path(&format!("{n}.ltv"))).unwrap();
        assert!(bundle(1) == bundle(threads), "bundles of 1 and {threads}");
        let (one, many) = (at.files("snap1"), at.files(&format!("snap{threads}")));
        assert!(one == many, "snapshots of 1 and {threads} threads differ");
    }
    let other = "train --data data --epochs 2 --quiet --seed 6 --out other.ltv";
    at.ok(other);
    let bundle = |n: &str| fs::read(at.path(n)).unwrap();
    assert!(
        bundle("1.ltv") != bundle("other.ltv"),
        "the seed does nothing"
    );
}

/// Two models' snapshots of the same users, and one without those who are past the horizon.
#[test]
fn what_moved_between_snapshots_is_said() {
    let at = dataset(2000);
    for seed in [1, 2] {
        at.ok(&format!(
            "train --data data --epochs 1 --quiet --seed {seed} --out {seed}.ltv"
        ));
    }
    at.ok("score --model 1.ltv --data data --quiet --out old");
    at.ok("score --model 2.ltv --data data --quiet --past-horizon drop --out new");
    let line = "diff old new --quiet --out diff.json";
    let text = at.ok(line);
    assert!(
        text.contains("gone, 0 arrived") && text.contains("up 10 %"),
        "{text}"
    );
    let document = fs::read_to_string(at.path("diff.json")).unwrap();
    let document: Value = serde_json::from_str(&document).unwrap();
    let manifest = |name: &str| -> Value {
        let text = fs::read_to_string(at.path(name).join("manifest.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let (old, new) = (manifest("old"), manifest("new"));
    assert_eq!(document["both"], new["rows"]);
    assert_eq!(document["gone"], new["dropped"]["past_horizon"]);
    assert_eq!(document["horizons"][3]["old_total"], old["totals"][3]);
    assert_eq!(document["new"]["model_id"], new["model_id"]);
    // A document of another kind is not written over.
    let output = at.ltv("diff old new --quiet --out 1.ltv").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let spilled = at.ok("diff old new --quiet --memory 1 --json --moved 0");
    let spilled: Value = serde_json::from_str(&spilled).unwrap();
    assert_eq!(spilled["both"], document["both"]);
    assert_eq!(
        spilled["horizons"][0]["psi"],
        document["horizons"][0]["psi"]
    );
}

/// Of one date, the name decides.
#[test]
fn old_snapshots_go_and_nothing_else() {
    let at = dataset(1500);
    at.ok("train --data data --epochs 1 --quiet --out model.ltv");
    for name in ["a", "b"] {
        at.ok(&format!(
            "score --model model.ltv --data data --quiet --out {name}"
        ));
    }
    let planned = at.ok("prune . --keep 1 --dry-run");
    assert!(
        planned.contains("kept      as of 2024-04-01  ./b,")
            && planned.contains("would go  as of 2024-04-01  ./a,"),
        "{planned}"
    );
    assert!(at.path("a").exists());
    at.ok("prune . --keep 1");
    let left = ["b", "data", "sim", "model.ltv"];
    assert!(!at.path("a").exists() && left.iter().all(|name| at.path(name).exists()));
    at.ok("inspect b --verify");
    for (line, part) in [
        ("prune .", "--keep N"),
        ("prune b --keep 1", "side by side"),
        ("prune s3://lake/snapshots --keep 1", "expiry"),
    ] {
        let output = at.ltv(line).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn shards_are_trained_judged_and_scored_as_one_dataset() {
    let at = Workspace::new();
    for i in 1..=3 {
        let (sim, data) = (format!("sim-{i}"), format!("data/shard-{i}"));
        at.ok(&format!(
            "simulate --users 3000 --shard {i}/3 --quiet --out {sim}"
        ));
        fs::create_dir_all(at.path("data")).unwrap();
        at.ok(&format!(
            "features --preset simulator --events {sim}/events --users {sim}/users --quiet \
             --as-of 2024-04-01 --out {data}"
        ));
    }
    let train = "train --quiet --epochs 1 --data";
    at.ok(&format!("{train} data --out folder.ltv"));
    at.ok(&format!(
        "{train} data/shard-1 data/shard-2 data/shard-3 --out folders.ltv"
    ));
    let bundle = |name| fs::read(at.path(name)).unwrap();
    assert!(bundle("folder.ltv") == bundle("folders.ltv"));
    let said = at.ok("evaluate --quiet --json --model folder.ltv --data data --bootstrap 0");
    let rows = |text: &str| {
        let document: serde_json::Value = serde_json::from_str(text).unwrap();
        document["rows"].as_u64().unwrap()
    };
    let one = |i| {
        let line = format!(
            "evaluate --quiet --json --model folder.ltv --data data/shard-{i} --bootstrap 0"
        );
        rows(&at.ok(&line))
    };
    assert_eq!(rows(&said), (1..=3).map(one).sum::<u64>());
    at.ok("score --quiet --model folder.ltv --data data --out snap");
    assert_eq!(check_snapshot(&at.path("snap")), 3000);
    let said = at.ok("inspect data --verify");
    assert!(said.contains("3,000"), "{said}");
    let error = at.error(&format!("{train} data data/shard-2 --out no.ltv"));
    assert!(
        error.contains("data/shard-2/part-00000.parquet: it holds users"),
        "{error}"
    );
}

#[test]
fn a_killed_training_resumes_to_the_same_bytes() {
    let at = dataset(4000);
    let line = "train --data data --quiet --epochs 3 --batch 128 --checkpoint-steps 3 \
                --validation-steps 7 --patience 1000";
    at.ok(&format!("{line} --out whole.ltv"));
    let part = at.path("part");
    let mut kills = 0;
    for resume in ["", " --resume", " --resume"] {
        let before = fs::read(&part).unwrap_or_default();
        let line = format!("{line} --out killed.ltv --checkpoint part{resume}");
        let mut child = at.ltv(&line).stdout(Stdio::null()).spawn().unwrap();
        // Killed once it has saved something new, wherever it is then.
        while child.try_wait().unwrap().is_none() {
            if fs::read(&part).is_ok_and(|now| now != before) {
                child.kill().unwrap();
                kills += 1;
                break;
            }
            sleep(Duration::from_millis(1));
        }
        child.wait().unwrap();
    }
    assert!(kills > 0, "the training was over before it could be killed");
    at.ok(&format!(
        "{line} --out killed.ltv --checkpoint part --resume --threads 1"
    ));
    let bundle = |n: &str| fs::read(at.path(n)).unwrap();
    assert!(bundle("whole.ltv") == bundle("killed.ltv"));
    // Without --resume the same checkpoint is not looked at.
    at.ok(&format!("{line} --out again.ltv --checkpoint part"));
    assert!(bundle("whole.ltv") == bundle("again.ltv"));
}

#[test]
fn horizons_never_cross_in_any_decoding() {
    let at = dataset(3000);
    at.ok("train --data data --epochs 1 --quiet --mono off --alpha 0 --out model.ltv");
    let decodings = ["expectation", "argmax", "median", "quantile:0.9", "matched"];
    for (i, decoding) in decodings.iter().enumerate() {
        let line = format!("score --quiet --model model.ltv --data data --decoding {decoding}");
        let text = at.ok(&format!("{line} --out snap{i}"));
        assert!(text.contains("users projected ("), "{text}");
        let report: serde_json::Value =
            serde_json::from_str(&at.ok(&format!("inspect snap{i} --json"))).unwrap();
        assert_eq!(report["order_violations"], 0);
        let users = check_snapshot(&at.path(&format!("snap{i}")));
        assert_eq!(report["rows"], users);
    }
    // Without the guarantee, horizons a day apart cross somewhere.
    at.ok(
        "features --preset simulator --events sim/events --users sim/users --quiet \
           --as-of 2024-04-01 --horizons 30,31,32,33 --out near",
    );
    at.ok("train --data near --epochs 1 --quiet --monotone false --out free.ltv");
    at.ok("score --quiet --model free.ltv --data near --out free");
    let free: serde_json::Value = serde_json::from_str(&at.ok("inspect free --json")).unwrap();
    assert!(free["order_violations"].as_u64().unwrap() > 0, "{free}");
}

/// Every number but those of intervals, to 1e-9 of its value.
fn same_numbers(at: &str, a: &serde_json::Value, b: &serde_json::Value) {
    use serde_json::Value::{Array, Number, Object};
    match (a, b) {
        (Object(a), Object(b)) => {
            for (key, value) in b.iter().filter(|(key, _)| *key != "interval") {
                same_numbers(&format!("{at}/{key}"), &a[key], value);
            }
        }
        (Array(a), Array(b)) => {
            assert_eq!(a.len(), b.len(), "{at}");
            let pairs = a.iter().zip(b).enumerate();
            pairs.for_each(|(i, (a, b))| same_numbers(&format!("{at}/{i}"), a, b));
        }
        (Number(a), Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            assert!(
                (a - b).abs() <= 1e-9 * b.abs().max(1e-3),
                "{at}: {a}, not {b}"
            );
        }
        _ => assert_eq!(a, b, "{at}"),
    }
}

#[test]
fn users_beyond_the_memory_are_judged_alike() {
    let at = dataset(9000);
    at.ok("train --data data --epochs 1 --quiet --out model.ltv");
    let line = "evaluate --model model.ltv --data data --part all --by channel --quiet --json";
    let judge = |more: &str| -> serde_json::Value {
        let before = at.names();
        let text = at.ok(&format!("{line} --bootstrap 20 {more}"));
        assert_eq!(at.names(), before);
        let mut document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(document["timing"].take().is_object());
        document
    };
    let (memory, files) = (judge(""), judge("--memory 1 --scratch ."));
    same_numbers("", &files, &memory);
    let drawn = |document: &serde_json::Value| document["results"][0]["overall"]["drawn"].as_u64();
    assert!(memory["rows"].as_u64() > Some(5000) && drawn(&memory).is_none());
    assert!(drawn(&files) > Some(1000), "{:?}", drawn(&files));
    assert_eq!(judge("--memory 1 --threads 1 --scratch ."), files);
    let error =
        at.error("evaluate --model model.ltv --data data --part all --memory 1 --scratch no");
    assert!(
        error.contains("no: ") && error.contains("--scratch"),
        "{error}"
    );
}

/// Some twenty runs of sorted chunks in one megabyte, against arrays.
#[test]
fn many_runs_are_merged_to_the_same_metrics() {
    let at = Workspace::new();
    let bench = |more: &str| -> serde_json::Value {
        let line = "bench metrics --rows 230000 --sets 2 --bootstrap 20 --quiet --json";
        serde_json::from_str(&at.ok(&format!("{line} {more}"))).unwrap()
    };
    let (memory, files) = (bench(""), bench("--memory 1 --scratch ."));
    assert_eq!(
        (&memory["in_memory"], &files["in_memory"]),
        (&true.into(), &false.into())
    );
    assert!(memory["metrics"]["NormGini"].as_f64().unwrap() > 0.3);
    same_numbers("", &files["metrics"], &memory["metrics"]);
}

#[test]
fn a_measured_network_says_what_it_counted() {
    let at = Workspace::new();
    let bench = |what: &str| -> serde_json::Value {
        let line = format!("bench {what} --rows 2000 --windows 3 --seconds 0.05 --quiet --json");
        serde_json::from_str(&at.ok(&line)).unwrap()
    };
    let (train, infer) = (bench("train --threads 2"), bench("infer"));
    let number = |of: &serde_json::Value, name: &str| of[name].as_f64().unwrap();
    for (measured, passes) in [(&train, 3.0), (&infer, 1.0)] {
        let (rows, speed) = ("rows_per_second", number(measured, "gflop_per_second"));
        let operations = number(measured, "multiply_adds_per_row") * 2.0 * passes;
        assert!((number(measured, rows) * operations / 1e9 / speed - 1.0).abs() < 1e-9);
        assert!(number(measured, "slowest") <= number(measured, rows));
        assert!(number(measured, "meeting_seconds") > 0.0);
    }
    let update = number(&train, "update_share");
    assert!(0.0 < update && update < 1.0, "{update}");
    assert!(infer.get("update_share").is_none());
    let (p50, p99) = (
        number(&infer["one_row"], "p50_seconds"),
        number(&infer["one_row"], "p99_seconds"),
    );
    assert!(0.0 < p50 && p50 <= p99, "{p50}, {p99}");
    assert!(train.get("one_row").is_none());
    let text = at.ok("bench train --rows 2000 --windows 1 --seconds 0.01 --quiet");
    assert!(
        text.contains("update") && text.contains("a meeting"),
        "{text}"
    );
}

#[test]
fn users_straight_from_events_get_the_scores_of_their_dataset() {
    let at = dataset(3000);
    at.ok("train --data data --epochs 1 --quiet --out model.ltv");
    at.ok("score --quiet --model model.ltv --data data --out of_dataset");
    // Limits on registration and other horizons are the business of training.
    let features = "features --preset simulator --events sim/events --users sim/users --quiet";
    at.ok(&format!(
        "{features} --as-of 2023-01-01 --registered-from 2022-03-01 --horizons 14 --out old"
    ));
    let fresh = "score --quiet --model model.ltv --events sim/events --users sim/users \
                 --features old --as-of 2024-04-01 --out of_events";
    at.ok(fresh);
    assert!(at.files("of_dataset") == at.files("of_events"));
    let hidden = |name: &PathBuf| name.to_str().unwrap().starts_with('.');
    assert!(!at.everything().keys().any(hidden));
}

#[test]
fn quickstart_goes_the_whole_way() {
    let at = Workspace::new();
    let text = at.ok("quickstart --users 2000 --epochs 1 --quiet --out tour");
    for word in [
        "odmn",
        "trivial sort",
        "train mean",
        "guaranteed",
        "ltv_365",
    ] {
        assert!(text.contains(word), "no {word} in\n{text}");
    }
    assert!(check_snapshot(&at.path("tour/snapshot")) > 1000);
    for line in [
        "inspect tour/simulation",
        "inspect tour/train --verify",
        "inspect tour/later --verify",
        "inspect tour/model.ltv",
        "inspect tour/snapshot",
        "inspect tour/evaluation.json",
        "evaluate --quiet --model tour/model.ltv --data tour/later --by channel --bootstrap 20",
    ] {
        assert!(!at.ok(line).is_empty(), "{line}");
    }
    assert!(
        at.error("quickstart --users 2000 --quiet --out tour")
            .contains("not empty")
    );
}

/// The registration days and active days of users in an event log, counted one event at a time.
fn active_days(path: &Path) -> BTreeMap<i64, BTreeSet<i32>> {
    let mut days: BTreeMap<i64, BTreeSet<i32>> = BTreeMap::new();
    for batch in batches(path) {
        let users = batch.column_by_name("user_id").unwrap();
        let users = arrow::compute::cast(users, &arrow::datatypes::DataType::Int64).unwrap();
        let times = batch.column_by_name("timestamp").unwrap();
        let micros = arrow::datatypes::DataType::Timestamp(TimeUnit::Microsecond, None);
        let times = arrow::compute::cast(times, &micros).unwrap();
        let users = users.as_primitive::<Int64Type>();
        let times = times.as_primitive::<TimestampMicrosecondType>();
        for (user, time) in users.values().iter().zip(times.values()) {
            let day = i32::try_from(time.div_euclid(86_400_000_000)).unwrap();
            days.entry(*user).or_default().insert(day);
        }
    }
    days
}

#[test]
fn labels_of_a_real_log_agree_with_a_slow_count() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let log = root.join("../shared/data/oss_commits.parquet");
    if !log.exists() {
        println!("skipped: {} is not there", log.display());
        return;
    }
    let at = Workspace::new();
    let mut command = at.ltv("features --quiet --out data");
    command.arg("--events").arg(&log);
    command
        .arg("--config")
        .arg(root.join("examples/oss_commits/features.toml"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", support::text(&output.stderr));

    let as_of = 18_809; // 2021-07-01, as in the example
    let days = active_days(&log);
    let expected = days
        .iter()
        .filter(|(_, d)| *d.first().unwrap() < as_of)
        .count();
    let (mut users, mut mature) = (0, [0; 4]);
    for batch in table(&at.path("data")) {
        let ids = batch.column_by_name("user_id").unwrap();
        let ids = ids.as_primitive::<Int64Type>();
        let registered = batch.column_by_name("reg_day").unwrap();
        let registered = registered.as_primitive::<Date32Type>();
        for row in 0..batch.num_rows() {
            let own = &days[&ids.value(row)];
            let start = *own.first().unwrap();
            assert_eq!(registered.value(row), start);
            users += 1;
            for (h, n) in HORIZONS.iter().enumerate() {
                let label = batch.column_by_name(&format!("ltv_{n}")).unwrap();
                let label = label.as_primitive::<Float64Type>();
                let (from, to) = (start + 7, start + 7 + n);
                assert_eq!(label.is_valid(row), to <= as_of);
                if to <= as_of {
                    assert_eq!(label.value(row), own.range(from..to).count() as f64);
                    mature[h] += 1;
                }
            }
        }
    }
    assert_eq!(users, expected);
    // The counts of mature training rows that the data set's protocol states.
    assert_eq!(mature, [61_159, 60_072, 58_611, 54_525]);
}
