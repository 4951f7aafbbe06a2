//! Expected value under the bucket distribution.

use super::Op;
use crate::{
    Real,
    graph::{Builder, Edge, Node},
    plan::Wiring,
    simd::simd,
    tile::{Tile, feature, parts, put},
};

struct Expectation {
    o: Node,
    into: Option<Edge>,
    buckets: Vec<Bucket>,
    out: Node,
}

struct Bucket {
    left: f64,
    width: f64,
    bias: Option<(Node, Option<Edge>)>,
}

impl<T: Real> Builder<T> {
    /// `y = sum_u o_u (left_u + s_u width_u)`, where a bucket without a bias `s_u` has none of
    /// its width (DESIGN 3.4, 3.7, 3.9).
    ///
    /// # Shapes
    /// `o`: `[U]`; `buckets`: U triples (left, width, bias `[1]` in `[0, 1]`); result: `[1]`, in
    /// label units.
    pub fn expectation(&mut self, o: Node, buckets: &[(f64, f64, Option<Node>)]) -> Node {
        assert!(
            o.width == buckets.len(),
            "{} buckets for {o:?}",
            buckets.len()
        );
        let into = self.edge(o);
        let out = self.node(1);
        let mut list = vec![];
        for &(left, width, bias) in buckets {
            let bias = bias.map(|s| (s, self.edge(s)));
            list.push(Bucket { left, width, bias });
        }
        self.ops.push(Box::new(Expectation {
            o,
            into,
            buckets: list,
            out,
        }));
        out
    }
}

impl<T: Real> Op<T> for Expectation {
    fn wiring(&self) -> Wiring {
        let biases = self
            .buckets
            .iter()
            .filter_map(|b| b.bias.and_then(|(_, edge)| edge));
        Wiring {
            reads: vec![self.out],
            writes: biases.chain(self.into).collect(),
        }
    }

    fn forward(&self, t: &mut Tile<'_, T>) {
        let (rows, arch) = (t.rows, t.arch);
        let out = t.at(self.out);
        t.values[out.clone()].fill(T::ZERO);
        for (u, bucket) in self.buckets.iter().enumerate() {
            let (left, width) = (T::of(bucket.left), T::of(bucket.width));
            let o = t.at(self.o.slice(u..u + 1));
            // Without a bias the bucket's own probability stands in, times a width of zero.
            let (s, width) = match bucket.bias {
                Some((s, _)) => (t.at(s), width),
                None => {
                    let [y, o] = parts(t.values, [out.clone(), o]);
                    simd!(arch, put(&mut y[..rows], true, |r| o[r] * left));
                    continue;
                }
            };
            let [y, o, s] = parts(t.values, [out.clone(), o, s]);
            simd!(
                arch,
                put(&mut y[..rows], true, |r| o[r] * (left + s[r] * width))
            );
        }
    }

    /// `do_u += dy (left_u + s_u width_u)`, `ds_u += dy o_u width_u`.
    fn backward(&self, t: &mut Tile<'_, T>) {
        let (ld, rows, arch) = (t.ld, t.rows, t.arch);
        let out = t.grad(self.out);
        let o = &t.values[t.at(self.o)];
        for (u, bucket) in self.buckets.iter().enumerate() {
            let (left, width) = (T::of(bucket.left), T::of(bucket.width));
            let o = feature(o, u, ld, rows);
            if let Some((_, Some(edge))) = bucket.bias {
                let (range, accumulate) = t.back(edge);
                let [ds, g] = parts(t.grads, [range, out.clone()]);
                simd!(
                    arch,
                    put(&mut ds[..rows], accumulate, |r| g[r] * o[r] * width)
                );
            }
            let Some(edge) = self.into else { continue };
            let (range, accumulate) = t.back(edge.slice(u..u + 1));
            let s = bucket.bias.map(|(s, _)| t.at(s));
            let s = s.map(|s| &t.values[s]);
            let [d, g] = parts(t.grads, [range, out.clone()]);
            simd!(
                arch,
                match s {
                    Some(s) => put(&mut d[..rows], accumulate, |r| g[r] * (left + s[r] * width)),
                    None => put(&mut d[..rows], accumulate, |r| g[r] * left),
                }
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{Case, leaf, probe};

    #[test]
    fn gradient() {
        Case::new(|b| {
            let (o, s) = (leaf(b, "o", 3), leaf(b, "s", 2));
            let biases = [None, Some(s.slice(0..1)), Some(s.slice(1..2))];
            let buckets = [
                (0.5, 0.0, biases[0]),
                (1.0, 2.0, biases[1]),
                (3.0, 7.0, biases[2]),
            ];
            let y = b.expectation(o, &buckets);
            probe(b, y);
        })
        .check();
    }
}
