//! Gamma-Gamma: what a purchase day of a customer is worth.
//!
//! Fader and Hardie, "The Gamma-Gamma model of monetary value" (2013). The value of a purchase day
//! is `Gamma(p, rate nu)`, and customers differ by `nu ~ Gamma(q, rate gamma)`; how much they spend
//! does not depend on how often they buy.

use super::{
    BtydError, Fit, FitOptions, Spend, Spends, TimeUnit, bgnbd,
    fit::{SHAPES, Search, Slope, sum},
    history::SpendGroup,
    special::{digamma, ln_gamma},
};
use ltv_core::progress::{Progress, Silent};
use serde::{Deserialize, Serialize};

/// The parameters, all positive.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GammaGamma {
    /// Shape of the value of a purchase day.
    pub p: f64,
    /// Shape of the customers' rates.
    pub q: f64,
    /// Rate parameter of the customers' rates, in value units.
    pub gamma: f64,
}

/// What depends on the number of purchase days alone.
struct OfDays {
    value: f64,
    by_p: f64,
    by_q: f64,
}

impl GammaGamma {
    const NAME: &'static str = "Gamma-Gamma";

    /// Fits the model by maximum likelihood. The penalty concerns the parameters as they are.
    ///
    /// # Errors
    /// When no customer has a positive mean value, options are out of range, or the likelihood
    /// has no maximum (all values alike, say).
    pub fn fit(spends: &Spends, options: &FitOptions) -> Result<Fit<Self>, BtydError> {
        Self::fit_with_progress(spends, options, &Silent)
    }

    /// As [`Self::fit`]; `progress` is told of every evaluation of the likelihood.
    ///
    /// # Errors
    /// As [`Self::fit`].
    pub fn fit_with_progress(
        spends: &Spends,
        options: &FitOptions,
        progress: &dyn Progress,
    ) -> Result<Fit<Self>, BtydError> {
        if spends.customers() == 0 {
            return Err(BtydError::NoSpend);
        }
        let customers = spends.customers() as f64;
        let groups = spends.groups();
        let total: f64 = groups.iter().map(|g| g.customers * g.spend.mean).sum();
        let mean = total / customers;
        let search = Search {
            model: Self::NAME,
            likelihood: |&[p, q, gamma]: &[f64; 3]| {
                progress.advance(1);
                Self { p, q, gamma }.total(groups)
            },
            customers,
            typical: [1.0, 1.0, mean],
            starts: vec![
                [5.0, 4.0, 3.0 * mean / 5.0],
                [1.0, 2.0, mean],
                [20.0, 3.0, mean / 10.0],
            ],
        };
        let found = search.run(options)?;
        let [p, q, gamma] = found.parameters;
        Ok(Fit {
            model: Self { p, q, gamma },
            unit: TimeUnit::default(),
            log_likelihood: found.log_likelihood,
            customers: spends.customers(),
            evaluations: found.evaluations,
            slope: found.slope,
            at_limit: found.at_limit,
        })
    }

    /// Sum of the log-likelihoods of all customers.
    pub fn log_likelihood(&self, spends: &Spends) -> f64 {
        self.total(spends.groups()).value
    }

    /// With `x` purchase days of mean `m`, a customer's log-likelihood is (eq. 1a)
    ///
    /// ```text
    /// ln Gamma(px+q) - ln Gamma(px) - ln Gamma(q) + q ln gamma + (px-1) ln m + px ln x
    ///   - (px+q) ln(gamma + x m)
    /// ```
    fn total(&self, groups: &[SpendGroup]) -> Slope<3> {
        let start = (ln_gamma(self.q), digamma(self.q));
        sum(groups, |part| {
            let mut total = Slope::ZERO;
            // Groups are ordered by days, so that gamma functions are needed once for each number.
            for equal in part.chunk_by(|a, b| a.spend.days == b.spend.days) {
                let x = f64::from(equal[0].spend.days);
                let days = self.of_days(x, start);
                for group in equal {
                    total.add(group.customers, &self.one(x, group.spend.mean, &days));
                }
            }
            total
        })
    }

    fn of_days(&self, x: f64, (ln_gamma_q, digamma_q): (f64, f64)) -> OfDays {
        let shape = self.p * x;
        let top = digamma(shape + self.q);
        OfDays {
            value: ln_gamma(shape + self.q) - ln_gamma(shape) - ln_gamma_q,
            by_p: x * (top - digamma(shape)),
            by_q: top - digamma_q,
        }
    }

    fn one(&self, x: f64, mean: f64, days: &OfDays) -> Slope<3> {
        let Self { p, q, gamma } = *self;
        let sum = x * mean;
        // ln(sum / (gamma + sum)) and ln(gamma / (gamma + sum)), in which nothing can overflow.
        let (of_sum, of_gamma) = (-(gamma / sum).ln_1p(), -(sum / gamma).ln_1p());
        Slope {
            value: days.value + p * x * of_sum + q * of_gamma - mean.ln(),
            by: [
                days.by_p + x * of_sum,
                days.by_q + of_gamma,
                (q * sum / gamma - p * x) / (gamma + sum),
            ],
        }
    }

    /// Mean value of a purchase day of a customer with a history, `None` of one that is not yet
    /// known: `p (gamma + x m) / (p x + q - 1)` (eq. 5). Infinite where the mean does not exist.
    pub fn expected(&self, spend: Option<Spend>) -> f64 {
        let (scale, tail) = self.posterior(spend);
        if tail <= 1.0 {
            return f64::INFINITY;
        }
        self.p * scale / (tail - 1.0)
    }

    /// The customer's rate given a history is `Gamma(q + p x, rate gamma + x m)`: the rate
    /// parameter and the shape, in this order.
    pub(super) fn posterior(&self, spend: Option<Spend>) -> (f64, f64) {
        spend.map_or((self.gamma, self.q), |s| {
            let x = f64::from(s.days);
            (self.gamma + x * s.mean, self.q + self.p * x)
        })
    }

    /// # Errors
    /// When a parameter is one that no fit finds, or the mean of a new customer does not exist.
    pub(super) fn check(&self) -> Result<(), BtydError> {
        bgnbd::check(Self::NAME, &[("p", self.p), ("q", self.q)], SHAPES)?;
        // In value units, of which nothing is known.
        let any = (f64::MIN_POSITIVE, f64::MAX);
        bgnbd::check(Self::NAME, &[("gamma", self.gamma)], any)?;
        if self.q <= 1.0 {
            return Err(BtydError::NoMean { q: self.q });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
