//! The network: a representation of the user, one head for each horizon (of the paper: an MDME
//! module, with Mono Units between them), and all losses (paper section 3, Figures 2 and 3).

pub use crate::heads::{Head, HorizonColumns};

use crate::{
    heads::{self, Below},
    represent,
    spec::Spec,
};
use ltv_core::config::Mono;
use ltv_nn::{Graph, Node, Real, graph::Builder};

/// A built network with the nodes and columns that its users need.
pub struct Odmn<T> {
    /// The graph.
    pub graph: Graph<T>,
    /// One head for each horizon.
    pub heads: Vec<Head>,
    /// Target columns for each horizon; empty for inference.
    pub columns: Vec<HorizonColumns>,
}

/// Rows worked on at a time.
pub const TILE: usize = 128;

/// Builds the network to train: all towers and losses.
pub fn training<T: Real>(spec: &Spec) -> Odmn<T> {
    build(Builder::training(), spec, TILE)
}

/// Builds the network to predict with: without ordinal towers, which decoding does not need.
pub fn inference<T: Real>(spec: &Spec) -> Odmn<T> {
    build(Builder::inference(), spec, TILE)
}

/// Builds either network with tiles of so many rows.
pub fn build<T: Real>(mut b: Builder<T>, spec: &Spec, tile: usize) -> Odmn<T> {
    let representation = represent::build(&mut b, spec);
    let ages = (spec.trends > 0).then(|| b.aside(spec.trends));
    let mut heads: Vec<Head> = vec![];
    let mut columns = vec![];
    for (t, &v) in representation.iter().enumerate() {
        let chained = spec.model.monotone && spec.model.mono != Mono::Off;
        let upstream = heads
            .last()
            .filter(|_| chained)
            .and_then(|h| h.buckets())
            .map(|h| h.distribution.detached());
        let below = Below {
            v,
            age: ages.map(|ages| ages.slice(t..t + 1)),
            upstream,
        };
        let (head, column) = heads::build(&mut b, spec, t, below);
        heads.push(head);
        columns.extend(column);
    }
    if b.is_training() && spec.model.monotone {
        calibrate(&mut b, spec, &heads);
    }
    Odmn {
        graph: b.build(tile),
        heads,
        columns,
    }
}

/// Calibration loss (eq. 12): `mean of sum over t of max(yhat_t - yhat_{t+1}, 0) / s_{t+1}`, of
/// heads with a bucket distribution.
fn calibrate<T: Real>(b: &mut Builder<T>, spec: &Spec, heads: &[Head]) {
    let heads = heads.iter().filter_map(Head::buckets);
    let expected: Vec<Node> = heads.map(|h| h.expectation(b)).collect();
    for (pair, buckets) in expected.windows(2).zip(&spec.horizons[1..]) {
        b.hinge("cali", spec.model.alpha, pair[0], pair[1], buckets.mean);
    }
}
