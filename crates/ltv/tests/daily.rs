//! The daily loop, day after day, through the real binary: poisoned data, kills, repetitions.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use arrow::{
    array::{ArrayRef, AsArray, BooleanArray, Float64Array},
    compute::filter_record_batch,
    datatypes::{Float64Type, Int64Type, TimestampMicrosecondType},
    record_batch::RecordBatch,
};
use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    thread::sleep,
    time::Instant,
};
use support::Workspace;

/// Minutes as value, so that most users have some; a small network.
const CONFIG: &str = r#"
events = ["sim/events"]
users = ["sim/users"]
store = "store"

[features.events]
value = "duration_min"
[features.dataset]
label = "value"
horizons = [7, 30, 90]
[features.users]
registration = "registration"
profile = ["channel", "device"]
keep = ["cost"]

[train.fit]
epochs = 6
[train.model]
bottom = [16]
tower = 8

[judge]
by = ["channel"]
bootstrap = 50
"#;

/// What is asked of everything, with every limit of the data and model gates open.
const OPEN: &str = "
[gate]
users_lost = inf
labels_changed = inf
fresh_labels = inf
fresh_users = inf
values_psi = inf
worse = inf
calibration = inf
calibration_by = inf
trivial = false
movement_psi = inf
";

fn simulated(users: u32) -> Workspace {
    let at = Workspace::new();
    at.ok(&format!(
        "simulate --users {users} --days 200 --activity-days 60 --drift 4 --quiet --out sim"
    ));
    at.write("daily.toml", CONFIG);
    at
}

/// Runs days and gives the exit code, and each day's summary.
fn days(at: &Workspace, line: &str) -> (Option<i32>, Vec<Value>) {
    let output = at.run(&format!("daily --config daily.toml --json --quiet {line}"));
    let errors = String::from_utf8(output.stderr).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let parse =
        |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}\n{errors}"));
    (output.status.code(), text.lines().map(parse).collect())
}

fn outcomes(days: &[Value]) -> Vec<&str> {
    days.iter()
        .map(|day| day["outcome"].as_str().unwrap())
        .collect()
}

/// Why days ended as they did.
fn told(days: &[Value]) -> String {
    days.iter()
        .map(|day| format!("{} {}\n", day["date"], day["reasons"]))
        .collect()
}

fn read(path: &Path) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    reader.build().unwrap().map(Result::unwrap).collect()
}

fn rewrite(path: &Path, change: impl Fn(&RecordBatch) -> RecordBatch) {
    let batches: Vec<RecordBatch> = read(path).iter().map(change).collect();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batches[0].schema(), None).unwrap();
    batches
        .iter()
        .for_each(|batch| writer.write(batch).unwrap());
    writer.close().unwrap();
}

fn parquet(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn users_of(batch: &RecordBatch) -> Vec<i64> {
    batch
        .column(0)
        .as_primitive::<Int64Type>()
        .values()
        .to_vec()
}

/// The log and the table as an upstream accident would deliver them: every value three times as large, and nobody
/// of one channel.
fn poison(sim: &Path) {
    let mut gone: HashSet<i64> = HashSet::new();
    for path in parquet(&sim.join("users")) {
        for batch in read(&path) {
            let channels = batch
                .column_by_name("channel")
                .unwrap()
                .as_string::<i32>()
                .clone();
            let own = users_of(&batch).into_iter().zip(channels.iter());
            gone.extend(
                own.filter(|(_, c)| *c == Some("fission"))
                    .map(|(user, _)| user),
            );
        }
    }
    assert!(!gone.is_empty());
    let rest = |batch: &RecordBatch| {
        let mask: BooleanArray = users_of(batch)
            .iter()
            .map(|u| Some(!gone.contains(u)))
            .collect();
        filter_record_batch(batch, &mask).unwrap()
    };
    for path in parquet(&sim.join("users")) {
        rewrite(&path, rest);
    }
    for path in parquet(&sim.join("events")) {
        rewrite(&path, |batch| tripled(&rest(batch)));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for path in fs::read_dir(from).unwrap().flatten().map(|e| e.path()) {
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &target),
            false => drop(fs::copy(&path, &target).unwrap()),
        }
    }
}

