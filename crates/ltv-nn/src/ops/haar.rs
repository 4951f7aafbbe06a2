//! The Haar wavelet transform along the tokens of a sequence.

use super::Op;
use crate::{
    Real,
    formula::{Formula, Parameters, Step},
    graph::{Builder, Edge, Node},
    plan::Wiring,
    simd::simd,
    tile::{Tile, feature, parts, put},
};

struct Haar {
    x: Node,
    into: Option<Edge>,
    out: Node,
    channels: usize,
    /// Tokens after padding: a power of two.
    padded: usize,
}

impl<T: Real> Builder<T> {
    /// The orthonormal Haar transform over tokens, channel by channel (Haar, 1910; Mallat 1989):
    /// from `s_0 = x` with zeros up to a power of two, level by level `s_{l+1,i} = (s_{l,2i} +
    /// s_{l,2i+1}) / sqrt 2` and `d_{l+1,i} = (s_{l,2i} - s_{l,2i+1}) / sqrt 2`. The result is the
    /// last sum, then the differences from the coarsest level to the finest.
    ///
    /// # Shapes
    /// `x`: `[tokens * channels]`, token by token, feature-major; result: `[P * channels]`,
    /// coefficient by coefficient, `P` the power of two.
    ///
    /// # Panics
    /// When the width is no multiple of `tokens`, or `x` is row-major.
    pub fn haar(&mut self, x: Node, tokens: usize) -> Node {
        assert!(
            tokens > 0 && x.width.is_multiple_of(tokens) && !x.row_major,
            "haar of {x:?}, {tokens} tokens"
        );
        let (channels, padded) = (x.width / tokens, tokens.next_power_of_two());
        let into = self.edge(x);
        let out = self.node(padded * channels);
        self.need_scratch(padded * channels);
        self.ops.push(Box::new(Haar {
            x,
            into,
            out,
            channels,
            padded,
        }));
        out
    }
}

/// `(a, b) -> ((a + b) / sqrt 2, (a - b) / sqrt 2)`, its own inverse.
#[inline(always)]
fn butterfly<T: Real>(from: [&[T]; 2], to: [&mut [T]; 2]) {
    let half = T::of(std::f64::consts::FRAC_1_SQRT_2);
    let ([a, b], [sum, difference]) = (from, to);
    for ((s, d), (&a, &b)) in sum.iter_mut().zip(difference).zip(a.iter().zip(b)) {
        *s = half * (a + b);
        *d = half * (a - b);
    }
}

impl<T: Real> Op<T> for Haar {
    fn step<'a>(&'a self, _: Parameters<'a, T>) -> Option<Step<'a, T>> {
        let formula = Formula::Haar {
            x: self.x,
            tokens: self.x.width / self.channels,
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

    /// A token is a run of `channels * ld` numbers, so that a level is a few long additions.
    fn forward(&self, t: &mut Tile<'_, T>) {
        let (arch, token) = (t.arch, self.channels * t.ld);
        let ranges = [t.at(self.out), t.at(self.x)];
        let [out, x] = parts(t.values, ranges);
        let sums = &mut t.scratch[..self.padded * token];
        sums[..x.len()].copy_from_slice(x);
        sums[x.len()..].fill(T::ZERO);
        let mut count = self.padded;
        while count > 1 {
            count /= 2;
            for i in 0..count {
                let (a, b) = sums[2 * i * token..].split_at(token);
                // The differences of this level are final; its sums go on in the output's front.
                let (front, back) = out.split_at_mut(count * token);
                let to = [
                    &mut front[i * token..][..token],
                    &mut back[i * token..][..token],
                ];
                simd!(arch, butterfly([a, &b[..token]], to));
            }
            sums[..count * token].copy_from_slice(&out[..count * token]);
        }
        if self.padded == 1 {
            out.copy_from_slice(&sums[..token]);
        }
    }

    /// The transform is orthonormal: its transpose is its inverse.
    fn backward(&self, t: &mut Tile<'_, T>) {
        let Some(edge) = self.into else { return };
        let (arch, token, rows) = (t.arch, self.channels * t.ld, t.rows);
        let ld = t.ld;
        let (range, accumulate) = t.back(edge);
        let ranges = [range, t.grad(self.out)];
        let [dx, g] = parts(t.grads, ranges);
        let sums = &mut t.scratch[..self.padded * token];
        sums[..token].copy_from_slice(&g[..token]);
        let mut count = 1;
        while count < self.padded {
            // From the last to the first: what is overwritten has been read.
            for i in (0..count).rev() {
                let (front, back) = sums.split_at_mut((2 * i + 1) * token);
                let difference = &g[(count + i) * token..][..token];
                simd!(arch, inverse(front, i, difference, &mut back[..token]));
            }
            count *= 2;
        }
        simd!(arch, {
            for (j, dx) in dx.chunks_exact_mut(ld).enumerate() {
                let sums = feature(sums, j, ld, rows);
                put(&mut dx[..rows], accumulate, |r| sums[r]);
            }
        });
    }
}

/// Sum `i`, in `front`, and its difference become tokens `2 i`, at the end of `front`, and
/// `2 i + 1`.
#[inline(always)]
fn inverse<T: Real>(front: &mut [T], i: usize, difference: &[T], odd: &mut [T]) {
    let half = T::of(std::f64::consts::FRAC_1_SQRT_2);
    let token = odd.len();
    for k in 0..token {
        let (s, d) = (front[i * token + k], difference[k]);
        front[2 * i * token + k] = half * (s + d);
        odd[k] = half * (s - d);
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{Case, leaf, probe};
    use crate::{Batch, Runner, graph::Builder, trainer::Weights};

    #[test]
    fn gradient() {
        for tokens in [1, 2, 3, 4, 7] {
            Case::new(move |b| {
                let x = leaf(b, "x", 2 * tokens);
                let y = b.haar(x, tokens);
                probe(b, y);
                probe(b, x);
            })
            .check();
        }
    }

    /// By hand: 1, 3, 2, 0 has sums 4 and 2 and differences -2 and 2, all over sqrt 2; then 6 / 2
    /// and 2 / 2.
    #[test]
    fn four_days() {
        let mut b = Builder::<f64>::inference();
        let x = b.input(&[], 4);
        let x = b.columns(x, &[0, 1, 2, 3]);
        let y = b.haar(x, 4);
        let graph = b.build(16);
        let mut batch = Batch::new(graph.shape(), 1);
        batch.numbers = vec![1.0, 3.0, 2.0, 0.0];
        let mut out = vec![0.0; 4];
        Runner::new(graph, Weights::default()).run(&batch, &mut out, 4, |outputs, row| {
            (0..4).for_each(|j| row[j] = outputs.feature(y, j)[0]);
        });
        let root = std::f64::consts::SQRT_2;
        for (ours, expected) in out.iter().zip([3.0, 1.0, -root, root]) {
            assert!((ours - expected).abs() < 1e-12, "{out:?}");
        }
    }
}
