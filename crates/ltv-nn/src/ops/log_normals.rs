//! Likelihood of values that are zero or log-normal, or a mixture of log-normals.

#[cfg(test)]
mod tests;

use super::{Op, Softmax};
use crate::{
    Real,
    graph::{Builder, Edge, Node},
    plan::Wiring,
    simd::simd,
    tile::{Tile, feature, feature_mut, parts, put, shares, weighted_sum},
};

/// `ln(2 pi) / 2`.
const HALF_LOG_TWO_PI: f64 = 0.918_938_533_204_672_7;
/// The class of rows whose value is above zero.
const POSITIVE: i32 = 1;

/// The square of the smallest scale of a log-normal: the epsilon of Keras, which bounds the scale
/// in google/lifetime_value's loss.
pub const LEAST_SQUARED_SCALE: f64 = 1e-7;

/// The scale of a log-normal from its raw output, `max(ln(1 + e^raw), sqrt(1e-7))`: what the loss
/// uses and what whoever predicts must use too. NaN stays NaN.
#[inline(always)]
pub fn log_normal_scale<T: Real>(raw: T) -> T {
    // Of a number and NaN, `larger` gives the second.
    T::of(LEAST_SQUARED_SCALE.sqrt()).larger(raw.softplus())
}

/// The outputs that say how a row's value is distributed.
#[derive(Debug, Clone, Copy)]
pub struct LogNormals {
    /// Log odds of a value above zero, `[1]`.
    pub positive: Node,
    /// Shares of the components, `[k]`; none for a single one.
    pub shares: Option<Softmax>,
    /// Means of the logarithm of the value, `[k]`.
    pub locations: Node,
    /// Its standard deviations, before [`log_normal_scale`], `[k]`.
    pub scales: Node,
}

struct Op_ {
    x: LogNormals,
    /// Gradients into shares, locations and scales.
    into: [Option<Edge>; 3],
    /// How likely each component made the value, `[k]`.
    responsible: Node,
    classes: usize,
    targets: usize,
    term: usize,
    coefficient: f64,
}

impl<T: Real> Builder<T> {
    /// Likelihood of a value `y` that is zero or drawn from a mixture of log-normals, as two terms,
    /// each a mean over the rows that take part, zeros included, of a row's loss times its weight:
    ///
    /// - the first of `names`: `BCE(sigmoid(z), [y > 0])`;
    /// - the second: `-[y > 0] ln sum_k pi_k LN(y; mu_k, sigma_k)`, where
    ///   `ln LN(y; mu, sigma) = -ln y - ln sigma - ln(2 pi) / 2 - (ln y - mu)^2 / (2 sigma^2)` and
    ///   `sigma` is the [`log_normal_scale`] of the raw scale, all in log space.
    ///
    /// With one component this is the zero-inflated log-normal loss of Wang, Liu and Miao (A deep
    /// probabilistic model for customer lifetime value prediction, 2019), as google/lifetime_value
    /// computes it.
    ///
    /// # Shapes
    /// See [`LogNormals`]. `columns`: a class column, -1 for rows that do not take part, 0 for a
    /// value of zero, 1 for one above; and a target column, `ln y` of the latter (not read of the
    /// others).
    pub fn log_normals(
        &mut self,
        names: [&str; 2],
        coefficient: f64,
        x: LogNormals,
        (classes, targets): (usize, usize),
    ) {
        let k = x.locations.width;
        let shares = x.shares.map_or(1, |s| s.logits.width);
        assert!(
            x.scales.width == k && shares == k && x.positive.width == 1,
            "{k} locations in {x:?}"
        );
        // Binary cross-entropy is ordinal regression of two classes.
        self.ordinal(names[0], coefficient, x.positive, classes);
        let into = [
            x.shares.and_then(|s| self.edge(s.logits)),
            self.edge(x.locations),
            self.edge(x.scales),
        ];
        let responsible = self.node(k).detached();
        let term = self.term(names[1], coefficient);
        self.need_scratch(3);
        self.ops.push(Box::new(Op_ {
            x,
            into,
            responsible,
            classes,
            targets,
            term,
            coefficient,
        }));
    }
}

