//! The pages of docs/formats on this crate's documents match the types, field for field.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use ltv_eval::{Comparison, Evaluation};
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::Path};

fn page(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join("docs/formats").join(name)).unwrap()
}

/// The one example of a page, after a walk through the type.
fn check<T>(name: &str, parse: impl Fn(&str) -> T, write: impl Fn(&T) -> String) {
    let text = page(name);
    let example = text.split("```json\n").nth(1).unwrap();
    let example = example.split("\n```").next().unwrap();
    let value: Value = serde_json::from_str(example).unwrap();
    let again: Value = serde_json::from_str(&write(&parse(example))).unwrap();
    assert_eq!(again, value, "{name}");
    let document = text.split("## Document").nth(1).unwrap();
    let mut keys = BTreeSet::new();
    collect(&value, &mut keys);
    for key in &keys {
        assert!(
            document.contains(&format!("`{key}`")),
            "{name}: '{key}' is not explained"
        );
    }
    // First cells may name several fields.
    let cells = document
        .lines()
        .filter_map(|l| l.strip_prefix("| `")?.split_once("` |"));
    for field in cells.flat_map(|(cell, _)| cell.split("`, `")) {
        assert!(keys.contains(field), "{name}: there is no field '{field}'");
    }
}

fn collect(value: &Value, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| {
            keys.insert(key.clone());
            collect(value, keys);
        }),
        Value::Array(items) => items.iter().for_each(|item| collect(item, keys)),
        _ => {}
    }
}

#[test]
fn evaluation_page() {
    check(
        "evaluation.md",
        |text| Evaluation::from_json(text).unwrap(),
        |document| document.to_json().unwrap(),
    );
}

#[test]
fn comparison_page() {
    check(
        "comparison.md",
        |text| Comparison::from_json(text).unwrap(),
        |document| document.to_json().unwrap(),
    );
}
