//! Attention of every token to every token of a row.

use super::Op;
use crate::{
    Real,
    formula::{Formula, Parameters, Step},
    graph::{Builder, Edge, Node},
    plan::Wiring,
    simd::simd,
    tile::{Tile, feature, feature_mut, parts},
};

struct Attention {
    /// `[q; k; v]` of every token.
    x: Node,
    into: Option<Edge>,
    /// The probabilities, `[heads * tokens * tokens]`, kept for the backward pass.
    p: Node,
    out: Node,
    tokens: usize,
    heads: usize,
}

impl<T: Real> Builder<T> {
    /// Scaled dot-product attention in several heads (Vaswani et al., NIPS 2017, eq. 1): in each
    /// head, `p_ij = softmax_j(q_i . k_j / sqrt(d))`, `y_i = sum_j p_ij v_j`, `d` the channels of a
    /// head. Projections before and after are layers of their own ([`Builder::convolve`]).
    ///
    /// # Shapes
    /// `x`: `[tokens * 3 * channels]`, feature-major: for every token its queries, keys and
    /// values, each head by head; result: `[tokens * channels]`.
    ///
    /// # Panics
    /// When the width is no multiple of three times tokens and heads.
    pub fn attention(&mut self, x: Node, tokens: usize, heads: usize) -> Node {
        assert!(
            tokens * heads > 0 && x.width.is_multiple_of(3 * tokens * heads) && !x.row_major,
            "attention of {heads} heads on {x:?}, {tokens} tokens"
        );
        let into = self.edge(x);
        let p = self.node(heads * tokens * tokens).detached();
        let out = self.node(x.width / 3);
        self.need_scratch(tokens.max(2));
        self.ops.push(Box::new(Attention {
            x,
            into,
            p,
            out,
            tokens,
            heads,
        }));
        out
    }
}

/// Where the parts of one head lie.
#[derive(Clone, Copy)]
struct Head {
    tokens: usize,
    /// Channels of all heads, and of this one.
    channels: usize,
    dim: usize,
    head: usize,
    ld: usize,
    rows: usize,
}

impl Head {
    /// Query (0), key (1) or value (2) `c` of a token in `x`.
    fn x(&self, part: usize, token: usize, c: usize) -> usize {
        (3 * token + part) * self.channels + self.head * self.dim + c
    }

    /// Output `c` of a token.
    fn y(&self, token: usize, c: usize) -> usize {
        token * self.channels + self.head * self.dim + c
    }

    /// The probability with which token `i` looks at token `j`.
    fn p(&self, i: usize, j: usize) -> usize {
        (self.head * self.tokens + i) * self.tokens + j
    }

    fn scale<T: Real>(&self) -> T {
        T::of(1.0 / (self.dim as f64).sqrt())
    }
}

impl Attention {
    fn each_head(&self, ld: usize, rows: usize) -> impl Iterator<Item = Head> {
        let channels = self.out.width / self.tokens;
        let (tokens, dim) = (self.tokens, channels / self.heads);
        (0..self.heads).map(move |head| Head {
            tokens,
            channels,
            dim,
            head,
            ld,
            rows,
        })
    }
}

