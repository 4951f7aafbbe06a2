//! A dense layer that is shared by all tokens of a sequence and sees their neighbours.

use super::{Op, narrow};
use crate::{
    Real,
    formula::{Formula, Parameters, Step},
    graph::{Builder, Dense, Edge, Node},
    plan::Wiring,
    real::{View, product},
    simd::simd,
    tile::{Tile, feature, feature_mut, parts, product_rows},
};
use std::ops::Range;

struct Convolve {
    x: Node,
    layer: Dense,
    tokens: usize,
    relu: bool,
    into: Option<Edge>,
    out: Node,
}

/// One position: where its window lies in the input, and in the columns of the weights.
struct Window {
    input: Range<usize>,
    weights: Range<usize>,
}

impl<T: Real> Builder<T> {
    /// `y_i = W [x_{i-p}; ...; x_{i+p}] + b`, then `max(y, 0)` if `relu`, for every token `i`,
    /// with zeros before the first and after the last token (LeCun et al., 1989). The kernel
    /// `2 p + 1` is the layer's inputs over the channels of a token, an odd number; 1 is a layer
    /// that every token passes through alone.
    ///
    /// # Shapes
    /// `x`: `[tokens * channels]`, token by token, feature-major; `W`: `[outputs, kernel *
    /// channels]`; result: `[tokens * outputs]`, token by token. A layer is used once.
    ///
    /// # Panics
    /// When the shapes do not fit.
    pub fn convolve(&mut self, x: Node, layer: Dense, tokens: usize, relu: bool) -> Node {
        assert!(
            tokens > 0 && x.width.is_multiple_of(tokens) && !x.row_major && !layer.derived,
            "convolve {x:?} of {tokens} tokens"
        );
        let channels = x.width / tokens;
        assert!(
            layer.inputs.is_multiple_of(channels) && layer.inputs / channels % 2 == 1,
            "{channels} channels into a layer of {} inputs",
            layer.inputs
        );
        let into = self.edge(x);
        let out = self.node(tokens * layer.outputs);
        self.ops.push(Box::new(Convolve {
            x,
            layer,
            tokens,
            relu,
            into,
            out,
        }));
        out
    }
}

impl Convolve {
    /// In token-major order a window is a contiguous slice.
    fn window(&self, token: usize) -> Window {
        let channels = self.x.width / self.tokens;
        let reach = self.layer.inputs / channels / 2;
        let first = token.saturating_sub(reach);
        let last = (token + reach).min(self.tokens - 1);
        // The weights of the first token that exists: `reach - token` columns of tokens lie before.
        let skipped = first + reach - token;
        let count = last + 1 - first;
        Window {
            input: first * channels..(last + 1) * channels,
            weights: skipped * channels..(skipped + count) * channels,
        }
    }
}

