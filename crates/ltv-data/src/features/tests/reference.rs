//! The dataset by definition, with plain loops over vectors, compared with the real one.

use super::house::{self, Cell, DAY_US, Event, Row, User, strategy};
use crate::BuildOptions;
use ltv_core::{
    Day,
    config::{FeatureConfig, Label},
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What the dataset must hold, for configurations made by `house::full_config`.
pub(super) fn reference(
    events: &[Event],
    users: Option<&[User]>,
    config: &FeatureConfig,
) -> BTreeMap<i64, Row> {
    let as_of = config.dataset.as_of.0;
    let known: Vec<&Event> = events.iter().filter(|e| e.day() < as_of).collect();
    let mut ids: BTreeSet<i64> = known.iter().map(|e| e.user).collect();
    ids.extend(users.unwrap_or(&[]).iter().map(|u| u.user));
    let mut rows = BTreeMap::new();
    for id in ids {
        let mine: Vec<&Event> = known.iter().filter(|e| e.user == id).copied().collect();
        let user = users.unwrap_or(&[]).iter().find(|u| u.user == id);
        let from_table = user
            .filter(|_| config.users.registration.is_some())
            .and_then(|u| u.registered);
        let Some(reg) = from_table.or(mine.iter().map(|e| e.day()).min()) else {
            continue;
        };
        let dataset = &config.dataset;
        if reg >= as_of
            || dataset.registered_from.is_some_and(|d| reg < d.0)
            || dataset.registered_before.is_some_and(|d| reg >= d.0)
        {
            continue;
        }
        rows.insert(id, row(&mine, user, users.is_some(), reg, config));
    }
    rows
}

fn number(x: f64) -> Cell {
    Cell::Number(x)
}

fn maybe(x: Option<f64>) -> Cell {
    x.map_or(Cell::Null, Cell::Number)
}

fn text(x: Option<String>) -> Cell {
    x.map_or(Cell::Null, Cell::Text)
}

fn row(mine: &[&Event], user: Option<&User>, table: bool, reg: i32, config: &FeatureConfig) -> Row {
    let (as_of, w) = (config.dataset.as_of.0, config.dataset.window_days as i32);
    let inside = |e: &&&Event| (0..w).contains(&(e.day() - reg));
    let window: Vec<&Event> = mine.iter().filter(inside).copied().collect();
    let longest = config.dataset.horizons.longest() as i32;
    let status = if mine.is_empty() {
        "no_events"
    } else if reg + w > as_of {
        "observing"
    } else if reg + w + longest <= as_of {
        "past_horizon"
    } else {
        "active"
    };
    let mut row: Row = vec![];
    let mut put = |name: &str, cell: Cell| row.push((name.to_string(), cell));
    put("reg_day", number(f64::from(reg)));
    put("status", Cell::Text(status.into()));
    let later = daily(&window, reg, w, as_of)
        .into_iter()
        .chain(totals(&window, reg))
        .chain(chosen(&window, config.events.order.is_some()));
    later.for_each(|(name, cell)| put(&name, cell));
    for (name, cell) in calendar(reg, w, &config.holidays.days) {
        put(name, cell);
    }
    if table {
        let channel = user.and_then(|u| u.channel);
        put("channel", text(channel.map(String::from)));
        put("cost", maybe(user.and_then(|u| u.cost)));
    }
    for &n in config.dataset.horizons.days() {
        put(&format!("ltv_{n}"), label(mine, reg, n as i32, config));
    }
    row
}

/// The columns of each day; null for days that are not over.
fn daily(window: &[&Event], reg: i32, w: i32, as_of: i32) -> Row {
    let measure = |name: &str, e: &Event| match name {
        "cnt" => 1.0,
        "val" => e.cents as f64 / 100.0,
        _ => e.size.unwrap_or(0.0),
    };
    let mut row = vec![];
    for name in ["cnt", "val", "Size"] {
        for k in 0..w {
            let today = window.iter().filter(|e| e.day() - reg == k);
            let sum: f64 = today.map(|e| measure(name, e)).sum();
            let known = (reg + k < as_of).then_some(sum);
            row.push((format!("{name}_d{k}"), maybe(known)));
        }
    }
    row
}

/// The columns of the whole window that are numbers.
fn totals(window: &[&Event], reg: i32) -> Row {
    let days: BTreeSet<i32> = window.iter().map(|e| e.day() - reg).collect();
    let money: i64 = window.iter().map(|e| e.cents).sum();
    let money = money as f64 / 100.0;
    let most = window.iter().map(|e| e.cents).max();
    let sizes: Vec<f64> = window.iter().filter_map(|e| e.size).collect();
    let flags: Vec<bool> = window.iter().filter_map(|e| e.flag).collect();
    let yes = flags.iter().filter(|&&f| f).count();
    let code = window.iter().filter_map(|e| e.code).max();
    let share = |sum: f64, n: usize| maybe((n > 0).then(|| sum / n as f64));
    let cells = [
        ("n_events", number(window.len() as f64)),
        ("active_days", number(days.len() as f64)),
        ("recency", maybe(days.last().map(|&d| f64::from(d)))),
        ("value_sum", number(money)),
        ("value_mean", share(money, window.len())),
        ("value_max", maybe(most.map(|c| c as f64 / 100.0))),
        ("mean_size", share(sizes.iter().sum(), sizes.len())),
        ("mean_flag", share(yes as f64, flags.len())),
        ("max_code", maybe(code.map(f64::from))),
    ];
    cells.map(|(name, cell)| (name.to_string(), cell)).into()
}

/// The columns of first and most frequent values.
fn chosen(window: &[&Event], ordered: bool) -> Row {
    let firsts = firsts(window, ordered);
    let word = firsts.iter().filter_map(|e| e.word).min();
    let code = firsts.iter().filter_map(|e| e.code).min();
    let flag = firsts.iter().filter_map(|e| e.flag).min();
    let size = firsts.iter().filter_map(|e| e.size).reduce(f64::min);
    let often_word = mode(window.iter().filter_map(|e| e.word));
    let often_code = mode(window.iter().filter_map(|e| e.code));
    let cells = [
        ("first_Word", text(word.map(String::from))),
        ("first_code", text(code.map(|c| c.to_string()))),
        ("first_flag", text(flag.map(|f| f.to_string()))),
        ("first_size", maybe(size)),
        ("mode_Word", text(often_word.map(String::from))),
        ("mode_code", text(often_code.map(|c| c.to_string()))),
    ];
    cells.map(|(name, cell)| (name.to_string(), cell)).into()
}

/// The events that come first; more than one when they tie.
fn firsts<'a>(window: &[&'a Event], ordered: bool) -> Vec<&'a Event> {
    // A missing order comes after every other.
    let place = |e: &Event| {
        (
            e.time,
            if ordered {
                e.seq.unwrap_or(i64::MAX)
            } else {
                0
            },
        )
    };
    let first = window.iter().map(|e| place(e)).min();
    window
        .iter()
        .filter(|e| Some(place(e)) == first)
        .copied()
        .collect()
}

