//! Expectations that are spread as widely as labels bear out.
//!
//! A network that has learned its training rows too well tells users apart by more than there is
//! between them: those predicted highest are worth less than that, those predicted lowest more. How
//! much so is the calibration slope (Cox 1958, "Two further applications of a model for binary
//! regression", here for means): of a Poisson regression of labels on the logarithm of expectations,
//!
//! `ln E[label] = a + b ln x`,
//!
//! by pseudo-maximum likelihood, which asks of labels no more than a mean of that form. Users keep their
//! order, and the latest their mean: totals are the trend's business.

mod fit;
#[cfg(test)]
mod tests;

pub use fit::{Sums, recalibrated};

use serde::{Deserialize, Serialize};

/// `factor * x^slope`, the value of an expectation `x`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Recalibration {
    /// The exponent, between [`Recalibration::LEAST`] and [`Recalibration::MOST`].
    pub slope: f64,
    /// What keeps the mean, positive.
    pub factor: f64,
}

impl Recalibration {
    /// The smallest slope.
    pub const LEAST: f64 = 0.5;
    /// The largest slope.
    pub const MOST: f64 = 2.0;
    /// Leaves expectations as they are.
    pub const NONE: Self = Self {
        slope: 1.0,
        factor: 1.0,
    };

    /// The value of an expectation, both zero or positive. It is not above `largest` unless the
    /// expectation is.
    pub fn at(&self, x: f64, largest: f64) -> f64 {
        let (value, most) = (self.factor * x.powf(self.slope), largest.max(x));
        // NaN stays NaN.
        if value > most { most } else { value }
    }

    /// Whether values can be made with it, whoever wrote it.
    pub(crate) fn is_sound(&self) -> bool {
        let slope = (Self::LEAST..=Self::MOST).contains(&self.slope);
        slope && self.factor > 0.0 && self.factor.is_finite()
    }
}