/// The as-of date of what is live.
fn live(at: &Workspace) -> String {
    let found: Value = serde_json::from_str(&at.ok("get 1 --store store --json")).unwrap();
    found["version"]["as_of"]
        .as_str()
        .or(found["as_of"].as_str())
        .unwrap()
        .to_owned()
}

#[test]
fn a_poisoned_day_is_stopped_and_all_others_are_published() {
    let at = simulated(4000);
    let (code, before) = days(&at, "--backfill 2022-07-01..2022-07-05");
    assert_eq!(
        (code, outcomes(&before)),
        (Some(0), vec!["published"; 5]),
        "{}",
        told(&before)
    );
    assert!(
        before[1]["features"]
            .as_str()
            .unwrap()
            .starts_with("only what has changed")
    );
    assert_eq!(
        before[1]["candidate"]["parent"],
        before[0]["candidate"]["model"]
    );

    let sound = at.path("sound");
    copy(&at.path("sim"), &sound);
    poison(&at.path("sim"));
    let (code, poisoned) = days(&at, "--date 2022-07-06");
    assert_eq!((code, outcomes(&poisoned)), (Some(3), vec!["stopped"]));
    let reasons = poisoned[0]["reasons"].to_string();
    for expected in ["labels_changed", "users_lost", "fission"] {
        assert!(reasons.contains(expected), "{reasons}");
    }
    assert_eq!(live(&at), "2022-07-05");

    // Mended, the same day goes through, and so do those that follow.
    fs::remove_dir_all(at.path("sim")).unwrap();
    copy(&sound, &at.path("sim"));
    let (code, after) = days(&at, "--backfill 2022-07-06..2022-07-08");
    assert_eq!(
        (code, outcomes(&after)),
        (Some(0), vec!["published"; 3]),
        "{}",
        told(&after)
    );
    assert_eq!(
        after[0]["candidate"]["parent"],
        before[4]["candidate"]["model"]
    );
    assert_eq!(live(&at), "2022-07-08");
}

/// With the gate of the data open, the gate of the scores stops what was learned from poisoned labels.
#[test]
fn scores_that_have_moved_too_far_are_not_published() {
    let at = simulated(4000);
    // A model from random weights learns all of it in a day.
    at.write(
        "daily.toml",
        format!("{CONFIG}{OPEN}[refresh]\nmodel_days = 1\n"),
    );
    assert_eq!(days(&at, "--date 2022-07-01").0, Some(0));
    poison(&at.path("sim"));
    let (code, found) = days(&at, "--date 2022-07-02");
    assert_eq!((code, outcomes(&found)), (Some(3), vec!["stopped"]));
    let reasons = found[0]["reasons"].to_string();
    assert!(reasons.contains("gate.movement is"), "{reasons}");
    assert_eq!(live(&at), "2022-07-01");
}

/// A new model whose scores cannot be believed does not serve: everyone is scored by the one before.
#[test]
fn a_model_that_does_not_pass_leaves_the_one_before() {
    let at = simulated(4000);
    let (_, first) = days(&at, "--date 2022-07-01");
    assert_eq!(outcomes(&first), ["published"]);
    // A model from random weights and of another seed says something else of everybody.
    let strict = "[refresh]\nmodel_days = 1\n[gate]\nmovement = 0.02\nmovement_psi = inf\n";
    at.write("daily.toml", format!("{CONFIG}{strict}"));
    let (code, second) = days(&at, "--date 2022-07-02 --seed 2");
    assert_eq!(
        (code, outcomes(&second)),
        (Some(3), vec!["kept"]),
        "{}",
        told(&second)
    );
    assert_eq!(second[0]["model"], first[0]["model"]);
    assert_ne!(second[0]["candidate"]["model"], first[0]["model"]);
    assert!(told(&second).contains("gate.movement is"));
    assert_eq!(live(&at), "2022-07-02");
    let models = at.ok("models list --work ltv-daily");
    assert!(models.contains("serves"), "{models}");
    // Asked for, it does pass.
    let (code, third) = days(&at, "--date 2022-07-03 --seed 2 --accept scores");
    assert_eq!((code, outcomes(&third)), (Some(0), vec!["published"]));
    assert!(
        third[0]["accepted"]
            .to_string()
            .contains("gate.movement is")
    );
    assert_eq!(third[0]["model"], third[0]["candidate"]["model"]);
}

