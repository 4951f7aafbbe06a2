//! Every mistake of a user ends in one error that names the file, the column and the row or value
//! and says what to do, in exit code 2, and leaves no new file behind. The texts are snapshots: read
//! them as the person who gets them.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use arrow::array::ArrayRef;
use insta::assert_snapshot;
use std::{fmt::Write as _, fs, sync::OnceLock};
use support::{Workspace, dates, floats, ints, words};

/// Errors of one group, in the order of the cases.
struct Cases {
    at: Workspace,
    log: String,
    count: usize,
}

impl Cases {
    fn new() -> Self {
        Self {
            at: Workspace::new(),
            log: String::new(),
            count: 0,
        }
    }

    /// Runs a line that must fail, and that must not leave a file behind.
    fn case(&mut self, what: &str, line: &str) {
        let before = self.at.names();
        let error = self.at.error(line);
        assert_eq!(before, self.at.names(), "{what} left files behind");
        assert!(!error.contains("panicked"), "{what}: {error}");
        writeln!(self.log, "## {what}\n$ ltv {line}\n{error}").unwrap();
        self.count += 1;
    }
}

/// Ten users with three days of activity each, from 2023-01-01 on.
fn events(user: ArrayRef, time: ArrayRef, amount: ArrayRef) -> [(&'static str, ArrayRef); 3] {
    [("user_id", user), ("timestamp", time), ("amount", amount)]
}

const FIRST: i32 = 19_358;

fn good_events() -> [(&'static str, ArrayRef); 3] {
    let n = 30;
    events(
        ints((0..n).map(|i| i64::from(i / 3))),
        dates((0..n).map(|i| FIRST + i / 3 + 4 * (i % 3))),
        floats((0..n).map(|i| f64::from(i % 7))),
    )
}

const BASE: &str = "features --label value --event-value amount --as-of 2023-03-01 --horizons 7,14 \
                    --quiet --out data --events";

fn run_base(cases: &mut Cases, what: &str, rest: &str) {
    let base = BASE.split_whitespace().collect::<Vec<_>>().join(" ");
    cases.case(what, &format!("{base} {rest}"));
}

#[test]
fn event_files() {
    let mut cases = Cases::new();
    cases.at.parquet("good.parquet", &good_events());
    let whole = fs::read(cases.at.path("good.parquet")).unwrap();
    cases.at.write("empty.parquet", "");
    cases.at.write("cut.parquet", &whole[..whole.len() / 2]);
    cases
        .at
        .write("table.csv", "user_id,timestamp\n1,2023-01-01\n");
    cases.at.write("notes/readme.txt", "no table here");
    for (what, path) in [
        ("events that are not there", "nowhere.parquet"),
        ("a folder without tables", "notes"),
        ("an empty file", "empty.parquet"),
        ("a truncated file", "cut.parquet"),
        ("a CSV file", "table.csv"),
        ("one file of two is truncated", "good.parquet cut.parquet"),
    ] {
        run_base(&mut cases, what, path);
    }
    assert_snapshot!(cases.log);
}

#[test]
fn event_columns() {
    let mut cases = Cases::new();
    let at = &cases.at;
    at.parquet("good.parquet", &good_events());
    at.parquet("no_time.parquet", &good_events()[..1]);
    let three = || ints([1, 2, 3]);
    let day = || dates([FIRST, FIRST, FIRST + 1]);
    let one = || floats([1.0, 2.0, 3.0]);
    at.parquet("user_float.parquet", &events(one(), day(), one()));
    at.parquet(
        "time_text.parquet",
        &events(three(), words(["a", "b", "c"]), one()),
    );
    at.parquet(
        "amount_text.parquet",
        &events(three(), day(), words(["1", "2", "3"])),
    );
    at.parquet(
        "user_text.parquet",
        &events(words(["a", "b", "c"]), day(), one()),
    );
    at.parquet(
        "null_user.parquet",
        &events(ints([Some(1), None, Some(3)]), day(), one()),
    );
    let holes = dates([Some(FIRST), Some(FIRST), None]);
    at.parquet("null_time.parquet", &events(three(), holes, one()));
    at.parquet(
        "nan.parquet",
        &events(three(), day(), floats([1.0, f64::NAN, 3.0])),
    );
    let infinite = floats([f64::INFINITY, 2.0, 3.0]);
    at.parquet("infinite.parquet", &events(three(), day(), infinite));
    let none: [i64; 0] = [];
    let nothing = events(ints(none), dates([0; 0]), floats([0.0; 0]));
    at.parquet("no_rows.parquet", &nothing);
    for (what, rest) in [
        ("no time column", "no_time.parquet"),
        (
            "another name of the user column",
            "good.parquet --event-user customer",
        ),
        (
            "another name of the value column",
            "good.parquet --event-value price",
        ),
        ("user ids are floats", "user_float.parquet"),
        ("times are text", "time_text.parquet"),
        ("values are text", "amount_text.parquet"),
        ("a null user", "null_user.parquet"),
        ("a null time", "null_time.parquet"),
        ("a value that is NaN", "nan.parquet"),
        ("a value that is infinite", "infinite.parquet"),
        (
            "two files of different types",
            "good.parquet user_text.parquet",
        ),
        (
            "a mean of a column that is not there",
            "good.parquet --mean discount",
        ),
        ("a log without a row", "no_rows.parquet"),
        (
            "nobody registered before the as-of date",
            "good.parquet --as-of 2022-01-01",
        ),
    ] {
        // A flag given twice is an error of its own, so the later value replaces the earlier one.
        let mut base = BASE.replace("                    ", "");
        for flag in ["--event-value", "--as-of"] {
            if rest.contains(flag) {
                let mut parts: Vec<_> = base.split_whitespace().collect();
                let at = parts.iter().position(|p| *p == flag).unwrap();
                parts.drain(at..at + 2);
                base = parts.join(" ");
            }
        }
        cases.case(what, &format!("{base} {rest}"));
    }
    assert_snapshot!(cases.log);
}

#[test]
fn user_tables() {
    let mut cases = Cases::new();
    let at = &cases.at;
    at.parquet("e.parquet", &good_events());
    let table = |user, day| [("user_id", user), ("registered", day)];
    let day = || dates([FIRST, FIRST, FIRST + 1]);
    at.parquet("twice.parquet", &table(ints([1, 2, 2]), day()));
    at.parquet(
        "null_user.parquet",
        &table(ints([Some(1), None, Some(3)]), day()),
    );
    at.parquet("text_user.parquet", &table(words(["a", "b", "c"]), day()));
    at.parquet(
        "text_day.parquet",
        &table(ints([1, 2, 3]), words(["x", "y", "z"])),
    );
    at.parquet("good.parquet", &table(ints([1, 2, 3]), day()));
    at.write("holidays.txt", "2023-01-01\nfirst of May\n");
    for (what, rest) in [
        ("a user twice", "--users twice.parquet"),
        ("a null user", "--users null_user.parquet"),
        ("users of another type", "--users text_user.parquet"),
        (
            "registration is text",
            "--users text_day.parquet --registration registered",
        ),
        (
            "no such registration column",
            "--users good.parquet --registration signup",
        ),
        (
            "no such profile column",
            "--users good.parquet --profile channel",
        ),
        ("a profile without a user table", "--profile channel"),
        (
            "registration without a user table",
            "--registration registered",
        ),
        (
            "a column with a reserved name",
            "--users good.parquet --keep user_id",
        ),
        (
            "a holiday that is not a date",
            "--holiday-file holidays.txt",
        ),
        (
            "a holiday file that is not there",
            "--holiday-file nowhere.txt",
        ),
    ] {
        run_base(&mut cases, what, &format!("e.parquet {rest}"));
    }
    assert_snapshot!(cases.log);
}

#[test]
fn feature_options() {
    let mut cases = Cases::new();
    let at = &cases.at;
    at.parquet("e.parquet", &good_events());
    at.write(
        "unknown.toml",
        "[dataset]\nas_of = \"2023-03-01\"\nlable = \"value\"\n",
    );
    at.write(
        "type.toml",
        "[dataset]\nas_of = \"2023-03-01\"\nlabel = \"value\"\nwindow_days = \"7\"\n",
    );
    at.write("broken.toml", "[dataset\n");
    at.write(
        "date.toml",
        "[dataset]\nas_of = \"01.03.2023\"\nlabel = \"value\"\n",
    );
    at.write("full/notes.txt", "something of mine");
    at.write("file", "not a folder");
    let days = "features --events e.parquet --quiet --label active_days --out data";
    let dated = &format!("{days} --as-of 2023-03-01");
    for (what, line) in [
        ("no as-of date", days.to_string()),
        (
            "no label",
            "features --events e.parquet --out data --as-of 2023-03-01".into(),
        ),
        ("no events", "features --out data".into()),
        (
            "a label of value without a column",
            dated.replace("active_days", "value"),
        ),
        (
            "a date that is not one",
            format!("{days} --as-of 2023-02-30"),
        ),
        (
            "horizons that do not grow",
            format!("{dated} --horizons 90,30"),
        ),
        ("a horizon of no days", format!("{dated} --horizons 0,30")),
        (
            "a horizon that is not a number",
            format!("{dated} --horizons month"),
        ),
        ("a window of no days", format!("{dated} --window-days 0")),
        (
            "days of registration the wrong way round",
            format!("{dated} --registered-from 2023-02-01 --registered-before 2023-01-01"),
        ),
        (
            "a sequence without a measure",
            format!("{dated} --sequence spent"),
        ),
        (
            "a sequence twice",
            format!("{dated} --sequence a=count --sequence a=count"),
        ),
        (
            "a sequence with an impossible name",
            format!("{dated} --sequence a'b=count"),
        ),
        (
            "a key that does not exist",
            "features --events e.parquet --out data --config unknown.toml".into(),
        ),
        (
            "a key of the wrong type",
            "features --events e.parquet --out data --config type.toml".into(),
        ),
        (
            "a file that is not TOML",
            "features --events e.parquet --out data --config broken.toml".into(),
        ),
        (
            "a date of the wrong form",
            "features --events e.parquet --out data --config date.toml".into(),
        ),
        (
            "a configuration that is not there",
            "features --events e.parquet --out data --config nowhere.toml".into(),
        ),
        (
            "an output folder with other things",
            dated.replace("--out data", "--out full"),
        ),
        (
            "an output that is a file",
            dated.replace("--out data", "--out file"),
        ),
        ("no threads", format!("{dated} --threads 0")),
        (
            "a flag that does not exist",
            format!("{dated} --horizon 30"),
        ),
        ("a command that does not exist", "predict".into()),
    ] {
        cases.case(what, &line);
    }
    assert_snapshot!(cases.log);
}

/// A simulation, a dataset of it and a model, made once.
fn trained() -> &'static Workspace {
    static MADE: OnceLock<Workspace> = OnceLock::new();
    MADE.get_or_init(|| {
        let at = Workspace::new();
        at.ok("simulate --users 3000 --quiet --out sim");
        at.ok(
            "features --preset simulator --events sim/events --users sim/users --quiet \
               --as-of 2024-01-01 --partitions 1 --out data",
        );
        at.ok("train --data data --out model.ltv --epochs 1 --quiet");
        at
    })
}

/// The trained things, copied into the workspace of the cases.
fn with_trained() -> Cases {
    let cases = Cases::new();
    for (name, bytes) in trained().files("") {
        cases.at.write(name.to_str().unwrap(), bytes);
    }
    cases
}

/// Changes a file of the workspace.
fn edit(cases: &Cases, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(cases.at.path(name)).unwrap();
    change(&mut bytes);
    cases.at.write(name, bytes);
}

fn replace(cases: &Cases, name: &str, from: &str, to: &str) {
    edit(cases, name, |bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        *bytes = text.replacen(from, to, 1).into_bytes();
    });
}

