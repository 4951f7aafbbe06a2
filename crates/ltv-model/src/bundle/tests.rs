//! Files that were damaged, and files that were edited by hand.

use super::*;
use crate::{
    Decoding, Model, init,
    matching::{Population, matching},
    recalibration::Recalibration,
    spec::DaySequence,
};
use ltv_core::{
    config::{Backbone, Cross, DayEncoder, HeadKind, ModelConfig},
    encoding::{Cells, EncodedRows, FeatureEncoding},
    labels::LabelHistogram,
    predictor::Predictor,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::OnceLock;

const PATH: &str = "models/a.ltv";

/// Every head and every switch of MDME, and models of every other backbone, cross and encoder; the
/// one that differs least from the paper's first.
fn choices() -> Vec<ModelConfig> {
    let of = |change: fn(&mut ModelConfig)| {
        let mut model = ModelConfig {
            cross: Cross::None,
            ..ModelConfig::default()
        };
        change(&mut model);
        model
    };
    let changes: [fn(&mut ModelConfig); 9] = [
        |_| (),
        |m| m.bias = false,
        |m| m.ordinal = false,
        |m| (m.bias, m.ordinal) = (false, false),
        |m| m.head = HeadKind::Ziln,
        |m| (m.head, m.components) = (HeadKind::Mixture, 3),
        |m| {
            m.backbone = Backbone::Mmoe;
            m.cross = Cross::DeepFm;
            m.sequence = DayEncoder::Transformer;
        },
        |m| {
            m.backbone = Backbone::Ple;
            m.cross = Cross::Dcn;
            m.sequence = DayEncoder::Cnn;
        },
        |m| {
            m.cross = Cross::Dcn;
            m.cross_rank = 0;
            m.sequence = DayEncoder::Wavelet;
        },
    ];
    changes.into_iter().map(of).collect()
}

/// A small model with both kinds of features.
fn bundle(model: ModelConfig) -> Bundle {
    let encoding: Encoding = serde_json::from_value(json!({ "features": [
        { "name": "cnt", "columns": ["cnt_d0", "cnt_d1"],
          "cells": { "bins": { "edges": [1.0, 4.0] } }, "scale": { "mean": 0.7, "sd": 0.4 } },
        { "name": "channel", "columns": ["channel"],
          "cells": { "vocabulary": { "values": ["ads", "search"] } } },
    ] }))
    .unwrap();
    let mut config = TrainConfig {
        model,
        ..TrainConfig::default()
    };
    config.model.embedding = 2;
    config.model.bottom = vec![4];
    config.model.tower = 3;
    config.model.mono_hidden = 2;
    config.model.buckets = 4;
    config.model.numbers = true;
    config.model.experts = 2;
    config.model.task_experts = 1;
    config.model.cross_rank = 3;
    config.model.sequence_width = 4;
    let horizon = |t: u32| {
        let mut labels = LabelHistogram::default();
        (0..100u32).for_each(|i| labels.add(f64::from(i.saturating_sub(40) * t)));
        crate::buckets::Buckets::fit(30 * t, Label::Value, &labels, &config.model).unwrap()
    };
    let spec = Spec::new(
        &encoding,
        config.model.clone(),
        vec![horizon(1), horizon(2)],
    )
    .unwrap();
    let layout = odmn::training::<f32>(&spec).graph.layout().clone();
    let weights = init::weights(&spec, &layout, 1);
    let document = Document {
        horizons: Horizons::new(vec![30, 60]).unwrap(),
        window_days: 2,
        label: Label::Value,
        as_of: "2024-01-01".parse().unwrap(),
        encoding,
        spec,
        config,
        record: Record::default(),
        baselines: Baselines::default(),
        recalibration: Some(vec![
            Recalibration {
                slope: 0.5,
                factor: 3.0,
            },
            Recalibration {
                slope: 1.2,
                factor: 0.25,
            },
        ]),
        matching: None,
    };
    matched(Bundle::new(document, weights).unwrap())
}

/// With curves of four rows.
fn matched(bundle: Bundle) -> Bundle {
    let model = Model::new(bundle.clone(), Decoding::Expectation).unwrap();
    let values = model.predict(&two_rows(&bundle)).values;
    let horizons = bundle.document.horizons.len();
    let mut populations = vec![Population::default(); horizons];
    for (i, value) in values.iter().chain(&values).enumerate() {
        populations[i % horizons].expect(*value);
        populations[i % horizons].see((i / horizons) as f64);
    }
    let document = Document {
        matching: matching(&populations),
        ..bundle.document
    };
    assert_eq!(document.matching.as_ref().unwrap().rows, 4);
    Bundle::new(document, bundle.weights).unwrap()
}

pub(crate) type Whole = (Bundle, Vec<u8>);

pub(crate) fn wholes() -> &'static [Whole] {
    static WHOLES: OnceLock<Vec<Whole>> = OnceLock::new();
    WHOLES.get_or_init(|| {
        let with_bytes = |model| {
            let bundle = bundle(model);
            let bytes = bundle.encode().unwrap().0;
            (bundle, bytes)
        };
        choices().into_iter().map(with_bytes).collect()
    })
}