/// One file of events for each day.
fn by_day(at: &Workspace) -> impl Fn(&str) -> PathBuf {
    let events = at.path("sim/events");
    let whole: Vec<RecordBatch> = parquet(&events)
        .iter()
        .flat_map(|path| read(path))
        .collect();
    fs::remove_dir_all(&events).unwrap();
    fs::create_dir_all(&events).unwrap();
    let mut days: BTreeMap<i64, Vec<RecordBatch>> = BTreeMap::new();
    for batch in &whole {
        let times = batch.column(1).as_primitive::<TimestampMicrosecondType>();
        let own = |time: &i64| time.div_euclid(86_400_000_000);
        let found: HashSet<i64> = times.values().iter().map(own).collect();
        for day in found {
            let mask: BooleanArray = times.values().iter().map(|t| Some(own(t) == day)).collect();
            days.entry(day)
                .or_default()
                .push(filter_record_batch(batch, &mask).unwrap());
        }
    }
    let name = move |day: &str| events.join(format!("{day}.parquet"));
    for (day, batches) in days {
        let path = name(&ltv_core::Day(day as i32).to_string());
        let mut writer =
            ArrowWriter::try_new(File::create(path).unwrap(), batches[0].schema(), None).unwrap();
        batches
            .iter()
            .for_each(|batch| writer.write(batch).unwrap());
        writer.close().unwrap();
    }
    name
}

