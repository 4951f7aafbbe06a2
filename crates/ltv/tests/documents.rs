//! Holds the hand-written pages to the code: examples parse, tables name every key, links lead
//! somewhere.
#![allow(clippy::panic, reason = "helpers of tests fail with the page at fault")]

use cargo_metadata::MetadataCommand;
use ltv_core::{
    config::{FeatureConfig, Split, TrainConfig, WarmStart, read_toml},
    manifest::{DatasetManifest, SnapshotManifest},
};
use ltv_daily::{DailyConfig, Summary};
use ltv_lab::{
    Backtest, BacktestConfig,
    config::{CompareConfig, Entry},
};
use ltv_model::bundle::Document;
use ltv_score::conversions::{ConversionOptions, Exported, Platform, Reason};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The fenced blocks of `language` in a page.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let rest = text.split(&fence).skip(1);
    rest.filter_map(|r| r.split_once("\n```"))
        .map(|(block, _)| format!("{block}\n"))
        .collect()
}

/// First cells of table rows of the form "| `name` | ...".
fn table_keys(text: &str) -> BTreeSet<&str> {
    let cells = text
        .lines()
        .filter_map(|l| l.strip_prefix("| `")?.split_once("` |"));
    cells.map(|(key, _)| key).collect()
}

fn parse_toml<T: DeserializeOwned>(text: &str) -> T {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("example.toml");
    fs::write(&path, text).expect("it is writable");
    read_toml(&path).unwrap_or_else(|e| panic!("{e}\nin\n{text}"))
}

/// Dotted keys of all scalars and lists of scalars; the items of a list share their key.
fn leaf_keys(prefix: &str, value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let dot = if prefix.is_empty() { "" } else { "." };
                leaf_keys(&format!("{prefix}{dot}{key}"), value, into);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().for_each(|item| leaf_keys(prefix, item, into));
        }
        _ => {
            into.insert(prefix.to_string());
        }
    }
}

fn keys_of(value: &impl Serialize, prefix: &str) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    leaf_keys(
        prefix,
        &serde_json::to_value(value).expect("it is JSON"),
        &mut keys,
    );
    keys
}

const GUIDE: &str = "docs/guide/getting-started.md";

#[test]
fn examples_of_the_guide_are_valid() {
    let text = page(GUIDE);
    let (mut features, mut splits) = (0, 0);
    for block in blocks(&text, "toml") {
        if block.starts_with("[split]") {
            let split = &parse_toml::<BTreeMap<String, Split>>(&block)["split"];
            split.check().unwrap_or_else(|e| panic!("{e}\nin\n{block}"));
            splits += 1;
        } else {
            let config: FeatureConfig = parse_toml(&block);
            config
                .check()
                .unwrap_or_else(|e| panic!("{e}\nin\n{block}"));
            features += 1;
        }
    }
    assert_eq!((features, splits), (4, 1));
}

#[test]
fn guide_lists_every_option_and_no_other() {
    let text = page(GUIDE);
    let minimal = &blocks(&text, "toml")[0];
    let mut expected = keys_of(&parse_toml::<FeatureConfig>(minimal), "");
    expected.extend(keys_of(&Split::default(), "split"));
    let listed = table_keys(&text)
        .into_iter()
        .map(String::from)
        .collect::<BTreeSet<_>>();
    assert_eq!(listed, expected);
}

#[test]
fn guide_states_the_defaults() {
    let text = page(GUIDE);
    let config: FeatureConfig = parse_toml(&blocks(&text, "toml")[0]);
    let mut values = serde_json::json!({ "split": Split::default() });
    let config = serde_json::to_value(config).expect("it is JSON");
    values
        .as_object_mut()
        .expect("a table")
        .extend(config.as_object().cloned().expect("a table"));
    check_defaults(&text, &values);
}

