//! The special functions the models need, where no library has them in a form that is exact here.
//!
//! Gamma and incomplete beta functions come from `statrs`. Ratios of gamma functions a whole number
//! apart are sums of logarithms ([`Rising`]), which loses no digits. The Gauss hypergeometric
//! function is needed as `2F1(1, q; c; z)` only ([`unit_2f1`]).

/// 16-point Gauss-Legendre rule on `[-1, 1]`: the positive nodes and their weights.
const LEGENDRE: [(f64, f64); 8] = [
    (0.095_012_509_837_637_44, 0.189_450_610_455_068_5),
    (0.281_603_550_779_258_9, 0.182_603_415_044_923_6),
    (0.458_016_777_657_227_4, 0.169_156_519_395_002_54),
    (0.617_876_244_402_643_7, 0.149_595_988_816_576_73),
    (0.755_404_408_355_003, 0.124_628_971_255_533_87),
    (0.865_631_202_387_831_7, 0.095_158_511_682_492_78),
    (0.944_575_023_073_232_6, 0.062_253_523_938_647_89),
    (0.989_400_934_991_649_9, 0.027_152_459_411_754_095),
];

/// Nodes and weights of an integral over `[0, length]`, cut into equal panels no longer than
/// `panel`, each with a 16-point Gauss-Legendre rule.
pub(super) fn quadrature(length: f64, panel: f64) -> Vec<(f64, f64)> {
    let panels = (length / panel).ceil().max(1.0);
    let half = length / panels / 2.0;
    let mut all = Vec::with_capacity(16 * panels as usize);
    for i in 0..panels as usize {
        let middle = half * (2 * i + 1) as f64;
        for (node, weight) in LEGENDRE {
            all.push((middle - half * node, half * weight));
            all.push((middle + half * node, half * weight));
        }
    }
    all
}

/// `ln((a)_n) = ln Gamma(a + n) - ln Gamma(a)` and its derivative by `a`, for `n = 0..=most`.
pub(super) struct Rising {
    /// `ln((a)_n)`.
    pub(super) ln: Vec<f64>,
    /// `digamma(a + n) - digamma(a)`.
    pub(super) slope: Vec<f64>,
}

impl Rising {
    pub(super) fn new(a: f64, most: u32) -> Self {
        let mut table = Self {
            ln: vec![0.0],
            slope: vec![0.0],
        };
        let (mut ln, mut slope) = (0.0, 0.0);
        for k in 0..most {
            let factor = a + f64::from(k);
            ln += factor.ln();
            slope += factor.recip();
            table.ln.push(ln);
            table.slope.push(slope);
        }
        table
    }
}

/// `ln(exp(x) + exp(y))`.
pub(super) fn ln_add_exp(x: f64, y: f64) -> f64 {
    let (high, low) = if x >= y { (x, y) } else { (y, x) };
    if high == f64::NEG_INFINITY {
        return high;
    }
    high + (low - high).exp().ln_1p()
}

/// `ln Gamma(a)` for `a > 0`, to about 1e-14.
pub(super) fn ln_gamma(a: f64) -> f64 {
    statrs::function::gamma::ln_gamma(a)
}

/// The derivative of [`ln_gamma`].
pub(super) fn digamma(a: f64) -> f64 {
    statrs::function::gamma::digamma(a)
}

/// The regularised incomplete beta function `I_x(a, b)` for `a, b > 0`; `x` is clamped to `[0, 1]`.
pub(super) fn regularised_beta(a: f64, b: f64, x: f64) -> f64 {
    statrs::function::beta::checked_beta_reg(a, b, x.clamp(0.0, 1.0)).unwrap_or(f64::NAN)
}

/// `2F1(1, q; c; z)` and its derivatives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Unit2F1 {
    pub(super) value: f64,
    pub(super) by_q: f64,
    pub(super) by_c: f64,
    pub(super) by_z: f64,
}

/// Deeper than this the fraction does not go: enough for `z <= 1 - 1e-6`.
const DEEPEST: f64 = 20_000.0;

