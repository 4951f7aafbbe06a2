//! Multi Distribution Multi Experts: one horizon (paper section 3.3, Figure 3).
//!
//! DSM: DCT (softmax over sub-distributions) and DOT (their order). SDM, for each
//! sub-distribution: BCT (softmax over buckets), BOT (their order) and BBT (position in the
//! bucket). A sub-distribution of one bucket has neither BCT nor BOT; one of single values only
//! has no BBT.
//!
//! Without [`ModelConfig::bias`] there is no BBT: a bucket stands for its middle. Without
//! [`ModelConfig::ordinal`] there are neither DOT nor BOT, and nothing is distilled. With both off
//! this is the paper's NM, with one of them NMB or NMO (section 5.3.1).
//!
//! With [`ModelConfig::trend`] the softmax towers have a trend over cohorts. Their ordinal teachers
//! have none, which holds it back a little: on later users that was better than a trend in all towers
//! (docs/results/accuracy.md).
//!
//! [`ModelConfig::trend`]: ltv_core::config::ModelConfig::trend
//! [`ModelConfig::bias`]: ltv_core::config::ModelConfig::bias
//! [`ModelConfig::ordinal`]: ltv_core::config::ModelConfig::ordinal

use super::{
    Below, Head, HorizonColumns, LikelihoodTerm, TargetColumns, log_odds, mono, towers::Towers,
};
use crate::{
    buckets::{Buckets, Segment},
    spec::Spec,
};
use ltv_core::config::ModelConfig;
use ltv_nn::{Batch, Node, Real, graph::Builder, ops::Softmax};

/// Where in a bucket without a bias tower its mass lies on average.
pub const MIDDLE: f64 = 0.5;

/// The outputs of one horizon.
#[derive(Debug, Clone)]
pub struct BucketHead {
    /// Probabilities of the sub-distributions, `[S]`.
    pub segments: Node,
    /// Number of buckets of each sub-distribution.
    pub sizes: Vec<usize>,
    /// `o_t`, the normalised bucket multinomial distribution, `[U]`.
    pub distribution: Node,
    /// For every bucket its left edge, its width and its bias node `[1]`; a bucket of positive
    /// width without one stands for its middle.
    pub buckets: Vec<(f64, f64, Option<Node>)>,
}

impl BucketHead {
    /// `yhat_t`, the expectation under the bucket distribution, `[1]`.
    pub(crate) fn expectation<T: Real>(&self, b: &mut Builder<T>) -> Node {
        let effective = |&(left, width, bias): &(f64, f64, Option<Node>)| match bias {
            Some(_) => (left, width, bias),
            None => (left + MIDDLE * width, 0.0, None),
        };
        let buckets: Vec<_> = self.buckets.iter().map(effective).collect();
        b.expectation(self.distribution, &buckets)
    }
}

/// Target columns of one horizon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketColumns {
    /// Class column of the sub-distribution.
    pub segment: usize,
    /// For every sub-distribution, the class column of the bucket; -1 for rows outside it.
    pub buckets: Vec<usize>,
    /// Numeric column of the position in the bucket.
    pub bias: usize,
}

impl BucketColumns {
    /// Writes the targets of one row.
    pub(super) fn fill<T: Real>(
        &self,
        buckets: &Buckets,
        label: f64,
        row: usize,
        batch: &mut Batch<T>,
    ) {
        let n = batch.rows;
        let place = buckets.place(label);
        batch.classes[self.segment * n + row] = place.segment as i32;
        batch.classes[self.buckets[place.segment] * n + row] = place.bucket as i32;
        batch.targets[self.bias * n + row] = T::of(place.bias);
    }

