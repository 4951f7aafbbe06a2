//! `ltv score`: everybody in a dataset to a snapshot.

use super::{Context, inspect::snapshot_text};
use crate::{cli::Common, exit::Failure, options::Overlay, report::Report};
use clap::{Args, ValueEnum};
use ltv_core::{manifest::SnapshotManifest, progress::Progress};
use ltv_data::Dataset;
use ltv_model::{Decoding, Model};
use ltv_score::{PastHorizon, ScoreOptions, score};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Score every user of a dataset into a snapshot
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  ltv score --model model.ltv --data data --out snapshot")]
pub(crate) struct Flags {
    /// The bundle
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Folder of the dataset
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Folder to write to; a snapshot that is there is replaced when the new one is complete
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// expectation, argmax, median or quantile:P [default: expectation]
    #[arg(long, value_name = "NAME")]
    decoding: Option<Decoding>,
    /// What happens to users older than the longest horizon [default: keep]
    #[arg(long, value_enum)]
    past_horizon: Option<Old>,
    /// Rows predicted at a time [default: 16384]
    #[arg(long, value_name = "N")]
    batch: Option<u32>,
    /// Rows of a file at most [default: 2000000]
    #[arg(long, value_name = "N")]
    file_rows: Option<u32>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What happens to users older than the longest horizon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Old {
    /// They are scored like everybody else, with this model and as-of date
    Keep,
    /// They get no row
    Drop,
}

/// Options of the configuration file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    decoding: Decoding,
    past_horizon: Old,
    batch: u32,
    file_rows: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            decoding: Decoding::Expectation,
            past_horizon: Old::Keep,
            batch: 16_384,
            file_rows: 2_000_000,
        }
    }
}

/// Scores and says what was written.
pub(crate) fn run(flags: Flags, context: &Context) -> Result<Report, Failure> {
    let mut options = Overlay::default().file(flags.common.config.as_deref())?;
    options.set("decoding", flags.decoding)?;
    options.set("past_horizon", flags.past_horizon)?;
    options.set("batch", flags.batch)?;
    options.set("file_rows", flags.file_rows)?;
    let options: Options = options.resolve()?;
    for (key, value) in [("batch", options.batch), ("file_rows", options.file_rows)] {
        if value == 0 {
            return Err(Failure::user(format!("{key}: 0 rows; give 1 or more")));
        }
    }
    let dataset = Dataset::open(&flags.data)?;
    let model = Model::new(super::bundle(&flags.model)?, options.decoding)?;
    let how = ScoreOptions {
        batch_rows: options.batch as usize,
        file_rows: options.file_rows as usize,
        past_horizon: match options.past_horizon {
            Old::Keep => PastHorizon::Keep,
            Old::Drop => PastHorizon::Drop,
        },
        ..defaults(&model, context.threads)
    };
    let manifest = score_dataset(&dataset, &model, &flags.out, &how, &context.progress)?;
    Report::new(snapshot_text(&flags.out, &manifest), &manifest)
}

/// What follows from the model.
pub(super) fn defaults(model: &Model, threads: usize) -> ScoreOptions {
    let document = model.document();
    ScoreOptions {
        threads,
        decoding: model.decoding().to_string(),
        monotone: document.config.model.monotone,
        expected_window: Some(document.window_days),
        ..ScoreOptions::default()
    }
}

/// Scores, and ends the last stage of progress whatever comes of it.
pub(super) fn score_dataset(
    dataset: &Dataset,
    model: &Model,
    out: &Path,
    options: &ScoreOptions,
    progress: &dyn Progress,
) -> Result<SnapshotManifest, Failure> {
    let manifest = score(dataset, model, out, options, progress);
    progress.finish();
    Ok(manifest?)
}
