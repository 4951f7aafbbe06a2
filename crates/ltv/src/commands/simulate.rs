//! `ltv simulate`: events and users of a platform that does not exist.

use super::Context;
use crate::{
    cli::Common,
    exit::Failure,
    options::Overlay,
    report::{Facts, Report, count},
};
use clap::Args;
use ltv_core::{Day, progress::Progress};
use ltv_data::simulate::{Shard, SimulateConfig, Simulated, simulate};
use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// Make events and users of a simulated platform, to try things on
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ltv simulate --users 100000 --seed 7 --out sim")]
pub(crate) struct Flags {
    /// Folder to write to, new or empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How many users [default: 100000]
    #[arg(long, value_name = "N")]
    users: Option<u64>,
    /// Only the users of shard I of N, from 1/N to N/N; all shards together hold the users and events
    /// of the whole
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// First day of the calendar [default: 2022-01-01]
    #[arg(long, value_name = "DATE")]
    start: Option<Day>,
    /// Days in which users register, 1 to 3650 [default: 540]
    #[arg(long, value_name = "N")]
    days: Option<u32>,
    /// Days simulated beyond the last registration, 1 to 3650 [default: 400]
    #[arg(long, value_name = "N")]
    activity_days: Option<u32>,
    /// How many times as fast as usual later cohorts differ from earlier ones, 0 to 100 [default: 1]
    #[arg(long, value_name = "N")]
    drift: Option<u32>,
    /// Users of one file [default: 50000]
    #[arg(long, value_name = "N")]
    shard_users: Option<u64>,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Flags {
    fn resolve(&self) -> Result<SimulateConfig, Failure> {
        let mut options = Overlay::default().file(self.common.config.as_deref())?;
        options.set("users", self.users)?;
        options.set("shard", self.shard)?;
        options.set("seed", self.common.seed)?;
        options.set("start", self.start)?;
        options.set("days_of_registration", self.days)?;
        options.set("days_of_activity", self.activity_days)?;
        options.set("drift", self.drift)?;
        options.set("shard_users", self.shard_users)?;
        options.resolve()
    }
}

/// Simulates and says what was written.
pub(crate) fn run(flags: Flags, context: &Context) -> Result<Report, Failure> {
    let config = flags.resolve()?;
    let made = simulate_with_progress(&config, &flags.out, &context.progress)?;
    let out = flags.out.display();
    let mut facts = Facts::default();
    facts.add("users", count(made.users));
    facts.add("events", count(made.events));
    facts.add("files", made.files);
    facts.add("all known as of", made.as_of);
    let what = match config.shard {
        Some(shard) => format!(
            "shard {shard} of a simulation of {} users",
            count(config.users)
        ),
        None => "a simulation".into(),
    };
    let text = facts.text(&format!("{out}: {what}"));
    let next = format!(
        "next: ltv features --preset simulator --events {out}/events --users {out}/users \
         --as-of {} --out data",
        made.as_of
    );
    let json = serde_json::json!({
        "out": flags.out, "users": made.users, "events": made.events, "files": made.files,
        "as_of": made.as_of, "config": config,
    });
    Report::new(format!("{text}{next}"), &json)
}

/// Simulates and reports each finished file.
pub(super) fn simulate_with_progress(
    config: &SimulateConfig,
    out: &Path,
    progress: &dyn Progress,
) -> Result<Simulated, Failure> {
    config.check()?;
    progress.start("simulate users", Some(config.expected_users()));
    let seen = AtomicU64::new(0);
    let made = simulate(config, out, &|done| {
        progress.advance(done.saturating_sub(seen.fetch_max(done, Ordering::Relaxed)));
    });
    progress.finish();
    Ok(made?)
}
