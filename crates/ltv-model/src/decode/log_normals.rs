//! Decoding zero-inflated log-normals.

use super::Distribution;
use statrs::function::erf::{erfc, erfc_inv};
use std::f64::consts::{PI, SQRT_2};

/// A value that is zero, or drawn from a mixture of log-normals.
///
/// The mean of a log-normal grows with the square of its scale on the exponent, so that a few rows
/// would be predicted beyond all reason. No prediction, of whatever decoding, exceeds `cap`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LogNormals {
    /// `P(value > 0)`.
    pub positive: f64,
    /// One or more log-normals.
    pub components: Vec<Component>,
    /// The largest value that is predicted, positive: the largest label of training.
    pub cap: f64,
}

/// One log-normal of a mixture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Component {
    /// Its share of the values above zero; all add up to one.
    pub share: f64,
    /// Mean of the value's logarithm.
    pub location: f64,
    /// Standard deviation of the value's logarithm, positive.
    pub scale: f64,
}

/// How near a quantile's logarithm is found: the quantile is as near in relation to its size.
const NEAR: f64 = 1e-10;
/// Logarithms below this are those of zero.
pub const LEAST_LOGARITHM: f64 = -745.0;

/// A level of a distribution, with the smaller of both its sides, which is the precise one.
#[derive(Clone, Copy)]
enum Level {
    /// The share below.
    Below(f64),
    /// The share above.
    Above(f64),
}

impl Level {
    /// By how much a cumulated share exceeds the level, where `side(sign)` is the share on the side
    /// of that sign, below for 1.
    fn excess(self, side: impl Fn(f64) -> f64) -> f64 {
        match self {
            Self::Below(p) => side(1.0) - p,
            Self::Above(p) => p - side(-1.0),
        }
    }

    /// The standard normal quantile.
    fn normal(self) -> f64 {
        match self {
            Self::Below(p) => -SQRT_2 * erfc_inv(2.0 * p),
            Self::Above(p) => SQRT_2 * erfc_inv(2.0 * p),
        }
    }
}

/// The smaller of two numbers, but NaN where the first is: `f64::min` would hide it.
fn at_most(x: f64, most: f64) -> f64 {
    if x > most { most } else { x }
}

impl LogNormals {
    /// Mean of the values above zero, `sum_k pi_k exp(mu_k + sigma_k^2 / 2)`, at most the cap.
    fn conditional_mean(&self) -> f64 {
        let mean = |c: &Component| {
            let mean = (c.location + 0.5 * c.scale * c.scale).exp();
            c.share * at_most(mean, f64::MAX)
        };
        at_most(self.components.iter().map(mean).sum(), self.cap)
    }

    /// Whether any number is NaN: nothing can then be said of the row, and a prediction is NaN too.
    fn broken(&self) -> bool {
        let broken = |c: &Component| [c.share, c.location, c.scale].iter().any(|x| x.is_nan());
        self.positive.is_nan() || self.components.iter().any(broken)
    }

    /// By how much the cumulated share at the logarithm `x` exceeds the level.
    fn excess(&self, x: f64, level: Level) -> f64 {
        level.excess(|sign| {
            let share =
                |c: &Component| c.share * 0.5 * erfc(-sign * (x - c.location) / (c.scale * SQRT_2));
            self.components.iter().map(share).sum()
        })
    }

    /// Density of the value's logarithm.
    fn density(&self, x: f64) -> f64 {
        let density = |c: &Component| {
            let z = (x - c.location) / c.scale;
            c.share * (-0.5 * z * z).exp() / (c.scale * (2.0 * PI).sqrt())
        };
        self.components.iter().map(density).sum()
    }

