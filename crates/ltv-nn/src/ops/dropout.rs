//! Dropout.

use super::Op;
use crate::{
    Real,
    graph::{Builder, Edge, Node},
    plan::Wiring,
    simd::simd,
    tile::{Tile, feature, feature_mut, parts, put},
};

struct Dropout {
    x: Node,
    into: Option<Edge>,
    out: Node,
    /// Factors by which values are multiplied, kept for the backward pass.
    mask: Node,
    rate: f64,
    source: u64,
}

impl<T: Real> Builder<T> {
    /// While training, each value is set to zero with probability `rate` and divided by
    /// `1 - rate` otherwise; the choice depends on the step's seed, the row's key and the feature
    /// alone, so that it is the same for any number of threads. No change when predicting or when
    /// `rate` is 0 (Srivastava et al., JMLR 15, 2014).
    ///
    /// # Shapes
    /// `x`, result: `[k]`; `rate` in `[0, 1)`.
    pub fn dropout(&mut self, x: Node, rate: f64) -> Node {
        assert!(
            (0.0..1.0).contains(&rate) && !x.row_major,
            "dropout {rate} of {x:?}"
        );
        if rate == 0.0 || !self.is_training() {
            return x;
        }
        let into = self.edge(x);
        let (out, mask) = (self.node(x.width), self.node(x.width).detached());
        self.noise_sources += 1;
        let source = self.noise_sources;
        self.ops.push(Box::new(Dropout {
            x,
            into,
            out,
            mask,
            rate,
            source,
        }));
        out
    }
}

/// SplitMix64's mixing function (Steele, Lea and Flood, OOPSLA 2014).
#[inline(always)]
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

impl<T: Real> Op<T> for Dropout {
    fn wiring(&self) -> Wiring {
        Wiring {
            reads: vec![self.out],
            writes: self.into.into_iter().collect(),
        }
    }

    fn forward(&self, t: &mut Tile<'_, T>) {
        let (ld, rows) = (t.ld, t.rows);
        let keys = &t.batch.keys[t.base..t.base + rows];
        let ranges = [t.at(self.out), t.at(self.mask), t.at(self.x)];
        let [out, mask, x] = parts(t.values, ranges);
        let threshold = (self.rate * (1u64 << 32) as f64) as u64;
        let keep = T::of(1.0 / (1.0 - self.rate));
        simd!(t.arch, {
            for j in 0..self.x.width {
                let mask = feature_mut(mask, j, ld, rows);
                match t.noise {
                    Some(seed) => {
                        let stream = mix(seed ^ mix((self.source << 32) | j as u64));
                        for (m, &key) in mask.iter_mut().zip(keys) {
                            let drop = mix(stream ^ key) >> 32 < threshold;
                            *m = if drop { T::ZERO } else { keep };
                        }
                    }
                    None => mask.fill(T::ONE),
                }
                let x = feature(x, j, ld, rows);
                put(feature_mut(out, j, ld, rows), false, |r| x[r] * mask[r]);
            }
        });
    }

    /// `dx += dy mask`.
    fn backward(&self, t: &mut Tile<'_, T>) {
        let Some(edge) = self.into else { return };
        let (ld, rows) = (t.ld, t.rows);
        let mask = &t.values[t.at(self.mask)];
        let (range, accumulate) = t.back(edge);
        let ranges = [range, t.grad(self.out)];
        let [d, g] = parts(t.grads, ranges);
        simd!(t.arch, {
            for j in 0..self.x.width {
                let (mask, g) = (feature(mask, j, ld, rows), feature(g, j, ld, rows));
                put(feature_mut(d, j, ld, rows), accumulate, |r| g[r] * mask[r]);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::mix;
    use crate::check::{Case, leaf, probe};

    #[test]
    fn gradient() {
        Case::new(|b| {
            let x = leaf(b, "x", 3);
            let y = b.dropout(x, 0.4);
            probe(b, y);
        })
        .check();
    }

    #[test]
    fn share_of_zeros() {
        let dropped = (0..100_000u64)
            .filter(|&i| mix(i) >> 32 < (1 << 32) / 5)
            .count();
        assert!((19_500..20_500).contains(&dropped));
    }
}
