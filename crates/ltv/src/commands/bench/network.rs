//! Training and prediction on random rows in memory.

use super::{super::Context, options::Options};
use crate::exit::Failure;
use ltv_core::encoding::EncodedRows;
use ltv_model::{
    decoder::Decoder,
    init,
    odmn::{self, HorizonColumns, Odmn},
    spec::Spec,
    targets,
    yardstick::Sizes,
};
use ltv_nn::{Batch, Rates, Runner, Trainer, TrainerOptions, graph::Builder, peak};
use std::time::Instant;

const RATES: Rates = Rates {
    dense: 1e-3,
    tables: 1e-3,
};

/// The network with its optimiser, and random rows in memory to train it on.
pub(super) struct Training {
    pub(super) spec: Spec,
    pub(super) columns: Vec<HorizonColumns>,
    /// Multiply-adds of a row, forward.
    pub(super) forward: u64,
    trainer: Trainer<f32>,
    batches: Vec<Batch<f32>>,
    steps: u64,
}

impl Training {
    pub(super) fn new(
        options: &Options,
        sizes: &Sizes,
        context: &Context,
    ) -> Result<Self, Failure> {
        let spec = sizes.spec();
        let Odmn { graph, columns, .. } =
            odmn::build::<f32>(Builder::training(), &spec, options.tile as usize);
        let (shape, rows) = (graph.shape(), options.batch as usize);
        let batch = |i| sizes.data(shape, &columns, rows, context.seed.wrapping_add(i));
        let batches: Vec<Batch<f32>> = (0..options.batches()).map(batch).collect();
        let weights = init::weights(&spec, graph.layout(), context.seed);
        let forward = graph.multiply_adds();
        let trainer_options = TrainerOptions {
            threads: context.threads,
            shard_rows: options.shard_rows as usize,
            ..TrainerOptions::default()
        };
        let mut trainer = Trainer::new(graph, trainer_options).map_err(Failure::internal)?;
        trainer.state_mut().weights = weights;
        Ok(Self {
            spec,
            columns,
            forward,
            trainer,
            batches,
            steps: 0,
        })
    }

    /// One step on the `i`-th batch in memory.
    pub(super) fn step_in_memory(&mut self, i: usize) {
        let batch = &self.batches[i % self.batches.len()];
        self.steps += 1;
        self.trainer.step(batch, RATES, self.steps);
    }

    /// One step on encoded rows, as training makes it.
    pub(super) fn step(&mut self, rows: &EncodedRows) {
        let mut batch = targets::inputs(&self.spec, self.trainer.graph().shape(), rows);
        targets::targets(&self.spec, &self.columns, rows, &mut batch);
        self.steps += 1;
        self.trainer.step(&batch, RATES, self.steps);
    }
}

/// Rows per second of each window, ascending, and the multiply-adds of a row.
pub(super) fn train(options: &Options, context: &Context) -> Result<(Vec<f64>, u64), Failure> {
    let mut training = Training::new(options, &options.sizes(), context)?;
    let rates = options.windows(|i| training.step_in_memory(i));
    Ok((rates, training.forward))
}

/// As [`train`], of prediction.
pub(super) fn infer(options: &Options, context: &Context) -> (Vec<f64>, u64) {
    let sizes = options.sizes();
    let spec = sizes.spec();
    let net = odmn::build::<f32>(Builder::inference(), &spec, options.tile as usize);
    let batch = |i| {
        let seed = context.seed.wrapping_add(i);
        sizes.data(net.graph.shape(), &[], options.batch as usize, seed)
    };
    let batches: Vec<Batch<f32>> = (0..options.batches()).map(batch).collect();
    let weights = init::weights(&spec, net.graph.layout(), context.seed);
    let forward = net.graph.multiply_adds();
    let decoder = Decoder::new(net.heads, &spec, options.decoding);
    let runner = Runner::new(net.graph, weights);
    let width = match options.everything {
        true => decoder.width(),
        false => spec.horizons.len(),
    };
    let mut out = vec![0.0; options.batch as usize * width];
    let step = |i: usize| {
        let batch = &batches[i % batches.len()];
        runner.run(batch, &mut out, width, |outputs, rows| {
            match options.everything {
                true => decoder.everything(outputs, rows),
                false => decoder.values(outputs, rows),
            }
        });
    };
    (options.windows(step), forward)
}

/// The machine's own matrix-product speed with as many threads, in GFLOP/s: the best window.
pub(super) fn roof(options: &Options, threads: usize) -> f64 {
    peak::products(threads, 4);
    let window = |_| {
        let (began, mut done) = (Instant::now(), 0);
        while began.elapsed().as_secs_f64() < options.seconds {
            done += peak::products(threads, 16);
        }
        2.0 * done as f64 / began.elapsed().as_secs_f64() / 1e9
    };
    (0..3).map(window).fold(0.0, f64::max)
}