fn whole() -> &'static Whole {
    &wholes()[0]
}

fn load(bytes: &[u8]) -> Result<Bundle, ModelError> {
    Bundle::decode(Path::new(PATH), bytes)
}

/// The file with another document and a checksum that fits it.
fn with_document((bundle, _): &Whole, document: &Value) -> Vec<u8> {
    let layout = bundle.layout();
    let tensor = |p: &ltv_nn::Param| Tensor {
        name: p.name.clone(),
        shape: vec![p.rows, p.cols],
        values: bundle.weights.of(p),
    };
    let list: Vec<_> = layout.params.iter().map(tensor).collect();
    tensors::encode(FORMAT, &document.to_string(), &list)
        .unwrap()
        .0
}

fn document((bundle, _): &Whole) -> Value {
    serde_json::to_value(&bundle.document).unwrap()
}

#[test]
fn it_is_what_was_saved() {
    for whole in wholes() {
        let (bundle, bytes) = whole;
        assert_eq!(&load(bytes).unwrap(), bundle);
        assert_eq!(
            &load(&with_document(whole, &document(whole)))
                .unwrap()
                .weights,
            &bundle.weights
        );
    }
    let (_, bytes) = whole();
    for cut in [0, 7, 8, 100, bytes.len() - 1] {
        let error = load(&bytes[..cut]).unwrap_err().to_string();
        assert!(error.starts_with(PATH), "{error}");
    }
}

#[test]
fn every_choice_predicts_what_was_saved() {
    for (bundle, bytes) in wholes() {
        let loaded = load(bytes).unwrap();
        let rows = two_rows(&loaded);
        let predict = |b: &Bundle| {
            let model = Model::new(b.clone(), Decoding::Expectation).unwrap();
            model.predict(&rows)
        };
        assert_eq!(predict(&loaded), predict(bundle));
    }
    let mut ids: Vec<_> = wholes().iter().map(|(bundle, _)| &bundle.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), wholes().len(), "no two are the same model");
}

/// A file from before heads could be chosen.
#[test]
fn what_old_files_lack_has_its_old_meaning() {
    let mut old = document(whole());
    for model in ["/spec/model", "/config/model"] {
        let model = old.pointer_mut(model).unwrap().as_object_mut().unwrap();
        for key in ["head", "components", "bias", "ordinal"] {
            assert!(model.remove(key).is_some(), "{key}");
        }
    }
    for horizon in old
        .pointer_mut("/spec/horizons")
        .unwrap()
        .as_array_mut()
        .unwrap()
    {
        assert!(horizon.as_object_mut().unwrap().remove("largest").is_some());
    }
    let loaded = load(&with_document(whole(), &old)).unwrap();
    assert_eq!(loaded.document.spec.model, whole().0.document.spec.model);
    assert_eq!(loaded.weights, whole().0.weights);
    let known = |b: &Bundle| b.document.spec.horizons[1].largest_label();
    assert_eq!(
        known(&loaded),
        known(&whole().0),
        "nothing was trimmed here"
    );
}

fn two_rows(bundle: &Bundle) -> EncodedRows {
    EncodedRows {
        rows: 2,
        cells: vec![0, 1, 2, 3, 4, 5],
        numbers: vec![0.5; 2 * bundle.document.encoding.numbers()],
        labels: vec![],
        ..EncodedRows::default()
    }
}

