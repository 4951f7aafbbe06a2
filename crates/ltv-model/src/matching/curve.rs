//! A curve from expectations to values.

use super::{LEAST_SLOPE, MOST_KNOTS};
use serde::{Deserialize, Serialize};

/// Straight lines between knots, from the origin to the first one, and beyond the last one a line of
/// the least slope.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Curve {
    /// Expectation, ascending, and value.
    knots: Vec<[f64; 2]>,
}

impl Curve {
    /// The least curve over knots, ascending in both numbers, that rises by [`LEAST_SLOPE`] at least.
    pub(super) fn over(knots: impl Iterator<Item = [f64; 2]>) -> Self {
        let mut last = [0.0, 0.0];
        let tilted = knots.map(|[x, value]| {
            last = [x, value.max(last[1] + (x - last[0]) * LEAST_SLOPE)];
            last
        });
        Self {
            knots: tilted.collect(),
        }
    }

    /// The knots: expectation and value.
    pub fn knots(&self) -> &[[f64; 2]] {
        &self.knots
    }

    /// The value of an expectation, both zero or positive; NaN of NaN.
    pub fn at(&self, x: f64) -> f64 {
        let i = self.knots.partition_point(|k| k[0] < x);
        let [x0, v0] = match i {
            0 => [0.0, 0.0],
            _ => self.knots[i - 1],
        };
        match self.knots.get(i) {
            Some(&[x1, v1]) if x1 > x0 => v0 + (v1 - v0) * ((x - x0) / (x1 - x0)),
            // A first knot at zero.
            Some(&[_, v1]) => v1,
            None => v0 + (x - x0) * LEAST_SLOPE,
        }
    }

    /// Whether values can be read from it, whoever wrote it.
    pub(crate) fn check(&self) -> Result<(), String> {
        let n = self.knots.len();
        if !(1..=MOST_KNOTS).contains(&n) {
            return Err(format!("{n} knots, not 1 to {MOST_KNOTS}"));
        }
        let finite = |k: &[f64; 2]| k.iter().all(|x| x.is_finite() && *x >= 0.0);
        if !self.knots.iter().all(finite) {
            return Err("a knot that is not finite, zero or positive".into());
        }
        let ascending = |w: &[[f64; 2]]| w[0][0] < w[1][0] && w[0][1] <= w[1][1];
        if !self.knots.windows(2).all(ascending) {
            return Err("knots that are not ascending".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let curve = Curve::over([[1.0, 0.0], [2.0, 0.0], [4.0, 8.0], [5.0, 8.0]].into_iter());
        let expected = [
            (0.0, 0.0),
            (0.5, 0.0005),
            (1.0, 0.001),
            (2.0, 0.002),
            (3.0, 4.001),
            (4.0, 8.0),
            (5.0, 8.001),
            (15.0, 8.011),
        ];
        for (x, value) in expected {
            assert!((curve.at(x) - value).abs() < 1e-12, "{x}: {}", curve.at(x));
        }
        assert!(curve.at(f64::NAN).is_nan());
        let at_zero = Curve::over([[0.0, 3.0], [1.0, 5.0]].into_iter());
        assert_eq!((at_zero.at(0.0), at_zero.at(0.5)), (3.0, 4.0));
    }

    #[test]
    fn what_no_curve_is() {
        let of = |knots: &[[f64; 2]]| Curve {
            knots: knots.to_vec(),
        };
        assert!(of(&[[0.0, 0.0]]).check().is_ok());
        let bad: [&[[f64; 2]]; 6] = [
            &[],
            &[[0.0, f64::INFINITY]],
            &[[-1.0, 0.0]],
            &[[1.0, 0.0], [1.0, 0.0]],
            &[[1.0, 2.0], [2.0, 1.0]],
            &[[0.0, 0.0]; MOST_KNOTS + 1],
        ];
        for knots in bad {
            assert!(of(knots).check().is_err(), "{knots:?}");
        }
    }
}
