//! `ltv bench`: how fast this machine trains, predicts and judges, on random data.

mod metrics;

use super::Context;
use crate::{
    cli::Common,
    exit::Failure,
    options::Overlay,
    report::{Facts, Report, count},
};
use clap::{Args, ValueEnum};
use ltv_model::{Decoding, decoder::Decoder, init, odmn, yardstick::Sizes};
use ltv_nn::{Batch, Rates, Runner, Trainer, TrainerOptions, graph::Builder, peak};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// Measure the speed of training, scoring or metrics on this machine
///
/// The network is the same for every program it is compared with; data are random. Matrix products are
/// counted as 2 operations for each multiply-add, and training as 3 times the forward pass.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ltv bench train
  ltv bench infer --batch 4096 --threads 1
  ltv bench infer --batch 4096 --decoding expectation --everything
  ltv bench metrics --rows 100000000")]
pub(crate) struct Flags {
    /// What to measure
    #[arg(value_enum)]
    what: What,
    #[command(flatten)]
    bench: BenchFlags,
    /// What inference decodes: expectation, argmax, median or quantile:P [default: argmax]
    #[arg(long, value_name = "NAME")]
    decoding: Option<Decoding>,
    /// Whether inference also decodes quantiles and P(value > 0) and projects, as ltv score does
    #[arg(long)]
    everything: bool,
    #[command(flatten)]
    metrics: metrics::MetricsFlags,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum What {
    /// Steps of training: forward, backward, Adam
    Train,
    /// Prediction
    Infer,
    /// Metrics of predictions
    Metrics,
}

/// Declares flags, options and their defaults side by side: one line for each.
macro_rules! bench_options {
    ($($(#[doc = $doc:literal])* $name:ident: $type:ty = $default:literal, $value:literal;)*) => {
        /// Flags of the measurement.
        #[derive(Debug, Args)]
        #[command(next_help_heading = "Measurement")]
        struct BenchFlags {
            $($(#[doc = $doc])* #[arg(long, value_name = $value)] $name: Option<$type>,)*
            /// Outputs of the shared bottom's layers [default: 256,128]
            #[arg(long, value_name = "N,N", value_delimiter = ',')]
            bottom: Vec<u32>,
        }

        /// The measurement, resolved.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        struct Options {
            $($name: $type,)*
            bottom: Vec<u32>,
            decoding: Decoding,
            everything: bool,
        }

        impl Default for Options {
            fn default() -> Self {
                Self {
                    $($name: $default,)*
                    bottom: vec![256, 128],
                    decoding: Decoding::Argmax,
                    everything: false,
                }
            }
        }

        impl BenchFlags {
            fn apply(&self, options: &mut Overlay) -> Result<(), Failure> {
                $(options.set(stringify!($name), self.$name)?;)*
                options.list("bottom", &self.bottom)
            }
        }
    };
}

bench_options! {
    /// Rows of a batch, 1 to 1048576 [default: 512]
    batch: u32 = 512, "N";
    /// Rows of random data, gone through batch by batch, 1 to 100000000 [default: 1000000]
    rows: u32 = 1_000_000, "N";
    /// Rows worked on at a time [default: 128]
    tile: u32 = 128, "N";
    /// Rows of a gradient buffer in training [default: 256]
    shard_rows: u32 = 256, "N";
    /// Seconds of a window of measurement, 0.01 to 3600 [default: 0.5]
    seconds: f64 = 0.5, "X";
    /// Windows, of which the median counts, 1 to 1000 [default: 7]
    windows: u32 = 7, "N";
    /// Fields of few cells [default: 36]
    fields: u32 = 36, "N";
    /// Cells of each of them [default: 64]
    cells: u32 = 64, "N";
    /// Fields of many cells [default: 4]
    large_fields: u32 = 4, "N";
    /// Cells of each of them [default: 10000]
    large_cells: u32 = 10_000, "N";
    /// Dimensions of an embedding [default: 8]
    embedding: u32 = 8, "N";
    /// Horizons [default: 4]
    horizons: u32 = 4, "N";
    /// Sub-distributions, 2 to 8 [default: 2]
    segments: u32 = 2, "N";
    /// Buckets of each [default: 10]
    buckets: u32 = 10, "N";
    /// Hidden outputs of a tower [default: 64]
    tower: u32 = 64, "N";
    /// Hidden outputs of a Mono Unit [default: 16]
    mono: u32 = 16, "N";
}

impl Options {
    fn check(&self) -> Result<(), Failure> {
        let ranges = [
            ("batch", self.batch, 1..=1 << 20),
            ("rows", self.rows, 1..=100_000_000),
            ("tile", self.tile, 1..=65_536),
            ("shard_rows", self.shard_rows, 1..=1 << 20),
            ("windows", self.windows, 1..=1000),
            ("fields", self.fields, 0..=10_000),
            ("cells", self.cells, 1..=1 << 24),
            ("large_fields", self.large_fields, 0..=1000),
            ("large_cells", self.large_cells, 1..=1 << 24),
            ("embedding", self.embedding, 1..=256),
            ("horizons", self.horizons, 1..=64),
            ("segments", self.segments, 2..=8),
            ("buckets", self.buckets, 2..=100),
            ("tower", self.tower, 1..=1024),
            ("mono", self.mono, 1..=256),
        ];
        let bottom = self.bottom.iter().map(|&n| ("bottom", n, 1..=4096));
        for (key, value, range) in ranges.into_iter().chain(bottom) {
            if !range.contains(&value) {
                let (low, high) = (range.start(), range.end());
                let message = format!("{key}: {value} is not between {low} and {high}");
                return Err(Failure::user(message));
            }
        }
        // Both are in range by now, so that their sum is a number.
        if self.fields + self.large_fields == 0 {
            let message = "fields + large_fields: 0; give one field or more";
            return Err(Failure::user(message));
        }
        if self.bottom.is_empty() {
            return Err(Failure::user("bottom: give one or more sizes of 1 to 4096"));
        }
        if self.decoding == Decoding::Matched {
            let message = "decoding: matched is for trained models, which know other users; the \
                           measured one is not: use expectation";
            return Err(Failure::user(message));
        }
        if !(0.01..=3600.0).contains(&self.seconds) {
            let message = format!("seconds: {} is not between 0.01 and 3600", self.seconds);
            return Err(Failure::user(message));
        }
        Ok(())
    }

    /// Whole batches of the data, at least one.
    fn batches(&self) -> u64 {
        u64::from(self.rows / self.batch).max(1)
    }

    fn sizes(&self) -> Sizes {
        let small = std::iter::repeat_n(self.cells as usize, self.fields as usize);
        let large = std::iter::repeat_n(self.large_cells as usize, self.large_fields as usize);
        Sizes {
            fields: small.chain(large).collect(),
            embedding: self.embedding as usize,
            bottom: self.bottom.iter().map(|&n| n as usize).collect(),
            horizons: self.horizons as usize,
            segments: self.segments as usize,
            buckets: self.buckets as usize,
            tower: self.tower as usize,
            mono: self.mono as usize,
        }
    }

    /// Rows per second of each window, ascending, of a `step` that works through one batch.
    fn windows(&self, mut step: impl FnMut(usize)) -> Vec<f64> {
        (0..20).for_each(&mut step);
        let window = |_| {
            let (began, mut steps) = (Instant::now(), 0);
            while began.elapsed().as_secs_f64() < self.seconds {
                step(steps);
                steps += 1;
            }
            (steps * self.batch as usize) as f64 / began.elapsed().as_secs_f64()
        };
        let mut rates: Vec<f64> = (0..self.windows).map(window).collect();
        rates.sort_by(f64::total_cmp);
        rates
    }
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Measured {
    what: What,
    threads: usize,
    rows_per_second: f64,
    slowest: f64,
    fastest: f64,
    multiply_adds_per_row: u64,
    gflop_per_second: f64,
    peak_gflop_per_second: f64,
    share_of_peak: f64,
    options: Options,
}

/// Measures and reports.
pub(crate) fn run(flags: Flags, context: &Context) -> Result<Report, Failure> {
    match flags.what {
        What::Train => network(&flags, context, true),
        What::Infer => network(&flags, context, false),
        What::Metrics => metrics::run(&flags, context),
    }
}

/// Measures training or prediction.
fn network(flags: &Flags, context: &Context, training: bool) -> Result<Report, Failure> {
    let mut options = Overlay::default().file(flags.common.config.as_deref())?;
    flags.bench.apply(&mut options)?;
    options.set("decoding", flags.decoding)?;
    options.set("everything", flags.everything.then_some(true))?;
    let options: Options = options.resolve()?;
    options.check()?;
    let total = f64::from(options.windows) * options.seconds;
    context.progress.say(&format!("measuring for {total:.1} s"));
    let (rates, forward) = match training {
        true => train(&options, context)?,
        false => infer(&options, context),
    };
    let passes = if training { 3.0 } else { 1.0 };
    let median = rates[rates.len() / 2];
    let speed = median * forward as f64 * 2.0 * passes / 1e9;
    let roof = roof(&options, context.threads);
    let measured = Measured {
        what: flags.what,
        threads: context.threads,
        rows_per_second: median,
        slowest: rates[0],
        fastest: rates[rates.len() - 1],
        multiply_adds_per_row: forward,
        gflop_per_second: speed,
        peak_gflop_per_second: roof,
        share_of_peak: speed / roof,
        options,
    };
    Report::new(text(&measured), &measured)
}

fn text(m: &Measured) -> String {
    let training = m.what == What::Train;
    let (name, passes) = match training {
        true => ("training", "counted as 3 forward passes"),
        false => ("inference", "matrix products only"),
    };
    let mut facts = Facts::default();
    let spread = format!("{} to {}", count(m.slowest as u64), count(m.fastest as u64));
    facts.add(
        "rows/s",
        format!("{} (windows {spread})", count(m.rows_per_second as u64)),
    );
    facts.add(
        "multiply-adds",
        format!("{} a row, forward", count(m.multiply_adds_per_row)),
    );
    facts.add("GFLOP/s", format!("{:.1} ({passes})", m.gflop_per_second));
    let share = 100.0 * m.share_of_peak;
    facts.add(
        "of the peak",
        format!("{share:.0} % of {:.1} GFLOP/s", m.peak_gflop_per_second),
    );
    let decoded = match (training, m.options.everything) {
        (true, _) => String::new(),
        (false, false) => format!(", {} decoded", m.options.decoding),
        (false, true) => format!(", {} and everything else decoded", m.options.decoding),
    };
    facts.text(&format!(
        "{name}, batch {}, threads {}{decoded}",
        m.options.batch, m.threads
    ))
}

fn train(options: &Options, context: &Context) -> Result<(Vec<f64>, u64), Failure> {
    let sizes = options.sizes();
    let spec = sizes.spec();
    let net = odmn::build::<f32>(Builder::training(), &spec, options.tile as usize);
    let batch = |i| {
        let seed = context.seed.wrapping_add(i);
        sizes.data(
            net.graph.shape(),
            &net.columns,
            options.batch as usize,
            seed,
        )
    };
    let batches: Vec<Batch<f32>> = (0..options.batches()).map(batch).collect();
    let weights = init::weights(&spec, net.graph.layout(), context.seed);
    let forward = net.graph.multiply_adds();
    let trainer_options = TrainerOptions {
        threads: context.threads,
        shard_rows: options.shard_rows as usize,
        ..TrainerOptions::default()
    };
    let mut trainer = Trainer::new(net.graph, trainer_options).map_err(Failure::internal)?;
    trainer.state_mut().weights = weights;
    let rates = Rates {
        dense: 1e-3,
        tables: 1e-3,
    };
    let step = |i: usize| {
        trainer.step(&batches[i % batches.len()], rates, i as u64);
    };
    Ok((options.windows(step), forward))
}

fn infer(options: &Options, context: &Context) -> (Vec<f64>, u64) {
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
fn roof(options: &Options, threads: usize) -> f64 {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_yardstick() {
        assert_eq!(Options::default().sizes(), Sizes::default());
    }
}
