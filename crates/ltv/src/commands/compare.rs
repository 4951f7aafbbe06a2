//! `ltv compare`: many models on one dataset and one split.

use super::Context;
use crate::{
    cli::Common,
    exit::Failure,
    options::Overlay,
    outputs::{self, Kind},
    page::compared,
    report::{Facts, Report, count},
};
use clap::Args;
use ltv_core::artefact;
use ltv_lab::{
    CompareConfig, Outcome, compare,
    compare::{Call, REPORT, TABLES},
};
use std::{path::PathBuf, time::Instant};

/// Train many models on one dataset and judge them on the same users
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ltv compare --config compare.toml --out comparison
  ltv compare --config compare.toml --out comparison --seeds 0 --bootstrap 100 --report

What is there already is not trained again: a comparison that was stopped goes on where it was, and
a model added to the file is the only one trained. examples/ has files to start from.")]
pub(crate) struct Flags {
    /// Folder to write models, predictions and tables to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Folder of the dataset to train on
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder of a later dataset: those who registered since are judged [default: the test part of
    /// the split]
    #[arg(long, value_name = "DIR")]
    test: Option<PathBuf>,
    /// The event log, for buy-till-you-die models: files or folders
    #[arg(long, value_name = "PATH", num_args = 1..)]
    events: Vec<PathBuf>,
    /// Train each model with each of these seeds [default: 0,1,2]
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    seeds: Vec<u64>,
    /// Resamples for intervals, 20 or more [default: 200]
    #[arg(long, value_name = "N")]
    bootstrap: Option<u32>,
    /// Write a page with charts as well, that opens offline [default: report.html in --out]
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    #[allow(
        clippy::option_option,
        reason = "absent, given without a name, given with one: what clap makes of it"
    )]
    report: Option<Option<PathBuf>>,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Flags {
    fn resolve(&self) -> Result<CompareConfig, Failure> {
        let Some(config) = &self.common.config else {
            let message = "--config: give a file that says what is compared; examples/ has some";
            return Err(Failure::user(message));
        };
        let mut options = Overlay::default().file(Some(config))?;
        options.set("data", self.data.as_ref())?;
        options.set("test", self.test.as_ref())?;
        options.list("events", &self.events)?;
        options.list("seeds", &self.seeds)?;
        options.set("bootstrap", self.bootstrap)?;
        options.resolve()
    }
}

/// Compares and reports.
pub(crate) fn run(flags: Flags, context: &Context) -> Result<Report, Failure> {
    let config = flags.resolve()?;
    let page = flags
        .report
        .as_ref()
        .map(|given| given.clone().unwrap_or_else(|| flags.out.join(REPORT)));
    // Asked now, so that hours of training do not end with a refusal.
    page.iter()
        .try_for_each(|path| outputs::check(path, Kind::Page))?;
    let began = Instant::now();
    let outcome = compare(
        &config,
        &Call {
            out: &flags.out,
            threads: context.threads,
            seed: context.seed,
            clock: &|| began.elapsed(),
            progress: &context.progress,
        },
    )?;
    let mut facts = facts(&outcome);
    facts.add("tables", flags.out.join(TABLES).display());
    if let Some(path) = page {
        let page = compared(&config, &outcome)?;
        artefact::write(&path, page.as_bytes())?;
        facts.add("report", path.display());
    }
    let title = format!("{}: a comparison", flags.out.display());
    let text = format!("{}\n{}", outcome.comparison.tables(), facts.text(&title));
    Report::new(text, &outcome.comparison)
}

fn facts(outcome: &Outcome) -> Facts {
    let mut facts = Facts::default();
    let runs: usize = outcome.runs.iter().map(Vec::len).sum();
    facts.add("users", count(outcome.judged.len() as u64));
    facts.add("models", count(outcome.runs.len() as u64));
    facts.add(
        "runs",
        format!("{runs}, {} of them trained now", outcome.trained),
    );
    facts
}
