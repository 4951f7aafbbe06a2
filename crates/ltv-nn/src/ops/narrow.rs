//! Kernels for layers of few outputs: rows run in vector lanes, outputs stay in registers.
//!
//! A tower's second layer is 64 -> 10. A general matrix product packs both sides and wastes most
//! of its register tile on it; these kernels read each input once for a block of outputs.

use super::LANES;
use crate::{Real, simd::simd};
use std::{array::from_fn, hint::black_box};

/// Most outputs of a layer that the kernels take.
pub(super) const MOST: usize = 24;

/// Scratch that [`forward`] and [`backward`] need, in features (a feature has at least 16 rows): a
/// copy of the weights, and one of the outputs' gradient.
pub(super) fn scratch(inputs: usize, outputs: usize) -> usize {
    if outputs <= MOST {
        (inputs * outputs).div_ceil(LANES) + outputs
    } else {
        0
    }
}

/// Calls `$f::<_, N>` for the largest N in a fixed set that fits into the outputs left.
macro_rules! blocks {
    ($n:expr, |$start:ident, $width:ident| $body:expr) => {{
        let n = $n;
        let mut $start = 0;
        while $start < n {
            macro_rules! run {
                ($N:literal) => {{
                    const $width: usize = $N;
                    $body;
                    $start += $N;
                }};
            }
            match n - $start {
                1 => run!(1),
                2 => run!(2),
                3 => run!(3),
                4 => run!(4),
                8 => run!(8),
                9 => run!(9),
                10.. => run!(10),
                _ => run!(5),
            }
        }
    }};
}

/// `y = x W^T + b`. `w`: `[n, k]`; `x`: `[k]` and `y`: `[n]` features of `ld` rows.
#[allow(
    clippy::too_many_arguments,
    reason = "a kernel: plain slices and sizes"
)]
pub(super) fn forward<T: Real>(
    arch: pulp::Arch,
    w: &[T],
    b: &[T],
    x: &[T],
    y: &mut [T],
    ld: usize,
    rows: usize,
    scratch: &mut [T],
) {
    let k = w.len() / b.len();
    blocks!(b.len(), |from, N| {
        let packed = pack::<T, N>(&w[from * k..(from + N) * k], k, scratch);
        let bias: [T; N] = from_fn(|j| b[from + j]);
        simd!(
            arch,
            forward_block(packed, bias, x, &mut y[from * ld..], ld, rows)
        );
    });
}

/// Weights of N outputs, input by input.
#[inline(always)]
fn pack<'a, T: Real, const N: usize>(w: &[T], k: usize, scratch: &'a mut [T]) -> &'a [[T; N]] {
    let (packed, _) = scratch[..k * N].as_chunks_mut::<N>();
    for (i, packed) in packed.iter_mut().enumerate() {
        *packed = from_fn(|j| w[j * k + i]);
    }
    packed
}

#[inline(always)]
fn forward_block<T: Real, const N: usize>(
    w: &[[T; N]],
    bias: [T; N],
    x: &[T],
    y: &mut [T],
    ld: usize,
    rows: usize,
) {
    for r in (0..rows).step_by(LANES) {
        let mut sum: [[T; LANES]; N] = from_fn(|j| [bias[j]; LANES]);
        for (w, x) in w.iter().zip(x.chunks_exact(ld)) {
            let x = lanes(x, r);
            for j in 0..N {
                sum[j] = from_fn(|l| x[l].fma(w[j], sum[j][l]));
            }
        }
        for (sum, y) in sum.iter().zip(y.chunks_exact_mut(ld)) {
            y[r..r + LANES].copy_from_slice(sum);
        }
    }
}

/// What the backward kernel reads and writes besides the input's gradient.
pub(super) struct Backward<'a, T> {
    /// `[n, k]`.
    pub(super) w: &'a [T],
    /// `[k]` features.
    pub(super) x: &'a [T],
    /// `[n]` features; rows past `rows` are set to zero.
    pub(super) dy: &'a mut [T],
    /// `[n, k]`.
    pub(super) dw: &'a mut [T],
    /// Whether to add to `dw`.
    pub(super) add: bool,
    pub(super) ld: usize,
    pub(super) rows: usize,
}

/// `dW (+)= dy^T x`, and `dx (+)= dy W` where wanted.
pub(super) fn backward<T: Real>(
    arch: pulp::Arch,
    task: Backward<'_, T>,
    mut dx: Option<(&mut [T], bool)>,
    scratch: &mut [T],
) {
    let Backward {
        w,
        x,
        dy,
        dw,
        add,
        ld,
        rows,
    } = task;
    let up = rows.next_multiple_of(LANES);
    let n = dy.len() / ld;
    let k = w.len() / n;
    dy.chunks_exact_mut(ld)
        .for_each(|dy| dy[rows..up].fill(T::ZERO));
    let (weights, gradient) = scratch.split_at_mut(k * n);
    blocks!(n, |from, N| {
        let w = pack::<T, N>(&w[from * k..(from + N) * k], k, weights);
        let mut block = Block {
            x,
            dy: interleave::<T, N>(&dy[from * ld..], ld, up, gradient),
            dw: &mut dw[from * k..(from + N) * k],
            add,
            ld,
            dx: dx.as_mut().map(|(dx, accumulate)| (&mut **dx, *accumulate)),
        };
        simd!(arch, block.backward(w));
        // The first block of outputs overwrites the input's gradient, the others add to it.
        if let Some((_, accumulate)) = &mut dx {
            *accumulate = true;
        }
    });
}

