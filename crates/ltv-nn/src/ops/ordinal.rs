//! Ordinal regression.

use super::Op;
use crate::{
    Real,
    graph::{Builder, Edge, Node},
    plan::Wiring,
    simd::simd,
    tile::{Tile, feature, feature_mut, parts, put, shares, weighted_sum},
};

struct Ordinal {
    logits: Node,
    above: Node,
    into: Option<Edge>,
    classes: usize,
    term: usize,
    coefficient: f64,
}

impl<T: Real> Builder<T> {
    /// Mean over the rows that take part, each times its weight, of
    /// `sum over u of BCE(sigmoid(z_u), [y > u])`, the ordinal losses of DOT and BOT (paper eq. 9),
    /// computed from logits. Returns `P_u = P(label > u)`, detached: it is the teacher of
    /// [`Builder::distill`].
    ///
    /// # Shapes
    /// `logits`, result: `[k - 1]`; class column `classes`: `0..k`, or -1.
    pub fn ordinal(&mut self, name: &str, coefficient: f64, logits: Node, classes: usize) -> Node {
        let into = self.edge(logits);
        let above = self.node(logits.width).detached();
        let term = self.term(name, coefficient);
        self.need_scratch(1);
        self.ops.push(Box::new(Ordinal {
            logits,
            above,
            into,
            classes,
            term,
            coefficient,
        }));
        above
    }
}

impl<T: Real> Op<T> for Ordinal {
    fn wiring(&self) -> Wiring {
        Wiring {
            reads: vec![],
            writes: self.into.into_iter().collect(),
        }
    }

    fn forward(&self, t: &mut Tile<'_, T>) {
        let (ld, rows) = (t.ld, t.rows);
        let y = t.batch.class_rows(self.classes, t.base, rows);
        let ranges = [t.at(self.logits), t.at(self.above)];
        let [z, above] = parts(t.values, ranges);
        let loss = &mut t.scratch[..rows];
        simd!(t.arch, {
            loss.fill(T::ZERO);
            for j in 0..self.logits.width {
                let (z, above) = (feature(z, j, ld, rows), feature_mut(above, j, ld, rows));
                let rows = z.iter().zip(y).zip(above).zip(loss.iter_mut());
                for (((&z, &y), above), loss) in rows {
                    let e = (-z.magnitude()).exp();
                    let inverse = T::ONE / (T::ONE + e);
                    *above = if z >= T::ZERO { inverse } else { e * inverse };
                    let hit = if y > j as i32 { z } else { T::ZERO };
                    *loss += z.positive() + (T::ONE + e).ln() - hit;
                }
            }
        });
        let sum = weighted_sum(loss, y, t.batch.weight_rows(t.base, rows));
        t.losses[self.term] += sum * t.means[self.classes].f64();
    }

    /// `dz_u += w (P_u - [y > u])`.
    fn backward(&self, t: &mut Tile<'_, T>) {
        let Some(edge) = self.into else { return };
        let (ld, rows) = (t.ld, t.rows);
        let factor = t.means[self.classes] * T::of(self.coefficient);
        let above = &t.values[t.at(self.above)];
        let (range, accumulate) = t.back(edge);
        let y = t.batch.class_rows(self.classes, t.base, rows);
        let weights = t.batch.weight_rows(t.base, rows);
        let [dz] = parts(t.grads, [range]);
        let w = &mut t.scratch[..rows];
        simd!(t.arch, {
            shares(w, factor, y, weights);
            for j in 0..self.logits.width {
                let (p, dz) = (feature(above, j, ld, rows), feature_mut(dz, j, ld, rows));
                put(dz, accumulate, |r| {
                    let hit = if y[r] > j as i32 { T::ONE } else { T::ZERO };
                    w[r] * (p[r] - hit)
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
            let x = leaf(b, "x", 3);
            let y = b.class_column();
            b.ordinal("ordinal", 1.3, x, y);
        })
        .classes(&[&[0, 3, -1, 1, 2]])
    }

    #[test]
    fn gradient() {
        case().check();
    }

    #[test]
    fn extreme_logits() {
        assert!(case().scaled(80.0).check_finite() > 10.0);
    }

    #[test]
    fn rows_weigh_what_they_are_given() {
        case().check_weights();
    }

    #[test]
    fn nobody_takes_part() {
        assert_eq!(case().classes(&[&[-1; 5]]).check(), 0.0);
    }
}
