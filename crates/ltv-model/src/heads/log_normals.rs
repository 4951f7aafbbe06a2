//! Zero-inflated log-normals: one horizon whose value is zero, or drawn from one log-normal (Wang,
//! Liu and Miao, 2019) or from a mixture of several.
//!
//! The mixture is close to OptDist (Weng et al., CIKM 2024): log-normal experts, and a selector that
//! says which of them fits a user. It differs in the loss, which is the likelihood of the mixture
//! itself. OptDist trains the experts through a Gumbel-softmax choice of one, and aligns the selector
//! with the expert of the largest likelihood by a loss of its own; here the selector's probabilities
//! are the shares of the mixture, and the likelihood alone teaches them. Predictions are the
//! mixture's own, not the chosen expert's.

use super::{Below, Head, HorizonColumns, LikelihoodTerm, TargetColumns, log_odds, towers::Towers};
use crate::{
    buckets::{Bucket, Buckets},
    init::softplus_inverse,
    spec::Spec,
};
use ltv_core::config::{HeadKind, ModelConfig};
use ltv_nn::{Batch, Real, graph::Builder, ops::LogNormals};

/// The outputs of one horizon.
#[derive(Debug, Clone)]
pub struct LogNormalHead {
    /// Log odds of a value above zero, shares, locations and raw scales.
    pub outputs: LogNormals,
    /// The largest value that is predicted ([`Buckets::largest_label`]).
    pub cap: f64,
}

/// Target columns of one horizon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogNormalColumns {
    /// Class column: 0 for a value of zero, 1 for one above, -1 for null.
    pub positive: usize,
    /// Numeric column of the value's logarithm.
    pub logarithm: usize,
}

impl LogNormalColumns {
    /// Writes the targets of one row.
    pub(super) fn fill<T: Real>(&self, label: f64, row: usize, batch: &mut Batch<T>) {
        let positive = label > 0.0;
        batch.classes[self.positive * batch.rows + row] = i32::from(positive);
        if positive {
            batch.targets[self.logarithm * batch.rows + row] = T::of(label.ln());
        }
    }
}

/// Log-normals of a head.
pub(super) fn components(model: &ModelConfig) -> usize {
    match model.head {
        HeadKind::Mixture => model.components,
        HeadKind::Mdme | HeadKind::Ziln => 1,
    }
}

/// Builds a horizon: its towers, its losses when training.
pub(super) fn build<T: Real>(
    b: &mut Builder<T>,
    spec: &Spec,
    t: usize,
    below: Below,
) -> (Head, Option<HorizonColumns>) {
    let k = components(&spec.model);
    let mut outputs = vec![("positive", 1), ("location", k), ("scale", k)];
    outputs.extend((k > 1).then_some(("share", k)));
    let names = outputs.iter().map(|(n, _)| format!("t{t}.{n}")).collect();
    let towers = Towers::new(b, names, spec.model.tower, below);
    let name = |name: &str| format!("t{t}.{name}");
    let all = (
        towers.trending(b, &name("positive"), 1),
        towers.trending(b, &name("location"), k),
        towers.output(b, &name("scale"), k),
    );
    let shares = towers.output(b, &name("share"), k);
    let (Some(positive), Some(locations), Some(scales)) = all else {
        unreachable!("every horizon has these towers")
    };
    let outputs = LogNormals {
        positive,
        shares: shares.map(|logits| b.softmax(logits)),
        locations,
        scales,
    };
    let columns = b.is_training().then(|| losses(b, t, outputs));
    let cap = spec.horizons[t].largest_label();
    (Head::LogNormals(LogNormalHead { outputs, cap }), columns)
}

fn losses<T: Real>(b: &mut Builder<T>, t: usize, outputs: LogNormals) -> HorizonColumns {
    let columns = LogNormalColumns {
        positive: b.class_column(),
        logarithm: b.target_column(),
    };
    let names = [format!("t{t}.positive"), format!("t{t}.value")];
    let [first, second] = &names;
    b.log_normals(
        [first, second],
        1.0,
        outputs,
        (columns.positive, columns.logarithm),
    );
    let column = columns.positive;
    let term = |term| LikelihoodTerm { term, column };
    HorizonColumns {
        mature: column,
        targets: TargetColumns::LogNormals(columns),
        likelihood: names.map(term).into(),
    }
}

/// Standard deviation that the logarithm of the value starts with at least.
const LEAST_SD: f64 = 0.1;

