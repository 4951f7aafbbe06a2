//! Writes that fail in their middle, and programs that are stopped in theirs.
#![cfg(target_os = "linux")]

use crate::{Cases, SIMULATED, support, with_trained};
use std::process::Command;

/// Lines that write more than fits.
fn lines() -> [(&'static str, String); 5] {
    [
        (
            "simulate",
            "simulate --quiet --users 30000 --out big".into(),
        ),
        ("features", format!("{SIMULATED} --out new")),
        (
            "features in partitions",
            format!("{SIMULATED} --out new").replace("--partitions 1", "--partitions 4"),
        ),
        (
            "train",
            "train --quiet --data data --epochs 1 --out new.ltv".into(),
        ),
        (
            "score",
            "score --quiet --model model.ltv --data data --out snap".into(),
        ),
    ]
}

/// The line in a process that cannot write files of more than 16 KiB: like a full disk, it refuses
/// a write in its middle.
fn on_a_full_disk(cases: &Cases, line: &str) -> std::process::Output {
    let script = format!("trap '' XFSZ; ulimit -f 16; exec \"$0\" {line}");
    Command::new("bash")
        .current_dir(cases.at.path(""))
        .args(["-c", &script, env!("CARGO_BIN_EXE_ltv")])
        .output()
        .unwrap()
}

#[test]
fn full_disk() {
    let mut cases = with_trained();
    for (what, line) in lines() {
        let before = cases.at.everything();
        let output = on_a_full_disk(&cases, &line);
        let error = support::text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{what}: {error}");
        cases.unchanged(what, &before);
        cases.add(what, &line, &error);
    }
    cases.check("full_disk", 5);
}
