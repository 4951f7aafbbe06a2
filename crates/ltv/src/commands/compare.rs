//! `ltv compare`: many models on one dataset and one split.

use super::{
    Context,
    experiment::{self, PageFlag},
};
use crate::{
    cli::Common,
    exit::Failure,
    options::Overlay,
    page::compared,
    report::{Facts, Report, count},
};
use clap::Args;
use ltv_lab::{CompareConfig, Outcome, compare, compare::TABLES};
use std::path::PathBuf;

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
    /// Folder of the dataset to train on, or s3://bucket/prefix
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
    #[command(flatten)]
    page: PageFlag,
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
    let page = flags.page.path(&flags.out)?;
    let outcome = experiment::call(&flags.out, context, |call| compare(&config, call))?;
    let page = match page {
        Some(path) => Some((path, compared(&config, &outcome)?)),
        None => None,
    };
    let mut facts = facts(&outcome);
    experiment::outputs(&mut facts, &flags.out.join(TABLES), page)?;
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