fn refused(edits: &[(&str, Value, &str)]) {
    for (pointer, value, expected) in edits {
        let mut edited = document(whole());
        *edited.pointer_mut(pointer).unwrap() = value.clone();
        let error = load(&with_document(whole(), &edited))
            .unwrap_err()
            .to_string();
        let told = error.starts_with(PATH) && error.contains(expected);
        assert!(told, "{pointer} = {value}: {error}");
    }
}

#[test]
fn edits_that_make_no_model_are_refused() {
    let bucket = "/spec/horizons/0/segments/1/buckets/0";
    let edits = [
        ("/config/fit/batch", json!(0), "fit.batch"),
        ("/spec/model/embedding", json!(0), "model.embedding"),
        ("/spec/model/embedding", json!(200), "weights"),
        ("/spec/model/bottom", json!([4096, 4096, 4096]), "weights"),
        ("/spec/model/tower", json!(4), "t0.dct.1.w"),
        ("/spec/model/mono", json!("off"), "tensors"),
        ("/spec/model/head", json!("ziln"), "tensors"),
        ("/spec/model/bias", json!(false), "tensors"),
        ("/spec/model/ordinal", json!(false), "tensors"),
        ("/spec/model/components", json!(17), "model.components"),
        ("/spec/horizons/1/largest", json!(-1.0), "largest"),
        ("/spec/model/order_weights", json!([1.0]), "order_weights"),
        ("/spec/model/backbone", json!("mmoe"), "network"),
        ("/spec/model/backbone", json!("ple"), "network"),
        ("/spec/model/cross", json!("deepfm"), "network"),
        ("/spec/model/cross", json!("dcn"), "network"),
        ("/spec/model/sequence", json!("cnn"), "network"),
        ("/spec/model/sequence", json!("wavelet"), "network"),
        ("/spec/model/sequence", json!("rnn"), "rnn"),
        ("/spec/model/kernel", json!(2), "model.kernel"),
        ("/spec/model/experts", json!(1u64 << 40), "model.experts"),
        ("/spec/sequences/0/field", json!(1), "spec.sequences"),
        ("/spec/sequences/0/days", json!(u64::MAX), "spec.sequences"),
        ("/spec/fields", json!([]), "spec.fields"),
        ("/spec/fields/0", json!(6), "spec.fields"),
        ("/spec/numbers", json!(3), "spec.numbers"),
        ("/spec/horizons", json!([]), "0 horizons"),
        ("/horizons", json!([30]), "for 1"),
        ("/horizons", json!([60, 30]), "increasing"),
        ("/encoding/features", json!([]), "no features"),
        (
            "/encoding/features/0/cells/bins/edges/0",
            json!(9.0),
            "ascending",
        ),
        ("/encoding/features/0/scale/sd", json!(0.0), "scale"),
        ("/encoding/features/0/scale/sd", json!(1e-300), "scale"),
        ("/encoding/features/0/scale/mean", json!(1e300), "scale"),
        ("/spec/horizons/1/mean", json!(0.0), "ltv_60: mean 0"),
        ("/spec/horizons/1/mean", json!(1e-200), "mean"),
        ("/spec/horizons/1/mean", json!(null), "null"),
        ("/spec/horizons/1/mass_above", json!(-1.0), "mass_above"),
        (
            "/spec/horizons/0/segments",
            json!([]),
            "0 sub-distributions",
        ),
        (
            "/spec/horizons/0/segments/0/buckets",
            json!([]),
            "without a bucket",
        ),
        (&format!("{bucket}/width"), json!(-1.0), "width"),
        (&format!("{bucket}/width"), json!(1e308), "ascending"),
        (&format!("{bucket}/left"), json!(-0.5), "left"),
        (&format!("{bucket}/bias"), json!(1.5), "bias"),
        (&format!("{bucket}/rows"), json!(u64::MAX), "rows"),
        (
            "/recalibration",
            json!([]),
            "recalibration: 0 of 2 horizons",
        ),
        (
            "/recalibration/0/slope",
            json!(3.0),
            "recalibration: a slope",
        ),
        (
            "/recalibration/1/factor",
            json!(0.0),
            "or a factor not positive",
        ),
        ("/recalibration/1/factor", json!(null), "null"),
    ];
    refused(&edits);
}

