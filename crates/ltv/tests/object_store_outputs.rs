//! Snapshots and datasets that are written to an object store, through the real binary and a real server with the
//! S3 API, where one is installed.
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
use std::{fs, sync::Mutex};
use store::Store;
use support::Workspace;

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
