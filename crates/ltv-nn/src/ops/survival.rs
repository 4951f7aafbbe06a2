//! Survival function of a distribution over ordered buckets.

use super::Op;
use crate::{
    Real,
    formula::{Formula, Parameters, Step},
    graph::{Builder, Edge, Node},
    plan::Wiring,
    simd::simd,
    tile::{Tile, parts, put},
};

struct Survival {
    o: Node,
    into: Option<Edge>,
    out: Node,
}

impl<T: Real> Builder<T> {
    /// `S_k = P(bucket >= k) = sum over u >= k of o_u`, for `k = 1 .. U - 1` (`S_0` is always 1):
    /// what a strict Mono Unit sees of the upstream horizon (DESIGN 3.8). It grows in every
    /// entry exactly when mass moves right.
    ///
    /// # Shapes
    /// `o`: `[U]`; result: `[U - 1]`.
    pub fn survival(&mut self, o: Node) -> Node {
        assert!(o.width > 1 && !o.row_major, "survival of {o:?}");
        let into = self.edge(o);
        let mut out = self.node(o.width - 1);
        out.differentiable = o.differentiable;
        self.need_scratch(1);
        self.ops.push(Box::new(Survival { o, into, out }));
        out
    }
}

impl<T: Real> Op<T> for Survival {
    fn step<'a>(&'a self, _: Parameters<'a, T>) -> Option<Step<'a, T>> {
        let formula = Formula::Survival { o: self.o };
        Some(Step {
            out: self.out,
            formula,
        })
    }

    fn wiring(&self) -> Wiring {
        let reads = if self.into.is_some() {
            vec![self.out]
        } else {
            vec![]
        };
        Wiring {
            reads,
            writes: self.into.into_iter().collect(),
        }
    }

    fn forward(&self, t: &mut Tile<'_, T>) {
        let (ld, arch) = (t.ld, t.arch);
        let ranges = [t.at(self.out), t.at(self.o)];
        let [out, o] = parts(t.values, ranges);
        simd!(arch, {
            out.copy_from_slice(&o[ld..]);
            for j in (0..self.out.width - 1).rev() {
                let (head, tail) = out.split_at_mut((j + 1) * ld);
                put(&mut head[j * ld..], true, |r| tail[r]);
            }
        });
    }

    /// `do_u += sum over k <= u of dS_k`.
    fn backward(&self, t: &mut Tile<'_, T>) {
        let Some(edge) = self.into else { return };
        let (ld, rows, arch) = (t.ld, t.rows, t.arch);
        let (range, accumulate) = t.back(edge);
        let ranges = [range, t.grad(self.out)];
        let [d, g] = parts(t.grads, ranges);
        let sum = &mut t.scratch[..rows];
        simd!(arch, {
            sum.fill(T::ZERO);
            for u in 0..self.o.width {
                if u > 0 {
                    put(sum, true, |r| g[(u - 1) * ld + r]);
                }
                put(&mut d[u * ld..u * ld + rows], accumulate, |r| sum[r]);
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
            let o = leaf(b, "o", 4);
            let s = b.survival(o);
            probe(b, s);
        })
        .check();
    }
}
