//! The loop, from a dataset to a bundle.

use crate::{
    TrainError, checkpoint,
    checkpoint::Position,
    level, matching,
    observe::{self, Observer},
    prepare::{Prepared, prepare},
    recalibrate,
    recent::{LatestAges, Recent},
    schedule, validate, warm,
};
use ltv_core::{
    config::{FitOptions, Part, TrainConfig},
    progress::Progress,
    seed,
};
use ltv_data::{
    Dataset,
    stream::{EncodedCache, EncodedStream, Shuffle, StreamOptions},
};
use ltv_model::{Bundle, ModelError, bundle::Validation, targets};
use ltv_nn::trainer::Weights;
use rayon::ThreadPoolBuilder;
use std::{path::PathBuf, sync::Arc};

/// What belongs to one run rather than to the model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FitRun {
    /// Decides weights, shuffling and dropout.
    pub seed: u64,
    /// Worker threads, at least 1. Does not change results.
    pub threads: usize,
    /// Where to save progress, if anywhere.
    pub checkpoint: Option<PathBuf>,
    /// Whether to go on from the checkpoint, if the file is there.
    pub resume: bool,
    /// Folder for a file without a name in which encoded rows are kept from the first pass over them to
    /// the next; without one, every pass reads and encodes the dataset. Does not change results.
    pub cache: Option<PathBuf>,
    /// The model to go on from, as [`TrainConfig::warm`] says.
    pub warm: Option<Arc<Bundle>>,
}

/// Trains ODMN on a dataset and returns the weights that validated best.
///
/// Each step draws a batch, learns from it, and every so often looks at the validation rows;
/// training stops after `patience` looks without improvement. A run that is killed and resumed
/// gives the same bytes as one that was not.
///
/// # Errors
/// When the configuration, the dataset or the checkpoint cannot be used, or the loss diverges.
pub fn fit(
    dataset: &Dataset,
    config: &TrainConfig,
    run: &FitRun,
    progress: &dyn Progress,
) -> Result<Bundle, TrainError> {
    config.check()?;
    if let Some(path) = &run.checkpoint {
        checkpoint::probe(path)?;
    }
    let warm = run.warm.as_ref().map(|_| warm::loop_config(config));
    let given = config;
    let config = warm.as_ref().unwrap_or(config);
    let folder = run.cache.as_deref().filter(|_| repeats(&config.fit));
    let cache = folder.map(EncodedCache::in_folder).transpose()?;
    progress.start("fit encoding and buckets", Some(dataset.rows()));
    let mut prepared = prepare(dataset, config, run, progress)?;
    // What the loop makes of it is no choice of the user's.
    prepared.document.config = given.clone();
    progress.finish();
    let observer = Observer::new(progress, prepared.trainer.graph().terms());
    let mut fit = Fit {
        cache,
        ..Fit::new(dataset, config, run, (prepared, observer))?
    };
    if run.warm.is_some() && fit.position.validations.is_empty() {
        // Where nothing validates better, the earlier weights stay.
        progress.start("look at the earlier model", None);
        fit.look()?;
        progress.finish();
    }
    while fit.position.epoch < config.fit.epochs && !fit.has_waited_enough() {
        fit.epoch()?;
    }
    fit.into_bundle(progress)
}

/// As [`fit`]; where the checkpoint is of another training, or damaged, it is removed and training begins anew.
///
/// # Errors
/// As [`fit`]; when the checkpoint cannot be removed.
pub fn fit_or_begin_anew(
    dataset: &Dataset,
    config: &TrainConfig,
    run: &FitRun,
    progress: &dyn Progress,
) -> Result<Bundle, TrainError> {
    match fit(dataset, config, run, progress) {
        Err(TrainError::Checkpoint { path, .. }) if path.is_file() => {
            std::fs::remove_file(&path).map_err(|e| ltv_core::Error::io(&path, "remove", e))?;
            fit(dataset, config, run, progress)
        }
        other => other,
    }
}

struct Fit<'a> {
    dataset: &'a Dataset,
    config: &'a TrainConfig,
    run: &'a FitRun,
    prepared: Prepared,
    observer: Observer<'a>,
    position: Position,
    best: Weights<f32>,
    encoding: Arc<ltv_core::encoding::Encoding>,
    cache: Option<EncodedCache>,
    total_steps: u64,
}

