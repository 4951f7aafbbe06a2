//! What programs read of a command while it runs: the log is as its page says, whatever happens.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};
use support::Workspace;

const PAGE: &str = "../../docs/formats/log.md";

/// What the page says: every field with its type, and every event with the fields it always has.
struct Page {
    fields: BTreeMap<String, String>,
    events: BTreeMap<String, Vec<String>>,
    examples: Vec<Value>,
}

/// The text in the backquotes of a table cell.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(String::from)
        .collect()
}

fn page() -> Page {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let text = std::fs::read_to_string(path).unwrap();
    let table = |title: &str| -> Vec<Vec<String>> {
        let section = text.split_once(title).unwrap().1;
        let section = section.split("\n## ").next().unwrap();
        let rows = section.lines().filter(|line| line.starts_with("| `"));
        rows.map(|row| {
            row.split('|')
                .skip(1)
                .map(|c| c.trim().to_owned())
                .collect()
        })
        .collect()
    };
    let block = text.split("```json\n").nth(1).unwrap();
    let block = block.split("\n```").next().unwrap();
    Page {
        fields: table("## Fields")
            .iter()
            .map(|row| (quoted(&row[0]).remove(0), row[1].clone()))
            .collect(),
        events: table("## Events")
            .iter()
            .map(|row| (quoted(&row[0]).remove(0), quoted(&row[1])))
            .collect(),
        examples: block
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    }
}

impl Page {
    /// Fails unless the line is one of those that the page describes; gives its event.
    fn check(&self, line: &Value) -> String {
        let fields = line
            .as_object()
            .unwrap_or_else(|| panic!("{line}: no table"));
        for (name, value) in fields {
            let Some(kind) = self.fields.get(name) else {
                panic!("{line}: no word on {name}")
            };
            let fits = match kind.as_str() {
                "text" => value.is_string(),
                "integer" => value.is_u64(),
                "number" => value.as_f64().is_some_and(|x| x.is_finite() && x >= 0.0),
                other => panic!("{other}: no type"),
            };
            assert!(fits, "{line}: {name} is no {kind}");
        }
        let event = fields["event"].as_str().unwrap();
        let Some(always) = self.events.get(event) else {
            panic!("{line}: no word on {event}")
        };
        for name in ["time", "level"]
            .into_iter()
            .chain(always.iter().map(String::as_str))
        {
            assert!(fields.contains_key(name), "{line}: has no {name}");
        }
        check_time(fields["time"].as_str().unwrap());
        event.to_owned()
    }

    /// The lines of a standard error, all checked.
    fn lines(&self, stderr: &[u8]) -> Vec<Value> {
        let lines = support::text(stderr);
        let parse =
            |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let lines: Vec<Value> = lines.lines().map(parse).collect();
        lines.iter().for_each(|line| drop(self.check(line)));
        lines
    }
}

/// `2024-01-31T08:30:00.000Z`, digit by digit.
fn check_time(time: &str) {
    let shape = |c: char| if c.is_ascii_digit() { '0' } else { c };
    let shape: String = time.chars().map(shape).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{time}");
}

/// Stages come one after the other, and what is finished was started.
fn check_order(lines: &[Value]) {
    let mut open: Option<&Value> = None;
    for line in lines {
        match line["event"].as_str().unwrap() {
            "stage_started" => assert_eq!(open.replace(&line["stage"]), None, "{line}"),
            "stage_finished" => assert_eq!(open.take(), Some(&line["stage"]), "{line}"),
            "stage_progress" => assert_eq!(open, Some(&line["stage"]), "{line}"),
            _ => {}
        }
    }
    assert_eq!(open, None);
}

/// The numbers of a stage when it was over.
fn finished<'a>(lines: &'a [Value], stage: &str) -> &'a Value {
    let is = |line: &&Value| line["event"] == "stage_finished" && line["stage"] == stage;
    let found = lines.iter().find(is);
    found.unwrap_or_else(|| panic!("no stage {stage} in {lines:#?}"))
}

#[test]
fn the_page_describes_its_own_examples() {
    let page = page();
    let seen: BTreeSet<String> = page.examples.iter().map(|line| page.check(line)).collect();
    assert_eq!(seen, page.events.keys().cloned().collect());
    let fields = page
        .examples
        .iter()
        .flat_map(|e| e.as_object().unwrap().keys());
    let fields: BTreeSet<&String> = fields.collect();
    assert_eq!(fields, page.fields.keys().collect());
}

