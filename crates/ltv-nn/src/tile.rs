//! What an operation works on: one tile of rows.

use crate::{
    Batch, Real,
    graph::{Edge, Node},
};
use std::ops::Range;

/// One tile of a batch, on its way through the graph.
///
/// A node of width `w` takes `w * ld` numbers of the value arena, feature by feature (row by row
/// for a row-major node); rows past `rows` hold rubbish.
pub(crate) struct Tile<'a, T> {
    pub(crate) arch: pulp::Arch,
    /// Rows in this tile.
    pub(crate) rows: usize,
    /// Distance between features in the arenas: the tile's capacity.
    pub(crate) ld: usize,
    /// First row of the tile in the batch.
    pub(crate) base: usize,
    pub(crate) values: &'a mut [T],
    pub(crate) grads: &'a mut [T],
    /// Place of every feature's gradient in `grads`, in features.
    pub(crate) grad_at: &'a [usize],
    /// For every edge, whether a gradient is there already.
    pub(crate) accumulate: &'a [bool],
    pub(crate) dense: &'a [T],
    /// Fields whose embeddings are read as they are; all when `None`.
    pub(crate) wanted: Option<&'a [usize]>,
    /// Softplus of the non-negative parameters, elsewhere rubbish.
    pub(crate) derived: &'a [T],
    pub(crate) tables: &'a [T],
    /// Gradient of the dense parameters; for non-negative ones with respect to their softplus.
    pub(crate) dense_grad: &'a mut [T],
    /// Whether this is its shard's first tile: parameter gradients are then overwritten.
    pub(crate) first: bool,
    /// Gradient of the embedded input for the rows of this tile, row-major.
    pub(crate) input_grad: &'a mut [T],
    pub(crate) batch: &'a Batch<T>,
    /// For every class column, the factor that makes a mean of its weighted sum.
    pub(crate) means: &'a [T],
    /// The same over all rows of the batch.
    pub(crate) mean: T,
    /// Sum of each loss term, before its coefficient.
    pub(crate) losses: &'a mut [f64],
    pub(crate) scratch: &'a mut [T],
    /// Seed of this step's random choices; `None` when not training.
    pub(crate) noise: Option<u64>,
}

impl<T: Real> Tile<'_, T> {
    /// The range of a node in the value arena.
    pub(crate) fn at(&self, node: Node) -> Range<usize> {
        node.at * self.ld..(node.at + node.width) * self.ld
    }

    /// The range of a node in the gradient arena.
    pub(crate) fn grad(&self, node: Node) -> Range<usize> {
        let start = self.grad_at[node.at] * self.ld;
        start..start + node.width * self.ld
    }

    /// The range of an edge's gradient, and whether to add to what is there.
    pub(crate) fn back(&self, edge: Edge) -> (Range<usize>, bool) {
        (self.grad(edge.node), self.accumulate[edge.id])
    }
}

/// Feature `j` of a feature-major block.
#[inline(always)]
pub(crate) fn feature<T>(block: &[T], j: usize, ld: usize, rows: usize) -> &[T] {
    &block[j * ld..j * ld + rows]
}

/// Feature `j` of a feature-major block, to write to.
#[inline(always)]
pub(crate) fn feature_mut<T>(block: &mut [T], j: usize, ld: usize, rows: usize) -> &mut [T] {
    &mut block[j * ld..j * ld + rows]
}

/// Rows that a product is made of where a tile has `rows`: two at least, unless a row has no room for rubbish beside
/// it. Of one row alone, products add up in another order than of the same row among others, and what a
/// row comes to must not depend on how many follow it.
pub(crate) fn product_rows(rows: usize, ld: usize) -> usize {
    rows.max(2).min(ld)
}

/// Several disjoint parts of one arena at a time.
///
/// # Panics
/// When parts overlap: the builder never makes an operation that reads what it writes.
pub(crate) fn parts<T, const N: usize>(
    arena: &mut [T],
    ranges: [Range<usize>; N],
) -> [&mut [T]; N] {
    arena
        .get_disjoint_mut(ranges)
        .unwrap_or_else(|e| unreachable!("arena parts: {e}"))
}

/// Writes or adds `f(r)` for every row.
#[inline(always)]
pub(crate) fn put<T: Real>(out: &mut [T], accumulate: bool, f: impl Fn(usize) -> T) {
    if accumulate {
        for (r, o) in out.iter_mut().enumerate() {
            *o += f(r);
        }
    } else {
        for (r, o) in out.iter_mut().enumerate() {
            *o = f(r);
        }
    }
}

/// For every row, what its loss and gradient count: its weight times `factor`, 0 where it does not
/// take part.
#[inline(always)]
pub(crate) fn shares<T: Real>(out: &mut [T], factor: T, classes: &[i32], weights: &[T]) {
    for ((out, &y), &w) in out.iter_mut().zip(classes).zip(weights) {
        *out = if y >= 0 { factor * w } else { T::ZERO };
    }
}

/// The weighted sum of the losses of the rows that take part.
pub(crate) fn weighted_sum<T: Real>(losses: &[T], classes: &[i32], weights: &[T]) -> f64 {
    let rows = losses.iter().zip(weights).zip(classes);
    let taking_part = rows.filter(|(_, y)| **y >= 0);
    taking_part.map(|((l, w), _)| l.f64() * w.f64()).sum()
}
