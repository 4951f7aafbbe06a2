//! Which peer, and its options. Checked once by [`PeerConfig::check`]; unknown keys are errors.

mod trees;

pub use trees::{Categories, Choose, Setting, TreeOptions, built_in};

use crate::btyd::TimeUnit;
use ltv_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// One peer. In TOML a table with the key `kind`:
///
/// | kind | what it is | needs XGBoost |
/// |---|---|---|
/// | `xgboost` | one boosted regression for each horizon | yes |
/// | `two_stage` | P(value > 0) and the value of those above 0, boosted | yes |
/// | `forest` | the same two stages by random forests within user groups | yes |
/// | `rfm` | the mean of users alike in recency, frequency and monetary value | no |
/// | `trivial_sort` | a user's own signal in the window, scaled | no |
/// | `train_mean` | the training mean for everybody | no |
/// | `btyd` | buy till you die: fitted to whole purchase histories | no |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PeerConfig {
    /// One boosted regression for each horizon.
    Xgboost(BoostConfig),
    /// Two-stage boosting (Drachen et al. 2018).
    TwoStage(TwoStageConfig),
    /// Two-stage random forests within user groups (Vanderveld et al. 2016).
    Forest(ForestConfig),
    /// Recency, frequency, monetary cells (Fader, Hardie, Lee 2005).
    Rfm(RfmConfig),
    /// [`ltv_core::baseline`]'s trivial sort.
    TrivialSort(RuleConfig),
    /// The training mean.
    TrainMean(RuleConfig),
    /// Buy till you die ([`crate::btyd`]).
    Btyd(BtydConfig),
}

/// Options of kind `xgboost`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BoostConfig {
    /// What the regression minimises.
    pub objective: Objective,
    /// How trees are grown.
    pub trees: TreeOptions,
    /// Whether predictions are put in order across horizons ([`ltv_core::order`]).
    pub ordered: bool,
}

/// What a boosted regression minimises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// Squared error: predicts means.
    #[default]
    SquaredError,
    /// Negative log-likelihood of Tweedie's distribution with a log link: predicts means of
    /// values that are often exactly 0.
    Tweedie,
    /// Absolute error: predicts medians, by a gradient of ours (docs/decisions/0014).
    AbsoluteError,
}

/// Options of kind `two_stage`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TwoStageConfig {
    /// How the stages become one value.
    pub form: Form,
    /// How trees are grown, in both stages.
    pub trees: TreeOptions,
    /// Whether predictions are put in order across horizons.
    pub ordered: bool,
}

/// How `p`, the predicted P(value > 0), and `r`, the value predicted for users above 0, become one
/// value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// `p * r`, the mean.
    #[default]
    Product,
    /// `r` where `p > 0.5`, else 0.
    Gate,
}

impl Form {
    /// The value.
    pub fn value(self, p: f64, r: f64) -> f64 {
        match self {
            Self::Product => p * r,
            Self::Gate if p > 0.5 => r,
            Self::Gate => 0.0,
        }
    }
}

/// Options of kind `forest`.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `trees` | 200 | trees of a forest | 1..=2000 |
/// | `max_depth` | 12 | levels of a tree | 1..=20 |
/// | `min_leaf` | 10 | least rows of a leaf | 1..=100000 |
/// | `subsample` | 0.632 | share of rows for a tree | (0, 1] |
/// | `colsample_bynode` | 0.33 | share of columns for a split | (0, 1] |
/// | `max_bin` | 256 | cells of a column | 2..=4096 |
/// | `min_group` | 500 | rows below which a group uses the forest of all users | 1.. |
/// | `form` | product | how the stages become one value | product, gate |
/// | `categories` | native | how categories enter | codes, native |
/// | `recent_days` | none | train only on the last days of registrations | 1.. |
/// | `ordered` | false | whether predictions are put in order across horizons | |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ForestConfig {
    /// Trees of a forest.
    pub trees: u32,
    /// Levels of a tree.
    pub max_depth: u32,
    /// Least rows of a leaf.
    pub min_leaf: u32,
    /// Share of rows drawn for a tree, without replacement; 0.632 is the share of distinct rows
    /// in a bootstrap sample.
    pub subsample: f64,
    /// Share of columns drawn for a split.
    pub colsample_bynode: f64,
    /// Cells of a column.
    pub max_bin: u32,
    /// Mature rows below which a group uses the forest of all users.
    pub min_group: usize,
    /// How the stages become one value.
    pub form: Form,
    /// How categories enter.
    pub categories: Categories,
    /// Train only on so many days of registrations, of each horizon's newest mature ones.
    pub recent_days: Option<u32>,
    /// Whether predictions are put in order across horizons.
    pub ordered: bool,
}

