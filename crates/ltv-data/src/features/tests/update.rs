//! A dataset that was brought up to date is the one that is made from the start.

use super::house::{self, Event, User, strategy};
use crate::{BuildOptions, Updated, build_dataset, update_dataset};
use ltv_core::{
    Day,
    config::{FeatureConfig, Label},
    manifest::DatasetManifest,
    progress::Silent,
};
use proptest::prelude::*;
use std::path::{Path, PathBuf};

const START: i32 = strategy::START;

/// A log and a user table on disk.
struct Tables {
    folder: tempfile::TempDir,
    users: Option<Vec<PathBuf>>,
}

impl Tables {
    fn new(events: &[Event], users: Option<&[User]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        house::write(
            &folder.path().join("log.parquet"),
            &house::events_batch(events),
        );
        let users = users.map(|users| {
            let path = folder.path().join("users.parquet");
            house::write(&path, &house::users_batch(users));
            vec![path]
        });
        Self { folder, users }
    }

    fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn events(&self) -> [PathBuf; 1] {
        [self.out("log.parquet")]
    }

    fn build(&self, config: &FeatureConfig, name: &str) -> crate::Result<DatasetManifest> {
        let (users, options) = (self.users.as_deref(), options());
        build_dataset(
            &self.events(),
            users,
            config,
            &self.out(name),
            &options,
            &Silent,
        )
    }

    fn update(&self, from: &str, config: &FeatureConfig, name: &str) -> crate::Result<Updated> {
        let (users, options) = (self.users.as_deref(), options());
        let (from, out) = (self.out(from), self.out(name));
        update_dataset(
            (&from, &out),
            &self.events(),
            users,
            config,
            &options,
            &Silent,
        )
    }
}

fn options() -> BuildOptions {
    BuildOptions {
        partitions: Some(2),
        ..BuildOptions::default()
    }
}

fn as_of(config: &FeatureConfig, day: i32) -> FeatureConfig {
    let mut config = config.clone();
    config.dataset.as_of = Day(day);
    config
}

fn bytes(folder: &Path, manifest: &DatasetManifest) -> Vec<Vec<u8>> {
    let files = manifest.files.iter();
    files
        .map(|f| std::fs::read(folder.join(&f.path)).unwrap())
        .collect()
}

/// Builds as of one day, goes on to each of the others, and compares with what is built there.
fn goes_on(tables: &Tables, config: &FeatureConfig, days: &[i32]) {
    let mut last = "d0".to_owned();
    let mut there = tables.build(&as_of(config, days[0]), &last).is_ok();
    for (i, &day) in days.iter().enumerate().skip(1) {
        let config = as_of(config, day);
        let whole = tables.build(&config, "whole");
        if !there {
            there = tables.build(&config, &last).is_ok();
            continue;
        }
        let next = format!("d{i}");
        let updated = tables.update(&last, &config, &next).unwrap();
        let whole = whole.unwrap();
        prop_same(&updated, &whole);
        let (found, wanted) = (tables.out(&next), tables.out("whole"));
        assert_eq!(
            bytes(&found, &updated.manifest),
            bytes(&wanted, &whole),
            "day {day}"
        );
        last = next;
    }
}

fn prop_same(updated: &Updated, whole: &DatasetManifest) {
    let mut found = updated.manifest.clone();
    let later = |m: &DatasetManifest| m.dropped.get("events_later").copied();
    assert_eq!(later(&found), later(whole));
    found.dropped = whole.dropped.clone();
    assert_eq!(found, *whole);
    assert!(updated.made <= whole.rows);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// Labels of days and of money, windows of several lengths, steps of one day and of many; registration from
    /// the log alone, where no row of the past can change.
    #[test]
    fn of_a_log_alone(
        events in strategy::events(),
        window in 1u32..6,
        money in any::<bool>(),
        first in 1i32..30,
        steps in prop::collection::vec(1i32..9, 1..4),
    ) {
        let label = if money { Label::Value } else { Label::ActiveDays };
        let config = house::full_config(START + 45, window, label);
        let mut days = vec![START + first];
        steps.iter().for_each(|step| days.push(days[days.len() - 1] + step));
        goes_on(&Tables::new(&events, None), &config, &days);
    }

    #[test]
    fn of_a_log_and_a_user_table(
        events in strategy::events(),
        users in strategy::users(),
        first in 1i32..30,
        steps in prop::collection::vec(1i32..9, 1..3),
    ) {
        let config = house::full_config(START + 45, 3, Label::ActiveDays);
        let config = house::with_users(config, true);
        let mut days = vec![START + first];
        steps.iter().for_each(|step| days.push(days[days.len() - 1] + step));
        goes_on(&Tables::new(&events, Some(&users)), &config, &days);
    }
}

