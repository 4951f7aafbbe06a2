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

/// A tower to be built: its name and outputs.
struct Tower {
    name: String,
    outputs: usize,
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
        let loss = Losses {
            b,
            spec,
            towers: &towers,
            prefix: format!("t{t}."),
        };
        loss.classes("dct", "dot", dct, c.segment, spec.model.beta);
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
            let loss = Losses {
                b,
                spec,
                towers: &towers,
                prefix: format!("t{t}."),
            };
            let (bct, bot) = (format!("bct{k}"), format!("bot{k}"));
            loss.classes(&bct, &bot, s, c.buckets[k], spec.model.gamma);
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
    let list = towers(t, buckets, b.is_training());
    let width = spec.model.tower;
    let parts: Vec<(String, usize)> = list
        .iter()
        .map(|tower| (format!("{}.1", tower.name), width))
        .collect();
    let parts: Vec<(&str, usize)> = parts.iter().map(|(n, w)| (n.as_str(), *w)).collect();
    let layer = b.dense(&parts, v.width());
    let hidden = b.linear(v, layer, true);
    Towers {
        hidden,
        names: list.into_iter().map(|t| t.name).collect(),
        width,
    }
}

/// All towers of a horizon; those that only training needs come last.
fn towers(t: usize, buckets: &Buckets, training: bool) -> Vec<Tower> {
    let mut list = vec![];
    let mut add = |name: String, outputs: usize| {
        if outputs > 0 {
            list.push(Tower {
                name: format!("t{t}.{name}"),
                outputs,
            });
        }
    };
    let several = |s: &Segment| {
        if s.buckets.len() > 1 {
            s.buckets.len()
        } else {
            0
        }
    };
    add("dct".into(), buckets.segments.len());
    for (k, s) in buckets.segments.iter().enumerate() {
        add(format!("bct{k}"), several(s));
        add(format!("bbt{k}"), s.slots().into_iter().flatten().count());
    }
    if training {
        add("dot".into(), buckets.segments.len() - 1);
        for (k, s) in buckets.segments.iter().enumerate() {
            add(format!("bot{k}"), several(s).saturating_sub(1));
        }
    }
    debug_assert!(list.iter().all(|t| t.outputs > 0));
    list
}

struct Losses<'a, 'b, T> {
    b: &'a mut Builder<T>,
    spec: &'b Spec,
    towers: &'b Towers,
    prefix: String,
}

impl<T: Real> Losses<'_, '_, T> {
    /// Classification, ordinal regression and distillation of one softmax tower (eq. 14).
    fn classes(self, softmax: &str, ordinal: &str, s: Softmax, column: usize, weight: f64) {
        let Self {
            b, towers, prefix, ..
        } = self;
        let _ = self.spec;
        b.cross_entropy(&format!("{prefix}{softmax}_ce"), 1.0, s, column);
        let k = s.logits.width();
        let Some(logits) = towers.output(b, &format!("{prefix}{ordinal}"), k - 1) else {
            return;
        };
        let above = b.ordinal(&format!("{prefix}{ordinal}_ord"), 1.0, logits, column);
        b.distill(&format!("{prefix}{softmax}_dis"), weight, s, above, column);
    }
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
