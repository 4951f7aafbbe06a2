//! The statement that `ltv features --print-sql` prints, run by DuckDB where it is installed, makes
//! the dataset that `ltv features` writes: the same rows, columns, types and order, and the same
//! value in every cell.
#![allow(clippy::unwrap_used, reason = "tests")]

mod logs;
#[path = "../support/mod.rs"]
mod support;

use serde_json::{Value, json};
use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use support::{Workspace, text};

const COMPARE: &str = include_str!("compare.py");

/// A Python with DuckDB: that of `LTV_DUCKDB_PYTHON`, the one that `.ci/run` makes, or the first on
/// the path. `None`, and says so, where there is none, which in CI is a failure.
#[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
fn python() -> Option<PathBuf> {
    let works = |python: &PathBuf| {
        let mut command = Command::new(python);
        command.args(["-c", "import duckdb"]);
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    if let Some(named) = env::var_os("LTV_DUCKDB_PYTHON").map(PathBuf::from) {
        assert!(
            works(&named),
            "LTV_DUCKDB_PYTHON is no Python with duckdb: {named:?}"
        );
        return Some(named);
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let made = target.join("venv-duckdb/bin/python");
    let found = [made, "python3".into()].into_iter().find(works);
    if found.is_none() {
        println!(
            "skipped: no Python with duckdb; '.ci/run tools' installs one, LTV_DUCKDB_PYTHON may name one"
        );
    }
    found
}

/// Runs a program in the workspace, on `input`, and gives what it prints.
fn run(python: &Path, at: &Workspace, program: &str, input: &str) -> String {
    let mut command = Command::new(python);
    command.args(["-c", program]).current_dir(at.path(""));
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = piped.stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// Datasets and statements to compare, gathered so that DuckDB starts once.
#[derive(Default)]
struct Cases {
    cases: Vec<Value>,
    expected: Vec<Value>,
}

impl Cases {
    /// Makes the dataset and the statement of the same options; `false` where nobody is in it.
    fn add(&mut self, at: &Workspace, events: &str, users: Option<&str>, options: &str) -> bool {
        let index = self.cases.len();
        let (out, query) = (format!("data-{index}"), format!("query-{index}.sql"));
        let table = users.map_or_else(String::new, |users| format!("--users {users}"));
        let line = format!(
            "features --quiet --json --events {events} {table} {options} --partitions 3 --out {out}"
        );
        let output = at.run(&line);
        let errors = text(&output.stderr);
        if errors.contains("no user to make features of") {
            return false;
        }
        assert!(output.status.success(), "ltv {line}\n{errors}");
        let manifest: Value = serde_json::from_slice(&output.stdout).unwrap();
        at.write(
            &query,
            at.ok(&format!("features {table} {options} --print-sql")),
        );
        let rows = manifest["rows"].as_u64().unwrap();
        self.cases.push(json!({
            "query": query,
            "events": parquet(at, events),
            "users": users.map(|users| parquet(at, users)),
            "dataset": parquet(at, &out),
        }));
        self.expected.push(json!({ "rows": rows, "problems": [] }));
        true
    }

    /// Compares them all; every cell must be equal.
    fn check(&self, python: &Path, at: &Workspace) {
        let found = run(python, at, COMPARE, &json!(self.cases).to_string());
        let found: Vec<Value> = serde_json::from_str(&found).unwrap();
        assert_eq!(found.len(), self.expected.len());
        for ((found, expected), case) in found.iter().zip(&self.expected).zip(&self.cases) {
            let query = fs::read_to_string(at.path(case["query"].as_str().unwrap())).unwrap();
            assert_eq!(found["problems"], expected["problems"], "{query}");
            assert_eq!(found["rows"], expected["rows"], "{query}");
            assert!(found["columns"].as_u64() > Some(10), "{found}");
        }
    }
}

/// The Parquet files of a folder, or the file itself.
fn parquet(at: &Workspace, name: &str) -> Vec<PathBuf> {
    if at.path(name).is_file() {
        return vec![at.path(name)];
    }
    let files = at.files(name).into_keys();
    let full = files.map(|file| at.path(name).join(file));
    full.filter(|path| path.extension().is_some_and(|e| e == "parquet"))
        .collect()
}

#[test]
fn random_logs_become_the_same_dataset() {
    let Some(python) = python() else { return };
    let (mut folders, mut empty) = (vec![], 0);
    let mut all = Cases::default();
    let at = Workspace::new();
    for seed in 0..40 {
        let log = Workspace::new();
        let config = logs::write(&log, seed);
        log.write("features.toml", &config);
        let path = |name: &str| log.path(name).display().to_string();
        let users = config.contains("[users]").then(|| path("users.parquet"));
        let options = format!("--config {}", path("features.toml"));
        let some = all.add(&at, &path("events.parquet"), users.as_deref(), &options);
        empty += usize::from(!some);
        folders.push(log);
    }
    assert!(empty < 8, "{empty} logs without users");
    all.check(&python, &at);
}

#[test]
fn simulated_users_become_the_same_dataset() {
    let Some(python) = python() else { return };
    let at = Workspace::new();
    at.ok("simulate --users 3000 --seed 5 --shard-users 1000 --quiet --out sim");
    at.write("days.txt", "# of somebody\n2022-03-08\n2023-03-08\n");
    let mut all = Cases::default();
    let bare = "--label active_days --as-of 2023-01-01";
    for (users, options) in [
        (true, "--preset simulator --as-of 2024-07-29"),
        // Many users are too young for their window, or for any label.
        (true, "--preset simulator --as-of 2022-09-15"),
        (
            true,
            "--preset simulator --label value --horizons 1,30,3650 --as-of 2024-04-01",
        ),
        (
            true,
            "--preset simulator --as-of 2023-10-01 --registered-from 2022-06-01 --registered-before 2022-12-24",
        ),
        (
            true,
            "--preset simulator --as-of 2023-10-01 --window-days 60 --event-order videos --first videos --mode videos",
        ),
        (
            true,
            "--label value --event-value value --as-of 2023-01-01 --registration registration --keep cost,registration",
        ),
        (true, bare),
        (false, bare),
        (
            false,
            "--label active_days --as-of 2023-01-01 --holiday-file days.txt --holiday-simulator true --holidays 2022-05-06",
        ),
    ] {
        assert!(
            all.add(&at, "sim/events", users.then_some("sim/users"), options),
            "{options}"
        );
    }
    all.check(&python, &at);
}

/// The logs of the benchmark, where they are present.
#[test]
#[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
fn public_logs_become_the_same_dataset() {
    let Some(python) = python() else { return };
    let shared = env::var("LTV_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").into());
    let at = Workspace::new();
    let mut all = Cases::default();
    for (name, options) in [
        (
            "oss_commits",
            "--label active_days --as-of 2021-07-01 --sequence cnt=count --sequence files=sum:n_files \
             --mean is_merge,subject_len --first repo --first-numeric tz_min --mode repo --max n_files",
        ),
        (
            "cdnow",
            "--label value --event-value value --as-of 1998-07-01 --window-days 30 --mean n_cds",
        ),
        (
            "online_retail",
            "--label value --event-value value --event-order invoice --as-of 2011-12-01 --horizons 30,90 \
             --first stock_code,country --mode stock_code --mean quantity --max unit_price",
        ),
    ] {
        let path = Path::new(&shared).join(format!("data/{name}.parquet"));
        match path.exists() {
            true => assert!(all.add(&at, path.to_str().unwrap(), None, options)),
            false => println!("skipped: {} is not present", path.display()),
        }
    }
    all.check(&python, &at);
}

/// The fenced blocks of `language` in the page on warehouses.
fn blocks(language: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/warehouses.md");
    let page = fs::read_to_string(page).unwrap();
    let fence = format!("```{language}\n");
    page.split(&fence)
        .skip(1)
        .map(|rest| rest.split_once("```").unwrap().0.to_string())
        .collect()
}

/// What the page shows works as it stands: its configuration, its command, its program for DuckDB.
#[test]
fn the_page_on_warehouses_works() {
    let Some(python) = python() else { return };
    let at = Workspace::new();
    logs::shop(&at);
    let (config, program) = (&blocks("toml")[0], &blocks("python")[0]);
    at.write("shop.toml", config);
    let line = "features --config shop.toml --print-sql";
    assert!(blocks("sh")[0].contains(&format!("ltv {line} > dataset.sql")));
    let query = at.ok(line);
    for told in blocks("text")[0].lines() {
        assert!(
            query.lines().any(|line| line == format!("-- {told}")),
            "{told}\n{query}"
        );
    }
    at.write("dataset.sql", query);
    run(&python, &at, program, "");
    at.ok("features --config shop.toml --events orders.parquet --users customers.parquet --quiet --out data");
    let cases = json!([{ "result": "dataset.parquet", "dataset": parquet(&at, "data") }]);
    let found = run(&python, &at, COMPARE, &cases.to_string());
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found[0]["problems"], json!([]));
    assert!(found[0]["rows"].as_u64() > Some(20), "{found}");
}
