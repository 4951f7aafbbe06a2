//! Models and datasets that do not fit each other, and the commands that read them.

use crate::{Cases, SIMULATED, edit, replace, with_trained};
use std::fs;

/// Each is tried by `evaluate` and by `score`: what is wrong, the model, the dataset.
const BOTH: &[(&str, &str, &str)] = &[
    ("a model that is not there", "nowhere.ltv", "data"),
    ("a dataset in place of a model", "data", "data"),
    (
        "a dataset without features of the model",
        "model.ltv",
        "plain",
    ),
    ("a dataset of another window", "model.ltv", "window"),
];

/// Damages of a bundle, by file.
const DAMAGES: &[(&str, &str)] = &[
    ("a model cut off", "cut.ltv"),
    ("a model of five bytes", "short.ltv"),
    ("a model of no bytes", "empty.ltv"),
    ("a model with one bit of a weight changed", "flipped.ltv"),
    (
        "a model with one letter of its document changed",
        "edited.ltv",
    ),
    ("a model whose header claims to be endless", "endless.ltv"),
    ("a model with more behind its end", "longer.ltv"),
    ("a model of a later version", "later.ltv"),
    ("a file that is no model", "words.ltv"),
    ("a checkpoint in place of a model", "part"),
];

const EVALUATE: &[(&str, &str)] = &[
    ("horizons without labels", "--data horizons"),
    ("users too young for any label", "--data young"),
    (
        "days in which nobody registered",
        "--data data --registered-from 2030-01-01",
    ),
    (
        "nobody registered since the training",
        "--data data --part new",
    ),
    ("a model without a test split", "--data data --part test"),
    ("a label of another kind", "--data money"),
    ("an unknown column to report by", "--data data --by city"),
    ("a number to report by", "--data data --by cost"),
    ("too few resamples", "--data data --bootstrap 5"),
    ("an unknown decoding", "--data data --decoding mode"),
    (
        "an output in no folder",
        "--data data --out no/such/eval.json",
    ),
];

const SCORE: &[(&str, &str)] = &[
    ("a quantile above 1", "--out snap --decoding quantile:1.5"),
    ("files of no users", "--out snap --file-rows 0"),
    ("an output folder with other things", "--out full"),
    ("an output that is a dataset", "--out data"),
    ("an output that is a file", "--out words.ltv"),
];

/// What would be lost or misread without a word.
const CONFUSED: &[(&str, &str)] = &[
    (
        "scores of users whose value is of another kind",
        "score --quiet --data money --out snap",
    ),
    (
        "an evaluation over a model",
        "evaluate --quiet --data data --out model.ltv",
    ),
];

/// Event logs in place of a dataset.
const FRESH: &[(&str, &str)] = &[
    ("neither a dataset nor events", ""),
    (
        "a dataset and events",
        "--data data --events sim/events --features data --as-of 2024-01-01",
    ),
    (
        "events without the features to make of them",
        "--events sim/events --as-of 2024-01-01",
    ),
    (
        "features in a file that is not there",
        "--events sim/events --features nowhere.toml --as-of 2024-01-01",
    ),
    (
        "features of a simulation",
        "--events sim/events --features sim --as-of 2024-01-01",
    ),
    (
        "features other than those of the model",
        "--events sim/events --features plain --as-of 2024-01-01",
    ),
    (
        "fresh events that are not there",
        "--events nowhere --features data --as-of 2024-01-01 --users sim/users",
    ),
];

const OTHERS: &[(&str, &str)] = &[
    ("something that is not there", "inspect nowhere"),
    ("a folder that is no artefact", "inspect full"),
    ("a file that is nothing we know", "inspect words.ltv"),
    ("JSON that is no evaluation", "inspect other.json"),
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
    (
        "a bench of more fields than there are numbers",
        "bench train --quiet --fields 4294967295 --large-fields 4",
    ),
    (
        "a bench of values that need other users",
        "bench infer --quiet --decoding matched",
    ),
    (
        "a bench of no predictions",
        "bench metrics --quiet --rows 0",
    ),
    (
        "a bench of files with no room for a value",
        "bench train --quiet --input parquet --cells 2",
    ),
    (
        "a bench of files in no folder",
        "bench features --quiet --scratch no/such",
    ),
    ("an unknown bench", "bench everything"),
    ("an unknown shell", "completions cmd"),
];

