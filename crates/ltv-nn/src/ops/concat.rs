//! Several nodes side by side.

use super::Op;
use crate::{
    Real,
    formula::{Formula, Parameters, Step},
    graph::{Builder, Edge, Node},
    plan::Wiring,
    simd::simd,
    tile::{Tile, parts, put},
};

struct Concat {
    parts: Vec<(Node, Option<Edge>)>,
    out: Node,
}

impl<T: Real> Builder<T> {
    /// `out = [x_0; x_1; ...]`, copied: nodes made by different operations do not lie side by
    /// side. A single node is returned as it is.
    ///
    /// # Shapes
    /// `x_i`: `[k_i]`, feature-major; result: `[sum of k_i]`.
    ///
    /// # Panics
    /// When no node is given, or one is row-major.
    pub fn concat(&mut self, nodes: &[Node]) -> Node {
        assert!(
            !nodes.is_empty() && nodes.iter().all(|n| !n.row_major),
            "concat of {nodes:?}"
        );
        if let [node] = nodes {
            return *node;
        }
        let parts: Vec<_> = nodes.iter().map(|&n| (n, self.edge(n))).collect();
        let out = self.node(nodes.iter().map(|n| n.width).sum());
        self.ops.push(Box::new(Concat { parts, out }));
        out
    }
}

impl Concat {
    /// Every part with its place in the output.
    fn places(&self) -> impl Iterator<Item = (Node, Option<Edge>, Node)> {
        let mut at = 0;
        self.parts.iter().map(move |&(node, into)| {
            let place = self.out.slice(at..at + node.width);
            at += node.width;
            (node, into, place)
        })
    }
}

impl<T: Real> Op<T> for Concat {
    fn step<'a>(&'a self, _: Parameters<'a, T>) -> Option<Step<'a, T>> {
        let formula = Formula::Concat {
            parts: self.parts.iter().map(|part| part.0).collect(),
        };
        Some(Step {
            out: self.out,
            formula,
        })
    }

    fn wiring(&self) -> Wiring {
        Wiring {
            reads: vec![self.out],
            writes: self.parts.iter().filter_map(|p| p.1).collect(),
        }
    }

    fn forward(&self, t: &mut Tile<'_, T>) {
        for (node, _, place) in self.places() {
            let (from, to) = (t.at(node), t.at(place).start);
            t.values.copy_within(from, to);
        }
    }

    fn backward(&self, t: &mut Tile<'_, T>) {
        let arch = t.arch;
        for (_, into, place) in self.places() {
            let Some(edge) = into else { continue };
            let (range, accumulate) = t.back(edge);
            let ranges = [range, t.grad(place)];
            let [d, g] = parts(t.grads, ranges);
            simd!(arch, put(d, accumulate, |r| g[r]));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{Case, leaf, probe};

    /// A part twice, a slice, and one without a way back.
    #[test]
    fn gradient() {
        Case::new(|b| {
            let (x, y, z) = (leaf(b, "x", 3), leaf(b, "y", 2), leaf(b, "z", 1));
            let all = b.concat(&[x, y, x.slice(1..2), z.detached()]);
            assert_eq!(all.width(), 7);
            probe(b, all);
            assert_eq!(b.concat(&[y]), y);
        })
        .constant("z")
        .check();
    }
}