fn mode<T: Ord + Copy>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut counts: BTreeMap<T, i32> = BTreeMap::new();
    values.for_each(|v| *counts.entry(v).or_default() += 1);
    counts
        .into_iter()
        .min_by_key(|&(value, n)| (-n, value))
        .map(|(value, _)| value)
}

fn calendar(reg: i32, w: i32, holidays: &[Day]) -> Vec<(&'static str, Cell)> {
    let flag = |yes: bool| Cell::Text(if yes { "1" } else { "0" }.into());
    let weekend = |d: i32| Day(d).weekday() >= 5;
    let holiday = |d: i32| holidays.contains(&Day(d));
    let share = |is: &dyn Fn(i32) -> bool| {
        number((reg..reg + w).filter(|&d| is(d)).count() as f64 / f64::from(w))
    };
    vec![
        ("reg_weekday", Cell::Text(Day(reg).weekday().to_string())),
        ("reg_month", Cell::Text(Day(reg).month().to_string())),
        ("reg_weekend", flag(weekend(reg))),
        ("reg_holiday", flag(holiday(reg))),
        ("weekend_share", share(&weekend)),
        ("holiday_share", share(&holiday)),
    ]
}

fn label(mine: &[&Event], reg: i32, n: i32, config: &FeatureConfig) -> Cell {
    let w = config.dataset.window_days as i32;
    if reg + w + n > config.dataset.as_of.0 {
        return Cell::Null;
    }
    let inside = mine
        .iter()
        .filter(|e| (reg + w..reg + w + n).contains(&e.day()));
    match config.dataset.label {
        Label::ActiveDays => number(
            inside
                .map(|e| e.time.div_euclid(DAY_US))
                .collect::<BTreeSet<_>>()
                .len() as f64,
        ),
        Label::Value => number(inside.map(|e| e.cents).sum::<i64>().max(0) as f64 / 100.0),
    }
}

