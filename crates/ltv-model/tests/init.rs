//! What the network predicts before it has learned anything.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use ltv_core::{
    config::{Label, ModelConfig, Mono},
    labels::LabelHistogram,
};
use ltv_model::{buckets::Buckets, heads::BucketHead, init, odmn, spec::Spec, yardstick::Sizes};
use ltv_nn::{Batch, Rates, Runner, Trainer, TrainerOptions, layout::Kind, runner::Outputs};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const FIELDS: [usize; 3] = [12, 7, 40];

/// Labels with a common zero, a price point and a long tail, growing with the horizon.
fn spec(mono: Mono) -> Spec {
    let model = ModelConfig {
        mono,
        ..ModelConfig::default()
    };
    let horizon = |t: u32| {
        let mut labels = LabelHistogram::default();
        for i in 0..2000u32 {
            labels.add(match i % 5 {
                0 | 1 => 0.0,
                2 => 9.99 * f64::from(t),
                _ => f64::from(t) * (f64::from(i) / 300.0).exp(),
            });
        }
        Buckets::fit(30 * t, Label::Value, &labels, &model).unwrap()
    };
    Spec {
        fields: FIELDS.to_vec(),
        numbers: 0,
        trends: 0,
        sequences: vec![],
        horizons: (1..=4).map(horizon).collect(),
        model,
    }
}

fn check_row(outputs: &Outputs<'_, f64>, head: &BucketHead, buckets: &Buckets, r: usize) {
    let rows: u64 = buckets.segments.iter().map(|s| s.rows()).sum();
    let share = |n: u64| n as f64 / rows as f64;
    for (s, segment) in buckets.segments.iter().enumerate() {
        let p = outputs.feature(head.segments, s)[r];
        assert!((p - share(segment.rows())).abs() < 0.02, "segment {s}: {p}");
    }
    let mut mean = 0.0;
    for (u, (bucket, (left, width, bias))) in buckets.flat().zip(&head.buckets).enumerate() {
        let p = outputs.feature(head.distribution, u)[r];
        let prior = share(bucket.rows);
        assert!((p / prior - 1.0).abs() < 0.1, "bucket {u}: {p} of {prior}");
        let s = bias.map_or(0.0, |node| outputs.feature(node, 0)[r]);
        assert!((s - bucket.bias).abs() < 0.02, "bias {u}: {s}");
        mean += p * (left + s * width);
    }
    let relative = mean / buckets.mean - 1.0;
    assert!(relative.abs() < 0.05, "{mean} against {}", buckets.mean);
}

#[test]
fn untrained_it_predicts_the_priors() {
    for mono in [Mono::Off, Mono::Paper, Mono::Strict] {
        let spec = spec(mono);
        let net = odmn::inference::<f64>(&spec);
        let weights = init::weights(&spec, net.graph.layout(), 3);
        let mut batch = Batch::new(net.graph.shape(), 150);
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for (i, id) in batch.ids.iter_mut().enumerate() {
            *id = rng.random_range(0..FIELDS[i % FIELDS.len()] as u32);
        }
        let heads = net.heads;
        let mut out = vec![(); batch.rows];
        Runner::new(net.graph, weights).run(&batch, &mut out, 1, |outputs, rows| {
            for (head, buckets) in heads.iter().zip(&spec.horizons) {
                let head = head.buckets().unwrap();
                (0..rows.len()).for_each(|r| check_row(outputs, head, buckets, r));
            }
        });
    }
}

/// Cells that training never meets stay neutral: they are zero from the start, and no step moves
/// them. All others start away from zero.
#[test]
fn cells_of_missing_and_unseen_values_are_neutral() {
    let sizes = Sizes {
        fields: vec![5, 9],
        bottom: vec![16],
        horizons: 2,
        ..Sizes::default()
    };
    let spec = sizes.spec();
    for seed in [1, 2] {
        let net = odmn::training::<f32>(&spec);
        let mut trainer = Trainer::new(net.graph, TrainerOptions::default()).unwrap();
        let layout = trainer.graph().layout().clone();
        trainer.state_mut().weights = init::weights(&spec, &layout, seed);
        let mut batch = sizes.data(trainer.graph().shape(), &net.columns, 40, seed);
        batch.ids.iter_mut().for_each(|id| *id = 2 + *id % 3);
        for step in 0..3 {
            let rates = Rates {
                dense: 0.01,
                tables: 0.01,
            };
            for table in layout.params.iter().filter(|p| p.kind == Kind::Table) {
                let values = trainer.state().weights.of(table);
                let (neutral, rest) = values.split_at(2 * table.cols);
                assert!(neutral.iter().all(|&w| w == 0.0), "{}", table.name);
                assert!(rest.iter().all(|&w| w != 0.0), "{}", table.name);
            }
            trainer.step(&batch, rates, step);
        }
    }
}
