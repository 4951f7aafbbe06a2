//! Every choice of encoder, backbone and cross, on a small network.

use super::count;
use crate::{
    buckets::Buckets,
    init,
    odmn::{self, Odmn},
    spec::{DaySequence, Spec},
    targets,
};
use ltv_core::{
    config::{Backbone, Cross, DayEncoder, Label, ModelConfig},
    encoding::{Cells, EncodedRows, Encoding, FeatureEncoding, Scale},
    labels::LabelHistogram,
};
use ltv_nn::{Batch, Layout, Rates, Runner, Trainer, TrainerOptions, layout::Kind};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const DAYS: usize = 5;
const ROWS: usize = 32;
const HORIZONS: usize = 2;

fn feature(name: &str, columns: usize, edges: usize, scaled: bool) -> FeatureEncoding {
    FeatureEncoding {
        name: name.into(),
        columns: (0..columns).map(|d| format!("{name}_d{d}")).collect(),
        cells: Cells::Bins {
            edges: (0..edges).map(|i| i as f64).collect(),
        },
        scale: scaled.then_some(Scale { mean: 0.0, sd: 1.0 }),
    }
}

/// A plain feature with a number, a sequence without, a plain one without, a sequence with.
fn encoding() -> Encoding {
    Encoding {
        cohort: None,
        features: vec![
            feature("age", 1, 4, true),
            feature("visits", DAYS, 3, false),
            feature("channel", 1, 6, false),
            feature("spend", DAYS, 5, true),
        ],
        plain: vec![],
    }
}

/// Two sub-distributions of three buckets or so.
fn horizon(t: usize, model: &ModelConfig) -> Buckets {
    let mut labels = LabelHistogram::default();
    (1..100u32).for_each(|i| labels.add(f64::from(i) * (1.0 + t as f64)));
    Buckets::fit(30 * (1 + t as u32), Label::Value, &labels, model).unwrap()
}

/// Without the order of horizons, which random labels contradict.
fn options() -> ModelConfig {
    ModelConfig {
        embedding: 4,
        bottom: vec![16, 12],
        tower: 16,
        buckets: 3,
        monotone: false,
        experts: 3,
        cross_rank: 5,
        sequence_width: 6,
        sequence_layers: 2,
        cross: Cross::None,
        ..ModelConfig::default()
    }
}

fn spec(model: ModelConfig) -> Spec {
    let horizons = (0..HORIZONS).map(|t| horizon(t, &model)).collect();
    Spec::new(&encoding(), model, horizons).unwrap()
}

pub(super) fn specs() -> Vec<Spec> {
    use {Backbone as B, Cross as C, DayEncoder as D};
    let choices = [
        (B::SharedBottom, C::None, D::Concat, 5),
        (B::Mmoe, C::None, D::Concat, 5),
        (B::Ple, C::None, D::Concat, 5),
        (B::SharedBottom, C::DeepFm, D::Concat, 5),
        (B::SharedBottom, C::Dcn, D::Concat, 5),
        (B::SharedBottom, C::Dcn, D::Concat, 0),
        (B::SharedBottom, C::None, D::Cnn, 5),
        (B::SharedBottom, C::None, D::Transformer, 5),
        (B::SharedBottom, C::None, D::Wavelet, 5),
        (B::Mmoe, C::DeepFm, D::Transformer, 5),
        (B::Ple, C::Dcn, D::Cnn, 5),
        (B::Ple, C::DeepFm, D::Wavelet, 5),
    ];
    let model = |&(backbone, cross, sequence, cross_rank)| ModelConfig {
        backbone,
        cross,
        sequence,
        cross_rank,
        ..options()
    };
    choices.iter().map(|c| spec(model(c))).collect()
}

pub(super) fn name(spec: &Spec) -> String {
    let m = &spec.model;
    format!("{:?} {:?} {:?}", m.backbone, m.cross, m.sequence)
}

