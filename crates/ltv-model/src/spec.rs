//! The shape of one network: all that is needed to build it.

use crate::buckets::Buckets;
use ltv_core::{config::ModelConfig, encoding::Encoding};
use serde::{Deserialize, Serialize};

/// Inputs, layers and horizons of a network. Two networks of one spec have the same parameters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Cells of every categorical field.
    pub fields: Vec<usize>,
    /// Numeric inputs.
    pub numbers: usize,
    /// The options.
    pub model: ModelConfig,
    /// The buckets of every horizon, ascending by horizon.
    pub horizons: Vec<Buckets>,
}

impl Spec {
    /// The network for an encoding and its fitted buckets.
    pub fn new(encoding: &Encoding, model: ModelConfig, horizons: Vec<Buckets>) -> Self {
        let fields = encoding.field_cells();
        Self {
            fields,
            numbers: encoding.numbers(),
            model,
            horizons,
        }
    }

    /// Weights of the order projection, one for each horizon: those of the options, or one over
    /// the squared training mean, so that a horizon's share of the correction is the same in
    /// relation to its size.
    pub fn order_weights(&self) -> Vec<f64> {
        let given = &self.model.order_weights;
        if given.len() == self.horizons.len() {
            return given.clone();
        }
        let relative = |b: &Buckets| 1.0 / (b.mean * b.mean);
        self.horizons.iter().map(relative).collect()
    }
}
