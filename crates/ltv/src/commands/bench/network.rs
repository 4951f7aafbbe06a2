//! Training and prediction on random rows in memory.

use super::{
    super::Context,
    options::{Options, latencies, median},
};
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
use serde::Serialize;
use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

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
    /// Time in steps on batches in memory, and in the optimiser's part of them.
    spent: (Duration, Duration),
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
            spent: Default::default(),
        })
    }

    /// One step on the `i`-th batch in memory.
    pub(super) fn step_in_memory(&mut self, i: usize) {
        let batch = &self.batches[i % self.batches.len()];
        self.steps += 1;
        let began = Instant::now();
        let passed = self.trainer.forward_and_backward(batch, self.steps);
        let updating = Instant::now();
        self.trainer.learn(passed, RATES);
        self.spent.0 += began.elapsed();
        self.spent.1 += updating.elapsed();
    }

    /// One step on encoded rows, as training makes it.
    pub(super) fn step(&mut self, rows: &EncodedRows) {
        let mut batch = targets::inputs(&self.spec, self.trainer.graph().shape(), rows);
        targets::targets(&self.spec, &self.columns, rows, &mut batch);
        self.steps += 1;
        self.trainer.step(&batch, RATES, self.steps);
    }
}

/// What was measured of the network.
pub(super) struct Speed {
    /// Rows per second of each window, ascending.
    pub(super) rates: Vec<f64>,
    /// Multiply-adds of a row, forward.
    pub(super) forward: u64,
    /// Share of the time that goes into the optimiser.
    pub(super) update: Option<f64>,
    /// How long one row takes.
    pub(super) one_row: Option<Latency>,
}

/// How long a prediction of one row takes that nobody waits with.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Latency {
    pub(super) p50_seconds: f64,
    pub(super) p99_seconds: f64,
    /// How often it was measured.
    calls: usize,
}

/// Different rows of a latency.
const ROWS: u64 = 1024;

impl Latency {
    /// Of `call`, again and again for so many seconds.
    fn measure(seconds: f64, mut call: impl FnMut(usize)) -> Self {
        (0..20).for_each(&mut call);
        let Ok(took) = latencies(seconds, |i| {
            call(i);
            Ok::<_, Infallible>(())
        });
        Self {
            p50_seconds: took[took.len() / 2],
            p99_seconds: took[took.len() * 99 / 100],
            calls: took.len(),
        }
    }
}

/// Measures training.
pub(super) fn train(options: &Options, context: &Context) -> Result<Speed, Failure> {
    let mut training = Training::new(options, &options.sizes(), context)?;
    let rates = options.windows(|i| training.step_in_memory(i));
    let (whole, update) = training.spent;
    Ok(Speed {
        rates,
        forward: training.forward,
        update: Some(update.as_secs_f64() / whole.as_secs_f64().max(1e-9)),
        one_row: None,
    })
}

/// Measures prediction, of batches and of one row.
pub(super) fn infer(options: &Options, context: &Context) -> Speed {
    let sizes = options.sizes();
    let spec = sizes.spec();
    let net = odmn::build::<f32>(Builder::inference(), &spec, options.tile as usize);
    let shape = net.graph.shape();
    let data = |i, rows| sizes.data(shape, &[], rows, context.seed.wrapping_add(i));
    let batches = (0..options.batches()).map(|i| data(i, options.batch as usize));
    let batches: Vec<Batch<f32>> = batches.collect();
    let rows: Vec<Batch<f32>> = (0..ROWS).map(|i| data(i, 1)).collect();
    let weights = init::weights(&spec, net.graph.layout(), context.seed);
    let forward = net.graph.multiply_adds();
    let decoder = Decoder::new(net.heads, &spec, options.decoding);
    let runner = Runner::new(net.graph, weights);
    let width = match options.everything {
        true => decoder.width(),
        false => spec.horizons.len(),
    };
    let mut out = vec![0.0; options.batch as usize * width];
    let mut predict = |batch: &Batch<f32>| {
        let out = &mut out[..batch.rows * width];
        runner.run(batch, out, width, |outputs, rows| {
            match options.everything {
                true => decoder.everything(outputs, rows),
                false => decoder.values(outputs, rows),
            }
        });
    };
    let rates = options.windows(|i| predict(&batches[i % batches.len()]));
    let one_row = Latency::measure(options.seconds, |i| predict(&rows[i % rows.len()]));
    Speed {
        rates,
        forward,
        update: None,
        one_row: Some(one_row),
    }
}

/// Seconds for all threads to wake up and meet: the median of many times.
pub(super) fn meeting(threads: usize) -> Result<f64, Failure> {
    let threads = peak::Threads::new(threads).map_err(Failure::internal)?;
    let meet = |_| {
        let began = Instant::now();
        threads.meet();
        began.elapsed().as_secs_f64()
    };
    Ok(median((0..2001).map(meet).collect()))
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
