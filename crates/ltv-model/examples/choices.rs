//! What each backbone, cross and day encoder costs: weights, multiply-adds of a row, rows per
//! second of training on one thread (Linux counts its CPU time, so that other programs disturb
//! little). `cargo run --release -p ltv-model --example choices`; the numbers of decision record
//! 0012 are from here.
#![allow(clippy::print_stdout, reason = "a program that prints a table")]

use ltv_core::{
    config::{Backbone, Cross, DayEncoder, ModelConfig},
    encoding::{Cells, Encoding, FeatureEncoding, Scale},
};
use ltv_model::{
    buckets::{Bucket, Buckets, Segment},
    init, odmn,
    spec::Spec,
};
use ltv_nn::{Batch, Rates, Trainer, TrainerOptions};
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
        features: (0..16).map(feature).collect(),
        plain: vec![],
    }
}

fn horizon(t: usize) -> Buckets {
    let bucket = |u: usize| Bucket {
        left: (u * (t + 1)) as f64,
        width: (t + 1) as f64,
        rows: 1,
        bias: 0.5,
    };
    let segment = |s: usize| Segment {
        buckets: (20 * s..20 * s + 20).map(bucket).collect(),
    };
    Buckets {
        segments: (0..2).map(segment).collect(),
        mean: 1.0,
        mass_above: 0.0,
    }
}

/// Seconds of CPU time that this process has used.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn measure(name: &str, model: ModelConfig) -> Result<(), Box<dyn Error>> {
    let spec = Spec::new(&encoding(), model, (0..4).map(horizon).collect())?;
    let net = odmn::training::<f32>(&spec);
    let mut batch = Batch::new(net.graph.shape(), ROWS);
    for (i, id) in batch.ids.iter_mut().enumerate() {
        *id = (i * 7919 % 34) as u32;
    }
    for columns in &net.columns {
        for r in 0..ROWS {
            let (segment, bucket) = (r % 2, (r * 31 % 20) as i32);
            batch.classes[columns.segment * ROWS + r] = segment as i32;
            batch.classes[columns.buckets[segment] * ROWS + r] = bucket;
        }
    }
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
    let with = |change: &dyn Fn(&mut ModelConfig)| {
        let mut model = ModelConfig::default();
        change(&mut model);
        model
    };
    println!(
        "{:<34} {:>9} {:>9} {:>9}",
        "", "weights", "mult-adds", "rows/s"
    );
    measure("defaults", ModelConfig::default())?;
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
