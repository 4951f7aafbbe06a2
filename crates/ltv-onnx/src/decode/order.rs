//! Order across horizons.

use crate::graph::{Graph, Value};
use ltv_core::order::in_proportion;

/// [`ltv_core::order::project`] of every row of `x`, `[rows, horizons]`, in one formula instead of by
/// pooling: the `t`-th value is the largest over `i <= t` of the smallest over `j >= t` of the weighted
/// means of values `i` to `j` (Robertson, Wright and Dykstra, Order Restricted Statistical Inference,
/// 1988, theorem 1.4.4).
pub(super) fn project(g: &mut Graph, x: Value, weights: &[f64]) -> Value {
    let blocks = Blocks::new(weights);
    let (n, count) = (weights.len(), blocks.ends.len());
    let means = g.doubles(&[n, count], &blocks.shares(n));
    let means = g.op("MatMul", &[x, means]);
    let which = g.ints(&[n, n, n], &blocks.around(n));
    let around = g.gather(means, which, 1);
    let smallest = g.extreme("ReduceMin", around, 3);
    g.extreme("ReduceMax", smallest, 2)
}

/// All runs of horizons.
struct Blocks {
    weights: Vec<f64>,
    /// First and last horizon of each.
    ends: Vec<(usize, usize)>,
}

impl Blocks {
    fn new(weights: &[f64]) -> Self {
        let n = weights.len();
        Self {
            weights: in_proportion(weights).collect(),
            ends: (0..n).flat_map(|i| (i..n).map(move |j| (i, j))).collect(),
        }
    }

    /// The share that each horizon has in each block's mean, `[horizons, blocks]`.
    fn shares(&self, n: usize) -> Vec<f64> {
        let share = |t: usize, &(i, j): &(usize, usize)| {
            let total: f64 = self.weights[i..=j].iter().sum();
            if (i..=j).contains(&t) {
                self.weights[t] / total
            } else {
                0.0
            }
        };
        let row = |t| self.ends.iter().map(move |ends| share(t, ends));
        (0..n).flat_map(row).collect()
    }

    /// For every horizon `t` the blocks from `i` to `j`, `[t, i, j]`; where one does not reach around
    /// `t`, that of the nearest ends that do, which changes neither the smallest nor the largest.
    fn around(&self, n: usize) -> Vec<i64> {
        let place = |i: usize, j: usize| self.ends.iter().position(|e| *e == (i, j)).unwrap_or(0);
        let mut out = vec![];
        for t in 0..n {
            for i in 0..n {
                out.extend((0..n).map(|j| place(i.min(t), j.max(t)) as i64));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ltv_core::order;

    /// What the operators compute.
    fn projected(x: &[f64], weights: &[f64]) -> Vec<f64> {
        let n = x.len();
        let blocks = Blocks::new(weights);
        let (shares, count) = (blocks.shares(n), blocks.ends.len());
        let mean = |b: usize| (0..n).map(|t| x[t] * shares[t * count + b]).sum::<f64>();
        let around = blocks.around(n);
        let value = |t: usize| {
            let smallest = |i: usize| {
                let js = &around[(t * n + i) * n..][..n];
                js.iter()
                    .map(|&b| mean(b as usize))
                    .fold(f64::INFINITY, f64::min)
            };
            (0..n).map(smallest).fold(f64::NEG_INFINITY, f64::max)
        };
        (0..n).map(value).collect()
    }

    #[test]
    fn the_formula_is_what_pooling_gives() {
        let weights = [1.0, 0.3, 4.0, 1e-3];
        let mut x = 0.37f64;
        for _ in 0..500 {
            let row: Vec<f64> = (0..4)
                .map(|_| {
                    x = (x * 3.9) * (1.0 - x);
                    100.0 * x
                })
                .collect();
            let mut expected = row.clone();
            order::project(&mut expected, &weights);
            for (found, expected) in projected(&row, &weights).iter().zip(&expected) {
                assert!((found / expected - 1.0).abs() < 1e-13, "{row:?}");
            }
        }
    }

    #[test]
    fn what_is_in_order_stays() {
        assert_eq!(
            projected(&[1.0, 2.5, 7.0], &[0.1, 0.7, 0.3]),
            [1.0, 2.5, 7.0]
        );
    }
}
