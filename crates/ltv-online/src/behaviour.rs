//! What every store does, as tests to be run with each.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use crate::{
    Erase, OnlineError, Store, UserId, Version, forget,
    testing::{manifest, numbers, put, put_as, replaced, with_ids},
    value::{Detail, Prediction},
    version::Spread,
};
use arrow::array::{Float64Array, RecordBatch};
use ltv_core::progress::Silent;
use std::{collections::BTreeMap, ops::Range, sync::Arc};

/// Users with whole numbers for ids.
pub(crate) fn ids(range: Range<i64>) -> Vec<UserId> {
    range.map(UserId::Number).collect()
}

/// The first number of user 1.
pub(crate) fn value(store: &dyn Store) -> f32 {
    let found = store.get(&ids(1..2)).unwrap().predictions;
    found[0].as_ref().unwrap().numbers[0]
}

pub(crate) fn a_snapshot_is_found_as_it_was(store: &dyn Store) {
    assert!(store.live().is_none());
    assert!(!store.refresh().unwrap());
    let error = store.get(&ids(0..1)).unwrap_err().to_string();
    assert!(error.contains("ltv publish"), "{error}");
    // Files of a snapshot are ordered by a hash, so that ids come in any order.
    let batches = [
        numbers(&[7, -4, 900], 1.0),
        numbers(&[5, 6, i64::MIN + 1], 1.0),
    ];
    let published = put(store, "2024-01-01", &batches).unwrap();
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
    assert_eq!(version.spread[1].quantile(0.5), edge_of(9.0));
    assert_eq!(**version, published.version);
    assert_eq!(
        store.peek(&version.id, &ids(7..8)).unwrap().predictions[0].as_ref(),
        Some(seven)
    );
}

/// The end of the bin of a value.
fn edge_of(value: f64) -> f64 {
    let mut spread = Spread::default();
    spread.add(value);
    let (&bin, _) = spread.bins.iter().next().unwrap();
    Spread::edge(bin)
}

pub(crate) fn versions_change_places_and_come_back(store: &dyn Store) {
    let error = store.roll_back().unwrap_err().to_string();
    assert!(error.contains("no version before"), "{error}");
    for (day, scale) in [
        ("2024-01-01", 1.0),
        ("2024-01-02", 2.0),
        ("2024-01-03", 3.0),
    ] {
        let published = put(store, day, &[numbers(&[1, 2], scale)]).unwrap();
        assert_eq!(published.before.is_some(), scale > 1.0);
        assert_eq!(value(store), scale as f32);
    }
    assert_eq!(store.roll_back().unwrap().as_of.to_string(), "2024-01-02");
    assert_eq!(value(store), 2.0);
    assert!(store.roll_back().is_err());
    // The withdrawn version is still there: it goes live without being loaded again.
    let again = put(store, "2024-01-03", &[numbers(&[1, 2], 3.0)]).unwrap();
    assert!(again.was_there);
    assert_eq!(value(store), 3.0);
    let same = put(store, "2024-01-03", &[numbers(&[1, 2], 3.0)]).unwrap();
    assert_eq!((same.before, value(store)), (None, 3.0));
    assert_eq!(store.roll_back().unwrap().as_of.to_string(), "2024-01-02");
    assert!(store.go_live("2024-01-09-0000000000000000").is_err());
    assert_eq!(value(store), 2.0);
}

