//! Softmax over the features of a node.

use super::Op;
use crate::{
    Real,
    formula::{Formula, Parameters, Step},
    graph::{Builder, Edge, Node},
    plan::Wiring,
    simd::simd,
    tile::{Tile, feature, feature_mut, parts},
};

/// A node of logits with what softmax made of it.
#[derive(Debug, Clone, Copy)]
pub struct Softmax {
    /// The logits, `[k]`.
    pub logits: Node,
    /// The probabilities, `[k]`.
    pub probabilities: Node,
    /// `ln sum exp(logits)`, `[1]`, without a gradient: losses take
    /// `-ln p_k = log_sum - logits_k` from it, which never takes the logarithm of a small number.
    pub log_sum: Node,
}

struct Op_ {
    s: Softmax,
    into: Option<Edge>,
}

impl<T: Real> Builder<T> {
    /// `p_k = exp(z_k - max z) / sum_j exp(z_j - max z)`.
    ///
    /// # Shapes
    /// `logits`, probabilities: `[k]`.
    pub fn softmax(&mut self, logits: Node) -> Softmax {
        assert!(!logits.row_major, "softmax runs along features");
        let into = self.edge(logits);
        let probabilities = self.node(logits.width);
        let log_sum = self.node(1).detached();
        self.need_scratch(2);
        let s = Softmax {
            logits,
            probabilities,
            log_sum,
        };
        self.ops.push(Box::new(Op_ { s, into }));
        s
    }
}

impl<T: Real> Op<T> for Op_ {
    fn step<'a>(&'a self, _: Parameters<'a, T>) -> Option<Step<'a, T>> {
        let formula = Formula::Softmax {
            logits: self.s.logits,
        };
        Some(Step {
            out: self.s.probabilities,
            formula,
        })
    }

    fn wiring(&self) -> Wiring {
        Wiring {
            reads: vec![self.s.probabilities],
            writes: self.into.into_iter().collect(),
        }
    }

    fn forward(&self, t: &mut Tile<'_, T>) {
        let (ld, rows, k) = (t.ld, t.rows, self.s.logits.width);
        let ranges = [
            t.at(self.s.logits),
            t.at(self.s.probabilities),
            t.at(self.s.log_sum),
        ];
        let [z, p, log_sum] = parts(t.values, ranges);
        let (max, sum) = t.scratch.split_at_mut(ld);
        simd!(t.arch, {
            let (max, sum, log_sum) = (&mut max[..rows], &mut sum[..rows], &mut log_sum[..rows]);
            max.copy_from_slice(feature(z, 0, ld, rows));
            for j in 1..k {
                max.iter_mut()
                    .zip(feature(z, j, ld, rows))
                    .for_each(|(m, &x)| *m = m.larger(x));
            }
            sum.fill(T::ZERO);
            for j in 0..k {
                let (z, p) = (feature(z, j, ld, rows), feature_mut(p, j, ld, rows));
                for r in 0..rows {
                    let e = (z[r] - max[r]).exp();
                    p[r] = e;
                    sum[r] += e;
                }
            }
            for r in 0..rows {
                log_sum[r] = max[r] + sum[r].ln();
                sum[r] = T::ONE / sum[r];
            }
            for j in 0..k {
                feature_mut(p, j, ld, rows)
                    .iter_mut()
                    .zip(&*sum)
                    .for_each(|(p, &s)| *p *= s);
            }
        });
    }

    /// `dz_k += p_k (dp_k - sum_j dp_j p_j)`.
    fn backward(&self, t: &mut Tile<'_, T>) {
        let Some(edge) = self.into else { return };
        let (ld, rows, k) = (t.ld, t.rows, self.s.logits.width);
        let p = &t.values[t.at(self.s.probabilities)];
        let (range, accumulate) = t.back(edge);
        let ranges = [range, t.grad(self.s.probabilities)];
        let [dz, dp] = parts(t.grads, ranges);
        let dot = &mut t.scratch[..rows];
        simd!(t.arch, {
            dot.fill(T::ZERO);
            for j in 0..k {
                let (p, dp) = (feature(p, j, ld, rows), feature(dp, j, ld, rows));
                for r in 0..rows {
                    dot[r] += p[r] * dp[r];
                }
            }
            for j in 0..k {
                let (p, dp) = (feature(p, j, ld, rows), feature(dp, j, ld, rows));
                let dz = feature_mut(dz, j, ld, rows);
                if accumulate {
                    (0..rows).for_each(|r| dz[r] += p[r] * (dp[r] - dot[r]));
                } else {
                    (0..rows).for_each(|r| dz[r] = p[r] * (dp[r] - dot[r]));
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{Case, leaf, probe};

    #[test]
    fn gradient() {
        Case::new(|b| {
            let x = leaf(b, "x", 4);
            let s = b.softmax(x);
            probe(b, s.probabilities);
        })
        .check();
    }

    #[test]
    fn extreme_logits() {
        let out = Case::new(|b| {
            let x = leaf(b, "x", 3);
            let s = b.softmax(x);
            probe(b, s.probabilities);
        })
        .scaled(80.0)
        .check_finite();
        assert!(out.is_finite());
    }
}
