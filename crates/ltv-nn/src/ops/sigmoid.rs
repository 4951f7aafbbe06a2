//! Logistic function.

use super::Op;
use crate::{
    Real,
    formula::{Formula, Parameters, Step},
    graph::{Builder, Edge, Node},
    plan::Wiring,
    simd::simd,
    tile::{Tile, feature, feature_mut, parts, put},
};

struct Sigmoid {
    x: Node,
    into: Option<Edge>,
    out: Node,
}

impl<T: Real> Builder<T> {
    /// `s = 1 / (1 + e^-x)`, for bucket biases (paper eq. 6).
    ///
    /// # Shapes
    /// `x`, result: `[k]`.
    pub fn sigmoid(&mut self, x: Node) -> Node {
        assert!(!x.row_major, "sigmoid runs along features");
        let into = self.edge(x);
        let out = self.node(x.width);
        self.ops.push(Box::new(Sigmoid { x, into, out }));
        out
    }
}

impl<T: Real> Op<T> for Sigmoid {
    fn step<'a>(&'a self, _: Parameters<'a, T>) -> Option<Step<'a, T>> {
        let formula = Formula::Sigmoid { x: self.x };
        Some(Step {
            out: self.out,
            formula,
        })
    }

    fn wiring(&self) -> Wiring {
        Wiring {
            reads: vec![self.out],
            writes: self.into.into_iter().collect(),
        }
    }

    fn forward(&self, t: &mut Tile<'_, T>) {
        let (ld, rows, width) = (t.ld, t.rows, self.x.width);
        let ranges = [t.at(self.x), t.at(self.out)];
        let arch = t.arch;
        let [x, out] = parts(t.values, ranges);
        simd!(arch, {
            for j in 0..width {
                let (x, out) = (feature(x, j, ld, rows), feature_mut(out, j, ld, rows));
                out.iter_mut().zip(x).for_each(|(o, &x)| *o = x.sigmoid());
            }
        });
    }

    /// `dx += ds s (1 - s)`.
    fn backward(&self, t: &mut Tile<'_, T>) {
        let Some(edge) = self.into else { return };
        let (ld, rows) = (t.ld, t.rows);
        let s = &t.values[t.at(self.out)];
        let (range, accumulate) = t.back(edge);
        let ranges = [range, t.grad(self.out)];
        let [dx, ds] = parts(t.grads, ranges);
        simd!(t.arch, {
            for j in 0..self.x.width {
                let (s, ds) = (feature(s, j, ld, rows), feature(ds, j, ld, rows));
                put(feature_mut(dx, j, ld, rows), accumulate, |r| {
                    ds[r] * s[r] * (T::ONE - s[r])
                });
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
            let x = leaf(b, "x", 3);
            let s = b.sigmoid(x);
            probe(b, s);
        })
        .check();
    }
}
