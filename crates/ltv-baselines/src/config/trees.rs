//! How boosted trees are grown, and how a setting is chosen.

use super::{days, share, whole};
use ltv_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// How boosted trees are grown. Names are XGBoost's where it has one.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `grid` | [`built_in`] | settings to try; one setting means no search | 1..=100 settings |
/// | `choose` | errors | what a regression's setting is chosen by | errors, loss |
/// | `rounds` | 1000 | most rounds | 1..=1000 |
/// | `early_stopping_rounds` | 30 | rounds without a better validation loss that end it | 1..=1000 |
/// | `max_bin` | 256 | cells of a column (`tree_method` is always `hist`) | 2..=4096 |
/// | `categories` | native | how categories enter | codes, native |
/// | `recent_days` | none | use only the last days of registrations | 1.. |
///
/// Early stopping always looks at the stage's own loss on the validation rows: root mean squared
/// error, mean absolute error, Tweedie's negative log-likelihood or the classifier's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TreeOptions {
    /// Settings to try on each horizon and stage; none: the built-in ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grid: Option<Vec<Setting>>,
    /// What a regression's setting is chosen by. A classifier's is always chosen by its loss.
    pub choose: Choose,
    /// Most rounds.
    pub rounds: u32,
    /// Rounds without a better validation loss that end the training.
    pub early_stopping_rounds: u32,
    /// Cells of a column.
    pub max_bin: u32,
    /// How categories enter.
    pub categories: Categories,
    /// Use only so many days of registrations, of each horizon's newest mature ones: training and
    /// validation rows alike. Where value drifts, old cohorts mislead.
    pub recent_days: Option<u32>,
}

/// What a regression's setting is chosen by, on the validation rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choose {
    /// NRMSE + NMAE: comparable between objectives, and between powers of Tweedie's.
    #[default]
    Errors,
    /// The objective's own loss.
    Loss,
}

/// How a category enters a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Categories {
    /// As the number of its cell: values in sorted order, so that a split takes a range of them.
    Codes,
    /// As a category: a split takes any set of values.
    #[default]
    Native,
}

/// One setting of the trees.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `max_depth` | 4 | levels of a tree | 1..=16 |
/// | `eta` | 0.05 | learning rate | (0, 1] |
/// | `min_child_weight` | 20 | least weight of a leaf: rows, for squared error | >= 0 |
/// | `subsample` | 0.8 | share of rows for a tree | (0, 1] |
/// | `colsample_bytree` | 0.8 | share of columns for a tree | (0, 1] |
/// | `lambda` | 1 | L2 penalty on leaves | >= 0 |
/// | `power` | 1.5 | variance power of Tweedie's distribution, ignored elsewhere | (1, 2) |
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Setting {
    /// Levels of a tree.
    pub max_depth: u32,
    /// Learning rate.
    pub eta: f64,
    /// Least weight of a leaf.
    pub min_child_weight: f64,
    /// Share of rows for a tree.
    pub subsample: f64,
    /// Share of columns for a tree.
    pub colsample_bytree: f64,
    /// L2 penalty on leaves.
    pub lambda: f64,
    /// Variance power of Tweedie's distribution.
    pub power: f64,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            max_depth: 4,
            eta: 0.05,
            min_child_weight: 20.0,
            subsample: 0.8,
            colsample_bytree: 0.8,
            lambda: 1.0,
            power: 1.5,
        }
    }
}

impl Default for TreeOptions {
    fn default() -> Self {
        Self {
            grid: None,
            choose: Choose::default(),
            rounds: 1000,
            early_stopping_rounds: 30,
            max_bin: 256,
            categories: Categories::default(),
            recent_days: None,
        }
    }
}

/// The built-in settings: eight, from shallow and fast to deep and careful; for Tweedie's
/// objective four more, two of them with powers 1.2 and 1.8 each.
pub fn built_in(tweedie: bool) -> Vec<Setting> {
    let setting = |max_depth, eta, min_child_weight, colsample_bytree, power| Setting {
        max_depth,
        eta,
        min_child_weight,
        colsample_bytree,
        power,
        ..Setting::default()
    };
    let mut grid = vec![
        setting(2, 0.1, 10.0, 0.8, 1.5),
        setting(3, 0.1, 10.0, 0.8, 1.5),
        setting(4, 0.05, 20.0, 0.8, 1.5),
        setting(4, 0.05, 100.0, 0.5, 1.5),
        setting(5, 0.03, 30.0, 0.5, 1.5),
        setting(6, 0.05, 50.0, 0.8, 1.5),
        setting(6, 0.05, 200.0, 0.5, 1.5),
        setting(8, 0.05, 100.0, 0.8, 1.5),
    ];
    if tweedie {
        for power in [1.2, 1.8] {
            grid.push(setting(4, 0.05, 20.0, 0.8, power));
            grid.push(setting(6, 0.05, 50.0, 0.8, power));
        }
    }
    grid
}

impl TreeOptions {
    /// The settings to try.
    pub fn settings(&self, tweedie: bool) -> Vec<Setting> {
        self.grid.clone().unwrap_or_else(|| built_in(tweedie))
    }

    pub(super) fn check(&self, tweedie: bool) -> Result<()> {
        whole("peer.trees.rounds", self.rounds, 1, 1000)?;
        let patience = self.early_stopping_rounds;
        whole("peer.trees.early_stopping_rounds", patience, 1, 1000)?;
        whole("peer.trees.max_bin", self.max_bin, 2, 4096)?;
        days("peer.trees.recent_days", self.recent_days)?;
        let grid = self.settings(tweedie);
        let size = u32::try_from(grid.len()).unwrap_or(u32::MAX);
        whole("peer.trees.grid", size, 1, 100)?;
        for (i, setting) in grid.iter().enumerate() {
            setting.check(&format!("peer.trees.grid[{i}]"))?;
        }
        let powers = grid.iter().any(|s| s.power != grid[0].power);
        if tweedie && powers && self.choose == Choose::Loss {
            let problem = "losses of different powers are not comparable; use \"errors\"";
            return Err(Error::config("peer.trees.choose", problem));
        }
        Ok(())
    }
}

impl Setting {
    fn check(&self, at: &str) -> Result<()> {
        let key = |name: &str| format!("{at}.{name}");
        whole(&key("max_depth"), self.max_depth, 1, 16)?;
        share(&key("eta"), self.eta)?;
        share(&key("subsample"), self.subsample)?;
        share(&key("colsample_bytree"), self.colsample_bytree)?;
        let penalties = [
            ("min_child_weight", self.min_child_weight),
            ("lambda", self.lambda),
        ];
        for (name, value) in penalties {
            if !(value >= 0.0 && value.is_finite()) {
                let problem = format!("{value} is not zero or positive");
                return Err(Error::config(key(name), problem));
            }
        }
        if self.power > 1.0 && self.power < 2.0 {
            return Ok(());
        }
        let problem = format!("{} is not between 1 and 2", self.power);
        Err(Error::config(key("power"), problem))
    }
}