/// Bundles with one thing wrong each.
fn damage(cases: &Cases) {
    let at = &cases.at;
    let whole = fs::read(at.path("model.ltv")).unwrap();
    let changed = |from: &str, to: &str| {
        let start = whole
            .windows(from.len())
            .position(|w| w == from.as_bytes())
            .unwrap();
        let mut bytes = whole.clone();
        bytes[start..start + from.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    at.write("cut.ltv", &whole[..whole.len() - 100]);
    at.write("short.ltv", &whole[..5]);
    at.write("empty.ltv", "");
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    at.write("flipped.ltv", flipped);
    at.write("edited.ltv", changed("active_days", "active_dayz"));
    let mut endless = whole.clone();
    endless[..8].fill(0xff);
    at.write("endless.ltv", endless);
    at.write("longer.ltv", [&whole[..], b"more"].concat());
    at.write(
        "later.ltv",
        changed("\"version\":\"1\"", "\"version\":\"9\""),
    );
    let words = "this is not a model at all, only some words in a file";
    at.write("words.ltv", words);
    at.ok(
        "train --quiet --data data --epochs 1 --checkpoint part --checkpoint-steps 1 --out x.ltv",
    );
    fs::remove_file(at.path("x.ltv")).unwrap();
}

#[test]
fn damaged_models() {
    let mut cases = with_trained();
    damage(&cases);
    for (what, model) in DAMAGES {
        let line = format!("score --quiet --model {model} --data data --out snap");
        cases.case(what, &line);
    }
    cases.check("damaged_models", 10);
}

#[test]
fn models_and_datasets() {
    let mut cases = with_trained();
    let at = &cases.at;
    at.ok(&format!("{SIMULATED} --window-days 5 --out window"));
    at.ok(&format!("{SIMULATED} --horizons 30,60 --out horizons"));
    at.ok(
        "features --events sim/events --label active_days --as-of 2024-01-01 --quiet --out plain",
    );
    at.ok(&format!(
        "{SIMULATED} --registered-from 2023-06-20 --out young"
    ));
    at.ok(&format!("{SIMULATED} --label value --out money"));
    at.write("full/notes.txt", "something of mine");
    at.write("words.ltv", "words");
    for (what, model, data) in BOTH {
        for (command, out) in [("evaluate", ""), ("score", " --out snap")] {
            let line = format!("{command} --quiet --model {model} --data {data}{out}");
            cases.case(&format!("{what}, {command}"), &line);
        }
    }
    cases.all_of("evaluate --quiet --model model.ltv", EVALUATE);
    cases.all_of("score --quiet --model model.ltv --data data", SCORE);
    cases.all_of("score --quiet --model model.ltv --out snap", FRESH);
    for (what, line) in CONFUSED {
        cases.case(what, &format!("{line} --model model.ltv"));
    }
    cases.check("models_and_datasets", 33);
}

/// Everything that can be verified, with one byte of one of its files changed.
#[test]
fn verified_artefacts() {
    let mut cases = with_trained();
    cases
        .at
        .ok("score --quiet --model model.ltv --data data --out snap");
    cases.at.ok(
        "train --quiet --data data --epochs 1 --checkpoint part --checkpoint-steps 1 --out x.ltv",
    );
    for whole in [
        "sim",
        "data",
        "model.ltv",
        "snap",
        "snap/part-00000.parquet",
    ] {
        let text = cases.at.ok(&format!("inspect {whole} --verify"));
        assert!(text.contains("verified: "), "{whole}: {text}");
    }
    assert!(cases.at.ok("inspect part").contains("a checkpoint"));
    let change = |name: &str, place: fn(usize) -> usize| {
        edit(&cases, name, |bytes| {
            let place = place(bytes.len());
            bytes[place] ^= 0x55;
        });
    };
    change("sim/events/part-00000.parquet", |n| n / 2);
    change("snap/part-00000.parquet", |n| n / 2);
    change("model.ltv", |n| n - 1);
    edit(&cases, "part", |bytes| bytes.truncate(bytes.len() - 1));
    replace(
        &cases,
        "data/manifest.json",
        "\"rows\": 3000",
        "\"rows\": 3001",
    );
    cases.all(&[
        ("events changed", "inspect sim --verify"),
        ("scores changed", "inspect snap --verify"),
        ("weights changed", "inspect model.ltv --verify"),
        ("a checkpoint cut off", "inspect part"),
        ("another number of rows", "inspect data --verify"),
    ]);
    fs::remove_file(cases.at.path("snap/part-00000.parquet")).unwrap();
    cases.case("scores that are gone", "inspect snap --verify");
    cases.check("verified_artefacts", 6);
}

#[test]
fn other_commands() {
    let mut cases = Cases::new();
    cases.at.write("full/notes.txt", "something of mine");
    cases.at.write("words.ltv", "this is not a model at all");
    cases.at.write("other.json", "{ \"answer\": 42 }\n");
    cases.all(OTHERS);
    cases.check("other_commands", 15);
}
