//! Snapshots go live, come back, and are refused.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::{
    behaviour::{self, ids},
    testing::{numbers, put},
};
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

fn store() -> (TempDir, Embedded) {
    let at = tempfile::tempdir().unwrap();
    let store = Embedded::open(at.path().join("new/store")).unwrap();
    (at, store)
}

fn versions(store: &Embedded) -> usize {
    fs::read_dir(store.folder.join(VERSIONS)).unwrap().count()
}

#[test]
fn a_snapshot_is_found_as_it_was() {
    behaviour::a_snapshot_is_found_as_it_was(&store().1);
}

#[test]
fn versions_change_places_and_come_back() {
    let (_at, store) = store();
    behaviour::versions_change_places_and_come_back(&store);
    assert_eq!(versions(&store), 2);
}

#[test]
fn what_cannot_be_published_leaves_the_old_version_live() {
    let (_at, store) = store();
    behaviour::what_cannot_be_published_leaves_the_old_version_live(&store);
    behaviour::drafts_vanish(&store).unwrap();
    assert_eq!(versions(&store), 1, "drafts leave nothing behind");
}

#[test]
fn values_alone() {
    behaviour::values_alone(&store().1);
}

#[test]
fn users_vanish() {
    let (_at, store) = store();
    behaviour::users_vanish(&store);
    assert_eq!(versions(&store), 1);
    behaviour::a_status_goes_with_its_last_user(&self::store().1);
}

/// Neither keys nor what a killed process left stays in any file; who reads meanwhile goes on.
#[test]
fn nothing_is_left_on_disk() {
    let (_at, store) = store();
    let all: Vec<i64> = (0..2000).map(|i| i * 1_000_003).collect();
    let user = 1234 * 1_000_003;
    for day in ["2024-01-01", "2024-01-02"] {
        put(&store, day, &[numbers(&all, 1.0)]).unwrap();
    }
    let left = store.folder.join(VERSIONS);
    fs::create_dir_all(left.join(".ltv-gone-x")).unwrap();
    fs::create_dir_all(left.join(".ltv-work-x/new")).unwrap();
    fs::write(left.join(".ltv-work-x/lock"), "").unwrap();
    let reader = Embedded::open(&store.folder).unwrap();
    let mut key = vec![];
    UserId::Number(user).key(&mut key);
    let files = || {
        let versions = fs::read_dir(&left).unwrap().map(|e| e.unwrap().path());
        let versions: Vec<PathBuf> = versions.filter(|path| path.join(DATA).exists()).collect();
        let holds = |path: &PathBuf| {
            let bytes = fs::read(path.join(DATA)).unwrap();
            bytes.windows(key.len()).any(|window| window == key)
        };
        versions.iter().map(holds).collect::<Vec<bool>>()
    };
    assert_eq!(files(), [true, true]);
    let gone = [UserId::Number(user)];
    crate::forget(&store, &gone, false, &ltv_core::progress::Silent).unwrap();
    assert_eq!(files(), [false, false]);
    assert_eq!(versions(&store), 2, "nothing else is left");
    assert!(reader.get(&gone).unwrap().predictions[0].is_some());
    assert!(reader.refresh().unwrap());
    assert_eq!(reader.get(&gone).unwrap().predictions, [None]);
    // What is not ours to remove is named.
    fs::create_dir(left.join(".copy")).unwrap();
    let error = crate::forget(&store, &gone, false, &ltv_core::progress::Silent);
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains(".copy") && error.contains("remove it"),
        "{error}"
    );
}

#[test]
fn readers_follow() {
    let (_at, store) = store();
    let reader = Embedded::open(&store.folder).unwrap();
    behaviour::readers_follow(&store, &reader);
}

#[test]
fn the_version_before_is_known() {
    let (_at, store) = store();
    let reader = Embedded::open(&store.folder).unwrap();
    behaviour::the_version_before_is_known(&store, &reader);
    // One that is damaged is no version, and hides nothing of the one that is live.
    put(&store, "2024-01-04", &[numbers(&[1], 1.0)]).unwrap();
    let before = store.previous().unwrap().unwrap();
    fs::write(store.at(&before.id).join(DOCUMENT), "{").unwrap();
    assert!(store.previous().is_err());
    assert_eq!(store.live().unwrap().as_of.to_string(), "2024-01-04");
}

#[test]
fn texts_are_ids_too() {
    behaviour::texts_are_ids_too(&store().1);
}

