//! Predictions for users whom no store knows, from their features. Whoever holds a model implements it; this
//! crate knows none.

use ltv_online::value::Horizon;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Predicts for one user at a time, by a model that may be replaced meanwhile.
pub trait OnDemand: Send + Sync {
    /// What is known of the model.
    fn describe(&self) -> OnDemandModel;

    /// What is to be expected of a user with these features.
    ///
    /// # Errors
    /// When the features are not those of a user, or prediction fails.
    fn predict(&self, features: &Map<String, Value>) -> Result<Predicted, PredictError>;

    /// Looks whether there is another model, and predicts by it from now on; whether there was one.
    ///
    /// # Errors
    /// When it cannot be read: why. The model from before stays; the same model that cannot be read is an
    /// error once.
    fn refresh(&self) -> Result<bool, String>;
}

/// The model that predicts on demand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct OnDemandModel {
    /// The model.
    pub model_id: String,
    /// Days of its horizons.
    pub horizons: Vec<u32>,
    /// What it reads; other features are refused.
    pub features: Vec<Feature>,
}

/// What is predicted for a user.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicted {
    /// The model that did.
    pub model_id: String,
    /// For each of its horizons, in their order.
    pub horizons: Vec<Horizon>,
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
    /// A number; true and false are 1 and 0.
    Number,
    /// A whole number, which is both a number and a category.
    Integer,
    /// A category: text, a whole number, or true or false.
    Category,
    /// A day, YYYY-MM-DD.
    Date,
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