impl Default for ForestConfig {
    fn default() -> Self {
        Self {
            trees: 200,
            max_depth: 12,
            min_leaf: 10,
            subsample: 0.632,
            colsample_bynode: 0.33,
            max_bin: 256,
            min_group: 500,
            form: Form::Product,
            categories: Categories::default(),
            recent_days: None,
            ordered: false,
        }
    }
}

/// Options of kind `rfm`.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `recency` | 5 | cells of the last active day | 1..=20 |
/// | `frequency` | 5 | cells of the number of active days | 1..=20 |
/// | `monetary` | 5 | cells of the value, where the dataset has one | 1..=20 |
/// | `prior_rows` | 20 | how many rows all users count for in every cell | >= 0 |
/// | `ordered` | false | whether predictions are put in order across horizons | |
///
/// The product of the three numbers of cells is at most 1000.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RfmConfig {
    /// Cells of the last active day.
    pub recency: usize,
    /// Cells of the number of active days.
    pub frequency: usize,
    /// Cells of the value, where the dataset has one.
    pub monetary: usize,
    /// How many rows all users count for in every cell.
    pub prior_rows: f64,
    /// Whether predictions are put in order across horizons.
    pub ordered: bool,
}

impl Default for RfmConfig {
    fn default() -> Self {
        Self {
            recency: 5,
            frequency: 5,
            monetary: 5,
            prior_rows: 20.0,
            ordered: false,
        }
    }
}

/// Options of kind `btyd`.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `model` | bg_nbd | how many purchase days follow | bg_nbd, pareto_nbd |
/// | `unit` | week | what times are counted in | day, week |
/// | `penalty` | 0 | weight of an L2 penalty ([`crate::btyd::FitOptions`]) | >= 0 |
///
/// What a purchase day is worth is a Gamma-Gamma model, for value labels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BtydConfig {
    /// How many purchase days follow.
    pub model: CountModel,
    /// What times are counted in.
    pub unit: TimeUnit,
    /// Weight of an L2 penalty.
    pub penalty: f64,
}

impl Default for BtydConfig {
    fn default() -> Self {
        Self {
            model: CountModel::BgNbd,
            unit: TimeUnit::Week,
            penalty: 0.0,
        }
    }
}

/// How many purchase days follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CountModel {
    /// A customer may leave after any purchase (Fader, Hardie, Lee 2005).
    #[default]
    BgNbd,
    /// A customer may leave at any time (Schmittlein, Morrison, Colombo 1987).
    ParetoNbd,
}

/// Options of the simple rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuleConfig {
    /// Whether predictions are put in order across horizons.
    pub ordered: bool,
}

