//! `ltv score`: everybody in a dataset, or in an event log, to a snapshot.

mod fresh;

use super::{Context, inspect::snapshot_text};
use crate::{
    cli::Common,
    exit::Failure,
    options::Overlay,
    report::{Report, label_words},
};
use clap::{Args, ValueEnum};
use fresh::Fresh;
use ltv_core::{Day, manifest::SnapshotManifest, progress::Progress};
use ltv_data::Dataset;
use ltv_model::{Decoding, Model};
use ltv_score::{PastHorizon, ScoreOptions, score};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Score every user of a dataset, or of an event log, into a snapshot
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ltv score --model model.ltv --data data --out snapshot
  ltv score --model model.ltv --events events/ --users users/ --features data \\
      --as-of 2024-01-01 --out snapshot
  ltv score --model model.ltv --data s3://lake/data --out s3://lake/snapshots/today")]
pub(crate) struct Flags {
    /// The bundle
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Folder of the dataset, or s3://bucket/prefix; several, or one that holds several, are its shards
    #[arg(long, value_name = "DIR", num_args = 1.., required_unless_present = "events")]
    #[arg(conflicts_with = "events")]
    data: Vec<PathBuf>,
    #[command(flatten)]
    fresh: FreshFlags,
    /// Folder to write to, or s3://bucket/prefix; a snapshot that is there is replaced when the new one is complete.
    /// Started again after it failed or was killed, a run makes only the files that are missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// expectation, matched, argmax, median or quantile:P [default: expectation]
    #[arg(long, value_name = "NAME")]
    decoding: Option<Decoding>,
    /// What happens to users older than the longest horizon [default: keep]
    #[arg(long, value_enum)]
    past_horizon: Option<Old>,
    /// Users in a file at most; row groups of the dataset are not cut [default: a sixteenth of all, from 65536 to
    /// 1000000]
    #[arg(long, value_name = "N")]
    file_rows: Option<u32>,
    /// Folder of files that are there only for a while: on their way to an object store, or a dataset made of
    /// --events [default: the system's where --out is an address, else that of --out]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// An event log in place of a dataset.
#[derive(Debug, Args)]
#[command(next_help_heading = "Users straight from events, in place of --data")]
struct FreshFlags {
    /// Parquet files of the event log, or folders of them, here or below s3://bucket/prefix; a dataset is made for the occasion
    #[arg(long, value_name = "PATH", num_args = 1.., requires_all = ["features", "as_of"])]
    events: Vec<PathBuf>,
    /// Parquet files of the user table, or folders of them
    #[arg(long, value_name = "PATH", num_args = 1.., requires = "events")]
    users: Vec<PathBuf>,
    /// How features are made: the TOML file, or a dataset, that the model was trained with. Window,
    /// horizons and label are the model's; nobody is left out for the day of registration
    #[arg(long, value_name = "PATH", requires = "events")]
    features: Option<PathBuf>,
    /// First day whose events are not fully known; nothing on or after it is read
    #[arg(long, value_name = "DATE", requires = "events")]
    as_of: Option<Day>,
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
    file_rows: Option<u32>,
    scratch: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            decoding: Decoding::Expectation,
            past_horizon: Old::Keep,
            file_rows: None,
            scratch: None,
        }
    }
}

/// Scores and says what was written.
pub(crate) fn run(flags: Flags, context: &Context) -> Result<Report, Failure> {
    let mut options = Overlay::default().file(flags.common.config.as_deref())?;
    options.set("decoding", flags.decoding)?;
    options.set("past_horizon", flags.past_horizon)?;
    options.set("file_rows", flags.file_rows)?;
    options.set("scratch", flags.scratch.as_ref())?;
    let options: Options = options.resolve()?;
    if options.file_rows == Some(0) {
        return Err(Failure::user("file_rows: 0 users; give 1 or more"));
    }
    let model = Model::new(super::bundle(&flags.model)?, options.decoding)?;
    let how = ScoreOptions {
        file_rows: options.file_rows.map(u64::from),
        scratch: options.scratch,
        past_horizon: match options.past_horizon {
            Old::Keep => PastHorizon::Keep,
            Old::Drop => PastHorizon::Drop,
        },
        ..score_options(&model, context.threads)
    };
    let (out, progress) = (&flags.out, &context.progress);
    let manifest = match flags.data.as_slice() {
        data @ [_, ..] => {
            let dataset = Dataset::open_all(data)?;
            check_label(&dataset, &model)?;
            score_dataset(&dataset, &model, out, &how, progress)?
        }
        [] => {
            let fresh = Fresh::build(&flags, model.document(), how.scratch.as_deref(), context)?;
            let scored = score(&fresh.dataset, &model, out, &how, progress);
            progress.finish();
            scored.map_err(|e| fresh.blame(e))?
        }
    };
    Report::new(snapshot_text(&flags.out, &manifest), &manifest)
}

/// Columns of the same names may mean another thing where values are of another kind.
pub(crate) fn check_label(dataset: &Dataset, model: &Model) -> Result<(), Failure> {
    let (found, trained) = (dataset.manifest().label, model.document().label);
    if found == trained {
        return Ok(());
    }
    let (found, trained) = (label_words(found), label_words(trained));
    Err(Failure::user(format!(
        "{}: its label is '{found}', but the model's is '{trained}'; score a dataset made \
         with the feature configuration that the model was trained with",
        dataset.folder().display()
    )))
}

/// How a network scores on so many threads: what follows from the model.
pub fn score_options(model: &Model, threads: usize) -> ScoreOptions {
    let document = model.document();
    ScoreOptions {
        threads,
        decoding: model.decoding().to_string(),
        monotone: document.config.model.monotone,
        expected_window: Some(document.window_days),
        model_blake3: Some(model.blake3().to_owned()),
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
