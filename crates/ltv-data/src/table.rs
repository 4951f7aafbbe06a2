//! A dataset of rows that somebody else made: features and labels of users, from a data frame.
//!
//! What `ltv features` knows of a user's days is not known here. Rows without `user_id` are numbered,
//! which decides who validates; without `reg_day`, all registered on one day, long ago, so that there
//! is no trend over cohorts to follow.

use crate::{
    part::{PartError, PartFile},
    stream::{
        StreamError,
        columns::{self, no_nulls, number, text},
    },
};
use arrow::{
    array::{
        Array, ArrayRef, AsArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    },
    datatypes::{DataType, Date32Type, Field, Schema, SchemaRef},
};
use ltv_core::{
    Day, Fault, Horizons,
    config::{DatasetOptions, FeatureConfig, Label},
    manifest::{DatasetManifest, FeatureEntry, FeatureKind, FileEntry},
};
use serde::{Deserialize, Serialize};
use std::{ops::RangeInclusive, path::PathBuf, sync::Arc};

/// Rows of a file.
const FILE_ROWS: u64 = 1 << 20;
/// The years 1 to 9999, in days since 1970-01-01.
const YEARS: RangeInclusive<i32> = -719_162..=2_932_896;
/// Words for a batch in errors.
const PLACE: &str = "the table";

/// What the columns of a table mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSpec {
    /// The features, in the order in which a model sees them.
    pub features: Vec<FeatureEntry>,
    /// The horizons whose labels are in columns `ltv_<N>`; null or NaN where not yet known.
    pub horizons: Horizons,
    /// Days that the features look at, `1..=365`.
    pub window_days: u32,
    /// What the labels count.
    pub label: Label,
    /// First day that was not known; just late enough for every label that is there when `None`.
    #[serde(default)]
    pub as_of: Option<Day>,
}

/// Why a table could not be made a dataset.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A Parquet file could not be written.
    #[error(transparent)]
    Part(#[from] PartError),
    /// A folder or the manifest could not be written, or an option is out of range.
    #[error(transparent)]
    Core(#[from] ltv_core::Error),
    /// A column is missing, of the wrong type, or holds what it cannot.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// A value that is not finite, where it would be a feature.
    #[error(
        "the table: column '{column}' is {value} in row {row}; a feature is finite, or missing"
    )]
    NotFinite {
        /// The column.
        column: String,
        /// The row, from 1.
        row: u64,
        /// What is there.
        value: f64,
    },
    /// A day that no calendar of ours has.
    #[error(
        "the table: column 'reg_day' is outside the years 1 to 9999 in row {row}; give the day of registration"
    )]
    Year {
        /// The row, from 1.
        row: u64,
    },
    /// A label that is there before it can be known.
    #[error(
        "as_of: on {as_of} a label of somebody who registered on {registered} cannot be known yet, but is there; give the first day that was not known when the labels were made, {needed} or later"
    )]
    Early {
        /// The day given.
        as_of: Day,
        /// The registration of that user.
        registered: Day,
        /// The first day that would do.
        needed: Day,
    },
    /// No row came.
    #[error("the table has no rows; give at least one user")]
    Empty,
}

impl TableError {
    /// The same, where `first_row` rows came before.
    fn offset_by(mut self, first_row: u64) -> Self {
        match &mut self {
            Self::Stream(error) => {
                let inner = std::mem::replace(error, StreamError::internal(PLACE, ""));
                *error = inner.offset_by(first_row);
            }
            Self::NotFinite { row, .. } | Self::Year { row, .. } => *row += first_row,
            _ => {}
        }
        self
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Core(e) => e.fault(),
            Self::Stream(e) => e.fault(),
            Self::Part(_)
            | Self::NotFinite { .. }
            | Self::Year { .. }
            | Self::Early { .. }
            | Self::Empty => Fault::User,
        }
    }
}

/// Writes a table as a dataset, one batch at a time. Memory does not grow with rows.
pub struct TableWriter {
    folder: PathBuf,
    spec: TableSpec,
    part: Option<PartFile>,
    files: Vec<FileEntry>,
    rows: u64,
    /// The user of the latest due label, and the day on which it is due.
    due: Option<(Day, Day)>,
}

