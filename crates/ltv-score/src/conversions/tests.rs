//! Whole runs: golden files, an oracle that loops over all pairs, and what is refused.
#![allow(clippy::unwrap_used, reason = "tests")]

mod files;
mod refused;

use super::{sorting::Sorting, *};
use crate::{
    ScoreOptions, score,
    testing::{AS_OF, Fake, dataset, predicted, status},
};
use arrow::{
    array::{ArrayRef, Int64Array, StringArray, TimestampMicrosecondArray},
    record_batch::RecordBatch,
};
use ltv_core::{manifest::SnapshotManifest, progress::Silent};
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;
use std::{collections::BTreeSet, fs, fs::File, sync::Arc};
use tempfile::TempDir;

/// Seconds at the begin of the as-of day.
const NOW_SECONDS: i64 = AS_OF.0 as i64 * 86_400;

/// A user of the table.
#[derive(Debug, Clone)]
struct Person {
    id: i64,
    /// Seconds before the as-of day begins.
    ago: Option<i64>,
    click: Option<String>,
    clicked_ago: Option<i64>,
    email: Option<String>,
    consent: Option<&'static str>,
}

/// A click id of user `i`.
fn click(i: i64) -> String {
    format!("Cj0KCQ_click-of-user-{i:04}")
}

/// A user who may be sent, if the status is right.
fn person(id: i64) -> Person {
    Person {
        id,
        ago: Some(86_400 * (1 + id % 5) + 61),
        click: Some(click(id)),
        clicked_ago: Some(86_400 * (1 + id % 5) + 3_600),
        email: Some(format!("User{id}@Example.com ")),
        consent: Some("granted"),
    }
}

/// Writes a user table.
fn table(path: &Path, people: &[Person]) {
    fn texts<T: AsRef<str>>(get: impl Iterator<Item = Option<T>>) -> ArrayRef {
        Arc::new(get.collect::<StringArray>())
    }
    let time = |ago: Option<i64>| ago.map(|ago| (NOW_SECONDS - ago) * 1_000_000);
    let times = |get: &dyn Fn(&Person) -> Option<i64>| -> ArrayRef {
        let all = people.iter().map(|p| time(get(p)));
        Arc::new(all.collect::<TimestampMicrosecondArray>())
    };
    let ids: Int64Array = people.iter().map(|p| Some(p.id)).collect();
    let columns: [(&str, ArrayRef); 6] = [
        ("user_id", Arc::new(ids)),
        ("registered", times(&|p| p.ago)),
        ("clicked", times(&|p| p.clicked_ago)),
        ("gclid", texts(people.iter().map(|p| p.click.clone()))),
        ("email", texts(people.iter().map(|p| p.email.clone()))),
        ("consent", texts(people.iter().map(|p| p.consent))),
    ];
    parquet(path, &columns);
}

