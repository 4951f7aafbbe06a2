//! From an earlier dataset to one of a later day.

use super::{
    base::Base,
    build::{BuildOptions, EVENTS_LATER, Inputs, Job, check_users, part_count},
    days::LogDay,
    target::Target,
};
use crate::{Result, holidays::HolidayCalendar};
use ltv_core::{config::FeatureConfig, manifest::DatasetManifest, progress::Progress};
use std::path::{Path, PathBuf};

/// What [`update_dataset`] made.
#[derive(Debug, Clone, PartialEq)]
pub struct Updated {
    /// The dataset.
    pub manifest: DatasetManifest,
    /// Rows that were made; all others were taken over.
    pub made: u64,
    /// Events before the earlier as-of date that the earlier dataset was not made of; negative where some that it was
    /// made of are no longer there.
    pub late_events: i64,
    /// Users who are new but registered before the last window: they have no row.
    pub late_users: u64,
    /// The last ten weeks of the log, day by day, from the first day with an event on.
    pub last_days: Vec<LogDay>,
}

impl Updated {
    /// Whether the dataset is the one that [`build_dataset`](super::build_dataset) would make, as far as counts of events and users
    /// tell: not where what an earlier dataset was made of has changed since.
    pub fn is_exact(&self) -> bool {
        self.late_events == 0 && self.late_users == 0
    }
}

/// Makes the dataset of `config` at `out` from an earlier one in `earlier`, of the same configuration but for the
/// as-of date: rows are made again only of users whose window was open, of whom a label has become known, or
/// who had done nothing. All events are read, few are worked on.
///
/// From a log that has only grown at its end, the files are those that [`build_dataset`](super::build_dataset) makes with as many
/// parts, byte for byte. What came late is counted in [`Updated`] and, like changes of the user table, missing
/// in the rows that were taken over. `dropped` in the manifest holds only `events_later`: the other reasons
/// are known only where everything is made. `out` may be `earlier`.
///
/// # Errors
/// As [`build_dataset`](super::build_dataset); when the earlier dataset is another's, is later, or was made of more parts than
/// [`BuildOptions::partitions`] says.
pub fn update_dataset(
    (earlier, out): (&Path, &Path),
    events: &[PathBuf],
    users: Option<&[PathBuf]>,
    config: &FeatureConfig,
    options: &BuildOptions,
    progress: &dyn Progress,
) -> Result<Updated> {
    make_dataset(
        (Some(earlier), out),
        events,
        users,
        config,
        options,
        progress,
    )
}

/// As [`update_dataset`], or without an earlier dataset as [`build_dataset`](super::build_dataset): then everything is made, and
/// nothing comes late.
///
/// # Errors
/// As these.
pub fn make_dataset(
    (earlier, out): (Option<&Path>, &Path),
    events: &[PathBuf],
    users: Option<&[PathBuf]>,
    config: &FeatureConfig,
    options: &BuildOptions,
    progress: &dyn Progress,
) -> Result<Updated> {
    config.check()?;
    let site = Target::look(out)?;
    let holidays = HolidayCalendar::new(&config.holidays)?;
    let inputs = Inputs::open(events, users, config)?;
    let base = earlier
        .map(|earlier| Base::open(earlier, config, &inputs.layout))
        .transpose()?;
    let count = match &base {
        Some(base) => base.parts(),
        None => part_count(&inputs, config, options)?,
    };
    let scratch = options.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let target = Target::create(out, site, &scratch)?;
    let job = Job::prepare(&inputs, config, holidays, (count, base), &target, progress)?;
    let written = job.run(options.threads.max(1), progress)?;
    let mut manifest = job.manifest(config, &written);
    if job.base.is_some() {
        manifest.dropped.retain(|why, _| why == EVENTS_LATER);
    }
    let late_events = job.base.as_ref().map_or(0, Base::late_events);
    let last_days = job.days.finish();
    check_users(&manifest)?;
    target.commit(&manifest, progress)?;
    Ok(Updated {
        manifest,
        made: written.iter().map(|part| part.made).sum(),
        late_events,
        late_users: written.iter().map(|part| part.late).sum(),
        last_days,
    })
}
