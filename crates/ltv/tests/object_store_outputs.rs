//! Snapshots and datasets that are written to an object store, through the real binary and a real server with the
//! S3 API, where one is installed.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "support/gate.rs"]
mod gate;
#[path = "support/store.rs"]
mod store;
mod support;

use gate::Gate;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    thread::sleep,
    time::{Duration, Instant},
};
use store::{KEY, SECRET, Store, refusal};
use support::{Workspace, text};

const FEATURES: &str =
    "features --preset simulator --events sim/events --users sim/users --quiet --partitions 12";
const SCORE: &str = "score --model model.ltv --data data --file-rows 1 --quiet";
const SNAP: &str = "s3://lake/out/snap";

/// A workspace with events, users, a dataset of twelve files and a model.
fn workspace() -> Workspace {
    let at = Workspace::new();
    at.ok("simulate --users 600 --quiet --out sim");
    at.ok(&format!("{FEATURES} --as-of 2024-04-01 --out data"));
    at.ok("train --data data --epochs 1 --quiet --out model.ltv");
    fs::create_dir(at.path("tmp")).unwrap();
    at
}

/// The binary with a folder of its own for temporary files.
fn ltv(store: &Store, at: &Workspace, line: &str) -> Command {
    let mut command = store.ltv(at, line);
    command.env("TMPDIR", at.path("tmp"));
    command
}

fn ok(mut command: Command) -> String {
    let output = command.output().unwrap();
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{command:?}\n{errors}");
    for hush in [KEY, SECRET] {
        assert!(!errors.contains(hush), "{errors}");
    }
    text(&output.stdout)
}

fn failed(mut command: Command) -> String {
    refusal(&command.output().unwrap())
}

/// An artefact: its manifest without what the names of files say of their content, and the files in its order.
type Artefact = (Value, Vec<Vec<u8>>);

