//! Order violations: a longer horizon predicted to be worth less than a shorter one.

use serde::{Deserialize, Serialize};

/// By how much a shorter horizon may exceed the next, in label units, before it counts.
pub const ORDER_TOLERANCE: f64 = 1e-6;

/// Shares of rows whose predictions cross, mature or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderViolations {
    /// For each horizon but the last: share of rows with `p_t > p_{t+1} + 1e-6`.
    pub adjacent: Vec<f64>,
    /// Share of rows with at least one such pair.
    pub any: f64,
}

/// Shares over row-major predictions, `[rows, horizons]`; None for one horizon or no rows.
pub fn order_violations(predictions: &[f64], horizons: usize) -> Option<OrderViolations> {
    let mut tally = OrderTally::new(horizons);
    tally.add(predictions);
    tally.shares()
}

/// Counts crossing rows as they come by.
#[derive(Debug, Clone)]
pub(crate) struct OrderTally {
    rows: u64,
    any: u64,
    adjacent: Vec<u64>,
}

impl OrderTally {
    pub(crate) fn new(horizons: usize) -> Self {
        Self {
            rows: 0,
            any: 0,
            adjacent: vec![0; horizons.saturating_sub(1)],
        }
    }

    /// Adds row-major predictions, `[rows, horizons]`.
    pub(crate) fn add(&mut self, predictions: &[f64]) {
        for row in predictions.chunks_exact(self.adjacent.len() + 1) {
            let mut crossed = false;
            for (pair, count) in row.windows(2).zip(&mut self.adjacent) {
                let crosses = pair[0] > pair[1] + ORDER_TOLERANCE;
                *count += u64::from(crosses);
                crossed |= crosses;
            }
            self.any += u64::from(crossed);
            self.rows += 1;
        }
    }

    /// None for one horizon or no rows.
    pub(crate) fn shares(&self) -> Option<OrderViolations> {
        if self.adjacent.is_empty() || self.rows == 0 {
            return None;
        }
        let share = |&count: &u64| count as f64 / self.rows as f64;
        Some(OrderViolations {
            adjacent: self.adjacent.iter().map(share).collect(),
            any: share(&self.any),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn by_hand() {
        let rows = [1.0, 2.0, 3.0, 2.0, 1.0, 0.0, 2.0, 2.0 - 5e-7, 1.0];
        let shares = order_violations(&rows, 3).unwrap();
        assert_eq!(shares.adjacent, [1.0 / 3.0, 2.0 / 3.0]);
        assert_eq!(shares.any, 2.0 / 3.0);
        assert_eq!(order_violations(&rows, 1), None);
        assert_eq!(order_violations(&[], 3), None);
    }
}