/// N features by [`LANES`] rows: all that is read together lies together.
#[inline(always)]
fn interleave<'a, T: Real, const N: usize>(
    from: &[T],
    ld: usize,
    rows: usize,
    scratch: &'a mut [T],
) -> &'a [[[T; LANES]; N]] {
    let (vectors, _) = scratch[..rows * N].as_chunks_mut::<LANES>();
    let (out, _) = vectors.as_chunks_mut::<N>();
    for (j, from) in from.chunks_exact(ld).take(N).enumerate() {
        let (from, _) = from[..rows].as_chunks();
        out.iter_mut().zip(from).for_each(|(o, x)| o[j] = *x);
    }
    out
}

/// N outputs of a layer.
struct Block<'a, T, const N: usize> {
    x: &'a [T],
    dy: &'a [[[T; LANES]; N]],
    dw: &'a mut [T],
    add: bool,
    ld: usize,
    dx: Option<(&'a mut [T], bool)>,
}

impl<T: Real, const N: usize> Block<'_, T, N> {
    #[inline(always)]
    fn backward(&mut self, w: &[[T; N]]) {
        for (i, w) in w.iter().enumerate() {
            self.input(i, w);
        }
    }

    /// One input, with its weights: the sums of two would not leave registers for the rest.
    #[inline(always)]
    fn input(&mut self, i: usize, w: &[T; N]) {
        let (feature, dy) = (i * self.ld..(i + 1) * self.ld, self.dy);
        let x = &self.x[feature.clone()].as_chunks::<LANES>().0[..dy.len()];
        let (dx, accumulate) = match &mut self.dx {
            Some((dx, accumulate)) => (dx[feature].as_chunks_mut::<LANES>().0, *accumulate),
            None => (&mut [][..], false),
        };
        let wanted = dx.len() >= dy.len();
        let mut sum = [[T::ZERO; LANES]; N];
        for (c, (x, dy)) in x.iter().zip(dy).enumerate() {
            // Two sums, for one would wait for itself.
            let mut back = [[T::ZERO; LANES]; 2];
            for j in 0..N {
                sum[j] = from_fn(|l| x[l].fma(dy[j][l], sum[j][l]));
                let back = &mut back[j % 2];
                *back = from_fn(|l| dy[j][l].fma(w[j], back[l]));
            }
            if wanted {
                let old = if accumulate { dx[c] } else { [T::ZERO; LANES] };
                dx[c] = from_fn(|l| old[l] + (back[0][l] + back[1][l]));
            }
        }
        self.write(i, sum);
    }

    /// Sums over lanes.
    #[inline(always)]
    fn write(&mut self, input: usize, sums: [[T; LANES]; N]) {
        let k = self.dw.len() / N;
        let sums = whole(sums);
        let mut quarters = [[T::ZERO; 4]; N];
        for j in 0..N {
            quarters[j] = quarter(sums[j]);
        }
        for (j, sums) in whole(quarters).iter().enumerate() {
            let (out, total) = (&mut self.dw[j * k + input], fold(*sums));
            *out = if self.add { *out + total } else { total };
        }
    }
}

/// The same, by way of memory. Without it the compiler makes vectors of as many lanes as suit what is
/// done with them in the end, a sum over lanes, rather than what is done in the loop before.
#[inline(always)]
fn whole<V: Copy>(vectors: V) -> V {
    *black_box(&vectors)
}

#[inline(always)]
fn lanes<T: Real>(x: &[T], r: usize) -> [T; LANES] {
    match x[r..r + LANES].try_into() {
        Ok(lanes) => lanes,
        Err(_) => unreachable!("a slice of LANES numbers"),
    }
}

/// Sum of the lanes, pairwise: the order of additions is fixed.
#[inline(always)]
fn total<T: Real>(lanes: [T; LANES]) -> T {
    fold(whole(quarter(whole(lanes))))
}

#[inline(always)]
fn quarter<T: Real>(a: [T; LANES]) -> [T; 4] {
    from_fn(|i| (a[i] + a[i + 8]) + (a[i + 4] + a[i + 12]))
}

#[inline(always)]
fn fold<T: Real>(a: [T; 4]) -> T {
    (a[0] + a[2]) + (a[1] + a[3])
}

/// What a feature's gradient adds to its bias. Where there was a ReLU, with outputs `y`, its gradient stops
/// first where ReLU did, in the same pass.
#[inline(always)]
pub(super) fn bias_gradient<T: Real>(y: Option<&[T]>, dy: &mut [T]) -> T {
    match y {
        Some(y) => masked_sum(y, dy),
        None => sum(dy),
    }
}

/// Sets `dy` to zero where `y` is, and sums it in the order of [`sum`].
#[inline(always)]
fn masked_sum<T: Real>(y: &[T], dy: &mut [T]) -> T {
    let mask = |d: T, y: T| if y > T::ZERO { d } else { T::ZERO };
    let ((ys, y_rest), (ds, d_rest)) = (y.as_chunks::<LANES>(), dy.as_chunks_mut::<LANES>());
    let mut sum = [T::ZERO; LANES];
    for (d, y) in ds.iter_mut().zip(ys) {
        *d = from_fn(|l| mask(d[l], y[l]));
        sum = from_fn(|l| sum[l] + d[l]);
    }
    let mut total = total(sum);
    for (d, &y) in d_rest.iter_mut().zip(y_rest) {
        *d = mask(*d, y);
        total += *d;
    }
    total
}

/// Sum of a row of numbers in a fixed order that vectorises.
#[inline(always)]
pub(super) fn sum<T: Real>(x: &[T]) -> T {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut sum = [T::ZERO; LANES];
    for chunk in chunks {
        sum = from_fn(|l| sum[l] + chunk[l]);
    }
    rest.iter().fold(total(sum), |s, &x| s + x)
}
