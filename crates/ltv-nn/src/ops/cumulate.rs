//! Running sum over features.

use super::Op;
use crate::{
    Real,
    formula::{Formula, Parameters, Step},
    graph::{Builder, Edge, Node},
    plan::Wiring,
    simd::simd,
    tile::{Tile, parts, put},
};

struct Cumulate {
    m: Node,
    into: Option<Edge>,
    out: Node,
}

impl<T: Real> Builder<T> {
    /// `a_0 = 0`, `a_j = m_1 + ... + m_j`: turns increments into what a strict Mono Unit adds to
    /// successive logits (DESIGN 3.8).
    ///
    /// # Shapes
    /// `m`: `[k - 1]`; result: `[k]`.
    pub fn cumulate(&mut self, m: Node) -> Node {
        assert!(!m.row_major, "a running sum goes along features");
        let into = self.edge(m);
        let out = self.node(m.width + 1);
        self.need_scratch(1);
        self.ops.push(Box::new(Cumulate { m, into, out }));
        out
    }
}

impl<T: Real> Op<T> for Cumulate {
    fn step<'a>(&'a self, _: Parameters<'a, T>) -> Option<Step<'a, T>> {
        let formula = Formula::Cumulate { m: self.m };
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
        let ranges = [t.at(self.out), t.at(self.m)];
        let [out, m] = parts(t.values, ranges);
        simd!(arch, {
            out[..ld].fill(T::ZERO);
            for j in 0..self.m.width {
                let (head, tail) = out.split_at_mut((j + 1) * ld);
                let (last, m) = (&head[j * ld..], &m[j * ld..]);
                put(&mut tail[..rows], false, |r| last[r] + m[r]);
            }
        });
    }

    /// `dm_j += sum over i >= j of da_i`.
    fn backward(&self, t: &mut Tile<'_, T>) {
        let Some(edge) = self.into else { return };
        let (ld, rows, arch) = (t.ld, t.rows, t.arch);
        let (range, accumulate) = t.back(edge);
        let ranges = [range, t.grad(self.out)];
        let [d, g] = parts(t.grads, ranges);
        let sum = &mut t.scratch[..rows];
        simd!(arch, {
            sum.fill(T::ZERO);
            for j in (0..self.m.width).rev() {
                put(sum, true, |r| g[(j + 1) * ld + r]);
                put(&mut d[j * ld..j * ld + rows], accumulate, |r| sum[r]);
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
            let m = leaf(b, "m", 3);
            let a = b.cumulate(m);
            probe(b, a);
        })
        .check();
    }
}
