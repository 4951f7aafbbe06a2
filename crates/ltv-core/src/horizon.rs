//! The prediction horizons.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// A non-empty, strictly increasing list of horizons in days, each in `1..=3650`.
///
/// Horizon `N` of a user registered on day `r` with observation window `W` covers days
/// `[r + W, r + W + N)` (paper section 3.1; DESIGN "horizon").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u32>", into = "Vec<u32>")]
pub struct Horizons(Vec<u32>);

impl Horizons {
    /// Checks and wraps a list of horizons.
    ///
    /// # Errors
    /// When the list is empty, not strictly increasing, or has a value outside `1..=3650`.
    pub fn new(days: Vec<u32>) -> Result<Self> {
        let fail = |problem: &str| Err(Error::config("horizons", format!("{problem}: {days:?}")));
        if days.is_empty() {
            return fail("give at least one horizon, for example [30, 90, 180, 365]");
        }
        if days.iter().any(|&n| n == 0 || n > 3650) {
            return fail("every horizon must lie between 1 and 3650 days");
        }
        if days.windows(2).any(|w| w[0] >= w[1]) {
            return fail("horizons must be strictly increasing");
        }
        Ok(Self(days))
    }

    /// The horizons in days, ascending.
    pub fn days(&self) -> &[u32] {
        &self.0
    }

    /// How many there are.
    #[allow(
        clippy::len_without_is_empty,
        reason = "a list of horizons is never empty"
    )]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The shortest horizon in days.
    pub fn shortest(&self) -> u32 {
        self.0[0]
    }

    /// The longest horizon in days.
    pub fn longest(&self) -> u32 {
        self.0[self.0.len() - 1]
    }

    /// Column names of labels and predictions: `ltv_30`, `ltv_90`, ...
    pub fn columns(&self) -> Vec<String> {
        self.0.iter().map(|n| format!("ltv_{n}")).collect()
    }

    /// Position of horizon `n`, if it is one of these.
    pub fn position(&self, n: u32) -> Option<usize> {
        self.0.iter().position(|&d| d == n)
    }
}

impl TryFrom<Vec<u32>> for Horizons {
    type Error = Error;
    fn try_from(days: Vec<u32>) -> Result<Self> {
        Self::new(days)
    }
}

impl From<Horizons> for Vec<u32> {
    fn from(h: Horizons) -> Self {
        h.0
    }
}

impl Default for Horizons {
    /// The paper's: 30, 90, 180 and 365 days.
    fn default() -> Self {
        Self(vec![30, 90, 180, 365])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_increasing_positive_lists() {
        assert!(Horizons::new(vec![30, 90]).is_ok());
        for bad in [vec![], vec![0], vec![30, 30], vec![90, 30], vec![4000]] {
            assert!(Horizons::new(bad).is_err());
        }
        assert_eq!(Horizons::default().columns()[3], "ltv_365");
    }
}
