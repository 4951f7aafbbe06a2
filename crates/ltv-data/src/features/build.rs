//! From input files to a finished dataset.

use super::{
    audit,
    base::{Base, Kept, Made},
    calendar,
    columns::{Layout, UserColumn},
    days::LogDays,
    input::{self, Role, Table, Wanted},
    output::{PartWriter, Written},
    query, spill,
    spill::{Parts, Scratch},
    sql::feature_sql,
    target::Target,
    update::make_dataset,
};
use crate::{DataError, Result, holidays::HolidayCalendar};
use arrow::{
    array::RecordBatch,
    datatypes::{DataType, Schema},
};
use ltv_core::{
    Error,
    config::FeatureConfig,
    manifest::{DatasetManifest, add_counts},
    progress::Progress,
};
use std::{
    collections::BTreeMap,
    panic::resume_unwind,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// Events in a part when there are few day columns: a few hundred MiB while it is worked on.
const EVENTS_PER_PART: u64 = 1_500_000;
/// Most parts made without being asked to: 1.5 trillion events.
const MOST_PARTS: u64 = 1_000_000;

/// How to build, as opposed to what.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// Number of parts, `1..=10_000`; chosen from the size of the input when `None`. More parts need
    /// less memory. The bytes of the dataset depend on it.
    pub partitions: Option<usize>,
    /// Parts worked on side by side, at least 1. Each needs memory of its own; the bytes of the
    /// dataset do not depend on it.
    pub threads: usize,
    /// Folder of this machine for scratch files, and for files on their way to an object store, one for each thread;
    /// the system's folder for temporary files when `None`. Not used where the dataset goes to a folder: they are
    /// beside it.
    pub scratch: Option<PathBuf>,
}

impl Default for BuildOptions {
    /// Parts as the input needs, one at a time.
    fn default() -> Self {
        Self {
            partitions: None,
            threads: 1,
            scratch: None,
        }
    }
}

/// Makes a dataset of features and labels at `out`, a folder or an address `s3://bucket/prefix`.
///
/// `events` and `users` are Parquet files, or folders of them. With a user table, registration
/// is its registration column; users without a date there, or without a row, are registered on
/// the day of their first event; users with neither are left out and counted. A dataset that was
/// in `out` is replaced when the new one is complete, and untouched when anything fails.
///
/// # Errors
/// Bad input, with file, column and row; a full disk; and counts that do not add up, which is a
/// defect of this program.
pub fn build_dataset(
    events: &[PathBuf],
    users: Option<&[PathBuf]>,
    config: &FeatureConfig,
    out: &Path,
    options: &BuildOptions,
    progress: &dyn Progress,
) -> Result<DatasetManifest> {
    let made = make_dataset((None, out), events, users, config, options, progress)?;
    Ok(made.manifest)
}

/// Why events on or after the as-of date are left out.
pub(super) const EVENTS_LATER: &str = "events_later";

/// A dataset of nobody helps nobody, and hides what is wrong with the input.
pub(super) fn check_users(manifest: &DatasetManifest) -> Result<()> {
    if manifest.rows > 0 {
        return Ok(());
    }
    let dropped = manifest.dropped.iter();
    Err(DataError::NoUsers {
        as_of: manifest.as_of,
        events: manifest.events,
        left_out: dropped
            .map(|(why, n)| format!("; left out: {n} {why}"))
            .collect(),
    })
}

/// The checked input.
pub(crate) struct Inputs {
    pub(crate) events: Table,
    pub(crate) users: Option<Table>,
    pub(super) layout: Layout,
}

impl Inputs {
    pub(crate) fn open(
        events: &[PathBuf],
        users: Option<&[PathBuf]>,
        config: &FeatureConfig,
    ) -> Result<Self> {
        let columns = &config.users;
        if users.is_none() {
            let absent = [
                ("users.registration", columns.registration.is_some()),
                ("users.profile", !columns.profile.is_empty()),
                ("users.keep", !columns.keep.is_empty()),
            ];
            if let Some((key, _)) = absent.iter().find(|(_, set)| *set) {
                let problem = "comes from a user table: give one, or leave this out";
                return Err(Error::config(*key, problem).into());
            }
        }
        let events = Table::open(events, "event log", input::event_columns(config))?;
        let wanted = input::user_columns(config);
        let users = users
            .map(|u| Table::open(u, "user table", wanted.clone()))
            .transpose()?;
        let (mut profile, mut keep) = (vec![], vec![]);
        if let Some(users) = &users {
            users.check_same_users(&events)?;
            profile = user_columns(&wanted, Role::Profile, &users.schema)?;
            keep = user_columns(&wanted, Role::Keep, &users.schema)?;
        }
        let layout = Layout::new(config, events.schema.field(0).data_type(), &profile, &keep)?;
        Ok(Self {
            events,
            users,
            layout,
        })
    }
}

