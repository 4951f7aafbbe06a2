//! Datasets that are no longer what was written.

use crate::{Cases, edit, replace, with_trained};
use std::fs;

const TRAIN: &str = "train --quiet --data data --out new.ltv";
const MANIFEST: &str = "data/manifest.json";

/// The one data file of the dataset.
fn part(cases: &Cases) -> String {
    let names = cases.at.names();
    let table = |n: &&std::path::PathBuf| {
        n.starts_with("data") && n.extension().is_some_and(|e| e == "parquet")
    };
    let found: Vec<_> = names.iter().filter(table).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].to_str().unwrap().to_owned()
}

#[test]
fn damaged_manifests() {
    let mut cases = with_trained();
    let whole = fs::read(cases.at.path(MANIFEST)).unwrap();
    edit(&cases, MANIFEST, |m| m.truncate(200));
    cases.case("a manifest cut off", TRAIN);
    for (what, from, to) in [
        (
            "a dataset of a later version",
            "\"version\": 1",
            "\"version\": 9",
        ),
        (
            "a manifest that names a column which is not there",
            "cnt_d0",
            "cnt_d9",
        ),
        ("a manifest of another kind", "ltv-dataset", "parquet-table"),
    ] {
        cases.at.write(MANIFEST, &whole);
        replace(&cases, MANIFEST, from, to);
        cases.case(what, TRAIN);
    }
    cases.check("damaged_manifests", 4);
}

#[test]
fn damaged_data_files() {
    let mut cases = with_trained();
    let part = part(&cases);
    let table = fs::read(cases.at.path(&part)).unwrap();
    cases.at.write(&part, &table[..table.len() / 3]);
    cases.case("a data file cut off", TRAIN);
    cases.case(
        "a data file cut off, scored",
        "score --quiet --model model.ltv --data data --out snap",
    );
    fs::remove_file(cases.at.path(&part)).unwrap();
    cases.case("a data file that is gone", TRAIN);
    cases.at.write(&part, &table);
    edit(&cases, &part, |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
    });
    cases.case("a data file with one byte changed", "inspect data --verify");
    cases.check("damaged_data_files", 4);
}
