//! From a row's distribution to values: decodings, quantiles, and order across horizons
//! (DESIGN 3.9, 3.10).

mod log_normals;

pub use log_normals::{Component, LEAST_LOGARITHM, LogNormals};

pub use ltv_core::order::project;
use ltv_core::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// How a distribution becomes one value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Decoding {
    /// The likeliest bucket of the likeliest sub-distribution (paper eq. 7 and 8). Of log-normals:
    /// 0, or the mean of the values above zero where these are likelier.
    Argmax,
    /// The mean: what budgets and bids need, and what minimises squared error and bias.
    Expectation,
    /// A quantile, in `(0, 1)`; the median minimises absolute error.
    Quantile(f64),
    /// The expectation, mapped so that values are spread as the latest labels are
    /// ([`crate::matching`]): what Mutual Gini compares.
    Matched,
}

impl fmt::Display for Decoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argmax => f.write_str("argmax"),
            Self::Expectation => f.write_str("expectation"),
            Self::Quantile(p) => write!(f, "quantile:{p}"),
            Self::Matched => f.write_str("matched"),
        }
    }
}

impl FromStr for Decoding {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let problem = || {
            let problem = format!(
                "'{text}' is unknown: use expectation, matched, argmax, median or quantile:P with \
                 P between 0 and 1"
            );
            Error::config("decoding", problem)
        };
        match text {
            "argmax" => Ok(Self::Argmax),
            "expectation" => Ok(Self::Expectation),
            "median" => Ok(Self::Quantile(0.5)),
            "matched" => Ok(Self::Matched),
            _ => {
                let p = text
                    .strip_prefix("quantile:")
                    .and_then(|p| p.parse::<f64>().ok());
                let p = p.filter(|p| *p > 0.0 && *p < 1.0).ok_or_else(problem)?;
                Ok(Self::Quantile(p))
            }
        }
    }
}

impl From<Decoding> for String {
    fn from(d: Decoding) -> Self {
        d.to_string()
    }
}

impl TryFrom<String> for Decoding {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

/// One row's predicted distribution at one horizon, whatever its form.
pub trait Distribution {
    /// The mean.
    fn expectation(&self) -> f64;
    /// The value below which a share `p`, in `(0, 1)`, of the distribution lies.
    fn quantile(&self, p: f64) -> f64;
    /// What [`Decoding::Argmax`] says.
    fn argmax(&self) -> f64;
    /// `P(value > 0)`.
    fn positive(&self) -> f64;
    /// `P(this value < value)` and `P(this value <= value)`.
    fn reach(&self, value: f64) -> [f64; 2];

    /// The one value of a decoding. Of `matched` it is the expectation: the map that follows knows
    /// other users too.
    fn value(&self, decoding: Decoding) -> f64 {
        match decoding {
            Decoding::Expectation | Decoding::Matched => self.expectation(),
            Decoding::Quantile(p) => self.quantile(p),
            Decoding::Argmax => self.argmax(),
        }
    }
}

/// One bucket of one row's predicted distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mass {
    /// Left edge.
    pub left: f64,
    /// Width; 0 for a single value.
    pub width: f64,
    /// Its probability.
    pub probability: f64,
    /// Predicted mean position in it, in `[0, 1]`.
    pub bias: f64,
}

impl Mass {
    /// Mean of the value, given the bucket.
    pub fn mean(&self) -> f64 {
        self.left + self.bias * self.width
    }

    /// Value at fraction `f` of the bucket's mass. Within a bucket the mass `1 - s` is spread
    /// evenly below the predicted position `s`, and `s` above it: the density of two steps whose
    /// mean is `s`, even for `s = 1/2`. So quantiles agree with the expectation.
    fn at(&self, f: f64) -> f64 {
        let s = self.bias.clamp(0.0, 1.0);
        let below = 1.0 - s;
        let position = if f <= below {
            if below > 0.0 { f / below * s } else { s }
        } else {
            s + (f - below) / s * below
        };
        self.left + position.clamp(0.0, 1.0) * self.width
    }

    /// The inverse of [`Self::at`]: the fractions of the mass below `value`, and up to it.
    fn reach(&self, value: f64) -> [f64; 2] {
        let s = self.bias.clamp(0.0, 1.0);
        let at_once = |all_at: f64| [f64::from(value > all_at), f64::from(value >= all_at)];
        if self.width == 0.0 || s == 0.0 {
            return at_once(self.left);
        }
        if s == 1.0 {
            return at_once(self.left + self.width);
        }
        let u = ((value - self.left) / self.width).clamp(0.0, 1.0);
        let fraction = if u <= s {
            u / s * (1.0 - s)
        } else {
            (1.0 - s) + (u - s) / (1.0 - s) * s
        };
        [fraction; 2]
    }
}

/// The shares of the distribution below `value`, and up to it.
pub fn reach(masses: &[Mass], value: f64) -> [f64; 2] {
    let total: f64 = masses.iter().map(|m| m.probability).sum();
    let met = masses.iter().take_while(|m| m.left <= value);
    let shares = met.fold([0.0; 2], |sum, mass| {
        let [below, at_most] = mass.reach(value);
        [
            sum[0] + mass.probability * below,
            sum[1] + mass.probability * at_most,
        ]
    });
    shares.map(|share| (share / total).min(1.0))
}

