//! Forward only, for prediction.

use crate::{
    Batch, Graph, Node, Real,
    formula::{Parameters, Step},
    layout::{Kind, Param},
    tile::Tile,
    trainer::{Weights, Worker, derive},
};
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

/// A network with its weights, ready to predict; shared between threads.
pub struct Runner<T> {
    graph: Graph<T>,
    weights: Weights<T>,
    derived: Vec<T>,
    /// Arenas that wait for the next tile.
    idle: Mutex<Vec<Worker<T>>>,
}

/// The nodes of one tile, after the forward pass.
pub struct Outputs<'a, T> {
    values: &'a [T],
    ld: usize,
    /// First row of the tile in the batch.
    pub base: usize,
    /// Rows in the tile.
    pub rows: usize,
}

impl<T> Outputs<'_, T> {
    /// Feature `j` of a node, one value for each row of the tile.
    pub fn feature(&self, node: Node, j: usize) -> &[T] {
        &self.values[(node.at + j) * self.ld..][..self.rows]
    }
}

impl<T: Real> Runner<T> {
    /// Takes a graph made by [`crate::graph::Builder::inference`] and its weights.
    ///
    /// # Panics
    /// When the weights do not have the graph's lengths.
    pub fn new(graph: Graph<T>, weights: Weights<T>) -> Self {
        assert!(
            weights.dense.len() == graph.layout.dense && weights.tables.len() == graph.layout.table,
            "weights of another graph"
        );
        let mut derived = vec![T::ZERO; graph.layout.dense];
        let params = graph.layout.params.iter();
        let ranges: Vec<_> = params
            .filter(|p| p.kind == Kind::NonNegative)
            .map(Param::range)
            .collect();
        derive(&ranges, &weights.dense, &mut derived);
        Self {
            graph,
            weights,
            derived,
            idle: Mutex::default(),
        }
    }

    /// The network.
    pub fn graph(&self) -> &Graph<T> {
        &self.graph
    }