#[test]
fn training() {
    let mut cases = with_trained();
    let at = &cases.at;
    at.write("empty/notes.txt", "nothing");
    at.write("unknown.toml", "[fit]\nlearning_rate = 0.1\n");
    at.write("part", "not a checkpoint");
    for (what, rest) in [
        ("a dataset that is not there", "--data nowhere"),
        ("a folder that is no dataset", "--data empty"),
        ("events in place of a dataset", "--data sim/events"),
        ("a simulation in place of a dataset", "--data sim"),
        ("a learning rate of 0", "--data data --rate 0"),
        (
            "a learning rate that is not a number",
            "--data data --rate fast",
        ),
        ("a validation share of 1", "--data data --validation 1"),
        ("a test share below 0", "--data data --test=-0.1"),
        ("cut points that do not grow", "--data data --cut 10,5"),
        ("cut points that are words", "--data data --cut low,high"),
        ("too few buckets", "--data data --buckets 1"),
        ("a batch of no rows", "--data data --batch 0"),
        ("an unknown chain", "--data data --mono tight"),
        (
            "a key that does not exist",
            "--data data --config unknown.toml",
        ),
        (
            "days that admit nobody",
            "--data data --registered-before 2020-01-01",
        ),
        (
            "a file that is no checkpoint",
            "--data data --checkpoint part --resume",
        ),
        ("resume without a checkpoint", "--data data --resume"),
        (
            "no labels for the longest horizon",
            "--data data --cut 100000 --epochs 1",
        ),
    ] {
        cases.case(what, &format!("train --quiet --out new.ltv {rest}"));
    }
    cases.case(
        "an output that is a folder",
        "train --quiet --data data --out sim",
    );
    cases.case(
        "an output in no folder",
        "train --quiet --data data --out no/such/model.ltv",
    );
    assert_snapshot!(cases.log);
}