    /// The logarithm at a level of the values above zero: in closed form for one component. A
    /// mixture's lies between those of its components; there it is found by bisection, quickened
    /// by Newton steps, until the bracket is [`NEAR`] wide.
    fn solve(&self, level: Level) -> f64 {
        let q = level.normal();
        let ends = self.components.iter().map(|c| c.location + c.scale * q);
        let (mut low, mut high) = ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| {
            (l.min(x), h.max(x))
        });
        let most = self.cap.ln();
        (low, high) = (
            low.clamp(LEAST_LOGARITHM, most),
            high.clamp(LEAST_LOGARITHM, most),
        );
        if high - low <= NEAR {
            return high;
        }
        if self.excess(high, level) <= 0.0 {
            return high;
        }
        let mut x = 0.5 * (low + high);
        // Every third step halves the bracket, so that 150 are enough for any.
        for i in 0..150 {
            let excess = self.excess(x, level);
            if excess < 0.0 {
                low = x;
            } else {
                high = x;
            }
            if high - low <= NEAR {
                break;
            }
            // A little too far: the other side of the bracket closes in too.
            let step = (excess / self.density(x)).abs().max(0.25 * NEAR) + 0.25 * NEAR;
            let next = x - step.copysign(excess);
            let inside = next > low && next < high && i % 3 < 2;
            x = if inside { next } else { 0.5 * (low + high) };
        }
        0.5 * (low + high)
    }
}

impl Distribution for LogNormals {
    fn expectation(&self) -> f64 {
        self.positive * self.conditional_mean()
    }

    fn quantile(&self, p: f64) -> f64 {
        if self.broken() {
            return f64::NAN;
        }
        let below = (p - (1.0 - self.positive)) / self.positive;
        if below.is_nan() || below <= 0.0 {
            return 0.0;
        }
        let level = if below < 0.5 {
            Level::Below(below)
        } else {
            Level::Above(((1.0 - p) / self.positive).min(0.5))
        };
        self.solve(level).exp().min(self.cap)
    }

    /// 0 unless a value above zero is likelier; then the mean of those.
    fn argmax(&self) -> f64 {
        if self.broken() {
            f64::NAN
        } else if self.positive > 0.5 {
            self.conditional_mean()
        } else {
            0.0
        }
    }

    fn positive(&self) -> f64 {
        self.positive
    }

