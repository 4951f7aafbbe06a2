//! A weighted sum of experts.

use super::Op;
use crate::{
    Real,
    formula::{Formula, Parameters, Step},
    graph::{Builder, Edge, Node},
    plan::Wiring,
    simd::simd,
    tile::{Tile, feature, feature_mut, parts, put},
};

struct Weigh {
    gates: Node,
    into: Option<Edge>,
    experts: Vec<(Node, Option<Edge>)>,
    out: Node,
}

impl<T: Real> Builder<T> {
    /// `y = sum_e g_e x_e`: what a gate makes of its experts (Ma et al., KDD 2018, eq. 6; Tang et
    /// al., RecSys 2020, eq. 1).
    ///
    /// # Shapes
    /// `gates`: `[E]`; `experts`: E nodes of `[k]`, feature-major; result: `[k]`.
    ///
    /// # Panics
    /// When there are no experts, not one for each gate, or of different widths; when gates or an
    /// expert are row-major, or share features.
    pub fn weigh(&mut self, gates: Node, experts: &[Node]) -> Node {
        let width = experts.first().map_or(0, |e| e.width);
        let apart = |e: &Node| e.at + e.width <= gates.at || gates.at + gates.width <= e.at;
        let fits = |e: &Node| e.width == width && !e.row_major && apart(e);
        let one_each = !experts.is_empty() && gates.width == experts.len();
        assert!(
            one_each && !gates.row_major && experts.iter().all(fits),
            "{gates:?} weigh {experts:?}"
        );
        let into = self.edge(gates);
        let experts = experts.iter().map(|&e| (e, self.edge(e))).collect();
        let out = self.node(width);
        self.need_scratch(1);
        self.ops.push(Box::new(Weigh {
            gates,
            into,
            experts,
            out,
        }));
        out
    }
}

impl<T: Real> Op<T> for Weigh {
    fn step<'a>(&'a self, _: Parameters<'a, T>) -> Option<Step<'a, T>> {
        let formula = Formula::Weigh {
            gates: self.gates,
            experts: self.experts.iter().map(|e| e.0).collect(),
        };
        Some(Step {
            out: self.out,
            formula,
        })
    }

    fn wiring(&self) -> Wiring {
        let experts = self.experts.iter().filter_map(|e| e.1);
        Wiring {
            reads: vec![self.out],
            writes: experts.chain(self.into).collect(),
        }
    }

    fn forward(&self, t: &mut Tile<'_, T>) {
        let (ld, rows, arch) = (t.ld, t.rows, t.arch);
        for (e, &(expert, _)) in self.experts.iter().enumerate() {
            let gate = self.gates.slice(e..e + 1);
            let ranges = [t.at(self.out), t.at(gate), t.at(expert)];
            let [out, gate, x] = parts(t.values, ranges);
            simd!(arch, {
                let gate = &gate[..rows];
                for j in 0..self.out.width {
                    let x = feature(x, j, ld, rows);
                    put(feature_mut(out, j, ld, rows), e > 0, |r| gate[r] * x[r]);
                }
            });
        }
    }

    /// `dx_e += g_e dy`, `dg_e += dy . x_e`.
    fn backward(&self, t: &mut Tile<'_, T>) {
        let (ld, rows, arch, width) = (t.ld, t.rows, t.arch, self.out.width);
        let dy = t.grad(self.out);
        for (e, &(expert, into)) in self.experts.iter().enumerate() {
            if let Some(edge) = into {
                let gate = &t.values[t.at(self.gates.slice(e..e + 1))][..rows];
                let (range, accumulate) = t.back(edge);
                let [dx, dy] = parts(t.grads, [range, dy.clone()]);
                simd!(arch, {
                    for j in 0..width {
                        let dy = feature(dy, j, ld, rows);
                        let dx = feature_mut(dx, j, ld, rows);
                        put(dx, accumulate, |r| gate[r] * dy[r]);
                    }
                });
            }
            let Some(edge) = self.into else { continue };
            let x = &t.values[t.at(expert)];
            // The way back into the gates is one edge: its slices add or overwrite alike.
            let (range, accumulate) = t.back(edge.slice(e..e + 1));
            let [dg, dy] = parts(t.grads, [range, dy.clone()]);
            let dot = &mut t.scratch[..rows];
            simd!(arch, {
                dot.fill(T::ZERO);
                for j in 0..width {
                    let (x, dy) = (feature(x, j, ld, rows), feature(dy, j, ld, rows));
                    (0..rows).for_each(|r| dot[r] += x[r] * dy[r]);
                }
                put(&mut dg[..rows], accumulate, |r| dot[r]);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{Case, leaf, probe};

    /// Experts are shared by gates; one gate has no way back, one expert neither.
    #[test]
    fn gradient() {
        Case::new(|b| {
            let (x, y) = (leaf(b, "x", 6), leaf(b, "y", 3));
            let experts = [x.slice(0..3), y, x.slice(3..6)];
            let logits = leaf(b, "g", 3);
            let gates = b.softmax(logits).probabilities;
            let first = b.weigh(gates, &experts);
            probe(b, first);
            let fixed = leaf(b, "h", 2).detached();
            let second = b.weigh(fixed, &experts[..2]);
            probe(b, second);
            let z = leaf(b, "z", 3);
            let third = b.weigh(gates.slice(0..2), &[z.detached(), first]);
            probe(b, third);
        })
        .constant("h")
        .constant("z")
        .check();
    }

    #[test]
    #[should_panic(expected = "weigh")]
    fn gates_are_no_experts() {
        Case::new(|b| {
            let x = leaf(b, "x", 4);
            b.weigh(x.slice(0..2), &[x.slice(2..4), x.slice(1..3)]);
        });
    }

    #[test]
    #[should_panic(expected = "weigh")]
    fn gates_lie_feature_by_feature() {
        Case::new(|b| {
            let (gates, x) = (b.input(&[], 2), leaf(b, "x", 4));
            b.weigh(gates, &[x.slice(0..2), x.slice(2..4)]);
        });
    }
}
