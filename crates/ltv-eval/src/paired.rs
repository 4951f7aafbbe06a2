//! Whether one of two is better by more than chance when both were measured on the same occasions.

use crate::comparison::t_quantile;
use serde::{Deserialize, Serialize};

/// The mean of paired differences, and where it would lie in 95 % of repetitions.
///
/// The interval is Student's: `mean +- t(0.975, n - 1) sd / sqrt(n)` over `n` differences. It takes
/// them for independent. Those that follow each other in time seldom are, the less the more users
/// they share, and then it is too narrow.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Paired {
    /// Mean difference.
    pub mean: f64,
    /// Lower end; null with fewer than two differences.
    pub low: Option<f64>,
    /// Upper end; null with fewer than two differences.
    pub high: Option<f64>,
}

impl Paired {
    /// Of these differences, all finite; `None` without any.
    pub fn new(differences: &[f64]) -> Option<Self> {
        let n = differences.len();
        if n == 0 {
            return None;
        }
        let mean = differences.iter().sum::<f64>() / n as f64;
        if n == 1 {
            let (low, high) = (None, None);
            return Some(Self { mean, low, high });
        }
        let squares: f64 = differences.iter().map(|d| (d - mean).powi(2)).sum();
        let freedom = (n - 1) as f64;
        let half = t_quantile(freedom) * (squares / freedom / n as f64).sqrt();
        Some(Self {
            mean,
            low: Some(mean - half),
            high: Some(mean + half),
        })
    }

    /// Whether 0 lies outside the interval. Without an interval nothing is decided.
    pub fn decided(&self) -> bool {
        self.low.is_some_and(|low| low > 0.0) || self.high.is_some_and(|high| high < 0.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// Student (1908), "The probable error of a mean": hours of sleep gained by ten patients with one
    /// drug over the other. R's `t.test(extra ~ group, paired = TRUE)` on its data set `sleep` gives a
    /// mean of 1.58 and the interval 0.7001142 to 2.4598858.
    #[test]
    fn students_own_example() {
        let gains = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4];
        let found = Paired::new(&gains).unwrap();
        assert!((found.mean - 1.58).abs() < 1e-12);
        assert!((found.low.unwrap() - 0.700_114_2).abs() < 1e-6);
        assert!((found.high.unwrap() - 2.459_885_8).abs() < 1e-6);
        assert!(found.decided());
    }

    #[test]
    fn little_decides_nothing() {
        assert_eq!(Paired::new(&[]), None);
        assert!(!Paired::new(&[-3.0]).unwrap().decided());
        assert!(!Paired::new(&[-1.0, 1.0]).unwrap().decided());
        assert!(Paired::new(&[-1.0, -1.0]).unwrap().decided());
    }
}
