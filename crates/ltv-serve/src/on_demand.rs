//! Predictions for users whom no store knows, from their features. Whoever holds a model implements it; this
//! crate knows none.

use ltv_online::value::Horizon;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Predicts for one user at a time.
pub trait OnDemand: Send + Sync {
    /// The model.
    fn model_id(&self) -> String;

    /// The features that it reads; others are refused.
    fn features(&self) -> Vec<Feature>;

    /// Days of its horizons, in the order of the predictions.
    fn days(&self) -> Vec<u32>;

    /// A prediction for each horizon, in their order.
    ///
    /// # Errors
    /// When the features are not those of a user, or prediction fails.
    fn predict(&self, features: &Map<String, Value>) -> Result<Vec<Horizon>, PredictError>;
}

/// A feature that a model reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Feature {
    /// Its name: that of a column of the dataset.
    pub name: String,
    /// What its values are.
    pub kind: FeatureKind,
    /// Whether it must be given; otherwise it may be absent or null, which means that it is not known.
    pub required: bool,
}

/// What the values of a feature are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// A number.
    Number,
    /// A whole number.
    Integer,
    /// Text: a category.
    Text,
    /// True or false.
    Boolean,
}

/// Why there is no prediction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PredictError {
    /// What was given is no user's: told to whoever asked.
    #[error("{problem}")]
    Features {
        /// What is wrong, with the feature's name, and what would be right.
        problem: String,
    },
    /// It failed: written into the log, and not told.
    #[error("{problem}")]
    Failed {
        /// What happened.
        problem: String,
    },
}