impl<'a> Fit<'a> {
    fn new(
        dataset: &'a Dataset,
        config: &'a TrainConfig,
        run: &'a FitRun,
        (mut prepared, mut observer): (Prepared, Observer<'a>),
    ) -> Result<Self, TrainError> {
        let batch = prepared.document.record.batch as u64;
        let per_epoch = prepared.epoch_rows().div_ceil(batch);
        let total_steps = per_epoch * u64::from(config.fit.epochs);
        let mut best = prepared.trainer.state().weights.clone();
        let fingerprint = fingerprint(dataset, config, run)?;
        let position = match &run.checkpoint {
            Some(path) if run.resume => {
                checkpoint::load(path, &fingerprint, prepared.trainer.state_mut(), &mut best)?
            }
            _ => None,
        };
        let position = position.unwrap_or_else(|| Position {
            fingerprint,
            ..Position::default()
        });
        observer.begins(position.steps, position.validations.last());
        let encoding = Arc::new(prepared.document.encoding.clone());
        Ok(Self {
            dataset,
            config,
            run,
            prepared,
            observer,
            position,
            best,
            encoding,
            cache: None,
            total_steps,
        })
    }

    /// One pass over the training rows, or what is left of it after a resume.
    fn epoch(&mut self) -> Result<(), TrainError> {
        let epoch = self.position.epoch;
        self.observer.epoch(epoch + 1, self.prepared.epoch_rows());
        let shuffle = Shuffle {
            seed: self.run.seed,
            epoch: epoch.into(),
            buffer_rows: self.config.fit.shuffle_rows,
        };
        let batches = self.stream(Part::Train, Some(shuffle))?;
        let batches = self.observer.waited(batches);
        let done = self.position.batches;
        for (i, block) in batches.enumerate() {
            let block = block?;
            self.observer.came(block.rows);
            if (i as u64) < done {
                continue;
            }
            self.step(&block)?;
            self.position.batches += 1;
            let every = self.config.fit.validation_steps;
            if every > 0 && self.position.steps.is_multiple_of(every) {
                self.look()?;
                if self.has_waited_enough() {
                    break;
                }
            }
            if self
                .position
                .steps
                .is_multiple_of(self.config.fit.checkpoint_steps)
            {
                self.save()?;
            }
        }
        self.look_after_epoch()?;
        self.position.epoch += 1;
        self.position.batches = 0;
        self.save()?;
        self.observer.ends();
        Ok(())
    }

    fn step(&mut self, block: &ltv_core::encoding::EncodedRows) -> Result<(), TrainError> {
        let making = self.observer.stretch();
        let Prepared {
            trainer,
            columns,
            document,
            factors,
            ..
        } = &mut self.prepared;
        let mut batch = targets::inputs(&document.spec, trainer.graph().shape(), block);
        targets::targets(&document.spec, columns, block, &mut batch);
        for (weight, labels) in batch
            .weights
            .iter_mut()
            .zip(block.labels.chunks_exact(columns.len()))
        {
            *weight = factors.of(labels).weight as f32;
        }
        making.spent(observe::BATCH);
        let step = self.position.steps;
        let rates = schedule::rates(&self.config.fit, step, self.total_steps);
        // Mixed with the step instead of hashed: it only has to differ.
        let noise = self.run.seed ^ (step + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let passing = self.observer.stretch();
        let passed = trainer.forward_and_backward(&batch, noise);
        passing.spent(observe::PASS);
        let updating = self.observer.stretch();
        let terms = trainer.learn(passed, rates);
        updating.spent(observe::UPDATE);
        let loss = trainer.total(&terms);
        if !loss.is_finite() {
            return Err(TrainError::Diverged { step });
        }
        self.observer
            .stepped((step, block.rows), (loss, &terms), rates);
        self.position.loss.0 += loss;
        self.position.loss.1 += 1;
        self.position.steps += 1;
        Ok(())
    }

    /// The look that an epoch owes: every epoch where no number of steps is given, else only the
    /// last one, so that no training ends on weights that nobody has looked at.
    fn look_after_epoch(&mut self) -> Result<(), TrainError> {
        let fit = &self.config.fit;
        let last = self.position.epoch + 1 >= fit.epochs;
        let looked = self.position.validations.last();
        let is_new = looked.is_none_or(|v| v.step != self.position.steps);
        if is_new && (fit.validation_steps == 0 || last) {
            self.look()?;
        }
        Ok(())
    }

    /// Looks at the validation rows and remembers the best weights.
    fn look(&mut self) -> Result<(), TrainError> {
        let looking = self.observer.stretch();
        let rows = self.stream(Part::Validation, None)?;
        let Prepared {
            trainer,
            columns,
            document,
            ..
        } = &mut self.prepared;
        let likelihood = validate::likelihood(trainer, &document.spec, columns, rows)?;
        if !likelihood.is_finite() || !is_finite(&trainer.state().weights) {
            return Err(TrainError::Diverged {
                step: self.position.steps,
            });
        }
        let (sum, count) = std::mem::take(&mut self.position.loss);
        let training_loss = sum / count.max(1) as f64;
        let step = self.position.steps;
        let look = Validation {
            step,
            likelihood,
            training_loss,
        };
        self.observer.looked(&look);
        self.position.validations.push(look);
        if self.position.best.is_none_or(|(best, _)| likelihood < best) {
            self.position.best = Some((likelihood, step));
            self.position.waited = 0;
            self.best.clone_from(&trainer.state().weights);
        } else {
            self.position.waited += 1;
        }
        self.observer.says(&self.standing(likelihood));
        looking.spent(observe::VALIDATION);
        Ok(())
    }

    /// How the last look compares, for whoever watches.
    fn standing(&self, likelihood: f64) -> String {
        let Position { best, waited, .. } = &self.position;
        let patience = self.config.fit.patience;
        let standing = match best {
            Some((best, _)) if *waited > 0 => format!(
                "validation loss {likelihood:.4}, best {best:.4} ({waited} of {patience} looks \
                 without a better one)"
            ),
            _ => format!("validation loss {likelihood:.4}, the best so far"),
        };
        match self.cache.as_ref().and_then(EncodedCache::problem) {
            Some(problem) => format!("{standing}; rows are not cached any more: {problem}"),
            None => standing,
        }
    }

    fn has_waited_enough(&self) -> bool {
        self.position.waited >= self.config.fit.patience
    }

    fn stream(&self, part: Part, shuffle: Option<Shuffle>) -> Result<EncodedStream, TrainError> {
        let options = StreamOptions {
            rows: ltv_data::split::Rows::Part(part),
            split: self.config.split.clone(),
            horizons: Some(self.prepared.document.horizons.clone()),
            batch_rows: if shuffle.is_some() {
                self.prepared.document.record.batch
            } else {
                4096
            },
            // Validation rows count as they are.
            draws: shuffle.and(self.prepared.draws()),
            threads: StreamOptions::threads_for(self.run.threads),
            // One epoch sees no training row again, only those that are validated on.
            cache: self
                .cache
                .clone()
                .filter(|_| self.config.fit.epochs > 1 || shuffle.is_none()),
            news: shuffle.and(self.prepared.news.as_ref().map(|(news, _)| news.clone())),
            shuffle,
            ..StreamOptions::scoring(self.encoding.clone())
        };
        Ok(ltv_data::stream::stream(self.dataset, options)?)
    }

    fn save(&self) -> Result<(), TrainError> {
        let Some(path) = &self.run.checkpoint else {
            return Ok(());
        };
        let saving = self.observer.stretch();
        let state = self.prepared.trainer.state();
        checkpoint::save(path, &self.position, state, &self.best)?;
        saving.spent(observe::CHECKPOINT);
        Ok(())
    }

    /// What is learned from the best weights once they are found, and all of it together.
    fn into_bundle(mut self, progress: &dyn Progress) -> Result<Bundle, TrainError> {
        let threads = self.run.threads.max(1);
        let pool = ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|e| ModelError::Threads(e.to_string()))?;
        let mut document = self.prepared.document.clone();
        document.record.steps = self.position.best.map_or(0, |(_, step)| step);
        document.record.validations = std::mem::take(&mut self.position.validations);
        let bundle = Bundle::new(document, self.best.clone())?;
        // What follows reads other rows, or encodes them in another way.
        self.cache = None;
        let recent = Recent {
            dataset: self.dataset,
            split: &self.config.split,
            window_days: bundle.document.window_days,
            as_of: bundle.document.as_of,
        };
        let bundle = level::levelled(bundle, recent, &pool, progress)?;
        self.encoding = Arc::new(bundle.document.encoding.clone());
        let latest = LatestAges::of(recent, &bundle.document, progress)?;
        let bundle = match self.config.fit.recalibrate {
            true => {
                let rows = self.stream(Part::Validation, None)?;
                recalibrate::recalibrated(bundle, (rows, &latest), &pool, progress)?
            }
            false => bundle,
        };
        matching::matched(bundle, recent, &latest, &pool, progress)
    }
}

/// Whether any row is looked at more than once.
fn repeats(fit: &FitOptions) -> bool {
    fit.epochs > 1 || fit.validation_steps > 0
}

/// Weights that no row met may be broken without a loss that tells.
fn is_finite(weights: &Weights<f32>) -> bool {
    let mut all = weights.dense.iter().chain(&weights.tables);
    all.all(|w| w.is_finite())
}

/// What must be the same for a checkpoint to be gone on from.
fn fingerprint(
    dataset: &Dataset,
    config: &TrainConfig,
    run: &FitRun,
) -> Result<String, TrainError> {
    let files: Vec<_> = dataset
        .manifest()
        .files
        .iter()
        .map(|f| f.blake3.as_str())
        .collect();
    let text = match &run.warm {
        None => serde_json::to_string(&(config, files)),
        Some(earlier) => serde_json::to_string(&(config, files, &earlier.blake3)),
    };
    let text = text.map_err(TrainError::internal)?;
    Ok(format!("{:016x}", seed::derive(run.seed, &text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_weights_are_noticed() {
        let mut weights = Weights {
            dense: vec![1.0, -2.0],
            tables: vec![0.0],
        };
        assert!(is_finite(&weights));
        weights.tables[0] = f32::NAN;
        assert!(!is_finite(&weights));
    }
}
