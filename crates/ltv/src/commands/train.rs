//! `ltv train`: a dataset to a model bundle.

use super::Context;
use crate::{
    cli::Common,
    exit::Failure,
    options::Overlay,
    outputs::{self, Kind},
    report::{Facts, Report, count, label_words},
};
use clap::{Args, ValueEnum};
use ltv_core::{
    Day,
    config::{Cut, TrainConfig},
    progress::Progress,
};
use ltv_data::Dataset;
use ltv_model::Bundle;
use ltv_train::{FitRun, fit};
use std::path::{Path, PathBuf};

/// Fit a model on a dataset and write it as one bundle file
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ltv train --data data --out model.ltv
  ltv train --data data --config train.toml --out model.ltv --checkpoint model.part --resume
  ltv train --data data --preset paper --epochs 5 --out paper.ltv")]
pub(crate) struct Flags {
    /// Folder of the dataset
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// File to write the bundle to
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Options to start from
    #[arg(long, value_enum, default_value = "default")]
    preset: Preset,
    /// File to save progress to, so that a run that was stopped can go on
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Go on from the checkpoint, if it is there
    #[arg(long, requires = "checkpoint")]
    resume: bool,
    /// Predict these horizons alone, in days [default: all of the dataset's]
    #[arg(long, value_name = "DAYS,..", value_delimiter = ',')]
    horizons: Vec<u32>,
    #[command(flatten)]
    split: SplitFlags,
    #[command(flatten)]
    encoding: EncodingFlags,
    #[command(flatten)]
    model: ModelFlags,
    #[command(flatten)]
    fit: FitFlags,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options to start from.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Preset {
    /// What validates best
    Default,
    /// The paper's settings (section 5.1.2)
    Paper,
}

/// The `[split]` table.
#[derive(Debug, Args)]
#[command(next_help_heading = "Split of the users")]
struct SplitFlags {
    /// Share of users held out for testing, in [0, 1) [default: 0]
    #[arg(long, value_name = "SHARE")]
    test: Option<f64>,
    /// Share of users held out for validation, in (0, 1) [default: 0.1]
    #[arg(long, value_name = "SHARE")]
    validation: Option<f64>,
    /// Users take part when this horizon's label is mature: shortest or longest [default: shortest]
    #[arg(long, value_name = "HORIZON", value_parser = ["shortest", "longest"])]
    mature: Option<String>,
    /// Only users registered on or after this day
    #[arg(long, value_name = "DATE")]
    registered_from: Option<Day>,
    /// Only users registered before this day
    #[arg(long, value_name = "DATE")]
    registered_before: Option<Day>,
}

/// The `[encoding]` table.
#[derive(Debug, Args)]
#[command(next_help_heading = "Encoding of features")]
struct EncodingFlags {
    /// Bins of a number at most, 2 to 1024 [default: 32]
    #[arg(long, value_name = "N")]
    max_bins: Option<u64>,
    /// Training rows a category needs to get a cell of its own [default: 50]
    #[arg(long, value_name = "N")]
    min_category_rows: Option<u64>,
    /// Cells of a category at most [default: 10000]
    #[arg(long, value_name = "N")]
    max_categories: Option<u64>,
}

/// The `[model]` table.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
struct ModelFlags {
    /// Dimensions of an embedding, 1 to 256 [default: 8]
    #[arg(long, value_name = "N")]
    embedding: Option<u64>,
    /// Outputs of the shared bottom's layers [default: 128,64]
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    bottom: Vec<u64>,
    /// Hidden outputs of a tower, 1 to 1024 [default: 32]
    #[arg(long, value_name = "N")]
    tower: Option<u64>,
    /// How horizons are chained: off, paper or strict [default: paper]
    #[arg(long, value_name = "MODE", value_parser = ["off", "paper", "strict"])]
    mono: Option<String>,
    /// Hidden outputs of a Mono Unit, 1 to 256 [default: 16]
    #[arg(long, value_name = "N")]
    mono_hidden: Option<u64>,
    /// Whether numbers enter the network beside their cells [default: true]
    #[arg(long, value_name = "BOOL")]
    numbers: Option<bool>,
    /// Dropout in the shared bottom, in [0, 1) [default: 0]
    #[arg(long, value_name = "SHARE")]
    dropout: Option<f64>,
    /// Sub-distributions of a horizon, 2 to 8 [default: 2]
    #[arg(long, value_name = "N")]
    segments: Option<u64>,
    /// Where sub-distributions part: auto, zero, median, or values [default: auto]
    #[arg(long, value_name = "CUT", value_parser = cut)]
    cut: Option<Cut>,
    /// Buckets of a sub-distribution, about, 2 to 100 [default: 20]
    #[arg(long, value_name = "N")]
    buckets: Option<u64>,
    /// Weight of the calibration loss [default: 1]
    #[arg(long, value_name = "X")]
    alpha: Option<f64>,
    /// Weight of the distillation into sub-distributions [default: 0.5]
    #[arg(long, value_name = "X")]
    beta: Option<f64>,
    /// Weight of the distillation into buckets [default: 0.5]
    #[arg(long, value_name = "X")]
    gamma: Option<f64>,
    /// Whether longer horizons are worth at least as much [default: true]
    #[arg(long, value_name = "BOOL")]
    monotone: Option<bool>,
    /// Weights of the order projection, one for each horizon [default: one over the squared mean]
    #[arg(long, value_name = "X,X", value_delimiter = ',')]
    order_weights: Vec<f64>,
}

/// The `[fit]` table.
#[derive(Debug, Args)]
#[command(next_help_heading = "Optimiser")]
struct FitFlags {
    /// Learning rate of layers, in (0, 1] [default: 0.001]
    #[arg(long, value_name = "X")]
    rate: Option<f64>,
    /// Learning rate of embeddings, in (0, 1] [default: 0.001]
    #[arg(long, value_name = "X")]
    embedding_rate: Option<f64>,
    /// How rates change: constant or cosine [default: constant]
    #[arg(long, value_name = "NAME", value_parser = ["constant", "cosine"])]
    schedule: Option<String>,
    /// Steps in which rates rise from 0 [default: 0]
    #[arg(long, value_name = "N")]
    warmup: Option<u64>,
    /// Rows of a step, 1 to 65536 [default: 512]
    #[arg(long, value_name = "N")]
    batch: Option<u64>,
    /// Passes over the training rows at most [default: 30]
    #[arg(long, value_name = "N")]
    epochs: Option<u32>,
    /// Validations without improvement before stopping [default: 4]
    #[arg(long, value_name = "N")]
    patience: Option<u32>,
    /// Decoupled weight decay, in [0, 1] [default: 0]
    #[arg(long, value_name = "X")]
    decay: Option<f64>,
    /// Steps between checkpoints [default: 2000]
    #[arg(long, value_name = "N")]
    checkpoint_steps: Option<u64>,
    /// Rows shuffled at a time [default: 262144]
    #[arg(long, value_name = "N")]
    shuffle_rows: Option<u64>,
    /// Steps between validations; 0: once an epoch [default: 0]
    #[arg(long, value_name = "N")]
    validation_steps: Option<u64>,
}

fn cut(text: &str) -> Result<Cut, String> {
    Ok(match text {
        "auto" => Cut::Auto,
        "zero" => Cut::Zero,
        "median" => Cut::Median,
        _ => {
            let values: Result<Vec<f64>, _> = text.split(',').map(str::parse).collect();
            Cut::At(values.map_err(|_| "write auto, zero, median, or values such as 10,100")?)
        }
    })
}

impl Flags {
    fn resolve(&self) -> Result<TrainConfig, Failure> {
        let base = match self.preset {
            Preset::Default => TrainConfig::default(),
            Preset::Paper => TrainConfig::paper(),
        };
        let mut options = Overlay::over(&base)?.file(self.common.config.as_deref())?;
        options.list("horizons", &self.horizons)?;
        self.split.apply(&mut options)?;
        self.encoding.apply(&mut options)?;
        self.model.apply(&mut options)?;
        self.fit.apply(&mut options)?;
        let config: TrainConfig = options.resolve()?;
        config.check()?;
        Ok(config)
    }
}

impl SplitFlags {
    fn apply(&self, options: &mut Overlay) -> Result<(), Failure> {
        options.set("split.test", self.test)?;
        options.set("split.validation", self.validation)?;
        options.set("split.mature", self.mature.as_ref())?;
        options.set("split.registered_from", self.registered_from)?;
        options.set("split.registered_before", self.registered_before)
    }
}

impl EncodingFlags {
    fn apply(&self, options: &mut Overlay) -> Result<(), Failure> {
        options.set("encoding.max_bins", self.max_bins)?;
        options.set("encoding.min_category_rows", self.min_category_rows)?;
        options.set("encoding.max_categories", self.max_categories)
    }
}

impl ModelFlags {
    fn apply(&self, options: &mut Overlay) -> Result<(), Failure> {
        options.set("model.embedding", self.embedding)?;
        options.list("model.bottom", &self.bottom)?;
        options.set("model.tower", self.tower)?;
        options.set("model.mono", self.mono.as_ref())?;
        options.set("model.mono_hidden", self.mono_hidden)?;
        options.set("model.numbers", self.numbers)?;
        options.set("model.dropout", self.dropout)?;
        options.set("model.segments", self.segments)?;
        options.set("model.cut", self.cut.as_ref())?;
        options.set("model.buckets", self.buckets)?;
        options.set("model.alpha", self.alpha)?;
        options.set("model.beta", self.beta)?;
        options.set("model.gamma", self.gamma)?;
        options.set("model.monotone", self.monotone)?;
        options.list("model.order_weights", &self.order_weights)
    }
}

impl FitFlags {
    fn apply(&self, options: &mut Overlay) -> Result<(), Failure> {
        options.set("fit.rate", self.rate)?;
        options.set("fit.embedding_rate", self.embedding_rate)?;
        options.set("fit.schedule", self.schedule.as_ref())?;
        options.set("fit.warmup", self.warmup)?;
        options.set("fit.batch", self.batch)?;
        options.set("fit.epochs", self.epochs)?;
        options.set("fit.patience", self.patience)?;
        options.set("fit.decay", self.decay)?;
        options.set("fit.checkpoint_steps", self.checkpoint_steps)?;
        options.set("fit.shuffle_rows", self.shuffle_rows)?;
        options.set("fit.validation_steps", self.validation_steps)
    }
}

/// Trains and writes the bundle.
pub(crate) fn run(flags: Flags, context: &Context) -> Result<Report, Failure> {
    let config = flags.resolve()?;
    let run = FitRun {
        seed: context.seed,
        threads: context.threads,
        checkpoint: flags.checkpoint.clone(),
        resume: flags.resume,
    };
    let bundle = train(&flags.data, &config, &run, &flags.out, &context.progress)?;
    let out = flags.out.display();
    let next = format!("next: ltv evaluate --model {out} --data <a dataset of later users>");
    let text = format!("{}{next}", summary(&flags.out, &bundle));
    Report::new(
        text,
        &serde_json::json!({
            "out": flags.out, "model_id": bundle.id, "record": bundle.document.record,
            "config": bundle.document.config,
        }),
    )
}

/// Fits a model on the dataset in `data` and saves it as `out`.
pub(super) fn train(
    data: &Path,
    config: &TrainConfig,
    run: &FitRun,
    out: &Path,
    progress: &dyn Progress,
) -> Result<Bundle, Failure> {
    outputs::check(out, Kind::Bundle)?;
    if let Some(checkpoint) = &run.checkpoint {
        outputs::check(checkpoint, Kind::Checkpoint)?;
        if checkpoint == out {
            let problem = "both --out and --checkpoint; give the checkpoint a name of its own";
            return Err(Failure::user(format!("{}: {problem}", out.display())));
        }
    }
    // Asked now, so that a long training does not end with a refusal.
    drop(ltv_core::artefact::AtomicFile::create(out)?);
    let dataset = Dataset::open(data)?;
    let mut bundle = fit(&dataset, config, run, progress)?;
    progress.finish();
    bundle.id = bundle.save(out)?;
    Ok(bundle)
}

/// What a bundle is, on less than a screen.
pub(super) fn summary(path: &Path, bundle: &Bundle) -> String {
    let document = &bundle.document;
    let mut facts = Facts::default();
    facts.add("model id", &bundle.id);
    facts.add("horizons", format!("{:?} days", document.horizons.days()));
    facts.add(
        "label",
        format!(
            "{} after {} days",
            label_words(document.label),
            document.window_days
        ),
    );
    facts.add("trained as of", document.as_of);
    let record = &document.record;
    facts.add("training rows", count(record.train_rows));
    facts.add("validation rows", count(record.validation_rows));
    facts.add("steps", count(record.steps));
    let best = record
        .validations
        .iter()
        .min_by(|a, b| a.likelihood.total_cmp(&b.likelihood));
    if let Some(best) = best {
        facts.add(
            "validation loss",
            format!("{:.4} at step {}", best.likelihood, best.step),
        );
    }
    let encoding = &document.encoding;
    let fields = encoding.fields();
    facts.add(
        "features",
        format!("{} in {fields} columns", encoding.features.len()),
    );
    let weights = bundle.weights.dense.len() + bundle.weights.tables.len();
    facts.add("weights", count(weights as u64));
    for (days, buckets) in document.horizons.days().iter().zip(&document.spec.horizons) {
        let sizes: Vec<_> = buckets.segments.iter().map(|s| s.buckets.len()).collect();
        let mut fact = format!("mean {:.4}, buckets {sizes:?}", buckets.mean);
        if buckets.mass_above > 0.0 {
            fact += &format!(", {:.2}% of value above", 100.0 * buckets.mass_above);
            if let Some(top) = buckets.flat().last() {
                fact += &format!(" the last edge, {:.2}", top.left + top.width);
            }
        }
        facts.add(format!("  ltv_{days}"), fact);
    }
    facts.add("seed", record.seed);
    facts.text(&format!("{}: a model bundle", path.display()))
}

/// The names that the flags offer are those that the configuration knows.
#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use ltv_core::config::{Mature, ModelConfig, Mono, Schedule};

    #[test]
    fn cuts_are_words_or_values() {
        assert_eq!(cut("median").unwrap(), Cut::Median);
        assert_eq!(cut("1,2.5").unwrap(), Cut::At(vec![1.0, 2.5]));
        assert!(cut("middle").is_err());
    }

    #[test]
    fn words_of_flags_are_words_of_the_configuration() {
        let mut options = Overlay::over(&TrainConfig::default()).unwrap();
        options.set("model.mono", Some("strict")).unwrap();
        options.set("fit.schedule", Some("cosine")).unwrap();
        options.set("split.mature", Some("longest")).unwrap();
        let config: TrainConfig = options.resolve().unwrap();
        assert_eq!(
            config.model,
            ModelConfig {
                mono: Mono::Strict,
                ..ModelConfig::default()
            }
        );
        assert_eq!(config.fit.schedule, Schedule::Cosine);
        assert_eq!(config.split.mature, Mature::Longest);
    }
}
