//! Values of the reference implementation in NumPy, stored once.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use ltv_eval::{Metric, Null, order_violations, score};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
    order: Order,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    labels: Vec<f64>,
    predictions: Vec<f64>,
    metrics: BTreeMap<String, Option<f64>>,
}

#[derive(Deserialize)]
struct Order {
    horizons: usize,
    predictions: Vec<f64>,
    adjacent: Vec<f64>,
    any: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/metrics.json")).unwrap()
}

fn metric(name: &str) -> Metric {
    match name {
        "bias" => Metric::Bias,
        "calibration" => Metric::CalibrationRatio,
        other => Metric::from_name(other).unwrap(),
    }
}

#[test]
fn metrics_agree_with_the_reference() {
    for case in golden().cases {
        let scores = score(&case.name, &case.labels, &case.predictions).unwrap();
        for (name, expected) in &case.metrics {
            let found = scores.value(metric(name));
            let same = match (found, *expected) {
                (Some(a), Some(b)) => (a - b).abs() <= 1e-12 * b.abs().max(1.0),
                (a, b) => a.is_none() && b.is_none(),
            };
            assert!(
                same,
                "{}, {name}: {found:?} but the reference has {expected:?}",
                case.name
            );
        }
    }
}

#[test]
fn nulls_carry_their_reason() {
    let golden = golden();
    let case = |name: &str| golden.cases.iter().find(|case| case.name == name).unwrap();
    let reason = |name: &str, metric| {
        let case = case(name);
        let scores = score("x", &case.labels, &case.predictions).unwrap();
        scores.score(metric).unwrap().reason
    };
    let zero = "all zero predictions";
    assert_eq!(
        reason(zero, Metric::MutualGini),
        Some(Null::ZeroPredictions)
    );
    assert_eq!(
        reason(zero, Metric::Spearman),
        Some(Null::ConstantPredictions)
    );
    assert_eq!(
        reason("positive labels only", Metric::Auc),
        Some(Null::OneClass)
    );
}

#[test]
fn order_violations_agree_with_the_reference() {
    let order = golden().order;
    let found = order_violations(&order.predictions, order.horizons).unwrap();
    assert_eq!((found.adjacent, found.any), (order.adjacent, order.any));
}
