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
mod folded;
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
mod single;
mod softmax;
mod survival;
mod weigh;

pub use input::FieldSpec;
pub use log_normals::{LEAST_SQUARED_SCALE, LogNormals, log_normal_scale};
pub use softmax::Softmax;

pub(crate) use folded::Folded;

use crate::{
    Layout, Real,
    formula::{Parameters, Step},
    graph::InputSpec,
    plan::Wiring,
    tile::Tile,
    trainer::Weights,
};

/// Numbers worked on at a time: one AVX-512 register of `f32`.
pub(crate) const LANES: usize = 16;

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
    /// Itself applied to embedding tables that no longer change, where it reads nothing but look-ups and
    /// numbers.
    fn fold(&self, _: &Layout, _: &InputSpec, _: &Weights<T>) -> Option<Folded<T>> {
        None
    }
    /// As [`Op::forward`], with what [`Op::fold`] made, and its sums for the rows of the tile.
    fn forward_folded(&self, _: &Folded<T>, _: &[T], tile: &mut Tile<'_, T>) {
        self.forward(tile);
    }
    /// Whether it reads look-ups as they are.
    fn reads_look_ups(&self) -> bool {
        false
    }
    /// Multiply-adds of one row in matrix products.
    fn multiply_adds(&self) -> u64 {
        0
    }
}
