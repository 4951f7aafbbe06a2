//! Files for ad platforms through the real binary: from simulated users and a trained model to uploads, and what is
//! refused on the way.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use arrow::{
    array::{ArrayRef, AsArray, StringArray, TimestampMicrosecondArray},
    datatypes::{Float64Type, Int64Type},
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::Path,
    sync::Arc,
};
use support::{Workspace, ints};

const AS_OF: &str = "2024-04-01";
/// The begin of that day, in seconds.
const BEGIN: i64 = 1_711_929_600;
const GOOGLE: &str = "--users people.parquet --platform google-ads --name pLTV --currency EUR \
                      --time registered --click-id gclid --quiet";
const META: &str = "--users people.parquet --platform meta --name PredictedLTV --currency EUR \
                    --time registered --email email --phone phone --quiet";

/// Status and `ltv_90` of each user of a snapshot.
fn scores(folder: &Path) -> BTreeMap<i64, (String, f64)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "parquet") {
            continue;
        }
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap());
        for batch in reader.unwrap().build().unwrap().map(Result::unwrap) {
            let column = |name: &str| batch.column_by_name(name).unwrap().clone();
            let (ids, values) = (column("user_id"), column("ltv_90"));
            let status = arrow::compute::cast(&column("status"), &arrow::datatypes::DataType::Utf8);
            let status = status.unwrap();
            for row in 0..batch.num_rows() {
                let id = ids.as_primitive::<Int64Type>().value(row);
                let value = values.as_primitive::<Float64Type>().value(row);
                let status = status.as_string::<i32>().value(row).to_owned();
                assert!(found.insert(id, (status, value)).is_none());
            }
        }
    }
    found
}

/// A click id of a user.
fn click(id: i64) -> String {
    format!("EAIaIQobChMI-of_{id:012}")
}

/// Two models' snapshots of the same users, and the advertiser's table: whoever has an id that 5 divides is not in it,
/// and whoever's 7 divides has no click id.
fn advertiser() -> (Workspace, BTreeMap<i64, (String, f64)>) {
    let at = Workspace::new();
    at.ok("simulate --users 2000 --quiet --out sim");
    let features = "features --preset simulator --events sim/events --users sim/users --quiet";
    at.ok(&format!("{features} --as-of {AS_OF} --out data"));
    for seed in [1, 2] {
        at.ok(&format!(
            "train --data data --epochs 1 --quiet --seed {seed} --out {seed}.ltv"
        ));
        at.ok(&format!(
            "score --model {seed}.ltv --data data --quiet --out {seed}"
        ));
    }
    let scores = scores(&at.path("1"));
    let ids: Vec<i64> = scores.keys().copied().filter(|id| id % 5 != 0).collect();
    table(&at, "people.parquet", &ids);
    (at, scores)
}