/// `2F1(1, q; c; z)` for `q > 0`, `c > q`, `0 <= z < 1`, by Gauss's continued fraction
/// `1 / (1 - k_1 z / (1 - k_2 z / ...))` with
/// `k_{2i+1} = (q + i)(c - 1 + i) / ((c - 1 + 2i)(c + 2i))` and
/// `k_{2i} = i (c - 1 - q + i) / ((c - 2 + 2i)(c - 1 + 2i))` (DLMF section 15.7).
///
/// On this domain all `k` are positive and the fraction converges at the rate
/// `(1 - w) / (1 + w)` a step, `w = sqrt(1 - z)`, also where the series would need `1 / (1 - z)`
/// terms. It is evaluated from below, starting from its limit. Relative error below 1e-12 for
/// `z <= 0.9999`, below 1e-9 up to `1 - 1e-6`, where rounding in `1 - z` alone costs as much.
pub(super) fn unit_2f1(q: f64, c: f64, z: f64) -> Unit2F1 {
    let w = (1.0 - z).sqrt();
    let (mut rest, mut by_q, mut by_c, mut by_z) = ((1.0 + w) / 2.0, 0.0, 0.0, -0.25 / w);
    for step in (1..=depth(q, c, z, w)).rev() {
        let (k, k_q, k_c) = coefficient(q, c, step);
        let inverse = rest.recip();
        let carry = k * z * inverse * inverse;
        by_q = carry * by_q - k_q * z * inverse;
        by_c = carry * by_c - k_c * z * inverse;
        by_z = carry * by_z - k * inverse;
        rest = 1.0 - k * z * inverse;
    }
    let value = rest.recip();
    let outer = -value * value;
    Unit2F1 {
        value,
        by_q: outer * by_q,
        by_c: outer * by_c,
        by_z: outer * by_z,
    }
}

/// The `step`-th `k` of the fraction and its derivatives by `q` and `c`.
#[inline]
fn coefficient(q: f64, c: f64, step: u32) -> (f64, f64, f64) {
    let i = f64::from(step / 2);
    // The denominator is `low * (low + 1)`.
    let low = c - 1.0 + f64::from(step - 1);
    let below = (low * (low + 1.0)).recip();
    let (k, k_q, k_c) = if step % 2 == 1 {
        ((q + i) * (c - 1.0 + i), c - 1.0 + i, q + i)
    } else {
        (i * (c - 1.0 - q + i), -i, i)
    };
    let k = k * below;
    let by_c = k_c * below - k * (2.0 * low + 1.0) * below;
    (k, k_q * below, by_c)
}

