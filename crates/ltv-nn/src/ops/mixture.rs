//! The distribution over all buckets from the distribution over segments and those within them.

use super::Op;
use crate::{
    Real,
    formula::{Formula, Parameters, Step},
    graph::{Builder, Edge, Node},
    plan::Wiring,
    simd::simd,
    tile::{Tile, feature, feature_mut, parts, put},
};

struct Mixture {
    p: Node,
    into: Option<Edge>,
    parts: Vec<Part>,
    out: Node,
}

struct Part {
    /// Probabilities within the segment; `None` when it has a single bucket.
    q: Option<Node>,
    into: Option<Edge>,
    /// Its buckets in the output.
    out: Node,
}

impl<T: Real> Builder<T> {
    /// `o = [p_0 q_0; p_1 q_1; ...]`, the normalised bucket multinomial distribution (paper
    /// section 3.4). A segment of one bucket has no `q`: its bucket gets `p_s`.
    ///
    /// # Shapes
    /// `p`: `[S]`; `q`: S nodes of `[m_s]` or none; result: `[sum of m_s]`.
    pub fn mixture(&mut self, p: Node, q: &[Option<Node>]) -> Node {
        assert!(p.width == q.len(), "{} segments for {p:?}", q.len());
        let into = self.edge(p);
        let out = self.node(q.iter().map(|q| q.map_or(1, |q| q.width)).sum());
        let mut at = 0;
        let mut parts = vec![];
        for &q in q {
            let into = q.and_then(|q| self.edge(q));
            let width = q.map_or(1, |q| q.width);
            parts.push(Part {
                q,
                into,
                out: out.slice(at..at + width),
            });
            at += width;
        }
        self.need_scratch(1);
        self.ops.push(Box::new(Mixture {
            p,
            into,
            parts,
            out,
        }));
        out
    }
}

impl<T: Real> Op<T> for Mixture {
    fn step<'a>(&'a self, _: Parameters<'a, T>) -> Option<Step<'a, T>> {
        let formula = Formula::Mixture {
            p: self.p,
            q: self.parts.iter().map(|part| part.q).collect(),
        };
        Some(Step {
            out: self.out,
            formula,
        })
    }

    fn wiring(&self) -> Wiring {
        let writes = self
            .parts
            .iter()
            .filter_map(|p| p.into)
            .chain(self.into)
            .collect();
        Wiring {
            reads: vec![self.out],
            writes,
        }
    }

    fn forward(&self, t: &mut Tile<'_, T>) {
        let (ld, rows, arch) = (t.ld, t.rows, t.arch);
        for (s, part) in self.parts.iter().enumerate() {
            let p = self.p.slice(s..s + 1);
            let Some(q) = part.q else {
                let ranges = [t.at(part.out), t.at(p)];
                let [out, p] = parts(t.values, ranges);
                out.copy_from_slice(p);
                continue;
            };
            let ranges = [t.at(part.out), t.at(p), t.at(q)];
            let [out, p, q] = parts(t.values, ranges);
            simd!(arch, {
                for j in 0..part.out.width {
                    let q = feature(q, j, ld, rows);
                    let out = feature_mut(out, j, ld, rows);
                    (0..rows).for_each(|r| out[r] = p[r] * q[r]);
                }
            });
        }
    }

    /// `dq_s += do p_s`, `dp_s += sum_u do_u q_u`.
    fn backward(&self, t: &mut Tile<'_, T>) {
        let (ld, rows, arch) = (t.ld, t.rows, t.arch);
        for (s, part) in self.parts.iter().enumerate() {
            let p = &t.values[t.at(self.p.slice(s..s + 1))];
            let q = part.q.map(|q| t.at(q));
            let q = q.map(|q| &t.values[q]);
            let width = part.out.width;
            if let Some(edge) = part.into {
                let (range, accumulate) = t.back(edge);
                let out = t.grad(part.out);
                let [dq, g] = parts(t.grads, [range, out]);
                simd!(arch, {
                    for j in 0..width {
                        let g = feature(g, j, ld, rows);
                        put(feature_mut(dq, j, ld, rows), accumulate, |r| g[r] * p[r]);
                    }
                });
            }
            let Some(edge) = self.into else { continue };
            let out = t.grad(part.out);
            let (range, accumulate) = t.back(edge.slice(s..s + 1));
            let [dp, g] = parts(t.grads, [range, out]);
            let dot = &mut t.scratch[..rows];
            simd!(arch, {
                dot.fill(T::ZERO);
                for j in 0..width {
                    let g = feature(g, j, ld, rows);
                    match q {
                        Some(q) => {
                            let q = feature(q, j, ld, rows);
                            (0..rows).for_each(|r| dot[r] += g[r] * q[r]);
                        }
                        None => dot.copy_from_slice(g),
                    }
                }
                put(&mut dp[..rows], accumulate, |r| dot[r]);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{Case, leaf, probe};

    /// The middle segment has one bucket.
    #[test]
    fn gradient() {
        Case::new(|b| {
            let (p, q0, q2) = (leaf(b, "p", 3), leaf(b, "q0", 2), leaf(b, "q2", 4));
            let o = b.mixture(p, &[Some(q0), None, Some(q2)]);
            probe(b, o);
        })
        .check();
    }
}
