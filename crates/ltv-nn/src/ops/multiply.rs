//! Elementwise product of two nodes.

use super::Op;
use crate::{
    Real,
    formula::{Formula, Parameters, Step},
    graph::{Builder, Edge, Node},
    plan::Wiring,
    simd::simd,
    tile::{Tile, parts, put},
};

struct Multiply {
    a: Node,
    b: Node,
    into: [Option<Edge>; 2],
    out: Node,
}

impl<T: Real> Builder<T> {
    /// `out = a * b`, element by element: the crossing in a layer of DCN-v2 (Wang et al., WWW
    /// 2021, eq. 1).
    ///
    /// # Shapes
    /// `a`, `b`, result: `[k]`, feature-major.
    ///
    /// # Panics
    /// When `a` and `b` share features (there is no square), differ in width or are row-major.
    pub fn multiply(&mut self, a: Node, b: Node) -> Node {
        let apart = a.at + a.width <= b.at || b.at + b.width <= a.at;
        assert!(
            a.width == b.width && apart && !a.row_major && !b.row_major,
            "multiply {a:?} and {b:?}"
        );
        let into = [self.edge(a), self.edge(b)];
        let out = self.node(a.width);
        self.ops.push(Box::new(Multiply { a, b, into, out }));
        out
    }
}

impl<T: Real> Op<T> for Multiply {
    fn step<'a>(&'a self, _: Parameters<'a, T>) -> Option<Step<'a, T>> {
        let formula = Formula::Multiply {
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
        simd!(arch, put(out, false, |i| a[i] * b[i]));
    }

    /// `da += dy b`, `db += dy a`.
    fn backward(&self, t: &mut Tile<'_, T>) {
        let arch = t.arch;
        for (edge, other) in self.into.into_iter().zip([self.b, self.a]) {
            let Some(edge) = edge else { continue };
            let other = &t.values[t.at(other)];
            let (range, accumulate) = t.back(edge);
            let ranges = [range, t.grad(self.out)];
            let [d, g] = parts(t.grads, ranges);
            simd!(arch, put(d, accumulate, |i| g[i] * other[i]));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{Case, leaf, probe};

    #[test]
    fn gradient() {
        Case::new(|b| {
            let (x, y) = (leaf(b, "x", 3), leaf(b, "y", 4));
            let product = b.multiply(x, y.slice(1..4));
            probe(b, product);
            let again = b.multiply(product, x);
            probe(b, again);
            let z = leaf(b, "z", 4);
            let one_way = b.multiply(y, z.detached());
            probe(b, one_way);
        })
        .constant("z")
        .check();
    }

    #[test]
    #[should_panic(expected = "multiply")]
    fn no_square() {
        Case::new(|b| {
            let x = leaf(b, "x", 3);
            b.multiply(x.slice(0..2), x.slice(1..3));
        });
    }
}
