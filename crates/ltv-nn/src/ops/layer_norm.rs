//! Layer normalisation of every token.

use super::{Op, narrow};
use crate::{
    Real,
    formula::{Formula, Parameters, Step},
    graph::{Builder, Edge, Node},
    layout::Kind,
    plan::Wiring,
    simd::simd,
    tile::{Tile, feature, feature_mut, parts, put},
};

struct LayerNorm {
    x: Node,
    into: Option<Edge>,
    /// `(x - mean) / sd`, kept for the backward pass.
    normal: Node,
    /// `1 / sd` of every token.
    inverse: Node,
    out: Node,
    tokens: usize,
    gain: usize,
    offset: usize,
}

/// Added to the variance, so that equal channels have a finite scale.
const FLOOR: f64 = 1e-5;

impl<T: Real> Builder<T> {
    /// `y_c = g_c (x_c - mean x) / sqrt(var x + 1e-5) + b_c`, mean and variance over the channels
    /// of each token by itself (Ba et al., arXiv:1607.06450, eq. 4). The parameters are `NAME.g`,
    /// which must start at 1, and `NAME.b`, both `[1, channels]` and shared by the tokens.
    ///
    /// # Shapes
    /// `x`, result: `[tokens * channels]`, token by token, feature-major.
    ///
    /// # Panics
    /// When the width is no multiple of `tokens`, or `x` is row-major.
    pub fn layer_norm(&mut self, x: Node, name: &str, tokens: usize) -> Node {
        assert!(
            tokens > 0 && x.width.is_multiple_of(tokens) && !x.row_major,
            "layer norm of {x:?}, {tokens} tokens"
        );
        let channels = x.width / tokens;
        self.layout.align();
        let mut vector = |suffix| {
            let name = format!("{name}.{suffix}");
            self.layout.add(name, 1, channels, Kind::Dense)
        };
        let (gain, offset) = (vector("g"), vector("b"));
        let into = self.edge(x);
        let normal = self.node(x.width).detached();
        let inverse = self.node(tokens).detached();
        let out = self.node(x.width);
        self.need_scratch(2);
        self.ops.push(Box::new(LayerNorm {
            x,
            into,
            normal,
            inverse,
            out,
            tokens,
            gain,
            offset,
        }));
        out
    }
}