fn user_columns(wanted: &[Wanted], role: Role, schema: &Schema) -> Result<Vec<UserColumn>> {
    let one = |w: &Wanted| -> Result<UserColumn> {
        let data_type: DataType = schema.field_with_name(&w.target)?.data_type().clone();
        Ok(UserColumn {
            name: w.column.clone(),
            data_type,
        })
    };
    wanted.iter().filter(|w| w.role == role).map(one).collect()
}

/// Enough parts for bounded memory. Depends on the input and the configuration alone.
pub(super) fn part_count(
    inputs: &Inputs,
    config: &FeatureConfig,
    options: &BuildOptions,
) -> Result<usize> {
    if let Some(count) = options.partitions {
        if !(1..=10_000).contains(&count) {
            let problem = format!("{count} is not between 1 and 10000");
            return Err(Error::config("partitions", problem).into());
        }
        return Ok(count);
    }
    let day_columns = config.sequences.len() as u64 * u64::from(config.dataset.window_days);
    let per_part = EVENTS_PER_PART / (1 + day_columns / 64);
    let users = inputs.users.as_ref().map_or(0, |u| u.rows);
    let weight = inputs.events.rows.max(users.saturating_mul(4));
    Ok(weight.div_ceil(per_part.max(1)).clamp(1, MOST_PARTS) as usize)
}

/// Everything that the parts share.
pub(super) struct Job<'a> {
    config: &'a FeatureConfig,
    inputs: &'a Inputs,
    target: &'a Target,
    pub(super) base: Option<Base>,
    sql: String,
    events: Parts,
    users: Option<Parts>,
    calendar: RecordBatch,
    count: usize,
    pub(super) days: LogDays,
}

/// What came out of one part.
pub(super) struct PartResult {
    written: Written,
    dropped: BTreeMap<String, u64>,
    /// Rows that were made, and users who came too late for one, where an earlier dataset is brought up to date.
    pub(super) made: u64,
    pub(super) late: u64,
}

impl<'a> Job<'a> {
    /// Checks, normalises and splits the input into so many parts.
    pub(super) fn prepare(
        inputs: &'a Inputs,
        config: &'a FeatureConfig,
        holidays: HolidayCalendar,
        (count, mut base): (usize, Option<Base>),
        target: &'a Target,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let as_of = config.dataset.as_of;
        let rows = inputs.events.rows + inputs.users.as_ref().map_or(0, |u| u.rows);
        progress.start("read events", Some(rows));
        let scratch = Scratch {
            folder: target.scratch(),
            count,
            most_files: spill::MOST_FILES,
        };
        let users = inputs.users.as_ref().map(|table| {
            let mut see = |batch: RecordBatch| {
                let base = base.as_mut();
                base.into_iter().for_each(|base| base.see_users(&batch));
                Ok(batch)
            };
            Parts::split(table, "users", (as_of, &mut see), scratch, progress)
        });
        let mut users = users.transpose()?;
        let mut days = LogDays::new(config);
        let mut sift = |batch| {
            days.add(&batch);
            match &mut base {
                Some(base) => base.sift_events(batch),
                None => Ok(batch),
            }
        };
        let table = &inputs.events;
        let mut events = Parts::split(table, "events", (as_of, &mut sift), scratch, progress)?;
        progress.finish();
        if count > scratch.most_files {
            let rows = events.kept + users.as_ref().map_or(0, |u| u.kept);
            progress.start("divide into parts", Some(rows));
            events.divide(scratch, progress)?;
            users
                .as_mut()
                .map_or(Ok(()), |u| u.divide(scratch, progress))?;
            progress.finish();
        }
        let first = spill::earliest(events.first_day, users.as_ref().and_then(|u| u.first_day));
        let first = first.map_or(as_of.0, |day| day.min(as_of.0));
        let window = config.dataset.window_days;
        let calendar = calendar::calendar(first..as_of.0, window, &holidays)?;
        let sql = feature_sql(config, users.is_some());
        Ok(Self {
            config,
            inputs,
            target,
            base,
            sql,
            events,
            users,
            calendar,
            count,
            days,
        })
    }