/// Rows of random cells, numbers and labels, and what the network reads of them.
pub(super) fn rows(net: &Odmn<f64>, spec: &Spec, seed: u64) -> (EncodedRows, Batch<f64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut random = |below: usize| rng.random_range(0..below);
    let fields = spec.fields.len();
    let rows = EncodedRows {
        rows: ROWS,
        cells: (0..ROWS * fields)
            .map(|i| random(spec.fields[i % fields]) as u32)
            .collect(),
        numbers: (0..ROWS * spec.numbers)
            .map(|_| random(200) as f32 / 100.0 - 1.0)
            .collect(),
        labels: (0..ROWS * HORIZONS)
            .map(|i| ((1 + random(99)) * (1 + i % HORIZONS)) as f64)
            .collect(),
        ..EncodedRows::default()
    };
    let mut batch = targets::inputs(spec, net.graph.shape(), &rows);
    targets::targets(spec, &net.columns, &rows, &mut batch);
    (rows, batch)
}

fn trainer(spec: &Spec) -> (Trainer<f64>, EncodedRows, Batch<f64>) {
    let net = odmn::training::<f64>(spec);
    let (rows, batch) = rows(&net, spec, 7);
    let mut trainer = Trainer::new(net.graph, TrainerOptions::default()).unwrap();
    let first = init::weights(spec, trainer.graph().layout(), 3);
    trainer.state_mut().weights = first;
    (trainer, rows, batch)
}

/// The probability of every segment, `[rows, horizons * 2]`, by the scoring graph.
fn predict(spec: &Spec, trained: &Trainer<f64>, rows: &EncodedRows) -> Vec<f64> {
    let net = odmn::inference::<f64>(spec);
    let layout = net.graph.layout().clone();
    let mut weights = init::weights(spec, &layout, 99);
    for param in &layout.params {
        let from = trained.graph().layout().find(&param.name).unwrap();
        let values = trained.state().weights.of(from);
        weights.of_mut(param).copy_from_slice(values);
    }
    let inputs = targets::inputs(spec, net.graph.shape(), rows);
    let per_row = 2 * HORIZONS;
    let mut out = vec![0.0; rows.rows * per_row];
    let heads = net.heads;
    Runner::new(net.graph, weights).run(&inputs, &mut out, per_row, |outputs, rows| {
        for (r, row) in rows.chunks_exact_mut(per_row).enumerate() {
            for (i, p) in row.iter_mut().enumerate() {
                *p = outputs.feature(heads[i / 2].buckets().unwrap().segments, i % 2)[r];
            }
        }
    });
    out
}

/// Mean cross-entropy of the segments of every horizon, from predicted probabilities.
fn cross_entropies(spec: &Spec, rows: &EncodedRows, p: &[f64]) -> Vec<f64> {
    let one = |(t, buckets): (usize, &Buckets)| {
        let class = |r: usize| buckets.place(rows.labels[r * HORIZONS + t]).segment;
        let loss = |r: usize| -p[(r * HORIZONS + t) * 2 + class(r)].ln();
        (0..ROWS).map(loss).sum::<f64>() / ROWS as f64
    };
    spec.horizons.iter().enumerate().map(one).collect()
}

/// What the scoring graph predicts is what the training graph is judged by, before and after some
/// steps.
#[test]
fn both_graphs_say_the_same() {
    for spec in specs() {
        let (mut trainer, rows, batch) = trainer(&spec);
        for steps in [0, 5] {
            for step in 0..steps {
                let rates = Rates {
                    dense: 0.01,
                    tables: 0.01,
                };
                trainer.step(&batch, rates, step);
            }
            let losses = trainer.losses(&batch);
            let p = predict(&spec, &trainer, &rows);
            for (t, ours) in cross_entropies(&spec, &rows, &p).iter().enumerate() {
                let term = format!("t{t}.dct_ce");
                let terms = trainer.graph().terms();
                let i = terms.iter().position(|x| x.name == term).unwrap();
                let error = (losses[i] - ours).abs();
                assert!(
                    error < 1e-12,
                    "{}: {} against {ours}",
                    name(&spec),
                    losses[i]
                );
            }
        }
    }
}

