//! Kernels for layers of few outputs: rows run in vector lanes, outputs stay in registers.
//!
//! A tower's second layer is 64 -> 10. A general matrix product packs both sides and wastes most
//! of its register tile on it; these kernels read each input once for a block of outputs.

use crate::{Real, simd::simd};
use std::array::from_fn;

/// Most outputs of a layer that the kernels take.
pub(super) const MOST: usize = 24;
/// Rows worked on at a time: one AVX-512 register of `f32`.
const LANES: usize = 16;

/// Scratch that [`forward`] and [`backward`] need, in features (a feature has at least 16 rows).
pub(super) fn scratch(inputs: usize, outputs: usize) -> usize {
    if outputs <= MOST {
        (inputs * outputs).div_ceil(LANES)
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
    blocks!(n, |from, N| {
        let w = pack::<T, N>(&w[from * k..(from + N) * k], k, scratch);
        let mut block = Block {
            x,
            dy: from_fn(|j| &dy[(from + j) * ld..][..up]),
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

/// N outputs of a layer.
struct Block<'a, T, const N: usize> {
    x: &'a [T],
    dy: [&'a [T]; N],
    dw: &'a mut [T],
    add: bool,
    ld: usize,
    dx: Option<(&'a mut [T], bool)>,
}

impl<T: Real, const N: usize> Block<'_, T, N> {
    /// Two inputs at a time: more would not fit into registers.
    #[inline(always)]
    fn backward(&mut self, w: &[[T; N]]) {
        let (pairs, rest) = w.as_chunks::<2>();
        for (i, &w) in pairs.iter().enumerate() {
            self.inputs(2 * i, w);
        }
        if let [last] = rest {
            self.inputs(w.len() - 1, [*last]);
        }
    }

    /// Inputs `from` and up, with their weights.
    #[inline(always)]
    fn inputs<const I: usize>(&mut self, from: usize, w: [[T; N]; I]) {
        let ld = self.ld;
        let x = &self.x[from * ld..(from + I) * ld];
        let dy = self.dy;
        let (dx, accumulate) = match &mut self.dx {
            Some((dx, accumulate)) => (&mut dx[from * ld..(from + I) * ld], *accumulate),
            None => (&mut [][..], false),
        };
        let mut sum = [[[T::ZERO; LANES]; N]; I];
        for r in (0..dy[0].len()).step_by(LANES) {
            let x: [[T; LANES]; I] = from_fn(|i| lanes(x, i * ld + r));
            let mut back = [[T::ZERO; LANES]; I];
            for j in 0..N {
                let g = lanes(dy[j], r);
                for i in 0..I {
                    sum[i][j] = from_fn(|l| x[i][l].fma(g[l], sum[i][j][l]));
                    back[i] = from_fn(|l| g[l].fma(w[i][j], back[i][l]));
                }
            }
            if dx.is_empty() {
                continue;
            }
            for i in 0..I {
                let out = &mut dx[i * ld + r..i * ld + r + LANES];
                let old = if accumulate {
                    lanes(out, 0)
                } else {
                    [T::ZERO; LANES]
                };
                out.copy_from_slice(&from_fn::<T, LANES, _>(|l| old[l] + back[i][l]));
            }
        }
        self.write(from, sum);
    }

    /// Sums over lanes.
    #[inline(always)]
    fn write<const I: usize>(&mut self, from: usize, sum: [[[T; LANES]; N]; I]) {
        let k = self.dw.len() / N;
        // Copied by a loop so short that it is unrolled: an array that any other loop indexes would
        // live in memory from the start, not in registers.
        let mut sums = [[[T::ZERO; LANES]; N]; I];
        for i in 0..I {
            for j in 0..N {
                sums[i][j] = sum[i][j];
            }
        }
        for (i, sums) in sums.iter().enumerate() {
            for (j, sum) in sums.iter().enumerate() {
                put_total(&mut self.dw[j * k + from + i], *sum, self.add);
            }
        }
    }
}

#[inline(always)]
fn put_total<T: Real>(out: &mut T, sum: [T; LANES], add: bool) {
    let total = total(sum);
    *out = if add { *out + total } else { total };
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
fn total<T: Real>(a: [T; LANES]) -> T {
    let b: [T; 8] = from_fn(|i| a[i] + a[i + 8]);
    let c: [T; 4] = from_fn(|i| b[i] + b[i + 4]);
    (c[0] + c[2]) + (c[1] + c[3])
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