#[test]
fn damaged_datasets() {
    let mut cases = with_trained();
    let train = "train --quiet --data data --out new.ltv";
    let manifest = fs::read(cases.at.path("data/manifest.json")).unwrap();
    let part = cases.at.names();
    let part = part
        .iter()
        .find(|n| n.starts_with("data") && n.extension().is_some_and(|e| e == "parquet"));
    let part = part.unwrap().to_str().unwrap().to_string();
    let table = fs::read(cases.at.path(&part)).unwrap();

    edit(&cases, "data/manifest.json", |m| m.truncate(200));
    cases.case("a manifest cut off", train);
    cases.at.write("data/manifest.json", &manifest);
    replace(
        &cases,
        "data/manifest.json",
        "\"version\": 1",
        "\"version\": 9",
    );
    cases.case("a dataset of a later version", train);
    cases.at.write("data/manifest.json", &manifest);
    replace(&cases, "data/manifest.json", "cnt_d0", "cnt_d9");
    cases.case("a manifest that names a column which is not there", train);
    cases.at.write("data/manifest.json", &manifest);

    cases.at.write(&part, &table[..table.len() / 3]);
    cases.case("a data file cut off", train);
    cases.case(
        "a data file cut off, scored",
        "score --quiet --model model.ltv --data data --out snap",
    );
    fs::remove_file(cases.at.path(&part)).unwrap();
    cases.case("a data file that is gone", train);
    cases.at.write(&part, &table);
    edit(&cases, &part, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
    });
    cases.case("a data file with one byte changed", "inspect data --verify");
    assert_snapshot!(cases.log);
}

