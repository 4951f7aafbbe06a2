//! Soft thresholds.

use super::{Op, narrow};
use crate::{
    Real,
    formula::{Formula, Parameters, Step},
    graph::{Builder, Edge, Node},
    layout::Kind,
    plan::Wiring,
    simd::simd,
    tile::{Tile, feature, feature_mut, parts, put},
};

struct Shrink {
    x: Node,
    into: Option<Edge>,
    out: Node,
    at: usize,
}

impl<T: Real> Builder<T> {
    /// `y_j = sign(x_j) max(|x_j| - h_j, 0)`: wavelet shrinkage (Donoho, IEEE Trans. Inf. Theory
    /// 41, 1995), with learned thresholds: `h = softplus(NAME)`, a parameter of `[1, k]`.
    ///
    /// # Shapes
    /// `x`, result: `[k]`, feature-major.
    ///
    /// # Panics
    /// When `x` is row-major.
    pub fn shrink(&mut self, x: Node, name: &str) -> Node {
        assert!(!x.row_major, "shrink {x:?}");
        self.layout.align();
        let at = self
            .layout
            .add(name.to_string(), 1, x.width, Kind::NonNegative);
        let into = self.edge(x);
        let out = self.node(x.width);
        self.need_scratch(1);
        self.ops.push(Box::new(Shrink { x, into, out, at }));
        out
    }
}

/// Slope of `y` in the threshold: -1, 0 or 1.
#[inline(always)]
fn slope<T: Real>(x: T, h: T) -> T {
    if x > h {
        -T::ONE
    } else if x < -h {
        T::ONE
    } else {
        T::ZERO
    }
}

impl<T: Real> Op<T> for Shrink {
    fn step<'a>(&'a self, p: Parameters<'a, T>) -> Option<Step<'a, T>> {
        let formula = Formula::Shrink {
            x: self.x,
            thresholds: &p.derived[self.at..][..self.out.width],
        };
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
        let (ld, rows, arch) = (t.ld, t.rows, t.arch);
        let thresholds = &t.derived[self.at..][..self.out.width];
        let ranges = [t.at(self.out), t.at(self.x)];
        let [y, x] = parts(t.values, ranges);
        simd!(arch, {
            for (j, &h) in thresholds.iter().enumerate() {
                let x = feature(x, j, ld, rows);
                // The difference of two ReLUs: NaN stays NaN.
                let soft = |r: usize| (x[r] - h).positive() - (-x[r] - h).positive();
                put(feature_mut(y, j, ld, rows), false, soft);
            }
        });
    }

    /// `dx += dy [|x| > h]`, `dh -= sum dy sign(x) [|x| > h]`.
    fn backward(&self, t: &mut Tile<'_, T>) {
        let (ld, rows, arch, add) = (t.ld, t.rows, t.arch, !t.first);
        let thresholds = &t.derived[self.at..][..self.out.width];
        let x = &t.values[t.at(self.x)];
        let out = t.grad(self.out);
        let dy = &t.grads[out.clone()];
        let dh = &mut t.dense_grad[self.at..][..self.out.width];
        let products = &mut t.scratch[..rows];
        simd!(arch, {
            for (j, (&h, dh)) in thresholds.iter().zip(dh).enumerate() {
                let (x, dy) = (feature(x, j, ld, rows), feature(dy, j, ld, rows));
                put(products, false, |r| dy[r] * slope(x[r], h));
                let sum = narrow::sum(products);
                *dh = if add { *dh + sum } else { sum };
            }
        });
        let Some(edge) = self.into else { return };
        let (range, accumulate) = t.back(edge);
        let [dx, dy] = parts(t.grads, [range, out]);
        simd!(arch, {
            for (j, &h) in thresholds.iter().enumerate() {
                let (x, dy) = (feature(x, j, ld, rows), feature(dy, j, ld, rows));
                let dx = feature_mut(dx, j, ld, rows);
                put(dx, accumulate, |r| dy[r] * slope(x[r], h).magnitude());
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{Case, leaf, probe};

    /// Scaled so that some values lie within the threshold, and some beyond on either side.
    #[test]
    fn gradient() {
        for scale in [1.0, 4.0] {
            Case::new(|b| {
                let x = leaf(b, "x", 6);
                let fixed = leaf(b, "fixed", 6);
                let y = b.shrink(x, "h");
                probe(b, y);
                let z = b.shrink(fixed.detached(), "i");
                probe(b, z);
                // Read again later, so that the gradient above is added to.
                probe(b, x);
            })
            .constant("fixed")
            .scaled(scale)
            .check();
        }
    }
}
