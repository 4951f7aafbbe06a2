//! Pareto/NBD: purchases at a constant rate, and a lifetime that may end at any time.
//!
//! Schmittlein, Morrison and Colombo, "Counting your customers", Management Science 33 (1987), in
//! the form of Fader and Hardie, "A note on deriving the Pareto/NBD model and related expressions"
//! (2005). While alive, a customer buys as a Poisson process of rate
//! `lambda ~ Gamma(r, rate alpha)`; the lifetime is exponential of rate
//! `mu ~ Gamma(s, rate beta)`.

use super::{
    BtydError, Fit, FitOptions, Histories, History, bgnbd,
    counts::{CountDistribution, NegativeBinomial},
    fit::{SHAPES, Search, Slope, TIMES, sum},
    history::Group,
    special::{Rising, quadrature, unit_2f1},
};
use ltv_core::progress::{Progress, Silent};
use serde::{Deserialize, Serialize};

/// The parameters, all positive.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParetoNbd {
    /// Shape of the purchase rates.
    pub r: f64,
    /// Rate parameter of the purchase rates, a time.
    pub alpha: f64,
    /// Shape of the rates of leaving.
    pub s: f64,
    /// Rate parameter of the rates of leaving, a time.
    pub beta: f64,
}

/// A logarithm and its derivatives by `r, alpha, s, beta`.
#[derive(Clone, Copy)]
struct Ln {
    value: f64,
    by: [f64; 4],
}

impl ParetoNbd {
    const NAME: &'static str = "Pareto/NBD";

    /// Fits the model by maximum likelihood.
    ///
    /// # Errors
    /// When there is nothing to fit (no customers, no repeat purchase, no age), options are out of
    /// range, or the likelihood has no maximum.
    pub fn fit(histories: &Histories, options: &FitOptions) -> Result<Fit<Self>, BtydError> {
        Self::fit_with_progress(histories, options, &Silent)
    }

    /// As [`Self::fit`]; `progress` is told of every evaluation of the likelihood.
    ///
    /// # Errors
    /// As [`Self::fit`].
    pub fn fit_with_progress(
        histories: &Histories,
        options: &FitOptions,
        progress: &dyn Progress,
    ) -> Result<Fit<Self>, BtydError> {
        histories.check()?;
        let (longest, rate) = histories.scale();
        let factor = 10.0 / longest;
        let groups = histories.times(factor);
        let alpha = factor / rate;
        let search = Search {
            model: Self::NAME,
            likelihood: |p: &[f64; 4]| {
                progress.advance(1);
                Self::from(*p).total(&groups)
            },
            customers: histories.customers() as f64,
            typical: [1.0; 4],
            starts: vec![
                [0.5, 0.5 * alpha, 0.5, 5.0],
                [1.0, alpha, 1.0, alpha],
                [5.0, 5.0 * alpha, 2.0, 20.0],
            ],
        };
        let found = search.run(options)?;
        let mut model = Self::from(found.parameters);
        model.alpha /= factor;
        model.beta /= factor;
        Ok(found.on_the_clock_of(histories, factor, model))
    }

    /// Sum of the log-likelihoods of all customers, in their own time unit.
    pub fn log_likelihood(&self, histories: &Histories) -> f64 {
        self.total(histories.groups()).value
    }

    fn total(&self, groups: &[Group]) -> Slope<4> {
        let most = groups.iter().map(|g| g.history.repeats).max().unwrap_or(0);
        let rates = Rising::new(self.r, most);
        sum(groups, |part| {
            let mut total = Slope::ZERO;
            // Groups are ordered so that those of one age and count follow each other.
            let mut known: Option<(u32, f64, Ln)> = None;
            for Group { history, customers } in part {
                let (x, age) = (history.repeats, history.age);
                let end = match known {
                    Some((n, t, end)) if n == x && t == age => end,
                    _ => self.leaves_later(f64::from(x), age),
                };
                known = Some((x, age, end));
                total.add(*customers, &self.one(history, &rates, &end));
            }
            total
        })
    }