/// Whoever has followed knows what was live before, and looks users up in it.
pub(crate) fn the_version_before_is_known(publisher: &dyn Store, reader: &dyn Store) {
    let before = |store: &dyn Store| {
        let found = store.previous().unwrap();
        found.map(|version| version.as_of.to_string())
    };
    let publish = |day: &str, scale| {
        let published = put(publisher, day, &[numbers(&[1, 2], scale)]);
        published.unwrap().version
    };
    assert_eq!(before(publisher), None);
    let first = publish("2024-01-01", 1.0);
    assert!(reader.refresh().unwrap());
    assert_eq!((before(publisher), before(reader)), (None, None));
    publish("2024-01-02", 2.0);
    // The reader still answers from the first version, before which there was none.
    assert_eq!(before(reader), None);
    assert!(reader.refresh().unwrap());
    for store in [publisher, reader] {
        let previous = store.previous().unwrap().unwrap();
        assert_eq!(*previous, first);
        let found = store.peek(&previous.id, &ids(1..2)).unwrap();
        assert_eq!(found.predictions[0].as_ref().unwrap().numbers[0], 1.0);
        assert_eq!(value(store), 2.0);
    }
    publish("2024-01-03", 3.0);
    publish("2024-01-03", 3.0);
    assert_eq!(before(publisher).as_deref(), Some("2024-01-02"));
    publisher.roll_back().unwrap();
    assert_eq!(before(publisher), None);
}

/// Another process learns of what is published when it looks, and never mixes versions.
pub(crate) fn readers_follow(publisher: &dyn Store, reader: &dyn Store) {
    assert!(!reader.refresh().unwrap());
    for scale in [1.0, 2.0, 3.0, 4.0] {
        let day = format!("2024-01-0{scale}");
        put(publisher, &day, &[numbers(&[1, 2], scale)]).unwrap();
        if scale > 1.0 {
            assert_eq!(value(reader), scale as f32 - 1.0);
        }
        assert!(reader.refresh().unwrap());
        assert!(!reader.refresh().unwrap());
        assert_eq!(value(reader), scale as f32);
    }
}

pub(crate) fn what_cannot_be_published_leaves_the_old_version_live(store: &dyn Store) {
    put(store, "2024-01-01", &[numbers(&[1, 2], 1.0)]).unwrap();
    for (batches, part) in unpublishable() {
        let error = put(store, "2024-01-02", &batches).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(error.fault(), ltv_core::Fault::User, "{error}");
    }
    let short = manifest("2024-01-02", 3);
    let two = numbers(&[1, 2], 2.0);
    let error = put_as(store, &short, Detail::Everything, &[two])
        .unwrap_err()
        .to_string();
    assert!(error.contains("says 3 users, and 2 came"), "{error}");
    let found = store.get(&ids(1..2)).unwrap();
    assert_eq!(found.version.as_of.to_string(), "2024-01-01");
}

/// Snapshots, and what their errors say.
fn unpublishable() -> Vec<(Vec<RecordBatch>, &'static str)> {
    let two = numbers(&[1, 2], 2.0);
    let column = |values: Vec<Option<f64>>| {
        vec![replaced(
            &two,
            "ltv_30_p50",
            Arc::new(Float64Array::from(values)),
        )]
    };
    let texts = |ids: [Option<&str>; 2]| with_ids(&two, ids.to_vec());
    vec![
        (vec![numbers(&[1, 1], 2.0)], "user 1 has more than one row"),
        (
            vec![numbers(&[1], 2.0), numbers(&[1], 2.0)],
            "user 1 has more than one row",
        ),
        (
            column(vec![Some(1.0), Some(-1.0)]),
            "part-00000.parquet: row 2: ltv_30_p50 = -1.0",
        ),
        (
            column(vec![Some(f64::NAN), Some(1.0)]),
            "row 1: ltv_30_p50 = NaN",
        ),
        (
            column(vec![Some(1e300), Some(1.0)]),
            "row 1: ltv_30_p50 = 1e300",
        ),
        (column(vec![None, Some(1.0)]), "row 1: ltv_30_p50"),
        (
            vec![two.project(&[0, 1, 2]).unwrap()],
            "no column 'ltv_30_p10'",
        ),
        (vec![texts([Some("a"), None])], "row 2: user_id is null"),
        (
            vec![texts([Some("a"), Some("")])],
            "row 2: a user_id of 0 bytes",
        ),
        (
            vec![texts([Some("a"), Some("a")])],
            "user 'a' has more than one row",
        ),
        (
            vec![two.clone(), texts([Some("a"), Some("b")])],
            "row 3: user_id is of another",
        ),
    ]
}

