//! What each backbone, cross and day encoder costs: weights, multiply-adds of a row, rows per
//! second of training on one thread (Linux counts its CPU time, so that other programs disturb
//! little). `cargo run --release -p ltv-model --example choices`; the numbers of decision record
//! 0012 are from here.
#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use ltv_core::{
    config::{Backbone, Cross, DayEncoder, Label, ModelConfig},
    encoding::{Cells, EncodedRows, Encoding, FeatureEncoding, Scale},
    labels::LabelHistogram,
};
use ltv_model::{ModelError, buckets::Buckets, init, odmn, spec::Spec, targets};
use ltv_nn::{Rates, Trainer, TrainerOptions};
use std::error::Error;

const ROWS: usize = 512;
const STEPS: u64 = 60;

/// Four sequences of seven days and twelve other features; half of all have numbers.
fn encoding() -> Encoding {
    let feature = |i: usize| FeatureEncoding {
        name: format!("f{i}"),
        columns: (0..if i < 4 { 7 } else { 1 })
            .map(|d| format!("f{i}_d{d}"))
            .collect(),
        cells: Cells::Bins {
            edges: (0..31).map(f64::from).collect(),
        },
        scale: i.is_multiple_of(2).then_some(Scale { mean: 0.0, sd: 1.0 }),
    };
    Encoding {
        cohort: None,
        features: (0..16).map(feature).collect(),
        plain: vec![],
    }
}

/// Two sub-distributions of twenty buckets.
fn horizon(t: u32, model: &ModelConfig) -> Result<Buckets, ModelError> {
    let mut labels = LabelHistogram::default();
    (1..1000).for_each(|i| labels.add(f64::from(i * t)));
    Buckets::fit(30 * t, Label::Value, &labels, model)
}

/// Seconds of CPU time that this process has used.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn measure(name: &str, model: ModelConfig) -> Result<(), Box<dyn Error>> {
    let horizons = (1..5).map(|t| horizon(t, &model));
    let horizons = horizons.collect::<Result<_, _>>()?;
    let spec = Spec::new(&encoding(), model, horizons)?;
    let net = odmn::training::<f32>(&spec);
    let rows = EncodedRows {
        rows: ROWS,
        cells: (0..ROWS * spec.fields.len())
            .map(|i| (i * 7919 % 34) as u32)
            .collect(),
        numbers: vec![0.5; ROWS * spec.numbers],
        labels: (0..ROWS * 4).map(|i| (i * 31 % 997 + 1) as f64).collect(),
        ..EncodedRows::default()
    };
    let mut batch = targets::inputs(&spec, net.graph.shape(), &rows);
    targets::targets(&spec, &net.columns, &rows, &mut batch);
    let work = net.graph.multiply_adds();
    let mut trainer = Trainer::new(net.graph, TrainerOptions::default())?;
    let layout = trainer.graph().layout().clone();
    trainer.state_mut().weights = init::weights(&spec, &layout, 1);
    let rates = Rates {
        dense: 0.001,
        tables: 0.001,
    };
    let mut best = f64::INFINITY;
    for round in 0..4 {
        let start = cpu_seconds();
        for step in 0..STEPS {
            trainer.step(&batch, rates, round * STEPS + step);
        }
        best = best.min(cpu_seconds() - start);
    }
    let speed = (ROWS as u64 * STEPS) as f64 / best;
    let weights: usize = layout.params.iter().map(ltv_nn::Param::size).sum();
    println!("{name:<34} {weights:>9} {work:>9} {:>7.1} k", speed / 1e3);
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    // The sizes of the record's table, which are older than the defaults.
    let with = |change: &dyn Fn(&mut ModelConfig)| {
        let mut model = ModelConfig {
            embedding: 8,
            buckets: 20,
            cross: Cross::None,
            ..ModelConfig::default()
        };
        change(&mut model);
        model
    };
    println!(
        "{:<34} {:>9} {:>9} {:>9}",
        "", "weights", "mult-adds", "rows/s"
    );
    measure("defaults", with(&|_| ()))?;
    measure("backbone mmoe", with(&|m| m.backbone = Backbone::Mmoe))?;
    for levels in [1, 2] {
        let model = with(&|m| {
            m.backbone = Backbone::Ple;
            m.levels = levels;
        });
        measure(&format!("backbone ple, {levels} levels"), model)?;
    }
    measure("cross deepfm", with(&|m| m.cross = Cross::DeepFm))?;
    for rank in [32, 0] {
        let model = with(&|m| {
            m.cross = Cross::Dcn;
            m.cross_rank = rank;
        });
        measure(&format!("cross dcn, rank {rank}"), model)?;
    }
    for sequence in [
        DayEncoder::Cnn,
        DayEncoder::Transformer,
        DayEncoder::Wavelet,
    ] {
        let model = with(&|m| m.sequence = sequence);
        measure(&format!("sequence {sequence:?}"), model)?;
    }
    Ok(())
}