impl<T: Real> Op<T> for Convolve {
    fn step<'a>(&'a self, p: Parameters<'a, T>) -> Option<Step<'a, T>> {
        let (weights, biases) = p.layer(&self.layer);
        let formula = Formula::Convolve {
            x: self.x,
            weights,
            biases,
            tokens: self.tokens,
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
        let inputs: usize = (0..self.tokens).map(|i| self.window(i).input.len()).sum();
        (inputs * self.layer.outputs) as u64
    }

    fn forward(&self, t: &mut Tile<'_, T>) {
        let (ld, rows, k, n) = (t.ld, t.rows, self.layer.inputs, self.layer.outputs);
        let w = &t.dense[self.layer.weights..][..n * k];
        let b = &t.dense[self.layer.biases..][..n];
        let ranges = [t.at(self.out), t.at(self.x)];
        let [y, x] = parts(t.values, ranges);
        let many = product_rows(rows, ld);
        for (i, y) in y.chunks_exact_mut(n * ld).enumerate() {
            let Window { input, weights } = self.window(i);
            let wide = input.len();
            let x = View::new(&x[input.start * ld..input.end * ld], many, wide, ld);
            let w = View::new(&w[weights.start..], wide, n, k);
            product((y, many, n, ld, false), false, x, w);
        }
        simd!(t.arch, {
            for (j, y) in y.chunks_exact_mut(ld).enumerate() {
                let b = b[j % n];
                for y in &mut y[..rows] {
                    *y = if self.relu {
                        (*y + b).positive()
                    } else {
                        *y + b
                    };
                }
            }
        });
    }

    /// `dy *= [y > 0]` if ReLU; then for every token `db += sum dy`, `dW += dy^T window`,
    /// `dwindow += dy W`.
    fn backward(&self, t: &mut Tile<'_, T>) {
        let (ld, rows, k, n) = (t.ld, t.rows, self.layer.inputs, self.layer.outputs);
        let w = &t.dense[self.layer.weights..][..n * k];
        let (x, y) = (&t.values[t.at(self.x)], &t.values[t.at(self.out)]);
        let out = t.grad(self.out);
        let (into, accumulate) = match self.into {
            Some(edge) => t.back(edge),
            None => (0..0, false),
        };
        let (arch, first) = (t.arch, t.first);
        let [dy, dx] = parts(t.grads, [out, into]);
        // Tokens add to one gradient, and windows overlap: all start from zero and add.
        if first {
            t.dense_grad[self.layer.weights..][..n * k].fill(T::ZERO);
            t.dense_grad[self.layer.biases..][..n].fill(T::ZERO);
        }
        if !accumulate {
            dx.fill(T::ZERO);
        }
        let db = &mut t.dense_grad[self.layer.biases..][..n];
        simd!(
            arch,
            relu_and_bias(self.relu.then_some(y), dy, db, ld, rows)
        );
        let dw = &mut t.dense_grad[self.layer.weights..][..n * k];
        for (i, dy) in dy.chunks_exact(n * ld).enumerate() {
            let Window { input, weights } = self.window(i);
            let (wide, place) = (input.len(), input.start * ld..input.end * ld);
            let dy = View::new(dy, rows, n, ld);
            let window = View::new(&x[place.clone()], rows, wide, ld);
            let dw = &mut dw[weights.start..];
            product((dw, wide, n, k, false), true, window.t(), dy);
            if self.into.is_some() {
                let w = View::new(&w[weights.start..], wide, n, k);
                product((&mut dx[place], rows, wide, ld, false), true, dy, w.t());
            }
        }
    }
}

/// Stops the gradient where ReLU did, and adds it to the bias, token after token.
#[inline(always)]
fn relu_and_bias<T: Real>(y: Option<&[T]>, dy: &mut [T], db: &mut [T], ld: usize, rows: usize) {
    for j in 0..dy.len() / ld {
        let dy = feature_mut(dy, j, ld, rows);
        db[j % db.len()] += narrow::bias_gradient(y.map(|y| feature(y, j, ld, rows)), dy);
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{Case, leaf, probe};

    /// Kernels of 1 and 3, one that is longer than the sequence, a single token.
    #[test]
    fn gradient() {
        for (tokens, kernel, relu) in [(4, 1, true), (4, 3, true), (3, 9, false), (1, 3, false)] {
            Case::new(move |b| {
                let x = leaf(b, "x", 2 * tokens);
                let layer = b.dense(&[("l", 2), ("m", 1)], 2 * kernel);
                let y = b.convolve(x, layer, tokens, relu);
                assert_eq!(y.width(), 3 * tokens);
                probe(b, y);
                let z = b.add(x, y.slice(0..2 * tokens));
                probe(b, z);
            })
            .check();
        }
    }

    #[test]
    fn without_a_way_back() {
        Case::new(|b| {
            let x = leaf(b, "x", 6);
            let layer = b.dense(&[("l", 2)], 6);
            let y = b.convolve(x.detached(), layer, 3, false);
            probe(b, y);
        })
        .constant("x")
        .check();
    }

    /// A kernel as long as the sequence, at its middle, is a dense layer.
    #[test]
    fn the_middle_sees_everything() {
        let dense = Case::new(|b| {
            let x = leaf(b, "x", 6);
            let layer = b.dense(&[("l", 2)], 6);
            let y = b.linear(x, layer, true);
            probe(b, y);
        });
        let middle = Case::new(|b| {
            let x = leaf(b, "x", 6);
            let layer = b.dense(&[("l", 2)], 6);
            let y = b.convolve(x, layer, 3, true);
            probe(b, y.slice(2..4));
        });
        assert!((dense.check() - middle.check()).abs() < 1e-12);
    }
}
