//! Dense layer, with or without ReLU.

use super::{
    Op,
    folded::{Folded, Layer},
    narrow, single,
};
use crate::{
    Layout, Real,
    formula::{Formula, Parameters, Step},
    graph::{Builder, Dense, Edge, InputSpec, Node},
    plan::Wiring,
    real::{View, product},
    simd::simd,
    tile::{Tile, feature, feature_mut, parts, product_rows},
    trainer::Weights,
};

struct Linear {
    x: Node,
    layer: Dense,
    relu: bool,
    into: Option<Edge>,
    out: Node,
}

impl<T: Real> Builder<T> {
    /// `y = x W^T + b`, then `max(y, 0)` if `relu`, where NaN stays NaN.
    ///
    /// # Shapes
    /// `x`: `[inputs]`, row-major or feature-major; `W`: `[outputs, inputs]`; result: `[outputs]`,
    /// feature-major. A layer is used once.
    pub fn linear(&mut self, x: Node, layer: Dense, relu: bool) -> Node {
        assert!(
            x.width == layer.inputs,
            "{x:?} into a layer of {} inputs",
            layer.inputs
        );
        let into = self.edge(x);
        let out = self.node(layer.outputs);
        self.need_scratch(narrow::scratch(layer.inputs, layer.outputs));
        self.ops.push(Box::new(Linear {
            x,
            layer,
            relu,
            into,
            out,
        }));
        out
    }
}

impl Linear {
    /// Few outputs: kernels that keep them in registers beat a general product.
    fn is_narrow(&self) -> bool {
        self.layer.outputs <= narrow::MOST && !self.x.row_major
    }

    fn input<'a, T: Real>(&self, x: &'a [T], rows: usize, ld: usize) -> View<'a, T> {
        if self.x.row_major {
            View::new(x, self.x.width, rows, self.x.width).t()
        } else {
            View::new(x, rows, self.x.width, ld)
        }
    }
}

