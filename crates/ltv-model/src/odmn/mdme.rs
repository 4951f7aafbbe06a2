//! Multi Distribution Multi Experts: one horizon (paper section 3.3, Figure 3).
//!
//! DSM: DCT (softmax over sub-distributions) and DOT (their order). SDM, for each
//! sub-distribution: BCT (softmax over buckets), BOT (their order) and BBT (position in the
//! bucket). A sub-distribution of one bucket has neither BCT nor BOT; one of single values only
//! has no BBT.

use super::mono;
use crate::{
    buckets::{Buckets, Segment},
    spec::Spec,
};
use ltv_nn::{Node, Real, graph::Builder, ops::Softmax};

/// The outputs of one horizon.
#[derive(Debug, Clone)]
pub struct Head {
    /// Probabilities of the sub-distributions, `[S]`.
    pub segments: Node,
    /// `o_t`, the normalised bucket multinomial distribution, `[U]`.
    pub distribution: Node,
    /// For every bucket its left edge, its width and its bias node `[1]`, if it has one.
    pub buckets: Vec<(f64, f64, Option<Node>)>,
}

impl Head {
    /// `yhat_t`, the expectation under the bucket distribution, `[1]`.
    pub(super) fn expectation<T: Real>(&self, b: &mut Builder<T>) -> Node {
        b.expectation(self.distribution, &self.buckets)
    }
}

/// Target columns of one horizon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HorizonColumns {
    /// Class column of the sub-distribution.
    pub segment: usize,
    /// For every sub-distribution, the class column of the bucket; -1 for rows outside it.
    pub buckets: Vec<usize>,
    /// Numeric column of the position in the bucket.
    pub bias: usize,
}

/// The hidden layers of all towers are one product; this hands out their slices.
struct Towers {
    hidden: Node,
    names: Vec<String>,
    width: usize,
}

impl Towers {
    /// `tower(v) = w2 relu(w1 v + b1) + b2`.
    fn output<T: Real>(&self, b: &mut Builder<T>, name: &str, outputs: usize) -> Option<Node> {
        let i = self.names.iter().position(|n| n == name)?;
        let hidden = self.hidden.slice(i * self.width..(i + 1) * self.width);
        let layer = b.dense(&[(&format!("{name}.2"), outputs)], self.width);
        Some(b.linear(hidden, layer, false))
    }
}

/// Builds a horizon: its towers, its losses when training.
pub(super) fn build<T: Real>(
    b: &mut Builder<T>,
    spec: &Spec,
    t: usize,
    buckets: &Buckets,
    v: Node,
    upstream: Option<Node>,
) -> (Head, Option<HorizonColumns>) {
    let towers = hidden(b, spec, t, buckets, v);
    let columns = b.is_training().then(|| HorizonColumns {
        segment: b.class_column(),
        buckets: buckets.segments.iter().map(|_| b.class_column()).collect(),
        bias: b.target_column(),
    });
    let shifts = mono::shifts(b, spec, t, buckets, upstream);
    let s_count = buckets.segments.len();
    let segment = |b: &mut Builder<T>, name: &str, k: usize, shift: Option<Node>| {
        let logits = towers.output(b, name, k)?;
        let logits = shift.map_or(logits, |shift| b.add(logits, shift));
        Some(b.softmax(logits))
    };
    let Some(dct) = segment(b, &format!("t{t}.dct"), s_count, shifts[0]) else {
        unreachable!("every horizon has a DCT")
    };
    if let Some(c) = &columns {
        let names = [format!("t{t}.dct"), format!("t{t}.dot")];
        classes(b, &towers, &names, dct, c.segment, spec.model.beta);
    }
    let mut within = vec![];
    let mut list = vec![];
    for (k, part) in buckets.segments.iter().enumerate() {
        let bct = segment(
            b,
            &format!("t{t}.bct{k}"),
            part.buckets.len(),
            shifts[k + 1],
        );
        within.push(bct.map(|s| s.probabilities));
        if let (Some(s), Some(c)) = (bct, &columns) {
            let names = [format!("t{t}.bct{k}"), format!("t{t}.bot{k}")];
            classes(b, &towers, &names, s, c.buckets[k], spec.model.gamma);
        }
        let biases = bias(b, &towers, t, k, part, columns.as_ref());
        list.extend(biases);
    }
    let distribution = b.mixture(dct.probabilities, &within);
    (
        Head {
            segments: dct.probabilities,
            distribution,
            buckets: list,
        },
        columns,
    )
}