/// First output biases, by tower name: the log odds of a value above zero, and mean and standard
/// deviation of its logarithm, all from the training rows. Of several components each starts with
/// half the variance, at evenly spaced locations whose variance is the other half; so the mixture
/// starts with that mean and standard deviation too. Shares start equal.
pub(super) fn priors(buckets: &Buckets, k: usize) -> Vec<(String, Vec<f64>)> {
    let Moments { positive, mean, sd } = moments(buckets);
    let (locations, sd) = if k > 1 {
        // Evenly spaced points from -1 to 1 have the variance (k + 1) / (3 (k - 1)).
        let (k, half) = (k as f64, f64::sqrt(0.5));
        let reach = sd * half * (3.0 * (k - 1.0) / (k + 1.0)).sqrt();
        let point = |i: usize| mean + reach * (2.0 * i as f64 / (k - 1.0) - 1.0);
        ((0..k as usize).map(point).collect(), sd * half)
    } else {
        (vec![mean], sd)
    };
    vec![
        ("positive".into(), vec![log_odds(positive)]),
        ("location".into(), locations),
        ("scale".into(), vec![softplus_inverse(sd); k]),
    ]
}

struct Moments {
    /// Share of values above zero.
    positive: f64,
    /// Mean of their logarithm.
    mean: f64,
    /// Its standard deviation.
    sd: f64,
}

/// From the buckets: every row at the logarithm of its bucket's mean, plus the variance within the
/// bucket, as if logarithms were spread evenly in it.
fn moments(buckets: &Buckets) -> Moments {
    let all: u64 = buckets.flat().map(|b| b.rows).sum();
    let middle = |b: &Bucket| b.left + b.bias * b.width;
    let positive: Vec<(f64, f64, f64)> = buckets
        .flat()
        .filter(|b| middle(b) > 0.0)
        .map(|b| (b.rows as f64, middle(b).ln(), within(b)))
        .collect();
    let rows: f64 = positive.iter().map(|p| p.0).sum();
    let average = |f: &dyn Fn(f64, f64) -> f64| {
        let sum: f64 = positive.iter().map(|&(n, x, v)| n * f(x, v)).sum();
        sum / rows.max(1.0)
    };
    let mean = average(&|x, _| x);
    let variance = average(&|x, v| (x - mean).powi(2) + v);
    Moments {
        positive: rows / all.max(1) as f64,
        mean,
        sd: variance.sqrt().max(LEAST_SD),
    }
}

fn within(b: &Bucket) -> f64 {
    if b.left > 0.0 {
        ((b.left + b.width) / b.left).ln().powi(2) / 12.0
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ltv_core::{config::Label, labels::LabelHistogram};

    /// Values whose logarithms are spread evenly: mean and variance are known.
    #[test]
    fn moments_of_the_training_rows() {
        let mut labels = LabelHistogram::default();
        let n = 4000;
        for i in 0..n {
            labels.add(f64::exp(4.0 * (f64::from(i) + 0.5) / f64::from(n) - 1.0));
            labels.add(0.0);
            labels.add(0.0);
            labels.add(0.0);
        }
        let config = ModelConfig::default();
        let buckets = Buckets::fit(30, Label::Value, &labels, &config).unwrap();
        let m = moments(&buckets);
        assert!((m.positive - 0.25).abs() < 1e-12, "{}", m.positive);
        assert!((m.mean - 1.0).abs() < 0.01, "{}", m.mean);
        assert!((m.sd - 4.0 / 12f64.sqrt()).abs() < 0.01, "{}", m.sd);
    }

    /// However many components, the start has the moments of the training rows.
    #[test]
    fn components_start_with_the_same_moments() {
        let mut labels = LabelHistogram::default();
        (0..500).for_each(|i| labels.add(f64::from(i).powi(2)));
        let config = ModelConfig::default();
        let buckets = Buckets::fit(30, Label::Value, &labels, &config).unwrap();
        let m = moments(&buckets);
        for k in [1, 2, 4, 16] {
            let priors = priors(&buckets, k);
            let of = |name: &str| priors.iter().find(|p| p.0 == name).unwrap().1.clone();
            let (locations, scales) = (of("location"), of("scale"));
            let mean = locations.iter().sum::<f64>() / k as f64;
            let sd = |raw: f64| ltv_nn::ops::log_normal_scale(raw);
            let each = locations.iter().zip(&scales);
            let variance: f64 = each.map(|(x, s)| (x - mean).powi(2) + sd(*s).powi(2)).sum();
            assert!((mean - m.mean).abs() < 1e-9, "{k}: {mean}");
            assert!(((variance / k as f64).sqrt() - m.sd).abs() < 1e-9, "{k}");
        }
    }
}
