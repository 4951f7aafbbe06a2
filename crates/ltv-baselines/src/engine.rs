//! The only module that knows the XGBoost library, and what stands in for it in builds without.

#[cfg(not(feature = "xgboost"))]
mod absent;
mod absolute;
#[cfg(feature = "xgboost")]
mod library;
#[cfg(test)]
#[cfg(feature = "xgboost")]
mod tests;

#[cfg(not(feature = "xgboost"))]
pub(crate) use absent::{Trees, grow};
#[cfg(feature = "xgboost")]
pub(crate) use library::{Trees, grow};

use crate::matrix::Matrix;

/// Rows and their labels.
#[cfg_attr(
    not(feature = "xgboost"),
    allow(dead_code, reason = "only the library reads it")
)]
pub(crate) struct Sample {
    pub(crate) matrix: Matrix,
    pub(crate) labels: Vec<f32>,
}

/// One training.
#[cfg_attr(
    not(feature = "xgboost"),
    allow(dead_code, reason = "only the library reads it")
)]
pub(crate) struct Job<'a> {
    /// Types of the columns.
    pub(crate) types: &'a [&'static str],
    pub(crate) train: &'a Sample,
    /// What stops the training, if anything does.
    pub(crate) validation: Option<&'a Sample>,
    /// XGBoost's parameters, by name.
    pub(crate) parameters: Vec<(&'static str, String)>,
    /// Whether our gradient of the absolute error takes the place of XGBoost's.
    pub(crate) absolute: bool,
    /// Most rounds.
    pub(crate) rounds: u32,
    /// Rounds without a better validation loss that end it.
    pub(crate) patience: u32,
}

/// A finished training.
pub(crate) struct Grown {
    /// The model in XGBoost's format UBJ.
    pub(crate) model: Vec<u8>,
    /// Rounds kept.
    pub(crate) rounds: u32,
    /// Best validation loss.
    pub(crate) loss: Option<f64>,
    /// Predictions for the validation rows.
    pub(crate) predictions: Vec<f64>,
}
