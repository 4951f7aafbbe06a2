//! The two scalar types of the engine, their vector-friendly functions and their matrix product.

use faer::{
    Accum, MatMut, MatRef, Par,
    linalg::matmul::matmul,
    traits::{ComplexField, Conjugate},
};
use std::{fmt, iter, ops};

/// `f32`, for work, or `f64`, for checking gradients.
///
/// `exp` and `ln` of `f32` are branch-free polynomials (S. Moshier's Cephes coefficients, about
/// 2 units in the last place), so that loops over rows become vector code.
pub trait Real:
    Copy
    + PartialOrd
    + Send
    + Sync
    + Default
    + fmt::Debug
    + fmt::Display
    + iter::Sum
    + ops::Add<Output = Self>
    + ops::Sub<Output = Self>
    + ops::Mul<Output = Self>
    + ops::Div<Output = Self>
    + ops::Neg<Output = Self>
    + ops::AddAssign
    + ops::SubAssign
    + ops::MulAssign
    + ComplexField
    + Conjugate<Canonical = Self>
    + 'static
{
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// The nearest value to `x`.
    fn of(x: f64) -> Self;
    /// This value in double precision.
    fn f64(self) -> f64;
    /// e to this power; saturates where `f32` would overflow or become subnormal. NaN stays NaN.
    fn exp(self) -> Self;
    /// Natural logarithm of a positive number. NaN stays NaN.
    fn ln(self) -> Self;
    /// Square root.
    fn root(self) -> Self;
    /// Magnitude.
    fn magnitude(self) -> Self;
    /// `self * a + b`, fused where the machine can.
    fn fma(self, a: Self, b: Self) -> Self;

    /// The larger of two numbers; the second if either is NaN.
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        if self > other { self } else { other }
    }

    /// The larger of this number and zero; NaN stays NaN.
    #[inline(always)]
    fn positive(self) -> Self {
        if Self::ZERO > self { Self::ZERO } else { self }
    }

    /// `1 / (1 + e^-x)`, without overflow.
    #[inline(always)]
    fn sigmoid(self) -> Self {
        let e = (-self.magnitude()).exp();
        let inverse = Self::ONE / (Self::ONE + e);
        if self >= Self::ZERO {
            inverse
        } else {
            e * inverse
        }
    }

    /// `ln(1 + e^x)`, without overflow.
    #[inline(always)]
    fn softplus(self) -> Self {
        self.positive() + (Self::ONE + (-self.magnitude()).exp()).ln()
    }
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    #[inline(always)]
    fn of(x: f64) -> Self {
        x as f32
    }
    #[inline(always)]
    fn f64(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn exp(self) -> Self {
        exp_f32(self)
    }
    #[inline(always)]
    fn ln(self) -> Self {
        ln_f32(self)
    }
    #[inline(always)]
    fn root(self) -> Self {
        f32::sqrt(self)
    }
    #[inline(always)]
    fn magnitude(self) -> Self {
        f32::abs(self)
    }
    #[inline(always)]
    fn fma(self, a: Self, b: Self) -> Self {
        self.mul_add(a, b)
    }
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
    #[inline(always)]
    fn of(x: f64) -> Self {
        x
    }
    #[inline(always)]
    fn f64(self) -> f64 {
        self
    }
    #[inline(always)]
    fn exp(self) -> Self {
        f64::exp(self)
    }
    #[inline(always)]
    fn ln(self) -> Self {
        f64::ln(self)
    }
    #[inline(always)]
    fn root(self) -> Self {
        f64::sqrt(self)
    }
    #[inline(always)]
    fn magnitude(self) -> Self {
        f64::abs(self)
    }
    #[inline(always)]
    fn fma(self, a: Self, b: Self) -> Self {
        self.mul_add(a, b)
    }
}

/// Cephes `expf`: `x = n ln 2 + r`, a polynomial in `r`, and `n` put into the exponent bits.
#[inline(always)]
fn exp_f32(x: f32) -> f32 {
    // Adding 1.5 * 2^23 rounds to an integer that then sits in the low mantissa bits.
    const ROUND: f32 = 12_582_912.0;
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let mut p = 1.987_569_1e-4f32;
    for c in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ] {
        p = p * r + c;
    }
    let power = (shifted.to_bits() as i32 - 0x4B40_0000 + 127) << 23;
    (p * r * r + r + 1.0) * f32::from_bits(power as u32)
}

