//! Every head, and every switch of MDME, as whole networks.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod carry;

use carry::copy;
use ltv_core::{
    config::{Cross, HeadKind, Label, ModelConfig, Mono},
    encoding::EncodedRows,
    labels::LabelHistogram,
    predictor::Predictions,
};
use ltv_model::{
    Decoding,
    buckets::Buckets,
    decoder::Decoder,
    init,
    odmn::{self, Head},
    spec::Spec,
    targets,
};
use ltv_nn::{
    Layout, Rates, Real, Runner, Trainer, TrainerOptions, ops::log_normal_scale, runner::Outputs,
    trainer::Weights,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Users, each with a cell of its own, and what they are worth at both horizons.
const LABELS: [[f64; 2]; 12] = [
    [0.0, 0.0],
    [0.0, 0.0],
    [0.0, 3.0],
    [0.0, 0.0],
    [1.0, 1.5],
    [2.0, 6.0],
    [4.0, 4.0],
    [5.5, 30.0],
    [9.0, 9.0],
    [20.0, 48.0],
    [33.0, 60.0],
    [90.0, 200.0],
];

/// The heads: their names in the paper or the configuration, and their options.
fn heads() -> Vec<(&'static str, ModelConfig)> {
    let mdme = |bias, ordinal| ModelConfig {
        bias,
        ordinal,
        ..small()
    };
    let log_normals = |head, components| ModelConfig {
        head,
        components,
        ..small()
    };
    vec![
        ("MDME", mdme(true, true)),
        ("NM", mdme(false, false)),
        ("NMB", mdme(true, false)),
        ("NMO", mdme(false, true)),
        ("ziln", log_normals(HeadKind::Ziln, 4)),
        ("mixture", log_normals(HeadKind::Mixture, 2)),
        ("mixture of 3", log_normals(HeadKind::Mixture, 3)),
    ]
}

fn small() -> ModelConfig {
    ModelConfig {
        embedding: 8,
        bottom: vec![32],
        tower: 16,
        mono_hidden: 4,
        buckets: 4,
        cross: Cross::None,
        ..ModelConfig::default()
    }
}

fn spec(model: &ModelConfig) -> Spec {
    let horizon = |t: usize| {
        let mut labels = LabelHistogram::default();
        LABELS.iter().for_each(|row| labels.add(row[t]));
        Buckets::fit(30 * (t as u32 + 1), Label::Value, &labels, model).unwrap()
    };
    Spec {
        trends: 0,
        fields: vec![LABELS.len() + 2],
        numbers: 0,
        sequences: vec![],
        model: model.clone(),
        horizons: (0..2).map(horizon).collect(),
    }
}

fn rows(users: std::ops::Range<usize>) -> EncodedRows {
    EncodedRows {
        rows: users.len(),
        cells: users.clone().map(|r| r as u32 + 2).collect(),
        labels: LABELS[users].concat(),
        ..EncodedRows::default()
    }
}

/// Whoever judges a network finds every term that is part of a likelihood; a sub-distribution of one
/// bucket lists none.
#[test]
fn likelihoods_name_terms_that_exist() {
    for (name, model) in heads() {
        let net = odmn::training::<f32>(&spec(&model));
        for part in net.columns.iter().flat_map(|c| &c.likelihood) {
            let found = net.graph.terms().iter().any(|t| t.name == part.term);
            assert!(found, "{name}: {part:?}");
        }
        let listed = net.columns.iter().map(|c| c.likelihood.len());
        assert!(listed.into_iter().all(|n| n == 2), "{name}");
    }
}

/// First weights with noise of such a range on top of all of them.
fn noisy<T: Real>(spec: &Spec, layout: &Layout, seed: u64, range: f64) -> Weights<T> {
    let mut weights = init::weights::<T>(spec, layout, seed);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for w in weights.dense.iter_mut().chain(&mut weights.tables) {
        *w += T::of(range * (rng.random::<f64>() - 0.5));
    }
    weights
}

fn trainer<T: Real>(spec: &Spec) -> (Trainer<T>, Vec<odmn::HorizonColumns>) {
    let net = odmn::training::<T>(spec);
    let trainer = Trainer::new(net.graph, TrainerOptions::default()).unwrap();
    (trainer, net.columns)
}

fn predict(spec: &Spec, trainer: &Trainer<f32>, decoding: Decoding) -> Predictions {
    let net = odmn::inference::<f32>(spec);
    let from = &trainer.state().weights;
    let weights = copy(from, trainer.graph().layout(), net.graph.layout());
    let batch = targets::inputs(spec, net.graph.shape(), &rows(0..LABELS.len()));
    let decoder = Decoder::new(net.heads, spec, decoding);
    let width = decoder.width();
    let mut out = vec![0.0; batch.rows * width];
    Runner::new(net.graph, weights).run(&batch, &mut out, width, |outputs, rows| {
        decoder.everything(outputs, rows);
    });
    decoder.predictions(&out)
}

/// What a head can at best say of a label: without bias towers, the middle of its bucket.
fn best(spec: &Spec, t: usize, label: f64) -> f64 {
    let buckets = &spec.horizons[t];
    let place = buckets.place(label);
    let bucket = buckets.segments[place.segment].buckets[place.bucket];
    if spec.model.head == HeadKind::Mdme && !spec.model.bias {
        bucket.left + 0.5 * bucket.width
    } else {
        label
    }
}

/// What becomes sharp when users are learned by heart: the mean of a mixture does last, since one
/// wide component of a small share moves it.
fn learned_decodings(head: HeadKind) -> &'static [Decoding] {
    match head {
        HeadKind::Mdme => &[Decoding::Expectation, Decoding::Argmax],
        HeadKind::Ziln => &[Decoding::Expectation, Decoding::Quantile(0.5)],
        HeadKind::Mixture => &[Decoding::Quantile(0.5)],
    }
}

