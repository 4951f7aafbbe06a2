//! Purchase histories.

use super::house::{Event, events_batch, full_config, write};
use crate::features::{Purchases, purchases};
use ltv_core::{
    Day,
    config::{Label, Part, Split},
    progress::Silent,
    seed::user_fraction,
};

#[test]
fn days_are_counted_once_and_nothing_later_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("events.parquet");
    let events = [
        Event::new(1, 100, 500),
        Event::new(1, 100, 250),
        Event::new(1, 103, -100),
        Event::new(1, 110, 300),
        Event::new(1, 120, 900),
        Event::new(2, 119, 0),
        Event::new(3, 120, 100),
    ];
    write(&log, &events_batch(&events));
    let config = full_config(120, 7, Label::Value);
    let read = |part: Part| {
        let split = Split {
            validation: 0.5,
            ..Split::default()
        };
        let mut rows = vec![];
        let take = |row| rows.push(row);
        purchases(
            std::slice::from_ref(&log),
            &config,
            (&split, part),
            &Silent,
            take,
        )
        .unwrap();
        rows
    };
    let one = Purchases {
        first: Day(100),
        days: 3,
        recency: 10,
        age: 19,
        paid_days: 2,
        paid: 10.5,
    };
    let two = Purchases {
        first: Day(119),
        days: 1,
        recency: 0,
        age: 0,
        paid_days: 0,
        paid: 0.0,
    };
    for (user, row) in [(1, one), (2, two)] {
        let part = if user_fraction(user) < 0.5 {
            Part::Validation
        } else {
            Part::Train
        };
        assert!(read(part).contains(&row), "{user}");
    }
    assert_eq!(read(Part::Train).len() + read(Part::Validation).len(), 2);
}