/// First layers of all towers of a horizon, side by side.
fn hidden<T: Real>(
    b: &mut Builder<T>,
    spec: &Spec,
    t: usize,
    buckets: &Buckets,
    v: Node,
) -> Towers {
    let names = tower_names(t, buckets, b.is_training());
    let width = spec.model.tower;
    let first: Vec<String> = names.iter().map(|name| format!("{name}.1")).collect();
    let parts: Vec<(&str, usize)> = first.iter().map(|n| (n.as_str(), width)).collect();
    let layer = b.dense(&parts, v.width());
    let hidden = b.linear(v, layer, true);
    Towers {
        hidden,
        names,
        width,
    }
}

/// All towers of a horizon; those that only training needs come last.
fn tower_names(t: usize, buckets: &Buckets, training: bool) -> Vec<String> {
    let several = |s: &Segment| s.buckets.len() > 1;
    let segments = || buckets.segments.iter().enumerate();
    let mut names = vec![format!("t{t}.dct")];
    for (k, s) in segments() {
        names.extend(several(s).then(|| format!("t{t}.bct{k}")));
        let wide = s.buckets.iter().any(|b| b.width > 0.0);
        names.extend(wide.then(|| format!("t{t}.bbt{k}")));
    }
    if training {
        names.push(format!("t{t}.dot"));
        names.extend(
            segments()
                .filter(|(_, s)| several(s))
                .map(|(k, _)| format!("t{t}.bot{k}")),
        );
    }
    names
}

/// Classification, ordinal regression and distillation of one softmax tower (eq. 14), given the
/// names of it and its ordinal tower.
fn classes<T: Real>(
    b: &mut Builder<T>,
    towers: &Towers,
    [softmax, ordinal]: &[String; 2],
    s: Softmax,
    column: usize,
    weight: f64,
) {
    b.cross_entropy(&format!("{softmax}_ce"), 1.0, s, column);
    let k = s.logits.width();
    let Some(logits) = towers.output(b, ordinal, k - 1) else {
        return;
    };
    let above = b.ordinal(&format!("{ordinal}_ord"), 1.0, logits, column);
    b.distill(&format!("{softmax}_dis"), weight, s, above, column);
}

/// The buckets of a sub-distribution with their bias nodes, and the bias regression (eq. 6).
fn bias<T: Real>(
    b: &mut Builder<T>,
    towers: &Towers,
    t: usize,
    k: usize,
    segment: &Segment,
    columns: Option<&HorizonColumns>,
) -> Vec<(f64, f64, Option<Node>)> {
    let slots = segment.slots();
    let count = slots.iter().flatten().count();
    let logits = towers.output(b, &format!("t{t}.bbt{k}"), count);
    let s = logits.map(|logits| b.sigmoid(logits));
    if let (Some(s), Some(c)) = (s, columns) {
        let name = format!("t{t}.bbt{k}_mse");
        b.pick_squared_error(&name, 1.0, s, &slots, (c.buckets[k], c.bias));
    }
    let node = |slot: Option<usize>| s.zip(slot).map(|(s, j)| s.slice(j..j + 1));
    let buckets = segment.buckets.iter().zip(slots);
    buckets
        .map(|(bucket, slot)| (bucket.left, bucket.width, node(slot)))
        .collect()
}