fn artefact(files: &BTreeMap<PathBuf, Vec<u8>>) -> Artefact {
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
fn alone(store: &Store, prefix: &str) -> Artefact {
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

fn local(at: &Workspace, name: &str) -> Artefact {
    artefact(&at.files(name))
}

/// Nothing is left of an upload on this machine, or half done in the store.
fn nothing_is_left(store: &Store, at: &Workspace) {
    let left: Vec<_> = fs::read_dir(at.path("tmp")).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    let halves = fs::read_dir(store.root()).unwrap().flatten();
    let halves = halves.map(|e| e.file_name().to_string_lossy().into_owned());
    let mut halves = halves.filter(|name| name.starts_with(".upload"));
    assert_eq!(halves.next(), None);
}

#[test]
fn a_snapshot_in_a_store_is_the_one_in_a_folder() {
    let Some(store) = Store::start() else { return };
    let at = workspace();
    at.ok(&format!("{SCORE} --out near"));
    let median = "--decoding median";
    at.ok(&format!("{SCORE} {median} --out other"));
    for threads in [1, 2] {
        let prefix = format!("out/snap{threads}");
        let line = format!("{SCORE} --threads {threads} --out s3://lake/{prefix}");
        let said = ok(ltv(&store, &at, &line));
        assert!(
            said.starts_with(&format!("s3://lake/{prefix}: a snapshot")),
            "{said}"
        );
        assert!(alone(&store, &prefix) == local(&at, "near"));
        ok(ltv(&store, &at, &format!("{line} {median}")));
        assert!(
            alone(&store, &prefix) == local(&at, "other"),
            "not replaced"
        );
    }
    nothing_is_left(&store, &at);
    // A whole bucket, and a snapshot that others uploaded.
    fs::create_dir(store.path("../pond")).unwrap();
    ok(ltv(&store, &at, &format!("{SCORE} --out s3://pond")));
    assert!(alone(&store, "../pond") == local(&at, "near"));
    store.upload(&at, "other", "uploaded");
    ok(ltv(
        &store,
        &at,
        &format!("{SCORE} --out s3://lake/uploaded/"),
    ));
    assert!(alone(&store, "uploaded") == local(&at, "near"));
}

#[test]
fn snapshots_are_read_where_they_are() {
    let Some(store) = Store::start() else { return };
    let at = workspace();
    for (out, more) in [("old", ""), ("new", " --decoding median")] {
        at.ok(&format!("{SCORE}{more} --out {out}"));
        ok(ltv(
            &store,
            &at,
            &format!("{SCORE}{more} --out s3://lake/{out}"),
        ));
    }
    let near = at.ok("diff old new --quiet --json");
    for (old, new) in [("s3://lake/old", "s3://lake/new"), ("old", "s3://lake/new")] {
        let far = ok(ltv(
            &store,
            &at,
            &format!("diff {old} {new} --quiet --json"),
        ));
        assert_eq!(far, near);
    }
    let said = ok(ltv(&store, &at, "inspect s3://lake/new/ --verify"));
    assert!(said.starts_with("s3://lake/new: a snapshot"), "{said}");
    assert!(said.contains("verified"), "{said}");
    store.upload(&at, "sim", "sim");
    let said = ok(ltv(&store, &at, "inspect s3://lake/sim --verify"));
    assert!(
        said.starts_with("s3://lake/sim: a simulation") && said.contains("verified"),
        "{said}"
    );
    // A byte of one of its files is another.
    let name = store
        .objects("new")
        .into_keys()
        .find(|n| n.extension().unwrap() == "parquet");
    let path = store.path("new").join(name.unwrap());
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let error = failed(ltv(&store, &at, "inspect s3://lake/new --verify"));
    assert!(
        error.contains("checksum") && error.contains("s3://lake/new/part-"),
        "{error}"
    );
    fs::write(&path, &bytes[1..]).unwrap();
    for line in [
        "inspect s3://lake/new --verify",
        "diff old s3://lake/new --quiet",
    ] {
        let error = failed(ltv(&store, &at, line));
        assert!(
            error.contains("cut short") && error.contains("s3://lake/new/part-"),
            "{error}"
        );
    }
    for line in ["inspect s3://lake/none", "diff old s3://lake/none"] {
        let error = failed(ltv(&store, &at, line));
        assert!(
            error.contains("s3://lake/none") && error.contains("manifest.json"),
            "{error}"
        );
    }
}

#[test]
fn users_of_an_event_log_are_scored_into_a_store() {
    let Some(store) = Store::start() else { return };
    let at = workspace();
    let line = "score --model model.ltv --events sim/events --users sim/users --features data \
                --as-of 2024-04-01 --quiet";
    at.ok(&format!("{line} --out near"));
    fs::create_dir(at.path("scratch")).unwrap();
    for more in ["", " --scratch scratch"] {
        ok(ltv(&store, &at, &format!("{line}{more} --out {SNAP}")));
        assert!(alone(&store, "out/snap") == local(&at, "near"));
        nothing_is_left(&store, &at);
        assert!(fs::read_dir(at.path("scratch")).unwrap().next().is_none());
    }
}

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

/// Ends at the fifth object of the snapshot.
fn at_the_fifth(asked: &str) -> Option<&'static str> {
    (asked.starts_with("PUT /lake/out/snap/part-00004")).then_some("AccessDenied")
}

#[test]
fn what_a_store_refuses_is_one_error_and_the_old_artefact_stays() {
    let Some(store) = Store::start() else { return };
    let at = workspace();
    let median = format!("{SCORE} --decoding median --out {SNAP}");
    ok(ltv(&store, &at, &format!("{SCORE} --out {SNAP}")));
    let before = store.objects("out/snap");

    let none = Gate::start(&store, |asked| {
        asked.starts_with("PUT").then_some("AccessDenied")
    });
    let error = failed(none.before(ltv(&store, &at, &median)));
    for part in ["s3://lake/out/snap/_ltv/", "access denied", "s3:PutObject"] {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(
        none.seen().iter().filter(|a| a.starts_with("PUT")).count(),
        1,
        "after the work"
    );
    assert!(store.objects("out/snap") == before);

    let some = Gate::start(&store, at_the_fifth);
    let error = failed(some.before(ltv(&store, &at, &median)));
    assert!(error.contains("s3://lake/out/snap/part-00004-"), "{error}");
    let during = store.objects("out/snap");
    assert!(
        before
            .iter()
            .all(|(name, bytes)| during.get(name) == Some(bytes))
    );
    nothing_is_left(&store, &at);

    let mut wrong = ltv(&store, &at, &median);
    wrong.env("AWS_SECRET_ACCESS_KEY", "not-the-secret");
    assert!(failed(wrong).contains("SignatureDoesNotMatch"));
    let error = failed(ltv(&store, &at, &format!("{SCORE} --out s3://pond/x")));
    assert!(error.contains("there is no such bucket"), "{error}");

    // What cannot be removed is no reason to say that the snapshot was not made.
    let no_removal = Gate::start(&store, |asked| {
        asked.starts_with("POST").then_some("AccessDenied")
    });
    ok(no_removal.before(ltv(&store, &at, &median)));
    let files = store.objects("out/snap");
    at.ok(&format!("{SCORE} --decoding median --out near"));
    assert!(artefact(&files) == local(&at, "near"));
    assert!(
        before.keys().all(|name| files.contains_key(name)),
        "something was removed"
    );
    ok(ltv(&store, &at, &median));
    assert!(alone(&store, "out/snap") == local(&at, "near"));
}

#[test]
fn strangers_are_not_touched() {
    let Some(store) = Store::start() else { return };
    let at = workspace();
    let features = format!("{FEATURES} --as-of 2024-04-01 --out {SNAP}");
    let score = format!("{SCORE} --out {SNAP}");
    // Of another program, although it is called like ours: no manifest, no record.
    for name in [
        "notes.txt",
        "a/b",
        "part-00000-0f3a9c51d2e84b67.parquet",
        "_ltv/notes.json",
    ] {
        let path = store.path("out/snap").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "mine").unwrap();
        for line in [&features, &score] {
            let error = failed(ltv(&store, &at, line));
            assert!(
                error.contains(&format!("'{name}'")) && error.contains(SNAP),
                "{error}"
            );
        }
        assert_eq!(store.objects("out/snap").len(), 1);
        fs::remove_dir_all(store.path("out/snap")).unwrap();
    }
    // Beside an artefact of ours.
    ok(ltv(&store, &at, &score));
    fs::write(store.path("out/snap/notes.txt"), "mine").unwrap();
    let before = store.objects("out/snap");
    assert!(failed(ltv(&store, &at, &score)).contains("'notes.txt'"));
    fs::remove_file(store.path("out/snap/notes.txt")).unwrap();
    // An artefact of another kind.
    let error = failed(ltv(&store, &at, &features));
    assert!(
        error.contains("this is a 'ltv-snapshot', not a 'ltv-dataset'"),
        "{error}"
    );
    store.upload(&at, "data", "data");
    let error = failed(ltv(&store, &at, &format!("{SCORE} --out s3://lake/data")));
    assert!(
        error.contains("this is a 'ltv-dataset', not a 'ltv-snapshot'"),
        "{error}"
    );
    let after = store.objects("out/snap");
    assert!(
        after
            .iter()
            .all(|(name, bytes)| before.get(name) == Some(bytes))
    );
    assert_eq!(store.objects("data"), at.files("data"));
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
    ok(ltv(&store, &at, &mean));
    at.ok(&format!("{SCORE} --out near"));
    assert!(alone(&store, "out/snap") == local(&at, "near"));
}

#[test]
fn stores_that_know_no_conditions_are_written_to() {
    let Some(store) = Store::start() else { return };
    let at = workspace();
    let line = format!("{SCORE} --out {SNAP}");
    for _ in ["nothing was there", "a snapshot was there"] {
        let before = Mutex::new(0);
        let gate = Gate::start(&store, move |asked| {
            let mut before = before.lock().unwrap();
            let manifest = asked == "PUT /lake/out/snap/manifest.json";
            *before += usize::from(manifest);
            (manifest && *before == 1).then_some("NotImplemented")
        });
        ok(gate.before(ltv(&store, &at, &line)));
        ok(ltv(&store, &at, "inspect s3://lake/out/snap --verify"));
    }
    let mut told = ltv(&store, &at, &format!("{line} --decoding median"));
    told.env("AWS_CONDITIONAL_PUT", "disabled")
        .env("AWS_CHECKSUM_ALGORITHM", "sha256");
    ok(told);
    at.ok(&format!("{SCORE} --decoding median --out near"));
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

#[test]
fn large_files_go_up_in_pieces() {
    let Some(store) = Store::start() else { return };
    let at = Workspace::new();
    fs::create_dir(at.path("tmp")).unwrap();
    let horizons = "10,20,30,40,50,60,70,80,90,100,110,120";
    for (users, out) in [(500, "small"), (32_000, "data")] {
        at.ok(&format!(
            "simulate --users {users} --days 30 --quiet --out sim"
        ));
        let features = FEATURES.replace("--partitions 12", "--partitions 1");
        at.ok(&format!(
            "{features} --as-of 2024-04-01 --horizons {horizons} --out {out}"
        ));
        fs::remove_dir_all(at.path("sim")).unwrap();
    }
    at.ok("train --data small --epochs 1 --quiet --out model.ltv");
    let line = SCORE.replace("--file-rows 1", "--file-rows 32000");
    at.ok(&format!("{line} --out near"));
    let large = fs::metadata(at.path("near/part-00000.parquet"))
        .unwrap()
        .len();
    assert!(large > 8 << 20, "{large} bytes go up in one piece");
    let line = format!("{line} --out {SNAP}");

    let refuse = |asked: &str| asked.contains("partNumber=2&").then_some("AccessDenied");
    let gate = Gate::start(&store, refuse);
    let error = failed(gate.before(ltv(&store, &at, &line)));
    for part in ["s3://lake/out/snap/part-00000-", "s3:PutObject"] {
        assert!(error.contains(part), "{error}");
    }
    let ended = |asked: &String| asked.starts_with("DELETE ") && asked.contains("uploadId=");
    assert!(
        gate.seen().iter().any(ended),
        "pieces are left, and paid for"
    );
    assert_eq!(store.objects("out/snap").len(), 1, "more than the purpose");
    nothing_is_left(&store, &at);

    let gate = Gate::start(&store, |_| None);
    ok(gate.before(ltv(&store, &at, &line)));
    let seen = gate.seen();
    let pieces = seen.iter().filter(|asked| asked.contains("partNumber="));
    assert_eq!(pieces.count() as u64, large.div_ceil(8 << 20));
    assert!(alone(&store, "out/snap") == local(&at, "near"));
    nothing_is_left(&store, &at);
}

#[test]
fn a_dataset_in_a_store_is_the_one_in_a_folder() {
    let Some(store) = Store::start() else { return };
    let at = workspace();
    let line = format!("{FEATURES} --as-of 2024-04-01 --out s3://lake/sets/data");
    let said = ok(ltv(&store, &at, &line));
    assert!(said.starts_with("s3://lake/sets/data: a dataset"), "{said}");
    assert!(alone(&store, "sets/data") == local(&at, "data"));
    nothing_is_left(&store, &at);
    ok(ltv(
        &store,
        &at,
        "train --data s3://lake/sets/data --epochs 1 --quiet --out far.ltv",
    ));
    assert!(fs::read(at.path("far.ltv")).unwrap() == fs::read(at.path("model.ltv")).unwrap());
    ok(ltv(
        &store,
        &at,
        &format!(
            "{} --out {SNAP}",
            SCORE.replace("--data data", "--data s3://lake/sets/data")
        ),
    ));
    at.ok(&format!("{SCORE} --out near"));
    assert!(alone(&store, "out/snap") == local(&at, "near"));
    // As of another day, on one thread: the old files go.
    let other = FEATURES.replace("--partitions 12", "--partitions 3 --threads 1");
    at.ok(&format!("{other} --as-of 2024-03-01 --out other"));
    let scratch = "--scratch new/scratch";
    ok(ltv(
        &store,
        &at,
        &format!("{other} {scratch} --as-of 2024-03-01 --out s3://lake/sets/data"),
    ));
    assert!(alone(&store, "sets/data") == local(&at, "other"));
    assert!(
        fs::read_dir(at.path("new/scratch"))
            .unwrap()
            .next()
            .is_none()
    );
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
fn a_dataset_that_fails_leaves_nothing() {
    let Some(store) = Store::start() else { return };
    let at = workspace();
    let line = format!("{FEATURES} --as-of 2024-04-01 --out {SNAP}");
    let gate = Gate::start(&store, at_the_fifth);
    let error = failed(gate.before(ltv(&store, &at, &line)));
    assert!(error.contains("s3://lake/out/snap/part-00004-"), "{error}");
    assert!(
        store.objects("out").is_empty(),
        "{:?}",
        store.objects("out").keys()
    );
    stopped(ltv(&store, &at, &line), || {
        store.objects("out/snap").len() > 2
    });
    assert!(
        store.objects("out").is_empty(),
        "{:?}",
        store.objects("out").keys()
    );
    // Nor of a dataset that is there anything but what it was.
    let other = line.replace("04-01", "03-01");
    ok(ltv(&store, &at, &other));
    let before = store.objects("out");
    failed(gate.before(ltv(&store, &at, &line)));
    assert!(store.objects("out") == before);
    nothing_is_left(&store, &at);
}
