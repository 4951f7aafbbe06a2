//! Processes killed at any moment: what is at `--out` is the old artefact or the new one, whole,
//! or, in a first run, nothing; and the next run leaves nothing of the killed ones behind. And few
//! open files.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread::sleep,
    time::{Duration, Instant, SystemTime},
};
use support::Workspace;

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Kills in one loop.
const KILLS: u32 = 16;

/// Whether a work folder beside the output holds a finished artefact that is about to be moved.
fn about_to_move(place: &Path) -> bool {
    let entries = fs::read_dir(place).unwrap().flatten();
    let hidden = |name: &str| name.starts_with(".ltv-work-") || name.starts_with(".ltv-part-");
    entries
        .filter(|e| hidden(&e.file_name().to_string_lossy()))
        .any(|e| e.path().join("new/manifest.json").exists())
}

/// Every other process dies at its own moment of a run that takes `whole`, the rest around the
/// moment at which the new artefact takes the place of the old one.
fn kill(mut child: Child, at: &Workspace, turn: u32, whole: Duration) {
    let started = Instant::now();
    let due = whole * turn / KILLS;
    let patience = Duration::from_micros(150) * turn;
    while child.try_wait().unwrap().is_none() {
        if turn.is_multiple_of(2) && started.elapsed() >= due {
            break;
        }
        if !turn.is_multiple_of(2) && about_to_move(&at.path("")) {
            sleep(patience);
            break;
        }
        sleep(Duration::from_micros(50));
    }
    // It may have ended by itself.
    let _ = child.kill();
    child.wait().unwrap();
}

/// Kills re-runs of `lines`, which write different artefacts to `out`.
fn survives(at: &Workspace, lines: [&str; 2], out: &str) {
    let mut wanted: Vec<Files> = vec![];
    let mut whole = Duration::ZERO;
    for (i, line) in lines.iter().enumerate() {
        let started = Instant::now();
        at.ok(&format!("{line} --out wanted{i}"));
        whole = whole.max(started.elapsed());
        wanted.push(at.files(&format!("wanted{i}")));
    }
    assert!(wanted[0] != wanted[1]);
    let mut now: Option<Files> = None;
    for turn in 0..KILLS {
        let next = turn as usize / 2 % 2;
        let mut command = at.ltv(&format!("{} --out {out}", lines[next]));
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        kill(child, at, turn, whole);
        let found = at.path(out).exists().then(|| at.files(out));
        assert!(
            found == now || found.as_ref() == Some(&wanted[next]),
            "after kill {turn} there is neither the old artefact nor the new one"
        );
        now = found;
    }
    at.ok(&format!("{} --out {out}", lines[0]));
    assert!(at.files(out) == wanted[0]);
    let left = fs::read_dir(at.path("")).unwrap().flatten();
    let left = left.filter(|e| e.file_name().to_string_lossy().starts_with('.'));
    assert_eq!(left.count(), 0, "work folders are left");
}

fn simulated() -> Workspace {
    let at = Workspace::new();
    at.ok("simulate --users 600 --quiet --out sim");
    at
}

const FEATURES: &str =
    "features --preset simulator --events sim/events --users sim/users --partitions 3 --quiet";

#[test]
fn a_dataset_survives_being_replaced() {
    let at = simulated();
    let lines = ["2024-01-01", "2024-04-01"].map(|day| format!("{FEATURES} --as-of {day}"));
    survives(&at, [&lines[0], &lines[1]], "data");
}

/// The limit that some systems set for a process by default.
#[cfg(unix)]
#[test]
fn few_open_files_are_enough_for_many_parts() {
    let at = simulated();
    let line = FEATURES.replace("--partitions 3", "--partitions 300");
    let script = format!("ulimit -n 256; exec \"$0\" {line} --as-of 2024-01-01 --out data");
    let output = std::process::Command::new("sh")
        .current_dir(at.path(""))
        .args(["-c", &script, env!("CARGO_BIN_EXE_ltv")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", support::text(&output.stderr));
    assert_eq!(at.files("data").len(), 301);
}

#[test]
fn a_snapshot_survives_being_replaced() {
    let at = simulated();
    at.ok(&format!("{FEATURES} --as-of 2024-04-01 --out data"));
    at.ok("train --data data --epochs 1 --quiet --out model.ltv");
    let line = "score --model model.ltv --data data --file-rows 200 --quiet";
    survives(&at, [line, &format!("{line} --decoding median")], "scores");
}

/// What is finished of the snapshot `scores`: its parts with a record, and when each was made.
fn finished(at: &Workspace) -> BTreeMap<PathBuf, SystemTime> {
    let folder = at.path(".ltv-part-scores");
    let records = fs::read_dir(&folder).into_iter().flatten().flatten();
    let records = records
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "json"));
    let part = |record: PathBuf| {
        let name = record.with_extension("parquet");
        let part = folder.join("new").join(name.file_name().unwrap());
        let made = fs::metadata(&part).unwrap().modified().unwrap();
        (part, made)
    };
    records.map(part).collect()
}

/// Ten kills in one scoring: no finished part is lost or made again, and the bytes are those of a run
/// that nobody disturbed.
#[test]
fn a_killed_scoring_goes_on_with_what_is_missing() {
    let at = simulated();
    let features = FEATURES.replace("--partitions 3", "--partitions 40");
    at.ok(&format!("{features} --as-of 2024-04-01 --out data"));
    at.ok("train --data data --epochs 1 --quiet --out model.ltv");
    let line = "score --model model.ltv --data data --file-rows 1 --threads 2 --quiet";
    let started = Instant::now();
    at.ok(&format!("{line} --out whole"));
    let whole = started.elapsed();
    let (mut before, mut kills) = (BTreeMap::new(), 0);
    for turn in 0..100 {
        let mut command = at.ltv(&format!("{line} --out scores"));
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        sleep(whole * (turn % 7) / 10);
        child.kill().unwrap();
        child.wait().unwrap();
        if at.path("scores").exists() {
            break;
        }
        kills += 1;
        let now = finished(&at);
        assert!(
            before
                .iter()
                .all(|(part, made)| now.get(part) == Some(made))
        );
        before = now;
        if kills == 10 {
            break;
        }
    }
    assert!(kills > 2, "killed {kills} times only");
    at.ok(&format!("{line} --out scores"));
    assert!(at.files("scores") == at.files("whole"));
    assert!(!at.path(".ltv-part-scores").exists());
}

#[test]
fn a_simulation_is_whole_or_not_there() {
    let at = Workspace::new();
    let line = "simulate --users 600 --shard-users 150 --quiet --out";
    let started = Instant::now();
    at.ok(&format!("{line} wanted"));
    let whole = started.elapsed();
    let wanted = at.files("wanted");
    for turn in 0..KILLS {
        let out = format!("sim{turn}");
        let mut command = at.ltv(&format!("{line} {out}"));
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        kill(child, &at, turn, whole);
        assert!(!at.path(&out).exists() || at.files(&out) == wanted);
    }
}
