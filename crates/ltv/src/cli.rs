//! The command line: one subcommand for each step, and the flags that all of them share.

use crate::{
    commands::{
        backtest, bench, compare, completions, conversions, daily, diff, evaluate, export,
        features, forget, get, inspect, models, prune, publish, quickstart, roi, score, serve,
        simulate, train,
    },
    log::Format,
};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Customer lifetime value, from events to scores.
///
/// Results go to standard output, everything else to standard error. Exit code 0: done; 2: input,
/// options or disk are to be put right, and the message says how; 1: a defect of this program; 3: a gate of
/// 'ltv daily' failed; 130 or 143: stopped by Ctrl-C or SIGTERM.
#[derive(Debug, Parser)]
#[command(
    name = "ltv",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
#[command(after_help = "Start here:\n  ltv quickstart")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Quickstart(quickstart::Flags),
    Simulate(simulate::Flags),
    Features(Box<features::Flags>),
    Train(Box<train::Flags>),
    Evaluate(evaluate::Flags),
    Compare(compare::Flags),
    Backtest(backtest::Flags),
    Roi(Box<roi::Flags>),
    Score(score::Flags),
    Daily(daily::Flags),
    Models(models::Flags),
    Diff(diff::Flags),
    Prune(prune::Flags),
    Publish(publish::Flags),
    Get(get::Flags),
    Forget(forget::Flags),
    Serve(Box<serve::Flags>),
    Conversions(Box<conversions::Flags>),
    Export(export::Flags),
    Inspect(inspect::Flags),
    Bench(bench::Flags),
    Completions(completions::Flags),
}

impl Command {
    /// The flags that it shares with the others, unless it has none.
    pub(crate) fn common(&self) -> Option<&Common> {
        let common = match self {
            Self::Quickstart(flags) => &flags.common,
            Self::Simulate(flags) => &flags.common,
            Self::Features(flags) => &flags.common,
            Self::Train(flags) => &flags.common,
            Self::Evaluate(flags) => &flags.common,
            Self::Compare(flags) => &flags.common,
            Self::Backtest(flags) => &flags.common,
            Self::Roi(flags) => &flags.common,
            Self::Score(flags) => &flags.common,
            Self::Daily(flags) => &flags.common,
            Self::Models(flags) => &flags.common,
            Self::Diff(flags) => &flags.common,
            Self::Prune(flags) => &flags.common,
            Self::Publish(flags) => &flags.common,
            Self::Get(flags) => &flags.common,
            Self::Forget(flags) => &flags.common,
            Self::Serve(flags) => &flags.common,
            Self::Conversions(flags) => &flags.common,
            Self::Export(flags) => &flags.common,
            Self::Inspect(flags) => &flags.common,
            Self::Bench(flags) => &flags.common,
            Self::Completions(_) => return None,
        };
        Some(common)
    }

    /// How it writes on standard error.
    pub(crate) fn log_format(&self) -> Format {
        self.common()
            .map_or(Format::Text, |common| common.log_format)
    }
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Common {
    /// TOML file with the options of this command; flags win over it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print one JSON document instead of text
    #[arg(long)]
    pub(crate) json: bool,
    /// Show no progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// How progress and errors are written on standard error
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(crate) log_format: Format,
    /// Threads to work on; results do not depend on it [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Seed of all randomness; the same seed gives the same bytes [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}
