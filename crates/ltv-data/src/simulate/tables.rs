//! Users and events as Parquet files.

use super::{Event, SimulateError, Simulator, User};
use crate::part::PartFile;
use arrow::{
    array::{
        ArrayRef, Float64Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
    },
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
    error::ArrowError,
    record_batch::RecordBatch,
};
use ltv_core::manifest::FileEntry;
use parquet::{
    basic::{Compression, Encoding},
    file::properties::{EnabledStatistics, WriterProperties},
    schema::types::ColumnPath,
};
use std::{path::Path, sync::Arc};

/// Rows handed to the Parquet writer at a time.
const BATCH_ROWS: usize = 1 << 16;
/// Rows of a row group.
const GROUP_ROWS: usize = 1 << 20;

/// Writes the users of the numbers `users`, counted from 0, and their events.
pub(super) fn write(
    simulator: &Simulator,
    index: usize,
    users: impl Iterator<Item = u64>,
    out: &Path,
) -> Result<(FileEntry, FileEntry), SimulateError> {
    let create = |folder: &str, schema| {
        let name = format!("{folder}/{}", PartFile::name(index));
        PartFile::create(out, name, schema, properties())
    };
    let mut event_file = create("events", events())?;
    let mut user_file = create("users", people())?;
    let mut event_rows = EventRows::default();
    let mut user_rows = UserRows::default();
    for user in users {
        let user = simulator.user(user);
        user.events.iter().for_each(|e| event_rows.push(user.id, e));
        user_rows.push(&user);
        if event_rows.users.len() >= BATCH_ROWS {
            event_file.add(&std::mem::take(&mut event_rows).batch()?)?;
        }
        if user_rows.users.len() >= BATCH_ROWS {
            user_file.add(&std::mem::take(&mut user_rows).batch()?)?;
        }
    }
    event_file.add(&event_rows.batch()?)?;
    user_file.add(&user_rows.batch()?)?;
    Ok((event_file.finish()?, user_file.finish()?))
}

fn moment() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn events() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("user_id", DataType::Int64, false),
        Field::new("timestamp", moment(), false),
        Field::new("duration_min", DataType::Float64, false),
        Field::new("videos", DataType::Int32, false),
        Field::new("value", DataType::Float64, false),
    ]))
}

fn people() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("user_id", DataType::Int64, false),
        Field::new("registration", moment(), false),
        Field::new("channel", DataType::Utf8, false),
        Field::new("device", DataType::Utf8, false),
        Field::new("city_tier", DataType::Utf8, false),
        Field::new("cost", DataType::Float64, false),
    ]))
}

#[derive(Default)]
struct EventRows {
    users: Vec<i64>,
    times: Vec<i64>,
    minutes: Vec<f64>,
    videos: Vec<i32>,
    values: Vec<f64>,
}

impl EventRows {
    fn push(&mut self, user: i64, event: &Event) {
        self.users.push(user);
        self.times.push(micros(event));
        self.minutes.push(event.minutes);
        self.videos.push(event.videos);
        self.values.push(event.value);
    }

    fn batch(self) -> Result<RecordBatch, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(self.users)),
            Arc::new(TimestampMicrosecondArray::from(self.times).with_timezone("UTC")),
            Arc::new(Float64Array::from(self.minutes)),
            Arc::new(Int32Array::from(self.videos)),
            Arc::new(Float64Array::from(self.values)),
        ];
        RecordBatch::try_new(events(), columns)
    }
}

#[derive(Default)]
struct UserRows {
    users: Vec<i64>,
    times: Vec<i64>,
    channels: Vec<&'static str>,
    devices: Vec<&'static str>,
    cities: Vec<&'static str>,
    costs: Vec<f64>,
}

impl UserRows {
    fn push(&mut self, user: &User) {
        self.users.push(user.id);
        self.times.push(user.events.first().map_or(0, micros));
        self.channels.push(user.channel);
        self.devices.push(user.device);
        self.cities.push(user.city_tier);
        self.costs.push(user.cost);
    }

    fn batch(self) -> Result<RecordBatch, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(self.users)),
            Arc::new(TimestampMicrosecondArray::from(self.times).with_timezone("UTC")),
            Arc::new(StringArray::from(self.channels)),
            Arc::new(StringArray::from(self.devices)),
            Arc::new(StringArray::from(self.cities)),
            Arc::new(Float64Array::from(self.costs)),
        ];
        RecordBatch::try_new(people(), columns)
    }
}

fn micros(event: &Event) -> i64 {
    (i64::from(event.day.0) * 86_400 + i64::from(event.second)) * 1_000_000
}

fn properties() -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Chunk);
    // All but unique: a dictionary would be filled, then thrown away. Ids ascend: differences
    // take a few bits.
    for column in [
        "user_id",
        "timestamp",
        "registration",
        "duration_min",
        "cost",
    ] {
        let column = ColumnPath::from(column.to_string());
        properties = properties.set_column_dictionary_enabled(column, false);
    }
    let ids = ColumnPath::from("user_id".to_string());
    properties
        .set_column_encoding(ids, Encoding::DELTA_BINARY_PACKED)
        .build()
}
