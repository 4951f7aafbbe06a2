//! Nothing after the window may reach a feature, a cell or the choice of who trains; nothing on or
//! after the as-of day a label.

use super::house::{self, Cell, Event, Row, User, strategy};
use crate::{
    BuildOptions, Dataset,
    encoding::{EncodingPlan, fit},
    split,
    stream::{StreamOptions, stream},
};
use ltv_core::{
    config::{EncodingOptions, FeatureConfig, Label, Mature, Part, Split},
    encoding::Encoding,
};
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::Arc};

const WINDOW: u32 = 4;

fn build(events: &[Event], users: Option<&[User]>, config: &FeatureConfig) -> Option<house::Built> {
    let options = BuildOptions {
        partitions: Some(2),
        threads: 1,
        ..BuildOptions::default()
    };
    house::some(house::build(events, users, config, &options))
}

/// Registration day and features, without status and labels.
fn features(rows: &BTreeMap<i64, Row>) -> Vec<(i64, Vec<Cell>)> {
    let open = |name: &str| name != "status" && !name.starts_with("ltv_");
    let one = |row: &Row| {
        row.iter()
            .filter(|(n, _)| open(n))
            .map(|(_, c)| c.clone())
            .collect::<Vec<_>>()
    };
    rows.iter().map(|(user, row)| (*user, one(row))).collect()
}

/// Replaces the events for which `late` holds by `others` for which it holds as well.
fn perturb(events: &[Event], others: Vec<Event>, late: impl Fn(&Event) -> bool) -> Vec<Event> {
    let kept = events.iter().filter(|e| !late(e)).cloned();
    let new: Vec<Event> = others.into_iter().filter(&late).collect();
    new.into_iter().chain(kept).collect()
}

/// What a model gets to see besides labels.
#[derive(Debug, PartialEq)]
struct Seen {
    parts: Vec<Option<Part>>,
    /// The fitted encoding and everybody's cells, where anybody trains.
    fitted: Option<(Encoding, Vec<u32>)>,
}

fn seen(built: &house::Built, split: &Split) -> Seen {
    let dataset = Dataset::open(built.folder.path().join("dataset")).unwrap();
    let horizons = &dataset.manifest().horizons;
    let batches = dataset
        .files()
        .iter()
        .map(|f| house::read_batches(f.path()));
    let parts = batches
        .flatten()
        .flat_map(|batch| split::parts(&batch, split, horizons, "a file").unwrap())
        .collect();
    let options = EncodingPlan {
        cells: EncodingOptions {
            min_category_rows: 1,
            ..EncodingOptions::default()
        },
        ..EncodingPlan::default()
    };
    let fitted = fit(&dataset, split, &options).ok().map(|fitted| {
        let scoring = StreamOptions::scoring(Arc::new(fitted.encoding.clone()));
        let rows = stream(&dataset, scoring).unwrap();
        let cells = rows.flat_map(|rows| rows.unwrap().cells).collect();
        (fitted.encoding, cells)
    });
    Seen { parts, fitted }
}

/// The day from which events are in no window of the user, where there is a registration.
fn window_end(events: &[Event], users: &[User], user: i64) -> Option<i32> {
    let table = users.iter().find(|u| u.user == user);
    let first = || {
        events
            .iter()
            .filter(|e| e.user == user)
            .map(Event::day)
            .min()
    };
    let registered = table.and_then(|u| u.registered).or_else(first);
    registered.map(|day| day + WINDOW as i32)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn features_see_nothing_after_the_window(
        events in strategy::events(),
        others in strategy::events(),
        as_of in 10i32..60,
    ) {
        let config = house::full_config(strategy::START + as_of, WINDOW, Label::Value);
        let late = |e: &Event| window_end(&events, &[], e.user).is_some_and(|end| e.day() >= end);
        let changed = perturb(&events, others, late);
        let (a, b) = (build(&events, None, &config), build(&changed, None, &config));
        let features = |built: &Option<house::Built>| built.as_ref().map(|b| features(&b.rows));
        prop_assert_eq!(features(&a), features(&b));
    }

    #[test]
    fn events_after_the_window_decide_neither_who_trains_nor_a_cell(
        events in strategy::events(),
        others in strategy::events(),
        users in strategy::users(),
        as_of in 20i32..60,
        longest in any::<bool>(),
    ) {
        let config = house::full_config(strategy::START + as_of, WINDOW, Label::Value);
        let config = house::with_users(config, true);
        let split = Split {
            mature: if longest { Mature::Longest } else { Mature::Shortest },
            ..Split::default()
        };
        let late = |e: &Event| window_end(&events, &users, e.user).is_some_and(|end| e.day() >= end);
        let changed = perturb(&events, others, late);
        let built = |events: &[Event]| build(events, Some(&users), &config);
        let (a, b) = (built(&events), built(&changed));
        let seen = |built: &Option<house::Built>| built.as_ref().map(|b| seen(b, &split));
        prop_assert_eq!(seen(&a), seen(&b));
    }

    #[test]
    fn a_dataset_sees_nothing_from_the_as_of_day_on(
        events in strategy::events(),
        others in strategy::events(),
        as_of in 10i32..60,
        value in any::<bool>(),
    ) {
        let label = if value { Label::Value } else { Label::ActiveDays };
        let day = strategy::START + as_of;
        let config = house::full_config(day, WINDOW, label);
        let changed = perturb(&events, others, |e| e.day() >= day);
        let (a, b) = (build(&events, None, &config), build(&changed, None, &config));
        prop_assert_eq!(a.is_some(), b.is_some());
        if let (Some(a), Some(b)) = (a, b) {
            // Bytes, not only values.
            prop_assert!(a.bytes == b.bytes);
            prop_assert_eq!(a.manifest.files, b.manifest.files);
        }
    }
}
