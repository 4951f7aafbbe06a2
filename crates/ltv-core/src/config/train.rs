//! How a network is trained, and the whole configuration of `ltv train`.

use super::{Auto, Balance, Cross, ModelConfig, Split, batch_for};
use crate::{Error, Horizons, Result};
use serde::{Deserialize, Serialize};

/// All options of `ltv train`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// The horizons to predict, among the dataset's; empty for all of them. One alone is the
    /// paper's MDME, which stands without a chain (section 5.3.1).
    pub horizons: Vec<u32>,
    /// Which users train and validate.
    pub split: Split,
    /// How features become cells.
    pub encoding: EncodingOptions,
    /// The network.
    pub model: ModelConfig,
    /// The optimiser and its schedule.
    pub fit: FitOptions,
    /// How an earlier model is gone on from, where one is.
    #[serde(skip_serializing_if = "WarmStart::is_default")]
    pub warm: WarmStart,
}

/// How training goes on from an earlier model, in place of `fit.epochs` from random weights.
///
/// An epoch passes over the users of whom a label has become known since, and a share of the others, so that
/// what was learned from them is not forgotten.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `epochs` | 2 | passes at most; the earlier weights stay where none validates better | 1..=10000 |
/// | `rate` | 0.5 | learning rates, as a multiple of those of `fit`; constant | (0, 10] |
/// | `replay` | 0.25 | share of the other training users | [0, 1] |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WarmStart {
    /// Passes over those rows at most.
    pub epochs: u32,
    /// Learning rates, as a multiple of those of `fit`.
    pub rate: f64,
    /// Share of the training users of whom nothing new is known.
    pub replay: f64,
}

impl Default for WarmStart {
    fn default() -> Self {
        Self {
            epochs: 2,
            rate: 0.5,
            replay: 0.25,
        }
    }
}

impl WarmStart {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    fn check(&self) -> Result<()> {
        let problem = |key: &str, problem: String| Err(Error::config(key, problem));
        if !(1..=10_000).contains(&self.epochs) {
            return problem(
                "warm.epochs",
                format!("{} is not in 1..=10000", self.epochs),
            );
        }
        if !(self.rate > 0.0 && self.rate <= 10.0) {
            return problem("warm.rate", format!("{} is not in (0, 10]", self.rate));
        }
        if !(0.0..=1.0).contains(&self.replay) {
            return problem("warm.replay", format!("{} is not in [0, 1]", self.replay));
        }
        Ok(())
    }
}

/// How features become cells (paper section 3.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EncodingOptions {
    /// Bins of a number at most, `2..=1024`.
    pub max_bins: usize,
    /// Training rows a category must have to get a cell of its own.
    pub min_category_rows: u64,
    /// Cells of a category at most, `1..=1_000_000`.
    pub max_categories: usize,
}

impl Default for EncodingOptions {
    fn default() -> Self {
        Self {
            max_bins: 8,
            min_category_rows: 50,
            max_categories: 10_000,
        }
    }
}

/// The optimiser and its schedule.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `rate` | 0.001 | learning rate of layers | (0, 1] |
/// | `embedding_rate` | 0.001 | learning rate of embeddings | (0, 1] |
/// | `schedule` | constant | how rates change | constant, cosine |
/// | `warmup` | 0 | steps in which rates rise from 0 | |
/// | `batch` | auto | rows of a step | auto, or 1..=65536 |
/// | `epochs` | 30 | passes over the training rows at most | 1..=10000 |
/// | `patience` | 4 | validations without improvement before stopping | 1..=1000 |
/// | `decay` | 0 | decoupled weight decay of layers and embeddings | [0, 1] |
/// | `checkpoint_steps` | 2000 | steps between checkpoints | >= 1 |
/// | `shuffle_rows` | 262144 | rows that are shuffled at a time | >= 1 |
/// | `validation_steps` | 0 | steps between validations, and one at the end; 0: once an epoch | |
/// | `balance` | none | how users with and without value are brought to equal weight | none, oversample, undersample, reweight |
/// | `recalibrate` | true | expectations are spread as widely as validation labels bear out | |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FitOptions {
    /// Learning rate of layers.
    pub rate: f64,
    /// Learning rate of embeddings.
    pub embedding_rate: f64,
    /// How rates change over the training.
    pub schedule: Schedule,
    /// Steps in which rates rise linearly from 0.
    pub warmup: u64,
    /// Rows of a step.
    pub batch: Auto<usize>,
    /// Passes over the training rows at most.
    pub epochs: u32,
    /// Validations without improvement before stopping.
    pub patience: u32,
    /// Decoupled weight decay.
    pub decay: f64,
    /// Steps between checkpoints.
    pub checkpoint_steps: u64,
    /// Rows that are shuffled at a time.
    pub shuffle_rows: usize,
    /// Steps between validations, beside one at the very end; 0 for once an epoch.
    pub validation_steps: u64,
    /// How users with and without value are brought to equal weight.
    pub balance: Balance,
    /// Whether expectations are drawn together, or apart, by as much as validation labels bear out.
    pub recalibrate: bool,
}