/// A user for every day, who comes back the day after.
fn daily() -> Vec<Event> {
    let of_user = |user: i64| {
        let day = START + user as i32;
        [Event::new(user, day, 100), Event::new(user, day + 1, 250)]
    };
    (0..40).flat_map(of_user).collect()
}

#[test]
fn only_what_changed_is_made() {
    let tables = Tables::new(&daily(), None);
    let config = house::full_config(START + 30, 2, Label::Value);
    tables.build(&config, "old").unwrap();
    let updated = tables
        .update("old", &as_of(&config, START + 31), "new")
        .unwrap();
    // Who came, whose window of 2 days was open, and those whose label of 3 or 10 days has matured.
    assert_eq!((updated.manifest.rows, updated.made), (31, 4));
    assert!(updated.is_exact());
    let last = updated.last_days.last().unwrap();
    // A newcomer of 1.00 and one who comes back with 2.50.
    assert_eq!(
        (last.day, last.events, last.value),
        (Day(START + 30), 2, 3.5)
    );
    assert_eq!(updated.last_days[0].day, Day(START));
    let again = tables.update("old", &config, "again").unwrap();
    assert_eq!(again.made, 1, "the window of the last user is open");
}

#[test]
fn what_comes_late_is_counted() {
    let tables = Tables::new(&daily(), None);
    let config = house::full_config(START + 30, 2, Label::Value);
    tables.build(&config, "old").unwrap();
    let mut events = daily();
    // Of a user who is known, and of one who is not.
    events.push(Event::new(5, START + 9, 100));
    events.push(Event::new(77, START + 9, 100));
    let more = Tables::new(&events, None);
    std::fs::rename(tables.out("old"), more.out("old")).unwrap();
    let next = as_of(&config, START + 31);
    let updated = more.update("old", &next, "new").unwrap();
    assert_eq!((updated.late_events, updated.is_exact()), (2, false));
    let fewer = Tables::new(&daily()[4..], None);
    std::fs::rename(more.out("old"), fewer.out("old")).unwrap();
    assert_eq!(fewer.update("old", &next, "new").unwrap().late_events, -4);
}

#[test]
fn who_is_new_but_registered_long_ago_has_no_row() {
    let config = house::with_users(house::full_config(START + 30, 2, Label::Value), true);
    let user = |user: i64, day: i32| User {
        user,
        registered: Some(START + day),
        channel: None,
        cost: None,
    };
    let tables = Tables::new(&daily(), Some(&[user(1, 1)]));
    tables.build(&config, "old").unwrap();
    let more = Tables::new(&daily(), Some(&[user(1, 1), user(99, 3)]));
    std::fs::rename(tables.out("old"), more.out("old")).unwrap();
    let updated = more
        .update("old", &as_of(&config, START + 31), "new")
        .unwrap();
    assert_eq!((updated.late_users, updated.is_exact()), (1, false));
}

#[test]
fn another_dataset_is_refused() {
    let tables = Tables::new(&daily(), None);
    let config = house::full_config(START + 30, 2, Label::Value);
    tables.build(&config, "old").unwrap();
    let refused = |config: &FeatureConfig| {
        let error = tables.update("old", config, "new").unwrap_err();
        assert_eq!(error.fault(), ltv_core::Fault::User);
        error.to_string()
    };
    assert!(refused(&as_of(&config, START + 29)).contains("later than"));
    let other = house::full_config(START + 31, 3, Label::Value);
    assert!(refused(&other).contains("another configuration"));
    let nothing = tables.update("nowhere", &config, "new").unwrap_err();
    assert!(nothing.to_string().contains("not a dataset"), "{nothing}");
}
