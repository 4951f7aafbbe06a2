//! The operations. Each has its formula, its shapes, its backward pass and its check against
//! finite differences in one file; [`crate::graph::Builder`] has one method for each.

mod add;
mod aside;
mod attention;
mod columns;
mod concat;
mod convolve;
mod cross_entropy;
mod cumulate;
mod distill;
mod dropout;
mod expectation;
mod haar;
mod hinge;
mod input;
mod interact;
mod layer_norm;
mod linear;
mod log_normals;
mod mixture;
mod multiply;
mod narrow;
mod offset;
mod ordinal;
mod pick;
mod shrink;
mod sigmoid;
mod softmax;
mod survival;
mod weigh;

pub use input::FieldSpec;
pub use log_normals::{LEAST_SQUARED_SCALE, LogNormals, log_normal_scale};
pub use softmax::Softmax;

use crate::{
    Real,
    formula::{Parameters, Step},
    plan::Wiring,
    tile::Tile,
};

/// An operation of the graph.
pub(crate) trait Op<T: Real>: Send + Sync {
    /// Which gradients it reads and writes.
    fn wiring(&self) -> Wiring;
    /// Computes its outputs, and adds its loss if it is one.
    fn forward(&self, tile: &mut Tile<'_, T>);
    /// Sends gradients back to its inputs and parameters.
    fn backward(&self, tile: &mut Tile<'_, T>);
    /// What it computes of what; none of an operation that has no place in a network that predicts,
    /// as losses have none.
    fn step<'a>(&'a self, _: Parameters<'a, T>) -> Option<Step<'a, T>> {
        None
    }
    /// Multiply-adds of one row in matrix products.
    fn multiply_adds(&self) -> u64 {
        0
    }
}
