//! The shape of the network and of its losses.

use super::{Auto, Backbone, Cross, DayEncoder, dropout_for};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// ODMN's options (paper section 3). Checked by [`ModelConfig::check`].
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `head` | mdme | what a horizon's value is predicted as | mdme, ziln, mixture |
/// | `components` | 4 | log-normals of the mixture | 2..=16 |
/// | `bias` | true | mdme: the position in a bucket is learned | |
/// | `ordinal` | true | mdme: order of classes is learned and distilled | |
/// | `embedding` | 4 | dimensions of an embedding | 1..=256 |
/// | `bottom` | 128, 64 | outputs of the shared bottom's layers | 1..=4096 each, at least one |
/// | `tower` | 32 | hidden outputs of a tower | 1..=1024 |
/// | `mono` | paper | how horizons are chained | off, paper, strict |
/// | `mono_hidden` | 16 | hidden outputs of a Mono Unit | 1..=256 |
/// | `numbers` | true | numbers enter beside their cells | |
/// | `trend` | true | every class has a trend from cohort to cohort | |
/// | `dropout` | auto | on the outputs of the layers of bottom and experts | auto, or in [0, 1) |
/// | `segments` | 2 | sub-distributions of a horizon | 2..=8 |
/// | `cut` | auto | where sub-distributions part | auto, zero, median, or values |
/// | `buckets` | 10 | into how many a sub-distribution is cut, about | 2..=100 |
/// | `alpha` | 1 | weight of the calibration loss | >= 0 |
/// | `beta` | 0.1 | weight of DOT's distillation | >= 0 |
/// | `gamma` | 0.1 | weight of BOT's distillation | >= 0 |
/// | `monotone` | true | longer horizons are worth at least as much | |
/// | `order_weights` | none | what the order projection leaves alone most | > 0, one for each horizon |
/// | `backbone` | shared_bottom | how horizons share the layers below their towers | shared_bottom, mmoe, ple |
/// | `experts` | 4 | experts for all horizons, each of `bottom`'s sizes (mmoe, ple) | 1..=32 |
/// | `task_experts` | 2 | experts of each horizon (ple) | 1..=16 |
/// | `levels` | 2 | levels of experts (ple) | 1..=4 |
/// | `cross` | deepfm | what is crossed beside the backbone | none, deepfm, dcn |
/// | `cross_layers` | 2 | layers of crosses (dcn) | 1..=8 |
/// | `cross_rank` | 32 | rank of a cross layer's matrix; 0: a full one (dcn) | 0..=1024 |
/// | `sequence` | concat | what reads the days of the window | concat, cnn, transformer, wavelet |
/// | `sequence_width` | 32 | channels of a day (cnn, transformer, wavelet) | 1..=256 |
/// | `sequence_layers` | 1 | layers over days (cnn, transformer) | 1..=4 |
/// | `heads` | 2 | heads of attention, a divisor of `sequence_width` (transformer) | 1..=8 |
/// | `kernel` | 3 | days that a convolution sees (cnn) | odd, 1..=31 |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// What a horizon's value is predicted as.
    pub head: HeadKind,
    /// Log-normals of [`HeadKind::Mixture`].
    pub components: usize,
    /// MDME: whether bucket bias towers (BBT) learn the position in a bucket. Without them a bucket
    /// stands for its middle, the mean of its boundaries (paper section 5.3.1, models NM and NMO).
    pub bias: bool,
    /// MDME: whether ordinal towers (DOT, BOT) learn the order of classes, and are distilled into
    /// the softmax towers (without them, the paper's models NM and NMB).
    pub ordinal: bool,
    /// Dimensions of an embedding.
    pub embedding: usize,
    /// Outputs of the shared bottom's layers.
    pub bottom: Vec<usize>,
    /// Hidden outputs of a tower.
    pub tower: usize,
    /// How horizons are chained.
    pub mono: Mono,
    /// Hidden outputs of a Mono Unit.
    pub mono_hidden: usize,
    /// Whether numeric features also enter the network as scaled numbers.
    pub numbers: bool,
    /// Whether every class of a horizon has a trend from cohort to cohort: its logits get a multiple
    /// of the logarithm of the cohort's age, apart from everything else that is known of a user. New
    /// users are predicted at the level that the trend has reached by the as-of date.
    pub trend: bool,
    /// Dropout on the outputs of the layers of the shared bottom, or of every expert.
    pub dropout: Auto<f64>,
    /// Sub-distributions of a horizon.
    pub segments: usize,
    /// Where sub-distributions part.
    pub cut: Cut,
    /// Into how many buckets a sub-distribution is cut, about: each holds `1 / buckets` of its
    /// rows. Zero, and a value with that many rows or more, is a bucket of its own; where such
    /// values alternate with others, there can be twice as many and two.
    pub buckets: usize,
    /// Weight of the calibration loss (eq. 13).
    pub alpha: f64,
    /// Weight of the distillation into the distribution classification tower (eq. 14).
    pub beta: f64,
    /// Weight of the distillation into bucket classification towers (eq. 14).
    pub gamma: f64,
    /// Whether a longer horizon is worth at least as much as a shorter one. Where returns may
    /// lower a value, set it to false: the chain, the calibration loss and the order projection
    /// are then off.
    pub monotone: bool,
    /// Weights of the order projection, one for each horizon; empty: one over the squared
    /// training mean.
    pub order_weights: Vec<f64>,
    /// How horizons share the layers below their towers.
    pub backbone: Backbone,
    /// Experts for all horizons; each has layers of `bottom`'s sizes.
    pub experts: usize,
    /// Experts that only one horizon hears, for each horizon and level.
    pub task_experts: usize,
    /// Levels of experts: what one level's gates make of them is read by the next.
    pub levels: usize,
    /// What is crossed beside the backbone, and given to the towers beside its output.
    pub cross: Cross,
    /// Layers of crosses.
    pub cross_layers: usize,
    /// Rank of a cross layer's matrix, as a product of two narrow ones; 0 for a full matrix.
    pub cross_rank: usize,
    /// What reads the days of the window. All but `concat` share one embedding table among the
    /// days of a sequence.
    pub sequence: DayEncoder,
    /// Channels into which a day is brought.
    pub sequence_width: usize,
    /// Layers over days.
    pub sequence_layers: usize,
    /// Heads of attention.
    pub heads: usize,
    /// Days that a convolution sees at once.
    pub kernel: usize,
}

