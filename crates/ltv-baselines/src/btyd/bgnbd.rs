//! BG/NBD: purchases at a constant rate, and a chance to leave after each.
//!
//! Fader, Hardie and Lee, "Counting your customers the easy way", Marketing Science 24 (2005).
//! While alive, a customer buys as a Poisson process of rate `lambda ~ Gamma(r, rate alpha)`; after
//! every repeat purchase they leave with probability `p ~ Beta(a, b)`.

use super::{
    BtydError, Fit, FitOptions, Histories, History,
    counts::{CountDistribution, NegativeBinomial},
    fit::{SHAPES, Search, Slope, TIMES, sum},
    history::Group,
    special::{Rising, ln_add_exp},
};
use ltv_core::progress::{Progress, Silent};
use serde::{Deserialize, Serialize};

/// The parameters, all positive.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BgNbd {
    /// Shape of the purchase rates.
    pub r: f64,
    /// Rate parameter of the purchase rates, a time.
    pub alpha: f64,
    /// First shape of the chances to leave.
    pub a: f64,
    /// Second shape of the chances to leave.
    pub b: f64,
}

/// More purchases than this are not told apart: an expectation adds up so many terms at most.
const MOST: u64 = 1_000_000;

impl BgNbd {
    const NAME: &'static str = "BG/NBD";

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
        // The clock on which lifetimes applies its penalty, and on which all numbers are moderate.
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
                [0.5, 0.5 * alpha, 1.0, 2.0],
                [0.1, 0.1 * alpha, 0.1, 0.1],
                [5.0, 5.0 * alpha, 1.0, 10.0],
            ],
        };
        let found = search.run(options)?;
        let mut model = Self::from(found.parameters);
        model.alpha /= factor;
        Ok(found.on_the_clock_of(histories, factor, model))
    }

    /// Sum of the log-likelihoods of all customers, in their own time unit.
    pub fn log_likelihood(&self, histories: &Histories) -> f64 {
        self.total(histories.groups()).value
    }

    fn total(&self, groups: &[Group]) -> Slope<4> {
        let most = groups.iter().map(|g| g.history.repeats).max().unwrap_or(0);
        let rates = Rising::new(self.r, most);
        let staying = Staying::new(self.a, self.b, most);
        sum(groups, |part| {
            let mut total = Slope::ZERO;
            for group in part {
                total.add(group.customers, &self.one(&group.history, &rates, &staying));
            }
            total
        })
    }

    /// Log-likelihood of one customer and its derivatives by `r, alpha, a, b`. With
    /// `(v)_x = Gamma(v + x) / Gamma(v)`, section 7 of the paper is
    ///
    /// ```text
    /// ln (r)_x + ln (b)_x - ln (a+b)_x + ln[L(T) + {x > 0} a / (b + x - 1) L(t_x)]
    /// ln L(t) = r ln alpha - (r+x) ln(alpha+t) = -r ln(1 + t/alpha) - x ln(alpha+t)
    /// ```
    ///
    /// where the last form keeps its digits when customers are so alike that `r` and `alpha` are
    /// large.
    fn one(&self, h: &History, rates: &Rising, staying: &Staying) -> Slope<4> {
        let n = h.repeats as usize;
        let x = f64::from(h.repeats);
        let since = |t: f64| {
            let ln = (t / self.alpha).ln_1p();
            let late = self.alpha + t;
            let value = -self.r * ln - x * late.ln();
            (value, -ln, (self.r * t / self.alpha - x) / late)
        };
        let (end, last) = (since(h.age), since(h.recency));
        let leaves = if n > 0 {
            self.a / (self.b + x - 1.0)
        } else {
            0.0
        };
        let gone = last.0 + leaves.ln();
        let both = ln_add_exp(end.0, gone);
        let (p_alive, p_gone) = ((end.0 - both).exp(), (gone - both).exp());
        let by_b = p_gone * leaves / self.a;
        Slope {
            value: rates.ln[n] + staying.ln[n] + both,
            by: [
                rates.slope[n] + p_alive * end.1 + p_gone * last.1,
                p_alive * end.2 + p_gone * last.2,
                staying.by_a[n] + p_gone / self.a,
                staying.by_b[n] - by_b,
            ],
        }
    }

    /// P(alive at `T`), 1 for a customer without repeats:
    /// `1 / (1 + a / (b + x - 1) ((alpha + T) / (alpha + t_x))^(r+x))`.
    pub fn alive(&self, h: &History) -> f64 {
        if h.repeats == 0 {
            return 1.0;
        }
        let x = f64::from(h.repeats);
        let odds = (self.a / (self.b + x - 1.0)).ln()
            + (self.r + x) * ((h.age - h.recency) / (self.alpha + h.recency)).ln_1p();
        1.0 / (1.0 + odds.exp())
    }

    /// Expected repeat purchases in the first `t` of a customer nothing is known about (eq. 9).
    pub fn expected(&self, t: f64) -> f64 {
        self.expected_after(&History::default(), t)
    }

    /// Expected purchases in `(T, T + t]` of a customer with a history (eq. 10).
    ///
    /// The paper's closed form with `2F1(r+x, b+x; a+b+x-1; t / (alpha+T+t))` divides 0 by 0 at
    /// `a = 1` and has a pole where `a + b + x = 1`. This is the same number as a sum of positive
    /// terms: were nobody to leave, the purchases `N` of the time ahead would be negative binomial;
    /// of `N` of them, the `j + 1`-th happens if the customer stays `j` times, with chance
    /// `(b+x)_j / (a+b+x)_j`. Hence `P(alive) sum over n of P(N = n) sum over j < n of that`.
    ///
    /// The work grows with `(r + x) t / (alpha + T)` and with `t / (alpha + T)`, to an end: of more
    /// than a million purchases, a million count. 0 for `t <= 0`.
    pub fn expected_after(&self, h: &History, t: f64) -> f64 {
        if t.is_nan() || t <= 0.0 {
            return 0.0;
        }
        let shape = self.r + f64::from(h.repeats);
        let ratio = t / (self.alpha + h.age);
        let mean = shape * ratio;
        let mut purchases = NegativeBinomial::new(shape, ratio);
        let nothing = purchases.next().unwrap_or(0.0);
        let (mut total, mut kept, mut left) = (0.0, 0.0, 1.0 - nothing);
        for ((n, stays), mass) in (1..=MOST).zip(self.stays(h)).zip(purchases) {
            kept += stays;
            let term = mass * kept;
            total += term;
            left -= mass;
            if n == MOST {
                total += left.max(0.0) * kept;
            }
            // Past the mean, terms fall at least as fast as a geometric series of this ratio.
            let n = n as f64;
            let falling = (shape + n) / (n + 1.0) * ratio / (1.0 + ratio) * (1.0 + 1.0 / n);
            if n > mean && falling < 1.0 && term <= 1e-15 * total * (1.0 - falling) {
                break;
            }
        }
        self.alive(h) * total
    }

    /// `(b+x)_j / (a+b+x)_j` for `j = 0, 1, ...`: a living customer stays after `j` more purchases.
    fn stays(&self, h: &History) -> impl Iterator<Item = f64> {
        let b = self.b + f64::from(h.repeats);
        let a = self.a;
        (0u64..).scan(1.0, move |chance, j| {
            let now = *chance;
            let top = b + j as f64;
            *chance *= top / (a + top);
            Some(now)
        })
    }

    /// `P(N = n)` purchases in `(T, T + t]` of a customer with a history, for `n = 0, 1, ...`; the last one, of `n =
    /// most` at the latest, holds all that is left.
    pub fn probabilities(&self, h: &History, t: f64, most: u32) -> Vec<f64> {
        self.distribution(h, t, most).0
    }

    /// Distribution of the purchases in `(T, T + t]`, with all beyond `most` counted as `most`:
    /// `P(Y >= n) = P(alive) (b+x)_{n-1} / (a+b+x)_{n-1} P(N >= n)`, exact. In particular
    /// `P(Y > 0) = P(alive) (1 - ((alpha + T) / (alpha + T + t))^(r+x))`.
    pub(super) fn distribution(&self, h: &History, t: f64, most: u32) -> CountDistribution {
        let shape = self.r + f64::from(h.repeats);
        let alive = self.alive(h);
        let purchases = NegativeBinomial::new(shape, t / (self.alpha + h.age));
        let at_least = purchases.scan(1.0, |above: &mut f64, mass| {
            *above -= mass;
            Some(above.max(0.0))
        });
        let chances = self
            .stays(h)
            .zip(at_least)
            .map(|(stays, more)| alive * stays * more);
        CountDistribution::from_survival(chances, most)
    }

    /// # Errors
    /// When a parameter is one that no fit finds.
    pub(super) fn check(&self) -> Result<(), BtydError> {
        check(
            Self::NAME,
            &[("r", self.r), ("a", self.a), ("b", self.b)],
            SHAPES,
        )?;
        check(Self::NAME, &[("alpha", self.alpha)], TIMES)
    }
}

