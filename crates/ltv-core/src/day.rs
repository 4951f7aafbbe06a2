//! Calendar days. A day is the floor of a UTC timestamp in days since 1970-01-01.

use crate::{Error, Result};
use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};
use std::{fmt, ops, str::FromStr};

/// A UTC calendar day, counted from 1970-01-01; the same number as Arrow's `Date32`.
///
/// Written and parsed as `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

impl Day {
    /// Days from the common era's first day to 1970-01-01.
    const EPOCH_FROM_CE: i32 = 719_163;

    fn date(self) -> Option<NaiveDate> {
        NaiveDate::from_num_days_from_ce_opt(self.0.checked_add(Self::EPOCH_FROM_CE)?)
    }

    /// Day of the week, Monday = 0 ... Sunday = 6.
    pub fn weekday(self) -> u32 {
        // 1970-01-01 was a Thursday.
        (self.0 + 3).rem_euclid(7) as u32
    }

    /// Month, January = 1; 1 for a day outside chrono's calendar.
    pub fn month(self) -> u32 {
        self.date().map_or(1, |d| d.month())
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.date() {
            Some(d) => write!(f, "{d}"),
            None => write!(f, "day {}", self.0),
        }
    }
}

impl FromStr for Day {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| Error::Date {
            text: text.to_string(),
        })?;
        Ok(Self(date.num_days_from_ce() - Self::EPOCH_FROM_CE))
    }
}

impl ops::Add<i32> for Day {
    type Output = Day;
    fn add(self, days: i32) -> Day {
        Day(self.0 + days)
    }
}

impl ops::Sub for Day {
    type Output = i32;
    fn sub(self, other: Day) -> i32 {
        self.0 - other.0
    }
}

impl Serialize for Day {
    fn serialize<S: serde::Serializer>(&self, s: S) -> std::result::Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_days() {
        let day: Day = "2021-07-01".parse().unwrap();
        assert_eq!(day, Day(18_809));
        assert_eq!(day.to_string(), "2021-07-01");
        assert_eq!(day.weekday(), 3); // a Thursday
        assert_eq!(day.month(), 7);
        assert_eq!(Day(0).weekday(), 3);
        assert_eq!(Day(-1).weekday(), 2);
        assert_eq!("1970-01-02".parse::<Day>().unwrap() - Day(0), 1);
        assert!("2021-7-1x".parse::<Day>().is_err());
    }

    proptest::proptest! {
        #[test]
        fn text_round_trip(n in -100_000i32..100_000) {
            let day = Day(n);
            proptest::prop_assert_eq!(day.to_string().parse::<Day>().unwrap(), day);
            proptest::prop_assert_eq!((day.weekday() + 1) % 7, (day + 1).weekday());
        }
    }
}
