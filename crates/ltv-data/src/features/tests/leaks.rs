//! Nothing after the window may reach a feature; nothing on or after the as-of day a label.

use super::house::{self, Cell, Event, Row, strategy};
use crate::BuildOptions;
use ltv_core::config::{FeatureConfig, Label};
use proptest::prelude::*;
use std::collections::BTreeMap;

const WINDOW: u32 = 4;

fn build(events: &[Event], config: &FeatureConfig) -> house::Built {
    let options = BuildOptions {
        partitions: Some(2),
        threads: 1,
    };
    house::build(events, None, config, &options).unwrap()
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    #[test]
    fn features_see_nothing_after_the_window(
        events in strategy::events(),
        others in strategy::events(),
        as_of in 10i32..60,
    ) {
        let config = house::full_config(strategy::START + as_of, WINDOW, Label::Value);
        let first = |user| events.iter().filter(|e| e.user == user).map(|e| e.day()).min();
        let late = |e: &Event| first(e.user).is_some_and(|f| e.day() >= f + WINDOW as i32);
        let changed = perturb(&events, others, late);
        let (a, b) = (build(&events, &config), build(&changed, &config));
        prop_assert_eq!(features(&a.rows), features(&b.rows));
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
        let (a, b) = (build(&events, &config), build(&changed, &config));
        // Bytes, not only values.
        prop_assert!(a.bytes == b.bytes);
        prop_assert_eq!(a.manifest.files, b.manifest.files);
    }
}