/// How learning rates change after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// They do not.
    Constant,
    /// They fall along half a cosine wave to zero at the last step of the last epoch.
    Cosine,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            rate: 0.001,
            embedding_rate: 0.001,
            schedule: Schedule::Constant,
            warmup: 0,
            batch: Auto::Auto,
            epochs: 30,
            patience: 4,
            decay: 0.0,
            checkpoint_steps: 2000,
            shuffle_rows: 1 << 18,
            validation_steps: 0,
            balance: Balance::None,
            recalibrate: true,
        }
    }
}

impl TrainConfig {
    /// The paper's settings (section 5.1.2): Adam at 0.05 and 0.1 for embeddings, batches of 512,
    /// alpha 1, beta and gamma 0.5, two sub-distributions; numbers enter as cells alone, and there is
    /// neither dropout, trend, crosses nor recalibration. What it does not state is as a plain reader would set it: 32 bins,
    /// embeddings of 8 dimensions, 20 buckets.
    pub fn paper() -> Self {
        let fit = FitOptions {
            rate: 0.05,
            embedding_rate: 0.1,
            batch: Auto::Is(512),
            recalibrate: false,
            ..FitOptions::default()
        };
        let model = ModelConfig {
            numbers: false,
            trend: false,
            dropout: Auto::Is(0.0),
            cross: Cross::None,
            beta: 0.5,
            gamma: 0.5,
            embedding: 8,
            buckets: 20,
            ..ModelConfig::default()
        };
        let encoding = EncodingOptions {
            max_bins: 32,
            ..EncodingOptions::default()
        };
        Self {
            encoding,
            model,
            fit,
            ..Self::default()
        }
    }

    /// The horizons to predict; `None` for all of the dataset's.
    ///
    /// # Errors
    /// When they are no list of horizons.
    pub fn chosen_horizons(&self) -> Result<Option<Horizons>> {
        match &self.horizons[..] {
            [] => Ok(None),
            days => Horizons::new(days.to_vec()).map(Some),
        }
    }

    /// Checks all parts.
    ///
    /// # Errors
    /// Names the key and its range.
    pub fn check(&self) -> Result<()> {
        self.chosen_horizons()?;
        self.split.check()?;
        self.model.check()?;
        self.encoding.check()?;
        self.warm.check()?;
        self.fit.check()
    }
}

impl EncodingOptions {
    /// Checks the ranges.
    ///
    /// # Errors
    /// Names the key and its range.
    pub fn check(&self) -> Result<()> {
        if !(2..=1024).contains(&self.max_bins) {
            let problem = format!("{} is not between 2 and 1024", self.max_bins);
            return Err(Error::config("encoding.max_bins", problem));
        }
        if !(1..=1_000_000).contains(&self.max_categories) {
            let problem = format!("{} is not between 1 and 1000000", self.max_categories);
            return Err(Error::config("encoding.max_categories", problem));
        }
        Ok(())
    }
}

impl FitOptions {
    /// Rows of a step, with so many training rows.
    pub fn batch_rows(&self, rows: u64) -> usize {
        self.batch.given().unwrap_or_else(|| batch_for(rows))
    }

    fn check(&self) -> Result<()> {
        let rates = [
            ("fit.rate", self.rate),
            ("fit.embedding_rate", self.embedding_rate),
        ];
        for (key, rate) in rates {
            if !(rate > 0.0 && rate <= 1.0) {
                return Err(Error::config(key, format!("{rate} is not in (0, 1]")));
            }
        }
        if !(0.0..=1.0).contains(&self.decay) {
            return Err(Error::config(
                "fit.decay",
                format!("{} is not in [0, 1]", self.decay),
            ));
        }
        let sizes = [
            ("fit.epochs", self.epochs.into(), 1..=10_000),
            ("fit.patience", self.patience.into(), 1..=1000),
            ("fit.checkpoint_steps", self.checkpoint_steps, 1..=u64::MAX),
            ("fit.shuffle_rows", self.shuffle_rows as u64, 1..=u64::MAX),
        ];
        let batch = self
            .batch
            .given()
            .map(|b| ("fit.batch", b as u64, 1..=65_536));
        for (key, value, range) in sizes.into_iter().chain(batch) {
            if !range.contains(&value) {
                let (low, high) = (range.start(), range.end());
                return Err(Error::config(
                    key,
                    format!("{value} is not in {low}..={high}"),
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid() {
        TrainConfig::default().check().unwrap();
        TrainConfig::paper().check().unwrap();
        let mut config = TrainConfig::default();
        config.fit.batch = Auto::Is(0);
        assert!(
            config
                .check()
                .unwrap_err()
                .to_string()
                .starts_with("fit.batch")
        );
    }
}
