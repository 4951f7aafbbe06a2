//! What the tests share: small event logs as plain structs, and datasets as plain rows.

use crate::{BuildOptions, DataError, Result, build_dataset};
use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array,
        RecordBatch, StringArray, TimestampMicrosecondArray,
    },
    datatypes::{DataType, Date32Type, Float64Type, Int64Type},
};
use ltv_core::{
    Day, Horizons,
    config::{
        Aggregate, DatasetOptions, EventColumns, FeatureConfig, Holidays, Label, Measure, Sequence,
        UserColumns,
    },
    manifest::DatasetManifest,
    progress::Silent,
};
use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};
use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

pub(super) const DAY_US: i64 = 86_400_000_000;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    pub(super) user: i64,
    /// Microseconds since 1970-01-01.
    pub(super) time: i64,
    /// In cents, so that sums are exact in the reference.
    pub(super) cents: i64,
    pub(super) seq: Option<i64>,
    pub(super) word: Option<&'static str>,
    pub(super) code: Option<i32>,
    pub(super) flag: Option<bool>,
    pub(super) size: Option<f64>,
}

impl Event {
    pub(super) fn day(&self) -> i32 {
        self.time.div_euclid(DAY_US) as i32
    }

    pub(super) fn new(user: i64, day: i32, cents: i64) -> Self {
        let time = i64::from(day) * DAY_US;
        Self {
            user,
            time,
            cents,
            seq: None,
            word: None,
            code: None,
            flag: None,
            size: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct User {
    pub(super) user: i64,
    pub(super) registered: Option<i32>,
    pub(super) channel: Option<&'static str>,
    pub(super) cost: Option<f64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Number(f64),
    Text(String),
}

pub(super) type Row = Vec<(String, Cell)>;

pub(super) fn events_batch(events: &[Event]) -> RecordBatch {
    let times: TimestampMicrosecondArray = events.iter().map(|e| Some(e.time)).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "user_id",
            Arc::new(events.iter().map(|e| Some(e.user)).collect::<Int64Array>()),
        ),
        ("timestamp", Arc::new(times)),
        (
            "value",
            Arc::new(Float64Array::from_iter_values(
                events.iter().map(|e| e.cents as f64 / 100.0),
            )),
        ),
        (
            "seq",
            Arc::new(events.iter().map(|e| e.seq).collect::<Int64Array>()),
        ),
        (
            "Word",
            Arc::new(events.iter().map(|e| e.word).collect::<StringArray>()),
        ),
        (
            "code",
            Arc::new(events.iter().map(|e| e.code).collect::<Int32Array>()),
        ),
        (
            "flag",
            Arc::new(events.iter().map(|e| e.flag).collect::<BooleanArray>()),
        ),
        (
            "size",
            Arc::new(events.iter().map(|e| e.size).collect::<Float64Array>()),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
        .unwrap()
}

pub(super) fn users_batch(users: &[User]) -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "user_id",
            Arc::new(users.iter().map(|u| Some(u.user)).collect::<Int64Array>()),
        ),
        (
            "signup",
            Arc::new(users.iter().map(|u| u.registered).collect::<Date32Array>()),
        ),
        (
            "channel",
            Arc::new(users.iter().map(|u| u.channel).collect::<StringArray>()),
        ),
        (
            "cost",
            Arc::new(users.iter().map(|u| u.cost).collect::<Float64Array>()),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
        .unwrap()
}

pub(super) fn write(path: &Path, batch: &RecordBatch) {
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

/// A configuration that uses every column of [`Event`].
pub(super) fn full_config(as_of: i32, window_days: u32, label: Label) -> FeatureConfig {
    let sequence = |name: &str, measure| Sequence {
        name: name.into(),
        measure,
    };
    let names = |list: &[&str]| list.iter().map(|s| s.to_string()).collect();
    FeatureConfig {
        events: EventColumns {
            value: Some("value".into()),
            ..Default::default()
        },
        users: UserColumns::default(),
        dataset: DatasetOptions {
            as_of: Day(as_of),
            window_days,
            horizons: Horizons::new(vec![3, 10]).unwrap(),
            label,
            registered_from: None,
            registered_before: None,
        },
        sequences: vec![
            sequence("cnt", Measure::Count),
            sequence("val", Measure::Sum("value".into())),
            sequence("Size", Measure::Sum("size".into())),
        ],
        aggregates: Aggregate {
            mean: names(&["size", "flag"]),
            max: names(&["code"]),
            first: names(&["Word", "code", "flag"]),
            first_numeric: names(&["size"]),
            mode: names(&["Word", "code"]),
        },
        holidays: Holidays {
            days: vec![Day(as_of - 3), Day(as_of - 10)],
            ..Default::default()
        },
    }
}

pub(super) fn with_users(mut config: FeatureConfig, registration: bool) -> FeatureConfig {
    config.users.registration = registration.then(|| "signup".to_string());
    config.users.profile = vec!["channel".into()];
    config.users.keep = vec!["cost".into()];
    config
}

pub(super) struct Built {
    pub(super) manifest: DatasetManifest,
    pub(super) rows: BTreeMap<i64, Row>,
    pub(super) bytes: Vec<Vec<u8>>,
    pub(super) folder: tempfile::TempDir,
}

/// Writes the tables as files, builds, reads back.
pub(super) fn build(
    events: &[Event],
    users: Option<&[User]>,
    config: &FeatureConfig,
    options: &BuildOptions,
) -> Result<Built> {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    std::fs::create_dir(&log).unwrap();
    // Two files: nothing may depend on where one ends.
    let (a, b) = events.split_at(events.len() / 3);
    write(&log.join("a.parquet"), &events_batch(a));
    write(&log.join("b.parquet"), &events_batch(b));
    let table = users.map(|users| {
        let path = folder.path().join("users.parquet");
        write(&path, &users_batch(users));
        vec![path]
    });
    let out = folder.path().join("dataset");
    let manifest = build_dataset(&[log], table.as_deref(), config, &out, options, &Silent)?;
    assert_eq!(DatasetManifest::read(&out).unwrap(), manifest);
    let paths: Vec<PathBuf> = manifest.files.iter().map(|f| out.join(&f.path)).collect();
    let bytes = paths.iter().map(|p| std::fs::read(p).unwrap()).collect();
    Ok(Built {
        manifest,
        rows: read_rows(&paths),
        bytes,
        folder,
    })
}

/// What was built; `None` when there was nobody to make features of.
pub(super) fn some(built: Result<Built>) -> Option<Built> {
    match built {
        Err(DataError::NoUsers { .. }) => None,
        built => Some(built.unwrap()),
    }
}

/// Rows by user; checks that users are ascending within a file.
pub(super) fn read_rows(paths: &[PathBuf]) -> BTreeMap<i64, Row> {
    let mut all = BTreeMap::new();
    for path in paths {
        let mut last = i64::MIN;
        for batch in read_batches(path) {
            let users = batch.column(0).as_primitive::<Int64Type>();
            for row in 0..batch.num_rows() {
                let user = users.value(row);
                assert!(user > last, "users must ascend");
                last = user;
                let schema = batch.schema();
                let cells = schema.fields().iter().zip(batch.columns()).skip(1);
                let cells = cells
                    .map(|(f, c)| (f.name().clone(), cell(c, row)))
                    .collect();
                assert!(all.insert(user, cells).is_none(), "user {user} twice");
            }
        }
    }
    all
}

pub(super) fn read_batches(path: &Path) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    reader.build().unwrap().map(|b| b.unwrap()).collect()
}

pub(super) fn cell(column: &ArrayRef, row: usize) -> Cell {
    if column.is_null(row) {
        return Cell::Null;
    }
    match column.data_type() {
        DataType::Date32 => Cell::Number(f64::from(column.as_primitive::<Date32Type>().value(row))),
        DataType::Float64 => Cell::Number(column.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => Cell::Text(column.as_string::<i32>().value(row).to_string()),
        other => panic!("no column may be {other}"),
    }
}

/// Strategies that make small logs full of ties, returns, gaps and missing values.
pub(super) mod strategy {
    use super::{DAY_US, Event, User};
    use proptest::prelude::*;

    pub(crate) const START: i32 = 19_000;

    pub(crate) fn event() -> impl Strategy<Value = Event> {
        let word = prop::option::weighted(0.8, prop::sample::select(vec!["b", "a", "", "é", "B"]));
        (
            (0i64..12, 0i32..40, 0i64..4, -500i64..1500),
            (
                prop::option::weighted(0.8, 0i64..3),
                word,
                prop::option::weighted(0.8, -2i32..12),
                prop::option::weighted(0.8, any::<bool>()),
                prop::option::weighted(0.8, (-8i32..40).prop_map(|n| f64::from(n) / 8.0)),
            ),
        )
            .prop_map(
                |((user, day, hour, cents), (seq, word, code, flag, size))| {
                    let time = i64::from(START + day) * DAY_US + hour * 21_600_000_000;
                    Event {
                        user: user * 7 - 20,
                        time,
                        cents,
                        seq,
                        word,
                        code,
                        flag,
                        size,
                    }
                },
            )
    }

    pub(crate) fn events() -> impl Strategy<Value = Vec<Event>> {
        prop::collection::vec(event(), 0..120)
    }

    pub(crate) fn users() -> impl Strategy<Value = Vec<User>> {
        let channel = prop::option::weighted(0.8, prop::sample::select(vec!["ad", "web"]));
        let user = (
            prop::option::weighted(0.7, -2i32..42),
            channel,
            prop::option::of(0i32..9),
        );
        prop::collection::vec((any::<bool>(), user), 15).prop_map(|all| {
            let all = all
                .into_iter()
                .enumerate()
                .filter(|(_, (present, _))| *present);
            all.map(|(i, (_, (day, channel, cost)))| User {
                user: i as i64 * 7 - 20,
                registered: day.map(|d| START + d),
                channel,
                cost: cost.map(f64::from),
            })
            .collect()
        })
    }
}
