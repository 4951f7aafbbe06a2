//! Sum of two nodes.

use super::Op;
use crate::{
    Real,
    formula::{Formula, Parameters, Step},
    graph::{Builder, Edge, Node},
    plan::Wiring,
    simd::simd,
    tile::{Tile, parts, put},
};

struct Add {
    a: Node,
    b: Node,
    into: [Option<Edge>; 2],
    out: Node,
}

impl<T: Real> Builder<T> {
    /// `out = a + b`.
    ///
    /// # Shapes
    /// `a`, `b`, result: `[k]`.
    pub fn add(&mut self, a: Node, b: Node) -> Node {
        assert!(
            a.width == b.width && !a.row_major && !b.row_major,
            "add {a:?} and {b:?}"
        );
        let into = [self.edge(a), self.edge(b)];
        let out = self.node(a.width);
        self.ops.push(Box::new(Add { a, b, into, out }));
        out
    }
}

impl<T: Real> Op<T> for Add {
    fn step<'a>(&'a self, _: Parameters<'a, T>) -> Option<Step<'a, T>> {
        let formula = Formula::Add {
            a: self.a,
            b: self.b,
        };
        Some(Step {
            out: self.out,
            formula,
        })
    }

    fn wiring(&self) -> Wiring {
        Wiring {
            reads: vec![self.out],
            writes: self.into.into_iter().flatten().collect(),
        }
    }

    fn forward(&self, t: &mut Tile<'_, T>) {
        let ranges = [t.at(self.out), t.at(self.a), t.at(self.b)];
        let arch = t.arch;
        let [out, a, b] = parts(t.values, ranges);
        simd!(arch, {
            for ((o, &x), &y) in out.iter_mut().zip(&*a).zip(&*b) {
                *o = x + y;
            }
        });
    }

    fn backward(&self, t: &mut Tile<'_, T>) {
        for edge in self.into.into_iter().flatten() {
            let (range, accumulate) = t.back(edge);
            let ranges = [range, t.grad(self.out)];
            let arch = t.arch;
            let [d, g] = parts(t.grads, ranges);
            simd!(arch, put(d, accumulate, |r| g[r]));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{Case, leaf, probe};

    #[test]
    fn gradient() {
        Case::new(|b| {
            let (x, y) = (leaf(b, "x", 3), leaf(b, "y", 3));
            let sum = b.add(x, y);
            probe(b, sum);
        })
        .check();
    }
}
