//! Snapshots go live, come back, and are refused.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::testing::{manifest, numbers, put, put_as, replaced, with_ids};
use crate::value::Detail;
use arrow::array::Float64Array;
use proptest::prelude::*;
use std::sync::Arc;

fn ids(range: std::ops::Range<i64>) -> Vec<UserId> {
    range.map(UserId::Number).collect()
}

#[test]
fn a_snapshot_is_found_as_it_was() {
    let at = tempfile::tempdir().unwrap();
    let store = Embedded::open(at.path()).unwrap();
    assert!(store.live().is_none());
    let error = store.get(&ids(0..1)).unwrap_err().to_string();
    assert!(error.contains("ltv publish"), "{error}");
    // Files of a snapshot are ordered by a hash, so that ids come in any order.
    let batches = [
        numbers(&[7, -4, 900], 1.0),
        numbers(&[5, 6, i64::MIN + 1], 1.0),
    ];
    let published = put(&store, "2024-01-01", &batches).unwrap();
    assert_eq!((published.version.rows, published.was_there), (6, false));
    let answer = store
        .get(&[7, 8, 6, i64::MIN + 1].map(UserId::Number))
        .unwrap();
    assert_eq!(answer.version.id, published.version.id);
    let [seven, eight, six, least] = &answer.predictions[..] else {
        panic!("four users were asked for");
    };
    assert_eq!(eight, &None);
    let (seven, six) = (seven.as_ref().unwrap(), six.as_ref().unwrap());
    assert_eq!(answer.version.status(seven.status), "observing");
    assert_eq!(answer.version.status(six.status), "active");
    let expected: Vec<f32> = (0..10).map(|c| 7.0 + c as f32).collect();
    assert_eq!(seven.numbers, expected);
    assert_eq!(six.numbers, [0.0; 10]);
    assert_eq!(
        least.as_ref().unwrap().numbers[0],
        (i64::MIN + 1).unsigned_abs() as f32
    );
    // By hand: -4, 6 and 900 are active, and worth 4, 0 and 0.
    let version = &answer.version;
    assert_eq!(version.segments["active"].rows, 3);
    assert_eq!(version.expected(Some("active")).unwrap()[0], 4.0 / 3.0);
    assert_eq!(version.expected(Some("nobody")), None);
    assert_eq!(version.spread[0].zeros, 2);
    assert_eq!(version.spread[1].quantile(0.5), Spread::edge_of(9.0));
}

use crate::version::Spread;

impl Spread {
    /// The end of the bin of a value.
    fn edge_of(value: f64) -> f64 {
        let mut spread = Spread::default();
        spread.add(value);
        let (&bin, _) = spread.bins.iter().next().unwrap();
        Self::edge(bin)
    }
}

#[test]
fn versions_change_places_and_come_back() {
    let at = tempfile::tempdir().unwrap();
    let store = Embedded::open(at.path().join("new/store")).unwrap();
    let value = |store: &Embedded| {
        let found = store.get(&ids(1..2)).unwrap().predictions;
        found[0].as_ref().unwrap().numbers[0]
    };
    let error = store.roll_back().unwrap_err().to_string();
    assert!(error.contains("no version before"), "{error}");
    for (day, scale) in [
        ("2024-01-01", 1.0),
        ("2024-01-02", 2.0),
        ("2024-01-03", 3.0),
    ] {
        let published = put(&store, day, &[numbers(&[1, 2], scale)]).unwrap();
        assert_eq!(published.before.is_some(), scale > 1.0);
        assert_eq!(value(&store), scale as f32);
    }
    let kept = || fs::read_dir(store.folder.join(VERSIONS)).unwrap().count();
    assert_eq!(kept(), 2);
    assert_eq!(store.roll_back().unwrap().as_of.to_string(), "2024-01-02");
    assert_eq!(value(&store), 2.0);
    assert!(store.roll_back().is_err());
    // The withdrawn version is still there: it goes live without being loaded again.
    let again = put(&store, "2024-01-03", &[numbers(&[1, 2], 3.0)]).unwrap();
    assert!(again.was_there);
    assert_eq!(value(&store), 3.0);
    let same = put(&store, "2024-01-03", &[numbers(&[1, 2], 3.0)]).unwrap();
    assert_eq!((same.before, value(&store)), (None, 3.0));
    assert_eq!(store.roll_back().unwrap().as_of.to_string(), "2024-01-02");
}

