//! What a trained model offers to batch scoring and to servers, which know no network.

use crate::{
    Horizons,
    encoding::{EncodedRows, Encoding},
};

/// Predictions for a block of rows. All matrices are row-major.
///
/// Not every model knows a distribution: one that has no quantiles leaves `quantiles` empty, one
/// that has no probability of a positive value leaves `positive` empty. A model does so for every
/// block or for none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Predictions {
    /// Number of rows.
    pub rows: usize,
    /// Values, `[rows, horizons]`, finite and non-negative, in label units.
    pub values: Vec<f64>,
    /// Quantiles of the predicted distribution, `[rows, horizons, 3]`: P10, P50, P90;
    /// empty when the model has none.
    pub quantiles: Vec<f64>,
    /// P(value > 0), `[rows, horizons]`; empty when the model has none.
    pub positive: Vec<f64>,
    /// Whether the order projection changed the row's values, `[rows]`.
    pub projected: Vec<bool>,
}

/// A trained model, ready to predict. Shared between threads.
pub trait Predictor: Send + Sync {
    /// Identifies the model: the same id, the same predictions.
    fn model_id(&self) -> &str;
    /// The horizons it predicts.
    fn horizons(&self) -> &Horizons;
    /// The encoding its inputs must have.
    fn encoding(&self) -> &Encoding;
    /// Predicts a block of rows. Cells outside the encoding's range are a defect of the caller;
    /// they are read as the missing cell.
    fn predict(&self, rows: &EncodedRows) -> Predictions;

    /// Predicts a block of rows, and says where their labels, `[rows, horizons]`, lie in what is
    /// predicted: `P(value < label)` and `P(value <= label)`, `[rows, horizons, 2]`, of the
    /// distribution as it is, before horizons are put in order; of no meaning where the label is NaN.
    /// Empty for a model without a distribution, as all are unless they say otherwise.
    fn locate(&self, rows: &EncodedRows, labels: &[f64]) -> (Predictions, Vec<f64>) {
        let _ = labels;
        (self.predict(rows), vec![])
    }
}
