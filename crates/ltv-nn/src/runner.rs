//! Forward only, for prediction.

use crate::{
    Batch, Graph, Node, Real,
    formula::{Parameters, Step},
    layout::{Kind, Param},
    ops::{Folded, LANES},
    tile::Tile,
    trainer::{Weights, Worker, derive},
};
use rayon::prelude::*;
use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
};

/// Tiles of a task at most: a table of a folded layer is read once for all of them.
const TILES: usize = 8;
/// Bytes of folded tables at most; layers past them are products. A network of many experts has a first layer
/// for each, and this much is kept for all of them.
const TABLES: usize = 32 << 20;
/// Bytes of a task's sums at most, but for those of one tile.
const SUMS: usize = 4 << 20;

/// A network with its weights, ready to predict; shared between threads.
pub struct Runner<T> {
    graph: Graph<T>,
    weights: Weights<T>,
    derived: Vec<T>,
    /// For every operation, itself applied to the embedding tables where that can be.
    folded: Vec<Option<Folded<T>>>,
    /// Fields that are looked up as they are all the same.
    wanted: Vec<usize>,
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
        let mut bytes = 0;
        let ops = graph.ops.iter();
        let folded = ops.map(|op| {
            if bytes > TABLES {
                return None;
            }
            let folded = op.fold(&graph.layout, &graph.input, &weights)?;
            bytes += folded.bytes();
            (bytes <= TABLES).then_some(folded)
        });
        let folded: Vec<_> = folded.collect();
        let mut readers = graph.ops.iter().zip(&folded);
        let as_they_are = readers.any(|(op, folded)| op.reads_look_ups() && folded.is_none());
        let is_folded = |field| folded.iter().flatten().all(|f| f.has(field));
        let fields = 0..graph.shape.fields;
        Self {
            wanted: fields.filter(|&f| as_they_are || !is_folded(f)).collect(),
            folded,
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
    /// Runs on the current rayon thread pool, a few tiles a task; rows do not influence each other.
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
        let chunk = self.chunk(batch.rows);
        let task = |(i, out): (usize, &mut [O])| {
            let mut worker = self.worker();
            let rows = i * chunk..batch.rows.min((i + 1) * chunk);
            self.sum_folded(&mut worker, batch, rows.clone());
            let tile = self.graph.tile;
            for (base, out) in rows
                .clone()
                .step_by(tile)
                .zip(out.chunks_mut(tile * per_row))
            {
                let outputs = self.tile(&mut worker, batch, rows.clone(), base);
                decode(&outputs, out);
            }
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(worker);
        };
        if batch.rows <= chunk {
            out.chunks_mut(chunk * per_row).enumerate().for_each(task);
        } else {
            out.par_chunks_mut(chunk * per_row)
                .enumerate()
                .for_each(task);
        }
    }

    /// Rows of a task: several tiles where there are enough for all threads.
    fn chunk(&self, rows: usize) -> usize {
        let tile = self.graph.tile;
        let each = rows.div_ceil(rayon::current_num_threads());
        let most = SUMS / (tile * self.widths() * size_of::<T>()).max(1);
        tile * each.div_ceil(tile).clamp(1, most.clamp(1, TILES))
    }

    /// Numbers of a row in the sums of all folded layers.
    fn widths(&self) -> usize {
        self.folded.iter().flatten().map(Folded::width).sum()
    }

