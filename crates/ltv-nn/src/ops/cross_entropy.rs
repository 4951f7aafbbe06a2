//! Cross-entropy of a class.

use super::{Op, Softmax};
use crate::{
    Real,
    graph::{Builder, Edge},
    plan::Wiring,
    simd::simd,
    tile::{Tile, feature, feature_mut, parts, put, shares},
};

struct CrossEntropy {
    s: Softmax,
    into: Option<Edge>,
    classes: usize,
    term: usize,
    coefficient: f64,
}

impl<T: Real> Builder<T> {
    /// Mean over the rows that take part, each times its weight, of `-ln p_y = ln sum exp z - z_y`:
    /// the classification losses of DCT and BCT (paper eq. 14).
    ///
    /// # Shapes
    /// `s`: `[k]`; class column `classes`: `0..k`, or -1 for rows that do not take part.
    pub fn cross_entropy(&mut self, name: &str, coefficient: f64, s: Softmax, classes: usize) {
        let into = self.edge(s.logits);
        let term = self.term(name, coefficient);
        self.need_scratch(1);
        self.ops.push(Box::new(CrossEntropy {
            s,
            into,
            classes,
            term,
            coefficient,
        }));
    }
}

impl<T: Real> Op<T> for CrossEntropy {
    fn wiring(&self) -> Wiring {
        Wiring {
            reads: vec![],
            writes: self.into.into_iter().collect(),
        }
    }

    fn forward(&self, t: &mut Tile<'_, T>) {
        let ld = t.ld;
        let (z, log_sum) = (
            &t.values[t.at(self.s.logits)],
            &t.values[t.at(self.s.log_sum)],
        );
        let mut sum = 0.0;
        let y = t.batch.class_rows(self.classes, t.base, t.rows);
        let weights = t.batch.weight_rows(t.base, t.rows);
        for (r, (&y, &w)) in y.iter().zip(weights).enumerate() {
            if y >= 0 {
                sum += (log_sum[r] - z[y as usize * ld + r]).f64() * w.f64();
            }
        }
        t.losses[self.term] += sum * t.means[self.classes].f64();
    }

    /// `dz_k += w (p_k - [k = y])`.
    fn backward(&self, t: &mut Tile<'_, T>) {
        let Some(edge) = self.into else { return };
        let (ld, rows) = (t.ld, t.rows);
        let factor = t.means[self.classes] * T::of(self.coefficient);
        let p = &t.values[t.at(self.s.probabilities)];
        let (range, accumulate) = t.back(edge);
        let y = t.batch.class_rows(self.classes, t.base, rows);
        let weights = t.batch.weight_rows(t.base, rows);
        let [dz] = parts(t.grads, [range]);
        let w = &mut t.scratch[..rows];
        simd!(t.arch, {
            shares(w, factor, y, weights);
            for j in 0..self.s.logits.width {
                let (p, dz) = (feature(p, j, ld, rows), feature_mut(dz, j, ld, rows));
                put(dz, accumulate, |r| {
                    let hot = if y[r] == j as i32 { T::ONE } else { T::ZERO };
                    w[r] * (p[r] - hot)
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
            let (s, y) = (b.softmax(x), b.class_column());
            b.cross_entropy("ce", 0.7, s, y);
        })
        .classes(&[&[0, 2, -1, 1, 2]])
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
    fn nobody_takes_part() {
        assert_eq!(case().classes(&[&[-1; 5]]).check(), 0.0);
    }

    #[test]
    fn extreme_logits() {
        // about 80 logits apart: the loss is that difference, not the logarithm of zero
        assert!(case().scaled(80.0).check_finite() > 10.0);
    }
}