/// `ln LN` without its constants, `-ln sigma - ((x - mu) / sigma)^2 / 2`.
#[inline(always)]
fn log_density<T: Real>(x: T, location: T, raw: T) -> T {
    let scale = log_normal_scale(raw);
    let deviation = (x - location) / scale;
    -scale.ln() - T::of(0.5) * deviation * deviation
}

/// Minus the derivative of [`log_density`] by the location.
#[inline(always)]
fn location_slope<T: Real>(x: T, location: T, raw: T) -> T {
    let scale = log_normal_scale(raw);
    (location - x) / scale / scale
}

/// Minus the derivative of [`log_density`] by the raw scale: 0 where the scale is at its least.
#[inline(always)]
fn scale_slope<T: Real>(x: T, location: T, raw: T) -> T {
    let scale = log_normal_scale(raw);
    let deviation = (x - location) / scale;
    let slope = (T::ONE - deviation * deviation) / scale * raw.sigmoid();
    if raw.softplus() < scale {
        T::ZERO
    } else {
        slope
    }
}

/// The logarithm of the value, 0 for rows that have none.
#[inline(always)]
fn logarithm<T: Real>(class: i32, target: T) -> T {
    if class == POSITIVE { target } else { T::ZERO }
}

/// Turns logarithms `q` into shares of their sum, row by row, and puts `ln sum_k e^{q_k}` into
/// `log_sum`.
#[inline(always)]
fn normalise<T: Real>(q: &mut [T], k: usize, ld: usize, sum: &mut [T], log_sum: &mut [T]) {
    let rows = log_sum.len();
    let max = log_sum;
    max.copy_from_slice(feature(q, 0, ld, rows));
    for j in 1..k {
        let q = feature(q, j, ld, rows);
        (0..rows).for_each(|r| max[r] = max[r].larger(q[r]));
    }
    sum.fill(T::ZERO);
    for j in 0..k {
        let q = feature_mut(q, j, ld, rows);
        for r in 0..rows {
            q[r] = (q[r] - max[r]).exp();
            sum[r] += q[r];
        }
    }
    for r in 0..rows {
        max[r] += sum[r].ln();
        sum[r] = T::ONE / sum[r];
    }
    for j in 0..k {
        let q = feature_mut(q, j, ld, rows);
        (0..rows).for_each(|r| q[r] *= sum[r]);
    }
}

/// Writes or adds `f(row, values of three nodes)` for every feature.
#[inline(always)]
fn put_each<T: Real>(
    out: (&mut [T], bool),
    [a, b, c]: [&[T]; 3],
    (k, ld, rows): (usize, usize, usize),
    f: impl Fn(usize, [T; 3]) -> T,
) {
    for j in 0..k {
        let [a, b, c] = [a, b, c].map(|x| feature(x, j, ld, rows));
        let out_j = feature_mut(out.0, j, ld, rows);
        put(out_j, out.1, |r| f(r, [a[r], b[r], c[r]]));
    }
}

impl Op_ {
    /// `ln pi_k` into the place of the responsibilities: 0 for a single component.
    fn log_shares<T: Real>(&self, t: &mut Tile<'_, T>) {
        let (ld, rows) = (t.ld, t.rows);
        let q = t.at(self.responsible);
        let Some(s) = self.x.shares else {
            t.values[q].fill(T::ZERO);
            return;
        };
        let ranges = [q, t.at(s.logits), t.at(s.log_sum)];
        let [q, z, log_sum] = parts(t.values, ranges);
        for j in 0..s.logits.width {
            let z = feature(z, j, ld, rows);
            put(feature_mut(q, j, ld, rows), false, |r| z[r] - log_sum[r]);
        }
    }
}

