//! Part of a population.

use crate::hash::mix;
use serde::{Deserialize, Serialize};
use std::{fmt, num::ParseIntError, str::FromStr};

/// One of `N` parts of a population, written `I/N` with `1 <= I <= N`. Which one a user is in
/// follows from a hash of the user's id and from `N` alone, and has nothing to do with which
/// file or which part of a split the user is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    index: u32,
    of: u32,
}

/// Why a text names no shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no shard: write I/N with I from 1 to N and N up to 1000000, like 3/60")]
pub struct ShardError(String);

impl Shard {
    /// Most shards of a population.
    pub const MOST: u32 = 1_000_000;

    /// Shard `index` of `of`, `1 <= index <= of <= `[`Shard::MOST`]; `None` for others.
    pub fn new(index: u32, of: u32) -> Option<Self> {
        let known = of <= Self::MOST && (1..=of).contains(&index);
        known.then_some(Self { index, of })
    }

    /// Shards of the population.
    pub fn of(self) -> u32 {
        self.of
    }

    /// Whether user number `user`, counted from 0, is in it.
    pub(super) fn holds(self, user: u64) -> bool {
        // The upper bits: the parts that features are made in go by the lower ones.
        let place = (u128::from(mix(user + 1)) * u128::from(self.of)) >> 64;
        place + 1 == u128::from(self.index)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = ShardError;
    fn from_str(text: &str) -> Result<Self, ShardError> {
        let wrong = || ShardError(text.to_owned());
        let (index, of) = text.split_once('/').ok_or_else(wrong)?;
        let number = |text: &str| text.parse().map_err(|_: ParseIntError| wrong());
        Self::new(number(index)?, number(of)?).ok_or_else(wrong)
    }
}

impl TryFrom<String> for Shard {
    type Error = ShardError;
    fn try_from(text: String) -> Result<Self, ShardError> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in ["1/1", "3/60", "1000000/1000000"] {
            let shard: Shard = text.parse().unwrap();
            assert_eq!(shard.to_string(), text);
            let json = serde_json::to_string(&shard).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Shard>(&json).unwrap(), shard);
        }
        for text in [
            "",
            "3",
            "0/3",
            "4/3",
            "1/0",
            "-1/3",
            "1/1000001",
            "1/2/3",
            "a/b",
        ] {
            let error = text.parse::<Shard>().unwrap_err().to_string();
            assert!(error.contains("like 3/60"), "{text}: {error}");
        }
    }

    #[test]
    fn everybody_is_in_one_shard_and_shards_are_even() {
        for of in [1, 2, 7, 60] {
            let shards: Vec<_> = (1..=of).map(|i| Shard::new(i, of).unwrap()).collect();
            let mut counts = vec![0_u32; of as usize];
            for user in 0..60_000 {
                let found: Vec<_> = (0..shards.len())
                    .filter(|&i| shards[i].holds(user))
                    .collect();
                assert_eq!(found.len(), 1, "user {user} of {of} shards");
                counts[found[0]] += 1;
            }
            let mean = 60_000 / of;
            // Within four standard deviations.
            let is_even = |n: &u32| n.abs_diff(mean).pow(2) < 16 * mean;
            assert!(counts.iter().all(is_even), "{of}: {counts:?}");
        }
    }

    #[test]
    fn parts_of_a_shard_are_even_too() {
        // Dealt out to 60 parts by the lower bits, as features are.
        let shard = Shard::new(7, 60).unwrap();
        let mut counts = [0_u32; 60];
        let users = (0..360_000).filter(|&user| shard.holds(user));
        users.for_each(|user| counts[(mix(user + 1) % 60) as usize] += 1);
        assert!(counts.iter().all(|&n| (50..150).contains(&n)), "{counts:?}");
    }
}