    /// Values beyond the cap are those at the cap.
    fn reach(&self, value: f64) -> [f64; 2] {
        let zero = 1.0 - self.positive;
        let up_to = || zero + self.positive * self.excess(value.ln(), Level::Below(0.0));
        match value {
            v if v < 0.0 => [0.0, 0.0],
            0.0 => [0.0, zero],
            v if v > self.cap => [1.0, 1.0],
            v if v == self.cap => [up_to(), 1.0],
            _ => [up_to(); 2],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Decoding;
    use proptest::prelude::*;

    fn close(ours: f64, theirs: f64) {
        let error = (ours - theirs).abs();
        assert!(error <= 1e-9 * theirs.abs(), "{ours} against {theirs}");
    }

    /// SciPy 1.17.1: `lognorm.mean`, and `brentq` on the sum of `lognorm.cdf`. Raw scales -0.4, 0.3
    /// and -2 through softplus, shares by softmax of 0.2, -0.5 and 1.1.
    #[test]
    fn a_mixture_by_scipy() {
        let c = |share, location, scale| Component {
            share,
            location,
            scale,
        };
        let row = LogNormals {
            positive: 0.7,
            components: vec![
                c(0.2527685476812795, 0.5, 0.5130152523999526),
                c(0.12552114603922157, 2.0, 0.8543552444685272),
                c(0.621710306279499, 3.1, 0.1269280110429725),
            ],
            cap: 1e6,
        };
        close(row.expectation(), 11.0065698913282);
        assert_eq!(row.quantile(0.2), 0.0);
        close(row.quantile(0.31), 0.725809912694264);
        close(row.value(Decoding::Quantile(0.5)), 4.74502685812488);
        close(row.quantile(0.9), 24.5512325962416);
        close(row.quantile(0.999), 51.7130499578524);
        close(row.value(Decoding::Argmax), 11.0065698913282 / 0.7);
        let capped = LogNormals {
            cap: 20.0,
            ..row.clone()
        };
        close(capped.quantile(0.9), 20.0);
        close(capped.quantile(0.5), 4.74502685812488);
        let unlikely = LogNormals {
            positive: 0.5,
            ..row
        };
        assert_eq!(unlikely.argmax(), 0.0);
    }

    /// SciPy 1.17.1, `lognorm.ppf`.
    #[test]
    fn one_log_normal_by_scipy() {
        let row = LogNormals {
            positive: 0.7,
            components: vec![Component {
                share: 1.0,
                location: 1.2,
                scale: 0.6,
            }],
            cap: 1e6,
        };
        close(row.quantile(0.31), 0.892606135283725);
        close(row.quantile(0.5), 2.36417874240579);
        close(row.quantile(0.9), 6.29995389002395);
        close(row.quantile(0.999), 19.87817359031);
        close(row.expectation(), 0.7 * f64::exp(1.2 + 0.18));
    }

    /// No output that is not a number turns into a prediction that is one.
    #[test]
    fn nan_reaches_the_prediction() {
        let part = Component {
            share: 0.5,
            location: 1.0,
            scale: 0.5,
        };
        let breaks: [fn(&mut LogNormals); 4] = [
            |row| row.positive = f64::NAN,
            |row| row.components[1].share = f64::NAN,
            |row| row.components[1].location = f64::NAN,
            |row| row.components[0].scale = f64::NAN,
        ];
        for (i, change) in breaks.into_iter().enumerate() {
            let mut row = LogNormals {
                positive: 0.7,
                components: vec![part; 2],
                cap: 10.0,
            };
            change(&mut row);
            let values = [
                row.expectation(),
                row.argmax(),
                row.quantile(0.1),
                row.quantile(0.9),
            ];
            assert!(values.iter().all(|v| v.is_nan()), "{i}: {values:?}");
        }
    }

    fn any_row() -> impl Strategy<Value = LogNormals> {
        let number = || prop_oneof![-5.0f64..5.0, any::<f32>().prop_map(f64::from)];
        let finite = |x: f64| if x.is_finite() { x } else { 0.0 };
        let component = (0.01f64..1.0, number(), number());
        let parts = prop::collection::vec(component, 1..6);
        (
            number(),
            parts,
            prop_oneof![Just(1e-300), 0.1f64..1e6, Just(1e300)],
        )
            .prop_map(move |(logit, parts, cap)| {
                let total: f64 = parts.iter().map(|p| p.0).sum();
                let component = |(share, location, raw): (f64, f64, f64)| Component {
                    share: share / total,
                    location: finite(location),
                    scale: ltv_nn::ops::log_normal_scale(finite(raw)),
                };
                LogNormals {
                    positive: ltv_nn::Real::sigmoid(finite(logit)),
                    components: parts.into_iter().map(component).collect(),
                    cap,
                }
            })
    }

    proptest! {
        /// Whatever the outputs: between zero and the cap, and quantiles in order.
        #[test]
        fn all_is_finite(row in any_row(), mut levels in prop::collection::vec(1e-9f64..0.999_999, 4)) {
            levels.sort_by(f64::total_cmp);
            let quantiles: Vec<f64> = levels.iter().map(|p| row.quantile(*p)).collect();
            for value in quantiles.iter().copied().chain([row.expectation(), row.argmax()]) {
                prop_assert!((0.0..=row.cap).contains(&value), "{value} of {row:?}");
            }
            prop_assert!(quantiles.windows(2).all(|w| w[0] <= w[1] * (1.0 + 1e-9)), "{quantiles:?}");
        }

        /// A quantile is where the cumulated share passes its level, to 1e-9 of its size.
        #[test]
        fn quantiles_invert_the_distribution(
            parts in prop::collection::vec((0.01f64..1.0, -4.0f64..8.0, 0.001f64..3.0), 1..6),
            positive in 0.05f64..0.99,
            p in 0.001f64..0.999,
        ) {
            let total: f64 = parts.iter().map(|p| p.0).sum();
            let row = LogNormals {
                positive,
                components: parts
                    .iter()
                    .map(|&(share, location, scale)| Component { share: share / total, location, scale })
                    .collect(),
                cap: 1e300,
            };
            let value = row.quantile(p);
            if value == 0.0 {
                prop_assert!(p <= 1.0 - positive + 1e-12);
                return Ok(());
            }
            let at = |y: f64| 1.0 - positive + positive * (row.excess(y.ln(), Level::Below(0.0)));
            prop_assert!(at(value * (1.0 - 1e-9)) <= p + 1e-12);
            prop_assert!(at(value * (1.0 + 1e-9)) >= p - 1e-12);
            // The last is the cap, below which all of it lies here.
            for (at, expected) in [
                (-1.0, [0.0; 2]),
                (0.0, [0.0, 1.0 - positive]),
                (value, [p; 2]),
                (1e300, [1.0; 2]),
            ] {
                let [below, at_most] = row.reach(at);
                let near = (below - expected[0]).abs() + (at_most - expected[1]).abs();
                assert!(near < 1e-5, "{at}: {below} {at_most} for {expected:?}");
            }
        }
    }
}