/// Second cells of table rows with a key in the first are the defaults in `values`.
fn check_defaults(text: &str, values: &Value) {
    // Set in the minimal example itself, or explained in words.
    let in_words = ["events.value", "dataset.as_of", "dataset.label"];
    for line in text
        .lines()
        .filter(|l| l.starts_with("| `") && !l.contains("`sequences."))
    {
        let mut cells = line.split('|').skip(1).map(|c| c.trim().trim_matches('`'));
        let (key, stated) = (cells.next().unwrap_or(""), cells.next().unwrap_or(""));
        if !in_words.contains(&key) {
            let pointer = format!("/{}", key.replace('.', "/"));
            let value = values
                .pointer(&pointer)
                .unwrap_or_else(|| panic!("no key {key}"));
            let same = match value {
                Value::Null => stated.starts_with("none"),
                _ => serde_json::from_str::<Value>(stated).is_ok_and(|s| s == *value),
            };
            assert!(same, "{key}: the guide says {stated}, the code {value}");
        }
    }
}

/// Every comparison that the guide and the examples show can be read, whatever is installed; where
/// trees can be grown, it is checked down to the last option.
#[test]
fn comparisons_of_guide_and_examples_are_valid() {
    let guide = page("docs/guide/comparing.md");
    let [example] = &blocks(&guide, "toml")[..] else {
        panic!("comparing.md: not one example")
    };
    let mut texts = vec![("comparing.md".to_owned(), example.clone())];
    for folder in ["oss_commits", "cdnow", "online_retail", "simulated"] {
        let path = format!("examples/{folder}/compare.toml");
        texts.push((path.clone(), page(&path)));
    }
    let sensitivity = "examples/oss_commits/sensitivity.toml";
    texts.push((sensitivity.to_owned(), page(sensitivity)));
    for (path, text) in texts {
        let mut config: CompareConfig = parse_toml(&text);
        let trees = |entry: &Entry| entry.peer.as_ref().is_some_and(|p| p.needs_xgboost());
        if !cfg!(feature = "xgboost") {
            config.models.retain(|entry| !trees(entry));
        }
        let found = config.contestants(&[30, 90, 180, 365]);
        found.unwrap_or_else(|e| panic!("{path}: {e}"));
    }
}

#[test]
fn backtests_of_guide_and_examples_are_valid() {
    let guide = page("docs/guide/backtesting.md");
    let [example] = &blocks(&guide, "toml")[..] else {
        panic!("backtesting.md: not one example")
    };
    let path = "examples/oss_commits/backtest.toml";
    for (path, text) in [("backtesting.md", example.clone()), (path, page(path))] {
        let config: BacktestConfig = parse_toml(&text);
        let days = config.days().unwrap_or_else(|e| panic!("{path}: {e}"));
        assert!(days.len() > 3, "{path}: {days:?}");
        let found = config.comparison().contestants(&[30, 90, 180, 365]);
        found.unwrap_or_else(|e| panic!("{path}: {e}"));
    }
}

/// The example is the type's own JSON, field for field, and the page names every field.
#[test]
fn the_page_of_backtests_matches_the_type() {
    let text = page("docs/formats/backtest.md");
    let [example] = &blocks(&text, "json")[..] else {
        panic!("backtest.md: not one example")
    };
    let value: Value = serde_json::from_str(example).expect("the example is JSON");
    let parsed: Backtest = serde_json::from_value(value.clone()).expect("it is the type");
    assert_eq!(serde_json::to_value(&parsed).expect("it is JSON"), value);
    let format = (ltv_lab::backtest::FORMAT, ltv_lab::backtest::VERSION);
    assert_eq!((parsed.format.as_str(), parsed.version), format);
    let mut keys = BTreeSet::new();
    leaf_keys("", &value, &mut keys);
    for key in keys.iter().flat_map(|key| key.split('.')) {
        assert!(text.contains(&format!("`{key}`")), "no word on {key}");
    }
}

const ADS: &str = "docs/guide/ad-platforms.md";

#[test]
fn the_page_of_ad_platforms_lists_every_option_and_its_default() {
    let text = page(ADS);
    let [example] = &blocks(&text, "toml")[..] else {
        panic!("{ADS}: not one example")
    };
    let _: ConversionOptions = parse_toml(example);
    let (_, options) = text.split_once("## Options").expect("a section");
    let defaults = serde_json::to_value(ConversionOptions::default()).expect("it is JSON");
    let listed = table_keys(options)
        .into_iter()
        .map(String::from)
        .collect::<BTreeSet<_>>();
    assert_eq!(listed, keys_of(&defaults, ""));
    // Those without a default that would do.
    let mut stated = defaults;
    for pointer in ["/name", "/currency", "/columns/time"] {
        *stated.pointer_mut(pointer).expect("an option") = Value::Null;
    }
    check_defaults(options, &stated);
}

