//! Values that are distributed as labels are: one monotone curve for each horizon, from the
//! expectation of a user to the value that a user of that rank has.
//!
//! With `F^-1` the quantiles of the latest known labels, scaled so that their mean is what is expected
//! of a reference population, and `a..b` the share of the population below, and up to, an expectation `x`,
//!
//! `g(x) = mean of F^-1(r) over a < r < b`,
//!
//! so that users whom the network does not tell apart share what their ranks have together. `F^-1`
//! is flat where many labels are the same, above all at zero, and there users would tie. So the curve is
//! the least one over `g` that starts at the origin and rises by [`LEAST_SLOPE`] at least:
//! `max(g(x), x / 1000)` as far as `g` is zero. It adds a thousandth of the expectations' total at most
//! and keeps their ranks.

mod curve;
mod reference;
#[cfg(test)]
mod tests;

pub use curve::Curve;
pub use reference::{Population, matching};

use serde::{Deserialize, Serialize};

/// The curves of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Matching {
    /// Rows of the reference population.
    pub rows: u64,
    /// One for each horizon.
    pub curves: Vec<Curve>,
}

/// By how much a curve rises at least.
pub const LEAST_SLOPE: f64 = 1e-3;

/// Most knots of a curve.
pub const MOST_KNOTS: usize = 1025;
