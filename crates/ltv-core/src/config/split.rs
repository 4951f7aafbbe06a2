//! Which users train, validate and test.

use crate::{Day, Error, Result};
use serde::{Deserialize, Serialize};

/// A split of a dataset's users, stable under re-runs: by registration day and by the hash of the
/// user id ([`crate::seed::user_fraction`]).
///
/// With `f` the hash fraction of a user: `f < test` is the test set, `test <= f < test +
/// validation` the validation set, the rest trains. A time-safe split keeps `test = 0` and
/// evaluates on a dataset of later registrations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Split {
    /// Share of users held out for testing, by hash, in `[0, 1)`.
    pub test: f64,
    /// Share of users held out for validation, by hash, in `(0, 1)`.
    pub validation: f64,
    /// Which labels of a user must be mature for the user to take part.
    pub mature: Mature,
    /// Only users registered on or after this day, if given.
    pub registered_from: Option<Day>,
    /// Only users registered before this day, if given.
    pub registered_before: Option<Day>,
}

/// Which labels must be mature.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mature {
    /// The shortest horizon's; labels of longer ones may be null and are then masked.
    #[default]
    Shortest,
    /// The longest horizon's, and so all.
    Longest,
}

/// The part of a split that a user belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Fits weights, encodings and buckets.
    Train,
    /// Stops training and chooses options.
    Validation,
    /// Judges; never seen before.
    Test,
}

impl Default for Split {
    fn default() -> Self {
        Self {
            test: 0.0,
            validation: 0.1,
            mature: Mature::Shortest,
            registered_from: None,
            registered_before: None,
        }
    }
}

impl Split {
    /// Checks the shares.
    ///
    /// # Errors
    /// When a share is outside its range or nothing is left to train on.
    pub fn check(&self) -> Result<()> {
        if !(0.0..1.0).contains(&self.test) {
            let problem = format!("{} is not in [0, 1)", self.test);
            return Err(Error::config("split.test", problem));
        }
        if !(self.validation > 0.0 && self.validation < 1.0) {
            let problem = format!("{} is not between 0 and 1", self.validation);
            return Err(Error::config("split.validation", problem));
        }
        if self.test + self.validation >= 1.0 {
            let problem = "split.test + split.validation leaves no users to train on";
            return Err(Error::config("split.validation", problem));
        }
        Ok(())
    }

    /// The part for a user with hash fraction `f`.
    pub fn part(&self, f: f64) -> Part {
        if f < self.test {
            Part::Test
        } else if f < self.test + self.validation {
            Part::Validation
        } else {
            Part::Train
        }
    }

    /// Whether a registration day takes part at all.
    pub fn admits(&self, registered: Day) -> bool {
        self.registered_from.is_none_or(|d| registered >= d)
            && self.registered_before.is_none_or(|d| registered < d)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_ranges_of_the_hash() {
        let split = Split {
            test: 0.2,
            validation: 0.08,
            ..Split::default()
        };
        split.check().unwrap();
        assert_eq!(split.part(0.19), Part::Test);
        assert_eq!(split.part(0.2), Part::Validation);
        assert_eq!(split.part(0.29), Part::Train);
        assert!(
            Split {
                test: 0.5,
                validation: 0.5,
                ..Split::default()
            }
            .check()
            .is_err()
        );
        assert!(
            Split {
                validation: f64::NAN,
                ..Split::default()
            }
            .check()
            .is_err()
        );
    }
}
