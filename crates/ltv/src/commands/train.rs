//! `ltv train`: a dataset to a model bundle.

mod flags;

use super::Context;
use crate::{
    cli::Common,
    exit::Failure,
    options::Overlay,
    outputs::{self, Kind},
    report::{Facts, Report, count, label_words},
    tensorboard::Recorder,
};
use clap::{Args, ValueEnum};
use flags::{
    EncodingFlags, FitFlags, HeadFlags, ModelFlags, RepresentFlags, SplitFlags, WarmFlags,
};
use ltv_core::{address, artefact, config::TrainConfig, progress::Progress};
use ltv_data::Dataset;
use ltv_model::{Bundle, bundle::Record};
use ltv_train::{FitRun, fit};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Fit a model on a dataset and write it as one bundle file
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ltv train --data data --out model.ltv
  ltv train --data data --config train.toml --out model.ltv --checkpoint model.part --resume
  ltv train --data data --config train.toml --warm-start yesterday.ltv --out model.ltv
  ltv train --data data --preset paper --epochs 5 --out paper.ltv --tensorboard runs/paper")]
pub(crate) struct Flags {
    /// Folder of the dataset, or s3://bucket/prefix; several, or one that holds several, are its shards
    #[arg(long, value_name = "DIR", num_args = 1.., required = true)]
    data: Vec<PathBuf>,
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
    /// Folder to write losses, rates and validations to, for TensorBoard
    #[arg(long, value_name = "DIR")]
    tensorboard: Option<PathBuf>,
    /// Folder for a file in which encoded rows are kept while training, or off; the file is gone in the
    /// end [default: the folder of --out]
    #[arg(long, value_name = "DIR|off")]
    cache: Option<PathBuf>,
    /// Go on from this bundle, with the labels that have become known since: its encoding, buckets and weights
    /// stay where nothing validates better
    #[arg(long, value_name = "FILE")]
    warm_start: Option<PathBuf>,
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
    head: HeadFlags,
    #[command(flatten)]
    represent: RepresentFlags,
    #[command(flatten)]
    fit: FitFlags,
    #[command(flatten)]
    warm: WarmFlags,
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

impl Flags {
    /// The folder of the cache, unless there is to be none.
    fn cache(&self) -> Option<PathBuf> {
        match &self.cache {
            Some(off) if off.as_os_str() == "off" => None,
            Some(folder) => Some(folder.clone()),
            None => Some(artefact::parent(&self.out).to_path_buf()),
        }
    }

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
        self.head.apply(&mut options)?;
        self.represent.apply(&mut options)?;
        self.fit.apply(&mut options)?;
        self.warm.apply(&mut options)?;
        let config: TrainConfig = options.resolve()?;
        config.check()?;
        Ok(config)
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
        cache: flags.cache(),
        warm: flags
            .warm_start
            .as_deref()
            .map(super::bundle)
            .transpose()?
            .map(Arc::new),
    };
    let recorder = Recorder::new(&context.progress, flags.tensorboard.as_deref())?;
    let bundle = train(&flags.data, &config, &run, &flags.out, &recorder)?;
    let out = flags.out.display();
    let next = format!("next: ltv evaluate --model {out} --data <a dataset of later users>");
    let few = advice(bundle.document.record.train_rows);
    let text = format!("{}{few}{next}", summary(&flags.out, &bundle));
    Report::new(
        text,
        &serde_json::json!({
            "out": flags.out, "model_id": bundle.id, "record": bundle.document.record,
            "config": bundle.document.config,
        }),
    )
}

/// What to do beside training where there are few users.
fn advice(rows: u64) -> String {
    // Below it simple models were about as good by rank (docs/decisions/0017-defaults.md).
    const FEW: u64 = 5000;
    if rows >= FEW {
        return String::new();
    }
    format!(
        "note: {} training rows are few; set buy-till-you-die and RFM beside it with 'ltv compare'\n",
        count(rows)
    )
}

/// Fits a model on the dataset in the folders `data` and saves it as `out`.
pub(super) fn train(
    data: &[PathBuf],
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
    drop(artefact::AtomicFile::create(out)?);
    if let Some(cache) = &run.cache {
        address::check_output(cache)?;
    }
    let dataset = Dataset::open_all(data)?;
    let mut bundle = fit(&dataset, config, run, progress)?;
    progress.start("write the bundle", None);
    bundle.id = bundle.save(out)?;
    progress.finish();
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
    if let Some(parent) = &record.parent {
        facts.add("went on from", parent);
    }
    facts.add("training rows", count(record.train_rows));
    facts.add("validation rows", count(record.validation_rows));
    facts.add("steps", steps(record));
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
    if let Some(cohort) = &encoding.cohort {
        let years = cohort.least.iter().map(|years| format!("{years:.2}"));
        let years: Vec<_> = years.collect();
        let until = format!("to {} years before the as-of date", years.join(", "));
        facts.add("trend followed", until);
    }
    if let Some(maps) = &document.recalibration {
        let slopes: Vec<_> = maps.iter().map(|map| format!("{:.2}", map.slope)).collect();
        facts.add(
            "recalibrated",
            format!("with slopes of {}", slopes.join(", ")),
        );
    }
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

/// How many steps a training made, and of how many rows, where the model says.
fn steps(record: &Record) -> String {
    match record.batch {
        0 => count(record.steps),
        rows => format!("{} of {rows} rows", count(record.steps)),
    }
}

/// The names that the flags offer are those that the configuration knows.
#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::{flags::cut, *};
    use ltv_core::config::{
        Backbone, Balance, Cross, Cut, DayEncoder, HeadKind, Mature, ModelConfig, Mono, Schedule,
    };

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
        options.set("fit.balance", Some("reweight")).unwrap();
        options.set("model.head", Some("mixture")).unwrap();
        options.set("model.backbone", Some("ple")).unwrap();
        options.set("model.cross", Some("deepfm")).unwrap();
        options.set("model.sequence", Some("wavelet")).unwrap();
        let config: TrainConfig = options.resolve().unwrap();
        assert_eq!(
            config.model,
            ModelConfig {
                mono: Mono::Strict,
                head: HeadKind::Mixture,
                backbone: Backbone::Ple,
                cross: Cross::DeepFm,
                sequence: DayEncoder::Wavelet,
                ..ModelConfig::default()
            }
        );
        assert_eq!(config.fit.schedule, Schedule::Cosine);
        assert_eq!(config.fit.balance, Balance::Reweight);
        assert_eq!(config.split.mature, Mature::Longest);
    }
}
