//! Distillation of an ordinal tower into a softmax tower.

use super::{Op, Softmax};
use crate::{
    Real,
    graph::{Builder, Edge, Node},
    plan::Wiring,
    simd::simd,
    tile::{Tile, feature, feature_mut, parts, put, shares, weighted_sum},
};

struct Distill {
    s: Softmax,
    above: Node,
    teacher: Node,
    into: Option<Edge>,
    classes: usize,
    term: usize,
    coefficient: f64,
}

impl<T: Real> Builder<T> {
    /// Mean over the rows that take part, each times its weight, of the cross-entropy
    /// `-sum_u c_u ln p_u` of the softmax `s` against the soft label `c` made from ordinal
    /// probabilities `P_u = P(label > u)`: `c_0 = 1 - P_0`, `c_u = max(P_{u-1} - P_u, 0)`,
    /// `c_{k-1} = P_{k-2}`, divided by their sum, gradient stopped (paper section 3.3; DESIGN 3.2).
    ///
    /// # Shapes
    /// `s`: `[k]`; `above`: `[k - 1]`; class column `classes`: -1 for rows that do not take part.
    pub fn distill(
        &mut self,
        name: &str,
        coefficient: f64,
        s: Softmax,
        above: Node,
        classes: usize,
    ) {
        assert!(
            above.width + 1 == s.logits.width,
            "{k} classes",
            k = s.logits.width
        );
        let into = self.edge(s.logits);
        let teacher = self.node(s.logits.width).detached();
        let term = self.term(name, coefficient);
        self.need_scratch(2);
        let op = Distill {
            s,
            above,
            teacher,
            into,
            classes,
            term,
            coefficient,
        };
        self.ops.push(Box::new(op));
    }
}

/// `c_j` before division, for every row.
#[inline(always)]
fn difference<T: Real>(above: &[T], j: usize, k: usize, ld: usize, c: &mut [T]) {
    let rows = c.len();
    let low = (j > 0).then(|| feature(above, j - 1, ld, rows));
    let high = (j + 1 < k).then(|| feature(above, j, ld, rows));
    match (low, high) {
        (None, Some(h)) => (0..rows).for_each(|r| c[r] = T::ONE - h[r]),
        (Some(l), Some(h)) => (0..rows).for_each(|r| c[r] = (l[r] - h[r]).positive()),
        (Some(l), None) => c.copy_from_slice(l),
        (None, None) => c.fill(T::ONE),
    }
}

impl<T: Real> Op<T> for Distill {
    fn wiring(&self) -> Wiring {
        Wiring {
            reads: vec![],
            writes: self.into.into_iter().collect(),
        }
    }

    fn forward(&self, t: &mut Tile<'_, T>) {
        let (ld, rows, k) = (t.ld, t.rows, self.s.logits.width);
        let ranges = [self.teacher, self.above, self.s.logits, self.s.log_sum].map(|n| t.at(n));
        let y = t.batch.class_rows(self.classes, t.base, rows);
        let [c, above, z, log_sum] = parts(t.values, ranges);
        let (sum, dot) = t.scratch[..2 * ld].split_at_mut(ld);
        let (sum, dot) = (&mut sum[..rows], &mut dot[..rows]);
        simd!(t.arch, {
            sum.fill(T::ZERO);
            dot.fill(T::ZERO);
            for j in 0..k {
                difference(above, j, k, ld, feature_mut(c, j, ld, rows));
                let (c, z) = (feature(c, j, ld, rows), feature(z, j, ld, rows));
                for r in 0..rows {
                    sum[r] += c[r];
                    dot[r] += c[r] * z[r];
                }
            }
            for r in 0..rows {
                sum[r] = T::ONE / sum[r];
                dot[r] = log_sum[r] - dot[r] * sum[r];
            }
            for j in 0..k {
                feature_mut(c, j, ld, rows)
                    .iter_mut()
                    .zip(&*sum)
                    .for_each(|(c, &s)| *c *= s);
            }
        });
        let loss = weighted_sum(dot, y, t.batch.weight_rows(t.base, rows));
        t.losses[self.term] += loss * t.means[self.classes].f64();
    }

    /// `dz_k += w (p_k - c_k)`.
    fn backward(&self, t: &mut Tile<'_, T>) {
        let Some(edge) = self.into else { return };
        let (ld, rows) = (t.ld, t.rows);
        let factor = t.means[self.classes] * T::of(self.coefficient);
        let (c, p) = (
            &t.values[t.at(self.teacher)],
            &t.values[t.at(self.s.probabilities)],
        );
        let (range, accumulate) = t.back(edge);
        let y = t.batch.class_rows(self.classes, t.base, rows);
        let weights = t.batch.weight_rows(t.base, rows);
        let [dz] = parts(t.grads, [range]);
        let w = &mut t.scratch[..rows];
        simd!(t.arch, {
            shares(w, factor, y, weights);
            for j in 0..self.s.logits.width {
                let (c, p) = (feature(c, j, ld, rows), feature(p, j, ld, rows));
                put(feature_mut(dz, j, ld, rows), accumulate, |r| {
                    w[r] * (p[r] - c[r])
                });
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{Case, leaf};

    fn case() -> Case {
        Case::new(|b| {
            let (x, teacher) = (leaf(b, "x", 4), leaf(b, "teacher", 3));
            let (s, y) = (b.softmax(x), b.class_column());
            let above = b.ordinal("ordinal", 0.0, teacher, y);
            b.distill("distill", 0.5, s, above, y);
        })
        .classes(&[&[0, 3, -1, 1, 2]])
        .constant("teacher")
    }

    #[test]
    fn gradient() {
        case().check();
    }

    #[test]
    fn rows_weigh_what_they_are_given() {
        case().check_weights();
    }

    #[test]
    fn extreme_logits() {
        assert!(case().scaled(80.0).check_finite().is_finite());
    }
}