#[test]
fn what_cannot_be_published_leaves_the_old_version_live() {
    let at = tempfile::tempdir().unwrap();
    let store = Embedded::open(at.path()).unwrap();
    put(&store, "2024-01-01", &[numbers(&[1, 2], 1.0)]).unwrap();
    let two = numbers(&[1, 2], 2.0);
    let column = |values: Vec<Option<f64>>| {
        replaced(&two, "ltv_30_p50", Arc::new(Float64Array::from(values)))
    };
    let cases = [
        (vec![numbers(&[1, 1], 2.0)], "user 1 has more than one row"),
        (
            vec![numbers(&[1], 2.0), numbers(&[1], 2.0)],
            "user 1 has more than one row",
        ),
        (
            vec![column(vec![Some(1.0), Some(-1.0)])],
            "part-00000.parquet: row 2: ltv_30_p50 = -1.0",
        ),
        (
            vec![column(vec![Some(f64::NAN), Some(1.0)])],
            "row 1: ltv_30_p50 = NaN",
        ),
        (
            vec![column(vec![Some(1e300), Some(1.0)])],
            "row 1: ltv_30_p50 = 1e300",
        ),
        (vec![column(vec![None, Some(1.0)])], "row 1: ltv_30_p50"),
        (
            vec![two.project(&[0, 1, 2]).unwrap()],
            "no column 'ltv_30_p10'",
        ),
        (
            vec![with_ids(&two, vec![Some("a"), None])],
            "row 2: user_id is null",
        ),
        (
            vec![with_ids(&two, vec![Some("a"), Some("")])],
            "row 2: a user_id of 0 bytes",
        ),
        (
            vec![with_ids(&two, vec![Some("a"), Some("a")])],
            "user 'a' has more than one row",
        ),
        (
            vec![two.clone(), with_ids(&two, vec![Some("a"), Some("b")])],
            "row 3: user_id is of another",
        ),
    ];
    for (batches, part) in cases {
        let error = put(&store, "2024-01-02", &batches).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(error.fault(), ltv_core::Fault::User, "{error}");
    }
    let short = manifest("2024-01-02", 3);
    let error = put_as(&store, &short, Detail::Everything, &[two])
        .unwrap_err()
        .to_string();
    assert!(error.contains("says 3 users, and 2 came"), "{error}");
    let found = store.get(&ids(1..2)).unwrap();
    assert_eq!(found.version.as_of.to_string(), "2024-01-01");
    let left = fs::read_dir(at.path().join(VERSIONS)).unwrap().count();
    assert_eq!(left, 1, "drafts leave nothing behind");
}

#[test]
fn values_alone() {
    let at = tempfile::tempdir().unwrap();
    let store = Embedded::open(at.path()).unwrap();
    let batch = numbers(&[1, 2, 3], 1.0);
    put(&store, "2024-01-01", std::slice::from_ref(&batch)).unwrap();
    let values = put_as(&store, &manifest("2024-01-01", 3), Detail::Values, &[batch]).unwrap();
    assert!(!values.was_there && values.version.id.ends_with("-values"));
    let found = store.get(&ids(1..2)).unwrap();
    let one = found.predictions[0].as_ref().unwrap();
    assert_eq!(one.numbers, [1.0, 6.0]);
    assert_eq!(found.version.expected(None).unwrap(), [1.0, 13.0 / 3.0]);
}

#[test]
fn texts_are_ids_too() {
    let at = tempfile::tempdir().unwrap();
    let store = Embedded::open(at.path()).unwrap();
    let long = "x".repeat(511);
    let batch = with_ids(&numbers(&[1, 2], 1.0), vec![Some("7"), Some(&long)]);
    put(&store, "2024-01-01", &[batch]).unwrap();
    // A number is the text of its digits.
    let users = [
        UserId::Number(7),
        UserId::Text(long),
        UserId::Text("y".into()),
    ];
    let found = store.get(&users).unwrap().predictions;
    let there: Vec<bool> = found.iter().map(Option::is_some).collect();
    assert_eq!(there, [true, true, false]);
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Against a map.
    #[test]
    fn everybody_is_found(ids in prop::collection::hash_set(any::<i64>(), 0..300)) {
        let at = tempfile::tempdir().unwrap();
        let store = Embedded::open(at.path()).unwrap();
        let ids: Vec<i64> = ids.into_iter().collect();
        put(&store, "2024-01-01", &[numbers(&ids, 1e-3)]).unwrap();
        let users: Vec<UserId> = ids.iter().copied().map(UserId::Number).collect();
        let found = store.get(&users).unwrap().predictions;
        for (id, found) in ids.iter().zip(found) {
            let value = if id % 3 == 0 { 0.0 } else { id.unsigned_abs() as f64 * 1e-3 };
            prop_assert_eq!(found.unwrap().numbers[0], value as f32);
        }
    }
}
