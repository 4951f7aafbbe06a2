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
}
