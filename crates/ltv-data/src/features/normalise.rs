//! Reading one input file into normalised record batches (their columns: [`super::sql`]).

use super::{
    groups::{BATCH, GroupReader},
    input::{InputFile, Role, Wanted},
};
use crate::{DataError, Result};
use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch,
    },
    compute::{CastOptions, cast_with_options, filter_record_batch},
    datatypes::{DataType, Date32Type, Float64Type, Int64Type, SchemaRef, TimeUnit},
};
use ltv_core::Day;
use std::{path::Path, sync::Arc};

/// First and last day that a timestamp may have: the years 1 to 9999.
const DAYS: std::ops::RangeInclusive<i64> = -719_162..=2_932_896;
/// Largest magnitude of a number: what fits the decimal type that sums are made in.
const LARGEST: f64 = 1e14;
const DAY_NS: i64 = 86_400_000_000_000;

/// Reads one file. Events on or after the as-of day are dropped unseen but for their time.
#[derive(Debug)]
pub(crate) struct FileReader<'a> {
    path: &'a Path,
    wanted: &'a [Wanted],
    schema: &'a SchemaRef,
    groups: GroupReader<'a>,
    base: u64,
}

/// A normalised batch.
#[derive(Debug)]
pub(crate) struct Normalised {
    pub(crate) batch: RecordBatch,
    /// Rows read to make it.
    pub(crate) read: u64,
}

impl<'a> FileReader<'a> {
    pub(crate) fn new(
        file: &'a InputFile,
        wanted: &'a [Wanted],
        schema: &'a SchemaRef,
    ) -> Result<Self> {
        let positions = wanted.iter();
        let positions = positions.filter_map(|w| file.metadata.schema().index_of(&w.column).ok());
        Ok(Self {
            path: &file.path,
            wanted,
            schema,
            groups: GroupReader::new(file, positions)?,
            base: 0,
        })
    }

    /// The next batch, without the rows whose day is `as_of` or later; `None` at the end.
    pub(crate) fn next(&mut self, as_of: Day) -> Result<Option<Normalised>> {
        let Some(batch) = self.groups.next()? else {
            return Ok(None);
        };
        let read = batch.num_rows() as u64;
        let normalised = self.normalise(&batch, as_of)?;
        self.base += read;
        Ok(Some(Normalised {
            batch: normalised,
            read,
        }))
    }

    fn normalise(&self, batch: &RecordBatch, as_of: Day) -> Result<RecordBatch> {
        let time = self
            .wanted
            .iter()
            .find(|w| matches!(w.role, Role::Day | Role::Time));
        let Some(time) = time else {
            return self.columns(batch, None, None);
        };
        let (day, ns) = self.place(time, None).time(self.column(batch, time)?)?;
        if let Some(row) = (0..day.len()).find(|&i| day.is_null(i)) {
            return Err(self
                .place(time, None)
                .bad(row, "the time is missing (null)".into()));
        }
        let keep: BooleanArray = day.values().iter().map(|&d| Some(d < as_of.0)).collect();
        if keep.true_count() == keep.len() {
            return self.columns(batch, Some((day, ns)), None);
        }
        let all = RecordBatch::try_from_iter([
            ("day", Arc::new(day) as ArrayRef),
            ("time_ns", Arc::new(ns)),
        ])?;
        let times = filter_record_batch(&all, &keep)?;
        let (day, ns) = (
            times.column(0).as_primitive().clone(),
            times.column(1).as_primitive(),
        );
        self.columns(
            &filter_record_batch(batch, &keep)?,
            Some((day, ns.clone())),
            Some(&keep),
        )
    }

    fn columns(
        &self,
        batch: &RecordBatch,
        time: Option<(Int32Array, Int64Array)>,
        keep: Option<&BooleanArray>,
    ) -> Result<RecordBatch> {
        let mut time = time;
        let mut columns: Vec<ArrayRef> = vec![];
        for wanted in self.wanted {
            if matches!(wanted.role, Role::Day | Role::Time) {
                if let Some((day, ns)) = time.take() {
                    columns.push(Arc::new(day));
                    if wanted.role == Role::Time {
                        columns.push(Arc::new(ns));
                    }
                }
                continue;
            }
            let target = self.schema.field_with_name(&wanted.target)?.data_type();
            let column = self.column(batch, wanted)?;
            columns.push(
                self.place(wanted, keep)
                    .normal(wanted.role, column, target)?,
            );
        }
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }

    fn column<'b>(&self, batch: &'b RecordBatch, wanted: &Wanted) -> Result<&'b ArrayRef> {
        let position = batch.schema_ref().index_of(&wanted.column)?;
        Ok(batch.column(position))
    }

    fn place<'b>(&'b self, wanted: &'b Wanted, keep: Option<&'b BooleanArray>) -> Place<'b> {
        Place {
            path: self.path,
            column: &wanted.column,
            base: self.base,
            keep,
        }
    }
}

/// Where a value stands, for messages.
struct Place<'a> {
    path: &'a Path,
    column: &'a str,
    base: u64,
    keep: Option<&'a BooleanArray>,
}

