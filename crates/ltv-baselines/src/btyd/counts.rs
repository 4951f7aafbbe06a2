//! The distribution of a whole number of purchase days, and what is read off it.

use super::special::regularised_beta;

/// The negative binomial number of purchases of a customer whose rate is
/// `Gamma(shape, rate a)` over a time `t`: `P(N = n) = (shape)_n / n! (1 - z)^shape z^n`,
/// `z = t / (a + t)`, for `n = 0, 1, 2, ...` without end.
///
/// Small probabilities are carried in logarithms until they can be represented.
pub(super) struct NegativeBinomial {
    shape: f64,
    z: f64,
    n: f64,
    ln: f64,
    scale: f64,
}

impl NegativeBinomial {
    /// `ratio = t / a`, the time in units of the rate's scale.
    pub(super) fn new(shape: f64, ratio: f64) -> Self {
        Self {
            shape,
            z: ratio / (1.0 + ratio),
            n: 0.0,
            ln: -shape * ratio.ln_1p(),
            scale: 1.0,
        }
    }
}

impl Iterator for NegativeBinomial {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        // The value is `exp(ln) * scale`; `ln` moves only while that would vanish.
        let value = self.ln.exp() * self.scale;
        let factor = (self.shape + self.n) / (self.n + 1.0) * self.z;
        self.n += 1.0;
        if self.ln < -600.0 {
            self.ln += factor.ln();
        } else {
            self.scale *= factor;
        }
        Some(value)
    }
}

/// `P(Y = n)` for `n = 0, 1, ...`; the last entry holds all that is left. Sums to 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CountDistribution(pub(super) Vec<f64>);

/// Less than this is left out of sums over a distribution.
const NEGLIGIBLE: f64 = 1e-13;

impl CountDistribution {
    /// From `P(Y >= n)` for `n = 1, 2, ...`, non-increasing; cut after `most`, or where nothing is
    /// left.
    pub(super) fn from_survival(at_least: impl Iterator<Item = f64>, most: u32) -> Self {
        let mut all = Vec::new();
        let mut above = 1.0;
        for next in at_least.take(most as usize) {
            let next = next.clamp(0.0, above);
            all.push(above - next);
            above = next;
            if above < NEGLIGIBLE {
                break;
            }
        }
        all.push(above);
        Self(all)
    }

    /// `P(Y > 0)`.
    pub(super) fn positive(&self) -> f64 {
        (1.0 - self.0[0]).max(0.0)
    }

    /// The smallest `n` with `P(Y <= n) >= p`.
    pub(super) fn quantile(&self, p: f64) -> f64 {
        let mut below = 0.0;
        for (n, mass) in self.0.iter().enumerate() {
            below += mass;
            // Sums of rounded probabilities may miss a p that they should reach exactly.
            if below >= p - 1e-12 {
                return n as f64;
            }
        }
        (self.0.len() - 1) as f64
    }

    /// Quantile of a sum of `Y` purchase values: given `Y = n`, the sum over `scale` is beta prime
    /// with shapes `shape * n` and `tail`, so that
    /// `P(sum <= u scale) = P(Y = 0) + sum over n of P(Y = n) I_{u / (1 + u)}(shape n, tail)`.
    /// Returned in units of `scale`.
    pub(super) fn sum_quantile(&self, p: f64, shape: f64, tail: f64) -> f64 {
        if self.0[0] >= p - 1e-12 {
            return 0.0;
        }
        let below = |w: f64| -> f64 {
            let counts = self.0.iter().enumerate().skip(1);
            let terms = counts.filter(|(_, mass)| **mass > NEGLIGIBLE);
            let sum: f64 = terms
                .map(|(n, mass)| mass * regularised_beta(shape * n as f64, tail, w))
                .sum();
            self.0[0] + sum
        };
        // Over the logarithm of u, so that small and large sums are found equally well.
        let (mut low, mut high) = (-60.0, 60.0);
        let w = |ln: f64| 1.0 / (1.0 + f64::exp(-ln));
        while high - low > 1e-9 {
            let middle = 0.5 * (low + high);
            if below(w(middle)) < p {
                low = middle;
            } else {
                high = middle;
            }
        }
        f64::exp(0.5 * (low + high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_binomial_probabilities_sum_to_one() {
        // The last one starts at exp(-1498), which no number can hold.
        for (shape, ratio, terms) in [(0.3, 0.2, 100), (2.0, 40.0, 3000), (400.0, 41.3, 40_000)] {
            let all: Vec<f64> = NegativeBinomial::new(shape, ratio).take(terms).collect();
            let total: f64 = all.iter().sum();
            let mean: f64 = all.iter().enumerate().map(|(n, p)| n as f64 * p).sum();
            assert!((total - 1.0).abs() < 1e-9, "{total}");
            assert!((mean / (shape * ratio) - 1.0).abs() < 1e-8, "{mean}");
        }
        // Geometric for shape 1.
        let first: Vec<f64> = NegativeBinomial::new(1.0, 1.0).take(3).collect();
        assert_eq!(first, [0.5, 0.25, 0.125]);
    }

    #[test]
    fn quantiles_of_counts() {
        let halves = CountDistribution::from_survival([0.5, 0.25, 0.125].into_iter(), 3);
        assert_eq!(halves.0, [0.5, 0.25, 0.125, 0.125]);
        assert_eq!(halves.positive(), 0.5);
        let at = |p| halves.quantile(p);
        assert_eq!(
            [at(0.1), at(0.5), at(0.51), at(0.75), at(0.9), at(1.0)],
            [0.0, 0.0, 1.0, 1.0, 3.0, 3.0]
        );
    }

    #[test]
    fn quantiles_of_sums() {
        // One purchase for certain, shapes 1 and 1: P(sum <= u) = u / (1 + u).
        let one = CountDistribution(vec![0.0, 1.0]);
        for p in [0.1, 0.5, 0.9] {
            let u = one.sum_quantile(p, 1.0, 1.0);
            assert!((u / (p / (1.0 - p)) - 1.0).abs() < 1e-8);
        }
        let seldom = CountDistribution(vec![0.8, 0.2]);
        assert_eq!(seldom.sum_quantile(0.5, 1.0, 1.0), 0.0);
        let u = seldom.sum_quantile(0.9, 1.0, 1.0);
        assert!((u - 1.0).abs() < 1e-8, "{u}");
    }
}