/// What a horizon's value is predicted as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadKind {
    /// Multi Distribution Multi Experts: a distribution over buckets, and the position in each
    /// (paper section 3.3).
    #[default]
    Mdme,
    /// Zero-inflated log-normal: zero, or one log-normal (Wang, Liu and Miao, 2019). Neither Mono
    /// Units nor a calibration loss.
    Ziln,
    /// Zero, or a mixture of [`ModelConfig::components`] log-normals whose shares depend on the
    /// user. Close to OptDist (Weng et al., CIKM 2024), several log-normal experts and a selector,
    /// but the loss is the likelihood of the mixture: there is no Gumbel-softmax selection of one
    /// expert, and no loss that aligns the selector with the likeliest one. Neither Mono Units nor
    /// a calibration loss.
    Mixture,
}

/// How a horizon hears of the one before it (DESIGN 3.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mono {
    /// Not at all.
    Off,
    /// The paper's: non-negative weights on the bucket distribution, added to the logits.
    Paper,
    /// Non-negative increments of logits from the survival function: mass that moves right
    /// upstream never moves mass left downstream.
    Strict,
}

/// Where sub-distributions part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// A common zero is a sub-distribution of its own, the rest is cut at equal frequency.
    Auto,
    /// Zero is a sub-distribution of its own.
    Zero,
    /// The first sub-distribution ends at the median of the positive values.
    Median,
    /// The first values of the second, third, ... sub-distribution.
    At(Vec<f64>),
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            head: HeadKind::Mdme,
            components: 4,
            bias: true,
            ordinal: true,
            embedding: 4,
            bottom: vec![128, 64],
            tower: 32,
            mono: Mono::Paper,
            mono_hidden: 16,
            numbers: true,
            trend: true,
            dropout: Auto::Auto,
            segments: 2,
            cut: Cut::Auto,
            buckets: 10,
            alpha: 1.0,
            beta: 0.1,
            gamma: 0.1,
            monotone: true,
            order_weights: vec![],
            backbone: Backbone::SharedBottom,
            experts: 4,
            task_experts: 2,
            levels: 2,
            cross: Cross::DeepFm,
            cross_layers: 2,
            cross_rank: 32,
            sequence: DayEncoder::Concat,
            sequence_width: 32,
            sequence_layers: 1,
            heads: 2,
            kernel: 3,
        }
    }
}

