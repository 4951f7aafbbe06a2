//! What customers did, as far as the models can see. Equal histories are counted once.

use super::BtydError;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What times are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// Days.
    #[default]
    Day,
    /// Weeks of seven days, as in most of the literature.
    Week,
}

impl TimeUnit {
    /// Length of the unit in days.
    pub fn days(self) -> f64 {
        match self {
            Self::Day => 1.0,
            Self::Week => 7.0,
        }
    }
}

/// The purchases of one customer: `(x, t_x, T)` in the literature.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct History {
    /// Days with a purchase after the first one, `x`.
    pub repeats: u32,
    /// Time from the first purchase to the last, `t_x`; 0 without repeats.
    pub recency: f64,
    /// Time from the first purchase to the end of the observation, `T`.
    pub age: f64,
}

impl History {
    /// Checks that a customer can have this history.
    ///
    /// # Errors
    /// When a time is not finite or negative, the last purchase is later than the age, or repeats
    /// and their time contradict each other.
    pub fn check(&self) -> Result<(), BtydError> {
        for (what, value) in [
            ("the recency of a customer", self.recency),
            ("the age of a customer", self.age),
        ] {
            if !value.is_finite() {
                return Err(BtydError::NotFinite { what, value });
            }
        }
        let problem = if self.age < 0.0 || self.recency < 0.0 {
            "times cannot be negative"
        } else if self.recency > self.age {
            "the last purchase must lie within the age"
        } else if (self.repeats == 0) != (self.recency == 0.0) {
            "a repeat purchase must be later than the first one, and without any the recency is 0"
        } else {
            return Ok(());
        };
        Err(BtydError::History {
            repeats: self.repeats,
            recency: self.recency,
            age: self.age,
            problem,
        })
    }
}

/// A history and how many customers have it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Group {
    /// The history they share.
    pub history: History,
    /// How many they are, as the weight of a sum.
    pub customers: f64,
}

/// Purchase histories of many customers: what the count models are fitted to.
///
/// Memory and the time of a fit depend on the distinct histories only.
#[derive(Debug, Clone, PartialEq)]
pub struct Histories {
    unit: TimeUnit,
    customers: u64,
    groups: Vec<Group>,
}

impl Histories {
    /// Counts equal histories, whose times are in `unit`. The result does not depend on the order
    /// in which customers come.
    ///
    /// # Errors
    /// When a history is not finite or contradicts itself.
    pub fn new(
        unit: TimeUnit,
        customers: impl IntoIterator<Item = History>,
    ) -> Result<Self, BtydError> {
        Self::counted(unit, customers.into_iter().map(|one| (one, 1)))
    }

    /// The same from histories and how many customers have each; one may come more than once.
    ///
    /// # Errors
    /// When a history is not finite or contradicts itself.
    pub fn counted(
        unit: TimeUnit,
        histories: impl IntoIterator<Item = (History, u64)>,
    ) -> Result<Self, BtydError> {
        let mut counts: HashMap<(u32, u64, u64), u64> = HashMap::new();
        for (one, customers) in histories {
            one.check()?;
            // Adding zero turns -0 into 0; bits of non-negative numbers sort as the numbers do.
            let bits = |time: f64| (time + 0.0).to_bits();
            *counts
                .entry((one.repeats, bits(one.age), bits(one.recency)))
                .or_default() += customers;
        }
        let mut sorted: Vec<_> = counts.into_iter().collect();
        sorted.sort_unstable();
        let group = |((repeats, age, recency), customers): ((u32, u64, u64), u64)| Group {
            history: History {
                repeats,
                recency: f64::from_bits(recency),
                age: f64::from_bits(age),
            },
            customers: customers as f64,
        };
        Ok(Self {
            unit,
            customers: sorted.iter().map(|(_, n)| n).sum(),
            groups: sorted.into_iter().map(group).collect(),
        })
    }

    /// The unit of all times.
    pub fn unit(&self) -> TimeUnit {
        self.unit
    }

    /// Number of customers.
    pub fn customers(&self) -> u64 {
        self.customers
    }

    /// Distinct histories, ordered by repeats, age and recency.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Checks that there is something to learn from.
    pub(super) fn check(&self) -> Result<(), BtydError> {
        let customers = self.customers;
        let any = |f: fn(&History) -> bool| self.groups.iter().any(|g| f(&g.history));
        if customers == 0 {
            Err(BtydError::NoCustomers)
        } else if !any(|h| h.age > 0.0) {
            Err(BtydError::ZeroAge { customers })
        } else if !any(|h| h.repeats > 0) {
            Err(BtydError::NoRepeats { customers })
        } else {
            Ok(())
        }
    }

    /// The largest age, and repeat purchases per time.
    pub(super) fn scale(&self) -> (f64, f64) {
        let mut longest: f64 = 0.0;
        let (mut repeats, mut time) = (0.0, 0.0);
        for Group { history, customers } in &self.groups {
            longest = longest.max(history.age);
            repeats += customers * f64::from(history.repeats);
            time += customers * history.age;
        }
        (longest, repeats / time)
    }