#[test]
fn models_and_scores() {
    let mut cases = with_trained();
    let at = &cases.at;
    let model = fs::read(at.path("model.ltv")).unwrap();
    at.write("cut.ltv", &model[..model.len() - 100]);
    at.write("short.ltv", &model[..5]);
    let mut flipped = model;
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    at.write("flipped.ltv", flipped);
    at.write(
        "words.ltv",
        "this is not a model at all, only some words in a file",
    );
    at.write("full/notes.txt", "something of mine");
    let simulated = "features --preset simulator --events sim/events --users sim/users --quiet \
                     --as-of 2024-01-01 --partitions 1";
    at.ok(&format!("{simulated} --window-days 5 --out window"));
    at.ok(&format!("{simulated} --horizons 30,60 --out horizons"));
    at.ok(
        "features --events sim/events --label active_days --as-of 2024-01-01 --quiet --out plain",
    );
    at.ok(&format!(
        "{simulated} --registered-from 2023-12-20 --out young"
    ));
    at.ok("features --events sim/events --event-value value --label value --as-of 2024-01-01 --quiet --out money");
    let mut both = |what: &str, model: &str, data: &str| {
        for (command, out) in [("evaluate", ""), ("score", " --out snap")] {
            let line = format!("{command} --quiet --model {model} --data {data}{out}");
            cases.case(&format!("{what}, {command}"), &line);
        }
    };
    both("a model that is not there", "nowhere.ltv", "data");
    both("a model cut off", "cut.ltv", "data");
    both("a model of five bytes", "short.ltv", "data");
    both("a model with one bit changed", "flipped.ltv", "data");
    both("a file that is no model", "words.ltv", "data");
    both("a dataset that is no model", "data", "data");
    both(
        "a dataset without features of the model",
        "model.ltv",
        "plain",
    );
    both("a dataset of another window", "model.ltv", "window");
    for (what, line) in [
        (
            "horizons without labels",
            "evaluate --quiet --model model.ltv --data horizons",
        ),
        (
            "users too young for any label",
            "evaluate --quiet --model model.ltv --data young",
        ),
        (
            "a label of another kind",
            "evaluate --quiet --model model.ltv --data money",
        ),
        (
            "an unknown column to report by",
            "evaluate --quiet --model model.ltv --data data --by city",
        ),
        (
            "too few resamples",
            "evaluate --quiet --model model.ltv --data data --bootstrap 5",
        ),
        (
            "an unknown decoding",
            "evaluate --quiet --model model.ltv --data data --decoding mode",
        ),
        (
            "a quantile above 1",
            "score --quiet --model model.ltv --data data --out snap --decoding quantile:1.5",
        ),
        (
            "a batch of no rows",
            "score --quiet --model model.ltv --data data --out snap --batch 0",
        ),
        (
            "an output folder with other things",
            "score --quiet --model model.ltv --data data --out full",
        ),
        (
            "an output that is a dataset",
            "score --quiet --model model.ltv --data data --out data",
        ),
        ("something that is not there", "inspect nowhere"),
        ("a folder that is no artefact", "inspect full"),
        ("a file that is nothing we know", "inspect words.ltv"),
        (
            "too few users for the quickstart",
            "quickstart --quiet --users 100 --out tour",
        ),
        (
            "a quickstart into a full folder",
            "quickstart --quiet --out full",
        ),
        (
            "a simulation of nobody",
            "simulate --quiet --users 0 --out sim2",
        ),
        (
            "a simulation into a full folder",
            "simulate --quiet --out full",
        ),
        ("a bench of no rows", "bench train --quiet --batch 0"),
        ("an unknown bench", "bench everything"),
        ("an unknown shell", "completions cmd"),
    ] {
        cases.case(what, line);
    }
    assert_snapshot!(cases.log);
}