fn parquet(path: &Path, columns: &[(&str, ArrayRef)]) {
    let nullable = columns.iter().map(|(n, a)| (*n, a.clone(), true));
    let batch = RecordBatch::try_from_iter_with_nullable(nullable).unwrap();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// A folder with a snapshot of these users.
fn scored(users: Vec<usize>) -> TempDir {
    let at = tempfile::tempdir().unwrap();
    snapshot(at.path(), "snapshot", users, &Fake::new());
    at
}

fn snapshot(at: &Path, name: &str, users: Vec<usize>, model: &Fake) {
    let data = at.join(format!("data-of-{name}"));
    fs::create_dir(&data).unwrap();
    let dataset = dataset(&data, &[users]);
    let options = ScoreOptions::default();
    score(&dataset, model, &at.join(name), &options, &Silent).unwrap();
}

fn options(platform: Platform) -> ConversionOptions {
    let column = |name: &str| Some(name.to_owned());
    ConversionOptions {
        platform: Some(platform),
        name: "pLTV, 90".to_owned(),
        currency: "EUR".to_owned(),
        columns: Columns {
            time: "registered".to_owned(),
            click_id: column("gclid"),
            click_time: column("clicked"),
            email: column("email"),
            consent: column("consent"),
            ..Columns::default()
        },
        ..ConversionOptions::default()
    }
}

/// Runs in a folder with `snapshot` and `users.parquet`; the report and the file's text.
fn run(at: &Path, options: &ConversionOptions) -> Result<(Exported, String), ScoreError> {
    let out = at.join("out");
    let users = [at.join("users.parquet")];
    let found = conversions(&at.join("snapshot"), &users, &out, options, &Silent)?;
    Ok((found, fs::read_to_string(out).unwrap()))
}

fn left_out(found: &Exported) -> Vec<(Reason, u64)> {
    found.left_out.clone().into_iter().collect()
}

#[test]
fn a_file_for_google() {
    let at = scored((0..12).collect());
    let people: Vec<Person> = [0, 2, 4, 6, 1].map(person).into();
    table(&at.path().join("users.parquet"), &people);
    let (found, text) = run(at.path(), &options(Platform::GoogleAds)).unwrap();
    let id = |user: i64| {
        let hash = identify::sha256(&format!("pLTV, 90\n{user}"));
        hash[..32].to_owned()
    };
    let row = |user: i64, time: &str| {
        let value = predicted(user as usize, 1);
        let click = click(user);
        format!(
            "{click},\"pLTV, 90\",{time}+0000,{value:.2},EUR,{}\n",
            id(user)
        )
    };
    let expected = [
        "Google Click ID,Conversion Name,Conversion Time,Conversion Value,Conversion Currency,Order ID\n"
            .to_owned(),
        row(0, "1970-07-18 23:58:59"),
        row(2, "1970-07-16 23:58:59"),
        row(4, "1970-07-14 23:58:59"),
        row(6, "1970-07-17 23:58:59"),
    ];
    assert_eq!(text, expected.concat());
    assert_eq!((found.users, found.rows, found.horizon), (12, 4, 90));
    let expected = [(Reason::Status, 6), (Reason::NotInUsers, 2)];
    assert_eq!(left_out(&found), expected);
    assert!(is_conversions(text.as_bytes()));
}

#[test]
fn events_for_meta() {
    let at = scored((0..12).collect());
    let people: Vec<Person> = [0, 2].map(person).into();
    table(&at.path().join("users.parquet"), &people);
    let mut options = options(Platform::Meta);
    options.name = "PredictedLTV".to_owned();
    options.columns.external_id = Some("user_id".to_owned());
    let (found, text) = run(at.path(), &options).unwrap();
    let event = |user: i64, ago: i64| {
        let hash = |text: &str| identify::sha256(text);
        let id = hash(&format!("PredictedLTV\n{user}"));
        let value = Currency::of("EUR")
            .unwrap()
            .round(predicted(user as usize, 1));
        format!(
            "{{\"event_name\":\"PredictedLTV\",\"event_time\":{},\"event_id\":\"{}\",\
             \"action_source\":\"system_generated\",\"user_data\":{{\"em\":[\"{}\"],\"external_id\":[\"{}\"]}},\
             \"custom_data\":{{\"currency\":\"EUR\",\"value\":{value:?},\"predicted_ltv\":{value:?}}}}}",
            NOW_SECONDS - ago,
            &id[..32],
            hash(&format!("user{user}@example.com")),
            hash(&user.to_string()),
        )
    };
    let events = [event(0, 86_400 + 61), event(2, 3 * 86_400 + 61)];
    assert_eq!(text, format!("{{\"data\":[{}]}}\n", events.join(",")));
    assert_eq!(found.warnings[0], "fewer than 5 different values");
    assert!(is_conversions(text.as_bytes()));
}

#[test]
fn requests_hold_a_thousand_events() {
    let at = scored((0..4600).collect());
    let people: Vec<Person> = (0..4600).map(person).collect();
    table(&at.path().join("users.parquet"), &people);
    let (found, text) = run(at.path(), &options(Platform::Meta)).unwrap();
    let events: Vec<usize> = text
        .lines()
        .map(|l| l.matches("\"event_id\"").count())
        .collect();
    assert_eq!(events, [1000, 1000, found.rows as usize - 2000]);
    // Some of the fake's values are 0, which Meta does not want.
    let zeros = found.left_out.get(&Reason::ValueZero).copied().unwrap_or(0);
    assert_eq!(found.rows + zeros, 2300);
    assert!(!text.contains('@'));
}

/// What the rules mean for one user, once more.
fn oracle(p: &Person, value: f64, least: f64) -> Result<(), Reason> {
    if p.consent != Some("granted") {
        return Err(Reason::NoConsent);
    }
    let ago = p.ago.ok_or(Reason::NoTime)?;
    if ago <= -86_400 {
        return Err(Reason::InTheFuture);
    }
    let longest = ago.max(p.clicked_ago.unwrap_or(ago));
    if longest > 89 * 86_400 {
        return Err(Reason::TooOld);
    }
    match &p.click {
        None => return Err(Reason::NoIdentifier),
        Some(click) if click.contains(' ') => return Err(Reason::MalformedClickId),
        Some(_) => (),
    }
    if p.clicked_ago.is_some_and(|click| click <= ago) {
        return Err(Reason::BeforeClick);
    }
    match value < least {
        true => Err(Reason::BelowMinValue),
        false => Ok(()),
    }
}

fn anybody(id: i64) -> impl Strategy<Value = Person> {
    let ago = prop_oneof![-2i64..3, 85..92i64];
    let ago = (ago, 0i64..3).prop_map(|(days, seconds)| days * 86_400 + seconds - 1);
    let clicked = (ago.clone(), 0i64..200_000);
    let click = prop_oneof![
        1 => Just(None),
        1 => Just(Some("no click id of these".to_owned())),
        5 => (0i64..4).prop_map(|i| Some(click(i))),
    ];
    let consent = prop_oneof![
        1 => Just(None),
        1 => Just(Some("denied")),
        8 => Just(Some("granted")),
    ];
    let time = proptest::option::weighted(0.95, clicked);
    let clicked = proptest::option::weighted(0.6, Just(()));
    (time, clicked, click, consent).prop_map(move |(time, clicked, click, consent)| Person {
        id,
        ago: time.map(|(ago, _)| ago),
        click,
        clicked_ago: clicked.and(time.map(|(ago, more)| ago + more - 20_000)),
        email: None,
        consent,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Every user is sent or counted, as loops over all of them say.
    #[test]
    fn everybody_is_sent_or_counted(
        people in (0..40).map(anybody).collect::<Vec<_>>(), keep in proptest::collection::vec(any::<bool>(), 40),
        least in 0.0f64..6.0,
    ) {
        let at = scored((0..40).collect());
        let listed: Vec<Person> = people.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(p, _)| p.clone()).collect();
        table(&at.path().join("users.parquet"), &listed);
        let mut options = options(Platform::GoogleAds);
        options.min_value = Some(least);
        let (mut counts, mut sent, mut seen) = (BTreeMap::<Reason, u64>::new(), vec![], BTreeSet::new());
        for i in 0..40 {
            let value = Currency::of("EUR").unwrap().round(predicted(i, 1));
            let person = listed.iter().find(|p| p.id == i as i64);
            let verdict = match (status(i), person) {
                ("observing" | "no_events", _) => Err(Reason::Status),
                (_, None) => Err(Reason::NotInUsers),
                (_, Some(p)) => oracle(p, value, least).and_then(|()| {
                    match seen.insert((p.click.clone(), p.ago)) {
                        true => Ok((p.click.clone().unwrap(), value)),
                        false => Err(Reason::Duplicate),
                    }
                }),
            };
            match verdict {
                Ok(row) => sent.push(row),
                Err(reason) => *counts.entry(reason).or_default() += 1,
            }
        }
        match run(at.path(), &options) {
            Err(error) => {
                prop_assert!(sent.is_empty(), "{}", error);
                prop_assert!(error.to_string().contains("nothing left to send"), "{}", error);
                prop_assert!(!at.path().join("out").exists());
            }
            Ok((found, text)) => {
                let rows: Vec<(String, f64)> = text.lines().skip(1).map(|line| {
                    let line = line.replace("\"pLTV, 90\"", "name");
                    let fields: Vec<&str> = line.split(',').collect();
                    (fields[0].to_owned(), fields[3].parse().unwrap())
                }).collect();
                prop_assert_eq!(&rows, &sent);
                prop_assert_eq!(found.left_out, counts);
                prop_assert!((found.total - sent.iter().map(|row| row.1).sum::<f64>()).abs() < 1e-9);
            }
        }
    }
}

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

#[test]
fn values_are_scaled_and_capped_and_users_of_one_status_sent() {
    let at = scored((0..40).collect());
    let people: Vec<Person> = (0..40).map(person).collect();
    table(&at.path().join("users.parquet"), &people);
    let mut options = options(Platform::GoogleAds);
    options.status = vec!["active".to_owned()];
    (options.scale, options.cap, options.horizon) = (7.0, Some(0.5), Some(30));
    options.currency = "JPY".to_owned();
    let (found, text) = run(at.path(), &options).unwrap();
    let mut values: Vec<f64> = (0..40).step_by(4).map(|i| 7.0 * predicted(i, 0)).collect();
    values.sort_by(f64::total_cmp);
    let cap = values[values.len().div_ceil(2) - 1].round();
    assert_eq!((found.cap, found.rows), (Some(cap), 10));
    for (line, i) in text.lines().skip(1).zip((0..40).step_by(4)) {
        let value = format!("{:.0}", (7.0 * predicted(i, 0)).min(cap));
        assert!(line.contains(&format!("+0000,{value},JPY,")), "{line}");
    }
}

#[test]
fn order_ids_of_ones_own_name_a_conversion_once() {
    let at = scored((0..12).collect());
    let mut people: Vec<Person> = (0..12).map(person).collect();
    // The column of addresses serves as one of order ids.
    for (person, id) in people
        .iter_mut()
        .step_by(2)
        .zip(["A-1", "A-2", "A-1", "", "a@b.de", "A-3"])
    {
        person.email = Some(id.to_owned());
    }
    table(&at.path().join("users.parquet"), &people);
    let mut options = options(Platform::GoogleAds);
    options.columns.order_id = Some("email".to_owned());
    let (found, text) = run(at.path(), &options).unwrap();
    let ids: Vec<&str> = text
        .lines()
        .skip(1)
        .map(|l| l.rsplit(',').next().unwrap())
        .collect();
    assert_eq!([ids[0], ids[1], ids[3]], ["A-1", "A-2", "A-3"]);
    assert_eq!(ids[2].len(), 32);
    let expected = [
        (Reason::Status, 6),
        (Reason::MalformedOrderId, 1),
        (Reason::Duplicate, 1),
    ];
    assert_eq!(left_out(&found), expected);
}

/// More rows than are sorted at a time come out in order.
#[test]
fn sorting_outside_memory() {
    let at = tempfile::tempdir().unwrap();
    let scratch = Scratch {
        folder: at.path().to_path_buf(),
        memory: 10 << 20,
    };
    let mut sorting = Sorting::new(&scratch);
    let rows = 150_000u64;
    for i in 0..rows {
        let key = i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        sorting.add(&key.to_be_bytes(), &[7; 120]).unwrap();
    }
    let (mut sorted, mut last, mut count) = (sorting.sorted().unwrap(), None, 0);
    while let Some((key, value)) = sorted.next().unwrap() {
        assert!(last.as_deref() < Some(key) && value == [7; 120]);
        (last, count) = (Some(key.to_vec()), count + 1);
    }
    assert_eq!(count, rows);
    assert_eq!(fs::read_dir(at.path()).unwrap().count(), 0);
}
