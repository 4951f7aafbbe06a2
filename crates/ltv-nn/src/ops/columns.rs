//! Row-major inputs made feature-major, in any order of columns.

use super::Op;
use crate::{
    Real,
    formula::{Formula, Parameters, Step},
    graph::{Builder, Edge, Node},
    plan::Wiring,
    simd::simd,
    tile::{Tile, feature, feature_mut, parts},
};

struct Columns {
    x: Node,
    into: Option<Edge>,
    order: Vec<usize>,
    out: Node,
}

/// Rows that are read for one column before the next: their cache lines are used up meanwhile.
const BLOCK: usize = 16;

impl<T: Real> Builder<T> {
    /// `out_j = x_{order[j]}`: a feature-major copy of some columns of an embedded input, in any
    /// order, which operations other than a dense layer can read and slice.
    ///
    /// # Shapes
    /// `x`: `[k]`, row-major; `order`: columns below `k`, each as often as wanted; result:
    /// `[order.len()]`, feature-major.
    ///
    /// # Panics
    /// When `x` is feature-major (take a slice instead), or a column is outside it.
    pub fn columns(&mut self, x: Node, order: &[usize]) -> Node {
        assert!(
            x.row_major && order.iter().all(|&c| c < x.width),
            "columns {order:?} of {x:?}"
        );
        let into = self.edge(x);
        let out = self.node(order.len());
        let order = order.to_vec();
        self.ops.push(Box::new(Columns {
            x,
            into,
            order,
            out,
        }));
        out
    }
}

impl<T: Real> Op<T> for Columns {
    fn step<'a>(&'a self, _: Parameters<'a, T>) -> Option<Step<'a, T>> {
        let formula = Formula::Columns {
            x: self.x,
            order: &self.order,
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

    fn reads_look_ups(&self) -> bool {
        true
    }

    fn forward(&self, t: &mut Tile<'_, T>) {
        let (ld, rows, width, arch) = (t.ld, t.rows, self.x.width, t.arch);
        let ranges = [t.at(self.out), t.at(self.x)];
        let [out, x] = parts(t.values, ranges);
        simd!(arch, {
            for start in (0..rows).step_by(BLOCK) {
                let x = &x[start * width..(start + BLOCK).min(rows) * width];
                for (j, &column) in self.order.iter().enumerate() {
                    let out = &mut feature_mut(out, j, ld, rows)[start..];
                    for (out, x) in out.iter_mut().zip(x.chunks_exact(width)) {
                        *out = x[column];
                    }
                }
            }
        });
    }

    /// `dx_{order[j]} += dy_j`; columns that nobody asked for get nothing.
    fn backward(&self, t: &mut Tile<'_, T>) {
        let Some(edge) = self.into else { return };
        let (ld, rows, width, arch) = (t.ld, t.rows, self.x.width, t.arch);
        let (range, accumulate) = t.back(edge);
        let ranges = [range, t.grad(self.out)];
        let [dx, g] = parts(t.grads, ranges);
        simd!(arch, {
            if !accumulate {
                dx[..rows * width].fill(T::ZERO);
            }
            for start in (0..rows).step_by(BLOCK) {
                let dx = &mut dx[start * width..(start + BLOCK).min(rows) * width];
                for (j, &column) in self.order.iter().enumerate() {
                    let g = &feature(g, j, ld, rows)[start..];
                    for (dx, &g) in dx.chunks_exact_mut(width).zip(g) {
                        dx[column] += g;
                    }
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::FieldSpec;
    use crate::{
        check::{Case, fill, probe},
        graph::Builder,
        runner::Runner,
        trainer::Weights,
    };

    const IDS: [&[u32; 2]; 5] = [&[0, 5], &[3, 2], &[0, 0], &[1, 5], &[2, 3]];

    /// Every reader's gradient arrives, whichever comes first: dense layers before and after,
    /// another copy with a column twice, and slices of a copy.
    #[test]
    fn gradient() {
        for order in [[0usize, 1, 2], [2, 1, 0]] {
            Case::new(move |b| {
                let tables = [b.table("a", 4, 2), b.table("c", 6, 3)];
                let x = b.input(&tables.map(|table| FieldSpec { table }), 2);
                for reader in order {
                    match reader {
                        0 => {
                            let layer = b.dense(&[("l", 3)], x.width());
                            let y = b.linear(x, layer, false);
                            probe(b, y);
                        }
                        1 => {
                            let y = b.columns(x, &[6, 4, 4, 0]);
                            probe(b, y);
                        }
                        _ => {
                            let all: Vec<usize> = (0..x.width()).collect();
                            let y = b.columns(x, &all);
                            let sum = b.add(y.slice(0..3), y.slice(3..6));
                            probe(b, sum);
                            let layer = b.dense(&[("m", 2)], 4);
                            let z = b.linear(y.slice(1..5), layer, true);
                            probe(b, z);
                        }
                    }
                }
            })
            .ids(&IDS)
            .check();
        }
    }

    /// More rows than a block, more than a tile.
    #[test]
    fn values_are_those_of_the_columns() {
        let mut b = Builder::<f64>::inference();
        let table = b.table("a", 9, 3);
        let x = b.input(&[FieldSpec { table }], 2);
        let order = [4, 1, 3, 1];
        let y = b.columns(x, &order);
        let graph = b.build(32);
        let mut weights = Weights {
            dense: vec![],
            tables: vec![0.0; 27],
        };
        fill(&mut weights);
        let mut batch = crate::Batch::new(graph.shape(), 45);
        for r in 0..45 {
            batch.ids[r] = (r * 4 % 9) as u32;
            batch.numbers[2 * r] = r as f64;
            batch.numbers[2 * r + 1] = -(r as f64);
        }
        let mut out = vec![0.0; 45 * 4];
        let tables = weights.tables.clone();
        Runner::new(graph, weights).run(&batch, &mut out, 4, |outputs, rows| {
            for (r, row) in rows.chunks_exact_mut(4).enumerate() {
                (0..4).for_each(|j| row[j] = outputs.feature(y, j)[r]);
            }
        });
        for (r, row) in out.chunks_exact(4).enumerate() {
            let mut full = tables[3 * (r * 4 % 9)..][..3].to_vec();
            full.extend([r as f64, -(r as f64)]);
            assert_eq!(row, order.map(|c| full[c]));
        }
    }
}
