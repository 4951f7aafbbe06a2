//! A trend over cohorts: what it learns, and what it leaves alone.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod carry;

use carry::copy;
use ltv_core::{
    config::{HeadKind, Label, ModelConfig},
    encoding::EncodedRows,
    labels::LabelHistogram,
};
use ltv_model::{Decoding, buckets::Buckets, decoder::Decoder, init, odmn, spec::Spec, targets};
use ltv_nn::{Rates, Runner, Trainer, TrainerOptions};

/// Two kinds of users, who differ in worth, in five cohorts of which each is worth something less often
/// than the one before: kind, standardised age, share with value.
fn cohorts() -> impl Iterator<Item = (u32, f32, usize)> {
    let ages = [2.0_f32, 1.0, 0.0, -1.0, -2.0];
    let of = move |kind: u32| {
        ages.into_iter()
            .zip([16, 14, 12, 10, 8])
            .map(move |(age, of_20)| (kind, age, of_20))
    };
    of(2).chain(of(3))
}

fn model(head: HeadKind, ordinal: bool) -> ModelConfig {
    ModelConfig {
        head,
        ordinal,
        embedding: 4,
        bottom: vec![16],
        tower: 8,
        buckets: 4,
        ..ModelConfig::default()
    }
}

/// The youngest cohort has labels of the short horizon only.
fn rows() -> EncodedRows {
    let mut rows = EncodedRows::default();
    for (kind, age, of_20) in cohorts() {
        for i in 0..20 {
            let worth = if i < of_20 {
                f64::from(kind * 3 + i as u32 % 4)
            } else {
                0.0
            };
            rows.rows += 1;
            rows.cells.push(kind);
            rows.numbers.extend([age, age]);
            let long = if age < -1.5 { f64::NAN } else { worth };
            rows.labels.extend([worth, long]);
        }
    }
    rows
}

fn spec(model: &ModelConfig, trends: usize) -> Spec {
    let rows = rows();
    let horizon = |t: usize| {
        let mut labels = LabelHistogram::default();
        let column = rows.labels.iter().skip(t).step_by(2);
        column.filter(|y| !y.is_nan()).for_each(|&y| labels.add(y));
        Buckets::fit(30 * (t as u32 + 1), Label::Value, &labels, model).unwrap()
    };
    Spec {
        fields: vec![4],
        numbers: 2 - trends,
        trends,
        sequences: vec![],
        model: model.clone(),
        horizons: (0..2).map(horizon).collect(),
    }
}

/// P(value > 0) of both horizons for a kind of user at an age, after training.
fn learned(model: &ModelConfig) -> impl Fn(u32, f32) -> [f64; 2] {
    let spec = spec(model, 2);
    let net = odmn::training::<f32>(&spec);
    let mut trainer = Trainer::new(net.graph, TrainerOptions::default()).unwrap();
    trainer.state_mut().weights = init::weights(&spec, trainer.graph().layout(), 1);
    let all = rows();
    let mut batch = targets::inputs(&spec, trainer.graph().shape(), &all);
    targets::targets(&spec, &net.columns, &all, &mut batch);
    let rates = Rates {
        dense: 0.01,
        tables: 0.01,
    };
    (0..1500).for_each(|step| drop(trainer.step(&batch, rates, step)));
    let from = trainer.graph().layout().clone();
    let weights = trainer.state().weights.clone();
    move |kind, age| {
        let net = odmn::inference::<f32>(&spec);
        let own = copy(&weights, &from, net.graph.layout());
        let row = EncodedRows {
            rows: 1,
            cells: vec![kind],
            numbers: vec![age, age],
            ..EncodedRows::default()
        };
        let batch = targets::inputs(&spec, net.graph.shape(), &row);
        let decoder = Decoder::new(net.heads, &spec, Decoding::Expectation);
        let width = decoder.width();
        let mut out = vec![0.0; width];
        Runner::new(net.graph, own).run(&batch, &mut out, width, |outputs, rows| {
            decoder.everything(outputs, rows);
        });
        let positive = decoder.predictions(&out).positive;
        [positive[0], positive[1]]
    }
}

/// Shares fall by a tenth from cohort to cohort; the long horizon knows only the first four, and is
/// followed to the fifth. Ordinal teachers know of no trend and hold it back, but do not stop it.
#[test]
fn the_level_of_a_cohort_is_learned_and_followed() {
    let mdme = |ordinal| model(HeadKind::Mdme, ordinal);
    let all = [
        (mdme(false), 0.06),
        (mdme(true), 0.12),
        (model(HeadKind::Ziln, false), 0.06),
        (model(HeadKind::Mixture, false), 0.06),
    ];
    for (model, tolerance) in all {
        let positive = learned(&model);
        for (kind, age, of_20) in cohorts() {
            let expected = of_20 as f64 / 20.0;
            for (t, found) in positive(kind, age).into_iter().enumerate() {
                let what = format!("{:?}, {}: {kind} at {age}, {t}", model.head, model.ordinal);
                let error = (found - expected).abs();
                assert!(error < tolerance, "{what}: {found}, not {expected}");
            }
        }
    }
}

/// Zero at the start, so that training starts at the priors of all cohorts.
#[test]
fn trends_start_at_nothing() {
    let spec = spec(&model(HeadKind::Mdme, true), 2);
    let net = odmn::training::<f32>(&spec);
    let weights = init::weights::<f32>(&spec, net.graph.layout(), 3);
    let trends = net.graph.layout().params.iter();
    let trends: Vec<_> = trends.filter(|p| p.name.contains(".trend")).collect();
    let softmax = |name: &str| name.contains(".dct.") || name.contains(".bct");
    assert!(!trends.is_empty() && trends.iter().all(|p| softmax(&p.name)));
    assert!(
        trends
            .iter()
            .all(|p| weights.of(p).iter().all(|&w| w == 0.0))
    );
}

/// What was a number of the input is one again where there is no trend.
#[test]
fn without_a_trend_nothing_is_apart() {
    let spec = spec(&model(HeadKind::Mdme, true), 0);
    let layout = odmn::training::<f32>(&spec).graph.layout().clone();
    assert!(layout.params.iter().all(|p| !p.name.contains(".trend")));
    let first = layout.find("l1.w").unwrap();
    assert_eq!(first.cols, 4 + 2);
}