impl Place<'_> {
    /// An error about row `index` of what is left of the batch after filtering.
    fn bad(&self, index: usize, problem: String) -> DataError {
        let in_batch = match self.keep {
            Some(keep) => (0..keep.len())
                .filter(|&i| keep.value(i))
                .nth(index)
                .unwrap_or(0),
            None => index,
        };
        DataError::BadValue {
            path: self.path.into(),
            column: self.column.into(),
            row: self.base + in_batch as u64 + 1,
            problem,
        }
    }

    fn normal(&self, role: Role, column: &ArrayRef, target: &DataType) -> Result<ArrayRef> {
        match role {
            Role::Registration => Ok(Arc::new(self.time(column)?.0)),
            Role::Value => {
                self.no_nulls(column, "the value is missing (null)")?;
                self.number(column, true)
            }
            Role::Number => self.number(column, false),
            Role::Profile if *target == DataType::Float64 => self.number(column, false),
            Role::Order if *target == DataType::Float64 => {
                Ok(ordinary(self.cast(column, target)?.as_primitive()))
            }
            Role::User => {
                self.no_nulls(column, "the user id is missing (null)")?;
                self.cast(column, target)
            }
            _ => self.cast(column, target),
        }
    }

    fn no_nulls(&self, column: &ArrayRef, problem: &str) -> Result<()> {
        // A dictionary may hold a null among its values, so ask for the logical nulls.
        match column.logical_nulls() {
            Some(nulls) if nulls.null_count() > 0 => {
                let row = (0..nulls.len()).find(|&i| nulls.is_null(i)).unwrap_or(0);
                Err(self.bad(row, problem.into()))
            }
            _ => Ok(()),
        }
    }

    fn cast(&self, column: &ArrayRef, target: &DataType) -> Result<ArrayRef> {
        let options = CastOptions {
            safe: false,
            ..Default::default()
        };
        cast_with_options(column, target, &options).map_err(|e| DataError::BadValue {
            path: self.path.into(),
            column: self.column.into(),
            row: self.base + 1,
            problem: format!("in this row or up to {BATCH} rows below, {e}"),
        })
    }

    /// Finite numbers of bounded size, none of them -0; unless `strict`, NaN becomes null.
    fn number(&self, column: &ArrayRef, strict: bool) -> Result<ArrayRef> {
        let cast = self.cast(column, &DataType::Float64)?;
        let numbers = cast.as_primitive::<Float64Type>();
        let (mut missing, mut negative_zero) = (false, false);
        for (row, x) in numbers.iter().enumerate() {
            let Some(x) = x else { continue };
            negative_zero |= x.to_bits() == (-0.0f64).to_bits();
            if x.is_nan() && !strict {
                missing = true;
            } else if x.is_nan() {
                return Err(self.bad(row, "the value is not a number (NaN)".into()));
            } else if x.is_infinite() {
                return Err(self.bad(row, format!("the value is infinite ({x})")));
            } else if x.abs() >= LARGEST {
                let problem = format!("{x} is too large: the limit is 100 trillion (1e14)");
                return Err(self.bad(row, problem));
            }
        }
        if missing {
            let known: Float64Array = numbers.iter().map(|x| x.filter(|x| !x.is_nan())).collect();
            return Ok(ordinary(&known));
        }
        Ok(if negative_zero {
            ordinary(numbers)
        } else {
            cast
        })
    }

    /// Day number and nanoseconds into the day, in UTC; nulls stay.
    fn time(&self, column: &ArrayRef) -> Result<(Int32Array, Int64Array)> {
        let per_day = match value_type(column) {
            DataType::Timestamp(TimeUnit::Second, _) => 86_400,
            DataType::Timestamp(TimeUnit::Millisecond, _) | DataType::Date64 => 86_400_000,
            DataType::Timestamp(TimeUnit::Microsecond, _) => 86_400_000_000,
            DataType::Timestamp(TimeUnit::Nanosecond, _) => DAY_NS,
            _ => 1,
        };
        let ticks = self.ticks(column)?;
        let mut days = Vec::with_capacity(ticks.len());
        let mut rest = Vec::with_capacity(ticks.len());
        for (row, tick) in ticks.iter().enumerate() {
            let tick = tick.unwrap_or(0);
            let day = tick.div_euclid(per_day);
            if !DAYS.contains(&day) {
                return Err(self.bad(row, "the time is outside the years 1 to 9999".into()));
            }
            days.push(day as i32);
            rest.push(tick.rem_euclid(per_day) * (DAY_NS / per_day));
        }
        let nulls = ticks.nulls().cloned();
        Ok((
            Int32Array::new(days.into(), nulls.clone()),
            Int64Array::new(rest.into(), nulls),
        ))
    }

    fn ticks(&self, column: &ArrayRef) -> Result<Int64Array> {
        let plain = value_type(column);
        let plain = self.cast(column, &plain)?;
        if let Some(days) = plain.as_primitive_opt::<Date32Type>() {
            return Ok(days.iter().map(|d| d.map(i64::from)).collect());
        }
        let ticks = self.cast(&plain, &DataType::Int64)?;
        Ok(ticks.as_primitive::<Int64Type>().clone())
    }
}

/// The same numbers with one zero and one NaN: SQL knows no two of either, but our engine orders them
/// by their bits.
fn ordinary(numbers: &Float64Array) -> ArrayRef {
    let one = |x: f64| if x.is_nan() { f64::NAN } else { x + 0.0 };
    Arc::new(numbers.unary::<_, Float64Type>(one))
}

fn value_type(column: &ArrayRef) -> DataType {
    match column.data_type() {
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        other => other.clone(),
    }
}
