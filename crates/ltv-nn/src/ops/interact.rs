//! All pairs of fields, pooled: the second order of a factorisation machine.

use super::Op;
use crate::{
    Real,
    formula::{Formula, Parameters, Step},
    graph::{Builder, Edge, Node},
    plan::Wiring,
    simd::simd,
    tile::{Tile, feature, feature_mut, parts, put},
};

struct Interact {
    x: Node,
    into: Option<Edge>,
    out: Node,
}

impl<T: Real> Builder<T> {
    /// `y_d = sum over pairs f < g of v_fd v_gd = ((sum_f v_fd)^2 - sum_f v_fd^2) / 2` (Rendle,
    /// ICDM 2010; kept as a vector over d as in He and Chua's bi-interaction pooling, SIGIR 2017,
    /// eq. 4).
    ///
    /// # Shapes
    /// `x`: `[F * dim]`, field by field, feature-major; result: `[dim]`.
    ///
    /// # Panics
    /// When the width of `x` is no multiple of `dim`, or it is row-major.
    pub fn interact(&mut self, x: Node, dim: usize) -> Node {
        assert!(
            dim > 0 && x.width.is_multiple_of(dim) && !x.row_major,
            "interact {x:?} by {dim}"
        );
        let into = self.edge(x);
        let out = self.node(dim);
        self.need_scratch(1);
        self.ops.push(Box::new(Interact { x, into, out }));
        out
    }
}

impl<T: Real> Op<T> for Interact {
    fn step<'a>(&'a self, _: Parameters<'a, T>) -> Option<Step<'a, T>> {
        let formula = Formula::Interact { x: self.x };
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
        let (ld, rows, arch, dim) = (t.ld, t.rows, t.arch, self.out.width);
        let ranges = [t.at(self.out), t.at(self.x)];
        let [out, x] = parts(t.values, ranges);
        let sum = &mut t.scratch[..rows];
        let half = T::of(0.5);
        simd!(arch, {
            for d in 0..dim {
                let out = feature_mut(out, d, ld, rows);
                sum.fill(T::ZERO);
                out.fill(T::ZERO);
                for j in (d..self.x.width).step_by(dim) {
                    let x = feature(x, j, ld, rows);
                    for r in 0..rows {
                        sum[r] += x[r];
                        out[r] += x[r] * x[r];
                    }
                }
                for r in 0..rows {
                    out[r] = half * (sum[r] * sum[r] - out[r]);
                }
            }
        });
    }

    /// `dv_fd += dy_d (sum_g v_gd - v_fd)`.
    fn backward(&self, t: &mut Tile<'_, T>) {
        let Some(edge) = self.into else { return };
        let (ld, rows, arch, dim) = (t.ld, t.rows, t.arch, self.out.width);
        let x = &t.values[t.at(self.x)];
        let (range, accumulate) = t.back(edge);
        let ranges = [range, t.grad(self.out)];
        let [dx, g] = parts(t.grads, ranges);
        let sum = &mut t.scratch[..rows];
        simd!(arch, {
            for d in 0..dim {
                let g = feature(g, d, ld, rows);
                sum.fill(T::ZERO);
                for j in (d..self.x.width).step_by(dim) {
                    let x = feature(x, j, ld, rows);
                    (0..rows).for_each(|r| sum[r] += x[r]);
                }
                for j in (d..self.x.width).step_by(dim) {
                    let x = feature(x, j, ld, rows);
                    let dx = feature_mut(dx, j, ld, rows);
                    put(dx, accumulate, |r| g[r] * (sum[r] - x[r]));
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
            let x = leaf(b, "x", 8);
            let y = b.interact(x, 2);
            probe(b, y);
            let y = b.interact(x.slice(1..7), 3);
            probe(b, y);
        })
        .check();
    }

    /// The sum over pairs, written out with products, has the same loss.
    #[test]
    fn it_is_the_sum_over_pairs() {
        let direct = Case::new(|b| {
            let x = leaf(b, "x", 6);
            let y = b.interact(x, 2);
            probe(b, y);
        });
        let written_out = Case::new(|b| {
            let x = leaf(b, "x", 6);
            let field = |f: usize| x.slice(2 * f..2 * f + 2);
            let pairs = [(0, 1), (0, 2), (1, 2)];
            let products = pairs.map(|(f, g)| b.multiply(field(f), field(g)));
            let sum = b.add(products[0], products[1]);
            let sum = b.add(sum, products[2]);
            probe(b, sum);
        });
        assert!((direct.check() - written_out.check()).abs() < 1e-12);
    }
}