/// `ln((b)_n / (a+b)_n)`, the chance to stay `n` times, and its derivatives, for `n = 0..=most`;
/// in terms of the chances to leave, which may be small.
struct Staying {
    ln: Vec<f64>,
    by_a: Vec<f64>,
    by_b: Vec<f64>,
}

impl Staying {
    fn new(a: f64, b: f64, most: u32) -> Self {
        let (mut ln, mut by_a, mut by_b) = (vec![0.0], vec![0.0], vec![0.0]);
        let mut sums = [0.0; 3];
        for k in 0..most {
            let stay = b + f64::from(k);
            let all = a + stay;
            sums[0] -= (a / stay).ln_1p();
            sums[1] -= all.recip();
            sums[2] += a / (stay * all);
            ln.push(sums[0]);
            by_a.push(sums[1]);
            by_b.push(sums[2]);
        }
        Self { ln, by_a, by_b }
    }
}

/// # Errors
/// When a parameter is out of range.
pub(super) fn check(
    model: &'static str,
    parameters: &[(&'static str, f64)],
    range: (f64, f64),
) -> Result<(), BtydError> {
    let bad = parameters
        .iter()
        .find(|(_, v)| !(range.0..=range.1).contains(v));
    bad.map_or(Ok(()), |&(parameter, value)| {
        Err(BtydError::Parameter {
            model,
            parameter,
            value,
            range,
        })
    })
}

impl From<[f64; 4]> for BgNbd {
    fn from([r, alpha, a, b]: [f64; 4]) -> Self {
        Self { r, alpha, a, b }
    }
}

#[cfg(test)]
mod tests;
