//! What an earlier dataset has that need not be made again.
//!
//! A row changes from one day to the next only while the user's window is open, on the day on which a
//! label becomes known, and when a user of whom nothing was known does something. All other rows are
//! taken over as they are, so that only the events of the others have to be worked on.

use super::{
    audit::{Key, keys},
    columns::Layout,
    spill,
};
use crate::{DataError, Dataset, Result, split::matured};
use arrow::{
    array::{ArrayRef, AsArray, BooleanArray, RecordBatch},
    compute::{concat_batches, filter_record_batch, not, sort_to_indices, sum, take_record_batch},
    datatypes::{Date32Type, Float64Type, Int32Type, SchemaRef},
};
use ltv_core::{Day, Horizons, config::FeatureConfig};
use parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder};
use std::{collections::HashSet, path::Path};

/// Rows that the query engine returns at a time: files are the same bytes, however they were made.
const BATCH: usize = 8192;

/// Days of registration whose users' rows are not the same as of two days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cohorts {
    since: Day,
    until: Day,
    window_days: u32,
    horizons: Horizons,
}

impl Cohorts {
    /// Of a dataset as of `since` and one as of the day of `config`.
    pub(crate) fn new(since: Day, config: &FeatureConfig) -> Self {
        let dataset = &config.dataset;
        Self {
            since,
            until: dataset.as_of,
            window_days: dataset.window_days,
            horizons: dataset.horizons.clone(),
        }
    }

    /// Whether rows of users registered on `day` differ: their window was open, or a label has become known.
    pub(crate) fn changed(&self, day: i32) -> bool {
        let closed = day.saturating_add(self.window_days as i32);
        let days = (self.since, self.until);
        closed > self.since.0 || matured(days, self.window_days, &self.horizons, Day(day))
    }
}

/// An earlier dataset of the same configuration.
#[derive(Debug)]
pub(crate) struct Base {
    dataset: Dataset,
    cohorts: Cohorts,
    schema: SchemaRef,
    /// Hashes of the users whose rows have to be made, again or for the first time, as far as they are known by
    /// more than their last events.
    stale: HashSet<u64>,
    /// Events before its as-of date that have been read.
    earlier: u64,
}

impl Base {
    /// The dataset in `folder`, whose rows are to be taken over where they can be.
    ///
    /// # Errors
    /// When it was made in another way, is not earlier, or cannot be read.
    pub(crate) fn open(folder: &Path, config: &FeatureConfig, layout: &Layout) -> Result<Self> {
        let dataset = Dataset::open(folder)?;
        let manifest = dataset.manifest();
        let unlike = |problem: String| DataError::NotEarlier {
            path: folder.to_path_buf(),
            problem,
        };
        let as_of = config.dataset.as_of;
        if manifest.as_of > as_of {
            let problem = format!(
                "it is as of {}, which is later than {as_of}",
                manifest.as_of
            );
            return Err(unlike(problem));
        }
        let mut then = manifest.config.clone();
        then.dataset.as_of = as_of;
        if then != *config {
            return Err(unlike("it was made with another configuration".into()));
        }
        let same = |file: &std::sync::Arc<crate::dataset::DatasetFile>| {
            *file.schema().fields() == *layout.schema.fields()
        };
        if manifest.features != layout.features || !dataset.files().iter().all(same) {
            return Err(unlike("its columns are not those of the input".into()));
        }
        let mut base = Self {
            cohorts: Cohorts::new(manifest.as_of, config),
            schema: layout.schema.clone(),
            stale: HashSet::new(),
            earlier: 0,
            dataset,
        };
        base.find_stale()?;
        Ok(base)
    }

    /// Events before its as-of date that it was not made of; negative where some are gone.
    pub(crate) fn late_events(&self) -> i64 {
        self.earlier as i64 - self.dataset.manifest().events as i64
    }

    /// Parts that its users were dealt out to.
    pub(crate) fn parts(&self) -> usize {
        self.dataset.files().len()
    }

    fn find_stale(&mut self) -> Result<()> {
        for index in 0..self.parts() {
            self.read(index, Some(&["user_id", "reg_day", "status"]), |batch| {
                let stale = without(batch, &self.stays(batch))?;
                Ok(spill::hashes(stale.column(0)))
            })?
            .into_iter()
            .for_each(|hashes| self.stale.extend(hashes));
        }
        Ok(())
    }

    /// What `make` makes of the rows of a part, some columns or all.
    fn read<T>(
        &self,
        index: usize,
        columns: Option<&[&str]>,
        mut make: impl FnMut(&RecordBatch) -> Result<T>,
    ) -> Result<Vec<T>> {
        let file = &self.dataset.files()[index];
        let (metadata, input) = file.footer()?;
        let mask = match columns {
            Some(names) => {
                ProjectionMask::columns(metadata.parquet_schema(), names.iter().copied())
            }
            None => ProjectionMask::all(),
        };
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(input, metadata)
            .with_projection(mask)
            .with_batch_size(BATCH)
            .build()
            .map_err(|e| DataError::parquet(file.path(), e))?;
        let make = |batch: std::result::Result<RecordBatch, _>| {
            let damaged = |e: arrow::error::ArrowError| DataError::NotParquet {
                path: file.path().to_path_buf(),
                problem: e.to_string(),
            };
            make(&batch.map_err(damaged)?)
        };
        reader.map(make).collect()
    }

