//! Whole runs: golden files, an oracle that loops over all pairs, and what is refused.
#![allow(clippy::unwrap_used, reason = "tests")]

mod everybody;
mod files;
mod refused;
mod restated;

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
use std::{fs, fs::File, sync::Arc};
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

#[test]
fn a_conversion_comes_after_its_click() {
    let at = scored((0..12).collect());
    let mut people: Vec<Person> = [0, 2, 4].map(person).into();
    people[0].clicked_ago = people[0].ago;
    people[1].clicked_ago = people[1].ago.map(|ago| ago + 1);
    people[2].clicked_ago = None;
    table(&at.path().join("users.parquet"), &people);
    let (found, _) = run(at.path(), &options(Platform::GoogleAds)).unwrap();
    assert_eq!(
        (found.rows, found.left_out.get(&Reason::BeforeClick)),
        (2, Some(&1))
    );
}

/// In the order of ids as bytes; a table with numbers is refused.
#[test]
fn users_may_be_named_by_text() {
    let at = tempfile::tempdir().unwrap();
    let names = ["b", "a\u{0}", "a", "user-é"];
    let texts = || Arc::new(StringArray::from(names.to_vec())) as ArrayRef;
    // The dataset wants users in order, the table does not.
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    let batch = crate::testing::batch(&[0, 4, 8, 12]);
    let fields = batch.schema();
    let columns = fields.fields().iter().zip(batch.columns());
    let columns = columns.map(|(field, array)| match field.name().as_str() {
        "user_id" => (
            "user_id",
            Arc::new(StringArray::from(sorted.clone())) as ArrayRef,
        ),
        name => (name, array.clone()),
    });
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let data = at.path().join("data");
    fs::create_dir(&data).unwrap();
    let dataset = crate::testing::write(&data, &[batch]);
    let how = ScoreOptions::default();
    score(
        &dataset,
        &Fake::new(),
        &at.path().join("snapshot"),
        &how,
        &Silent,
    )
    .unwrap();
    let times = TimestampMicrosecondArray::from(vec![(NOW_SECONDS - 7) * 1_000_000; 4]);
    let clicks: StringArray = (0..4).map(|i| Some(click(i))).collect();
    let path = at.path().join("users.parquet");
    let rest: [(&str, ArrayRef); 2] =
        [("registered", Arc::new(times)), ("gclid", Arc::new(clicks))];
    parquet(
        &path,
        &[("user_id", texts()), rest[0].clone(), rest[1].clone()],
    );
    let mut options = options(Platform::GoogleAds);
    (options.columns.click_time, options.columns.consent) = (None, None);
    let (_, text) = run(at.path(), &options).unwrap();
    let sent: Vec<String> = text
        .lines()
        .skip(1)
        .map(|l| l[..click(0).len()].to_owned())
        .collect();
    assert_eq!(sent, [2, 1, 0, 3].map(click));
    let id = &identify::sha256("pLTV, 90\na\u{0}")[..32];
    assert!(text.lines().nth(2).unwrap().ends_with(id), "{text}");
    let ids = Arc::new(Int64Array::from(vec![1, 2, 3, 4])) as ArrayRef;
    parquet(&path, &[("user_id", ids), rest[0].clone(), rest[1].clone()]);
    let error = run(at.path(), &options).unwrap_err().to_string();
    assert!(error.contains("'user_id' holds Int64, not text"), "{error}");
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