    /// Works on all parts, `threads` of them at a time.
    pub(super) fn run(&self, threads: usize, progress: &dyn Progress) -> Result<Vec<PartResult>> {
        progress.start("build features", Some(self.count as u64));
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let results: Mutex<BTreeMap<usize, Result<PartResult>>> = Mutex::default();
        let work = || {
            while !failed.load(Ordering::Relaxed) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= self.count {
                    break;
                }
                let result = self.part(index);
                failed.fetch_or(result.is_err(), Ordering::Relaxed);
                results
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(index, result);
                progress.advance(1);
            }
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads.min(self.count))
                .map(|_| scope.spawn(work))
                .collect();
            for thread in threads {
                thread.join().unwrap_or_else(|panic| resume_unwind(panic));
            }
        });
        progress.finish();
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.into_values().collect()
    }

    fn part(&self, index: usize) -> Result<PartResult> {
        let mut events = self.events.load(index)?;
        let mut users = self.users.as_ref().map(|u| u.load(index)).transpose()?;
        let kept = self
            .base
            .as_ref()
            .map(|base| base.part(index))
            .transpose()?;
        if let Some(kept) = &kept {
            events = kept.others(events)?;
            users = users.map(|users| kept.others(users)).transpose()?;
        }
        let expected = audit::expect(&events, users.as_deref().unwrap_or(&[]), self.config)
            .map_err(|user| self.twice(&user))?;
        let mut tables: query::Tables = vec![
            ("events", self.events.schema().clone(), events),
            (
                "calendar",
                self.calendar.schema(),
                vec![self.calendar.clone()],
            ),
        ];
        if let (Some(parts), Some(batches)) = (&self.users, users) {
            tables.push(("users", parts.schema().clone(), batches));
        }
        let (written, made) = self.rows(index, tables, kept)?;
        agree("users in a part", expected.users, made.users + made.late)?;
        agree(
            "window events in a part",
            expected.window_events,
            made.window_events,
        )?;
        Ok(PartResult {
            written,
            dropped: expected.dropped,
            made: made.users,
            late: made.late,
        })
    }

    /// Makes the rows of a part and writes them, among those that are taken over.
    fn rows(
        &self,
        index: usize,
        tables: query::Tables,
        kept: Option<Kept>,
    ) -> Result<(Written, Made)> {
        let mut writer = PartWriter::create(self.target.path(), index, &self.inputs.layout)?;
        let made = match kept {
            None => {
                query::run(&self.sql, tables, |batch| writer.add(&batch))?;
                None
            }
            Some(kept) => {
                let mut rows = vec![];
                query::run(&self.sql, tables, |batch| {
                    rows.push(writer.conform(&batch)?);
                    Ok(())
                })?;
                let (batches, made) = kept.merged(&rows)?;
                batches.iter().try_for_each(|batch| writer.add(batch))?;
                Some(made)
            }
        };
        let mut written = writer.finish()?;
        let made = made.unwrap_or(Made {
            users: written.file.rows,
            window_events: written.window_events,
            late: 0,
        });
        written.file = self.target.keep(written.file)?;
        Ok((written, made))
    }

    /// The error about a user with two rows in the user table, which is read again to find them.
    fn twice(&self, user: &str) -> DataError {
        let users = self.inputs.users.as_ref();
        match users.map(|table| table.duplicate(user)) {
            Some(Ok(Some(error)) | Err(error)) => error,
            _ => DataError::Mismatch {
                what: format!("rows of user '{user}'"),
                expected: 2,
                found: 1,
            },
        }
    }

    pub(super) fn manifest(
        &self,
        config: &FeatureConfig,
        results: &[PartResult],
    ) -> DatasetManifest {
        let mut dropped = BTreeMap::new();
        let mut statuses = BTreeMap::new();
        let later = self.events.read - self.events.kept;
        if later > 0 {
            dropped.insert(EVENTS_LATER.to_string(), later);
        }
        for result in results {
            add_counts(&mut dropped, &result.dropped);
            add_counts(&mut statuses, &result.written.statuses);
        }
        let files = results.iter().map(|r| r.written.file.clone()).collect();
        let features = self.inputs.layout.features.clone();
        DatasetManifest {
            keep: self.inputs.layout.keep.clone(),
            events: self.events.kept,
            dropped,
            statuses,
            ..DatasetManifest::new(config.clone(), features, files)
        }
    }
}

fn agree(what: &str, expected: u64, found: u64) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(DataError::Mismatch {
        what: what.into(),
        expected,
        found,
    })
}
