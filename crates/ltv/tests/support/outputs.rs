//! Artefacts in a store, and what they are compared with.
#![allow(dead_code, reason = "each test program uses its own part")]

use super::{
    store::{KEY, SECRET, Store, refusal},
    support::{Workspace, text},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

pub(crate) const FEATURES: &str =
    "features --preset simulator --events sim/events --users sim/users --quiet --partitions 12";
pub(crate) const SCORE: &str = "score --model model.ltv --data data --file-rows 1 --quiet";
pub(crate) const SNAP: &str = "s3://lake/out/snap";

/// A workspace with events, users, a dataset of twelve files and a model.
pub(crate) fn workspace() -> Workspace {
    let at = Workspace::new();
    at.ok("simulate --users 600 --quiet --out sim");
    at.ok(&format!("{FEATURES} --as-of 2024-04-01 --out data"));
    at.ok("train --data data --epochs 1 --quiet --out model.ltv");
    fs::create_dir(at.path("tmp")).unwrap();
    at
}

/// The binary with a folder of its own for temporary files.
pub(crate) fn ltv(store: &Store, at: &Workspace, line: &str) -> Command {
    let mut command = store.ltv(at, line);
    command.env("TMPDIR", at.path("tmp"));
    command
}

pub(crate) fn ok(mut command: Command) -> String {
    let output = command.output().unwrap();
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{command:?}\n{errors}");
    for hush in [KEY, SECRET] {
        assert!(!errors.contains(hush), "{errors}");
    }
    text(&output.stdout)
}

pub(crate) fn failed(mut command: Command) -> String {
    refusal(&command.output().unwrap())
}

/// An artefact: its manifest without what the names of files say of their content, and the files in its order.
pub(crate) type Artefact = (Value, Vec<Vec<u8>>);

pub(crate) fn artefact(files: &BTreeMap<PathBuf, Vec<u8>>) -> Artefact {
    let manifest = &files[Path::new("manifest.json")];
    let mut manifest: Value = serde_json::from_slice(manifest).unwrap();
    let mut content = vec![];
    for entry in manifest["files"].as_array_mut().unwrap() {
        let path = entry["path"].as_str().unwrap().to_owned();
        let bytes = files[Path::new(&path)].clone();
        assert_eq!(entry["bytes"], bytes.len(), "{path}");
        entry["path"] = format!("{}.parquet", &path[.."part-00000".len()]).into();
        content.push(bytes);
    }
    (manifest, content)
}

/// The artefact below a prefix, which holds nothing else.
pub(crate) fn alone(store: &Store, prefix: &str) -> Artefact {
    let files = store.objects(prefix);
    let found = artefact(&files);
    assert_eq!(files.len(), found.1.len() + 1, "{:?}", files.keys());
    for (name, bytes) in &files {
        let text = String::from_utf8_lossy(bytes);
        for hush in [KEY, SECRET, "127.0.0.1"] {
            assert!(!text.contains(hush), "{name:?} holds {hush}");
        }
    }
    found
}

pub(crate) fn local(at: &Workspace, name: &str) -> Artefact {
    artefact(&at.files(name))
}

/// Nothing is left of an upload on this machine, or half done in the store.
pub(crate) fn nothing_is_left(store: &Store, at: &Workspace) {
    let left: Vec<_> = fs::read_dir(at.path("tmp")).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    let halves = fs::read_dir(store.root()).unwrap().flatten();
    let halves = halves.map(|e| e.file_name().to_string_lossy().into_owned());
    let mut halves = halves.filter(|name| name.starts_with(".upload"));
    assert_eq!(halves.next(), None);
}

/// Ends at the fifth object of the snapshot.
pub(crate) fn at_the_fifth(asked: &str) -> Option<&'static str> {
    (asked.starts_with("PUT /lake/out/snap/part-00004")).then_some("AccessDenied")
}