fn tripled(batch: &RecordBatch) -> RecordBatch {
    let index = batch.schema().index_of("duration_min").unwrap();
    let minutes = batch.column(index).as_primitive::<Float64Type>();
    let tripled: Float64Array = minutes.iter().map(|x| x.map(|x| 3.0 * x)).collect();
    let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
    columns[index] = Arc::new(tripled);
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

/// Only what came last night is wrong; a seventh of the shortest label.
#[test]
fn a_day_of_the_log_that_is_wrong_is_stopped() {
    let at = simulated(4000);
    let file = by_day(&at);
    assert_eq!(days(&at, "--backfill 2022-07-01..2022-07-02").0, Some(0));
    let (path, kept) = (file("2022-07-02"), at.path("kept.parquet"));
    fs::copy(&path, &kept).unwrap();
    rewrite(&path, tripled);
    let (code, found) = days(&at, "--date 2022-07-03");
    assert_eq!((code, outcomes(&found)), (Some(3), vec!["stopped"]));
    assert!(
        told(&found).contains("gate.day_value is"),
        "{}",
        told(&found)
    );
    fs::remove_file(&path).unwrap();
    let (code, found) = days(&at, "--date 2022-07-03");
    assert_eq!((code, outcomes(&found)), (Some(3), vec!["stopped"]));
    assert!(
        told(&found).contains("gate.day_events is"),
        "{}",
        told(&found)
    );
    // A real change is accepted once, and is then what days are compared with.
    let (code, found) = days(&at, "--date 2022-07-03 --accept data");
    assert_eq!((code, outcomes(&found)), (Some(0), vec!["published"]));
    assert!(found[0]["accepted"].to_string().contains("day_events"));
    let (code, found) = days(&at, "--date 2022-07-04");
    assert_eq!(
        (code, outcomes(&found)),
        (Some(0), vec!["published"]),
        "{}",
        told(&found)
    );
    // What was wanting has come after all.
    fs::copy(&kept, &path).unwrap();
    let (code, found) = days(&at, "--date 2022-07-05");
    assert_eq!(
        (code, outcomes(&found)),
        (Some(0), vec!["published"]),
        "{}",
        told(&found)
    );
    let how = found[0]["features"].as_str().unwrap();
    assert!(how.contains("what came late"), "{how}");
}

#[test]
fn options_may_change_from_one_day_to_the_next() {
    let at = simulated(4000);
    at.write("daily.toml", format!("{CONFIG}{OPEN}"));
    assert_eq!(days(&at, "--date 2022-07-01").0, Some(0));
    // Limits that are not there can be read again.
    let plan = at.ok("daily --config daily.toml --date 2022-07-01 --dry-run");
    assert!(plan.contains("is done, published"), "{plan}");
    assert_eq!(days(&at, "--date 2022-07-01 --again").0, Some(0));
    // The longest horizon is older than the product: it is learned once there are labels.
    let horizons = |list: &str| CONFIG.replace("horizons = [7, 30, 90]", list);
    at.write("daily.toml", horizons("horizons = [7, 30, 365]"));
    let (code, found) = days(&at, "--date 2022-07-02");
    assert_eq!(
        (code, outcomes(&found)),
        (Some(0), vec!["published"]),
        "{}",
        told(&found)
    );
    assert_eq!(found[0]["horizons"].to_string(), "[7,30]");
    assert!(found[0]["checks"].to_string().contains("not compared"));
    at.write("daily.toml", horizons("horizons = [7, 30, 60, 90]"));
    let (code, found) = days(&at, "--date 2022-07-03");
    assert_eq!(
        (code, outcomes(&found)),
        (Some(0), vec!["published"]),
        "{}",
        told(&found)
    );
    assert_eq!(found[0]["horizons"].to_string(), "[7,30,60,90]");
    assert!(
        found[0]["candidate"]["how"]
            .as_str()
            .unwrap()
            .contains("from the start")
    );
}

/// Who is forgotten is gone from the dataset that the next day is made from, and that is no reason to stop.
#[test]
fn users_may_be_forgotten_between_two_days() {
    let at = simulated(4000);
    assert_eq!(days(&at, "--date 2022-07-01").0, Some(0));
    at.ok("forget 1 2 3 --data ltv-daily/datasets/2022-07-01 --store store");
    let (code, found) = days(&at, "--date 2022-07-02");
    assert_eq!(
        (code, outcomes(&found)),
        (Some(0), vec!["published"]),
        "{}",
        told(&found)
    );
}

#[test]
fn what_is_damaged_is_made_again() {
    let at = simulated(4000);
    assert_eq!(days(&at, "--date 2022-07-01").0, Some(0));
    let cut = |path: PathBuf| {
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    };
    // Features and training do without what was there; what cannot be compared is said, and has to be accepted.
    cut(at.path("ltv-daily/datasets/2022-07-01/part-00000.parquet"));
    parquet(&at.path("ltv-daily/models"))
        .into_iter()
        .for_each(cut);
    let (code, found) = days(&at, "--date 2022-07-02");
    assert_eq!((code, outcomes(&found)), (Some(3), vec!["stopped"]));
    assert!(
        told(&found).contains("no dataset of an earlier day"),
        "{}",
        told(&found)
    );
    let (code, found) = days(&at, "--date 2022-07-02 --accept data,scores");
    assert_eq!(
        (code, outcomes(&found)),
        (Some(0), vec!["published"]),
        "{}",
        told(&found)
    );
    let how = found[0]["candidate"]["how"].as_str().unwrap();
    assert!(how.contains("because of the model before"), "{how}");
}

/// What a day makes, but for times.
fn made(at: &Workspace, work: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let folders = ["datasets", "models", "evaluations", "snapshots"];
    let files = folders.iter().flat_map(|folder| {
        let files = at.files(&format!("{work}/{folder}")).into_iter();
        files.map(|(path, bytes)| (Path::new(folder).join(path), bytes))
    });
    files.collect()
}

const STAGES: [&str; 9] = [
    "data", "check", "train", "judge", "gate", "score", "movement", "publish", "report",
];

/// Two loops on one log, each with a first day.
fn two_loops() -> Workspace {
    let at = simulated(3000);
    for work in ["calm", "killed"] {
        let line = format!("--date 2022-07-01 --work {work} --store {work}-store");
        assert_eq!(days(&at, &line).0, Some(0));
    }
    at
}

#[test]
fn a_run_that_is_killed_at_any_stage_goes_on_to_the_same_bytes() {
    let at = two_loops();
    let line = "--date 2022-07-02 --work calm --store calm-store";
    assert_eq!(days(&at, line).0, Some(0));
    let line = "daily --config daily.toml --date 2022-07-02 --work killed --store killed-store";
    for stage in STAGES {
        let mut child = at
            .ltv(line)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let begins = format!("2022-07-02 {stage}:");
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let seen = lines
            .map_while(Result::ok)
            .any(|line| line.starts_with(&begins));
        assert!(seen, "stage {stage} did not begin again");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let (code, found) = days(&at, "--date 2022-07-02 --work killed --store killed-store");
    assert_eq!((code, outcomes(&found)), (Some(0), vec!["published"]));
    let (calm, killed) = (made(&at, "calm"), made(&at, "killed"));
    assert_eq!(
        calm.keys().collect::<Vec<_>>(),
        killed.keys().collect::<Vec<_>>()
    );
    assert!(calm == killed, "other bytes");
    assert_eq!(
        days(&at, "--date 2022-07-02 --work killed --store killed-store").1[0],
        found[0]
    );
}

/// Also between an artefact and its line in the ledger, wherever that is.
#[test]
fn a_run_that_is_killed_at_any_time_goes_on_to_the_same_bytes() {
    const KILLS: u32 = 10;
    let at = two_loops();
    let began = Instant::now();
    let line = "--date 2022-07-02 --work calm --store calm-store";
    assert_eq!(days(&at, line).0, Some(0));
    let whole = began.elapsed();
    let line = "daily --config daily.toml --date 2022-07-02 --work killed --store killed-store";
    for turn in 0..KILLS {
        let mut child = at
            .ltv(line)
            .args(["--quiet", "--again"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        sleep(whole * (turn + 1) / (KILLS + 1));
        // It may have ended by itself.
        let _ = child.kill();
        child.wait().unwrap();
    }
    assert_eq!(
        days(&at, "--date 2022-07-02 --work killed --store killed-store").0,
        Some(0)
    );
    assert!(made(&at, "calm") == made(&at, "killed"), "other bytes");
}

#[test]
fn days_are_done_once_and_in_order() {
    let at = simulated(3000);
    let plan = at.ok("daily --config daily.toml --date 2022-07-02 --dry-run");
    assert!(
        plan.contains("the first time") && !at.path("ltv-daily").exists(),
        "{plan}"
    );
    let (_, first) = days(&at, "--date 2022-07-02");
    assert_eq!(days(&at, "--date 2022-07-02").1, first);
    let (_, both) = days(&at, "--backfill 2022-07-02..2022-07-03");
    assert_eq!(
        (&both[0], outcomes(&both)),
        (&first[0], vec!["published"; 2])
    );
    assert_eq!(days(&at, "--backfill 2022-07-02..2022-07-03").1, both);
    let plan = at.ok("daily --config daily.toml --date 2022-07-02 --dry-run");
    assert!(
        plan.contains("nothing: 2022-07-02 is done, published"),
        "{plan}"
    );
    let plan = at.ok("daily --config daily.toml --date 2022-07-04 --dry-run");
    assert!(
        plan.contains("only what has changed since 2022-07-03"),
        "{plan}"
    );
    assert!(
        plan.contains(&format!("on from {}", both[1]["model"].as_str().unwrap())),
        "{plan}"
    );
    let error = at.error("daily --config daily.toml --date 2022-07-01 --quiet");
    assert!(error.contains("2022-07-03 is published already"), "{error}");
    let (_, again) = days(&at, "--date 2022-07-03 --again");
    assert_eq!(
        again[0]["model"], both[1]["model"],
        "the same data make the same model"
    );
    let report = fs::read_to_string(at.path("ltv-daily/reports/2022-07-03.html")).unwrap();
    assert!(report.contains("All gates passed") && report.contains("channel"));
}

#[test]
fn models_are_listed_promoted_and_rolled_back() {
    let at = simulated(3000);
    let (_, found) = days(&at, "--backfill 2022-07-01..2022-07-02");
    let id = |day: usize| found[day]["model"].as_str().unwrap().to_owned();
    let serving = || -> String {
        let all: Value = serde_json::from_str(&at.ok("models list --json")).unwrap();
        let all = all.as_array().unwrap();
        let serves = all.iter().find(|model| model["serves"] == true).unwrap();
        serves["id"].as_str().unwrap().to_owned()
    };
    assert_eq!(serving(), id(1));
    let shown = at.ok(&format!("models show {}", &id(1)[..6]));
    assert!(
        shown.contains("comes from") && shown.contains(&id(0)),
        "{shown}"
    );
    at.ok("models rollback");
    assert_eq!(serving(), id(0));
    at.ok(&format!("models promote {}", id(1)));
    assert_eq!(serving(), id(1));
    at.ok("models rollback");
    let (_, next) = days(&at, "--date 2022-07-03");
    assert_eq!(
        next[0]["candidate"]["parent"].as_str(),
        Some(id(0).as_str())
    );
    for (line, expected) in [
        ("models show zz", "is not known here"),
        ("models promote", "say which model"),
        ("models list x", "no id is wanted"),
        ("models list --work nowhere", "has no ledger"),
    ] {
        let error = at.error(line);
        assert!(error.contains(expected), "{error}");
    }
    fs::remove_file(at.path(&format!("ltv-daily/models/{}.ltv", id(1)))).unwrap();
    let error = at.error(&format!("models promote {}", id(1)));
    assert!(error.contains("is gone"), "{error}");
}

#[test]
fn what_is_wrong_is_said_before_anything_is_done() {
    let at = simulated(300);
    let with = |more: &str| {
        at.write("other.toml", format!("{CONFIG}\n{more}"));
        at.error("daily --config other.toml --date 2022-07-01 --quiet")
    };
    assert!(with("[keep]\nsnapshots = 1").contains("keep.snapshots"));
    assert!(with("[gate]\nmetrics = [\"Bias\"]").contains("gate.metrics"));
    assert!(with("[train.split]\ntest = 0.0").contains("train.split.test"));
    let error = at.error("daily --quiet");
    assert!(error.contains("--config: give a file"), "{error}");
    at.write(
        "other.toml",
        CONFIG.replace(
            "label = \"value\"",
            "label = \"value\"\nas_of = \"2022-01-01\"",
        ),
    );
    let error = at.error("daily --config other.toml --quiet");
    assert!(
        error.contains("features.dataset.as_of: is the date of the run"),
        "{error}"
    );
    let error = at.error("daily --config daily.toml --events nowhere --date 2022-07-01 --quiet");
    assert!(error.contains("nowhere"), "{error}");
    let error = at.error("daily --config daily.toml --date 9999-01-01 --quiet");
    assert!(error.contains("is in the future"), "{error}");
    let error = at.error("daily --config daily.toml --backfill 2022-07-02..2022-07-01 --quiet");
    assert!(error.contains("is before"), "{error}");
    assert!(!at.path("ltv-daily/datasets").exists());
    at.write(
        "ltv-daily/ledger.db",
        "this is no database at all, whatever it is".repeat(30),
    );
    let error = at.error("daily --config daily.toml --date 2022-07-01 --quiet");
    assert!(error.contains("ledger.db"), "{error}");
}
