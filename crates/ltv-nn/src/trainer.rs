//! One step of training: forward and backward over shards, then the update.

mod cut;
mod tables;
#[cfg(test)]
mod tests;
mod update;
mod worker;

use crate::{
    Adam, Batch, Graph, Real,
    layout::{Kind, Param},
};
use cut::Cut;
use rayon::{ThreadPool, ThreadPoolBuilder, prelude::*};
use std::ops::Range;
use tables::TableIndex;
pub(crate) use worker::{Worker, derive};

/// Learning rates of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// For layers.
    pub dense: f64,
    /// For embedding tables.
    pub tables: f64,
}

/// How a [`Trainer`] works.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainerOptions {
    /// Worker threads, at least 1. Does not change results.
    pub threads: usize,
    /// Rows of a shard at least; with [`TrainerOptions::most_shards`], it decides the order in
    /// which gradients are added, and so changes results in the last bits. Two tiles are best: their
    /// gradients are added while the first is in cache, and two threads may share them.
    pub shard_rows: usize,
    /// Shards of a batch at most: more threads than twice as many have nothing to do.
    pub most_shards: usize,
    /// Tables of more cells than this are updated sparsely: only rows that a batch touched, whose
    /// moments do not decay while they rest ("lazy" Adam).
    pub sparse_above: usize,
    /// The optimiser.
    pub adam: Adam,
}

impl Default for TrainerOptions {
    fn default() -> Self {
        Self {
            threads: 1,
            shard_rows: 256,
            most_shards: 64,
            sparse_above: 1 << 16,
            adam: Adam::default(),
        }
    }
}

/// The two flat vectors of everything learned, and of everything beside it of the same shape.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Weights<T> {
    /// Layers.
    pub dense: Vec<T>,
    /// Embedding tables.
    pub tables: Vec<T>,
}

impl<T: Real> Weights<T> {
    fn zeros<U: Real>(graph: &Graph<U>) -> Self {
        let layout = graph.layout();
        Self {
            dense: vec![T::ZERO; layout.dense],
            tables: vec![T::ZERO; layout.table],
        }
    }

    /// The values of a parameter.
    pub fn of(&self, param: &Param) -> &[T] {
        match param.kind {
            Kind::Table => &self.tables[param.range()],
            _ => &self.dense[param.range()],
        }
    }

    /// The values of a parameter, to write to.
    pub fn of_mut(&mut self, param: &Param) -> &mut [T] {
        match param.kind {
            Kind::Table => &mut self.tables[param.range()],
            _ => &mut self.dense[param.range()],
        }
    }
}

/// Everything that changes from step to step: enough to go on from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State<T> {
    /// The parameters.
    pub weights: Weights<T>,
    /// First moments.
    pub first: Weights<T>,
    /// Second moments.
    pub second: Weights<T>,
    /// Steps made.
    pub steps: u64,
}

/// Trains one network.
pub struct Trainer<T> {
    graph: Graph<T>,
    options: TrainerOptions,
    state: State<T>,
    derived: Vec<T>,
    /// Ranges of non-negative parameters in the dense vector.
    non_negative: Vec<Range<usize>>,
    /// Ranges of the dense vector that decay; none without decay.
    decaying: Vec<Range<usize>>,
    workers: Vec<Worker<T>>,
    index: Vec<TableIndex>,
    pool: ThreadPool,
}

/// A batch that went forward and backward, to be learned from.
#[must_use = "a gradient that is not learned from is lost with the next pass"]
pub struct Passed<'a, T> {
    batch: &'a Batch<T>,
    cut: Cut,
}

impl TrainerOptions {
    fn cut(&self, rows: usize, tile: usize) -> Cut {
        let shards = rows
            .div_ceil(self.shard_rows.max(1))
            .clamp(1, self.most_shards.max(1));
        Cut::new(rows, rows.div_ceil(shards).max(1), tile, self.threads)
    }
}

impl<T: Real> Trainer<T> {
    /// Makes a trainer whose parameters are all zero.
    ///
    /// # Errors
    /// When the operating system refuses to start threads.
    pub fn new(
        graph: Graph<T>,
        options: TrainerOptions,
    ) -> Result<Self, rayon::ThreadPoolBuildError> {
        let threads = options.threads.max(1);
        let pool = ThreadPoolBuilder::new().num_threads(threads).build()?;
        let zeros = || Weights::zeros(&graph);
        let state = State {
            weights: zeros(),
            first: zeros(),
            second: zeros(),
            steps: 0,
        };
        let ranges = |which: &dyn Fn(&&Param) -> bool| -> Vec<Range<usize>> {
            let params = graph.layout.params.iter().filter(which);
            params.map(Param::range).collect()
        };
        let decays = |p: &&Param| {
            options.adam.decay > 0.0 && p.kind == Kind::Dense && p.name.ends_with(".w")
        };
        Ok(Self {
            derived: vec![T::ZERO; graph.layout.dense],
            non_negative: ranges(&|p| p.kind == Kind::NonNegative),
            decaying: ranges(&decays),
            workers: (0..threads).map(|_| Worker::new(&graph, true)).collect(),
            index: graph.layout.tables.iter().map(TableIndex::new).collect(),
            graph,
            options,
            state,
            pool,
        })
    }