impl<T: Real> Op<T> for Attention {
    fn step<'a>(&'a self, _: Parameters<'a, T>) -> Option<Step<'a, T>> {
        let formula = Formula::Attention {
            x: self.x,
            tokens: self.tokens,
            heads: self.heads,
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

    /// Scores and sums: not matrix products here, but as much work.
    fn multiply_adds(&self) -> u64 {
        (2 * self.tokens * self.out.width) as u64
    }

    fn forward(&self, t: &mut Tile<'_, T>) {
        let ranges = [t.at(self.out), t.at(self.p), t.at(self.x)];
        let (ld, rows, arch) = (t.ld, t.rows, t.arch);
        let [y, p, x] = parts(t.values, ranges);
        for head in self.each_head(ld, rows) {
            for i in 0..self.tokens {
                simd!(arch, {
                    scores(head, i, x, p);
                    softmax(head, i, p, t.scratch);
                    sums(head, i, x, p, y);
                });
            }
        }
    }

    /// With `dp_ij = dy_i . v_j` and `ds_ij = p_ij (dp_ij - sum_j p_ij dp_ij) / sqrt(d)`:
    /// `dv_j += p_ij dy_i`, `dq_i += ds_ij k_j`, `dk_j += ds_ij q_i`.
    fn backward(&self, t: &mut Tile<'_, T>) {
        let Some(edge) = self.into else { return };
        let (ld, rows, arch) = (t.ld, t.rows, t.arch);
        let (x, p) = (&t.values[t.at(self.x)], &t.values[t.at(self.p)]);
        let (range, accumulate) = t.back(edge);
        let ranges = [range, t.grad(self.out)];
        let [dx, dy] = parts(t.grads, ranges);
        // Every token adds to the keys and values of all.
        if !accumulate {
            dx.fill(T::ZERO);
        }
        for head in self.each_head(ld, rows) {
            for i in 0..self.tokens {
                simd!(arch, {
                    back_through_sums(head, i, (x, p), dy, dx, t.scratch);
                    back_through_softmax(head, i, p, t.scratch);
                    back_through_scores(head, i, x, t.scratch, dx);
                });
            }
        }
    }
}

/// `s_ij = q_i . k_j / sqrt(d)`, into the place of `p`.
#[inline(always)]
fn scores<T: Real>(h: Head, i: usize, x: &[T], p: &mut [T]) {
    let scale = h.scale::<T>();
    for j in 0..h.tokens {
        let s = feature_mut(p, h.p(i, j), h.ld, h.rows);
        s.fill(T::ZERO);
        for c in 0..h.dim {
            let q = feature(x, h.x(0, i, c), h.ld, h.rows);
            let k = feature(x, h.x(1, j, c), h.ld, h.rows);
            (0..h.rows).for_each(|r| s[r] = q[r].fma(k[r], s[r]));
        }
        s.iter_mut().for_each(|s| *s *= scale);
    }
}

#[inline(always)]
fn softmax<T: Real>(h: Head, i: usize, p: &mut [T], scratch: &mut [T]) {
    let (max, sum) = scratch.split_at_mut(h.ld);
    let (max, sum) = (&mut max[..h.rows], &mut sum[..h.rows]);
    max.copy_from_slice(feature(p, h.p(i, 0), h.ld, h.rows));
    for j in 1..h.tokens {
        let s = feature(p, h.p(i, j), h.ld, h.rows);
        (0..h.rows).for_each(|r| max[r] = max[r].larger(s[r]));
    }
    sum.fill(T::ZERO);
    for j in 0..h.tokens {
        let s = feature_mut(p, h.p(i, j), h.ld, h.rows);
        for r in 0..h.rows {
            s[r] = (s[r] - max[r]).exp();
            sum[r] += s[r];
        }
    }
    sum.iter_mut().for_each(|s| *s = T::ONE / *s);
    for j in 0..h.tokens {
        let s = feature_mut(p, h.p(i, j), h.ld, h.rows);
        (0..h.rows).for_each(|r| s[r] *= sum[r]);
    }
}

/// `y_i = sum_j p_ij v_j`.
#[inline(always)]
fn sums<T: Real>(h: Head, i: usize, x: &[T], p: &[T], y: &mut [T]) {
    for c in 0..h.dim {
        let y = feature_mut(y, h.y(i, c), h.ld, h.rows);
        y.fill(T::ZERO);
        for j in 0..h.tokens {
            let p = feature(p, h.p(i, j), h.ld, h.rows);
            let v = feature(x, h.x(2, j, c), h.ld, h.rows);
            (0..h.rows).for_each(|r| y[r] = p[r].fma(v[r], y[r]));
        }
    }
}

/// `dv_j += p_ij dy_i`, and `dp_ij` into the scratch space, token by token.
#[inline(always)]
fn back_through_sums<T: Real>(
    h: Head,
    i: usize,
    (x, p): (&[T], &[T]),
    dy: &[T],
    dx: &mut [T],
    dp: &mut [T],
) {
    for j in 0..h.tokens {
        let p = feature(p, h.p(i, j), h.ld, h.rows);
        let dp = feature_mut(dp, j, h.ld, h.rows);
        dp.fill(T::ZERO);
        for c in 0..h.dim {
            let v = feature(x, h.x(2, j, c), h.ld, h.rows);
            let dy = feature(dy, h.y(i, c), h.ld, h.rows);
            let dv = feature_mut(dx, h.x(2, j, c), h.ld, h.rows);
            for r in 0..h.rows {
                dp[r] = v[r].fma(dy[r], dp[r]);
                dv[r] = p[r].fma(dy[r], dv[r]);
            }
        }
    }
}

/// `dp_ij` becomes `ds_ij`.
#[inline(always)]
fn back_through_softmax<T: Real>(h: Head, i: usize, p: &[T], dp: &mut [T]) {
    let scale = h.scale::<T>();
    for r in 0..h.rows {
        let mut dot = T::ZERO;
        for j in 0..h.tokens {
            dot = p[h.p(i, j) * h.ld + r].fma(dp[j * h.ld + r], dot);
        }
        for j in 0..h.tokens {
            let d = &mut dp[j * h.ld + r];
            *d = scale * p[h.p(i, j) * h.ld + r] * (*d - dot);
        }
    }
}

/// `dq_i += ds_ij k_j`, `dk_j += ds_ij q_i`.
#[inline(always)]
fn back_through_scores<T: Real>(h: Head, i: usize, x: &[T], ds: &[T], dx: &mut [T]) {
    for j in 0..h.tokens {
        let ds = feature(ds, j, h.ld, h.rows);
        for c in 0..h.dim {
            let (q, k) = (h.x(0, i, c), h.x(1, j, c));
            let (at_q, at_k) = (feature(x, q, h.ld, h.rows), feature(x, k, h.ld, h.rows));
            let dq = feature_mut(dx, q, h.ld, h.rows);
            (0..h.rows).for_each(|r| dq[r] = ds[r].fma(at_k[r], dq[r]));
            let dk = feature_mut(dx, k, h.ld, h.rows);
            (0..h.rows).for_each(|r| dk[r] = ds[r].fma(at_q[r], dk[r]));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{Case, leaf, probe};

    #[test]
    fn gradient() {
        for (tokens, heads, dim) in [(3, 2, 2), (1, 1, 3), (4, 1, 1)] {
            Case::new(move |b| {
                let x = leaf(b, "x", 3 * tokens * heads * dim);
                let y = b.attention(x, tokens, heads);
                assert_eq!(y.width(), tokens * heads * dim);
                probe(b, y);
                probe(b, x);
            })
            .scaled(1.5)
            .check();
        }
    }

    #[test]
    fn extreme_scores() {
        let case = Case::new(|b| {
            let x = leaf(b, "x", 18);
            let y = b.attention(x, 3, 1);
            probe(b, y);
        });
        assert!(case.scaled(60.0).check_finite().is_finite());
    }

    /// One head, written out with dense layers' operations: scores by products, softmax, weights.
    #[test]
    fn it_is_softmax_of_products() {
        const TOKENS: usize = 3;
        let direct = Case::new(|b| {
            let x = leaf(b, "x", 3 * TOKENS);
            let y = b.attention(x, TOKENS, 1);
            probe(b, y);
        });
        let written_out = Case::new(|b| {
            let x = leaf(b, "x", 3 * TOKENS);
            let at = |token: usize, part: usize| x.slice(3 * token + part..3 * token + part + 1);
            let values: Vec<_> = (0..TOKENS).map(|j| at(j, 2)).collect();
            let mut all = vec![];
            for i in 0..TOKENS {
                let scores: Vec<_> = (0..TOKENS)
                    .map(|j| b.multiply(at(i, 0), at(j, 1)))
                    .collect();
                let scores = b.concat(&scores);
                let p = b.softmax(scores).probabilities;
                all.push(b.weigh(p, &values));
            }
            let y = b.concat(&all);
            probe(b, y);
        });
        assert!((direct.check() - written_out.check()).abs() < 1e-12);
    }
}
