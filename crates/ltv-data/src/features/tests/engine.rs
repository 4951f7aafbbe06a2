//! The printed statement in the query engine at large: whole tables instead of parts, cut into
//! pieces that are worked on side by side.

use super::{
    house::{self, Event, Row, User, strategy},
    reference::assert_same,
};
use crate::{
    BuildOptions,
    features::{
        build::Inputs,
        calendar::calendar,
        printed_sql,
        spill::{Parts, Scratch},
    },
    holidays::HolidayCalendar,
};
use arrow::{
    array::{AsArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Int64Type},
};
use datafusion::{
    datasource::MemTable,
    prelude::{SessionConfig, SessionContext},
};
use ltv_core::{
    Day,
    config::{FeatureConfig, Label},
    progress::Silent,
};
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::Arc};

/// The result of the printed statement, by user.
fn rows(events: &[Event], users: Option<&[User]>, config: &FeatureConfig) -> BTreeMap<i64, Row> {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| vec![folder.path().join(name)];
    house::write(&path("events.parquet")[0], &house::events_batch(events));
    let table = users.map(|users| {
        house::write(&path("users.parquet")[0], &house::users_batch(users));
        path("users.parquet")
    });
    let inputs = Inputs::open(&path("events.parquet"), table.as_deref(), config).unwrap();
    let scratch = Scratch {
        folder: folder.path(),
        count: 1,
        most_files: 1,
    };
    let session = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(4));
    let add = |name: &str, batches: &[RecordBatch]| {
        let pieces = |batch: &RecordBatch| {
            let half = batch.num_rows() / 2;
            [
                batch.slice(0, half),
                batch.slice(half, batch.num_rows() - half),
            ]
        };
        let schema = batches[0].schema();
        let pieces = batches.iter().flat_map(pieces).map(|piece| vec![piece]);
        let table = MemTable::try_new(schema, pieces.collect()).unwrap();
        session.register_table(name, Arc::new(table)).unwrap();
    };
    let whole = |table, name| {
        Parts::split(table, name, (Day(i32::MAX), &mut Ok), scratch, &Silent).unwrap()
    };
    add("events", &whole(&inputs.events, "events").load(0).unwrap());
    if let Some(users) = &inputs.users {
        add("users", &whole(users, "users").load(0).unwrap());
    }
    let days = strategy::START - 10..config.dataset.as_of.0;
    let holidays = HolidayCalendar::new(&config.holidays).unwrap();
    add(
        "calendar",
        &[calendar(days, config.dataset.window_days, &holidays).unwrap()],
    );
    collect(&session, &printed_sql(config, users.is_some()))
}

fn collect(session: &SessionContext, sql: &str) -> BTreeMap<i64, Row> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let batches = runtime.block_on(async { session.sql(sql).await?.collect().await });
    let mut rows = BTreeMap::new();
    for batch in batches.unwrap() {
        let schema = batch.schema();
        let users = batch.column(0).as_primitive::<Int64Type>();
        for (row, user) in users.values().iter().enumerate() {
            let cells = schema.fields().iter().zip(batch.columns()).skip(1);
            let plain = |kind: &DataType| match kind {
                DataType::Utf8View => DataType::Utf8,
                DataType::Int32 => DataType::Date32,
                kind => kind.clone(),
            };
            let cells = cells.map(|(field, column)| {
                let column = cast(column, &plain(column.data_type())).unwrap();
                (field.name().clone(), house::cell(&column, row))
            });
            assert!(
                rows.last_key_value().is_none_or(|(last, _)| last < user),
                "users must ascend"
            );
            rows.insert(*user, cells.collect());
        }
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_printed_statement_makes_the_dataset(
        events in prop::collection::vec(strategy::event(), 1..120),
        users in prop::option::of(strategy::users().prop_filter("somebody", |u| !u.is_empty())),
        (as_of, window) in (5i32..60, 1u32..9),
        (value, ordered, registration) in any::<(bool, bool, bool)>(),
    ) {
        let label = if value { Label::Value } else { Label::ActiveDays };
        let mut config = house::full_config(strategy::START + as_of, window, label);
        config.events.order = ordered.then(|| "seq".to_string());
        if users.is_some() {
            config = house::with_users(config, registration);
        }
        let options = BuildOptions { partitions: Some(3), threads: 2, ..BuildOptions::default() };
        let built = house::some(house::build(&events, users.as_deref(), &config, &options));
        let expected = built.map(|built| built.rows).unwrap_or_default();
        assert_same(&rows(&events, users.as_deref(), &config), &expected);
    }
}
