//! A seeded short-video platform and its new users: demonstrations, benchmarks and tests without
//! anybody's data.
//!
//! # The generative model
//! Each user draws from a random stream of their own (ChaCha8, keyed by the seed, stream number =
//! user), so that the first `N` users of a simulation do not depend on how many follow. `N(0,1)`
//! are fresh normal draws, `x` the years between the start and the user's registration (times [the
//! drift](SimulateConfig::drift)), `logistic(z) = 1 / (1 + exp(-z))`.
//!
//! 1. **Registration day**: weight 1, times 1.15 on Saturday and Sunday, times 1.3 on a
//!    [holiday](crate::holidays::simulator_holiday). Ids are in no order of registration.
//! 2. **Profile**: a channel (pre-install, app store, fission, two advertisers; the second grows
//!    with `x`), a device given the channel, a city tier, and an acquisition cost of the
//!    channel's price times `exp(0.25 N(0,1))`.
//! 3. **Latent engagement** `e = N(0,1)` and **satisfaction** `s = N(0,1)`, seen by nobody.
//! 4. **Latent type** `k`: bounced, casual, weekly, loyal; `P(k)` is proportional to
//!    `exp(base_k + channel_k + device_k + city_k + e_k e + s_k s + drift_k x)`. Drift makes later
//!    cohorts bounce more and stay loyal less.
//! 5. **Lifetime** from registration: geometric with daily hazard
//!    `h_k exp(channel + device - 0.55 s - 0.2 e)`. Then, at a small daily rate by type, a **resurrection**: a shorter life of casual activity.
//! 6. **Active on day `d` of a life**: always on its first, else with probability
//!    `logistic(a_k + 0.6 e + b_k r + 0.25 [weekend] + 0.5 [holiday] + 1.2 exp(-d / 4) [casual])`
//!    with a personal regularity `r = N(0,1)`. Weekly users have one or two weekdays of their own,
//!    on which `a_k` is high.
//! 7. **Minutes** on an active day: `exp(m_k + 0.5 e + 0.2 s + trend min(d, 14) / 7 +
//!    0.15 [weekend] + 0.2 [holiday] + 0.55 N(0,1))`, where `trend = 0.45 s + 0.1 N(0,1)`: who
//!    likes the platform watches more by the day, and stays.
//! 8. **Videos**: minutes over the mean length of a watched video, `exp(-0.7 + 0.35 s +
//!    0.2 N(0,1))` for the user and `exp(0.25 N(0,1))` for the day: who is bored skips.
//! 9. **Revenue**: `logistic(-3 + 0.6 e + device)` of users ever pay; they do so on a share of
//!    their active days, an amount of Pareto tail (exponent 1.6), in cents.
//!
//! The value of days 7 to 372 counted in active days has the shape of the paper's Figure 1: two
//! in five users worth 0, a long tail, and a raised end at 365
//! (`cargo run -p ltv-data --example simulated_ltv365` draws it).
//!
//! # Files
//! ```text
//! manifest.json                 written last: seed, options, files, checksums
//! events/part-00000.parquet     user_id, timestamp, duration_min, videos, value
//! users/part-00000.parquet      user_id, registration, channel, device, city_tier, cost
//! ```
//! One event for each user and active day; `registration` is the time of the first.
//!
//! A population that is too large for a disk is simulated one [`Shard`] at a time: with the same
//! options, the shards together hold the users and events of the whole.

mod calendar;
mod error;
mod life;
mod person;
mod shard;
mod tables;

#[cfg(test)]
mod tests;

pub use error::SimulateError;
pub use life::Event;
pub use person::User;
pub use shard::Shard;

use calendar::Calendar;
use ltv_core::{
    Day, Error, Horizons,
    artefact::{self, AtomicFolder},
    config::{
        Aggregate, DatasetOptions, EventColumns, FeatureConfig, Holidays, Label, Measure, Sequence,
        UserColumns,
    },
    manifest::{FileEntry, MANIFEST},
    seed,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

/// What is simulated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SimulateConfig {
    /// Users of the population, at least 1.
    pub users: u64,
    /// Which of them are written; all of them when `None`. Changes nothing about who they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// Seed of all randomness.
    pub seed: u64,
    /// First day of the calendar and of the first cohort.
    pub start: Day,
    /// Days in which users register, `1..=3650`.
    pub days_of_registration: u32,
    /// Days that are simulated beyond the last cohort's, `1..=3650`. From 372 on, even the last
    /// cohort's 365-day labels are mature at the end.
    pub days_of_activity: u32,
    /// Users of one file, at least 1; about as many where only a shard is written.
    pub shard_users: u64,
    /// How many times as fast as usual later cohorts differ from earlier ones, `0..=100`.
    #[serde(skip_serializing_if = "is_usual")]
    pub drift: u32,
}