pub(crate) fn texts_are_ids_too(store: &dyn Store) {
    let long = "x".repeat(511);
    let batch = with_ids(&numbers(&[1, 2], 1.0), vec![Some("7"), Some(&long)]);
    put(store, "2024-01-01", &[batch]).unwrap();
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

pub(crate) fn values_alone(store: &dyn Store) {
    let batch = numbers(&[1, 2, 3], 1.0);
    put(store, "2024-01-01", std::slice::from_ref(&batch)).unwrap();
    let values = put_as(store, &manifest("2024-01-01", 3), Detail::Values, &[batch]).unwrap();
    assert!(!values.was_there && values.version.id.ends_with("-values"));
    let found = store.get(&ids(1..2)).unwrap();
    let one = found.predictions[0].as_ref().unwrap();
    assert_eq!(one.numbers, [1.0, 6.0]);
    assert_eq!(found.version.expected(None).unwrap(), [1.0, 13.0 / 3.0]);
}

/// Against what the numbers were made from.
pub(crate) fn everybody_is_found(store: &dyn Store, day: &str, ids: &[i64]) {
    put(store, day, &[numbers(ids, 1e-3)]).unwrap();
    let users: Vec<UserId> = ids.iter().copied().map(UserId::Number).collect();
    let found = store.get(&users).unwrap().predictions;
    assert_eq!(found.len(), ids.len());
    for (id, found) in ids.iter().zip(found) {
        let value = match id % 3 {
            0 => 0.0,
            _ => id.unsigned_abs() as f64 * 1e-3,
        };
        assert_eq!(found.unwrap().numbers[0], value as f32, "{id}");
    }
}

/// A draft that is dropped, at any point before its end.
pub(crate) fn drafts_vanish(store: &dyn Store) -> Result<(), OnlineError> {
    let mut draft = store.begin("2024-01-05-draft", 3)?;
    for user in ids(0..3) {
        draft.add(&user, b"value")?;
    }
    drop(draft);
    assert!(!store.has("2024-01-05-draft")?);
    Ok(())
}

/// Everybody in a version, with the word for the status.
fn everybody(store: &dyn Erase, version: &Version) -> BTreeMap<UserId, (String, Prediction)> {
    let mut all = BTreeMap::new();
    let read = store.each(version, &mut |user, found| {
        let status = version.status(found.status).to_owned();
        all.insert(user, (status, Prediction { status: 0, ..found }));
        Ok(())
    });
    read.unwrap();
    all
}

pub(crate) fn users_vanish(store: &dyn Erase) {
    let error = forget(store, &ids(1..2), false, &Silent).unwrap_err();
    assert!(
        error.to_string().contains("nothing is published"),
        "{error}"
    );
    let all: Vec<i64> = (0..300).collect();
    put(store, "2024-01-01", &[numbers(&all, 1.0)]).unwrap();
    // Nobody but 4 is in both; 301 is in the later one alone.
    put(store, "2024-01-02", &[numbers(&[4, 5, 6, 301], 2.0)]).unwrap();
    let before = store.kept().unwrap();
    let mut expected = [&before[0], &before[1]].map(|version| everybody(store, version));
    let gone = [4, 301, 299, 999].map(UserId::Number);
    expected
        .iter_mut()
        .for_each(|all| all.retain(|user, _| !gone.contains(user)));

    let planned = forget(store, &gone, true, &Silent).unwrap();
    assert_eq!(store.kept().unwrap(), before, "a rehearsal");
    let done = forget(store, &gone, false, &Silent).unwrap();
    assert_eq!((&planned.removed, planned.proof), (&done.removed, None));
    assert_eq!(done.removed, [2, 1, 1, 0]);
    let proof = done.proof.unwrap();
    assert_eq!((proof.versions, proof.rows), (2, 2 + 298));
    let after = store.kept().unwrap();
    for ((before, after), (row, expected)) in before
        .iter()
        .zip(&after)
        .zip(done.versions.iter().zip(&expected))
    {
        assert_eq!((&row.before, &row.after), (&before.id, &after.id));
        assert_eq!(after.id, format!("{}-forgot-1", before.id));
        assert!(!store.has(&before.id).unwrap());
        assert_eq!(&everybody(store, after), expected);
        assert_eq!(after.rows, expected.len() as u64);
        assert_eq!(after.forgotten, 2);
        assert_eq!(
            (&after.snapshot, &after.published),
            (&before.snapshot, &before.published)
        );
    }
    counts_are_put_right(&after);
    assert_eq!(store.live().unwrap(), after[0]);
    assert_eq!(
        store.get(&gone).unwrap().predictions,
        [None, None, None, None]
    );
    comes_back_by_no_way(store, &gone);
}

/// By hand: 5 and 6 are left of the later snapshot, worth 10 and, divisible by 3, 0.
fn counts_are_put_right(after: &[Arc<Version>]) {
    let live = &after[0];
    assert_eq!(live.segments["observing"].rows, 1);
    assert_eq!(live.expected(Some("observing")).unwrap()[0], 10.0);
    assert_eq!(live.expected(Some("active")).unwrap()[0], 0.0);
    assert_eq!((live.spread[0].zeros, live.spread[0].largest), (1, 10.0));
    assert_eq!(after[1].spread[0].largest, 298.0, "299 was the largest");
}

fn comes_back_by_no_way(store: &dyn Erase, gone: &[UserId]) {
    let (earlier, later): (Vec<i64>, _) = ((0..300).collect(), [4, 5, 6, 301]);
    for again in [
        put(store, "2024-01-01", &[numbers(&earlier, 1.0)]),
        put(store, "2024-01-02", &[numbers(&later, 2.0)]),
    ] {
        let error = again.unwrap_err().to_string();
        assert!(error.contains("would bring them back"), "{error}");
    }
    let again = forget(store, gone, false, &Silent).unwrap();
    assert_eq!(again.removed, [0; 4]);
    assert!(again.versions.iter().all(|row| row.before == row.after));
    // Somebody else: the next number.
    let other = forget(store, &ids(7..8), false, &Silent).unwrap();
    assert!(other.versions[1].after.ends_with("-forgot-2"), "{other:?}");
    store.roll_back().unwrap();
    assert_eq!(
        store.get(gone).unwrap().predictions,
        [None, None, None, None]
    );
    // What was withdrawn does not stay behind.
    forget(store, &ids(8..9), false, &Silent).unwrap();
    assert_eq!(store.kept().unwrap().len(), 1);
    assert!(!store.has(&other.versions[0].after).unwrap());
    let error = forget(
        store,
        &["7", "seven"].map(|id| UserId::Text(id.into())),
        false,
        &Silent,
    );
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("user 2 of those given") && !error.contains("seven"),
        "{error}"
    );
}

pub(crate) fn a_status_goes_with_its_last_user(store: &dyn Erase) {
    let batch = with_ids(&numbers(&[1, 2], 1.0), vec![Some("one"), Some("two")]);
    put(store, "2024-01-01", &[batch]).unwrap();
    let user = [UserId::Text("two".into())];
    forget(store, &user, false, &Silent).unwrap();
    let live = store.live().unwrap();
    assert_eq!(live.statuses, ["observing"]);
    assert_eq!(live.expected(None).unwrap()[0], 1.0);
    forget(store, &[UserId::Text("one".into())], false, &Silent).unwrap();
    let live = store.live().unwrap();
    assert_eq!((live.rows, live.users), (0, crate::UserKind::Text));
}