/// A limit on the size of files stands in for a full disk: both refuse a write in its middle.
#[test]
#[cfg(target_os = "linux")]
fn full_disk() {
    let mut cases = with_trained();
    for (what, line) in [
        ("simulate", "simulate --quiet --users 30000 --out big"),
        (
            "features",
            "features --preset simulator --events sim/events --users sim/users --quiet \
                      --as-of 2024-01-01 --partitions 1 --out new",
        ),
        (
            "train",
            "train --quiet --data data --epochs 1 --out new.ltv",
        ),
        (
            "score",
            "score --quiet --model model.ltv --data data --out snap",
        ),
    ] {
        let script = format!("trap '' XFSZ; ulimit -f 16; exec \"$0\" {line}");
        let output = std::process::Command::new("bash")
            .current_dir(cases.at.path(""))
            .args(["-c", &script, env!("CARGO_BIN_EXE_ltv")])
            .output()
            .unwrap();
        let error = support::text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{what}: {error}");
        let left: Vec<_> = cases
            .at
            .names()
            .into_iter()
            .filter(|n| {
                let name = n.to_str().unwrap();
                (name.starts_with("new") || name.starts_with("snap"))
                    && name.ends_with("manifest.json")
                    || name == "new.ltv"
            })
            .collect();
        assert!(left.is_empty(), "{what} left {left:?}");
        writeln!(cases.log, "## {what}\n{error}").unwrap();
    }
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\.tmp[0-9A-Za-z]+", ".tmp");
    settings.bind(|| assert_snapshot!(cases.log));
}
