//! Runs to an object store that are killed, stopped or disturbed by others, through the real binary and a real
//! server with the S3 API, where one is installed.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "support/gate.rs"]
mod gate;
#[path = "support/outputs.rs"]
mod outputs;
#[path = "support/store.rs"]
mod store;
mod support;

use gate::Gate;
use outputs::{
    FEATURES, SCORE, SNAP, alone, artefact, at_the_fifth, failed, local, ltv, nothing_is_left, ok,
    workspace,
};
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::Mutex,
    thread::sleep,
    time::{Duration, Instant},
};
use store::Store;
use support::Workspace;

/// Kills re-runs of `lines`, which write different artefacts: readers see the old one or the new one.
fn survives(store: &Store, at: &Workspace, lines: [&str; 2]) {
    const KILLS: u32 = 14;
    let mut wanted = vec![];
    let mut whole = Duration::ZERO;
    for (i, line) in lines.iter().enumerate() {
        let started = Instant::now();
        ok(ltv(store, at, &format!("{line} --out s3://lake/wanted{i}")));
        whole = whole.max(started.elapsed());
        wanted.push(alone(store, &format!("wanted{i}")));
    }
    assert!(wanted[0] != wanted[1]);
    let mut now = None;
    for turn in 0..KILLS {
        let next = turn as usize / 2 % 2;
        let mut command = ltv(store, at, &format!("{} --out {SNAP}", lines[next]));
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        sleep(whole * (turn * 5 % KILLS + 1) / KILLS);
        // It may have ended by itself.
        let _ = child.kill();
        child.wait().unwrap();
        let files = store.objects("out/snap");
        let found = files
            .contains_key(Path::new("manifest.json"))
            .then(|| artefact(&files));
        assert!(
            found == now || found.as_ref() == Some(&wanted[next]),
            "after kill {turn} there is neither the old artefact nor the new one"
        );
        now = found;
    }
    ok(ltv(store, at, &format!("{} --out {SNAP}", lines[0])));
    assert!(alone(store, "out/snap") == wanted[0]);
    nothing_is_left(store, at);
}

#[test]
fn a_snapshot_survives_being_replaced() {
    let Some(store) = Store::start() else { return };
    let at = workspace();
    survives(&store, &at, [SCORE, &format!("{SCORE} --decoding median")]);
}

#[test]
fn a_dataset_survives_being_replaced() {
    let Some(store) = Store::start() else { return };
    let at = workspace();
    let lines = ["2024-01-01", "2024-04-01"].map(|day| format!("{FEATURES} --as-of {day}"));
    survives(&store, &at, [&lines[0], &lines[1]]);
}

