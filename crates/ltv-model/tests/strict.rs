//! What a strict Mono Unit guarantees, on the network as it is built (DESIGN 3.8).
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use ltv_core::config::Mono;
use ltv_model::{
    odmn::{self, Odmn},
    spec::Spec,
    yardstick::Sizes,
};
use ltv_nn::{Batch, Runner, layout::Kind, trainer::Weights};
use proptest::prelude::*;

const SEGMENTS: usize = 2;
const BUCKETS: usize = 4;
const HORIZONS: usize = 3;

fn spec() -> Spec {
    let sizes = Sizes {
        fields: vec![3],
        embedding: 2,
        bottom: vec![4],
        horizons: HORIZONS,
        segments: SEGMENTS,
        buckets: BUCKETS,
        tower: 3,
        mono: 3,
    };
    let mut spec = sizes.spec();
    spec.model.mono = Mono::Strict;
    spec
}

/// The distributions of all horizons. Towers say only their biases: those of the first horizon make
/// it `upstream`, the others have `own` logits; Mono Units have weights `raw`.
fn distributions(spec: &Spec, upstream: &[f64], own: &[f64], raw: &[f64]) -> Vec<Vec<f64>> {
    let Odmn { graph, heads, .. } = odmn::inference::<f64>(spec);
    let layout = graph.layout();
    let mut weights = Weights {
        dense: vec![0.0; layout.dense],
        tables: vec![0.0; layout.table],
    };
    let mut own = own.iter().cycle();
    let mut raw = raw.iter().cycle();
    for param in &layout.params {
        let out = weights.of_mut(param);
        if param.kind == Kind::NonNegative || param.name.contains("mono") {
            out.fill_with(|| *raw.next().unwrap());
        } else if !param.name.starts_with("t0.") && param.name.ends_with(".2.b") {
            out.fill_with(|| *own.next().unwrap());
        }
    }
    let mut set = |name: &str, logits: Vec<f64>| {
        let param = layout.find(&format!("t0.{name}.2.b")).unwrap();
        weights.of_mut(param).copy_from_slice(&logits);
    };
    let segments = upstream.chunks_exact(BUCKETS);
    let mass = segments.clone().map(|s| s.iter().sum::<f64>().ln());
    set("dct", mass.collect());
    for (k, segment) in segments.enumerate() {
        set(&format!("bct{k}"), segment.iter().map(|p| p.ln()).collect());
    }
    let batch = Batch::new(graph.shape(), 1);
    let mut out = vec![vec![]];
    Runner::new(graph, weights).run(&batch, &mut out, 1, |outputs, rows| {
        let of = |node: ltv_nn::Node| (0..node.width()).map(move |u| (node, u));
        for head in &heads {
            let head = head.buckets().unwrap();
            let values = of(head.distribution).map(|(node, u)| outputs.feature(node, u)[0]);
            rows[0].push(values.collect::<Vec<f64>>());
        }
    });
    out.swap_remove(0)
}

/// `P(bucket >= u)`.
fn survival(o: &[f64]) -> Vec<f64> {
    (0..o.len()).map(|u| o[u..].iter().sum()).collect()
}

proptest! {
    /// Mass that moves right upstream moves none left downstream.
    #[test]
    fn dominance(
        upstream in prop::collection::vec(0.01f64..1.0, SEGMENTS * BUCKETS),
        (from, to) in (0..SEGMENTS * BUCKETS - 1).prop_flat_map(|i| (Just(i), i + 1..SEGMENTS * BUCKETS)),
        share in 0.1f64..0.95,
        own in prop::collection::vec(-3.0f64..3.0, 31),
        raw in prop::collection::vec(-3.0f64..2.0, 97),
    ) {
        let spec = spec();
        let total: f64 = upstream.iter().sum();
        let before: Vec<f64> = upstream.iter().map(|p| p / total).collect();
        let mut after = before.clone();
        after[from] -= share * before[from];
        after[to] += share * before[from];
        let a = distributions(&spec, &before, &own, &raw);
        let b = distributions(&spec, &after, &own, &raw);
        for (given, built) in [(&before, &a[0]), (&after, &b[0])] {
            prop_assert!(given.iter().zip(built).all(|(x, y)| (x - y).abs() < 1e-12));
        }
        for t in 1..HORIZONS {
            for (low, high) in survival(&a[t]).iter().zip(survival(&b[t])) {
                prop_assert!(high >= low - 1e-12, "horizon {t}: {low} then {high}");
            }
        }
    }
}

/// The law above is not empty: the downstream does move.
#[test]
fn it_moves() {
    let spec = spec();
    let (mut low, mut high) = ([0.01; 8], [0.01; 8]);
    (low[0], high[7]) = (0.93, 0.93);
    let a = distributions(&spec, &low, &[0.0], &[-0.5]);
    let b = distributions(&spec, &high, &[0.0], &[-0.5]);
    let moved = survival(&b[1])[7] - survival(&a[1])[7];
    assert!(moved > 0.01, "{moved}");
}