    /// What it computes, in order.
    pub fn steps(&self) -> impl Iterator<Item = Step<'_, T>> {
        let parameters = Parameters {
            dense: &self.weights.dense,
            derived: &self.derived,
            tables: &self.weights.tables,
        };
        let ops = self.graph.ops.iter();
        ops.filter_map(move |op| op.step(parameters))
    }

    /// Predicts a batch: `decode` turns each tile's nodes into `per_row` results for each row.
    /// Runs on the current rayon thread pool, one tile a task; tiles do not influence each other.
    ///
    /// # Panics
    /// When the batch does not fit the graph or `out` is not `rows * per_row` long.
    pub fn run<O: Send>(
        &self,
        batch: &Batch<T>,
        out: &mut [O],
        per_row: usize,
        decode: impl Fn(&Outputs<'_, T>, &mut [O]) + Sync,
    ) {
        assert!(out.len() == batch.rows * per_row, "one result for each row");
        let tile = self.graph.tile;
        let task = |(i, out): (usize, &mut [O])| {
            let mut worker = self.worker();
            let outputs = self.tile(&mut worker, batch, i * tile);
            decode(&outputs, out);
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(worker);
        };
        if batch.rows <= tile {
            out.chunks_mut(tile * per_row).enumerate().for_each(task);
        } else {
            out.par_chunks_mut(tile * per_row)
                .enumerate()
                .for_each(task);
        }
    }

    fn worker(&self) -> Worker<T> {
        let waiting = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        waiting.unwrap_or_else(|| Worker::new(&self.graph, false))
    }

    fn tile<'a>(&self, worker: &'a mut Worker<T>, batch: &Batch<T>, base: usize) -> Outputs<'a, T> {
        let rows = self.graph.tile.min(batch.rows - base);
        let mut tile = Tile {
            arch: worker.arch,
            rows,
            ld: self.graph.tile,
            base,
            values: &mut worker.values,
            grads: &mut [],
            grad_at: &[],
            accumulate: &[],
            dense: &self.weights.dense,
            derived: &self.derived,
            tables: &self.weights.tables,
            dense_grad: &mut [],
            first: true,
            input_grad: &mut [],
            batch,
            means: &[],
            mean: T::ZERO,
            losses: &mut [],
            scratch: &mut worker.scratch,
            noise: None,
        };
        self.graph.forward(&mut tile);
        Outputs {
            values: &worker.values,
            ld: self.graph.tile,
            base,
            rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{formula::Formula, graph::Builder, ops::FieldSpec};

    /// A small network of two layers, with its output.
    fn network() -> (Runner<f64>, Node) {
        let mut b = Builder::<f64>::inference();
        let table = b.table("a", 9, 3);
        let x = b.input(&[FieldSpec { table }], 1);
        let (first, second) = (b.dense(&[("l1", 40)], 4), b.dense(&[("l2", 5)], 40));
        let h = b.linear(x, first, true);
        let z = b.linear(h, second, false);
        let p = b.softmax(z).probabilities;
        let graph = b.build(16);
        let mut weights = Weights {
            dense: vec![0.0; graph.layout.dense],
            tables: vec![0.0; graph.layout.table],
        };
        crate::check::fill(&mut weights);
        (Runner::new(graph, weights), p)
    }

    /// What steps say of one row, computed as they say it.
    fn follow(runner: &Runner<f64>, id: usize, number: f64) -> Vec<f64> {
        let mut values = vec![0.0; runner.graph().features];
        for step in runner.steps() {
            let of = |node: Node| values[node.features()].to_vec();
            let out: Vec<f64> = match step.formula {
                Formula::Input { tables, fields, .. } => {
                    let (from, dim) = fields[0];
                    let embedding = &tables[from + id * dim..][..dim];
                    [embedding, &[number]].concat()
                }
                Formula::Linear {
                    x,
                    weights,
                    biases,
                    relu,
                } => {
                    let x = of(x);
                    let dot = |w: &[f64]| w.iter().zip(&x).map(|(w, x)| w * x).sum::<f64>();
                    let rows = weights.chunks(x.len()).zip(biases);
                    let least = if relu { 0.0 } else { f64::NEG_INFINITY };
                    rows.map(|(w, b)| (dot(w) + b).max(least)).collect()
                }
                Formula::Softmax { logits } => {
                    let powers: Vec<f64> = of(logits).iter().map(|z| z.exp()).collect();
                    let sum: f64 = powers.iter().sum();
                    powers.iter().map(|e| e / sum).collect()
                }
                other => panic!("{other:?}"),
            };
            values[step.out.features()].copy_from_slice(&out);
        }
        values
    }

    #[test]
    fn steps_are_what_is_computed() {
        let (runner, p) = network();
        assert_eq!(runner.steps().count(), 4);
        let mut batch = Batch::new(runner.graph().shape(), 20);
        for r in 0..20 {
            (batch.ids[r], batch.numbers[r]) = ((r % 9) as u32, r as f64 / 7.0 - 1.0);
        }
        let mut out = vec![0.0; 100];
        runner.run(&batch, &mut out, 5, |outputs, rows| {
            for (r, row) in rows.chunks_exact_mut(5).enumerate() {
                (0..5).for_each(|j| row[j] = outputs.feature(p, j)[r]);
            }
        });
        for (r, found) in out.chunks(5).enumerate() {
            let values = follow(&runner, batch.ids[r] as usize, batch.numbers[r]);
            for (a, b) in found.iter().zip(&values[p.features()]) {
                assert!((a - b).abs() < 1e-14, "row {r}: {a} against {b}");
            }
        }
    }

    /// One row at a time gives what a batch of several tiles gives.
    #[test]
    fn one_row() {
        let (runner, p) = network();
        let shape = runner.graph().shape();
        let run = |batch: &Batch<f64>| {
            let mut out = vec![0.0; batch.rows * 5];
            runner.run(batch, &mut out, 5, |outputs, rows| {
                for (r, row) in rows.chunks_exact_mut(5).enumerate() {
                    (0..5).for_each(|j| row[j] = outputs.feature(p, j)[r]);
                }
            });
            out
        };
        let mut whole = Batch::new(shape, 50);
        for r in 0..50 {
            whole.ids[r] = (r * 4 % 9) as u32;
            whole.numbers[r] = r as f64 / 25.0;
        }
        let together = run(&whole);
        for r in 0..50 {
            let mut one = Batch::new(shape, 1);
            (one.ids[0], one.numbers[0]) = (whole.ids[r], whole.numbers[r]);
            let alone = run(&one);
            for (a, b) in alone.iter().zip(&together[5 * r..]) {
                assert!((a - b).abs() < 1e-14, "row {r}: {a} against {b}");
            }
        }
    }
}