fn table(at: &Workspace, name: &str, ids: &[i64]) {
    let texts = |get: &dyn Fn(i64) -> Option<String>| -> ArrayRef {
        Arc::new(ids.iter().map(|id| get(*id)).collect::<StringArray>())
    };
    let times = ids
        .iter()
        .map(|id| Some((BEGIN - 100_000 * (id % 9)) * 1_000_000 - 1));
    at.parquet(
        name,
        &[
            ("user_id", ints(ids.iter().copied())),
            (
                "registered",
                Arc::new(times.collect::<TimestampMicrosecondArray>()),
            ),
            ("gclid", texts(&|id| (id % 7 != 0).then(|| click(id)))),
            (
                "email",
                texts(&|id| (id % 7 != 0).then(|| format!("Somebody+{id}@Example.org"))),
            ),
            (
                "phone",
                texts(&|id| (id % 2 == 0).then(|| format!("+49 30 55{id:06}"))),
            ),
        ],
    );
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Lines of CSV without quotes, by the first field.
fn rows(text: &str) -> BTreeMap<String, Vec<String>> {
    let lines = text.lines().skip(1);
    let fields = lines.map(|l| l.split(',').map(String::from).collect::<Vec<_>>());
    fields.map(|fields| (fields[0].clone(), fields)).collect()
}

#[test]
fn clicks_get_their_values_and_later_better_ones() {
    let (at, scores) = advertiser();
    let report = json(&at.ok(&format!(
        "conversions 1 {GOOGLE} --horizon 90 --out google.csv --json"
    )));
    let text = fs::read_to_string(at.path("google.csv")).unwrap();
    let found = rows(&text);
    let open = |status: &str| matches!(status, "active" | "past_horizon");
    let expected: BTreeMap<String, String> = scores
        .iter()
        .filter(|(id, (status, _))| open(status) && *id % 5 != 0 && *id % 7 != 0)
        .map(|(id, (_, value))| (click(*id), format!("{value:.2}")))
        .collect();
    let sent: BTreeMap<String, String> = found
        .iter()
        .map(|(id, row)| (id.clone(), row[3].clone()))
        .collect();
    assert_eq!(sent, expected);
    assert!(sent.len() > 100, "{}", sent.len());
    assert_eq!(report["rows"], sent.len());
    assert_eq!(report["users"], scores.len());
    let counted: u64 = report["left_out"]
        .as_object()
        .unwrap()
        .values()
        .filter_map(Value::as_u64)
        .sum();
    assert_eq!(counted as usize + sent.len(), scores.len());
    // The second model's values, as of the day after.
    let restate = GOOGLE.replace("google-ads", "google-ads-restatement");
    let line = format!(
        "conversions 2 {restate} --since 1 --as-of 2024-04-02 --horizon 90 --out again.csv --json"
    );
    let report = json(&at.ok(&line));
    let restated = rows(&fs::read_to_string(at.path("again.csv")).unwrap());
    let orders: BTreeMap<&String, f64> = found
        .values()
        .map(|row| (&row[5], row[3].parse().unwrap()))
        .collect();
    assert!(!restated.is_empty());
    for (order, row) in &restated {
        let (old, new): (f64, f64) = (orders[order], row[4].parse().unwrap());
        assert!((new - old).abs() > 0.1 * old, "{row:?} was {old}");
        assert_eq!(row[2..4], ["2024-04-02 00:00:00+0000", "RESTATE"]);
    }
    let kept = report["left_out"]["not_moved"].as_u64().unwrap_or(0) as usize;
    assert_eq!(restated.len() + kept, found.len());
    for file in ["google.csv", "again.csv"] {
        let text = at.ok(&format!(
            "conversions --check {file} --as-of 2024-04-02 --quiet"
        ));
        assert!(text.contains("no rule is broken"), "{text}");
    }
}

#[test]
fn what_is_sent_holds_no_address() {
    let (at, _) = advertiser();
    fs::write(
        at.path("meta.toml"),
        "platform = \"meta\"\nname = \"PredictedLTV\"\ncurrency = \"USD\"\nhorizon = 90\nas_of = \"2024-04-01\"\n\
         [columns]\ntime = \"registered\"\nemail = \"email\"\nclick_id = \"gclid\"\n",
    )
    .unwrap();
    let line = "conversions 1 --users people.parquet --config meta.toml --phone phone --quiet --out meta.jsonl";
    let report = at.ok(line);
    let text = fs::read_to_string(at.path("meta.jsonl")).unwrap();
    for text in [&report, &text] {
        assert!(
            !text.contains('@') && !text.to_lowercase().contains("somebody"),
            "{text}"
        );
    }
    assert!(!text.contains("EAIaIQ"), "a column that Meta does not want");
    let mut ids = BTreeSet::new();
    for line in text.lines() {
        let body = json(line);
        for event in body["data"].as_array().unwrap() {
            assert!(ids.insert(event["event_id"].as_str().unwrap().to_owned()));
            assert_eq!(event["custom_data"]["currency"], "USD");
            let age = BEGIN + 86_400 - event["event_time"].as_i64().unwrap();
            assert!((0..=7 * 86_400).contains(&age), "{age}");
        }
    }
    assert!(
        ids.len() > 100 && report.contains("too old for the platform"),
        "{report}"
    );
    // The same bytes again, over what is there.
    at.ok(line);
    assert_eq!(fs::read_to_string(at.path("meta.jsonl")).unwrap(), text);
    let checked = at.ok("conversions --check meta.jsonl --as-of 2024-04-01 --quiet --json");
    assert_eq!(json(&checked)["rows"], ids.len());
}

#[test]
fn what_cannot_be_sent_is_refused_and_nothing_written() {
    let (at, scores) = advertiser();
    at.write("notes.csv", "mine\n");
    let first = *scores.keys().next().unwrap();
    table(&at, "twice.parquet", &[first, first]);
    table(&at, "nobody.parquet", &[-1]);
    let before = at.everything();
    for (line, part) in [
        (
            format!("1 {GOOGLE} --out notes.csv"),
            "notes.csv: is there and is not a file of conversions",
        ),
        (
            format!("1 {GOOGLE} --out nowhere/x.csv"),
            "its folder is not there",
        ),
        (
            format!("1 {GOOGLE} --out s3://bucket/x.csv"),
            "not written to object stores",
        ),
        (
            format!("1 {GOOGLE} --horizon 45 --out x"),
            "the snapshot has no horizon of 45 days",
        ),
        (
            format!("1 {} --out x", GOOGLE.replace("gclid", "click")),
            "no column 'click'",
        ),
        (
            format!("1 {} --out x", META.replace("EUR", "EURO")),
            "currency: 'EURO' is no currency of ISO 4217",
        ),
        (
            format!("1 {META} --as-of 2024-06-01 --out x"),
            "nothing left to send to meta",
        ),
        (format!("data {GOOGLE} --out x"), "data"),
        (
            format!("sim {GOOGLE} --out x"),
            "this is a 'ltv-simulation'",
        ),
        (
            format!("1 {} --out x", GOOGLE.replace("people", "twice")),
            "row 2 is of the user of row 1",
        ),
        (
            format!("1 {} --out x", GOOGLE.replace("people", "nobody")),
            "not in the user table",
        ),
        (
            "--check notes.csv".to_owned(),
            "neither a file of conversions for Google Ads",
        ),
        ("--check none.csv".to_owned(), "none.csv"),
    ] {
        let error = at.error(&format!("conversions {line}"));
        assert!(error.contains(part), "{line}: {error}");
        assert!(!error.contains('@'), "{error}");
    }
    assert!(at.everything() == before);
}