/// Row `r` alone.
fn only(rows: &EncodedRows, r: usize) -> EncodedRows {
    fn part<T: Clone>(values: &[T], r: usize) -> Vec<T> {
        let width = values.len() / ROWS;
        values[r * width..][..width].to_vec()
    }
    EncodedRows {
        rows: 1,
        cells: part(&rows.cells, r),
        numbers: part(&rows.numbers, r),
        labels: part(&rows.labels, r),
        ..EncodedRows::default()
    }
}

/// A single row goes through kernels of its own.
#[test]
fn one_row_says_the_same() {
    for spec in specs() {
        let (trainer, rows, _) = trainer(&spec);
        let together = predict(&spec, &trainer, &rows);
        for (r, expected) in together.chunks(2 * HORIZONS).enumerate().take(3) {
            let alone = predict(&spec, &trainer, &only(&rows, r));
            for (a, b) in alone.iter().zip(expected) {
                assert!((a - b).abs() < 1e-12, "{}: {a} against {b}", name(&spec));
            }
        }
    }
}

/// Every network can learn 32 random rows by heart.
#[test]
fn they_learn_by_heart() {
    for spec in specs() {
        let (mut trainer, _, batch) = trainer(&spec);
        let likelihood = |trainer: &mut Trainer<f64>| -> f64 {
            let losses = trainer.losses(&batch);
            let terms = trainer.graph().terms().iter().zip(losses);
            let entropies = terms.filter(|(t, _)| t.name.ends_with("_ce"));
            entropies.map(|(_, loss)| loss).sum()
        };
        let before = likelihood(&mut trainer);
        for step in 0..300 {
            let rates = Rates {
                dense: 0.01,
                tables: 0.01,
            };
            trainer.step(&batch, rates, step);
        }
        let after = likelihood(&mut trainer);
        let share = after / before;
        assert!(share < 0.05, "{}: {before} to {after}", name(&spec));
    }
}

/// The count that protects from oversized files is what is built, to the last number; the rest of
/// a network is its horizons' towers.
#[test]
fn counted_as_built() {
    let mut all = specs();
    for (levels, days) in [(1, DayEncoder::Wavelet), (3, DayEncoder::Transformer)] {
        all.push(spec(ModelConfig {
            levels,
            backbone: Backbone::Ple,
            sequence: days,
            bottom: vec![7],
            numbers: false,
            ..options()
        }));
    }
    for spec in all {
        let net = odmn::training::<f64>(&spec);
        let of_horizon =
            |p: &&ltv_nn::Param| p.name.starts_with("t0.") || p.name.starts_with("t1.");
        let params = &net.graph.layout().params;
        let ours: Vec<_> = params.iter().filter(|p| !of_horizon(p)).collect();
        let c = count(&spec);
        assert_eq!(c.tensors, ours.len(), "{}", name(&spec));
        let weights: usize = ours.iter().map(|p| p.size()).sum();
        assert_eq!(c.weights, weights, "{}", name(&spec));
        let tower = net.graph.layout().find("t1.dct.1.w").unwrap();
        assert_eq!(c.width, tower.cols, "{}", name(&spec));
    }
}

fn tables(layout: &Layout) -> Vec<(String, usize)> {
    let tables = layout.params.iter().filter(|p| p.kind == Kind::Table);
    tables.map(|p| (p.name.clone(), p.rows)).collect()
}