impl<T: Real> Op<T> for Linear {
    fn step<'a>(&'a self, p: Parameters<'a, T>) -> Option<Step<'a, T>> {
        let (weights, biases) = p.layer(&self.layer);
        let formula = Formula::Linear {
            x: self.x,
            weights,
            biases,
            relu: self.relu,
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

    fn multiply_adds(&self) -> u64 {
        (self.layer.inputs * self.layer.outputs) as u64
    }

    fn forward(&self, t: &mut Tile<'_, T>) {
        let (ld, rows, k, n) = (t.ld, t.rows, self.layer.inputs, self.layer.outputs);
        let weights = if self.layer.derived {
            t.derived
        } else {
            t.dense
        };
        let w = &weights[self.layer.weights..][..n * k];
        let b = &t.dense[self.layer.biases..][..n];
        let ranges = [t.at(self.out), t.at(self.x)];
        let [y, x] = parts(t.values, ranges);
        if ld == 1 {
            single::forward(t.arch, w, b, x, y);
        } else if self.is_narrow() {
            narrow::forward(t.arch, w, b, x, y, ld, rows, t.scratch);
        } else {
            let many = product_rows(rows, ld);
            let x = self.input(x, many, ld);
            product((y, many, n, ld, false), false, x, View::new(w, k, n, k));
            simd!(t.arch, bias(y, b, self.relu, ld, rows));
            return;
        }
        if self.relu {
            simd!(t.arch, relu(y, ld, rows));
        }
    }

    fn fold(&self, layout: &Layout, input: &InputSpec, weights: &Weights<T>) -> Option<Folded<T>> {
        // Nothing but the embedded input is row-major.
        if !self.x.row_major || self.layer.derived {
            return None;
        }
        let (n, k) = (self.layer.outputs, self.layer.inputs);
        Folded::new(&Layer {
            weights: &weights.dense[self.layer.weights..][..n * k],
            biases: &weights.dense[self.layer.biases..][..n],
            outputs: n,
            input,
            layout,
            embeddings: weights,
        })
    }

    fn reads_look_ups(&self) -> bool {
        self.x.row_major
    }

    fn forward_folded(&self, folded: &Folded<T>, sums: &[T], t: &mut Tile<'_, T>) {
        let (ld, rows, k, n) = (t.ld, t.rows, self.layer.inputs, self.layer.outputs);
        let w = &t.dense[self.layer.weights..][..n * k];
        let (x, y) = (t.at(self.x), t.at(self.out));
        folded.apply(t, sums, x, y.clone(), w);
        if self.relu {
            simd!(t.arch, relu(&mut t.values[y], ld, rows));
        }
    }

    /// `dy *= [y > 0]` if ReLU; `db += sum dy`; `dW += dy^T x`; `dx += dy W`.
    fn backward(&self, t: &mut Tile<'_, T>) {
        let (ld, rows, k, n) = (t.ld, t.rows, self.layer.inputs, self.layer.outputs);
        let weights = if self.layer.derived {
            t.derived
        } else {
            t.dense
        };
        let w = &weights[self.layer.weights..][..n * k];
        let (x, y) = (&t.values[t.at(self.x)], &t.values[t.at(self.out)]);
        let out = t.grad(self.out);
        let (into, accumulate) = match self.into {
            Some(edge) => t.back(edge),
            None => (0..0, false),
        };
        let (arch, add) = (t.arch, !t.first);
        let [dy, dx] = parts(t.grads, [out, into]);
        let db = &mut t.dense_grad[self.layer.biases..][..n];
        let relu = self.relu.then_some(y);
        simd!(arch, relu_and_bias(relu, dy, db, add, ld, rows));
        let dw = &mut t.dense_grad[self.layer.weights..][..n * k];
        if self.is_narrow() {
            let dx = self.into.is_some().then_some((dx, accumulate));
            let task = narrow::Backward {
                w,
                x,
                dy,
                dw,
                add,
                ld,
                rows,
            };
            narrow::backward(arch, task, dx, t.scratch);
            return;
        }
        let dy = View::new(dy, rows, n, ld);
        product((dw, k, n, k, false), add, self.input(x, rows, ld).t(), dy);
        if self.into.is_some() {
            let shape = if self.x.row_major {
                (k, rows, k, true)
            } else {
                (rows, k, ld, false)
            };
            product(
                (dx, shape.0, shape.1, shape.2, shape.3),
                accumulate,
                dy,
                View::new(w, k, n, k).t(),
            );
        }
    }
}

/// Adds the bias, and is a ReLU where there is one, in one pass.
#[inline(always)]
fn bias<T: Real>(y: &mut [T], b: &[T], relu: bool, ld: usize, rows: usize) {
    for (y, &b) in y.chunks_exact_mut(ld).zip(b) {
        let y = y[..rows].iter_mut();
        if relu {
            y.for_each(|y| *y = (*y + b).positive());
        } else {
            y.for_each(|y| *y += b);
        }
    }
}

#[inline(always)]
fn relu<T: Real>(y: &mut [T], ld: usize, rows: usize) {
    for y in y.chunks_exact_mut(ld) {
        y[..rows].iter_mut().for_each(|y| *y = y.positive());
    }
}

/// Stops the gradient where ReLU did, and sums it into the bias, in one pass.
#[inline(always)]
fn relu_and_bias<T: Real>(
    y: Option<&[T]>,
    dy: &mut [T],
    db: &mut [T],
    add: bool,
    ld: usize,
    rows: usize,
) {
    for (j, db) in db.iter_mut().enumerate() {
        let dy = feature_mut(dy, j, ld, rows);
        let sum = narrow::bias_gradient(y.map(|y| feature(y, j, ld, rows)), dy);
        *db = if add { *db + sum } else { sum };
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{Case, leaf, probe};

    /// Wide enough for the general product, narrow enough for the kernels, and non-negative.
    #[test]
    fn gradient() {
        for (outputs, positive) in [(1, false), (7, false), (21, false), (5, true), (19, true)] {
            Case::new(move |b| {
                let x = leaf(b, "x", 6);
                let parts = [("first", outputs), ("second", 2)];
                let parts = if outputs == 1 {
                    &parts[..1]
                } else {
                    &parts[..]
                };
                let layer = if positive {
                    b.non_negative(parts, 6)
                } else {
                    b.dense(parts, 6)
                };
                let y = b.linear(x, layer, outputs > 2);
                let z = b.add(x.slice(0..1), y.slice(0..1));
                probe(b, y);
                probe(b, z);
            })
            .check();
        }
    }
}