/// A power for the expectation, and for nothing else; horizons are in order before and after it.
#[test]
fn only_expectations_are_recalibrated() {
    let (with, rows) = (&whole().0, two_rows(&whole().0));
    let maps = with.document.recalibration.clone().unwrap();
    let mut without = with.clone();
    without.document.recalibration = None;
    let predict = |bundle: &Bundle, decoding| {
        let model = Model::new(bundle.clone(), decoding).unwrap();
        model.predict(&rows)
    };
    for decoding in ["median", "matched", "argmax"] {
        let decoding = decoding.parse().unwrap();
        assert_eq!(predict(with, decoding), predict(&without, decoding));
    }
    let (found, raw) = [with, &without]
        .map(|b| predict(b, Decoding::Expectation))
        .into();
    assert_eq!(
        (&found.quantiles, &found.positive),
        (&raw.quantiles, &raw.positive)
    );
    assert_eq!(found.projected, raw.projected);
    let weights = with.document.spec.order_weights();
    for (values, raw) in found.values.chunks(2).zip(raw.values.chunks(2)) {
        let map = |t: usize| maps[t].at(raw[t], with.document.spec.horizons[t].largest_label());
        let mut expected = [map(0), map(1)];
        crate::decode::project(&mut expected, &weights);
        assert_eq!(values, expected);
    }
    assert_ne!(found.values, raw.values);
}

/// Files from before there were day encoders tell no sequences.
#[test]
fn sequences_need_not_be_told() {
    let without = |whole: &Whole| {
        let mut edited = document(whole);
        let spec = edited["spec"].as_object_mut().unwrap();
        spec.remove("sequences").unwrap();
        load(&with_document(whole, &edited))
    };
    assert_eq!(without(whole()).unwrap().weights, whole().0.weights);
    let error = without(&wholes()[6]).unwrap_err().to_string();
    assert!(error.contains("model.sequence"), "{error}");
}

#[test]
fn edits_that_make_no_curve_are_refused() {
    refused(&[
        ("/matching/curves", json!([]), "0 curves for 2 horizons"),
        ("/matching/curves/0", json!([]), "0 knots"),
        ("/matching/curves/1", json!([[0.0, 0.0, 0.0]]), "trailing"),
        ("/matching/curves/1", json!([[0.0, -1.0]]), "not finite"),
        (
            "/matching/curves/1",
            json!([[1.0, 2.0], [2.0, 1.0]]),
            "not ascending",
        ),
        (
            "/matching/curves/1",
            json!(vec![[0.0, 0.0]; 2000]),
            "2000 knots",
        ),
    ]);
}

/// Files from before there were curves have none, and predict all else as ever.
#[test]
fn curves_need_not_be_there() {
    let mut edited = document(whole());
    edited.as_object_mut().unwrap().remove("matching").unwrap();
    let old = load(&with_document(whole(), &edited)).unwrap();
    let error = Model::new(old.clone(), Decoding::Matched).err().unwrap();
    assert!(error.to_string().contains("train it again"), "{error}");
    let values = |bundle: &Bundle, decoding| {
        let rows = two_rows(bundle);
        Model::new(bundle.clone(), decoding)
            .unwrap()
            .predict(&rows)
            .values
    };
    let expectations = values(&old, Decoding::Expectation);
    assert_eq!(expectations, values(&whole().0, Decoding::Expectation));
    assert_ne!(expectations, values(&whole().0, Decoding::Matched));
}

/// Located labels come with the same predictions, and are where quantiles say they are.
#[test]
fn labels_are_located_in_what_is_predicted() {
    for (bundle, _) in wholes() {
        let model = Model::new(bundle.clone(), Decoding::Expectation).unwrap();
        let rows = two_rows(bundle);
        let predictions = model.predict(&rows);
        let labels = [0.0, 1e9, f64::NAN, 0.0];
        let (again, located) = model.locate(&rows, &labels);
        assert_eq!(again, predictions);
        let places: Vec<&[f64]> = located.chunks(2).collect();
        assert_eq!((places.len(), places[1]), (4, &[1.0, 1.0][..]));
        let (_, at_zero) = model.locate(&rows, &[0.0; 4]);
        for (row, positive) in at_zero.chunks(4).zip(predictions.positive.chunks(2)) {
            assert_eq!((row[0], row[2]), (0.0, 0.0));
            let found = [1.0 - row[1], 1.0 - row[3]];
            let mended = found[0] > found[1];
            let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
            let as_told = near(found[0], positive[0]) && near(found[1], positive[1]);
            // Put in order, both are one number between the two.
            let between = near(positive[0], positive[1])
                && (found[1] - 1e-6..found[0] + 1e-6).contains(&positive[0]);
            let ok = if mended { between } else { as_told };
            assert!(ok, "{found:?} {positive:?}");
        }
    }
}

