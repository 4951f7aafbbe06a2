//! First weights.

use crate::{heads, spec::Spec};
use ltv_core::{config::Mono, seed};
use ltv_nn::{Layout, Param, Real, layout::Kind, trainer::Weights};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Raw non-negative weights start around softplus^-1(0.13).
const MONO_START: f64 = -2.0;
/// Most that a strict Mono Unit adds to a logit at the start, near enough nothing.
const STRICT_SHIFT: f64 = 0.02;
/// The first cells of every field start at zero: missing, and zero or rare-or-unseen
/// ([`ltv_core::encoding::Cells`]).
const NEUTRAL: usize = 2;
/// Half the range of first embeddings.
const EMBEDDING: f64 = 0.1;
/// First thresholds of wavelet coefficients: small, so that nothing is lost from the start.
const THRESHOLD: f64 = 0.02;

/// Draws the first weights: embeddings uniform in +-0.1, but zero for the cells of missing, zero
/// and unseen values: a cell that training never meets keeps its first value, and where scoring
/// meets it after all (the days that a young user has not lived yet, a new category) it must say
/// nothing, whatever the seed. Hidden layers uniform with He's variance
/// (ICCV 2015); a tower's second layer a tenth of that, so that training starts at its bias; biases
/// zero, but the output biases, which start at the training priors (DESIGN 7): log shares for the
/// softmax towers, log odds for the ordinal ones, the mean position in each bucket for BBT; and for
/// log-normals the moments of the labels' logarithms. Mono Units leave these priors alone at the
/// start: the paper's because it adds about the same to all logits, the strict one because its
/// increments start near zero. Trends (`.trend`) start at zero. Positions (`.p`) start as embeddings do, gains of normalisations
/// (`.g`) at 1, thresholds (`.h`) near zero.
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
            Kind::Table => {
                values.fill_with(|| uniform(-EMBEDDING, EMBEDDING));
                values[..NEUTRAL.min(param.rows) * param.cols].fill(T::ZERO);
            }
            Kind::NonNegative => {
                let start = match param.name.ends_with(".h") {
                    true => softplus_inverse(THRESHOLD),
                    false => mono_start(spec.model.mono, param),
                };
                values.fill_with(|| uniform(start - 0.1, start + 0.1));
            }
            Kind::Dense if param.name.ends_with(".2.w") => {
                values.fill_with(|| uniform(-0.1 * he, 0.1 * he));
            }
            Kind::Dense if param.name.ends_with(".trend.w") => {}
            Kind::Dense if param.name.ends_with(".w") => values.fill_with(|| uniform(-he, he)),
            Kind::Dense if param.name.ends_with(".p") => {
                values.fill_with(|| uniform(-EMBEDDING, EMBEDDING));
            }
            Kind::Dense if param.name.ends_with(".g") => values.fill(T::ONE),
            Kind::Dense => {}
        }
    }
    for (t, buckets) in spec.horizons.iter().enumerate() {
        for (name, prior) in heads::priors(&spec.model, buckets) {
            if let Some(param) = layout.find(&format!("t{t}.{name}.2.b")) {
                let out = weights.of_mut(param);
                out.iter_mut().zip(prior).for_each(|(w, p)| *w = T::of(p));
            }
        }
    }
    weights
}

/// Around which raw value the non-negative weights of a Mono Unit start.
///
/// A strict one sums its inputs, the upstream survival function, and its outputs, the increments:
/// weights that do not shrink with their number would lift the top logit by tens. Its first layer
/// starts as the mean of its inputs, which lies in `[0, 1]`; the increments of the second then add
/// up to [`STRICT_SHIFT`] at most. Small is not stuck: through softplus, steps in the raw weight
/// are steps in the logarithm of the weight.
fn mono_start(mono: Mono, param: &Param) -> f64 {
    match mono {
        Mono::Off | Mono::Paper => MONO_START,
        Mono::Strict if param.name.ends_with(".2.w") => {
            softplus_inverse(STRICT_SHIFT / (param.cols * param.rows) as f64)
        }
        Mono::Strict => softplus_inverse(1.0 / param.cols as f64),
    }
}

/// `x` with `ln(1 + e^x) = y`, for positive `y`.
pub(crate) fn softplus_inverse(y: f64) -> f64 {
    y.exp_m1().ln()
}