/// The numbers of the parts that have a record in the store.
fn records(store: &Store) -> BTreeSet<String> {
    let names = store.objects("out/snap/_ltv").into_keys();
    let names = names.filter(|name| name.extension().is_some_and(|e| e == "json"));
    names
        .map(|name| name.file_stem().unwrap().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_killed_scoring_goes_on_with_what_is_missing() {
    let Some(store) = Store::start() else { return };
    let at = workspace();
    at.ok(&format!("{SCORE} --out near"));
    let gate = Gate::start(&store, |_| None);
    let line = format!("{SCORE} --threads 2 --out {SNAP}");
    let command = || gate.before(ltv(&store, &at, &line));
    let (mut there, mut kills) = (BTreeSet::new(), 0);
    loop {
        let mut child = command().stdout(Stdio::null()).spawn().unwrap();
        let more = there.len() + 2;
        while records(&store).len() < more && child.try_wait().unwrap().is_none() {
            sleep(Duration::from_millis(1));
        }
        let _ = child.kill();
        child.wait().unwrap();
        let sent = gate.seen();
        for part in &there {
            let again = format!("PUT /lake/out/snap/{part}-");
            assert!(
                !sent.iter().any(|asked| asked.starts_with(&again)),
                "{part} again"
            );
        }
        let now = records(&store);
        if store.path("out/snap/manifest.json").exists() || kills == 4 {
            break;
        }
        assert!(now.is_superset(&there), "a finished part was lost");
        (there, kills) = (now, kills + 1);
    }
    assert!(kills > 1, "killed {kills} times only");
    ok(command());
    assert!(alone(&store, "out/snap") == local(&at, "near"));
    nothing_is_left(&store, &at);
}

/// Runs `line` while another run, `other`, commits between its last look and its manifest.
fn overtaken(store: &Store, at: &Workspace, line: &str, other: &str) -> String {
    let other = Mutex::new(ltv(store, at, other));
    let gate = Gate::start(store, move |asked| {
        if asked == "PUT /lake/out/snap/manifest.json" {
            assert!(other.lock().unwrap().output().unwrap().status.success());
        }
        None
    });
    failed(gate.before(ltv(store, at, line)))
}

#[test]
fn of_two_runs_at_once_one_is_refused() {
    let Some(store) = Store::start() else { return };
    let at = workspace();
    let [mean, median, high] = ["expectation", "median", "quantile:0.9"]
        .map(|decoding| format!("{SCORE} --decoding {decoding} --out {SNAP}"));
    at.ok(&format!("{SCORE} --decoding median --out near"));
    for begins_with in ["nothing", "a snapshot"] {
        let error = overtaken(&store, &at, &mean, &median);
        assert!(
            error.contains("snap/manifest.json: it was replaced"),
            "{error}"
        );
        assert!(
            alone(&store, "out/snap") == local(&at, "near"),
            "{begins_with}"
        );
        ok(ltv(&store, &at, &high));
    }
    // The very manifest that was there is put again, and the other run's files are removed.
    ok(ltv(&store, &at, &median));
    let error = overtaken(&store, &at, &mean, &median);
    assert!(
        error.contains("part-00000-") && error.contains("it is gone"),
        "{error}"
    );
    // The manifest that was there is there again: its files are.
    assert!(artefact(&store.objects("out/snap")) == local(&at, "near"));
    ok(ltv(&store, &at, &mean));
    at.ok(&format!("{SCORE} --out near"));
    assert!(alone(&store, "out/snap") == local(&at, "near"));
}

#[test]
fn a_file_that_is_taken_away_is_missed() {
    let Some(store) = Store::start() else { return };
    let at = workspace();
    ok(ltv(
        &store,
        &at,
        &format!("{SCORE} --decoding median --out {SNAP}"),
    ));
    at.ok(&format!("{SCORE} --decoding median --out near"));
    let line = format!("{SCORE} --threads 1 --out {SNAP}");
    let before = store.objects("out/snap");
    let folder = store.path("out/snap");
    let gate = Gate::start(&store, move |asked| {
        if asked.starts_with("PUT") && asked.ends_with("part-00003.json") {
            let mut names = fs::read_dir(&folder)
                .unwrap()
                .flatten()
                .map(|e| e.file_name());
            let new = names.find(|name| {
                name.to_string_lossy().starts_with("part-00003-")
                    && !before.contains_key(Path::new(name))
            });
            fs::remove_file(folder.join(new.unwrap())).unwrap();
        }
        None
    });
    let error = failed(gate.before(ltv(&store, &at, &line)));
    assert!(
        error.contains("part-00003-") && error.contains("it is gone"),
        "{error}"
    );
    assert!(artefact(&store.objects("out/snap")) == local(&at, "near"));
    // The next run makes that one alone.
    gate.seen();
    let again = Gate::start(&store, |_| None);
    ok(again.before(ltv(&store, &at, &line)));
    let sent = again.seen();
    let sent: Vec<_> = sent
        .iter()
        .filter(|a| a.starts_with("PUT /lake/out/snap/part-"))
        .collect();
    assert!(
        matches!(sent.as_slice(), [one] if one.contains("part-00003-")),
        "{sent:?}"
    );
    at.ok(&format!("{SCORE} --out near"));
    assert!(alone(&store, "out/snap") == local(&at, "near"));
}

/// Asks a process to stop as soon as something holds.
fn stopped(mut command: Command, when: impl Fn() -> bool) {
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    while !when() {
        assert!(child.try_wait().unwrap().is_none(), "over before");
        sleep(Duration::from_millis(1));
    }
    let mut kill = Command::new("kill");
    assert!(
        kill.args(["-TERM", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(128 + 15));
}

#[test]
fn a_dataset_that_fails_changes_nothing() {
    let Some(store) = Store::start() else { return };
    let at = workspace();
    let line = format!("{FEATURES} --as-of 2024-04-01 --out {SNAP}");
    let other = line.replace("04-01", "03-01");
    at.ok(&format!("{FEATURES} --as-of 2024-04-01 --out near"));
    let gate = Gate::start(&store, at_the_fifth);
    let error = failed(gate.before(ltv(&store, &at, &line)));
    assert!(error.contains("s3://lake/out/snap/part-00004-"), "{error}");
    fs::remove_dir_all(store.path("out/snap")).unwrap();
    stopped(ltv(&store, &at, &line), || {
        store.objects("out/snap").len() > 2
    });
    // What is there is no artefact, and goes with the next that is.
    let objects = store.objects("out");
    let mut names = objects.keys();
    assert!(!names.any(|name| name.ends_with("manifest.json")));
    ok(ltv(&store, &at, &line));
    assert!(alone(&store, "out/snap") == local(&at, "near"));
    // Nor of a dataset that is there anything but what it was.
    ok(ltv(&store, &at, &other));
    let before = store.objects("out");
    failed(gate.before(ltv(&store, &at, &line)));
    let after = store.objects("out");
    assert!(
        before
            .iter()
            .all(|(name, bytes)| after.get(name) == Some(bytes))
    );
    ok(ltv(&store, &at, &line));
    assert!(alone(&store, "out/snap") == local(&at, "near"));
    nothing_is_left(&store, &at);
}