/// How deep the fraction must go: as its rate asks for or, where that is deep, to where Steed's
/// forward evaluation no longer changes. Large `q` or `c` are done long before the rate says.
fn depth(q: f64, c: f64, z: f64, w: f64) -> u32 {
    let rate = -((1.0 - w) / (1.0 + w)).ln();
    let most = (36.0 / rate + 6.0).min(DEEPEST) as u32;
    if most <= 48 {
        return most;
    }
    let (mut d, mut change, mut value) = (1.0, 1.0, 1.0);
    for step in 1..most {
        d = (1.0 - coefficient(q, c, step).0 * z * d).recip();
        change *= d - 1.0;
        value += change;
        if d < 2.0 && change <= 1e-17 * value {
            // Derivatives settle a little later than the value.
            return (step + step / 8 + 8).min(most);
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64, relative: f64) {
        assert!(
            (found - expected).abs() <= relative * expected.abs(),
            "{found} is not {expected}"
        );
    }

    /// mpmath 1.3, 40 digits: `hyp2f1(1, q, c, z)`, derivatives by central differences of 1e-13.
    #[test]
    fn the_hypergeometric_function_agrees_with_mpmath() {
        #[rustfmt::skip]
        let table = [
            (0.5, 1.6, 0.1, 1.033_188_446_307_134_1, 0.067_726_574_514_59, -0.021_528_404_288_528, 0.352_737_272_567_51),
            (1.606, 2.159, 0.0936, 1.075_477_849_651_753_9, 0.049_384_465_539_703, -0.036_935_019_452_561, 0.874_464_437_337_2),
            (30.0, 31.6, 0.9, 7.201_014_025_808_015, 1.312_164_115_119_1, -1.254_471_618_861_5, 51.959_438_967_679),
            (200.3, 201.6, 0.9999, 414.191_556_327_439_8, 615.499_662_459_27, -613.775_335_246_14, 680_530.815_366_99),
            (1.6, 200.0, 0.99, 1.008_023_254_022_915, 0.005_054_764_567_653_6, -4.063_924_380_069_3e-5, 0.008_210_486_081_631_5),
            (0.01, 1.02, 0.5, 1.006_793_767_640_733_5, 0.681_707_835_893_87, -0.007_915_131_065_261_3, 0.019_592_373_941_556),
            (1.001, 1.002, 0.99, 99.540_857_736_078_3, 458.086_382_303_96, -457.928_617_119_72, 9_944.132_615_394_3),
            (5.5, 9.25, 0.75, 1.887_975_657_652_488_4, 0.290_068_931_636_55, -0.181_017_400_640_43, 2.464_535_531_645_3),
            (2000.5, 2003.0, 0.9999, 1073.215044111607, 519.9876403328664, -519.5403072518848, 1774985.141095175),
            (16507.1, 16600.5, 0.97, 28.20983616472708, 0.0464359392837775, -0.04617510137630145, 791.530643854846),
            (17.5, 18.6, 0.9999, 76.73724458644535, 207.0246097810135, -203.2389372296294, 97929.64659796151),
        ];
        for (q, c, z, value, by_q, by_c, by_z) in table {
            let found = unit_2f1(q, c, z);
            close(found.value, value, 1e-12);
            close(found.by_q, by_q, 1e-11);
            close(found.by_c, by_c, 1e-11);
            close(found.by_z, by_z, 1e-11);
        }
        assert_eq!(unit_2f1(3.0, 4.0, 0.0).value, 1.0);
        close(unit_2f1(3.0, 4.0, 0.0).by_z, 0.75, 1e-15);
    }

    /// mpmath 1.3: `loggamma`, `digamma`, `betainc(..., regularized=True)`.
    #[test]
    fn the_library_agrees_with_mpmath() {
        close(ln_gamma(0.243), 1.318_043_584_699_669_9, 1e-13);
        close(ln_gamma(123.4), 469.336_097_442_190_6, 1e-13);
        close(digamma(0.243), -4.351_093_864_423_211, 1e-12);
        close(digamma(3.74), 1.179_479_353_462_892_5, 1e-12);
        close(
            regularised_beta(12.5, 9.99, 0.4),
            0.068_349_317_679_181_19,
            1e-12,
        );
        assert_eq!(regularised_beta(2.0, 3.0, 1.5), 1.0);
    }

    #[test]
    fn rising_factorials_agree_with_gamma_functions() {
        let table = Rising::new(0.7, 40);
        for n in [0, 1, 7, 40] {
            let top = 0.7 + n as f64;
            assert!((table.ln[n] - (ln_gamma(top) - ln_gamma(0.7))).abs() < 1e-11);
            assert!((table.slope[n] - (digamma(top) - digamma(0.7))).abs() < 1e-11);
        }
    }

    #[test]
    fn quadrature_is_exact_for_polynomials() {
        let integral = |panel| -> f64 {
            let rule = quadrature(3.0, panel);
            rule.iter().map(|(x, w)| w * x.powi(9)).sum()
        };
        for panel in [5.0, 1.0, 0.4] {
            close(integral(panel), 3f64.powi(10) / 10.0, 1e-13);
        }
    }

    #[test]
    fn adding_in_logarithms() {
        close(
            ln_add_exp(-1000.0, -1001.0),
            -1000.0 + (-1f64).exp().ln_1p(),
            1e-15,
        );
        assert_eq!(
            ln_add_exp(f64::NEG_INFINITY, f64::NEG_INFINITY),
            f64::NEG_INFINITY
        );
        assert_eq!(ln_add_exp(f64::NEG_INFINITY, 2.0), 2.0);
    }
}