/// A mixture from one of three starts, for it may end with a component where it is of no use; the others
/// from the first.
#[test]
fn each_learns_a_few_users_by_heart() {
    for (name, model) in heads() {
        let starts = if model.head == HeadKind::Mixture {
            3
        } else {
            1
        };
        let wrong = (1..=starts).map_while(|seed| what_is_not_learned(&model, seed));
        let wrong: Vec<String> = wrong.collect();
        assert!(wrong.len() < starts as usize, "{name}: {wrong:?}");
    }
}

/// The first prediction that is off after training on all users from the weights of `seed`.
fn what_is_not_learned(model: &ModelConfig, seed: u64) -> Option<String> {
    let spec = spec(model);
    let (mut trainer, columns) = trainer::<f32>(&spec);
    let layout = trainer.graph().layout().clone();
    trainer.state_mut().weights = init::weights(&spec, &layout, seed);
    let all = rows(0..LABELS.len());
    let mut batch = targets::inputs(&spec, trainer.graph().shape(), &all);
    targets::targets(&spec, &columns, &all, &mut batch);
    for step in 0..3000 {
        // Towards the end in small steps.
        let rate = 0.003 * 0.001f64.powf(f64::from(step) / 3000.0);
        let rates = Rates {
            dense: rate,
            tables: rate,
        };
        trainer.step(&batch, rates, 0);
    }
    let decodings = learned_decodings(model.head).iter();
    decodings
        .map(|&decoding| predict(&spec, &trainer, decoding))
        .find_map(|predictions| first_wrong(&spec, &predictions))
}

fn first_wrong(spec: &Spec, predictions: &Predictions) -> Option<String> {
    for (i, label) in LABELS.concat().into_iter().enumerate() {
        let quantiles = &predictions.quantiles[3 * i..3 * i + 3];
        assert!(quantiles[0] <= quantiles[1] && quantiles[1] <= quantiles[2]);
        let (value, best) = (predictions.values[i], best(spec, i % 2, label));
        if (value - best).abs() >= 0.1 + 0.1 * best {
            return Some(format!("{value}, not {best}"));
        }
        let positive = predictions.positive[i];
        if (positive > 0.5) != (label > 0.0) {
            return Some(format!("{positive} for {label}"));
        }
    }
    None
}

/// The negative log-likelihood of a label by the nodes of the scoring network.
fn likelihood(outputs: &Outputs<'_, f64>, head: &Head, buckets: &Buckets, label: f64) -> f64 {
    let one = |node, j| outputs.feature(node, j)[0];
    if let Some(head) = head.buckets() {
        let place = buckets.place(label);
        let before: usize = head.sizes[..place.segment].iter().sum();
        return -one(head.distribution, before + place.bucket).ln();
    }
    let x = head.log_normals().unwrap().outputs;
    let positive = 1.0 / (1.0 + (-one(x.positive, 0)).exp());
    if label == 0.0 {
        return -(1.0 - positive).ln();
    }
    let density = |k: usize| {
        let share = x.shares.map_or(1.0, |s| one(s.probabilities, k));
        let scale = log_normal_scale(one(x.scales, k));
        let z = (label.ln() - one(x.locations, k)) / scale;
        share * (-0.5 * z * z).exp() / (label * scale * (2.0 * std::f64::consts::PI).sqrt())
    };
    let all: f64 = (0..x.locations.width()).map(density).sum();
    -(positive * all).ln()
}