impl PeerConfig {
    /// The value of `kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Xgboost(_) => "xgboost",
            Self::TwoStage(_) => "two_stage",
            Self::Forest(_) => "forest",
            Self::Rfm(_) => "rfm",
            Self::TrivialSort(_) => "trivial_sort",
            Self::TrainMean(_) => "train_mean",
            Self::Btyd(_) => "btyd",
        }
    }

    /// Whether it is made of trees, which need the cargo feature `xgboost`.
    pub fn needs_xgboost(&self) -> bool {
        matches!(self, Self::Xgboost(_) | Self::TwoStage(_) | Self::Forest(_))
    }

    /// Whether it is fitted on rows in memory, by [`crate::fit`].
    pub fn needs_rows(&self) -> bool {
        self.needs_xgboost()
    }

    /// Whether it is fitted on whole purchase histories, by [`crate::fit_log`].
    pub fn needs_events(&self) -> bool {
        matches!(self, Self::Btyd(_))
    }

    /// Whether another seed may give another model.
    pub fn is_random(&self) -> bool {
        self.needs_xgboost()
    }

    /// Whether predictions are put in order across horizons.
    pub fn ordered(&self) -> bool {
        match self {
            // They are, by construction.
            Self::Btyd(_) => false,
            Self::Xgboost(c) => c.ordered,
            Self::TwoStage(c) => c.ordered,
            Self::Forest(c) => c.ordered,
            Self::Rfm(c) => c.ordered,
            Self::TrivialSort(c) | Self::TrainMean(c) => c.ordered,
        }
    }

    /// Checks every range.
    ///
    /// # Errors
    /// Names the key and its range.
    pub fn check(&self) -> Result<()> {
        match self {
            Self::Xgboost(c) => c.trees.check(c.objective == Objective::Tweedie),
            Self::TwoStage(c) => c.trees.check(false),
            Self::Forest(c) => c.check(),
            Self::Rfm(c) => c.check(),
            Self::TrivialSort(_) | Self::TrainMean(_) => Ok(()),
            Self::Btyd(c) if c.penalty >= 0.0 && c.penalty.is_finite() => Ok(()),
            Self::Btyd(c) => {
                let problem = format!("{} is not zero or positive", c.penalty);
                Err(Error::config("peer.penalty", problem))
            }
        }
    }
}

impl ForestConfig {
    fn check(&self) -> Result<()> {
        whole("peer.trees", self.trees, 1, 2000)?;
        whole("peer.max_depth", self.max_depth, 1, 20)?;
        whole("peer.min_leaf", self.min_leaf, 1, 100_000)?;
        share("peer.subsample", self.subsample)?;
        share("peer.colsample_bynode", self.colsample_bynode)?;
        whole("peer.max_bin", self.max_bin, 2, 4096)?;
        if self.min_group == 0 {
            return Err(Error::config("peer.min_group", "0 is not positive"));
        }
        days("peer.recent_days", self.recent_days)
    }
}

impl RfmConfig {
    /// Most cells: each holds the labels of its users while it is fitted, in some 0.1 MB for each
    /// horizon.
    const MOST_CELLS: usize = 1000;

    fn check(&self) -> Result<()> {
        let cells = [
            ("peer.recency", self.recency),
            ("peer.frequency", self.frequency),
            ("peer.monetary", self.monetary),
        ];
        for (key, value) in cells {
            whole(key, u32::try_from(value).unwrap_or(u32::MAX), 1, 20)?;
        }
        let count = self.recency * self.frequency * self.monetary;
        if count > Self::MOST_CELLS {
            let problem = format!(
                "peer.recency * peer.frequency * peer.monetary make {count} cells, of which there \
                 may be {}; lower one of them",
                Self::MOST_CELLS
            );
            return Err(Error::config("peer.recency", problem));
        }
        if self.prior_rows >= 0.0 && self.prior_rows.is_finite() {
            return Ok(());
        }
        let problem = format!("{} is not zero or positive", self.prior_rows);
        Err(Error::config("peer.prior_rows", problem))
    }
}

fn whole(key: &str, value: u32, low: u32, high: u32) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    let problem = format!("{value} is not between {low} and {high}");
    Err(Error::config(key, problem))
}

fn share(key: &str, value: f64) -> Result<()> {
    if value > 0.0 && value <= 1.0 {
        return Ok(());
    }
    Err(Error::config(key, format!("{value} is not in (0, 1]")))
}

fn days(key: &str, value: Option<u32>) -> Result<()> {
    match value {
        Some(0) => Err(Error::config(
            key,
            "0 is not positive; leave it out for all days",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