impl<T: Real> Op<T> for Op_ {
    fn wiring(&self) -> Wiring {
        Wiring {
            reads: vec![],
            writes: self.into.into_iter().flatten().collect(),
        }
    }

    fn forward(&self, t: &mut Tile<'_, T>) {
        self.log_shares(t);
        let (ld, rows, k) = (t.ld, t.rows, self.x.locations.width);
        let y = t.batch.class_rows(self.classes, t.base, rows);
        let target = t.batch.target_rows(self.targets, t.base, rows);
        let ranges = [self.responsible, self.x.locations, self.x.scales].map(|n| t.at(n));
        let [q, location, raw] = parts(t.values, ranges);
        let (sum, loss) = t.scratch.split_at_mut(ld);
        let (sum, loss) = (&mut sum[..rows], &mut loss[..rows]);
        simd!(t.arch, {
            for j in 0..k {
                let (location, raw) = (feature(location, j, ld, rows), feature(raw, j, ld, rows));
                put(feature_mut(q, j, ld, rows), true, |r| {
                    log_density(logarithm(y[r], target[r]), location[r], raw[r])
                });
            }
            normalise(q, k, ld, sum, loss);
            for r in 0..rows {
                let value = target[r] + T::of(HALF_LOG_TWO_PI) - loss[r];
                loss[r] = if y[r] == POSITIVE { value } else { T::ZERO };
            }
        });
        let sum = weighted_sum(loss, y, t.batch.weight_rows(t.base, rows));
        t.losses[self.term] += sum * t.means[self.classes].f64();
    }

    /// With responsibilities `q_k`, and only where `y > 0`: `dz_k += w (pi_k - q_k)`,
    /// `dmu_k += w q_k (mu_k - x) / sigma_k^2`,
    /// `draw_k += w q_k (1 - ((x - mu_k) / sigma_k)^2) / sigma_k sigmoid(raw_k)`.
    fn backward(&self, t: &mut Tile<'_, T>) {
        let (ld, rows, k) = (t.ld, t.rows, self.x.locations.width);
        let size = (k, ld, rows);
        let factor = t.means[self.classes] * T::of(self.coefficient);
        let y = t.batch.class_rows(self.classes, t.base, rows);
        let target = t.batch.target_rows(self.targets, t.base, rows);
        let back = self.into.map(|edge| edge.map(|edge| t.back(edge)));
        let [to_shares, to_locations, to_scales] = back;
        let ranges = [self.responsible, self.x.locations, self.x.scales].map(|n| t.at(n));
        let p = self.x.shares.map(|s| t.at(s.probabilities));
        let values = &*t.values;
        let nodes = ranges.map(|range| &values[range]);
        let w = &mut t.scratch[..rows];
        simd!(t.arch, {
            shares(w, factor, y, t.batch.weight_rows(t.base, rows));
            (0..rows).for_each(|r| w[r] = if y[r] == POSITIVE { w[r] } else { T::ZERO });
        });
        let x = |r: usize| logarithm(y[r], target[r]);
        if let Some(((range, add), p)) = to_shares.zip(p) {
            let out = &mut t.grads[range];
            let from = [&values[p], nodes[0], nodes[0]];
            simd!(
                t.arch,
                put_each((out, add), from, size, |r, [p, q, _]| w[r] * (p - q))
            );
        }
        if let Some((range, add)) = to_locations {
            let out = &mut t.grads[range];
            simd!(
                t.arch,
                put_each((out, add), nodes, size, |r, [q, mu, raw]| {
                    w[r] * q * location_slope(x(r), mu, raw)
                })
            );
        }
        if let Some((range, add)) = to_scales {
            let out = &mut t.grads[range];
            simd!(
                t.arch,
                put_each((out, add), nodes, size, |r, [q, mu, raw]| {
                    w[r] * q * scale_slope(x(r), mu, raw)
                })
            );
        }
    }
}
