//! Order across horizons.

use crate::graph::{Graph, Value};
use ltv_core::order::in_proportion;

/// [`ltv_core::order::project`] of every row of `x`, `[rows, horizons]`, in one formula instead of by
/// pooling: the `t`-th value is the largest over `i <= t` of the smallest over `j >= t` of the weighted
/// means of values `i` to `j` (Robertson, Wright and Dykstra, Order Restricted Statistical Inference,
/// 1988, theorem 1.4.4).
pub(super) fn project(g: &mut Graph, x: Value, weights: &[f64]) -> Value {
    let n = weights.len();
    let means = g.doubles(&[n, n * n * n], &means(weights));
    let means = g.op("MatMul", &[x, means]);
    let means = g.reshape(means, &[n, n, n]);
    let smallest = g.extreme("ReduceMin", means, 3);
    g.extreme("ReduceMax", smallest, 2)
}

/// The matrix that makes of `n` values the mean from `i` to `j` for every `t`, `[n, (t, i, j)]`. Where
/// such a run does not reach around `t` it is drawn up to it, which changes neither the smallest nor the
/// largest.
fn means(weights: &[f64]) -> Vec<f64> {
    let n = weights.len();
    let weights: Vec<f64> = in_proportion(weights).collect();
    let share = |value: usize, column: usize| {
        let (t, i, j) = (column / (n * n), column / n % n, column % n);
        let run = i.min(t)..=j.max(t);
        match run.contains(&value) {
            true => weights[value] / weights[run].iter().sum::<f64>(),
            false => 0.0,
        }
    };
    let row = |value| (0..n * n * n).map(move |column| share(value, column));
    (0..n).flat_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ltv_core::order;

    /// What the operators compute.
    fn projected(x: &[f64], weights: &[f64]) -> Vec<f64> {
        let n = x.len();
        let means = means(weights);
        let mean = |column: usize| {
            (0..n)
                .map(|v| x[v] * means[v * n * n * n + column])
                .sum::<f64>()
        };
        let value = |t: usize| {
            let smallest = |i: usize| {
                let js = (0..n).map(|j| mean((t * n + i) * n + j));
                js.fold(f64::INFINITY, f64::min)
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