#[test]
fn the_days_of_a_sequence_share_a_table() {
    let layout = |sequence| {
        let spec = spec(ModelConfig {
            sequence,
            ..options()
        });
        odmn::inference::<f64>(&spec).graph.layout().clone()
    };
    assert_eq!(tables(&layout(DayEncoder::Concat)).len(), 2 + 2 * DAYS);
    let shared = [("emb0", 7), ("emb1", 6), ("emb6", 9), ("emb7", 8)];
    let shared = shared.map(|(name, rows)| (name.to_string(), rows));
    for sequence in [
        DayEncoder::Cnn,
        DayEncoder::Transformer,
        DayEncoder::Wavelet,
    ] {
        assert_eq!(tables(&layout(sequence)), shared);
    }
}

/// Encoders know which day is which; a Transformer by its positions alone, so that without them it
/// maps exchanged days to exchanged outputs, which a bottom that adds all days up cannot tell
/// apart.
#[test]
fn the_order_of_days_matters() {
    for sequence in [
        DayEncoder::Cnn,
        DayEncoder::Transformer,
        DayEncoder::Wavelet,
    ] {
        let spec = spec(ModelConfig {
            sequence,
            ..options()
        });
        let (mut trainer, rows, _) = trainer(&spec);
        // Towers start almost silent.
        let layout = trainer.graph().layout().clone();
        for param in layout.params.iter().filter(|p| p.name.ends_with(".2.w")) {
            let weights = &mut trainer.state_mut().weights;
            weights.of_mut(param).iter_mut().for_each(|w| *w *= 10.0);
        }
        let exchanged = exchange_days(&spec, &rows, 1, 3);
        let change = |trainer: &Trainer<f64>| {
            let (p, q) = (
                predict(&spec, trainer, &rows),
                predict(&spec, trainer, &exchanged),
            );
            let change = |(a, b): (&f64, &f64)| (a - b).abs();
            p.iter().zip(&q).map(change).fold(0.0, f64::max)
        };
        assert!(change(&trainer) > 1e-3, "{sequence:?}");
        if sequence != DayEncoder::Transformer {
            continue;
        }
        blind(&mut trainer, &spec);
        assert!(
            change(&trainer) < 1e-12,
            "positions are all that tells days"
        );
        let position = layout.find("seq.position.p").unwrap();
        let values = trainer.state_mut().weights.of_mut(position);
        values
            .iter_mut()
            .enumerate()
            .for_each(|(i, v)| *v = (i % 7) as f64);
        assert!(change(&trainer) > 1e-3, "positions tell days");
    }
}

/// No positions, and a bottom that treats all days alike.
fn blind(trainer: &mut Trainer<f64>, spec: &Spec) {
    let layout = trainer.graph().layout().clone();
    let weights = &mut trainer.state_mut().weights;
    let param = layout.find("seq.position.p").unwrap();
    weights.of_mut(param).fill(0.0);
    let param = layout.find("l1.w").unwrap();
    let width = spec.model.sequence_width;
    let days = param.cols - DAYS * width;
    for row in weights.of_mut(param).chunks_exact_mut(param.cols) {
        let (first, others) = row[days..].split_at_mut(width);
        others
            .chunks_exact_mut(width)
            .for_each(|day| day.copy_from_slice(first));
    }
}

fn exchange_days(spec: &Spec, rows: &EncodedRows, a: usize, b: usize) -> EncodedRows {
    let mut rows = rows.clone();
    for s in &spec.sequences {
        for row in rows.cells.chunks_exact_mut(spec.fields.len()) {
            row.swap(s.field + a, s.field + b);
        }
        let Some(number) = s.number else { continue };
        for row in rows.numbers.chunks_exact_mut(spec.numbers) {
            row.swap(number + a, number + b);
        }
    }
    rows
}

#[test]
fn sequences_are_found_in_the_encoding() {
    let sequence = |field, number| DaySequence {
        field,
        days: DAYS,
        number,
    };
    let found = DaySequence::all(&encoding());
    assert_eq!(found, [sequence(1, None), sequence(7, Some(1))]);
}

