//! Numbers that only some part of a network reads.

use super::Op;
use crate::{
    Real,
    formula::{Formula, Parameters, Step},
    graph::{Builder, Node},
    plan::Wiring,
    tile::Tile,
};

struct Aside {
    /// The first of them among the numbers of a row.
    first: usize,
    out: Node,
}

impl<T: Real> Builder<T> {
    /// The next `count` numbers of every row, after those that [`Builder::input`] reads: a node of
    /// their own, so that not everything that reads the input reads them. To be called after it.
    ///
    /// # Shapes
    /// result: `[count]`, without a way back for gradients.
    pub fn aside(&mut self, count: usize) -> Node {
        let first = self.shape.numbers;
        self.shape.numbers += count;
        let out = self.node(count).detached();
        self.ops.push(Box::new(Aside { first, out }));
        out
    }
}

impl<T: Real> Op<T> for Aside {
    fn step<'a>(&'a self, _: Parameters<'a, T>) -> Option<Step<'a, T>> {
        let formula = Formula::Aside { first: self.first };
        Some(Step {
            out: self.out,
            formula,
        })
    }

    fn wiring(&self) -> Wiring {
        Wiring {
            reads: vec![],
            writes: vec![],
        }
    }

    fn forward(&self, t: &mut Tile<'_, T>) {
        let stride = t.batch.numbers.len() / t.batch.rows;
        let range = t.at(self.out);
        let out = &mut t.values[range];
        for (i, feature) in out.chunks_mut(t.ld).take(self.out.width).enumerate() {
            for (r, value) in feature.iter_mut().take(t.rows).enumerate() {
                *value = t.batch.numbers[(t.base + r) * stride + self.first + i];
            }
        }
    }

    fn backward(&self, _: &mut Tile<'_, T>) {}
}

#[cfg(test)]
mod tests {
    use crate::check::{Case, probe};

    /// What reads the input and what reads the numbers aside have gradients of their own.
    #[test]
    fn gradient() {
        Case::new(|b| {
            let x = b.input(&[], 2);
            let aside = b.aside(2);
            let layer = b.dense(&[("x", 3)], 2);
            let y = b.linear(x, layer, false);
            let layer = b.dense(&[("aside", 3)], 1);
            let z = b.linear(aside.slice(1..2), layer, false);
            let sum = b.add(y, z);
            probe(b, sum);
        })
        .check();
    }
}