    /// The same customers on a clock whose unit is `1 / factor` of this one's.
    pub(super) fn times(&self, factor: f64) -> Vec<Group> {
        let scale = |g: &Group| Group {
            history: History {
                recency: g.history.recency * factor,
                age: g.history.age * factor,
                ..g.history
            },
            ..*g
        };
        self.groups.iter().map(scale).collect()
    }
}

/// What a customer's purchase days were worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spend {
    /// Number of purchase days, at least 1.
    pub days: u32,
    /// Mean value of a purchase day, positive, in value units.
    pub mean: f64,
}

/// Spend and how many customers have it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpendGroup {
    /// What they share.
    pub spend: Spend,
    /// How many they are, as the weight of a sum.
    pub customers: f64,
}

/// Spend of many customers: what the Gamma-Gamma model is fitted to.
#[derive(Debug, Clone, PartialEq)]
pub struct Spends {
    customers: u64,
    skipped: u64,
    groups: Vec<SpendGroup>,
}

impl Spends {
    /// Counts equal spends. Customers without a purchase day or whose mean is not positive are
    /// [`Self::skipped`]: a Gamma distribution has no place for them.
    ///
    /// # Errors
    /// When a mean is not finite.
    pub fn new(customers: impl IntoIterator<Item = Spend>) -> Result<Self, BtydError> {
        Self::counted(customers.into_iter().map(|one| (one, 1)))
    }

    /// The same from spends and how many customers have each; one may come more than once.
    ///
    /// # Errors
    /// When a mean is not finite.
    pub fn counted(spends: impl IntoIterator<Item = (Spend, u64)>) -> Result<Self, BtydError> {
        let mut skipped = 0;
        let mut all: Vec<(u32, u64, u64)> = Vec::new();
        for (Spend { days, mean }, customers) in spends {
            if !mean.is_finite() {
                let what = "the mean value of a purchase day";
                return Err(BtydError::NotFinite { what, value: mean });
            }
            if days == 0 || mean <= 0.0 {
                skipped += customers;
            } else {
                all.push((days, mean.to_bits(), customers));
            }
        }
        all.sort_unstable();
        let group = |equal: &[(u32, u64, u64)]| SpendGroup {
            spend: Spend {
                days: equal[0].0,
                mean: f64::from_bits(equal[0].1),
            },
            customers: equal.iter().map(|e| e.2).sum::<u64>() as f64,
        };
        Ok(Self {
            customers: all.iter().map(|e| e.2).sum(),
            skipped,
            groups: all
                .chunk_by(|a, b| (a.0, a.1) == (b.0, b.1))
                .map(group)
                .collect(),
        })
    }

    /// Number of customers who count.
    pub fn customers(&self) -> u64 {
        self.customers
    }

    /// Number of customers who were left out.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Distinct spends, ordered by days and mean.
    pub fn groups(&self) -> &[SpendGroup] {
        &self.groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(repeats: u32, recency: f64, age: f64) -> History {
        History {
            repeats,
            recency,
            age,
        }
    }

    #[test]
    fn equal_histories_count_once_in_any_order() {
        let all = [
            seen(1, 2.0, 3.0),
            seen(0, -0.0, 3.0),
            seen(1, 2.0, 3.0),
            seen(0, 0.0, 3.0),
        ];
        let one = Histories::new(TimeUnit::Day, all).unwrap();
        let other = Histories::new(TimeUnit::Day, all.into_iter().rev()).unwrap();
        assert_eq!(one, other);
        assert_eq!(one.customers(), 4);
        let counted: Vec<_> = one
            .groups()
            .iter()
            .map(|g| (g.history, g.customers))
            .collect();
        assert_eq!(
            counted,
            [(seen(0, 0.0, 3.0), 2.0), (seen(1, 2.0, 3.0), 2.0)]
        );
    }

    #[test]
    fn contradictions_are_refused() {
        for bad in [
            seen(1, f64::NAN, 3.0),
            seen(1, 2.0, f64::INFINITY),
            seen(1, 4.0, 3.0),
            seen(1, -1.0, 3.0),
            seen(0, 1.0, 3.0),
            seen(2, 0.0, 3.0),
        ] {
            assert!(Histories::new(TimeUnit::Day, [bad]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_cannot_be_fitted_is_named() {
        let check = |all: Vec<History>| Histories::new(TimeUnit::Week, all).unwrap().check();
        assert_eq!(check(vec![]), Err(BtydError::NoCustomers));
        assert_eq!(
            check(vec![seen(0, 0.0, 0.0)]),
            Err(BtydError::ZeroAge { customers: 1 })
        );
        assert_eq!(
            check(vec![seen(0, 0.0, 2.0); 3]),
            Err(BtydError::NoRepeats { customers: 3 })
        );
        assert_eq!(check(vec![seen(1, 1.0, 2.0)]), Ok(()));
    }

    #[test]
    fn spends_without_value_are_skipped() {
        let spend = |days, mean| Spend { days, mean };
        let all = [
            spend(2, 5.0),
            spend(0, 5.0),
            spend(1, 0.0),
            spend(1, -2.0),
            spend(2, 5.0),
        ];
        let spends = Spends::new(all).unwrap();
        assert_eq!((spends.customers(), spends.skipped()), (2, 3));
        assert_eq!(spends.groups().len(), 1);
        assert!(Spends::new([spend(1, f64::NAN)]).is_err());
    }
}
