//! What every user has done by the as-of day: the purchase history that buy-till-you-die models
//! are fitted to. Bounded in memory like the feature query: the log is split by a hash of the user.

use super::{
    input::{self, Table},
    query,
    spill::{self, Parts, Scratch},
    sql,
};
use crate::{
    DataError, Result, split,
    stream::{StreamError, columns},
};
use arrow::{array::RecordBatch, error::ArrowError};
use ltv_core::{
    Day,
    config::{FeatureConfig, Part, Split},
    progress::Progress,
};
use std::path::PathBuf;

/// Events in a part while they are counted.
const EVENTS_PER_PART: u64 = 8_000_000;

/// What one user has done, from the first event to the last day before the as-of day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Purchases {
    /// Day of the first event.
    pub first: Day,
    /// Days with events, the first one included; at least 1.
    pub days: u32,
    /// Days from the first event to the last one.
    pub recency: u32,
    /// Days from the first event to the last known day, `recency` at least.
    pub age: u32,
    /// Days on which the value column adds up to more than zero; 0 without a value column.
    pub paid_days: u32,
    /// What these days add up to, in units of the value column.
    pub paid: f64,
}

/// Hands the purchase history of every user of one part of the split to `take`, in an order that
/// depends on the log alone. Nothing on or after the as-of day is read.
///
/// The split is applied by hash and first event: whoever has done something by the as-of day has
/// a history, mature or not.
///
/// # Errors
/// Bad input, with file, column and row; a full disk.
pub fn purchases(
    events: &[PathBuf],
    config: &FeatureConfig,
    (split, part): (&Split, Part),
    progress: &dyn Progress,
    mut take: impl FnMut(Purchases),
) -> Result<()> {
    let config = &counting(config);
    let table = Table::open(events, "event log", input::event_columns(config))?;
    let folder = tempfile::tempdir()
        .map_err(|e| DataError::io(&std::env::temp_dir(), "create a folder in", e))?;
    let scratch = Scratch {
        folder: folder.path(),
        count: table.rows.div_ceil(EVENTS_PER_PART).max(1) as usize,
        most_files: spill::MOST_FILES,
    };
    let as_of = config.dataset.as_of;
    progress.start("read purchase histories", Some(table.rows));
    let mut parts = Parts::split(&table, "events", (as_of, &mut Ok), scratch, progress)?;
    if scratch.count > scratch.most_files {
        parts.divide(scratch, progress)?;
    }
    let sql = sql::history_sql(config);
    for index in 0..scratch.count {
        let tables = vec![("events", parts.schema().clone(), parts.load(index)?)];
        query::run(&sql, tables, |batch| {
            for (row, in_part) in rows(&batch, as_of)?
                .into_iter()
                .zip(mask(&batch, split, part)?)
            {
                if in_part && split.admits(row.first) {
                    take(row);
                }
            }
            Ok(())
        })?;
    }
    progress.finish();
    Ok(())
}

/// The configuration that reads no more than who, when and how much.
fn counting(config: &FeatureConfig) -> FeatureConfig {
    let mut config = config.clone();
    config.sequences.clear();
    config.aggregates = Default::default();
    config.events.order = None;
    config
}

/// What the query gives has the columns it was asked for.
fn internal(error: StreamError) -> DataError {
    ArrowError::ExternalError(Box::new(error)).into()
}

fn mask(batch: &RecordBatch, split: &Split, part: Part) -> Result<Vec<bool>> {
    let fractions = split::fractions(batch, "the history query").map_err(internal)?;
    Ok(fractions
        .into_iter()
        .map(|f| split.part(f) == part)
        .collect())
}

fn rows(batch: &RecordBatch, as_of: Day) -> Result<Vec<Purchases>> {
    let number = |name: &str| columns::number(batch, name, "the history query").map_err(internal);
    let [first, last, days, paid_days, paid] =
        ["first_day", "last_day", "days", "paid_days", "paid"].map(number);
    let (first, last, days, paid_days, paid) = (first?, last?, days?, paid_days?, paid?);
    let row = |i: usize| Purchases {
        first: Day(first.value(i) as i32),
        days: days.value(i) as u32,
        recency: (last.value(i) - first.value(i)) as u32,
        age: (f64::from(as_of.0) - 1.0 - first.value(i)) as u32,
        paid_days: paid_days.value(i) as u32,
        paid: paid.value(i),
    };
    Ok((0..batch.num_rows()).map(row).collect())
}