    /// Log-likelihood of one customer and its derivatives. With `G(t)` from [`Self::ln_g`] and
    /// `rho(t)` from [`Self::leaves_later`],
    ///
    /// ```text
    /// ln (r)_x + ln[G(t_x) rho(t_x) + G(T) (1 - rho(T))]
    /// ```
    ///
    /// which is the note's form with `A_0`, but with nothing subtracted except `rho` from 1, so
    /// that no digits are lost when `t_x` is close to `T`.
    fn one(&self, h: &History, rates: &Rising, rho_end: &Ln) -> Slope<4> {
        let n = h.repeats as usize;
        let x = f64::from(h.repeats);
        let (last, end) = (self.ln_g(x, h.recency), self.ln_g(x, h.age));
        let rho_last = self.leaves_later(x, h.recency);
        // G falls with time, so that G(t_x) is the larger one.
        let share = (end.value - last.value).exp();
        let gone = rho_last.value.exp();
        let rho = rho_end.value.exp();
        let both = gone + share * (1.0 - rho);
        let mut by = [0.0; 4];
        for (i, slope) in by.iter_mut().enumerate() {
            *slope = (gone * (last.by[i] + rho_last.by[i])
                + share * ((1.0 - rho) * end.by[i] - rho * rho_end.by[i]))
                / both;
        }
        by[0] += rates.slope[n];
        Slope {
            value: rates.ln[n] + last.value + both.ln(),
            by,
        }
    }

    /// `G(t) = alpha^r beta^s (alpha+t)^-(r+x) (beta+t)^-s`, in logarithms of small ratios, which
    /// keep their digits when customers are so alike that the parameters are large.
    fn ln_g(&self, x: f64, t: f64) -> Ln {
        let Self { r, alpha, s, beta } = *self;
        let (of_alpha, of_beta) = ((t / alpha).ln_1p(), (t / beta).ln_1p());
        let (a, b) = (alpha + t, beta + t);
        Ln {
            value: -r * of_alpha - x * a.ln() - s * of_beta,
            by: [
                -of_alpha,
                (r * t / alpha - x) / a,
                -of_beta,
                s * t / (beta * b),
            ],
        }
    }

    /// `ln rho(t)`: the chance that a customer with `x` purchases who is alive at `t` leaves
    /// before they buy again, `rho(t) = 1 / G(t)` times the integral of `G(y) s / (beta+y)` over
    /// `y > t`.
    ///
    /// The note's two cases, each after Euler's transformation, which leaves `2F1(1, ...)` with
    /// positive terms and bounded values; `k = r + s + x`:
    ///
    /// ```text
    /// alpha >= beta: s / k 2F1(1, r+x; k+1; (alpha-beta)/(alpha+t))
    /// alpha <  beta: s / k (alpha+t)/(beta+t) 2F1(1, s+1; k+1; (beta-alpha)/(beta+t))
    /// ```
    fn leaves_later(&self, x: f64, t: f64) -> Ln {
        let Self { r, alpha, s, beta } = *self;
        let k = r + s + x;
        let (a, b) = (alpha + t, beta + t);
        let both = (s / k).ln();
        if alpha >= beta {
            let f = unit_2f1(r + x, k + 1.0, (alpha - beta) / a);
            let by_z = f.by_z / f.value;
            Ln {
                value: both + f.value.ln(),
                by: [
                    (f.by_q + f.by_c) / f.value - 1.0 / k,
                    by_z * b / (a * a),
                    f.by_c / f.value + 1.0 / s - 1.0 / k,
                    -by_z / a,
                ],
            }
        } else {
            let f = unit_2f1(s + 1.0, k + 1.0, (beta - alpha) / b);
            let by_z = f.by_z / f.value;
            Ln {
                value: both + (a / b).ln() + f.value.ln(),
                by: [
                    f.by_c / f.value - 1.0 / k,
                    1.0 / a - by_z / b,
                    (f.by_q + f.by_c) / f.value + 1.0 / s - 1.0 / k,
                    by_z * a / (b * b) - 1.0 / b,
                ],
            }
        }
    }

    /// P(alive at `T`): `G(T) / (G(t_x) rho(t_x) + G(T) (1 - rho(T)))`.
    pub fn alive(&self, h: &History) -> f64 {
        let x = f64::from(h.repeats);
        let shape = self.r + x;
        let fall = shape * ((h.age - h.recency) / (self.alpha + h.recency)).ln_1p()
            + self.s * ((h.age - h.recency) / (self.beta + h.recency)).ln_1p();
        let gone = (fall + self.leaves_later(x, h.recency).value).exp();
        let rho = self.leaves_later(x, h.age).value.exp();
        (1.0 / (gone + 1.0 - rho)).clamp(0.0, 1.0)
    }

    /// Expected repeat purchases in the first `t` of a customer nothing is known about.
    pub fn expected(&self, t: f64) -> f64 {
        self.expected_after(&History::default(), t)
    }

