//! Writes that fail in their middle, and programs that are stopped in theirs.
#![cfg(target_os = "linux")]

use crate::{Cases, SIMULATED, support, with_trained};
use std::{
    fs,
    process::{Command, Output, Stdio},
    thread::sleep,
    time::Duration,
};

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
fn on_a_full_disk(cases: &Cases, line: &str) -> Output {
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

/// Starts a line and sends the signal once something has appeared in the folder.
fn stopped(cases: &Cases, line: &str, signal: &str) -> Output {
    let entries = || fs::read_dir(cases.at.path("")).unwrap().count();
    let before = entries();
    let mut child = cases.at.ltv(line);
    let child = child.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    while entries() == before && child.try_wait().unwrap().is_none() {
        sleep(Duration::from_millis(1));
    }
    if child.try_wait().unwrap().is_none() {
        let id = child.id().to_string();
        Command::new("kill").args([signal, &id]).status().unwrap();
    }
    child.wait_with_output().unwrap()
}

const LONG: &[(&str, &str)] = &[
    (
        "simulate",
        "simulate --users 10000000 --shard-users 1000 --quiet --out big",
    ),
    (
        "train",
        "train --quiet --data data --epochs 10000 --patience 1000 \
         --checkpoint part --checkpoint-steps 1 --out new.ltv",
    ),
    (
        "score",
        "score --quiet --model model.ltv --data many --out snap",
    ),
];

/// As `with_trained`, and a dataset that takes a while to score.
fn with_many() -> Cases {
    let cases = with_trained();
    cases.at.ok("simulate --users 20000 --quiet --out crowd");
    let features = SIMULATED
        .replace("sim/", "crowd/")
        .replace("--partitions 1", "--partitions 20");
    cases.at.ok(&format!("{features} --out many"));
    cases
}

#[test]
fn a_stopped_program_leaves_nothing() {
    let mut cases = with_many();
    for (what, line) in LONG {
        for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
            let before = cases.at.everything();
            let output = stopped(&cases, line, signal);
            let error = support::text(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{what}: {error}");
            // A checkpoint is there to be left, and so are finished parts.
            let _ = fs::remove_file(cases.at.path("part"));
            let _ = fs::remove_dir_all(cases.at.path(".ltv-part-snap"));
            cases.unchanged(what, &before);
            cases.add(&format!("{what}, {signal}"), line, &error);
        }
    }
    cases.check("stopped", 6);
}

/// Nobody can tidy up after SIGKILL; but nothing looks finished, and the next run does not mind.
#[test]
fn a_killed_program_leaves_nothing_that_looks_finished() {
    let cases = with_many();
    let line = "score --quiet --model model.ltv --data many --out snap";
    let output = stopped(&cases, line, "-KILL");
    assert_eq!(output.status.code(), None);
    assert!(!cases.at.path("snap").exists());
    cases.at.ok(line);
    cases.at.ok("inspect snap --verify");
}