    /// The likelihood of a row's bucket is that of its sub-distribution times that of its bucket
    /// within it. A sub-distribution of one bucket has no term: its bucket is certain.
    fn with_likelihood(self, t: usize, buckets: &Buckets) -> HorizonColumns {
        let dct = LikelihoodTerm {
            term: format!("t{t}.dct_ce"),
            column: self.segment,
        };
        let several = |(k, _): &(usize, &usize)| buckets.segments[*k].buckets.len() > 1;
        let bct = |(k, &column)| LikelihoodTerm {
            term: format!("t{t}.bct{k}_ce"),
            column,
        };
        let within = self.buckets.iter().enumerate().filter(several).map(bct);
        HorizonColumns {
            mature: self.segment,
            likelihood: std::iter::once(dct).chain(within).collect(),
            targets: TargetColumns::Buckets(self),
        }
    }
}

/// Builds a horizon: its towers, its losses when training.
pub(super) fn build<T: Real>(
    b: &mut Builder<T>,
    spec: &Spec,
    t: usize,
    below: Below,
) -> (Head, Option<HorizonColumns>) {
    let buckets = &spec.horizons[t];
    let names = tower_names(t, buckets, &spec.model, b.is_training());
    let towers = Towers::new(b, names, spec.model.tower, below);
    let columns = b.is_training().then(|| BucketColumns {
        segment: b.class_column(),
        buckets: buckets.segments.iter().map(|_| b.class_column()).collect(),
        bias: b.target_column(),
    });
    let shifts = mono::shifts(b, spec, t, buckets, below.upstream);
    let s_count = buckets.segments.len();
    let segment = |b: &mut Builder<T>, name: &str, k: usize, shift: Option<Node>| {
        let logits = towers.trending(b, name, k)?;
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
    let head = BucketHead {
        segments: dct.probabilities,
        sizes: buckets.segments.iter().map(|s| s.buckets.len()).collect(),
        distribution: b.mixture(dct.probabilities, &within),
        buckets: list,
    };
    let columns = columns.map(|c| c.with_likelihood(t, buckets));
    (Head::Buckets(head), columns)
}

/// All towers of a horizon; those that only training needs come last.
fn tower_names(t: usize, buckets: &Buckets, model: &ModelConfig, training: bool) -> Vec<String> {
    let several = |s: &Segment| s.buckets.len() > 1;
    let segments = || buckets.segments.iter().enumerate();
    let mut names = vec![format!("t{t}.dct")];
    for (k, s) in segments() {
        names.extend(several(s).then(|| format!("t{t}.bct{k}")));
        let wide = model.bias && s.buckets.iter().any(|b| b.width > 0.0);
        names.extend(wide.then(|| format!("t{t}.bbt{k}")));
    }
    if training && model.ordinal {
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
    columns: Option<&BucketColumns>,
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

/// First output biases of every tower of a horizon, by tower name.
pub(super) fn priors(buckets: &Buckets) -> Vec<(String, Vec<f64>)> {
    let segments: Vec<u64> = buckets.segments.iter().map(|s| s.rows()).collect();
    let mut list = vec![
        ("dct".into(), shares(&segments)),
        ("dot".into(), odds_above(&segments)),
    ];
    for (k, segment) in buckets.segments.iter().enumerate() {
        let rows: Vec<u64> = segment.buckets.iter().map(|b| b.rows).collect();
        list.push((format!("bct{k}"), shares(&rows)));
        list.push((format!("bot{k}"), odds_above(&rows)));
        let wide = segment.buckets.iter().filter(|b| b.width > 0.0);
        list.push((format!("bbt{k}"), wide.map(|b| log_odds(b.bias)).collect()));
    }
    list
}

/// Log shares, an empty class counting half a row.
fn shares(rows: &[u64]) -> Vec<f64> {
    let total: u64 = rows.iter().sum();
    let share = |&n: &u64| (n as f64).max(0.5) / total.max(1) as f64;
    rows.iter().map(|n| share(n).ln()).collect()
}

/// `log P(class > u) / P(class <= u)` for every `u` but the last.
fn odds_above(rows: &[u64]) -> Vec<f64> {
    let total: u64 = rows.iter().sum();
    let mut up_to = 0;
    let mut out = vec![];
    for n in &rows[..rows.len() - 1] {
        up_to += n;
        out.push(log_odds(1.0 - up_to as f64 / total.max(1) as f64));
    }
    out
}