/// Whether cohorts drift as they always did; then it is not written down.
fn is_usual(drift: &u32) -> bool {
    *drift == 1
}

impl Default for SimulateConfig {
    fn default() -> Self {
        Self {
            users: 100_000,
            shard: None,
            seed: 1,
            start: Day(18_993), // 2022-01-01
            days_of_registration: 540,
            days_of_activity: 400,
            shard_users: 50_000,
            drift: 1,
        }
    }
}

impl SimulateConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    /// Names the option and its range.
    pub fn check(&self) -> Result<(), Error> {
        let days = 1..=3650;
        for (key, value) in [("users", self.users), ("shard_users", self.shard_users)] {
            if !(1..=1 << 40).contains(&value) {
                let problem = format!("{value} is not between 1 and 2^40");
                return Err(Error::config(format!("simulate.{key}"), problem));
            }
        }
        for (key, value) in [
            ("days_of_registration", self.days_of_registration),
            ("days_of_activity", self.days_of_activity),
        ] {
            if !days.contains(&value) {
                let problem = format!("{value} is not between 1 and 3650");
                return Err(Error::config(format!("simulate.{key}"), problem));
            }
        }
        if self.drift > 100 {
            let problem = format!("{} is not between 0 and 100", self.drift);
            return Err(Error::config("simulate.drift", problem));
        }
        if !(-100_000..100_000).contains(&self.start.0) {
            let problem = format!("{} is not between 1700 and 2240", self.start);
            return Err(Error::config("simulate.start", problem));
        }
        Ok(())
    }

    /// User numbers that one file is chosen from: as many times more as there are shards.
    fn numbers_of_a_file(&self) -> u64 {
        let of = self.shard.map_or(1, Shard::of);
        self.shard_users.saturating_mul(u64::from(of))
    }

    /// About how many users are written.
    pub fn expected_users(&self) -> u64 {
        self.users / self.shard.map_or(1, |s| u64::from(s.of()))
    }

    /// Days of the whole calendar.
    fn days(&self) -> i32 {
        (self.days_of_registration + self.days_of_activity) as i32
    }

    /// The first day after the simulated calendar: the as-of date at which all is known.
    pub fn end(&self) -> Day {
        self.start + self.days()
    }

    /// A feature configuration that reads every column of a simulation: active days as the
    /// label, the paper's horizons, a window of 7 days.
    pub fn feature_config(as_of: Day) -> FeatureConfig {
        let names = |names: &[&str]| names.iter().map(|n| n.to_string()).collect::<Vec<_>>();
        let sum = |name: &str, column: &str| Sequence {
            name: name.into(),
            measure: Measure::Sum(column.into()),
        };
        FeatureConfig {
            events: EventColumns {
                value: Some("value".into()),
                ..EventColumns::default()
            },
            users: UserColumns {
                registration: Some("registration".into()),
                profile: names(&["channel", "device", "city_tier"]),
                keep: names(&["cost"]),
                ..UserColumns::default()
            },
            dataset: DatasetOptions {
                as_of,
                window_days: 7,
                horizons: Horizons::default(),
                label: Label::ActiveDays,
                registered_from: None,
                registered_before: None,
            },
            sequences: vec![
                Sequence {
                    name: "cnt".into(),
                    measure: Measure::Count,
                },
                sum("minutes", "duration_min"),
                sum("videos", "videos"),
                sum("revenue", "value"),
            ],
            aggregates: Aggregate {
                mean: names(&["duration_min"]),
                max: names(&["duration_min"]),
                ..Aggregate::default()
            },
            holidays: Holidays {
                simulator: true,
                ..Holidays::default()
            },
        }
    }
}