/// The loss terms that a trained network calls its likelihood are that of the scoring network's
/// outputs: both graphs compute the same, and the terms are the right ones.
#[test]
fn the_scoring_network_is_the_trained_one() {
    for (name, model) in heads() {
        let spec = spec(&model);
        let (mut trainer, columns) = trainer::<f64>(&spec);
        let layout = trainer.graph().layout().clone();
        trainer.state_mut().weights = noisy(&spec, &layout, 3, 1.0);
        let names: Vec<_> = trainer
            .graph()
            .terms()
            .iter()
            .map(|t| &t.name)
            .cloned()
            .collect();
        let net = odmn::inference::<f64>(&spec);
        let weights = copy(&trainer.state().weights, &layout, net.graph.layout());
        let runner = Runner::new(net.graph, weights);
        for (r, labels) in LABELS.iter().enumerate() {
            let row = rows(r..r + 1);
            let mut batch = targets::inputs(&spec, trainer.graph().shape(), &row);
            targets::targets(&spec, &columns, &row, &mut batch);
            let terms = trainer.losses(&batch);
            let batch = targets::inputs(&spec, runner.graph().shape(), &row);
            let mut ours = vec![[0.0; 2]];
            runner.run(&batch, &mut ours, 1, |outputs, rows| {
                for t in 0..2 {
                    let head = &net.heads[t];
                    rows[0][t] = likelihood(outputs, head, &spec.horizons[t], labels[t]);
                }
            });
            for (t, column) in columns.iter().enumerate() {
                let term = |n: &String| terms[names.iter().position(|m| m == n).unwrap()];
                let sum: f64 = column.likelihood.iter().map(|l| term(&l.term)).sum();
                let error = (sum - ours[0][t]).abs();
                assert!(
                    error < 1e-9 * (1.0 + sum.abs()),
                    "{name}: {sum}, {}",
                    ours[0][t]
                );
            }
        }
    }
}

/// Which towers and losses each switch leaves.
#[test]
fn what_the_switches_leave() {
    for (name, model) in heads() {
        let graph = odmn::training::<f32>(&spec(&model)).graph;
        let has = |part: &str| graph.layout().params.iter().any(|p| p.name.contains(part));
        let loses = |part: &str| graph.terms().iter().any(|t| t.name.contains(part));
        let mdme = model.head == HeadKind::Mdme;
        assert_eq!(has("bbt"), mdme && model.bias, "{name}");
        assert_eq!(loses("_mse"), mdme && model.bias, "{name}");
        for part in ["dot", "bot"] {
            assert_eq!(has(part), mdme && model.ordinal, "{name}");
        }
        for part in ["_ord", "_dis"] {
            assert_eq!(loses(part), mdme && model.ordinal, "{name}");
        }
        for part in ["dct", "bct", "mono"] {
            assert_eq!(has(part), mdme, "{name}");
        }
        assert_eq!(loses("cali"), mdme, "{name}");
        let log_normals = ["positive", "location", "scale"].map(has);
        assert_eq!(log_normals, [!mdme; 3], "{name}");
        assert_eq!(has("share"), model.head == HeadKind::Mixture, "{name}");
    }
}

/// Without bias towers a bucket is its middle, for the calibration loss and for all decodings.
#[test]
fn a_bucket_without_bias_is_its_middle() {
    let model = ModelConfig {
        bias: false,
        monotone: true,
        mono: Mono::Off,
        ..small()
    };
    let mut spec = spec(&model);
    let middles = |b: &Buckets| -> Vec<f64> {
        let all = b.flat().map(|b| b.left + 0.5 * b.width);
        all.collect()
    };
    let (mut trainer, columns) = trainer::<f32>(&spec);
    let layout = trainer.graph().layout().clone();
    trainer.state_mut().weights = noisy(&spec, &layout, 7, 3.0);
    let terms = trainer.graph().terms().iter();
    let calibration = terms.map(|t| &t.name).position(|n| n == "cali").unwrap();
    let all = rows(0..LABELS.len());
    let mut batch = targets::inputs(&spec, trainer.graph().shape(), &all);
    targets::targets(&spec, &columns, &all, &mut batch);
    let loss = trainer.losses(&batch)[calibration];
    // Values as decoded, without projection.
    spec.model.monotone = false;
    let values = predict(&spec, &trainer, Decoding::Expectation).values;
    let over = values.chunks_exact(2).map(|v| (v[0] - v[1]).max(0.0));
    let expected = over.sum::<f64>() / LABELS.len() as f64 / spec.horizons[1].mean;
    assert!(expected > 0.0, "the case shows something");
    assert!(
        (loss - expected).abs() < 1e-5 * expected,
        "{loss}, {expected}"
    );
    let likeliest = predict(&spec, &trainer, Decoding::Argmax).values;
    for (i, value) in likeliest.into_iter().enumerate() {
        let middles = middles(&spec.horizons[i % 2]);
        assert!(middles.contains(&value), "{value} of {middles:?}");
    }
}

/// Before training a log-normal head knows the share of zeros, and the median of the rest.
#[test]
fn log_normals_start_at_the_training_rows() {
    for (_, model) in &heads()[4..] {
        let spec = spec(model);
        let (mut trainer, _) = trainer::<f32>(&spec);
        let layout = trainer.graph().layout().clone();
        trainer.state_mut().weights = init::weights(&spec, &layout, 1);
        let predictions = predict(&spec, &trainer, Decoding::Expectation);
        for (i, &p) in predictions.positive.iter().enumerate() {
            let positive = LABELS.iter().filter(|row| row[i % 2] > 0.0).count();
            let share = positive as f64 / LABELS.len() as f64;
            assert!((p - share).abs() < 0.02, "{p} of {share}");
        }
    }
}
