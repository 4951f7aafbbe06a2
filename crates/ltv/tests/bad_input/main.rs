//! Every mistake of a user ends in one error that names the file, the column and the row or value
//! and says what to do, in exit code 2, and leaves no new file or folder behind. The texts are
//! snapshots: read them as the person who gets them.
#![allow(clippy::unwrap_used, reason = "tests")]

mod datasets;
mod disk;
mod features;
mod models;
mod roi;
#[path = "../support/mod.rs"]
mod support;
mod tables;
mod training;

use insta::assert_snapshot;
use std::{fmt::Write as _, fs, sync::OnceLock};
use support::Workspace;

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

    /// Runs a line that must fail, and that must leave every file and folder as it was.
    fn case(&mut self, what: &str, line: &str) {
        let before = self.at.everything();
        let error = self.at.error(line);
        self.unchanged(what, &before);
        self.add(what, line, &error);
    }

    /// A table of what is wrong and the line that does it.
    fn all(&mut self, cases: &[(&str, &str)]) {
        cases.iter().for_each(|(what, line)| self.case(what, line));
    }

    /// The same, with a line that they all start with.
    fn all_of(&mut self, start: &str, cases: &[(&str, &str)]) {
        for (what, rest) in cases {
            self.case(what, &format!("{start} {rest}"));
        }
    }

    /// Fails when a file or folder, hidden or not, has come, gone or changed since.
    fn unchanged(&self, what: &str, before: &support::Everything) {
        let now = self.at.everything();
        let names = |all: &support::Everything| all.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(before), names(&now), "{what} left something behind");
        assert!(*before == now, "{what} changed a file");
    }

    fn add(&mut self, what: &str, line: &str, error: &str) {
        let errors = error.lines().filter(|l| l.starts_with("error: ")).count();
        let one = error.starts_with("error: ") && errors == 1;
        assert!(one && !error.contains("panicked"), "{what}: {error}");
        let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
        writeln!(self.log, "## {what}\n$ ltv {line}\n{error}").unwrap();
        self.count += 1;
    }

    /// Compares the texts with those that were agreed on, but for random names of folders.
    fn check(self, name: &str, at_least: usize) {
        assert!(self.count >= at_least, "{name}: {} cases", self.count);
        let here = self.at.path("").canonicalize().unwrap();
        let log = self.log.replace(here.to_str().unwrap(), "<here>");
        let mut settings = insta::Settings::clone_current();
        settings.set_omit_expression(true);
        settings.set_prepend_module_to_snapshot(false);
        settings.add_filter(r"(\.(?:partial|ltv-[a-z]+)-)[0-9A-Za-z]{6}", "${1}<random>");
        settings.add_filter(r"\b[0-9a-f]{64}\b", "<checksum>");
        settings.add_filter(
            r"\d+ bytes, the manifest says \d+",
            "<n> bytes, the manifest says <m>",
        );
        settings.add_filter(
            r"\d+ bytes that should have \d+",
            "<n> bytes that should have <m>",
        );
        settings.bind(|| assert_snapshot!(format!("bad_input__{name}"), log));
    }
}

/// A simulation, a dataset of it and a model, made once.
fn trained() -> &'static Workspace {
    static MADE: OnceLock<Workspace> = OnceLock::new();
    MADE.get_or_init(|| {
        let at = Workspace::new();
        at.ok("simulate --users 3000 --quiet --out sim");
        at.ok(&format!("{SIMULATED} --out data"));
        at.ok("train --data data --out model.ltv --epochs 1 --quiet");
        at
    })
}

/// The dataset of the simulation.
const SIMULATED: &str = "features --preset simulator --events sim/events --users sim/users --quiet \
                         --as-of 2024-01-01 --partitions 1";

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

/// Replaces the first `from` of a text file.
fn replace(cases: &Cases, name: &str, from: &str, to: &str) {
    edit(cases, name, |bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        *bytes = text.replacen(from, to, 1).into_bytes();
    });
}