/// Describes a simulation: `manifest.json` beside its two folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimulationManifest {
    /// Always `ltv-simulation`.
    pub format: String,
    /// Version of the layout; this program writes 1.
    pub version: u32,
    /// The first day after the calendar.
    pub as_of: Day,
    /// Users in all files.
    pub users: u64,
    /// Events in all files.
    pub events: u64,
    /// The files in `events/`.
    pub event_files: Vec<FileEntry>,
    /// The files in `users/`.
    pub user_files: Vec<FileEntry>,
    /// The options that made it.
    pub config: SimulateConfig,
}

impl SimulationManifest {
    /// Value of `format`.
    pub const FORMAT: &'static str = "ltv-simulation";
    /// Version this program writes.
    pub const VERSION: u32 = 1;
}

/// What a simulation wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Simulated {
    /// Users.
    pub users: u64,
    /// Events.
    pub events: u64,
    /// Parquet files.
    pub files: usize,
    /// The first day after the calendar.
    pub as_of: Day,
}

/// The platform, one user at a time, without files.
#[derive(Debug)]
pub struct Simulator {
    calendar: Calendar,
    /// Positioned at no user.
    rng: ChaCha8Rng,
}

impl Simulator {
    /// Checks the options and lays out the calendar.
    ///
    /// # Errors
    /// When an option is out of range.
    pub fn new(config: &SimulateConfig) -> Result<Self, SimulateError> {
        config.check()?;
        Ok(Self {
            calendar: Calendar::new(config),
            rng: ChaCha8Rng::seed_from_u64(seed::derive(config.seed, "simulate/users")),
        })
    }

    /// User number `index`, counted from 0, with all their events up to the calendar's end.
    pub fn user(&self, index: u64) -> User {
        let mut rng = self.rng.clone();
        rng.set_stream(index);
        User::draw(index, &self.calendar, &mut rng)
    }
}

/// Simulates `config.users` users, or those of one shard of them, into the folder `out`, which must
/// be new or empty, and stays so until all files are whole. Calls
/// `progress` with the number of users written so far, from any thread. Files are written by as
/// many threads as rayon has; their bytes do not depend on it.
///
/// # Errors
/// When an option is out of range, the shard holds nobody, the folder is not empty or not
/// writable, or the disk is full.
pub fn simulate(
    config: &SimulateConfig,
    out: &Path,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Simulated, SimulateError> {
    let simulator = Simulator::new(config)?;
    check_output(out)?;
    let folder = AtomicFolder::create(out)?;
    artefact::create_folder(folder.path().join("events"))?;
    artefact::create_folder(folder.path().join("users"))?;
    let done = AtomicU64::new(0);
    let numbers = config.numbers_of_a_file();
    let write = |index: u64| {
        let first = index * numbers;
        let users = first..config.users.min(first.saturating_add(numbers));
        let users = users.filter(|&user| config.shard.is_none_or(|shard| shard.holds(user)));
        let files = tables::write(&simulator, index as usize, users, folder.path())?;
        let (_, FileEntry { rows, .. }) = &files;
        progress(done.fetch_add(*rows, Ordering::Relaxed) + rows);
        Ok(files)
    };
    let count = config.users.div_ceil(numbers);
    // A caller that panics in `progress` wants no further file either.
    let files = (0..count).into_par_iter().map(write).panic_fuse();
    let files = files.collect::<Result<Vec<_>, SimulateError>>()?;
    let (event_files, user_files): (Vec<FileEntry>, Vec<FileEntry>) = files.into_iter().unzip();
    let users = user_files.iter().map(|f| f.rows).sum();
    if let (0, Some(shard)) = (users, config.shard) {
        let population = config.users;
        return Err(SimulateError::Nobody { shard, population });
    }
    let manifest = SimulationManifest {
        format: SimulationManifest::FORMAT.into(),
        version: SimulationManifest::VERSION,
        as_of: config.end(),
        users,
        events: event_files.iter().map(|f| f.rows).sum(),
        event_files,
        user_files,
        config: config.clone(),
    };
    artefact::write_json(folder.path().join(MANIFEST), &manifest)?;
    check_output(folder.target())?;
    folder.commit()?;
    Ok(Simulated {
        users: manifest.users,
        events: manifest.events,
        files: manifest.event_files.len() + manifest.user_files.len(),
        as_of: manifest.as_of,
    })
}

/// Nothing that is there is ever replaced.
fn check_output(out: &Path) -> Result<(), SimulateError> {
    match artefact::stranger(out, [])? {
        Some(_) => Err(SimulateError::NotEmpty {
            path: out.to_path_buf(),
        }),
        None => Ok(()),
    }
}