    /// The sums of all folded layers for some rows, one layer after the other.
    fn sum_folded(&self, worker: &mut Worker<T>, batch: &Batch<T>, rows: Range<usize>) {
        worker.sums.resize(rows.len() * self.widths(), T::ZERO);
        let fields = self.graph.shape.fields;
        let ids = &batch.ids[rows.start * fields..rows.end * fields];
        let mut rest = worker.sums.as_mut_slice();
        for folded in self.folded.iter().flatten() {
            let (sums, others) = rest.split_at_mut(rows.len() * folded.width());
            folded.sum(worker.arch, ids, fields, sums);
            rest = others;
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

    /// Runs the tile that starts with row `base` of the task's rows.
    fn tile<'a>(
        &self,
        worker: &'a mut Worker<T>,
        batch: &Batch<T>,
        task: Range<usize>,
        base: usize,
    ) -> Outputs<'a, T> {
        let rows = self.graph.tile.min(task.end - base);
        // Features of few rows lie close together, those of one row side by side.
        let ld = match batch.rows {
            1 => 1,
            _ => rows.next_multiple_of(LANES),
        };
        let mut tile = Tile {
            arch: worker.arch,
            rows,
            ld,
            base,
            values: &mut worker.values,
            grads: &mut [],
            grad_at: &[],
            accumulate: &[],
            dense: &self.weights.dense,
            derived: &self.derived,
            tables: &self.weights.tables,
            wanted: Some(&self.wanted),
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
        let mut sums = worker.sums.as_slice();
        for (op, folded) in self.graph.ops.iter().zip(&self.folded) {
            let Some(folded) = folded else {
                op.forward(&mut tile);
                continue;
            };
            let (mine, others) = sums.split_at(task.len() * folded.width());
            let mine = &mine[(base - task.start) * folded.width()..][..rows * folded.width()];
            op.forward_folded(folded, mine, &mut tile);
            sums = others;
        }
        Outputs {
            values: &worker.values,
            ld,
            base,
            rows,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::{formula::Formula, graph::Builder, ops::FieldSpec};

    /// Cells of the fields: two share a table, and one is too large to be folded.
    const CELLS: [usize; 4] = [9, 2000, 30, 9];

    /// A small network of two layers, with its output.
    fn network() -> (Runner<f64>, Node) {
        let mut b = Builder::<f64>::inference();
        let tables = [(9, 3), (2000, 2), (30, 5)];
        let tables = tables.map(|(cells, dim)| b.table(&format!("{cells}"), cells, dim));
        let fields = [0, 1, 2, 0].map(|i| FieldSpec { table: tables[i] });
        let x = b.input(&fields, 1);
        let (first, second) = (b.dense(&[("l1", 70)], 14), b.dense(&[("l2", 5)], 70));
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

    /// A batch of so many rows in which every cell may turn up.
    fn batch(shape: crate::BatchShape, rows: usize) -> Batch<f64> {
        let mut batch = Batch::new(shape, rows);
        for r in 0..rows {
            let ids = CELLS.map(|cells| ((r * 7919 + cells) % cells) as u32);
            batch.ids[r * CELLS.len()..][..CELLS.len()].copy_from_slice(&ids);
            batch.numbers[r] = r as f64 / rows as f64 - 0.5;
        }
        batch
    }

    fn predict(runner: &Runner<f64>, p: Node, batch: &Batch<f64>) -> Vec<f64> {
        let mut out = vec![0.0; batch.rows * 5];
        runner.run(batch, &mut out, 5, |outputs, rows| {
            for (r, row) in rows.chunks_exact_mut(5).enumerate() {
                (0..5).for_each(|j| row[j] = outputs.feature(p, j)[r]);
            }
        });
        out
    }

    /// What steps say of one row, computed as they say it.
    fn follow(runner: &Runner<f64>, ids: &[u32], number: f64) -> Vec<f64> {
        let mut values = vec![0.0; runner.graph().features];
        for step in runner.steps() {
            let of = |node: Node| values[node.features()].to_vec();
            let out: Vec<f64> = match step.formula {
                Formula::Input { tables, fields, .. } => {
                    let cells = fields.iter().zip(ids);
                    let cell = |(&(from, dim), &id): (&(usize, usize), &u32)| {
                        tables[from + id as usize * dim..][..dim].to_vec()
                    };
                    let embedded = cells.flat_map(cell);
                    embedded.chain([number]).collect()
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

    /// The steps know nothing of folding: three tasks of several tiles, and what is left.
    #[test]
    fn steps_are_what_is_computed() {
        let (runner, p) = network();
        assert_eq!(runner.steps().count(), 4);
        assert_eq!(runner.wanted, [1]);
        let batch = batch(runner.graph().shape(), 300);
        let out = predict(&runner, p, &batch);
        for (r, found) in out.chunks(5).enumerate() {
            let values = follow(&runner, &batch.ids[4 * r..][..4], batch.numbers[r]);
            for (a, b) in found.iter().zip(&values[p.features()]) {
                assert!((a - b).abs() < 1e-13, "row {r}: {a} against {b}");
            }
        }
    }

    /// One row at a time gives what a batch of several tiles gives.
    #[test]
    fn one_row() {
        let (runner, p) = network();
        let shape = runner.graph().shape();
        let whole = batch(shape, 50);
        let together = predict(&runner, p, &whole);
        for r in 0..50 {
            let mut one = Batch::new(shape, 1);
            one.ids.copy_from_slice(&whole.ids[4 * r..][..4]);
            one.numbers[0] = whole.numbers[r];
            let alone = predict(&runner, p, &one);
            for (a, b) in alone.iter().zip(&together[5 * r..]) {
                assert!((a - b).abs() < 1e-13, "row {r}: {a} against {b}");
            }
        }
    }

    /// How many rows follow decides no bit, also where a tile is left with one row.
    #[test]
    fn rows_do_not_depend_on_the_batch() {
        let (runner, p) = network();
        let shape = runner.graph().shape();
        let whole = batch(shape, 300);
        let together = predict(&runner, p, &whole);
        for rows in [2, 3, 16, 17, 33, 49, 129, 257] {
            let mut some = Batch::new(shape, rows);
            some.ids.copy_from_slice(&whole.ids[..4 * rows]);
            some.numbers.copy_from_slice(&whole.numbers[..rows]);
            assert_eq!(predict(&runner, p, &some), together[..5 * rows], "{rows}");
        }
    }

    /// How many rows are worked on together decides no bit.
    #[test]
    fn threads() {
        let (runner, p) = network();
        let batch = batch(runner.graph().shape(), 300);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build()
                .unwrap()
                .install(|| predict(&runner, p, &batch))
        };
        let one = with(1);
        assert!(with(2) == one && with(7) == one);
    }
}