/// Every command with a long way to go, and every stage of it with a total that is known.
#[test]
fn real_output_is_as_the_page_says() {
    let (at, page) = (Workspace::new(), page());
    let run = |line: &str| {
        let output = at.run(&format!("{line} --log-format json"));
        let lines = page.lines(&output.stderr);
        assert!(output.status.success(), "{line}: {lines:#?}");
        check_order(&lines);
        for line in &lines {
            let total = line.get("total").and_then(Value::as_u64);
            if line["event"] == "stage_finished" && total.is_some() {
                assert_eq!(line["done"].as_u64(), total, "{line}");
            }
        }
        lines
    };
    let lines = run("simulate --users 3000 --out sim");
    assert_eq!(finished(&lines, "simulate users")["total"], 3000);
    let lines = run(
        "features --preset simulator --events sim/events --users sim/users --as-of 2024-01-01 --out data",
    );
    assert!(finished(&lines, "read events")["done"].as_u64().unwrap() > 3000);
    let lines = run("train --data data --epochs 2 --out model.ltv");
    let rows = finished(&lines, "fit encoding and buckets")["total"].as_u64();
    assert!(rows.is_some_and(|rows| rows > 2000), "{rows:?}");
    let epoch = finished(&lines, "epoch 2");
    assert!(
        epoch["message"]
            .as_str()
            .unwrap()
            .starts_with("validation loss ")
    );
    let is_note = |line: &&Value| line["event"] == "note" && line["stage"] == "epoch 2";
    assert_eq!(lines.iter().filter(is_note).count(), 1);
    for stage in ["recalibrate", "match values to the distribution of labels"] {
        assert!(finished(&lines, stage)["total"].as_u64() > Some(0));
    }
    let lines = run(
        "evaluate --model model.ltv --data data --by channel --bootstrap 20 --importance --part all",
    );
    for stage in [
        "read labels and predict",
        "measure",
        "draw a sample",
        "permute features",
    ] {
        assert!(finished(&lines, stage)["total"].as_u64() > Some(0));
    }
    let lines = run("score --model model.ltv --data data --out snapshot");
    assert_eq!(finished(&lines, "score")["total"].as_u64(), rows);
}

#[test]
fn failures_are_lines_too() {
    let (at, page) = (Workspace::new(), page());
    at.write("bad.toml", "[fit]\nrat = 1\n");
    at.write("file", "");
    for line in [
        "train --log-format json --data nowhere --out model.ltv",
        "train --log-format json --quiet --data nowhere --out model.ltv",
        "train --log-format json --config bad.toml --data nowhere --out model.ltv",
        "train --data nowhere --out model.ltv --log-format json --nonsense",
        "train --log-format=json",
        "train --log-format json --data nowhere --out model.ltv --tensorboard file",
    ] {
        let output = at.run(line);
        let lines = page.lines(&output.stderr);
        let [error] = &lines[..] else {
            panic!("{line}: {lines:#?}")
        };
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert_eq!(
            (&error["event"], &error["level"], &error["kind"]),
            (&"error".into(), &"error".into(), &"user".into())
        );
        assert_eq!(error["code"], 2);
        let message = error["message"].as_str().unwrap();
        assert!(!message.starts_with("error"), "{message}");
        assert!(!message.is_empty());
    }
    // Help that was asked for is no failure.
    let help = at.run("train --log-format json --help");
    assert!(help.status.success() && help.stderr.is_empty());
}

/// Where the time went, in text and for programs.
#[test]
fn the_end_says_where_time_went() {
    let at = Workspace::new();
    at.ok("simulate --users 2000 --quiet --out sim");
    let data = "features --preset simulator --events sim/events --users sim/users --quiet \
                --as-of 2024-01-01 --out data";
    let text = at.ok(data);
    assert!(
        text.contains("\ntime: ") && text.contains("  build features"),
        "{text}"
    );
    let train = "train --data data --epochs 2 --quiet --checkpoint part --out model.ltv";
    let text = at.ok(train);
    assert!(
        text.contains("  epoch, 2 times  ") && text.contains("everything else"),
        "{text}"
    );
    let json: Value = serde_json::from_str(&at.ok(&format!("{train} --json"))).unwrap();
    let timing = &json["timing"];
    let whole = timing["seconds"].as_f64().unwrap();
    let stages = timing["stages"].as_array().unwrap();
    let seconds = |value: &Value| value["seconds"].as_f64().unwrap();
    let sum: f64 = stages.iter().map(seconds).sum();
    assert!(sum <= whole, "{timing}");
    let epochs = stages
        .iter()
        .find(|stage| stage["stage"] == "epoch")
        .unwrap();
    assert_eq!(epochs["times"], 2);
    let parts = epochs["parts"].as_object().unwrap();
    let names: Vec<_> = parts.keys().map(String::as_str).collect();
    let expected = [
        "checkpoints",
        "forward and backward",
        "making batches",
        "update of the weights",
        "validation",
        "waiting for rows",
    ];
    assert_eq!(names, expected);
    let sum: f64 = parts.values().map(|part| part.as_f64().unwrap()).sum();
    assert!(sum <= seconds(epochs) && sum > 0.0, "{timing}");
    // A query that is only shown takes no time.
    let sql = at.ok("features --preset simulator --as-of 2024-01-01 --print-sql");
    assert!(!sql.contains("time: "), "{sql}");
}