#[test]
fn what_cannot_be_encoded_is_refused() {
    let attempt = |encoding: &Encoding, change: fn(&mut ModelConfig)| {
        let mut model = ModelConfig {
            sequence: DayEncoder::Transformer,
            ..options()
        };
        change(&mut model);
        let horizons = vec![horizon(0, &model)];
        Spec::new(encoding, model, horizons)
    };
    let refused = |encoding: &Encoding, change: fn(&mut ModelConfig)| {
        attempt(encoding, change).unwrap_err().to_string()
    };
    let mut none = encoding();
    none.features.retain(|f| f.columns.len() == 1);
    let error = refused(&none, |_| ());
    assert!(
        error.starts_with("model.sequence: the dataset has no"),
        "{error}"
    );
    attempt(&none, |m| m.sequence = DayEncoder::Concat).unwrap();
    let mut uneven = encoding();
    uneven.features[1].columns.pop();
    let error = refused(&uneven, |_| ());
    assert!(error.contains("4 and of 5 days"), "{error}");
    let mut long = encoding();
    long.features = vec![feature("visits", 120, 3, true)];
    let error = refused(&long, |m| m.sequence_width = 128);
    assert!(error.starts_with("model.sequence_width: 128"), "{error}");
    let error = refused(&long, |m| m.heads = 6);
    assert!(error.starts_with("model.heads: 6"), "{error}");
    attempt(&long, |m| m.sequence_width = 64).unwrap();
}

/// No table grows with the number of days, but what a row takes does.
#[test]
fn more_inputs_than_a_row_can_hold_are_refused() {
    let attempt = |sequences: usize, days: usize, change: fn(&mut ModelConfig)| {
        let mut model = options();
        change(&mut model);
        let horizons = vec![horizon(0, &model)];
        let name = |i| format!("s{i}");
        let features = (0..sequences).map(|i| feature(&name(i), days, 3, true));
        let encoding = Encoding {
            cohort: None,
            features: features.collect(),
            plain: vec![],
        };
        Spec::new(&encoding, model, horizons).map_err(|e| e.to_string())
    };
    let wide = |m: &mut ModelConfig| (m.embedding, m.sequence) = (256, DayEncoder::Cnn);
    let error = attempt(100, 8192, wide).unwrap_err();
    assert!(
        error.starts_with("model.embedding: 819200 fields of 256"),
        "{error}"
    );
    let error = attempt(40, 2, wide).unwrap_err();
    assert!(
        error.starts_with("model.embedding: 40 sequences of 256"),
        "{error}"
    );
    attempt(30, 2, wide).unwrap();
    attempt(40, 2, |m| m.embedding = 256).unwrap();
    attempt(100, 365, |m| m.embedding = 2).unwrap();
}

/// First gains are one, first positions small and not zero, first thresholds near zero.
#[test]
fn first_weights() {
    let spec = |sequence| {
        spec(ModelConfig {
            sequence,
            ..options()
        })
    };
    let values = |spec: &Spec, name: &str| {
        let net = odmn::inference::<f64>(spec);
        let layout = net.graph.layout();
        let weights = init::weights::<f64>(spec, layout, 1);
        weights.of(layout.find(name).unwrap()).to_vec()
    };
    let attention = spec(DayEncoder::Transformer);
    for gain in ["seq.norm.g", "seq.block1.norm1.g", "seq.block2.norm2.g"] {
        assert!(values(&attention, gain).iter().all(|&g| g == 1.0));
    }
    let positions = values(&attention, "seq.position.p");
    assert!(positions.iter().all(|p| *p != 0.0 && p.abs() < 0.1));
    let raw = values(&spec(DayEncoder::Wavelet), "seq.threshold.h");
    let thresholds = raw.iter().map(|x| x.exp().ln_1p());
    assert!(thresholds.into_iter().all(|h| h > 0.01 && h < 0.03));
}
