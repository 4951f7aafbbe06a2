//! Bringing users with and without value to equal weight.

use serde::{Deserialize, Serialize};

/// How training makes up for one class of users being much rarer than the other.
///
/// The classes are the users with and without value at the longest mature horizon. All but `none`
/// bring them to equal weight in expectation, and so distort what is predicted: shares of the
/// classes are then those of a balanced population, not of the one that is scored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// Users count as they are.
    #[default]
    None,
    /// Users of the rarer class are drawn several times an epoch.
    Oversample,
    /// Only a share of the commoner class is drawn in an epoch.
    Undersample,
    /// All users are drawn once, and their losses are weighted. The mean weight is one over the
    /// training set; that of a batch may be more or less.
    Reweight,
}

/// What balancing does to the users of each class.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassFactors {
    /// For users without value.
    pub zero: ClassFactor,
    /// For users with value.
    pub positive: ClassFactor,
}

/// How often a user of a class is drawn, and what it then counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassFactor {
    /// Expected number of times that a user is drawn in an epoch: below one a chance to be kept,
    /// above one so many copies, the fraction again being a chance.
    pub copies: f64,
    /// Weight of each draw in the losses.
    pub weight: f64,
}

impl ClassFactor {
    const ONE: Self = Self {
        copies: 1.0,
        weight: 1.0,
    };

    /// How often a user is drawn in one epoch, given a number in `[0, 1)` that is the user's own:
    /// the whole part of [`ClassFactor::copies`], and one more with a chance of the rest.
    pub fn draws(&self, chance: f64) -> u64 {
        let whole = self.copies.floor();
        whole as u64 + u64::from(chance < self.copies - whole)
    }
}

impl ClassFactors {
    /// Nobody counts for more or less than one.
    pub const ONE: Self = Self {
        zero: ClassFactor::ONE,
        positive: ClassFactor::ONE,
    };

    /// The factor of a user with these labels, NaN where immature.
    pub fn of(&self, labels: &[f64]) -> ClassFactor {
        match has_value(labels) {
            true => self.positive,
            false => self.zero,
        }
    }

    /// Rows of an epoch to expect, of so many users of each class.
    pub fn draws(&self, zeros: u64, positives: u64) -> f64 {
        self.zero.copies * zeros as f64 + self.positive.copies * positives as f64
    }
}

/// The class of a user: whether the label of the longest mature horizon is above 0. Labels are in
/// the order of horizons, NaN where immature.
pub fn has_value(labels: &[f64]) -> bool {
    let longest = labels.iter().rev().find(|y| !y.is_nan());
    longest.is_some_and(|&y| y > 0.0)
}

impl Balance {
    /// What to do to each class, given how many training users are in it. `copies * weight * users`
    /// is then the same for both. With an empty class there is nothing to balance.
    ///
    /// With `n_0` users without and `n_1` with value, `n` the larger, `m` the smaller number and
    /// `N = n_0 + n_1`: a user of class `c` is drawn `n / n_c` times (oversample) or `m / n_c` times
    /// (undersample), or weighs `N / (2 n_c)` (reweight). The mean of these weights over the
    /// training set is one; a batch's weighted losses are divided by its number of rows, not by the
    /// sum of its weights, so that classes weigh the same over an epoch even where most batches
    /// have none of the rarer class.
    pub fn factors(self, zeros: u64, positives: u64) -> ClassFactors {
        let (zero, positive) = (zeros as f64, positives as f64);
        let factor = |users: f64| match self {
            _ if zeros == 0 || positives == 0 => ClassFactor::ONE,
            Self::None => ClassFactor::ONE,
            Self::Oversample => ClassFactor {
                copies: zero.max(positive) / users,
                weight: 1.0,
            },
            Self::Undersample => ClassFactor {
                copies: zero.min(positive) / users,
                weight: 1.0,
            },
            Self::Reweight => ClassFactor {
                copies: 1.0,
                weight: (zero + positive) / (2.0 * users),
            },
        };
        ClassFactors {
            zero: factor(zero),
            positive: factor(positive),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        let both = |b: Balance| {
            let f = b.factors(900, 100);
            let pair = |f: ClassFactor| (f.copies, f.weight);
            (pair(f.zero), pair(f.positive))
        };
        assert_eq!(both(Balance::None), ((1.0, 1.0), (1.0, 1.0)));
        assert_eq!(both(Balance::Oversample), ((1.0, 1.0), (9.0, 1.0)));
        assert_eq!(both(Balance::Undersample), ((1.0 / 9.0, 1.0), (1.0, 1.0)));
        assert_eq!(both(Balance::Reweight), ((1.0, 5.0 / 9.0), (1.0, 5.0)));
        let empty = Balance::Oversample.factors(10, 0);
        assert_eq!(
            (empty.zero, empty.positive),
            (ClassFactor::ONE, ClassFactor::ONE)
        );
    }

    #[test]
    fn a_user_is_of_the_class_of_the_longest_known_label() {
        let nan = f64::NAN;
        assert!(has_value(&[0.0, 3.0, nan]) && !has_value(&[0.0, nan]));
        assert!(!has_value(&[nan, nan]) && !has_value(&[]));
        let factors = Balance::Oversample.factors(90, 10);
        assert_eq!(factors.of(&[0.0, 1.0]).copies, 9.0);
        assert_eq!(factors.draws(90, 10), 180.0);
        assert_eq!(ClassFactors::ONE.draws(90, 10), 100.0);
    }

    #[test]
    fn names() {
        let all = [
            Balance::None,
            Balance::Oversample,
            Balance::Undersample,
            Balance::Reweight,
        ];
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(text, r#"["none","oversample","undersample","reweight"]"#);
    }

    proptest! {
        /// The classes weigh the same, nobody counts for nothing, and draws are right on average.
        #[test]
        fn classes_weigh_the_same(zeros in 1u64..1_000_000, positives in 1u64..1_000_000, b in 1usize..4) {
            let b = [Balance::None, Balance::Oversample, Balance::Undersample, Balance::Reweight][b];
            let f = b.factors(zeros, positives);
            let total = |f: ClassFactor, users: u64| f.copies * f.weight * users as f64;
            let (zero, positive) = (total(f.zero, zeros), total(f.positive, positives));
            prop_assert!((zero / positive - 1.0).abs() < 1e-12);
            for factor in [f.zero, f.positive] {
                prop_assert!(factor.copies > 0.0 && factor.weight > 0.0);
                let n = 1000;
                let draws: u64 = (0..n).map(|i| factor.draws((f64::from(i) + 0.5) / f64::from(n))).sum();
                prop_assert!((draws as f64 / f64::from(n) - factor.copies).abs() <= 1e-3);
            }
        }

        /// Over- and undersampling touch one class only; re-weighting keeps the sum of weights.
        #[test]
        fn what_is_left_alone(zeros in 1u64..1_000_000, positives in 1u64..1_000_000) {
            let over = Balance::Oversample.factors(zeros, positives);
            prop_assert_eq!(over.zero.copies.min(over.positive.copies), 1.0);
            let under = Balance::Undersample.factors(zeros, positives);
            prop_assert_eq!(under.zero.copies.max(under.positive.copies), 1.0);
            let f = Balance::Reweight.factors(zeros, positives);
            let sum = f.zero.weight * zeros as f64 + f.positive.weight * positives as f64;
            prop_assert!((sum / (zeros + positives) as f64 - 1.0).abs() < 1e-12);
        }
    }
}