    /// Which rows are taken over.
    fn stays(&self, batch: &RecordBatch) -> BooleanArray {
        let days = batch.column(1).as_primitive::<Date32Type>();
        let statuses = batch.column(2).as_string::<i32>();
        let stays = |(&day, status): (&i32, Option<&str>)| {
            Some(!self.cohorts.changed(day) && status != Some("no_events"))
        };
        days.values().iter().zip(statuses).map(stays).collect()
    }

    /// Remembers who has registered since, from rows of the user table. Comes before events: whether a user has
    /// any may depend on one of long ago.
    pub(crate) fn see_users(&mut self, users: &RecordBatch) {
        let Some(days) = users.column_by_name("reg_day") else {
            return;
        };
        let days = days.as_primitive::<Int32Type>();
        let hashes = spill::hashes(users.column(0)).into_iter().zip(days);
        let new = hashes.filter(|(_, day)| day.is_some_and(|day| self.cohorts.changed(day)));
        self.stale.extend(new.map(|(user, _)| user));
    }

    /// The events that may matter to a row that is made: of such users, and of all in the last days, who may be
    /// new.
    pub(crate) fn sift_events(&mut self, events: RecordBatch) -> Result<RecordBatch> {
        let days = events.column(1).as_primitive::<Int32Type>().values();
        let since = self.cohorts.since.0;
        self.earlier += days.iter().filter(|&&day| day < since).count() as u64;
        let recent = since - self.cohorts.window_days as i32;
        let hashes = spill::hashes(events.column(0));
        let mask: BooleanArray = days
            .iter()
            .zip(hashes)
            .map(|(&day, user)| Some(day >= recent || self.stale.contains(&user)))
            .collect();
        Ok(filter_record_batch(&events, &mask)?)
    }

    /// The rows of a part that are taken over.
    pub(crate) fn part(&self, index: usize) -> Result<Kept> {
        let mut again = vec![];
        let rows = self.read(index, None, |batch| {
            let stays = self.stays(batch);
            again.push(without(batch, &stays)?);
            Ok(filter_record_batch(batch, &stays)?)
        })?;
        Ok(Kept {
            rows: concat_batches(&self.schema, &rows)?,
            again,
            cohorts: self.cohorts.clone(),
        })
    }
}

/// The users of the rows that do not stay.
fn without(batch: &RecordBatch, stays: &BooleanArray) -> Result<RecordBatch> {
    Ok(filter_record_batch(&batch.project(&[0])?, &not(stays)?)?)
}

/// Rows that are taken over.
#[derive(Debug)]
pub(crate) struct Kept {
    rows: RecordBatch,
    /// The users of all other rows of the part.
    again: Vec<RecordBatch>,
    cohorts: Cohorts,
}

/// What was made of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Made {
    /// Rows that are in the dataset.
    pub(crate) users: u64,
    /// Rows that are not: users who are new but registered too long ago, so that only a part of their events was
    /// read.
    pub(crate) late: u64,
    /// Events in the windows of all of these.
    pub(crate) window_events: u64,
}

impl Kept {
    /// The rows of events or of the user table whose users have no row that is taken over.
    pub(crate) fn others(&self, batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>> {
        let known: HashSet<Key<'_>> = keys(self.rows.column(0)).collect();
        let other = |batch: RecordBatch| {
            let mask = keys(batch.column(0)).map(|user| Some(!known.contains(&user)));
            let mask: BooleanArray = mask.collect();
            Ok(filter_record_batch(&batch, &mask)?)
        };
        batches.into_iter().map(other).collect()
    }

    /// These rows and those that were made, in the order of users, and what was made.
    pub(crate) fn merged(self, made: &[RecordBatch]) -> Result<(Vec<RecordBatch>, Made)> {
        let schema = self.rows.schema();
        let made = concat_batches(&schema, made)?;
        let days = made.column(1).as_primitive::<Date32Type>().values();
        let known: HashSet<Key<'_>> = self.again.iter().flat_map(|b| keys(b.column(0))).collect();
        let in_time: BooleanArray = days
            .iter()
            .zip(keys(made.column(0)))
            .map(|(&day, user)| Some(self.cohorts.changed(day) || known.contains(&user)))
            .collect();
        let late = in_time.false_count() as u64;
        let whole = filter_record_batch(&made, &in_time)?;
        let all = concat_batches(&schema, [&self.rows, &whole])?;
        let order = sort_to_indices(all.column(0), None, None)?;
        let all = take_record_batch(&all, &order)?;
        let starts = (0..all.num_rows()).step_by(BATCH);
        let batches = starts.map(|at| all.slice(at, BATCH.min(all.num_rows() - at)));
        let made = Made {
            users: whole.num_rows() as u64,
            late,
            window_events: events_of(&made),
        };
        Ok((batches.collect(), made))
    }
}

/// The sum of the feature `n_events`.
fn events_of(rows: &RecordBatch) -> u64 {
    let count = |column: &ArrayRef| sum(column.as_primitive::<Float64Type>()).unwrap_or(0.0) as u64;
    rows.column_by_name("n_events").map_or(0, count)
}