/// Cephes `logf`: the mantissa brought into `[sqrt(1/2), sqrt 2)`, a polynomial around 1.
#[inline(always)]
fn ln_f32(x: f32) -> f32 {
    let bits = x.to_bits() as i32 - 0x3F35_04F3;
    let e = (bits >> 23) as f32;
    let m = f32::from_bits(((bits & 0x7F_FFFF) + 0x3F35_04F3) as u32) - 1.0;
    let z = m * m;
    let mut p = 7.037_683_6e-2f32;
    for c in [
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ] {
        p = p * m + c;
    }
    let y = m + (p * m * z + e * -2.121_944_4e-4 - 0.5 * z) + e * 0.693_359_4;
    // The bits of NaN and infinity would pass for those of a number.
    if x < f32::INFINITY { y } else { x }
}

/// A read-only matrix view: `rows x cols`, columns `stride` apart; `transposed` swaps the two.
#[derive(Clone, Copy)]
pub(crate) struct View<'a, T> {
    data: &'a [T],
    rows: usize,
    cols: usize,
    stride: usize,
    transposed: bool,
}

impl<'a, T: Real> View<'a, T> {
    /// Columns contiguous: element `(i, j)` at `j * stride + i`.
    pub(crate) fn new(data: &'a [T], rows: usize, cols: usize, stride: usize) -> Self {
        Self {
            data,
            rows,
            cols,
            stride,
            transposed: false,
        }
    }

    /// The transpose of this view.
    pub(crate) fn t(self) -> Self {
        Self {
            transposed: !self.transposed,
            ..self
        }
    }

    fn faer(self) -> MatRef<'a, T> {
        let m = MatRef::from_column_major_slice_with_stride(
            self.data,
            self.rows,
            self.cols,
            self.stride,
        );
        if self.transposed { m.transpose() } else { m }
    }
}

/// `out (+)= a b`, `out` being `rows x cols` with columns `stride` apart, or its transpose.
pub(crate) fn product<T: Real>(
    out: (&mut [T], usize, usize, usize, bool),
    accumulate: bool,
    a: View<'_, T>,
    b: View<'_, T>,
) {
    let (data, rows, cols, stride, transposed) = out;
    let mut dst = MatMut::from_column_major_slice_with_stride_mut(data, rows, cols, stride);
    if transposed {
        dst = dst.transpose_mut();
    }
    let beta = if accumulate {
        Accum::Add
    } else {
        Accum::Replace
    };
    matmul(dst, beta, a.faer(), b.faer(), T::ONE, Par::Seq);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_match_the_library() {
        for i in -8700..8800 {
            let x = i as f32 * 0.01;
            let relative = (exp_f32(x) - x.exp()).abs() / x.exp();
            assert!(relative < 3e-7, "exp({x}) is off by {relative}");
        }
        for i in 1..100_000 {
            let x = i as f32 * 0.003;
            let error = (ln_f32(x) - x.ln()).abs() / x.ln().abs().max(1.0);
            assert!(error < 2e-7, "ln({x}) is off by {error}");
        }
    }

    #[test]
    fn nan_stays_nan() {
        let x = f32::NAN;
        let results = [
            Real::exp(x),
            Real::ln(x),
            Real::sigmoid(x),
            Real::softplus(x),
            x.positive(),
        ];
        assert!(results.iter().all(|y| y.is_nan()), "{results:?}");
        assert!(f64::NAN.positive().is_nan() && Real::softplus(f64::NAN).is_nan());
        assert_eq!((-1.0f32).positive(), 0.0);
        assert_eq!(Real::ln(f32::INFINITY), f32::INFINITY);
    }

    #[test]
    fn extremes_stay_finite() {
        for x in [-1e30f32, -200.0, -80.0, 0.0, 80.0, 200.0, 1e30] {
            assert!(Real::exp(x).is_finite());
            assert!((0.0..=1.0).contains(&Real::sigmoid(x)));
            assert!(Real::softplus(x).is_finite() && Real::softplus(x) >= 0.0);
        }
        assert_eq!(Real::softplus(80.0f32), 80.0);
        assert_eq!(Real::softplus(-800.0f64), 0.0);
    }
}
