//! Weights from the graph that learned them to the one that predicts.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use ltv_nn::{Layout, Real, trainer::Weights};

/// The same parameters for another graph of the same specification.
pub(crate) fn copy<T: Real>(from: &Weights<T>, source: &Layout, layout: &Layout) -> Weights<T> {
    let mut weights = Weights {
        dense: vec![T::ZERO; layout.dense],
        tables: vec![T::ZERO; layout.table],
    };
    for param in &layout.params {
        let source = source.find(&param.name).unwrap();
        weights.of_mut(param).copy_from_slice(from.of(source));
    }
    weights
}
