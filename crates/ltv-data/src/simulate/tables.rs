//! Users and events as Parquet files.

use super::{Event, SimulateError, Simulator, User};
use arrow::{
    array::{
        ArrayRef, Float64Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
    },
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
    record_batch::RecordBatch,
};
use ltv_core::{
    artefact::{AtomicFile, checksum},
    manifest::FileEntry,
};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, Encoding},
    file::properties::{EnabledStatistics, WriterProperties},
    schema::types::ColumnPath,
};
use std::{
    fs::File,
    io::BufWriter,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Rows handed to the Parquet writer at a time.
const BATCH_ROWS: usize = 1 << 16;
/// Rows of a row group.
const GROUP_ROWS: usize = 1 << 20;

/// Writes the users of one shard and their events.
pub(super) fn write_shard(
    simulator: &Simulator,
    index: u64,
    users: Range<u64>,
    out: &Path,
) -> Result<(FileEntry, FileEntry), SimulateError> {
    let mut event_file = Table::create(out, format!("events/part-{index:05}.parquet"), events())?;
    let mut user_file = Table::create(out, format!("users/part-{index:05}.parquet"), people())?;
    let mut event_rows = EventRows::default();
    let mut user_rows = UserRows::default();
    for user in users {
        let user = simulator.user(user);
        user.events.iter().for_each(|e| event_rows.push(user.id, e));
        user_rows.push(&user);
        if event_rows.users.len() >= BATCH_ROWS {
            event_file.write(std::mem::take(&mut event_rows).columns())?;
        }
        if user_rows.users.len() >= BATCH_ROWS {
            user_file.write(std::mem::take(&mut user_rows).columns())?;
        }
    }
    event_file.write(event_rows.columns())?;
    user_file.write(user_rows.columns())?;
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

    fn columns(self) -> Vec<ArrayRef> {
        vec![
            Arc::new(Int64Array::from(self.users)),
            Arc::new(TimestampMicrosecondArray::from(self.times).with_timezone("UTC")),
            Arc::new(Float64Array::from(self.minutes)),
            Arc::new(Int32Array::from(self.videos)),
            Arc::new(Float64Array::from(self.values)),
        ]
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

    fn columns(self) -> Vec<ArrayRef> {
        vec![
            Arc::new(Int64Array::from(self.users)),
            Arc::new(TimestampMicrosecondArray::from(self.times).with_timezone("UTC")),
            Arc::new(StringArray::from(self.channels)),
            Arc::new(StringArray::from(self.devices)),
            Arc::new(StringArray::from(self.cities)),
            Arc::new(Float64Array::from(self.costs)),
        ]
    }
}

fn micros(event: &Event) -> i64 {
    (i64::from(event.day.0) * 86_400 + i64::from(event.second)) * 1_000_000
}

/// A Parquet file under construction.
struct Table {
    path: PathBuf,
    name: String,
    schema: SchemaRef,
    file: AtomicFile,
    writer: ArrowWriter<BufWriter<File>>,
    rows: u64,
}

impl Table {
    fn create(out: &Path, name: String, schema: SchemaRef) -> Result<Self, SimulateError> {
        let path = out.join(&name);
        let file = AtomicFile::create(&path)?;
        let sink = BufWriter::with_capacity(1 << 20, file.handle()?);
        let writer = ArrowWriter::try_new(sink, schema.clone(), Some(properties()))
            .map_err(|e| SimulateError::write(&path, e))?;
        Ok(Self {
            path,
            name,
            schema,
            file,
            writer,
            rows: 0,
        })
    }

    fn write(&mut self, columns: Vec<ArrayRef>) -> Result<(), SimulateError> {
        let batch = RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|e| SimulateError::write(&self.path, e))?;
        self.rows += batch.num_rows() as u64;
        self.writer
            .write(&batch)
            .map_err(|e| SimulateError::write(&self.path, e))
    }

    fn finish(self) -> Result<FileEntry, SimulateError> {
        let failed = |e: &dyn std::fmt::Display| SimulateError::write(&self.path, e);
        let sink = self.writer.into_inner().map_err(|e| failed(&e))?;
        sink.into_inner().map_err(|e| failed(&e))?;
        self.file.commit()?;
        let bytes = self.path.metadata().map_err(|e| failed(&e))?.len();
        let blake3 = checksum(&self.path)?;
        Ok(FileEntry {
            path: self.name,
            rows: self.rows,
            bytes,
            blake3,
        })
    }
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
