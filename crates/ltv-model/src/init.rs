//! First weights.

use crate::{buckets::Buckets, spec::Spec};
use ltv_core::seed;
use ltv_nn::{Layout, Real, layout::Kind, trainer::Weights};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Raw non-negative weights start around softplus^-1(0.13).
const MONO_START: f64 = -2.0;
/// Half the range of first embeddings.
const EMBEDDING: f64 = 0.1;

/// Draws the first weights: embeddings uniform in +-0.1; hidden layers uniform with He's variance
/// (ICCV 2015); a tower's second layer a tenth of that, so that training starts at its bias; biases
/// zero, but the output biases, which start at the training priors (DESIGN 7): log shares for the
/// softmax towers, log odds for the ordinal ones, the mean position in each bucket for BBT.
///
/// Every parameter has its own random stream, named after it.
pub fn weights<T: Real>(spec: &Spec, layout: &Layout, seed_: u64) -> Weights<T> {
    let mut weights = Weights {
        dense: vec![T::ZERO; layout.dense],
        tables: vec![T::ZERO; layout.table],
    };
    for param in &layout.params {
        let mut rng =
            ChaCha8Rng::seed_from_u64(seed::derive(seed_, &format!("init/{}", param.name)));
        let mut uniform = |low: f64, high: f64| T::of(low + (high - low) * rng.random::<f64>());
        let values = weights.of_mut(param);
        let he = (6.0 / param.cols as f64).sqrt();
        match param.kind {
            Kind::Table => values.fill_with(|| uniform(-EMBEDDING, EMBEDDING)),
            Kind::NonNegative => values.fill_with(|| uniform(MONO_START - 0.1, MONO_START + 0.1)),
            Kind::Dense if param.name.ends_with(".2.w") => {
                values.fill_with(|| uniform(-0.1 * he, 0.1 * he));
            }
            Kind::Dense if param.name.ends_with(".w") => values.fill_with(|| uniform(-he, he)),
            Kind::Dense => {}
        }
    }
    for (t, buckets) in spec.horizons.iter().enumerate() {
        for (name, prior) in priors(buckets) {
            if let Some(param) = layout.find(&format!("t{t}.{name}.2.b")) {
                let out = weights.of_mut(param);
                out.iter_mut().zip(prior).for_each(|(w, p)| *w = T::of(p));
            }
        }
    }
    weights
}

/// First output biases of every tower of a horizon, by tower name.
fn priors(buckets: &Buckets) -> Vec<(String, Vec<f64>)> {
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

fn log_odds(p: f64) -> f64 {
    let p = p.clamp(0.001, 0.999);
    (p / (1.0 - p)).ln()
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