impl TableWriter {
    /// Begins a dataset in `folder`, which must be there.
    ///
    /// # Errors
    /// When the window is out of range.
    pub fn new(folder: impl Into<PathBuf>, spec: TableSpec) -> Result<Self, TableError> {
        let options = options(&spec, Day(0));
        FeatureConfig {
            events: ltv_core::config::EventColumns {
                value: Some("value".into()),
                ..Default::default()
            },
            ..FeatureConfig::bare(options)
        }
        .check()?;
        Ok(Self {
            folder: folder.into(),
            spec,
            part: None,
            files: vec![],
            rows: 0,
            due: None,
        })
    }

    /// Adds rows: the columns of all features (numbers of any type; text, integers or booleans
    /// for categories), `ltv_<N>` for each horizon, and, in all batches or in none, `user_id` (integer or
    /// text) and `reg_day` (a date or a timestamp).
    ///
    /// # Errors
    /// When a column is missing, of a type that cannot be read, or holds an impossible value; when
    /// the disk is full.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), TableError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let batch = self.converted(batch).map_err(|e| e.offset_by(self.rows))?;
        self.look_ahead(&batch);
        let mut start = 0;
        while start < batch.num_rows() {
            let part = match self.part.take() {
                Some(part) => part,
                None => self.begin(batch.schema())?,
            };
            let room = usize::try_from(FILE_ROWS - part.rows()).unwrap_or(usize::MAX);
            let rows = room.min(batch.num_rows() - start);
            self.write(part, &batch.slice(start, rows))?;
            start += rows;
        }
        Ok(())
    }

    fn begin(&self, schema: SchemaRef) -> Result<PartFile, TableError> {
        let name = PartFile::name(self.files.len());
        Ok(PartFile::create(
            &self.folder,
            name,
            schema,
            PartFile::properties(),
        )?)
    }

    fn write(&mut self, mut part: PartFile, rows: &RecordBatch) -> Result<(), TableError> {
        part.add(rows)?;
        self.rows += rows.num_rows() as u64;
        if part.rows() < FILE_ROWS {
            self.part = Some(part);
        } else {
            self.files.push(part.finish()?);
        }
        Ok(())
    }

    /// Finishes the dataset: its manifest.
    ///
    /// # Errors
    /// When there are no rows, or the as-of day is too early for a label; when the disk is full.
    pub fn finish(mut self) -> Result<DatasetManifest, TableError> {
        if let Some(part) = self.part.take() {
            self.files.push(part.finish()?);
        }
        let Some((registered, needed)) = self.due else {
            return Err(TableError::Empty);
        };
        let as_of = self.spec.as_of.unwrap_or(needed);
        if as_of < needed {
            return Err(TableError::Early {
                as_of,
                registered,
                needed,
            });
        }
        let config = FeatureConfig::bare(options(&self.spec, as_of));
        let manifest = DatasetManifest {
            statuses: [("active".to_owned(), self.rows)].into(),
            ..DatasetManifest::new(config, self.spec.features, self.files)
        };
        manifest.write(&self.folder)?;
        Ok(manifest)
    }

    /// The columns of a dataset.
    fn converted(&self, batch: &RecordBatch) -> Result<RecordBatch, TableError> {
        let mut fields = vec![];
        let mut arrays: Vec<ArrayRef> = vec![];
        let mut push = |name: String, array: ArrayRef| {
            fields.push(Field::new(name, array.data_type().clone(), true));
            arrays.push(array);
        };
        push("user_id".into(), self.users(batch)?);
        push("reg_day".into(), days(batch)?);
        let active = vec!["active"; batch.num_rows()];
        push("status".into(), Arc::new(StringArray::from(active)));
        for feature in &self.spec.features {
            for column in &feature.columns {
                push(column.clone(), self.feature(batch, column, feature.kind)?);
            }
        }
        for column in self.spec.horizons.columns() {
            let labels = without_nan(&number(batch, &column, PLACE)?);
            self.check_labels(&labels, &column)?;
            push(column, Arc::new(labels));
        }
        let schema = Arc::new(Schema::new(fields));
        let made = RecordBatch::try_new(schema, arrays);
        Ok(made.map_err(|e| StreamError::internal(PLACE, e))?)
    }

    fn users(&self, batch: &RecordBatch) -> Result<ArrayRef, TableError> {
        let Some(users) = batch.column_by_name("user_id") else {
            let first = self.rows as i64;
            let ids = first..first + batch.num_rows() as i64;
            return Ok(Arc::new(Int64Array::from_iter_values(ids)));
        };
        no_nulls(users, "user_id", PLACE)?;
        let to = match users.data_type().is_integer() {
            true => DataType::Int64,
            false => DataType::Utf8,
        };
        let expected = "integers or text";
        if to == DataType::Utf8 {
            return Ok(Arc::new(columns::utf8(users, "user_id", PLACE, expected)?));
        }
        Ok(columns::cast(users, &to, "user_id", PLACE, expected)?)
    }

    fn feature(
        &self,
        batch: &RecordBatch,
        column: &str,
        kind: FeatureKind,
    ) -> Result<ArrayRef, TableError> {
        if kind == FeatureKind::Categorical {
            return Ok(Arc::new(text(batch, column, PLACE)?));
        }
        let numbers = without_nan(&number(batch, column, PLACE)?);
        let infinite = |(_, x): &(usize, Option<f64>)| x.is_some_and(f64::is_infinite);
        match numbers.iter().enumerate().find(infinite) {
            Some((row, value)) => Err(TableError::NotFinite {
                column: column.to_owned(),
                row: row as u64 + 1,
                value: value.unwrap_or(f64::NAN),
            }),
            None => Ok(Arc::new(numbers)),
        }
    }

    fn check_labels(&self, labels: &Float64Array, column: &str) -> Result<(), TableError> {
        let bad = |(_, y): &(usize, Option<f64>)| y.is_some_and(|y| !(y >= 0.0 && y.is_finite()));
        match labels.iter().enumerate().find(bad) {
            Some((row, value)) => Err(StreamError::Label {
                place: PLACE.to_owned(),
                column: column.to_owned(),
                row: row as u64 + 1,
                value: value.unwrap_or(f64::NAN),
            }
            .into()),
            None => Ok(()),
        }
    }

    /// Remembers when the latest label was due. Who has none was known for the window at least.
    fn look_ahead(&mut self, batch: &RecordBatch) {
        let Some(registered) = batch.column_by_name("reg_day") else {
            return;
        };
        let registered = registered.as_primitive::<Date32Type>();
        let window = self.spec.window_days;
        let mut look = |row: usize, days: u32| {
            let registered = Day(registered.value(row));
            let due = Day(registered.0.saturating_add((window + days) as i32));
            if self.due.is_none_or(|(_, latest)| due > latest) {
                self.due = Some((registered, due));
            }
        };
        (0..batch.num_rows()).for_each(|row| look(row, 0));
        for &days in self.spec.horizons.days() {
            let labels = batch.column_by_name(&format!("ltv_{days}"));
            let known = |row: &usize| labels.is_some_and(|labels| labels.is_valid(*row));
            (0..batch.num_rows())
                .filter(known)
                .for_each(|row| look(row, days));
        }
    }
}

fn options(spec: &TableSpec, as_of: Day) -> DatasetOptions {
    DatasetOptions {
        as_of,
        window_days: spec.window_days,
        horizons: spec.horizons.clone(),
        label: spec.label,
        registered_from: None,
        registered_before: None,
    }
}

/// When users registered; all on the first of all days where nothing says so.
fn days(batch: &RecordBatch) -> Result<ArrayRef, TableError> {
    if batch.column_by_name("reg_day").is_none() {
        return Ok(Arc::new(Date32Array::from(vec![0; batch.num_rows()])));
    }
    let days = columns::days(batch, "reg_day", PLACE)?;
    match days.values().iter().position(|day| !YEARS.contains(day)) {
        Some(row) => Err(TableError::Year {
            row: row as u64 + 1,
        }),
        None => Ok(Arc::new(days)),
    }
}

/// Data frames say NaN where a value is missing.
fn without_nan(numbers: &Float64Array) -> Float64Array {
    let known = |x: Option<f64>| x.filter(|x| !x.is_nan());
    numbers.iter().map(known).collect()
}

#[cfg(test)]
mod tests;