#[test]
fn the_page_of_ad_platforms_lists_every_reason_and_field() {
    let text = page(ADS);
    for name in Platform::ALL.map(Platform::name) {
        assert!(text.contains(&format!("| `{name}` |")), "no word on {name}");
    }
    let report = page("docs/formats/conversions.md");
    let [example] = &blocks(&report, "json")[..] else {
        panic!("conversions.md: not one example")
    };
    let value: Value = serde_json::from_str(example).expect("the example is JSON");
    let parsed: Exported = serde_json::from_value(value.clone()).expect("it is the type");
    assert_eq!(serde_json::to_value(&parsed).expect("it is JSON"), value);
    let format = (Exported::FORMAT, Exported::VERSION);
    assert_eq!((parsed.format.as_str(), parsed.version), format);
    for key in value.as_object().expect("a table").keys() {
        assert!(report.contains(&format!("| `{key}` |")), "no word on {key}");
    }
    let (_, reasons) = text.split_once("## What is left out").expect("a section");
    let (reasons, _) = reasons.split_once("Too old is").expect("its end");
    for reason in table_keys(reasons) {
        let known = serde_json::from_value::<Reason>(reason.into());
        assert!(known.is_ok(), "{reason} is no reason");
    }
    assert_eq!(table_keys(reasons).len(), Reason::ALL.len());
}

const TRAINING: &str = "docs/guide/training.md";

const DAILY: &str = "docs/guide/daily.md";

#[test]
fn the_page_of_the_daily_loop_lists_every_option_and_its_default() {
    let text = page(DAILY);
    for toml in [
        &blocks(&text, "toml")[0],
        &page("examples/daily/daily.toml"),
    ] {
        let mut value: toml::Value = parse_toml(toml);
        let dataset = &mut value["features"]["dataset"];
        let dataset = dataset.as_table_mut().expect("a table");
        dataset.insert("as_of".into(), "2024-01-01".into());
        let config: DailyConfig = value.try_into().unwrap_or_else(|e| panic!("{e}"));
        let train = &config.train;
        assert!(
            train.split.test == 0.1 || toml.contains("[train"),
            "{train:?}"
        );
    }
    let bare = r#"{"features": {"dataset": {"as_of": "2024-01-01", "label": "active_days"}}}"#;
    let bare: DailyConfig = serde_json::from_str(bare).expect("the least that can be said");
    let mut defaults = serde_json::to_value(bare).expect("it is JSON");
    let tables = defaults.as_object_mut().expect("a table");
    // They have pages of their own.
    tables.remove("features");
    tables.remove("train");
    tables.insert("store".into(), Value::Null);
    let (_, options) = text.split_once("## Options").expect("a section");
    let listed = table_keys(options);
    let listed: BTreeSet<String> = listed.into_iter().map(String::from).collect();
    assert_eq!(listed, keys_of(&defaults, ""));
    check_defaults(options, &defaults);
}

#[test]
fn the_page_of_what_the_daily_loop_remembers_matches_the_type() {
    let text = page("docs/formats/daily.md");
    let [example] = &blocks(&text, "json")[..] else {
        panic!("daily.md: not one example")
    };
    let value: Value = serde_json::from_str(example).expect("the example is JSON");
    let parsed: Summary = serde_json::from_value(value.clone()).expect("it is the type");
    assert_eq!(serde_json::to_value(&parsed).expect("it is JSON"), value);
    for key in value.as_object().expect("a table").keys() {
        assert!(text.contains(&format!("`{key}`")), "no word on {key}");
    }
}

#[test]
fn training_page_lists_every_option_and_its_default() {
    let text = page(TRAINING);
    let [example] = &blocks(&text, "toml")[..] else {
        panic!("{TRAINING}: not one example")
    };
    let config: TrainConfig = parse_toml(example);
    config.check().unwrap_or_else(|e| panic!("{e}"));
    let mut defaults = serde_json::to_value(TrainConfig::default()).expect("it is JSON");
    // Not written down where it is as it always is.
    defaults["warm"] = serde_json::to_value(WarmStart::default()).expect("it is JSON");
    let listed = table_keys(&text)
        .into_iter()
        .map(String::from)
        .collect::<BTreeSet<_>>();
    assert_eq!(listed, keys_of(&defaults, ""));
    check_defaults(&text, &defaults);
}