#[test]
fn what_is_no_store_is_refused() {
    let at = tempfile::tempdir().unwrap();
    fs::write(at.path().join("mine"), "").unwrap();
    let store = Embedded::open(at.path()).unwrap();
    let error = put(&store, "2024-01-01", &[numbers(&[1], 1.0)]).unwrap_err();
    assert!(error.to_string().contains("holds 'mine'"), "{error}");
    fs::remove_file(at.path().join("mine")).unwrap();
    put(&store, "2024-01-01", &[numbers(&[1], 1.0)]).unwrap();
    drop(store);
    let pointer = at.path().join(POINTER);
    fs::write(&pointer, r#"{"format": "ltv-store", "version": 2}"#).unwrap();
    let error = Embedded::open(at.path()).err().unwrap().to_string();
    assert!(error.contains("version"), "{error}");
    fs::write(&pointer, "{").unwrap();
    assert!(Embedded::open(at.path()).is_err());
}

#[test]
fn one_publishes_at_a_time() {
    let at = tempfile::tempdir().unwrap();
    let store = Embedded::open(at.path()).unwrap();
    let hold = store.hold().unwrap();
    let error = put(&store, "2024-01-01", &[numbers(&[1], 1.0)]).unwrap_err();
    assert!(error.to_string().contains("another process"), "{error}");
    assert!(crate::publish::roll_back(&store).is_err());
    drop(hold);
    // What a killed process left of a pointer, or of a version that was being removed, is in nobody's way.
    fs::write(at.path().join(".partial-x"), "").unwrap();
    fs::create_dir_all(at.path().join(VERSIONS).join(".ltv-gone-x")).unwrap();
    put(&store, "2024-01-01", &[numbers(&[1], 1.0)]).unwrap();
    assert_eq!(fs::read_dir(at.path().join(VERSIONS)).unwrap().count(), 1);
}

/// A reader goes on while versions change, and no answer is of two of them.
#[test]
fn answers_are_of_one_version() {
    let at = tempfile::tempdir().unwrap();
    let publisher = Embedded::open(at.path()).unwrap();
    let everybody: Vec<i64> = (1..200).collect();
    let publish = |turn: u32| {
        let day = format!("2024-01-{:02}", turn + 1);
        put(&publisher, &day, &[numbers(&everybody, f64::from(turn))]).unwrap();
    };
    publish(1);
    let reader = Embedded::open(at.path()).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let read = scope.spawn(|| {
            let mut seen = std::collections::BTreeSet::new();
            while !done.load(std::sync::atomic::Ordering::Relaxed) || seen.len() < 2 {
                // The first answer is of the version that was live when the reader came.
                let answer = reader.get(&ids(1..200)).unwrap();
                let first = answer.predictions[0].as_ref().unwrap().numbers[0];
                for (id, found) in (1..200).zip(&answer.predictions) {
                    let expected = if id % 3 == 0 { 0.0 } else { id as f32 * first };
                    assert_eq!(found.as_ref().unwrap().numbers[0], expected);
                }
                seen.insert(first as u32);
                reader.refresh().unwrap();
            }
            seen
        });
        (2..25).for_each(publish);
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        read.join().unwrap()
    });
    assert!(seen.len() > 1, "{seen:?}");
}

/// What is damaged on disk is never taken for a prediction.
#[test]
fn damage_is_noticed() {
    let at = tempfile::tempdir().unwrap();
    let at_path = at.path();
    let store = Embedded::open(at.path()).unwrap();
    let many: Vec<i64> = (0..1000).collect();
    let published = put(&store, "2024-01-01", &[numbers(&many, 1.0)]).unwrap();
    let file = store.at(&published.version.id).join("data.mdb");
    drop(store);
    let whole = fs::read(&file).unwrap();
    for at in [0, 5000, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&file, bytes).unwrap();
        let error = Embedded::open_checked(at_path).err().unwrap().to_string();
        assert!(error.contains("data.mdb: its checksum"), "{error}");
    }
    // A copy that ended early.
    fs::write(&file, &whole[..whole.len() - 4096]).unwrap();
    let error = Embedded::open(at_path).err().unwrap().to_string();
    assert!(error.contains("cut short"), "{error}");
    // Published again, it is loaded again; and whoever may read one file may read the other.
    let again = put(
        &Embedded::to_publish(at_path),
        "2024-01-01",
        &[numbers(&many, 1.0)],
    )
    .unwrap();
    assert!(!again.was_there);
    drop(Embedded::open_checked(at_path).unwrap());
    let mode = |name: &str| {
        fs::metadata(file.with_file_name(name))
            .unwrap()
            .permissions()
    };
    assert_eq!(mode(DATA), mode(DOCUMENT));
    fs::write(&file, "short").unwrap();
    let error = Embedded::open(at.path()).err().unwrap().to_string();
    assert!(error.contains("data.mdb"), "{error}");
}

/// Documents that say what cannot be are refused, whatever their checksums.
#[test]
fn documents_that_contradict_themselves_are_refused() {
    let at = tempfile::tempdir().unwrap();
    let store = Embedded::open(at.path()).unwrap();
    let published = put(&store, "2024-01-01", &[numbers(&[1, 2], 1.0)]).unwrap();
    let document = store.at(&published.version.id).join(DOCUMENT);
    drop(store);
    let open = || Embedded::open(at.path()).err().map(|e| e.to_string());
    let whole: serde_json::Value = artefact::read_json(&document).unwrap();
    let most = u64::MAX;
    for (place, value) in [
        ("/id", json!("2024-01-02-aaaaaaaaaaaaaaaa")),
        ("/rows", json!(3)),
        ("/segments/active/rows", json!(most)),
        ("/segments/active/means/0", json!(-1.0)),
        ("/segments/active/means/0", json!(1e39)),
        ("/spread/0/zeros", json!(most)),
        ("/spread/0/largest", json!(-1.0)),
        ("/spread", json!([])),
    ] {
        let mut edited = whole.clone();
        *edited.pointer_mut(place).unwrap() = value;
        artefact::write_json(&document, &edited).unwrap();
        let error = open().expect(place);
        assert!(error.contains("contradicts itself"), "{place}: {error}");
    }
    artefact::write_json(&document, &whole).unwrap();
    assert_eq!(open(), None);
    for name in ["../versions/x", ".hidden", "", "a/b", "a\\b"] {
        let pointer = Pointer::new(name, None);
        artefact::write_json(at.path().join(POINTER), &pointer).unwrap();
        let error = open().expect(name);
        assert!(error.contains("no version's name"), "{name}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn everybody_is_found(ids in prop::collection::hash_set(any::<i64>(), 0..300)) {
        let ids: Vec<i64> = ids.into_iter().collect();
        behaviour::everybody_is_found(&store().1, "2024-01-01", &ids);
    }
}
