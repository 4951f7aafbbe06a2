//! `ltv backtest`: models at several dates of the past, each with what was known then.

use super::{
    Context,
    experiment::{self, PageFlag},
};
use crate::{
    cli::Common,
    exit::Failure,
    options::Overlay,
    page::backtested,
    report::{Facts, Report, count},
};
use clap::Args;
use ltv_core::Day;
use ltv_lab::{
    BacktestConfig,
    backtest::{Backtested, TABLES, backtest},
};
use std::path::PathBuf;

/// Train and judge models at many dates of the past, each with what was known then
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ltv backtest --config backtest.toml --out backtest --report
  ltv backtest --config backtest.toml --out backtest --from 2020-01-01 --to 2023-01-01 --every 182

One dataset as of today serves every date: users, features and labels are those known then. Judged
are those who registered in the days from a date on. What is there already is not trained again: a
backtest that was stopped goes on where it was, and a date or a model that is added is the only one
trained.")]
pub(crate) struct Flags {
    /// Folder to write models, predictions and tables to, one folder for each date
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Folder of the dataset, or s3://bucket/prefix
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The event log, for buy-till-you-die models: files or folders
    #[arg(long, value_name = "PATH", num_args = 1..)]
    events: Vec<PathBuf>,
    /// The first as-of date
    #[arg(long, value_name = "DATE")]
    from: Option<Day>,
    /// No as-of date is later
    #[arg(long, value_name = "DATE")]
    to: Option<Day>,
    /// Days from one as-of date to the next [default: 91]
    #[arg(long, value_name = "DAYS")]
    every: Option<u32>,
    /// Judge those who registered in that many days from a date on [default: 365]
    #[arg(long, value_name = "DAYS")]
    judge_days: Option<u32>,
    /// Train each model with each of these seeds [default: 0,1,2]
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    seeds: Vec<u64>,
    /// Resamples for the intervals of each date, 20 or more [default: 200]
    #[arg(long, value_name = "N")]
    bootstrap: Option<u32>,
    #[command(flatten)]
    page: PageFlag,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Flags {
    fn resolve(&self) -> Result<BacktestConfig, Failure> {
        let Some(config) = &self.common.config else {
            let message = "--config: give a file that says which models are replayed; \
                           examples/oss_commits/backtest.toml is one";
            return Err(Failure::user(message));
        };
        let mut options = Overlay::default().file(Some(config))?;
        options.set("data", self.data.as_ref())?;
        options.list("events", &self.events)?;
        options.set("dates.from", self.from)?;
        options.set("dates.to", self.to)?;
        options.set("dates.every_days", self.every)?;
        options.set("judge_days", self.judge_days)?;
        options.list("seeds", &self.seeds)?;
        options.set("bootstrap", self.bootstrap)?;
        options.resolve()
    }
}

/// Replays and reports.
pub(crate) fn run(flags: Flags, context: &Context) -> Result<Report, Failure> {
    let config = flags.resolve()?;
    let page = flags.page.path(&flags.out)?;
    let found = experiment::call(&flags.out, context, |call| backtest(&config, call))?;
    let page = match page {
        Some(path) => Some((path, backtested(&config, &found.document)?)),
        None => None,
    };
    let mut facts = facts(&found);
    experiment::outputs(&mut facts, &flags.out.join(TABLES), page)?;
    let title = format!("{}: a backtest", flags.out.display());
    let text = format!("{}\n{}", found.document.summary(), facts.text(&title));
    Report::new(text, &found.document)
}

fn facts(found: &Backtested) -> Facts {
    let mut facts = Facts::default();
    let dates = &found.document.dates;
    let judged: u64 = dates.iter().map(|d| d.judged_rows).sum();
    facts.add("dates", count(dates.len() as u64));
    facts.add(
        "judged",
        format!("{} users, summed over dates", count(judged)),
    );
    facts.add(
        "runs",
        format!("{}, {} of them trained now", found.runs, found.trained),
    );
    facts
}