impl<T: Real> Op<T> for LayerNorm {
    fn step<'a>(&'a self, p: Parameters<'a, T>) -> Option<Step<'a, T>> {
        let channels = self.out.width / self.tokens;
        let formula = Formula::LayerNorm {
            x: self.x,
            tokens: self.tokens,
            gain: p.vector(self.gain, channels),
            offset: p.vector(self.offset, channels),
            floor: FLOOR,
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

    fn forward(&self, t: &mut Tile<'_, T>) {
        let (ld, rows, arch) = (t.ld, t.rows, t.arch);
        let channels = self.out.width / self.tokens;
        let gain = &t.dense[self.gain..][..channels];
        let offset = &t.dense[self.offset..][..channels];
        let ranges = [self.out, self.normal, self.inverse, self.x].map(|n| t.at(n));
        let [y, normal, inverse, x] = parts(t.values, ranges);
        let mean = &mut t.scratch[..rows];
        let share = T::of(1.0 / channels as f64);
        simd!(arch, {
            for token in 0..self.tokens {
                let place = token * channels..(token + 1) * channels;
                let inverse = feature_mut(inverse, token, ld, rows);
                mean.fill(T::ZERO);
                for j in place.clone() {
                    let x = feature(x, j, ld, rows);
                    (0..rows).for_each(|r| mean[r] += share * x[r]);
                }
                inverse.fill(T::of(FLOOR));
                for j in place.clone() {
                    let x = feature(x, j, ld, rows);
                    let normal = feature_mut(normal, j, ld, rows);
                    for r in 0..rows {
                        normal[r] = x[r] - mean[r];
                        inverse[r] += share * normal[r] * normal[r];
                    }
                }
                inverse.iter_mut().for_each(|v| *v = T::ONE / v.root());
                for (c, j) in place.enumerate() {
                    let normal = feature_mut(normal, j, ld, rows);
                    (0..rows).for_each(|r| normal[r] *= inverse[r]);
                    let y = feature_mut(y, j, ld, rows);
                    put(y, false, |r| gain[c].fma(normal[r], offset[c]));
                }
            }
        });
    }

    /// With `n` the normalised input and `h_c = g_c dy_c`: `dx_c += (h_c - mean h - n_c mean(h n))
    /// / sd`; `dg += sum dy n`, `db += sum dy`.
    fn backward(&self, t: &mut Tile<'_, T>) {
        let (ld, rows, arch) = (t.ld, t.rows, t.arch);
        let channels = self.out.width / self.tokens;
        let normal = &t.values[t.at(self.normal)];
        let inverse = &t.values[t.at(self.inverse)];
        let gain = &t.dense[self.gain..][..channels];
        let dy = t.grad(self.out);
        let first = t.first;
        for (start, with_normal) in [(self.gain, true), (self.offset, false)] {
            let to = &mut t.dense_grad[start..][..channels];
            if first {
                to.fill(T::ZERO);
            }
            let normal = with_normal.then_some(normal);
            simd!(
                arch,
                sum_rows(&t.grads[dy.clone()], normal, to, t.scratch, ld, rows)
            );
        }
        let Some(edge) = self.into else { return };
        let (range, accumulate) = t.back(edge);
        let [dx, dy] = parts(t.grads, [range, dy]);
        let (mean, slope) = t.scratch.split_at_mut(ld);
        let (mean, slope) = (&mut mean[..rows], &mut slope[..rows]);
        let share = T::of(1.0 / channels as f64);
        simd!(arch, {
            for token in 0..self.tokens {
                let place = token * channels..(token + 1) * channels;
                let inverse = feature(inverse, token, ld, rows);
                mean.fill(T::ZERO);
                slope.fill(T::ZERO);
                for (&gain, j) in gain.iter().zip(place.clone()) {
                    let (n, dy) = (feature(normal, j, ld, rows), feature(dy, j, ld, rows));
                    for r in 0..rows {
                        let h = share * gain * dy[r];
                        mean[r] += h;
                        slope[r] = h.fma(n[r], slope[r]);
                    }
                }
                for (&gain, j) in gain.iter().zip(place) {
                    let (n, dy) = (feature(normal, j, ld, rows), feature(dy, j, ld, rows));
                    let back = |r: usize| (gain * dy[r] - mean[r] - n[r] * slope[r]) * inverse[r];
                    put(feature_mut(dx, j, ld, rows), accumulate, back);
                }
            }
        });
    }
}

/// `out_c += sum over rows and tokens of dy_c (n_c)`.
#[inline(always)]
fn sum_rows<T: Real>(
    dy: &[T],
    normal: Option<&[T]>,
    out: &mut [T],
    scratch: &mut [T],
    ld: usize,
    rows: usize,
) {
    for j in 0..dy.len() / ld {
        let dy = feature(dy, j, ld, rows);
        let sum = match normal {
            Some(n) => {
                let (n, products) = (feature(n, j, ld, rows), &mut scratch[..rows]);
                put(products, false, |r| n[r] * dy[r]);
                narrow::sum(products)
            }
            None => narrow::sum(dy),
        };
        out[j % out.len()] += sum;
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{Case, leaf, probe};

    #[test]
    fn gradient() {
        for tokens in [1, 3] {
            Case::new(move |b| {
                let x = leaf(b, "x", 12);
                let fixed = leaf(b, "fixed", 12);
                let y = b.layer_norm(x, "norm", tokens);
                probe(b, y);
                let z = b.add(x, y);
                probe(b, z);
                let one_way = b.layer_norm(fixed.detached(), "other", tokens);
                probe(b, one_way);
            })
            .constant("fixed")
            .check();
        }
    }

    /// A token of equal channels is all offset.
    #[test]
    fn equal_channels_stay_finite() {
        let case = Case::new(|b| {
            let x = leaf(b, "x", 4);
            let y = b.layer_norm(x, "norm", 4);
            probe(b, y);
        });
        assert!(case.check_finite().is_finite());
    }
}
