//! A worker: arenas for one tile, and the parts it is answerable for.

use super::Weights;
use crate::{Batch, Graph, Real, batch::Means, simd::simd, tile::Tile};
use std::ops::Range;

/// What is computed for one part of a batch.
#[derive(Debug, Default)]
pub(crate) struct Part<T> {
    /// Gradient of the dense parameters; for non-negative ones, of their softplus.
    pub(crate) dense: Vec<T>,
    /// Gradient of the embedded inputs, `[rows, embedded]`.
    pub(crate) input: Vec<T>,
    /// Sum of each loss term.
    pub(crate) losses: Vec<f64>,
}

/// The arenas of one thread.
pub(crate) struct Worker<T> {
    pub(crate) arch: pulp::Arch,
    pub(crate) values: Vec<T>,
    grads: Vec<T>,
    pub(crate) scratch: Vec<T>,
    /// Sums of folded layers, see [`crate::runner`].
    pub(crate) sums: Vec<T>,
    /// Parts `w`, `w + workers`, ... of a batch, kept from step to step.
    pub(crate) parts: Vec<Part<T>>,
}

/// What all workers share during a pass.
pub(crate) struct Pass<'a, T> {
    pub(crate) graph: &'a Graph<T>,
    pub(crate) weights: &'a Weights<T>,
    pub(crate) derived: &'a [T],
    pub(crate) batch: &'a Batch<T>,
    pub(crate) means: &'a Means<T>,
    pub(crate) noise: Option<u64>,
    pub(crate) backward: bool,
}

impl<T: Real> Worker<T> {
    pub(crate) fn new(graph: &Graph<T>, training: bool) -> Self {
        let grads = if training {
            graph.plan.grad_features * graph.tile
        } else {
            0
        };
        Self {
            arch: pulp::Arch::new(),
            values: vec![T::ZERO; graph.features * graph.tile],
            grads: vec![T::ZERO; grads],
            scratch: vec![T::ZERO; graph.scratch * graph.tile],
            sums: vec![],
            parts: vec![],
        }
    }

    /// Runs one part of a batch, tile by tile.
    pub(crate) fn run(&mut self, pass: &Pass<'_, T>, slot: usize, rows: Range<usize>) {
        while self.parts.len() <= slot {
            self.parts.push(Part::default());
        }
        let mut out = std::mem::take(&mut self.parts[slot]);
        out.losses.clear();
        out.losses.resize(pass.graph.terms.len(), 0.0);
        if pass.backward {
            out.dense.resize(pass.graph.layout.dense, T::ZERO);
            out.input
                .resize(rows.len() * pass.graph.input.embedded, T::ZERO);
            if rows.is_empty() {
                // No first tile will overwrite what the step before left here.
                out.dense.fill(T::ZERO);
            }
        }
        self.run_rows(pass, rows, &mut out);
        self.parts[slot] = out;
    }

    fn run_rows(&mut self, pass: &Pass<'_, T>, rows: Range<usize>, out: &mut Part<T>) {
        let graph = pass.graph;
        let tiles = rows.clone().step_by(graph.tile);
        for base in tiles {
            let width = graph.input.embedded;
            let at = (base - rows.start) * width;
            let in_tile = graph.tile.min(rows.end - base);
            let input = if pass.backward {
                at..at + in_tile * width
            } else {
                0..0
            };
            let mut tile = Tile {
                arch: self.arch,
                rows: in_tile,
                ld: graph.tile,
                base,
                values: &mut self.values,
                grads: &mut self.grads,
                grad_at: &graph.plan.grad_at,
                accumulate: &graph.plan.accumulate,
                dense: &pass.weights.dense,
                derived: pass.derived,
                tables: &pass.weights.tables,
                wanted: None,
                dense_grad: &mut out.dense,
                first: base == rows.start,
                input_grad: &mut out.input[input],
                batch: pass.batch,
                means: &pass.means.columns,
                mean: pass.means.all,
                losses: &mut out.losses,
                scratch: &mut self.scratch,
                noise: pass.noise,
            };
            graph.forward(&mut tile);
            if pass.backward {
                graph.backward(&mut tile);
            }
        }
    }
}

impl<T: Real> Graph<T> {
    pub(crate) fn forward(&self, tile: &mut Tile<'_, T>) {
        for op in &self.ops {
            op.forward(tile);
        }
    }

    fn backward(&self, tile: &mut Tile<'_, T>) {
        for (op, zero) in self.ops.iter().zip(&self.plan.zero).rev() {
            for range in zero {
                let start = self.plan.grad_at[range.start] * tile.ld;
                tile.grads[start..start + range.len() * tile.ld].fill(T::ZERO);
            }
            op.backward(tile);
        }
    }
}

/// Softplus of the non-negative parameters.
pub(crate) fn derive<T: Real>(ranges: &[Range<usize>], dense: &[T], derived: &mut [T]) {
    simd!(pulp::Arch::new(), {
        for range in ranges {
            let raw = &dense[range.clone()];
            derived[range.clone()]
                .iter_mut()
                .zip(raw)
                .for_each(|(d, &x)| *d = x.softplus());
        }
    });
}
