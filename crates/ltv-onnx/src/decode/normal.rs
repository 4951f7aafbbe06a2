//! Quantiles of the standard normal distribution.

use crate::graph::{Graph, Value};

/// A ratio of two polynomials of degree 7, constants first.
type Ratio = [[f64; 8]; 2];

/// Near the middle, in `0.180625 - (p - 1/2)^2` (Wichura, "Algorithm AS 241: The percentage points of the
/// normal distribution", Applied Statistics 37, 1988, PPND16: relative error about 1e-16).
const MIDDLE: Ratio = [
    [
        3.387_132_872_796_366_5,
        133.141_667_891_784_38,
        1_971.590_950_306_551_3,
        13_731.693_765_509_46,
        45_921.953_931_549_87,
        67_265.770_927_008_7,
        33_430.575_583_588_13,
        2_509.080_928_730_122_7,
    ],
    [
        1.0,
        42.313_330_701_600_91,
        687.187_007_492_057_9,
        5_394.196_021_424_751,
        21_213.794_301_586_597,
        39_307.895_800_092_71,
        28_729.085_735_721_943,
        5_226.495_278_852_854,
    ],
];

/// In the tail, in `sqrt(-ln p) - 1.6`.
const TAIL: Ratio = [
    [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        0.241_780_725_177_450_6,
        0.022_723_844_989_269_184,
        7.745_450_142_783_414e-4,
    ],
    [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        0.689_767_334_985_1,
        0.148_103_976_427_480_08,
        0.015_198_666_563_616_457,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ],
];

/// Far in the tail, in `sqrt(-ln p) - 5`.
const END: Ratio = [
    [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        0.296_560_571_828_504_87,
        0.026_532_189_526_576_124,
        1.242_660_947_388_078_4e-3,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ],
    [
        1.0,
        0.599_832_206_555_888,
        0.136_929_880_922_735_8,
        0.014_875_361_290_850_615,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ],
];

/// Half the width of the middle.
const REACH: f64 = 0.425;
/// What the middle's polynomials are in is this less the square.
const SQUARE: f64 = 0.180_625;
/// Where a tail's polynomials are centred, and where the end begins.
const CENTRE: f64 = 1.6;
const FAR: f64 = 5.0;

/// The quantile at `p`, in `(0, 1/2]`, so that it is not positive; `[rows, levels]` as `p` is.
pub(super) fn lower_quantile(g: &mut Graph, p: Value) -> Value {
    let half = g.double(0.5);
    let q = g.op("Sub", &[p, half]);
    let square = g.op("Mul", &[q, q]);
    let most = g.double(SQUARE);
    let r = g.op("Sub", &[most, square]);
    let ratio_here = ratio(g, r, &MIDDLE);
    let middle = g.op("Mul", &[q, ratio_here]);
    let logarithm = g.op("Log", &[p]);
    let minus = g.op("Neg", &[logarithm]);
    let root = g.op("Sqrt", &[minus]);
    let [tail, end] = [(CENTRE, &TAIL), (FAR, &END)].map(|(centre, coefficients)| {
        let centre = g.double(centre);
        let r = g.op("Sub", &[root, centre]);
        let value = ratio(g, r, coefficients);
        g.op("Neg", &[value])
    });
    let far = g.double(FAR);
    let is_tail = g.op("LessOrEqual", &[root, far]);
    let outside = g.op("Where", &[is_tail, tail, end]);
    let reach = g.double(-REACH);
    let is_middle = g.op("GreaterOrEqual", &[q, reach]);
    g.op("Where", &[is_middle, middle, outside])
}

/// Both polynomials of a ratio at once, as a product with the powers.
fn ratio(g: &mut Graph, x: Value, [above, below]: &Ratio) -> Value {
    let degrees: Vec<f64> = (0..above.len()).map(|i| i as f64).collect();
    let degrees = g.doubles(&[degrees.len()], &degrees);
    let deep = g.deepen(x);
    let powers = g.op("Pow", &[deep, degrees]);
    let [above, below] = [above, below].map(|c| {
        let coefficients = g.doubles(&[c.len(), 1], c);
        let sum = g.op("MatMul", &[powers, coefficients]);
        let axis = g.ints(&[1], &[-1]);
        g.op("Squeeze", &[sum, axis])
    });
    g.op("Div", &[above, below])
}

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::function::erf::erfc_inv;

    fn ratio(x: f64, r: &Ratio) -> f64 {
        let [a, b] = r.map(|c| c.iter().rev().fold(0.0, |sum, c| sum * x + c));
        a / b
    }

    /// What the operators compute.
    fn quantile(p: f64) -> f64 {
        let (q, root) = (p - 0.5, (-p.ln()).sqrt());
        if q >= -REACH {
            q * ratio(SQUARE - q * q, &MIDDLE)
        } else if root <= FAR {
            -ratio(root - CENTRE, &TAIL)
        } else {
            -ratio(root - FAR, &END)
        }
    }

    #[test]
    fn quantiles_are_those_of_the_inverse_error_function() {
        let mut p = 0.5;
        while p > 1e-300 {
            let expected = -std::f64::consts::SQRT_2 * erfc_inv(2.0 * p);
            let found = quantile(p);
            assert!(
                (found - expected).abs() <= 1e-13 * expected.abs().max(1e-3),
                "{p}: {found}, {expected}"
            );
            p *= 0.93;
        }
    }
}
