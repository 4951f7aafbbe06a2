//! A dense layer for one row: a product of a matrix with a vector, bound by reading the weights once.

use super::LANES;
use crate::{Real, simd::simd};
use std::array::from_fn;

/// Outputs worked on at a time: enough sums at once to hide how long one addition takes.
const OUTPUTS: usize = 8;

/// `y = W x + b`. `w`: `[n, k]`, row by row; `x`: `[k]`; `b` and `y`: `[n]`.
pub(super) fn forward<T: Real>(arch: pulp::Arch, w: &[T], b: &[T], x: &[T], y: &mut [T]) {
    y[..b.len()].copy_from_slice(b);
    simd!(arch, add(w, x, &mut y[..b.len()]));
}

/// `y += W x`.
#[inline(always)]
fn add<T: Real>(w: &[T], x: &[T], y: &mut [T]) {
    let k = x.len();
    let (blocks, rest) = y.as_chunks_mut::<OUTPUTS>();
    let (many, few) = w.split_at(blocks.len() * OUTPUTS * k);
    for (y, w) in blocks.iter_mut().zip(many.chunks_exact(OUTPUTS * k)) {
        add_block(w, x, y);
    }
    for (y, w) in rest.iter_mut().zip(few.chunks_exact(k)) {
        add_block(w, x, std::array::from_mut(y));
    }
}

#[inline(always)]
fn add_block<T: Real, const N: usize>(w: &[T], x: &[T], y: &mut [T; N]) {
    let (vectors, rest) = x.as_chunks::<LANES>();
    let rows: [_; N] = from_fn(|j| w[j * x.len()..][..x.len()].as_chunks::<LANES>());
    let weights: [_; N] = from_fn(|j| &rows[j].0[..vectors.len()]);
    let mut sums = [[T::ZERO; LANES]; N];
    for (i, x) in vectors.iter().enumerate() {
        for j in 0..N {
            let w = &weights[j][i];
            sums[j] = from_fn(|l| x[l].fma(w[l], sums[j][l]));
        }
    }
    for j in 0..N {
        let tail = rows[j].1.iter().zip(rest);
        let tail = tail.fold(T::ZERO, |sum, (&w, &x)| x.fma(w, sum));
        y[j] += total(sums[j]) + tail;
    }
}

/// The sum of all lanes, halved again and again.
#[inline(always)]
fn total<T: Real>(mut lanes: [T; LANES]) -> T {
    let mut half = LANES / 2;
    while half > 0 {
        for l in 0..half {
            let other = lanes[l + half];
            lanes[l] += other;
        }
        half /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_all_sizes() {
        for (n, k) in [(1, 1), (7, 16), (8, 15), (9, 33), (40, 70)] {
            let number = |i: usize, step: usize| ((i * step) % 17) as f64 - 8.0;
            let w: Vec<f64> = (0..n * k).map(|i| number(i, 5)).collect();
            let x: Vec<f64> = (0..k).map(|i| number(i, 3)).collect();
            let b: Vec<f64> = (0..n).map(|i| number(i, 7)).collect();
            let mut y = vec![f64::NAN; n];
            forward(pulp::Arch::new(), &w, &b, &x, &mut y);
            for j in 0..n {
                let dot = (0..k).map(|i| w[j * k + i] * x[i]).sum::<f64>();
                // Whole numbers: every order of additions is exact.
                assert_eq!(y[j], dot + b[j], "{n} x {k}, output {j}");
            }
        }
    }
}
