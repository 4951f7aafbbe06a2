//! One module for each command: raw flags, resolved options, run.

pub(crate) mod backtest;
pub(crate) mod bench;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod conversions;
pub(crate) mod daily;
pub(crate) mod diff;
pub(crate) mod evaluate;
mod experiment;
pub(crate) mod export;
pub(crate) mod features;
pub(crate) mod forget;
pub(crate) mod get;
pub(crate) mod inspect;
pub(crate) mod models;
pub(crate) mod prune;
pub(crate) mod publish;
pub(crate) mod quickstart;
pub(crate) mod roi;
pub(crate) mod score;
pub(crate) mod serve;
pub(crate) mod simulate;
pub(crate) mod train;

use crate::{
    cli::{Command, Common},
    exit::Failure,
    progress::Display,
    report::Report,
    signals,
};
use ltv_model::Bundle;
use std::{num::NonZero, path::Path, thread::available_parallelism};

/// What the common flags mean to a command.
pub(crate) struct Context {
    pub(crate) threads: usize,
    pub(crate) seed: u64,
    pub(crate) progress: Display,
}

/// Runs a command and prints its report.
pub(crate) fn run(command: Command) -> Result<(), Failure> {
    // The others only read, and may be stopped anywhere; a server hears signals itself.
    if let Command::Simulate(_)
    | Command::Features(_)
    | Command::Train(_)
    | Command::Compare(_)
    | Command::Backtest(_)
    | Command::Score(_)
    | Command::Diff(_)
    | Command::Prune(_)
    | Command::Daily(_)
    | Command::Publish(_)
    | Command::Forget(_)
    | Command::Conversions(_)
    | Command::Export(_)
    | Command::Bench(_)
    | Command::Quickstart(_) = command
    {
        signals::listen()?;
    }
    match command {
        Command::Simulate(flags) => within(&flags.common.clone(), |c| simulate::run(flags, c)),
        Command::Features(flags) => timed(&flags.common.clone(), |c| features::run(*flags, c)),
        Command::Train(flags) => timed(&flags.common.clone(), |c| train::run(*flags, c)),
        Command::Evaluate(flags) => timed(&flags.common.clone(), |c| evaluate::run(flags, c)),
        Command::Roi(flags) => timed(&flags.common.clone(), |c| roi::run(*flags, c)),
        Command::Compare(flags) => within(&flags.common.clone(), |c| compare::run(flags, c)),
        Command::Backtest(flags) => within(&flags.common.clone(), |c| backtest::run(flags, c)),
        Command::Score(flags) => timed(&flags.common.clone(), |c| score::run(flags, c)),
        Command::Diff(flags) => within(&flags.common.clone(), |c| diff::run(flags, c)),
        Command::Daily(flags) => started(&flags.common, |c| daily::run(&flags, c)),
        Command::Models(flags) => within(&flags.common.clone(), |c| models::run(&flags, c)),
        Command::Publish(flags) => within(&flags.common.clone(), |c| publish::run(flags, c)),
        Command::Forget(flags) => within(&flags.common.clone(), |c| forget::run(flags, c)),
        Command::Get(flags) => within(&flags.common.clone(), |c| get::run(flags, c)),
        Command::Serve(flags) => within(&flags.common.clone(), |c| serve::run(*flags, c)),
        Command::Prune(flags) => within(&flags.common.clone(), |c| prune::run(flags, c)),
        Command::Conversions(flags) => {
            within(&flags.common.clone(), |c| conversions::run(*flags, c))
        }
        Command::Export(flags) => within(&flags.common.clone(), |c| export::run(&flags, c)),
        Command::Quickstart(flags) => within(&flags.common.clone(), |c| quickstart::run(flags, c)),
        Command::Inspect(flags) => within(&flags.common.clone(), |c| inspect::run(flags, c)),
        Command::Bench(flags) => within(&flags.common.clone(), |c| bench::run(flags, c)),
        Command::Completions(flags) => completions::run(&flags),
    }
}

/// The bundle in `path`, which `--model` names.
fn bundle(path: &Path) -> Result<Bundle, Failure> {
    if path.is_dir() {
        let message = format!(
            "{}: is a folder; --model takes a file that 'ltv train' wrote",
            path.display()
        );
        return Err(Failure::user(message));
    }
    Ok(Bundle::load(path)?)
}

/// The same, with where the time went in the report.
fn timed(
    common: &Common,
    run: impl FnOnce(&Context) -> Result<Report, Failure>,
) -> Result<(), Failure> {
    within(common, |context| {
        let report = run(context)?;
        report.timed(&context.progress.timing())
    })
}

/// Runs a command, and prints its report.
fn within(
    common: &Common,
    run: impl FnOnce(&Context) -> Result<Report, Failure>,
) -> Result<(), Failure> {
    let report = |context: &Context| {
        let report = run(context);
        ltv_core::progress::Progress::finish(&context.progress);
        report?.print(common.json)
    };
    started(common, report)
}

/// Runs a command that says itself what came of it.
fn started(
    common: &Common,
    run: impl FnOnce(&Context) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let cores = available_parallelism().map_or(1, NonZero::get);
    let context = Context {
        threads: common.threads.map_or(cores, usize::from),
        seed: common.seed.unwrap_or(1),
        progress: Display::new(common.quiet),
    };
    rayon::ThreadPoolBuilder::new()
        .num_threads(context.threads)
        .build_global()
        .map_err(|e| Failure::user(format!("cannot start {} threads: {e}", context.threads)))?;
    let done = run(&context);
    ltv_core::progress::Progress::finish(&context.progress);
    done
}
