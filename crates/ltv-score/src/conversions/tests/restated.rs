//! Values that moved since the first upload.

use super::*;

/// Values move by a third for every second user; of the rest, not at all.
fn moved() -> Fake {
    Fake::with(|_, predictions| {
        for (i, values) in predictions.values.chunks_mut(2).enumerate() {
            if i % 8 < 4 {
                values[1] *= 4.0 / 3.0;
            }
        }
    })
}

#[test]
fn values_that_moved_are_restated_under_the_same_id() {
    let at = tempfile::tempdir().unwrap();
    snapshot(at.path(), "first", (0..16).collect(), &Fake::new());
    snapshot(at.path(), "snapshot", (0..20).collect(), &moved());
    let people: Vec<Person> = (0..20).map(person).collect();
    table(&at.path().join("users.parquet"), &people);
    let mut second = options(Platform::GoogleAdsRestatement);
    second.since = Some(at.path().join("first"));
    second.as_of = Some(AS_OF + 3);
    let (found, text) = run(at.path(), &second).unwrap();
    let uploaded = |name: &str, users: &[PathBuf]| {
        let out = at.path().join("uploaded");
        let first = options(Platform::GoogleAds);
        conversions(&at.path().join(name), users, &out, &first, &Silent).unwrap();
        fs::read_to_string(out).unwrap()
    };
    let first = uploaded("first", &[at.path().join("users.parquet")]);
    let ids: Vec<&str> = first
        .lines()
        .skip(1)
        .map(|l| l.rsplit(',').next().unwrap())
        .collect();
    let mut lines = text.lines();
    let header = "Order ID,Conversion Name,Adjustment Time,Adjustment Type,Adjusted Value,Adjusted Value Currency";
    assert_eq!(lines.next(), Some(header));
    // Active and past the horizon are 0, 2, 4, 6 and so on; 0, 2, 8, 10 of the first snapshot moved.
    let expected: Vec<String> = [(0, 0usize), (1, 2), (4, 8), (5, 10)]
        .into_iter()
        .filter(|(_, user)| predicted(*user, 1) > 0.0)
        .map(|(place, user)| {
            let value = predicted(user, 1) * 4.0 / 3.0;
            format!(
                "{},\"pLTV, 90\",1970-07-23 00:00:00+0000,RESTATE,{value:.2},EUR",
                ids[place]
            )
        })
        .collect();
    assert_eq!(lines.collect::<Vec<_>>(), expected);
    let of = |reason| found.left_out.get(&reason).copied();
    assert_eq!(
        (
            of(Reason::Status),
            of(Reason::NotUploaded),
            of(Reason::NotMoved)
        ),
        (Some(10), Some(2), Some(4))
    );
}

/// The first upload did not have who converted after it, nor those whose click somebody had before them.
#[test]
fn what_was_not_uploaded_is_not_restated() {
    let at = tempfile::tempdir().unwrap();
    snapshot(at.path(), "first", (0..16).collect(), &Fake::new());
    snapshot(at.path(), "snapshot", (0..16).collect(), &moved());
    let mut people: Vec<Person> = (0..16).map(person).collect();
    // 4 has not moved, and was uploaded; 8 and 10 have moved.
    let four = people[4].clone();
    people[8] = Person { id: 8, ..four };
    (people[10].ago, people[10].clicked_ago) = (Some(-86_400), Some(7));
    table(&at.path().join("users.parquet"), &people);
    let mut options = options(Platform::GoogleAdsRestatement);
    options.since = Some(at.path().join("first"));
    options.as_of = Some(AS_OF + 3);
    let (found, text) = run(at.path(), &options).unwrap();
    let of = |reason| found.left_out.get(&reason).copied();
    assert_eq!(of(Reason::Duplicate), Some(1));
    assert_eq!(of(Reason::NotUploaded), Some(1));
    assert_eq!(text.lines().count() as u64, 1 + found.rows);
    // On the day of the adjustment itself it is no conversion to be adjusted.
    people[10].ago = Some(-3 * 86_400);
    table(&at.path().join("users.parquet"), &people);
    let (found, _) = run(at.path(), &options).unwrap();
    assert_eq!(found.left_out.get(&Reason::InTheFuture), Some(&1));
}

/// Zero would be final: what fell to it is left out, but stays in the way of its duplicates.
#[test]
fn values_are_not_restated_to_zero() {
    let at = tempfile::tempdir().unwrap();
    snapshot(at.path(), "first", (0..16).collect(), &Fake::new());
    let fallen = Fake::with(|_, predictions| {
        for (i, values) in predictions.values.chunks_mut(2).enumerate() {
            let factor = if i % 4 == 0 { 0.001 } else { 2.0 };
            values.iter_mut().for_each(|value| *value *= factor);
        }
    });
    snapshot(at.path(), "snapshot", (0..16).collect(), &fallen);
    let people: Vec<Person> = (0..16).map(person).collect();
    table(&at.path().join("users.parquet"), &people);
    let mut options = options(Platform::GoogleAdsRestatement);
    options.since = Some(at.path().join("first"));
    options.as_of = Some(AS_OF + 3);
    // In whole yen, a thousandth of a value is nothing.
    options.currency = "JPY".to_owned();
    let (found, text) = run(at.path(), &options).unwrap();
    let whole = |user: usize, factor: f64| (predicted(user, 1) * factor).round();
    let fell = (0..16).step_by(4).filter(|i| whole(*i, 1.0) > 0.0).count();
    assert!(fell > 1 && (0..16).step_by(4).all(|i| whole(i, 0.001) == 0.0));
    assert_eq!(found.left_out.get(&Reason::ValueZero), Some(&(fell as u64)));
    assert!(!text.contains("RESTATE,0,"), "{text}");
    let path = at.path().join("zero");
    let (start, rest) = text.split_once("RESTATE,").unwrap();
    let (_, rest) = rest.split_once(',').unwrap();
    fs::write(&path, format!("{start}RESTATE,0,{rest}")).unwrap();
    let scratch = options.room(&path);
    let error = check_conversions(&path, None, &scratch).unwrap_err();
    assert!(
        error.to_string().contains("line 2: Adjusted Value: 0"),
        "{error}"
    );
}