    /// The network.
    pub fn graph(&self) -> &Graph<T> {
        &self.graph
    }

    /// The parameters and the optimiser's memory.
    pub fn state(&self) -> &State<T> {
        &self.state
    }

    /// The same, to initialise or restore. Lengths must not change.
    pub fn state_mut(&mut self) -> &mut State<T> {
        &mut self.state
    }

    /// The total of a set of term values.
    pub fn total(&self, terms: &[f64]) -> f64 {
        self.graph
            .terms
            .iter()
            .zip(terms)
            .map(|(t, v)| t.coefficient * v)
            .sum()
    }

    /// One step on a batch; returns the value of each loss term before the step. `noise` seeds
    /// what is random in it and should differ from step to step. The gradient of a batch without
    /// rows is zero.
    ///
    /// # Panics
    /// When the batch does not fit the graph.
    pub fn step(&mut self, batch: &Batch<T>, rates: Rates, noise: u64) -> Vec<f64> {
        let pass = self.forward_and_backward(batch, noise);
        self.learn(pass, rates)
    }

    /// The first half of a [step](Trainer::step). The gradient stays in the trainer.
    ///
    /// # Panics
    /// When the batch does not fit the graph.
    pub fn forward_and_backward<'a>(&mut self, batch: &'a Batch<T>, noise: u64) -> Passed<'a, T> {
        let cut = self.pass(batch, Some(noise), true);
        Passed { batch, cut }
    }

    /// The second half: the optimiser. `passed` is that of the last pass.
    pub fn learn(&mut self, passed: Passed<'_, T>, rates: Rates) -> Vec<f64> {
        let Passed { batch, cut } = passed;
        self.state.steps += 1;
        self.update(batch, cut, rates);
        self.sum_losses(cut)
    }

    /// The value of each loss term, without learning and without noise.
    pub fn losses(&mut self, batch: &Batch<T>) -> Vec<f64> {
        let cut = self.pass(batch, None, false);
        self.sum_losses(cut)
    }

    /// The gradient of the total with respect to every parameter, and the terms.
    pub fn gradients(&mut self, batch: &Batch<T>, noise: Option<u64>) -> (Weights<T>, Vec<f64>) {
        let cut = self.pass(batch, noise, true);
        let mut gradient = Weights::zeros(&self.graph);
        self.gather_gradients(batch, cut, &mut gradient);
        (gradient, self.sum_losses(cut))
    }

    fn pass(&mut self, batch: &Batch<T>, noise: Option<u64>, backward: bool) -> Cut {
        assert!(
            batch.fits(self.graph.shape),
            "the batch does not fit the graph"
        );
        let cut = self.options.cut(batch.rows, self.graph.tile);
        let dense = &self.state.weights.dense;
        derive(&self.non_negative, dense, &mut self.derived);
        let pass = worker::Pass {
            graph: &self.graph,
            weights: &self.state.weights,
            derived: &self.derived,
            batch,
            means: &batch.means(self.graph.shape.classes),
            noise,
            backward,
        };
        let workers = self.workers.len();
        self.pool.install(|| {
            self.workers
                .par_iter_mut()
                .enumerate()
                .for_each(|(w, worker)| {
                    for (slot, part) in (w..cut.parts()).step_by(workers).enumerate() {
                        worker.run(&pass, slot, cut.range(part));
                    }
                });
        });
        cut
    }

    /// Adds the losses of shards, each the sum of its parts.
    fn sum_losses(&self, cut: Cut) -> Vec<f64> {
        let mut sum = vec![0.0; self.graph.terms.len()];
        let parts: Vec<_> = parts(&self.workers, cut).collect();
        for shard in parts.chunks(cut.parts_of_shard()) {
            for (i, sum) in sum.iter_mut().enumerate() {
                *sum += shard.iter().map(|part| part.losses[i]).sum::<f64>();
            }
        }
        sum
    }
}

/// The parts of a batch in order, wherever they were worked on.
fn parts<T>(workers: &[Worker<T>], cut: Cut) -> impl Iterator<Item = &worker::Part<T>> {
    (0..cut.parts()).map(|p| &workers[p % workers.len()].parts[p / workers.len()])
}
