//! `ltv bench`: how fast this machine trains, predicts, judges, makes features and publishes, on random data.

mod events;
mod input;
mod metrics;
mod network;
mod options;
mod publish;

use super::Context;
use crate::{
    cli::Common,
    exit::Failure,
    options::Overlay,
    report::{Facts, Report, count},
};
use clap::{Args, ValueEnum};
use ltv_model::Decoding;
use ltv_online::value::Detail;
use options::{BenchFlags, Options};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Measure the speed of training, scoring, metrics, making features or publishing on this machine
///
/// The network is the same for every program it is compared with; data are random. Matrix products are
/// counted as 2 operations for each multiply-add, and training as 3 times the forward pass. With
/// --input parquet the rows are written to a file first and read, encoded and shuffled as in 'ltv train';
/// rows in memory are measured in turn with it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ltv bench train
  ltv bench infer --batch 4096 --threads 1
  ltv bench infer --batch 4096 --decoding expectation --everything
  ltv bench train --input parquet --epochs 4
  ltv bench metrics --rows 100000000
  ltv bench features --users 1000000
  ltv bench publish --users 10000000 --values-only")]
pub(crate) struct Flags {
    /// What to measure
    #[arg(value_enum)]
    what: What,
    #[command(flatten)]
    bench: BenchFlags,
    /// Where training rows come from [default: memory]
    #[arg(long, value_enum, value_name = "WHERE")]
    input: Option<Input>,
    /// Folder for the files that are measured on, in a folder of their own that is removed in the end
    /// [default: the system's folder for temporary files]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// What inference decodes: expectation, argmax, median or quantile:P [default: argmax]
    #[arg(long, value_name = "NAME")]
    decoding: Option<Decoding>,
    /// Whether inference also decodes quantiles and P(value > 0) and projects, as ltv score does
    #[arg(long)]
    everything: bool,
    /// Whether values are published alone, without quantiles and P(value > 0)
    #[arg(long)]
    values_only: bool,
    /// Store that is published to and left as it is: a folder, or redis://host:port [default: a folder of --scratch]
    #[arg(long, value_name = "STORE")]
    store: Option<PathBuf>,
    #[command(flatten)]
    metrics: metrics::MetricsFlags,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum What {
    /// Steps of training: forward, backward, Adam
    Train,
    /// Prediction
    Infer,
    /// Metrics of predictions
    Metrics,
    /// Events to a dataset, of simulated users
    Features,
    /// Predictions to a store, and look-ups in it
    Publish,
}

/// Where training rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Input {
    /// Batches that lie ready
    Memory,
    /// A dataset on disk
    Parquet,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Measured {
    what: What,
    threads: usize,
    rows_per_second: f64,
    slowest: f64,
    fastest: f64,
    multiply_adds_per_row: u64,
    gflop_per_second: f64,
    peak_gflop_per_second: f64,
    share_of_peak: f64,
    /// Share of the time of training that goes into the optimiser.
    #[serde(skip_serializing_if = "Option::is_none")]
    update_share: Option<f64>,
    /// How long the prediction of one row takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    one_row: Option<network::Latency>,
    /// For all threads to wake up and meet.
    meeting_seconds: f64,
    options: Options,
}

/// Measures and reports.
pub(crate) fn run(flags: Flags, context: &Context) -> Result<Report, Failure> {
    match flags.what {
        What::Metrics => metrics::run(&flags, context),
        _ => on_rows(&flags, context),
    }
}

/// Measures what works on rows of features.
fn on_rows(flags: &Flags, context: &Context) -> Result<Report, Failure> {
    let mut options = Overlay::default().file(flags.common.config.as_deref())?;
    flags.bench.apply(&mut options)?;
    options.set("input", flags.input)?;
    options.set("decoding", flags.decoding)?;
    options.set("everything", flags.everything.then_some(true))?;
    let options: Options = options.resolve()?;
    options.check()?;
    let scratch = flags.scratch.as_deref();
    match (flags.what, options.input) {
        (What::Features, _) => events::run(&options, scratch, context),
        (What::Publish, _) => {
            let detail = match flags.values_only {
                true => Detail::Values,
                false => Detail::Everything,
            };
            match &flags.store {
                Some(store) => publish::run(&options, detail, store, context),
                None => {
                    let folder = scratch_folder(scratch)?;
                    publish::run(&options, detail, &folder.path().join("store"), context)
                }
            }
        }
        (What::Train, Input::Parquet) => input::run(options, scratch, context),
        (what, _) => in_memory(what, options, context),
    }
}

fn in_memory(what: What, options: Options, context: &Context) -> Result<Report, Failure> {
    let total = f64::from(options.windows) * options.seconds;
    context.progress.say(&format!("measuring for {total:.1} s"));
    let network::Speed {
        rates,
        forward,
        update,
        one_row,
    } = match what {
        What::Train => network::train(&options, context)?,
        _ => network::infer(&options, context),
    };
    let passes = if what == What::Train { 3.0 } else { 1.0 };
    let median = rates[rates.len() / 2];
    let speed = median * forward as f64 * 2.0 * passes / 1e9;
    let roof = network::roof(&options, context.threads);
    let measured = Measured {
        what,
        threads: context.threads,
        rows_per_second: median,
        slowest: rates[0],
        fastest: rates[rates.len() - 1],
        multiply_adds_per_row: forward,
        gflop_per_second: speed,
        peak_gflop_per_second: roof,
        share_of_peak: speed / roof,
        update_share: update,
        one_row,
        meeting_seconds: network::meeting(context.threads)?,
        options,
    };
    Report::new(text(&measured), &measured)
}

fn text(m: &Measured) -> String {
    let (name, passes) = match m.what {
        What::Train => ("training", "counted as 3 forward passes"),
        _ => ("inference", "matrix products only, none folded"),
    };
    let mut facts = Facts::default();
    let spread = format!("{} to {}", count(m.slowest as u64), count(m.fastest as u64));
    facts.add(
        "rows/s",
        format!("{} (windows {spread})", count(m.rows_per_second as u64)),
    );
    facts.add(
        "multiply-adds",
        format!("{} a row, forward", count(m.multiply_adds_per_row)),
    );
    facts.add("GFLOP/s", format!("{:.1} ({passes})", m.gflop_per_second));
    let share = 100.0 * m.share_of_peak;
    facts.add(
        "of the peak",
        format!("{share:.0} % of {:.1} GFLOP/s", m.peak_gflop_per_second),
    );
    if let Some(update) = m.update_share {
        facts.add("update", format!("{:.1} % of the time", 100.0 * update));
    }
    if let Some(one) = m.one_row {
        let [p50, p99] = [one.p50_seconds, one.p99_seconds].map(|s| 1e6 * s);
        facts.add("one row", format!("p50 {p50:.1} us, p99 {p99:.1} us"));
    }
    facts.add(
        "a meeting",
        format!("{:.1} us for all threads", 1e6 * m.meeting_seconds),
    );
    let decoded = match (m.what, m.options.everything) {
        (What::Train, _) => String::new(),
        (_, false) => format!(", {} decoded", m.options.decoding),
        (_, true) => format!(", {} and everything else decoded", m.options.decoding),
    };
    facts.text(&format!(
        "{name}, batch {}, threads {}{decoded}",
        m.options.batch, m.threads
    ))
}

/// A folder for what is measured on, removed when dropped.
fn scratch_folder(within: Option<&Path>) -> Result<tempfile::TempDir, Failure> {
    let folder = within.map_or_else(std::env::temp_dir, Path::to_path_buf);
    let unreadable = |e| ltv_core::Error::io(&folder, "read", e);
    std::fs::metadata(&folder).map_err(unreadable)?;
    let made = tempfile::Builder::new()
        .prefix("ltv-bench-")
        .tempdir_in(&folder);
    made.map_err(|e| ltv_core::Error::io(&folder, "write", e).into())
}
