//! How many users an experiment needs, by the delta method.
//!
//! The return of an arm is a ratio of sums over its `n` users, `R = sum v d / sum c d`, with value `v`,
//! cost `c` and `d` 1 for who is delivered to, 0 for others. For large `n`
//!
//! ```text
//! Var(R) / R^2 = s^2 / n,   s^2 = Var(v d - R c d) / mean(v d)^2
//! ```
//!
//! Arms are independent, so that the log of the ratio of two returns has variance
//! `s_t^2 / n_t + s_c^2 / n_c`, and with `z = z(1 - alpha / 2) + z(power)`
//!
//! ```text
//! users of each arm for an uplift u  =  (z / ln(1 + u))^2 (s_t^2 + s_c^2)
//! least uplift for n_t and n_c users =  exp(z sqrt(s_t^2 / n_t + s_c^2 / n_c)) - 1
//! ```
//!
//! What it leaves out: it takes who is delivered to as given, while a budget makes that depend a little
//! on the others in the arm. The bootstrap, which delivers again, does not leave it out.

use super::document::Planned;
use crate::sum::Sum;
use statrs::distribution::{ContinuousCDF, Normal};

/// What a test must be able to see, and how surely.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Wanted {
    /// Relative uplift that is not to be missed, above 0.
    pub uplift: f64,
    /// Probability of seeing one where there is none, both sides together.
    pub alpha: f64,
    /// Probability of seeing it where it is there.
    pub power: f64,
}

impl Default for Wanted {
    /// Five per cent, at 0.05 and 0.8.
    fn default() -> Self {
        Self {
            uplift: 0.05,
            alpha: 0.05,
            power: 0.8,
        }
    }
}

impl Wanted {
    /// The sum of both normal quantiles.
    fn z(&self) -> f64 {
        let normal = Normal::standard();
        normal.inverse_cdf(1.0 - self.alpha / 2.0) + normal.inverse_cdf(self.power)
    }

    /// The plan of one outcome, from the relative variances of both policies, the users of both arms and
    /// the resampled standard error.
    pub(super) fn planned(
        &self,
        days: u32,
        s: [Option<f64>; 2],
        users: [u64; 2],
        resampled: Option<f64>,
    ) -> Planned {
        Planned {
            days,
            users: self.users(s),
            detectable: self.detectable(s, users),
            standard_error: error(s, users),
            resampled,
        }
    }

    /// Users that each of two equal arms must have, those not delivered to included. `None` where a
    /// variance is not known.
    pub(super) fn users(&self, s: [Option<f64>; 2]) -> Option<u64> {
        let sum = s[0]? + s[1]?;
        let users = (self.z() / self.uplift.ln_1p()).powi(2) * sum;
        (users.is_finite() && users < 1e18).then(|| users.ceil() as u64)
    }

    /// The least uplift that arms of this size show. `None` where a variance is not known.
    pub(super) fn detectable(&self, s: [Option<f64>; 2], users: [u64; 2]) -> Option<f64> {
        let least = (self.z() * error(s, users)?).exp_m1();
        least.is_finite().then_some(least)
    }
}

/// Standard error of the log of the ratio of returns.
fn error(s: [Option<f64>; 2], users: [u64; 2]) -> Option<f64> {
    Some((s[0]? / users[0] as f64 + s[1]? / users[1] as f64).sqrt())
}

/// `s^2`: the squared relative standard error of the return of an arm of one user. `delivered` holds
/// value and cost of those delivered to, `users` counts everybody. `None` without value.
pub(super) fn relative_variance(
    delivered: impl Iterator<Item = (f64, f64)> + Clone,
    users: usize,
) -> Option<f64> {
    let value: Sum = delivered.clone().map(|(v, _)| v).collect();
    let cost: Sum = delivered.clone().map(|(_, c)| c).collect();
    let (value, cost) = (value.value(), cost.value());
    if !(value > 0.0 && cost > 0.0) || users < 2 {
        return None;
    }
    let roi = value / cost;
    // The mean of v d - R c d is 0 by the definition of R; who is not delivered to adds 0.
    let squares: Sum = delivered.map(|(v, c)| (v - roi * c).powi(2)).collect();
    let variance = squares.value() / (users - 1) as f64;
    Some(variance / (value / users as f64).powi(2))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// With costs of 1 and everybody delivered to, the return is a mean, and the formulas are those
    /// of a two-sample z test: values 0 and 2 in equal parts have a relative variance of 1, so
    /// 2 (1.959964 + 0.841621)^2 / ln(1.05)^2 = 6594.3.
    #[test]
    fn means_are_the_textbook_case() {
        let users = (0..10_000).map(|i| (f64::from(i % 2 * 2), 1.0));
        let s = relative_variance(users, 10_000).unwrap();
        assert!((s - 10_000.0 / 9_999.0).abs() < 1e-9, "{s}");
        let wanted = Wanted::default();
        assert_eq!(wanted.users([Some(1.0); 2]), Some(6595));
        let least = wanted.detectable([Some(1.0); 2], [6595; 2]).unwrap();
        assert!((least - 0.05).abs() < 1e-5, "{least}");
        assert_eq!(wanted.users([None, Some(1.0)]), None);
        assert_eq!(relative_variance([(0.0, 1.0)].into_iter(), 9), None);
    }

    /// One user: delivered to with probability 0.4, cost 1 or 3, value 0 or `worth` times the cost.
    fn one(random: &mut ChaCha8Rng, worth: f64) -> Option<(f64, f64)> {
        let cost = if random.random::<f64>() < 0.5 {
            1.0
        } else {
            3.0
        };
        let value = if random.random::<f64>() < 0.3 {
            worth * cost
        } else {
            0.0
        };
        (random.random::<f64>() < 0.4).then_some((value, cost))
    }

    /// Experiments of the size that is asked for see the uplift as often as they should: of 2,000, 80 %
    /// within four standard errors; and where there is none, 5 %.
    #[test]
    fn experiments_of_the_planned_size_have_the_planned_power() {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let pilot: Vec<_> = (0..200_000).map(|_| one(&mut random, 10.0)).collect();
        let s = relative_variance(pilot.iter().flatten().copied(), pilot.len());
        let wanted = Wanted {
            uplift: 0.2,
            ..Wanted::default()
        };
        let users = wanted.users([s, s]).unwrap() as usize;
        let mut seen = |uplift: f64| {
            let mut arm = |worth: f64| {
                let arm: Vec<_> = (0..users).filter_map(|_| one(&mut random, worth)).collect();
                let (value, cost) = arm.iter().fold((0.0, 0.0), |a, u| (a.0 + u.0, a.1 + u.1));
                let s = relative_variance(arm.iter().copied(), users).unwrap();
                ((value / cost).ln(), s / users as f64)
            };
            let ((c, vc), (t, vt)) = (arm(10.0), arm(10.0 * (1.0 + uplift)));
            f64::from(u8::from((t - c).abs() > 1.959_964 * (vc + vt).sqrt()))
        };
        let power = (0..2000).map(|_| seen(0.2)).sum::<f64>() / 2000.0;
        assert!(
            (power - 0.8).abs() < 4.0 * (0.16f64 / 2000.0).sqrt(),
            "{power}"
        );
        let size = (0..2000).map(|_| seen(0.0)).sum::<f64>() / 2000.0;
        assert!(
            (size - 0.05).abs() < 4.0 * (0.0475f64 / 2000.0).sqrt(),
            "{size}"
        );
    }
}