pub(super) fn assert_same(found: &BTreeMap<i64, Row>, expected: &BTreeMap<i64, Row>) {
    let users = |rows: &BTreeMap<i64, Row>| rows.keys().copied().collect::<Vec<_>>();
    assert_eq!(users(found), users(expected));
    for (user, expected) in expected {
        for ((name, found), (expected_name, expected)) in found[user].iter().zip(expected) {
            assert_eq!(name, expected_name);
            let same = match (found, expected) {
                (Cell::Number(a), Cell::Number(b)) => (a - b).abs() <= 1e-12 * b.abs(),
                (a, b) => a == b,
            };
            assert!(
                same,
                "user {user}, {name}: {found:?} instead of {expected:?}"
            );
        }
        assert_eq!(found[user].len(), expected.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_dataset_is_what_its_definition_says(
        events in strategy::events(),
        users in prop::option::of(strategy::users()),
        (as_of, window) in (5i32..60, 1u32..9),
        (value, ordered, registration) in any::<(bool, bool, bool)>(),
        filter in prop::option::of(0i32..30),
        partitions in 1usize..5,
    ) {
        let label = if value { Label::Value } else { Label::ActiveDays };
        let mut config = house::full_config(strategy::START + as_of, window, label);
        config.events.order = ordered.then(|| "seq".to_string());
        config.dataset.registered_from = filter.map(|d| Day(strategy::START + d));
        config.dataset.registered_before = filter.map(|d| Day(strategy::START + d + 12));
        if users.is_some() {
            config = house::with_users(config, registration);
        }
        let options = BuildOptions { partitions: Some(partitions), threads: 2, ..BuildOptions::default() };
        let built = house::some(house::build(&events, users.as_deref(), &config, &options));
        let expected = reference(&events, users.as_deref(), &config);
        prop_assert_eq!(built.is_none(), expected.is_empty());
        let Some(built) = built else {
            return Ok(());
        };
        assert_same(&built.rows, &expected);
        let later = built.manifest.dropped.get("events_later").unwrap_or(&0);
        prop_assert_eq!(built.manifest.events + later, events.len() as u64);
        let registered = |user| expected.get(&user).and_then(|row| match row[0].1 {
            Cell::Number(day) => Some(day as i32),
            _ => None,
        });
        let known = events.iter().filter(|e| e.day() < config.dataset.as_of.0);
        let before = known.filter(|e| registered(e.user).is_some_and(|day| e.day() < day)).count();
        let counted = built.manifest.dropped.get("events_before_registration").unwrap_or(&0);
        prop_assert_eq!(*counted, before as u64);
        prop_assert_eq!(built.manifest.rows, expected.len() as u64);
        prop_assert_eq!(built.manifest.statuses.values().sum::<u64>(), built.manifest.rows);
        let left = std::fs::read_dir(built.folder.path()).unwrap().flatten();
        prop_assert!(left.into_iter().all(|e| !e.file_name().to_string_lossy().starts_with('.')));
    }
}

#[test]
fn users_by_status_and_reason() {
    let at = 19_100;
    let events = [
        Event::new(1, at - 60, 5), // past its longest horizon
        Event::new(7, at - 30, 5), // before registration
        Event::new(2, at - 8, 5),  // active
        Event::new(3, at - 2, 5),  // observing
        Event::new(4, at, 5),      // only after the as-of day
    ];
    let user = |user, registered| User {
        user,
        registered,
        channel: Some("ad"),
        cost: None,
    };
    let users = [
        user(2, None),
        user(4, Some(at - 9)),
        user(5, None),
        user(6, Some(at + 1)),
        user(7, Some(at - 9)),
    ];
    let config = house::with_users(house::full_config(at, 7, Label::ActiveDays), true);
    let built = house::build(&events, Some(&users), &config, &BuildOptions::default()).unwrap();
    let status = |id| built.rows[&id][1].1.clone();
    let names = ["past_horizon", "active", "observing", "no_events"];
    for (id, name) in (1..=4).zip(names) {
        assert_eq!(status(id), Cell::Text(name.into()));
    }
    assert_eq!(status(7), Cell::Text("active".into()));
    assert_eq!(built.rows.len(), 5);
    let dropped: Vec<_> = built
        .manifest
        .dropped
        .iter()
        .map(|(k, n)| (k.as_str(), *n))
        .collect();
    let reasons = [
        ("events_before_registration", 1),
        ("events_later", 1),
        ("users_later", 1),
        ("users_without_registration", 1),
    ];
    assert_eq!(dropped, reasons);
}

#[test]
fn bytes_do_not_depend_on_threads() {
    let mut events = vec![];
    for i in 0..3000i64 {
        let mut event = Event::new(i % 311, 19_000 + (i * 7 % 90) as i32, i % 977 - 100);
        event.word = Some(["x", "y", "z"][(i % 3) as usize]);
        events.push(event);
    }
    let config = house::full_config(19_080, 7, Label::Value);
    let build = |threads, partitions| {
        let options = BuildOptions {
            partitions,
            threads,
            ..BuildOptions::default()
        };
        house::build(&events, None, &config, &options).unwrap()
    };
    let one = build(1, Some(5));
    assert_eq!(one.manifest.files.len(), 5);
    let three = build(3, Some(5));
    assert!(one.bytes == three.bytes && one.manifest == three.manifest);
    // More parts than files that are written side by side.
    let many = build(2, Some(130));
    assert_eq!(many.manifest.files.len(), 130);
    assert_eq!(many.rows, one.rows);
    let whole = build(1, None);
    assert_eq!(whole.manifest.files.len(), 1);
    assert_eq!(whole.rows, one.rows);
}