    /// Expected purchases in `(T, T + t]` of a customer with a history:
    /// `P(alive) (r+x) / (alpha+T) (beta+T) / (s-1) [1 - ((beta+T) / (beta+T+t))^(s-1)]`, and its
    /// limit at `s = 1`; 0 for `t <= 0`.
    pub fn expected_after(&self, h: &History, t: f64) -> f64 {
        if t.is_nan() || t <= 0.0 {
            return 0.0;
        }
        let beta = self.beta + h.age;
        let ln = (t / beta).ln_1p();
        let power = self.s - 1.0;
        let living = if power.abs() * ln < 1e-12 {
            ln
        } else {
            -(-power * ln).exp_m1() / power
        };
        let rate = (self.r + f64::from(h.repeats)) / (self.alpha + h.age);
        self.alive(h) * rate * beta * living
    }

    /// P(no purchase in `(T, T + t]`), closed: a customer alive at `T` is a new one with
    /// parameters `r + x, alpha + T, s, beta + T`, whose likelihood of no purchase it is.
    pub(super) fn nothing_after(&self, h: &History, t: f64) -> f64 {
        let ahead = self.ahead(h);
        let share =
            (-ahead.r * (t / ahead.alpha).ln_1p() - ahead.s * (t / ahead.beta).ln_1p()).exp();
        let leaves = |t| ahead.leaves_later(0.0, t).value.exp();
        let nothing = leaves(0.0) + share * (1.0 - leaves(t));
        let alive = self.alive(h);
        1.0 - alive + alive * nothing
    }

    /// What a customer who is alive at `T` is like from then on.
    fn ahead(&self, h: &History) -> Self {
        Self {
            r: self.r + f64::from(h.repeats),
            alpha: self.alpha + h.age,
            s: self.s,
            beta: self.beta + h.age,
        }
    }

    /// `P(N = n)` purchases in `(T, T + t]` of a customer with a history, for `n = 0, 1, ...`; the last one, of `n =
    /// most` at the latest, holds all that is left.
    pub fn probabilities(&self, h: &History, t: f64, most: u32) -> Vec<f64> {
        self.distribution(h, t, most).0
    }

    /// Distribution of the purchases in `(T, T + t]`, with all beyond `most` counted as `most`.
    ///
    /// `P(Y = 0)` is closed ([`Self::nothing_after`]). For the others, the purchases up to a
    /// given time of leaving are negative binomial; they are mixed over that time with a
    /// Gauss-Legendre rule in its logarithm, to about 1e-10 absolute.
    pub(super) fn distribution(&self, h: &History, t: f64, most: u32) -> CountDistribution {
        let ahead = self.ahead(h);
        let alive = self.alive(h);
        let step = ahead.alpha.min(ahead.beta);
        // Leaving at u = step (e^v - 1) has density s / (beta + u) (1 + u / beta)^-s step e^v in v.
        let mut mixed: Vec<(f64, NegativeBinomial)> = quadrature((t / step).ln_1p(), 0.5)
            .into_iter()
            .map(|(v, weight)| {
                let u = step * v.exp_m1();
                let stays = (-ahead.s * (u / ahead.beta).ln_1p()).exp();
                let density = ahead.s / (ahead.beta + u) * stays * step * v.exp();
                (
                    weight * density,
                    NegativeBinomial::new(ahead.r, u / ahead.alpha),
                )
            })
            .collect();
        let stays = (-ahead.s * (t / ahead.beta).ln_1p()).exp();
        mixed.push((stays, NegativeBinomial::new(ahead.r, t / ahead.alpha)));
        let mut next = move || -> f64 {
            let terms = mixed
                .iter_mut()
                .map(|(weight, law)| *weight * law.next().unwrap_or(0.0));
            terms.sum()
        };
        next();
        let mut above = 1.0 - self.nothing_after(h, t);
        let at_least = (0..most).map(move |_| {
            let now = above;
            above -= alive * next();
            now
        });
        CountDistribution::from_survival(at_least, most)
    }

    /// # Errors
    /// When a parameter is one that no fit finds.
    pub(super) fn check(&self) -> Result<(), BtydError> {
        bgnbd::check(Self::NAME, &[("r", self.r), ("s", self.s)], SHAPES)?;
        let times = [("alpha", self.alpha), ("beta", self.beta)];
        bgnbd::check(Self::NAME, &times, TIMES)
    }
}

impl From<[f64; 4]> for ParetoNbd {
    fn from([r, alpha, s, beta]: [f64; 4]) -> Self {
        Self { r, alpha, s, beta }
    }
}

#[cfg(test)]
mod tests;