/// Mean of the whole distribution.
pub fn expectation(masses: &[Mass]) -> f64 {
    let total: f64 = masses.iter().map(|m| m.probability).sum();
    masses.iter().map(|m| m.probability * m.mean()).sum::<f64>() / total
}

/// The value below which a share `p` of the distribution lies.
pub fn quantile(masses: &[Mass], p: f64) -> f64 {
    let total: f64 = masses.iter().map(|m| m.probability).sum();
    let mut left = p * total;
    let mut last = 0.0;
    for mass in masses {
        if mass.probability > 0.0 {
            if left <= mass.probability {
                return mass.at(left / mass.probability);
            }
            last = mass.left + mass.width;
        }
        left -= mass.probability;
    }
    last
}

/// `P(value > 0)`.
pub fn positive(masses: &[Mass]) -> f64 {
    let total: f64 = masses.iter().map(|m| m.probability).sum();
    let zero = |m: &&Mass| m.left == 0.0 && m.width == 0.0;
    let at_zero: f64 = masses.iter().filter(zero).map(|m| m.probability).sum();
    (1.0 - at_zero / total).clamp(0.0, 1.0)
}

/// Eq. 7 and 8. `segments`: the probabilities of the sub-distributions; `sizes`: how many of
/// `masses` belong to each.
pub fn argmax(segments: &[f64], sizes: &[usize], masses: &[Mass]) -> f64 {
    let first_best = |values: &mut dyn Iterator<Item = f64>| {
        let best = |best: (usize, f64), (i, v)| if v > best.1 { (i, v) } else { best };
        values.enumerate().fold((0, f64::NEG_INFINITY), best).0
    };
    let segment = first_best(&mut segments.iter().copied());
    let start: usize = sizes[..segment].iter().sum();
    let own = &masses[start..start + sizes[segment]];
    own[first_best(&mut own.iter().map(|m| m.probability))].mean()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masses() -> impl Strategy<Value = Vec<Mass>> {
        prop::collection::vec(
            (0.01f64..1.0, 0.0f64..1.0, prop::bool::ANY, 0.1f64..9.0),
            1..8,
        )
        .prop_map(|parts| {
            let total: f64 = parts.iter().map(|p| p.0).sum();
            let mut left = 0.0;
            let mass = |(p, bias, single, width): (f64, f64, bool, f64)| {
                let width = if single { 0.0 } else { width };
                let mass = Mass {
                    left,
                    width,
                    probability: p / total,
                    bias,
                };
                left += width + 1.0;
                mass
            };
            parts.into_iter().map(mass).collect()
        })
    }

    proptest! {
        #[test]
        fn quantiles_are_monotone_and_agree_with_the_mean(masses in masses()) {
            let n = 20_000;
            let values: Vec<f64> =
                (0..n).map(|i| quantile(&masses, (f64::from(i) + 0.5) / f64::from(n))).collect();
            prop_assert!(values.windows(2).all(|w| w[0] <= w[1] + 1e-9));
            let mean = values.iter().sum::<f64>() / f64::from(n);
            prop_assert!((mean - expectation(&masses)).abs() < 0.02, "{mean}");
        }

        /// A quantile is where the cumulated share passes its level, jumps included.
        #[test]
        fn cumulated_shares_invert_quantiles(masses in masses(), p in 0.001f64..0.999) {
            let value = quantile(&masses, p);
            let step = 1e-9 * (1.0 + value);
            let found = [value - step, value, value + step].map(|v| reach(&masses, v));
            prop_assert!(found[0][1] <= p + 1e-9 && found[2][0] >= p - 1e-9, "{found:?}");
            prop_assert!(found.iter().all(|[below, at_most]| below <= at_most));
        }
    }

    #[test]
    fn by_hand() {
        let m = |left, width, probability, bias| Mass {
            left,
            width,
            probability,
            bias,
        };
        let masses = [
            m(0.0, 0.0, 0.5, 0.0),
            m(1.0, 4.0, 0.3, 0.5),
            m(5.0, 2.0, 0.2, 0.25),
        ];
        assert!((expectation(&masses) - (0.3 * 3.0 + 0.2 * 5.5)).abs() < 1e-12);
        assert_eq!(quantile(&masses, 0.4), 0.0);
        assert!((quantile(&masses, 0.65) - 3.0).abs() < 1e-12);
        assert_eq!(positive(&masses), 0.5);
        let at = [-1.0, 0.0, 3.0, 5.0, 5.5, 7.0];
        let shares: Vec<f64> = at.iter().flat_map(|v| reach(&masses, *v)).collect();
        let expected = [
            0.0, 0.0, 0.0, 0.5, 0.65, 0.65, 0.8, 0.8, 0.95, 0.95, 1.0, 1.0,
        ];
        let apart = shares.iter().zip(expected).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f64::max) < 1e-12, "{shares:?}");
        assert_eq!(argmax(&[0.5, 0.5], &[1, 2], &masses), 0.0);
        assert_eq!(argmax(&[0.4, 0.6], &[1, 2], &masses), 3.0);
        assert_eq!(
            "median".parse::<Decoding>().unwrap(),
            Decoding::Quantile(0.5)
        );
        assert!("quantile:1".parse::<Decoding>().is_err());
    }
}