/// Days share a table: a hundred sequences of 700 days make no large file, but a large row.
#[test]
fn a_small_document_cannot_ask_for_a_huge_row() {
    let whole = &wholes()[8];
    let mut edited = document(whole);
    let feature = |i: usize| FeatureEncoding {
        name: format!("s{i}"),
        columns: (0..700).map(|d| format!("s{i}_d{d}")).collect(),
        cells: Cells::Bins { edges: vec![] },
        scale: None,
    };
    let encoding = Encoding {
        cohort: None,
        features: (0..100).map(feature).collect(),
        plain: vec![],
    };
    edited["spec"]["fields"] = json!(encoding.field_cells());
    edited["spec"]["numbers"] = json!(0);
    edited["spec"]["sequences"] = json!(DaySequence::all(&encoding));
    edited["encoding"] = json!(encoding);
    let error = load(&with_document(whole, &edited)).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("model.embedding: 70000 fields of 2"),
        "{error}"
    );
}

#[test]
fn weights_must_be_finite() {
    let mut broken = whole().0.clone();
    broken.weights.dense[0] = f32::NAN;
    let error = load(&broken.encode().unwrap().0).unwrap_err().to_string();
    assert!(error.contains("not finite"), "{error}");
}

/// Every path to a value of the document.
fn pointers(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_string());
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(key, v)| pointers(v, &format!("{at}/{key}"), out)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(i, v)| pointers(v, &format!("{at}/{i}"), out)),
        _ => {}
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!({})),
        prop::sample::select(vec![
            "strict",
            "ziln",
            "mixture",
            "mmoe",
            "ple",
            "dcn",
            "cnn",
            "transformer",
        ])
        .prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        prop_oneof![0u64..10, Just(u64::MAX), Just(1 << 40)].prop_map(Value::from),
        prop_oneof![-2.0..2.0, Just(1e300), Just(-0.0), Just(5e-324)].prop_map(Value::from),
        prop::collection::vec(0u32..70, 0..4).prop_map(Value::from),
    ]
}

proptest! {
    /// One byte changed anywhere: refused, or (white space) the same model.
    #[test]
    fn no_damaged_byte_passes(at in any::<prop::sample::Index>(), flip in 1u8..) {
        let (bundle, bytes) = whole();
        let mut damaged = bytes.clone();
        let at = at.index(bytes.len());
        damaged[at] ^= flip;
        match load(&damaged) {
            Ok(loaded) => prop_assert_eq!(&loaded, bundle),
            Err(error) => prop_assert!(error.to_string().starts_with(PATH)),
        }
    }

    /// Any one value of the document replaced, and the checksum made to fit: refused, or a model
    /// that predicts.
    #[test]
    fn no_edited_document_panics(
        which in 0..choices().len(),
        at in any::<prop::sample::Index>(),
        value in any_value(),
    ) {
        let whole = &wholes()[which];
        let mut edited = document(whole);
        let mut all = vec![];
        pointers(&edited, "", &mut all);
        let pointer = &all[at.index(all.len())];
        *edited.pointer_mut(pointer).unwrap() = value;
        match load(&with_document(whole, &edited)) {
            Ok(loaded) => {
                let rows = two_rows(&loaded);
                let decoding = match loaded.document.matching {
                    Some(_) => Decoding::Matched,
                    None => Decoding::Expectation,
                };
                let model = Model::new(loaded, decoding).unwrap();
                let predictions = model.predict(&rows);
                prop_assert!(predictions.values.iter().all(|v| v.is_finite()));
            }
            Err(error) => prop_assert!(error.to_string().starts_with(PATH)),
        }
    }
}
