//! A learned vector, the same for all rows.

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

struct Offset {
    x: Node,
    into: Option<Edge>,
    out: Node,
    at: usize,
}

impl<T: Real> Builder<T> {
    /// `y = x + v`, `v` a parameter `NAME` of `[1, k]`: what a Transformer learns of positions
    /// (Vaswani et al., NIPS 2017, section 3.5).
    ///
    /// # Shapes
    /// `x`, result: `[k]`, feature-major.
    ///
    /// # Panics
    /// When `x` is row-major.
    pub fn offset(&mut self, x: Node, name: &str) -> Node {
        assert!(!x.row_major, "offset of {x:?}");
        self.layout.align();
        let at = self.layout.add(name.to_string(), 1, x.width, Kind::Dense);
        let into = self.edge(x);
        let out = self.node(x.width);
        self.ops.push(Box::new(Offset { x, into, out, at }));
        out
    }
}

impl<T: Real> Op<T> for Offset {
    fn step<'a>(&'a self, p: Parameters<'a, T>) -> Option<Step<'a, T>> {
        let formula = Formula::Offset {
            x: self.x,
            by: p.vector(self.at, self.out.width),
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
        let v = &t.dense[self.at..][..self.out.width];
        let ranges = [t.at(self.out), t.at(self.x)];
        let [y, x] = parts(t.values, ranges);
        simd!(arch, {
            for (j, &v) in v.iter().enumerate() {
                let x = feature(x, j, ld, rows);
                put(feature_mut(y, j, ld, rows), false, |r| x[r] + v);
            }
        });
    }

    /// `dx += dy`, `dv += sum dy`.
    fn backward(&self, t: &mut Tile<'_, T>) {
        let (ld, rows, arch, add) = (t.ld, t.rows, t.arch, !t.first);
        let out = t.grad(self.out);
        let dy = &t.grads[out.clone()];
        let dv = &mut t.dense_grad[self.at..][..self.out.width];
        simd!(arch, {
            for (j, dv) in dv.iter_mut().enumerate() {
                let sum = narrow::sum(feature(dy, j, ld, rows));
                *dv = if add { *dv + sum } else { sum };
            }
        });
        let Some(edge) = self.into else { return };
        let (range, accumulate) = t.back(edge);
        let [dx, dy] = parts(t.grads, [range, out]);
        simd!(arch, put(dx, accumulate, |r| dy[r]));
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{Case, leaf, probe};

    #[test]
    fn gradient() {
        Case::new(|b| {
            let x = leaf(b, "x", 3);
            let fixed = leaf(b, "fixed", 3);
            let y = b.offset(x, "v");
            probe(b, y);
            let z = b.offset(fixed.detached(), "w");
            probe(b, z);
            // Read again later, so that the gradient above is added to.
            probe(b, x);
        })
        .constant("fixed")
        .check();
    }
}