/// The example of a format page is the type's own JSON, field for field, and so is its table.
fn check_manifest_page<T: DeserializeOwned + Serialize>(path: &str, format: &str, version: u32) {
    let value = check_format_page::<T>(path);
    assert_eq!(
        (&value["format"], &value["version"]),
        (&format.into(), &version.into())
    );
}

fn check_format_page<T: DeserializeOwned + Serialize>(path: &str) -> Value {
    let text = page(path);
    let [example] = &blocks(&text, "json")[..] else {
        panic!("{path}: not one example")
    };
    let value: Value = serde_json::from_str(example).expect("the example is JSON");
    let parsed: T = serde_json::from_value(value.clone()).expect("the example is the type");
    assert_eq!(
        serde_json::to_value(&parsed).expect("it is JSON"),
        value,
        "{path}"
    );
    let manifest = text
        .split_once("## Manifest")
        .expect("a section on the manifest")
        .1;
    let fields: BTreeSet<&str> = value
        .as_object()
        .expect("a table")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(table_keys(manifest), fields, "{path}");
    value
}

#[test]
fn format_pages_match_the_types() {
    check_format_page::<Document>("docs/formats/bundle.md");
    check_manifest_page::<DatasetManifest>(
        "docs/formats/dataset.md",
        DatasetManifest::FORMAT,
        DatasetManifest::VERSION,
    );
    check_manifest_page::<SnapshotManifest>(
        "docs/formats/snapshot.md",
        SnapshotManifest::FORMAT,
        SnapshotManifest::VERSION,
    );
}

/// All Markdown files of the root folder, `docs` and `crates`.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![];
    let mut folders = vec![root().join("docs"), root().join("crates")];
    let mut entries: Vec<_> = fs::read_dir(root()).expect("a folder").collect();
    while let Some(folder) = folders.pop() {
        entries.extend(fs::read_dir(folder).expect("a folder"));
        for entry in entries.drain(..) {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|e| e == "md") {
                pages.push(path);
            } else if path.is_dir() && path.parent() != Some(&root()) {
                folders.push(path);
            }
        }
    }
    pages
}

#[test]
fn links_lead_somewhere() {
    let mut checked = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).expect("it is text");
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|r| Some(r.split_once(')')?.0))
        {
            let file = target.split('#').next().unwrap_or("");
            if !file.is_empty() && !target.contains("://") {
                let path = page.parent().expect("a folder").join(file);
                assert!(path.exists(), "{}: broken link to {target}", page.display());
                checked += 1;
            }
        }
    }
    assert!(checked > 30, "only {checked} links found");
}

#[test]
fn readme_gives_the_two_first_commands() {
    let text = page("README.md");
    for command in [
        "cargo run --release -- quickstart",
        "cargo test --workspace",
    ] {
        assert!(
            text.lines().any(|l| l == command),
            "README.md lacks the line '{command}'"
        );
    }
}

#[test]
fn index_lists_every_decision() {
    let index = page("docs/decisions/README.md");
    for entry in fs::read_dir(root().join("docs/decisions")).expect("a folder") {
        let name = entry
            .expect("an entry")
            .file_name()
            .to_string_lossy()
            .into_owned();
        assert!(
            name == "README.md" || index.contains(&format!("({name})")),
            "{name} is missing"
        );
    }
}

#[test]
fn every_dependency_has_its_reason() {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("cargo metadata runs");
    let all = metadata.packages.iter().flat_map(|p| &p.dependencies);
    // A dependency without a source is a crate of the workspace.
    let used: BTreeSet<&str> = all
        .filter(|d| d.source.is_some())
        .map(|d| d.name.as_str())
        .collect();
    let text = page("docs/decisions/0007-dependencies.md");
    assert_eq!(
        table_keys(&text),
        used,
        "left: docs/decisions/0007; right: the manifests"
    );
}
