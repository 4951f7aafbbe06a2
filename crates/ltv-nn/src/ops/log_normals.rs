//! Likelihood of values that are zero or log-normal, or a mixture of log-normals.

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

/// The smallest scale of a log-normal, `sqrt(1e-7)`, in square: the epsilon of Keras, as in
/// google/lifetime_value.
const LEAST_SQUARED_SCALE: f64 = 1e-7;

/// The scale of a log-normal from its raw output, `max(ln(1 + e^raw), sqrt(1e-7))`: what the loss
/// uses and what whoever predicts must use too.
#[inline(always)]
pub fn log_normal_scale<T: Real>(raw: T) -> T {
    raw.softplus().larger(T::of(LEAST_SQUARED_SCALE.sqrt()))
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
    /// each a weighted mean over the rows that take part, zeros included:
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Case, leaf};
    use crate::{Batch, Trainer, TrainerOptions};

    /// The terms on leaves `z` (log odds), `mu`, `raw` and, for several components, `shares`.
    fn terms<T: Real>(b: &mut Builder<T>, k: usize) {
        let positive = leaf(b, "z", 1);
        let logits = (k > 1).then(|| leaf(b, "shares", k));
        let x = LogNormals {
            positive,
            shares: logits.map(|logits| b.softmax(logits)),
            locations: leaf(b, "mu", k),
            scales: leaf(b, "raw", k),
        };
        let columns = (b.class_column(), b.target_column());
        b.log_normals(["positive", "value"], 0.7, x, columns);
    }

    fn case(k: usize) -> Case {
        Case::new(move |b| terms(b, k)).classes(&[&[1, 0, -1, 1, 1]])
    }

    #[test]
    fn gradient() {
        for k in [1, 2, 5] {
            case(k).check();
            case(k).scaled(2.5).check();
        }
    }

    #[test]
    fn rows_weigh_what_they_are_given() {
        case(1).check_weights();
        case(3).check_weights();
    }

    #[test]
    fn nobody_takes_part() {
        assert_eq!(case(3).classes(&[&[-1; 5]]).check(), 0.0);
    }

    #[test]
    fn extreme_outputs() {
        for k in [1, 4] {
            for scale in [80.0, 1e4] {
                let loss = case(k).scaled(scale).check_finite();
                assert!(loss > 10.0 && loss.is_finite(), "{loss}");
            }
        }
    }

    /// In single precision too, whose exponential saturates.
    #[test]
    fn extreme_outputs_in_single_precision() {
        for (mu, raw) in [(1e4, 0.0), (-1e4, -300.0), (80.0, -1e4), (3.0, 1e4)] {
            let (mut trainer, batch) = single::<f32>(4, [-90.0, mu, raw], 2.0);
            let (gradient, terms) = trainer.gradients(&batch, None);
            assert!(
                terms.iter().all(|l| l.is_finite()),
                "{mu}, {raw}: {terms:?}"
            );
            assert!(gradient.dense.iter().all(|g| g.is_finite()), "{mu}, {raw}");
        }
    }

    /// One row of value `e^x` that takes part alone, all its components alike.
    fn single<T: Real>(k: usize, [z, mu, raw]: [f64; 3], x: f64) -> (Trainer<T>, Batch<T>) {
        let mut b = Builder::training();
        terms(&mut b, k);
        let graph = b.build(16);
        let mut batch = Batch::new(graph.shape(), 5);
        batch.classes[0] = 1;
        batch.targets[0] = T::of(x);
        let mut trainer = Trainer::new(graph, TrainerOptions::default()).unwrap();
        let layout = trainer.graph().layout().clone();
        for (name, value) in [("z", z), ("mu", mu), ("raw", raw)] {
            let param = layout.find(&format!("{name}.leaf")).unwrap();
            let out = trainer.state_mut().weights.of_mut(param);
            out.fill(T::of(value));
        }
        (trainer, batch)
    }

    /// The zero-inflated log-normal loss and its gradient. Losses: `scipy.stats.lognorm.logpdf`
    /// and `numpy.logaddexp` (SciPy 1.17.1) with the scale of google/lifetime_value's loss;
    /// gradients: the closed forms there, which agree with SciPy's differences. Columns: y, z, mu,
    /// raw; loss of both terms; gradient by z, mu, raw.
    const SCIPY: [[f64; 9]; 3] = [
        [
            12.5,
            0.4,
            1.7,
            -0.3,
            0.513015252399953,
            3.96406709527166,
            -0.401312339887548,
            -2.68695893654945,
            -0.935548941499341,
        ],
        [
            0.03,
            -2.2,
            -1.1,
            1.9,
            2.3050833197687,
            -1.17872303995914,
            -0.900249510880315,
            0.578624907343453,
            -0.167416748759021,
        ],
        // A scale at its least: sqrt(1e-7).
        [
            7.0,
            1.0,
            2.0,
            -20.0,
            0.313261687518223,
            14623.3656769489,
            -0.268941421369995,
            540898.509446868,
            0.0,
        ],
    ];

    fn close(ours: f64, theirs: f64) {
        let bound = 1e-12 * (1.0 + theirs.abs());
        assert!((ours - theirs).abs() < bound, "{ours} against {theirs}");
    }

    #[test]
    fn one_component_is_the_zero_inflated_log_normal() {
        // Alike components are one.
        for (k, row) in [1, 3].into_iter().flat_map(|k| SCIPY.map(|row| (k, row))) {
            let [y, z, mu, raw, positive, value, dz, dmu, draw] = row;
            let (mut trainer, batch) = single::<f64>(k, [z, mu, raw], y.ln());
            let (gradient, terms) = trainer.gradients(&batch, None);
            close(terms[0], positive);
            close(terms[1], value);
            for (name, expected) in [("z", dz), ("mu", dmu), ("raw", draw)] {
                let param = trainer.graph().layout().find(&format!("{name}.leaf"));
                let sum: f64 = gradient.of(param.unwrap()).iter().sum();
                close(sum, 0.7 * expected);
            }
        }
    }

    /// `-ln sum_k pi_k lognorm.pdf(y)` by SciPy 1.17.1.
    #[test]
    fn a_mixture_by_scipy() {
        for (y, expected) in [(1.3, 1.95531428961259), (20.0, 2.64213525823901)] {
            let (mut trainer, batch) = single::<f64>(3, [0.0; 3], f64::ln(y));
            let layout = trainer.graph().layout().clone();
            let values = [
                ("shares", [0.2, -0.5, 1.1]),
                ("mu", [0.5, 2.0, 3.1]),
                ("raw", [-0.4, 0.3, -2.0]),
            ];
            for (name, row) in values {
                let param = layout.find(&format!("{name}.leaf")).unwrap();
                trainer.state_mut().weights.of_mut(param)[..3].copy_from_slice(&row);
            }
            close(trainer.losses(&batch)[1], expected);
        }
    }

    /// A value of zero has no density to speak of: only the first term.
    #[test]
    fn a_zero_is_a_matter_of_odds_alone() {
        let (mut trainer, mut batch) = single::<f64>(1, [1.5, 2.0, 0.1], f64::NAN);
        batch.classes[0] = 0;
        let (gradient, terms) = trainer.gradients(&batch, None);
        close(terms[0], (1.0 + 1.5f64.exp()).ln());
        assert_eq!(terms[1], 0.0);
        assert!(gradient.dense.iter().all(|g| g.is_finite()));
    }
}
