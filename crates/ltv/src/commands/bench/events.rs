//! How fast features are made of events.

use super::{
    super::{Context, simulate::simulate_with_progress},
    Options, scratch_folder,
};
use crate::{
    exit::Failure,
    report::{Facts, Report, count},
};
use ltv_data::{build_dataset, features::BuildOptions, simulate::SimulateConfig};
use serde::Serialize;
use std::{path::Path, time::Instant};

/// What was measured.
#[derive(Debug, Serialize)]
struct Measured {
    threads: usize,
    events: u64,
    users: u64,
    seconds: f64,
    events_per_second: f64,
    users_per_second: f64,
}

/// Simulates, then measures and reports.
pub(super) fn run(
    options: &Options,
    scratch: Option<&Path>,
    context: &Context,
) -> Result<Report, Failure> {
    let folder = scratch_folder(scratch)?;
    let simulation = folder.path().join("simulation");
    let config = SimulateConfig {
        users: options.users.into(),
        seed: context.seed,
        ..SimulateConfig::default()
    };
    let progress = &context.progress;
    progress.say(&format!("simulating {} users", count(config.users)));
    simulate_with_progress(&config, &simulation, progress)?;
    let features = SimulateConfig::feature_config(config.end());
    let build = BuildOptions {
        threads: context.threads,
        ..BuildOptions::default()
    };
    let tables = |name: &str| [simulation.join(name)];
    let (events, users) = (tables("events"), tables("users"));
    let out = folder.path().join("dataset");
    progress.say("making features");
    let began = Instant::now();
    let manifest = build_dataset(&events, Some(&users), &features, &out, &build, progress)?;
    let seconds = began.elapsed().as_secs_f64();
    let measured = Measured {
        threads: context.threads,
        events: manifest.events,
        users: manifest.rows,
        seconds,
        events_per_second: manifest.events as f64 / seconds,
        users_per_second: manifest.rows as f64 / seconds,
    };
    Report::new(text(&measured), &measured)
}

fn text(m: &Measured) -> String {
    let mut facts = Facts::default();
    let of = |rate: f64, n: u64| format!("{}/s of {}", count(rate as u64), count(n));
    facts.add("events", of(m.events_per_second, m.events));
    facts.add("users", of(m.users_per_second, m.users));
    facts.add("time", format!("{:.2} s", m.seconds));
    facts.text(&format!("features, threads {}", m.threads))
}