impl ModelConfig {
    /// Checks every range of the table above.
    ///
    /// # Errors
    /// Names the key and its range.
    pub fn check(&self) -> Result<()> {
        let sizes = [
            ("model.embedding", self.embedding, 1..=256),
            ("model.tower", self.tower, 1..=1024),
            ("model.mono_hidden", self.mono_hidden, 1..=256),
            ("model.segments", self.segments, 2..=8),
            ("model.buckets", self.buckets, 2..=100),
            ("model.components", self.components, 2..=16),
            ("model.experts", self.experts, 1..=32),
            ("model.task_experts", self.task_experts, 1..=16),
            ("model.levels", self.levels, 1..=4),
            ("model.cross_layers", self.cross_layers, 1..=8),
            ("model.cross_rank", self.cross_rank, 0..=1024),
            ("model.sequence_width", self.sequence_width, 1..=256),
            ("model.sequence_layers", self.sequence_layers, 1..=4),
            ("model.heads", self.heads, 1..=8),
        ];
        for (key, value, range) in sizes {
            if !range.contains(&value) {
                let (low, high) = (range.start(), range.end());
                let problem = format!("{value} is not between {low} and {high}");
                return Err(Error::config(key, problem));
            }
        }
        if self.bottom.is_empty() || self.bottom.iter().any(|n| !(1..=4096).contains(n)) {
            let problem = format!("{:?}: give one or more sizes of 1 to 4096", self.bottom);
            return Err(Error::config("model.bottom", problem));
        }
        if let Auto::Is(rate) = self.dropout
            && !(0.0..1.0).contains(&rate)
        {
            let problem = format!("{rate} is not in [0, 1)");
            return Err(Error::config("model.dropout", problem));
        }
        let weights = [
            ("model.alpha", self.alpha),
            ("model.beta", self.beta),
            ("model.gamma", self.gamma),
        ];
        for (key, value) in weights {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::config(
                    key,
                    format!("{value} is not zero or positive"),
                ));
            }
        }
        if let Some(bad) = self
            .order_weights
            .iter()
            .find(|w| !(**w > 0.0 && w.is_finite()))
        {
            let problem = format!("{bad} is not positive");
            return Err(Error::config("model.order_weights", problem));
        }
        self.check_representation()?;
        self.check_cut()
    }

    /// The same with what depends on the number of training rows decided.
    #[must_use]
    pub fn for_rows(self, rows: u64) -> Self {
        let dropout = self.dropout.given().unwrap_or_else(|| dropout_for(rows));
        Self {
            dropout: Auto::Is(dropout),
            ..self
        }
    }

    /// Checks what depends on the number of horizons.
    ///
    /// # Errors
    /// When `order_weights` are given, but not one for each horizon.
    pub fn check_horizons(&self, horizons: usize) -> Result<()> {
        let given = self.order_weights.len();
        if given == 0 || given == horizons {
            return Ok(());
        }
        let problem = format!("{given} weights for {horizons} horizons; give one for each");
        Err(Error::config("model.order_weights", problem))
    }

    fn check_cut(&self) -> Result<()> {
        let Cut::At(cuts) = &self.cut else {
            return Ok(());
        };
        let ascending = cuts.windows(2).all(|w| w[0] < w[1]);
        let positive = cuts.iter().all(|c| c.is_finite() && *c > 0.0);
        if cuts.len() + 1 == self.segments && ascending && positive {
            return Ok(());
        }
        let problem = format!(
            "{cuts:?}: give {} positive ascending values, one less than model.segments",
            self.segments - 1
        );
        Err(Error::config("model.cut", problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        ModelConfig::default().check().unwrap();
        let fails = |change: fn(&mut ModelConfig)| {
            let mut config = ModelConfig::default();
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert!(fails(|c| c.dropout = Auto::Is(1.0)).starts_with("model.dropout"));
        assert!(fails(|c| c.alpha = f64::NAN).starts_with("model.alpha"));
        assert!(fails(|c| c.bottom = vec![]).starts_with("model.bottom"));
        assert!(fails(|c| c.cut = Cut::At(vec![])).starts_with("model.cut"));
        assert!(fails(|c| c.order_weights = vec![1.0, 0.0]).starts_with("model.order_weights"));
        let weighted = ModelConfig {
            order_weights: vec![1.0, 2.0],
            ..ModelConfig::default()
        };
        weighted.check_horizons(2).unwrap();
        assert!(weighted.check_horizons(4).is_err());
        assert!(fails(|c| c.components = 1).contains("between 2 and 16"));
        assert!(fails(|c| c.segments = 1).contains("between 2 and 8"));
    }
}
