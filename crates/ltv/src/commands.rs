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
use ltv_core::progress::Progress;
use ltv_model::Bundle;
use std::{num::NonZero, path::Path, thread::available_parallelism};

/// What the common flags mean to a command.
pub(crate) struct Context {
    pub(crate) threads: usize,
    pub(crate) seed: u64,
    pub(crate) progress: Display,
}

impl Context {
    pub(crate) fn new(common: &Common, progress: Display) -> Self {
        let cores = available_parallelism().map_or(1, NonZero::get);
        Self {
            threads: common.threads.map_or(cores, usize::from),
            seed: common.seed.unwrap_or(1),
            progress,
        }
    }
}

/// Runs a command and prints what comes of it.
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
    let common = match (&command, command.common()) {
        (Command::Completions(flags), _) => return completions::run(flags),
        (_, Some(common)) => common.clone(),
        (_, None) => return Err(Failure::internal("a command without common options")),
    };
    let context = Context::new(&common, Display::new(common.quiet));
    rayon::ThreadPoolBuilder::new()
        .num_threads(context.threads)
        .build_global()
        .map_err(|e| no_threads(context.threads, e))?;
    if let Command::Daily(flags) = &command {
        // One line for each day, as soon as it is done.
        let done = daily::run(flags, &context);
        context.progress.finish();
        return done;
    }
    let report = report(command, &context);
    context.progress.finish();
    report?.print(common.json)
}

/// Runs a command that has one thing to say when it is done.
pub(crate) fn report(command: Command, context: &Context) -> Result<Report, Failure> {
    let timed = matches!(
        command,
        Command::Features(_)
            | Command::Train(_)
            | Command::Evaluate(_)
            | Command::Roi(_)
            | Command::Score(_)
    );
    let report = match command {
        Command::Simulate(flags) => simulate::run(flags, context),
        Command::Features(flags) => features::run(*flags, context),
        Command::Train(flags) => train::run(*flags, context),
        Command::Evaluate(flags) => evaluate::run(flags, context),
        Command::Roi(flags) => roi::run(*flags, context),
        Command::Compare(flags) => compare::run(flags, context),
        Command::Backtest(flags) => backtest::run(flags, context),
        Command::Score(flags) => score::run(flags, context),
        Command::Diff(flags) => diff::run(flags, context),
        Command::Models(flags) => models::run(&flags, context),
        Command::Publish(flags) => publish::run(flags, context),
        Command::Forget(flags) => forget::run(flags, context),
        Command::Get(flags) => get::run(flags, context),
        Command::Serve(flags) => serve::run(*flags, context),
        Command::Prune(flags) => prune::run(flags, context),
        Command::Conversions(flags) => conversions::run(*flags, context),
        Command::Export(flags) => export::run(&flags, context),
        Command::Quickstart(flags) => quickstart::run(flags, context),
        Command::Inspect(flags) => inspect::run(flags, context),
        Command::Bench(flags) => bench::run(flags, context),
        Command::Daily(_) | Command::Completions(_) => {
            Err(Failure::internal("a command without a report"))
        }
    };
    match timed {
        true => report?.timed(&context.progress.timing()),
        false => report,
    }
}

pub(crate) fn no_threads(threads: usize, problem: impl std::fmt::Display) -> Failure {
    Failure::user(format!("cannot start {threads} threads: {problem}"))
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
