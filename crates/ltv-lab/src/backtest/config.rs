//! What is replayed: the file that `ltv backtest` reads, checked and resolved.

use crate::{
    CompareConfig, LabError,
    config::{Entry, default_bootstrap, default_seeds},
};
use ltv_core::{Day, Error, config::Split};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use toml::Table;

/// A backtest of models on one dataset.
///
/// | name | default | purpose |
/// |---|---|---|
/// | `data` | | folder of one dataset, made as of today: it serves every earlier date |
/// | `events` | none | the event log, for buy-till-you-die models |
/// | `dates` | | as-of dates at equal distances: `from`, `to`, `every_days` (91) |
/// | `as_of` | | as-of dates one by one, in place of `dates` |
/// | `judge_days` | 365 | users who registered in that many days from a date on are judged |
/// | `seeds` | 0, 1, 2 | each model that draws random numbers is trained with each |
/// | `bootstrap` | 200 | resamples for the intervals of each date, 20 or more |
/// | `split` | as in `ltv train` | who trains and validates |
/// | `network` | | what networks have in common, as in `ltv compare` |
/// | `models` | | the contestants, as in `ltv compare` |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BacktestConfig {
    /// Folder of the dataset.
    pub data: PathBuf,
    /// The event log that `data` was made from, for models that need more than the window.
    #[serde(default)]
    pub events: Vec<PathBuf>,
    /// As-of dates one by one.
    #[serde(default)]
    pub as_of: Vec<Day>,
    /// Days of registration that are judged, from each date on.
    #[serde(default = "default_judge_days")]
    pub judge_days: u32,
    /// Seeds.
    #[serde(default = "default_seeds")]
    pub seeds: Vec<u64>,
    /// Resamples for intervals.
    #[serde(default = "default_bootstrap")]
    pub bootstrap: u32,
    /// As-of dates at equal distances.
    #[serde(default)]
    pub dates: Option<Dates>,
    /// Who trains and validates.
    #[serde(default)]
    pub split: Split,
    /// What networks have in common.
    #[serde(default)]
    pub network: Table,
    /// The contestants.
    pub models: Vec<Entry>,
}

/// As-of dates at equal distances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dates {
    /// The first one.
    pub from: Day,
    /// None is later.
    pub to: Day,
    /// Days from one to the next.
    #[serde(default = "default_every_days")]
    pub every_days: u32,
}

fn default_judge_days() -> u32 {
    365
}

fn default_every_days() -> u32 {
    91
}

impl BacktestConfig {
    /// The as-of dates, ascending, at least one.
    ///
    /// # Errors
    /// Names the key at fault.
    pub fn days(&self) -> Result<Vec<Day>, LabError> {
        let wrong = |key: &str, problem: String| Err(Error::config(key, problem).into());
        if self.judge_days == 0 {
            return wrong("judge_days", "must be at least 1".to_owned());
        }
        let mut days = match (&self.dates, &self.as_of[..]) {
            (Some(dates), []) => dates.days()?,
            (None, some @ [_, ..]) => some.to_vec(),
            (Some(_), _) => {
                return wrong("as_of", "give either dates or as_of, not both".to_owned());
            }
            (None, []) => {
                let problem = "give as-of dates: from, to and every_days, or a list as_of = [..]";
                return wrong("dates", problem.to_owned());
            }
        };
        days.sort_unstable();
        match days.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => wrong("as_of", format!("{} is given twice", pair[0])),
            None => Ok(days),
        }
    }

    /// The comparison that is made at each date.
    pub fn comparison(&self) -> CompareConfig {
        CompareConfig {
            data: self.data.clone(),
            test: None,
            events: self.events.clone(),
            seeds: self.seeds.clone(),
            bootstrap: self.bootstrap,
            split: self.split.clone(),
            network: self.network.clone(),
            models: self.models.clone(),
            expect: vec![],
        }
    }
}

impl Dates {
    fn days(&self) -> Result<Vec<Day>, LabError> {
        let (from, to) = (self.from, self.to);
        if from > to {
            return Err(Error::config("dates.from", format!("{from} is after to = {to}")).into());
        }
        if self.every_days == 0 {
            return Err(Error::config("dates.every_days", "must be at least 1").into());
        }
        let days = (from.0..=to.0).step_by(self.every_days as usize);
        Ok(days.map(Day).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn days(text: &str) -> Result<Vec<String>, String> {
        let text = format!("data = \"x\"\nmodels = []\n{text}");
        let config: BacktestConfig = toml::from_str(&text).map_err(|e| e.to_string())?;
        let days = config.days().map_err(|e| e.to_string())?;
        Ok(days.iter().map(Day::to_string).collect())
    }

    #[test]
    fn dates_stand_at_equal_distances_or_one_by_one() {
        let spaced = "dates = { from = \"2016-07-01\", to = \"2017-07-01\", every_days = 182 }";
        assert_eq!(
            days(spaced).unwrap(),
            ["2016-07-01", "2016-12-30", "2017-06-30"]
        );
        let one = "dates = { from = \"2016-07-01\", to = \"2016-07-01\" }";
        assert_eq!(days(one).unwrap(), ["2016-07-01"]);
        let listed = "as_of = [\"2019-01-01\", \"2018-01-01\"]";
        assert_eq!(days(listed).unwrap(), ["2018-01-01", "2019-01-01"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let spaced = "dates = { from = \"2016-07-02\", to = \"2016-07-01\" }";
        for (text, expected) in [
            ("", "dates: give as-of dates"),
            (spaced, "dates.from: 2016-07-02 is after to = 2016-07-01"),
            (
                "dates = { from = \"2016-07-01\", to = \"2016-07-01\", every_days = 0 }",
                "every_days",
            ),
            (
                "as_of = [\"2018-01-01\", \"2018-01-01\"]",
                "2018-01-01 is given twice",
            ),
            (
                "as_of = [\"2018-01-01\"]\njudge_days = 0",
                "judge_days: must be",
            ),
            ("as_of = [\"today\"]", "today"),
            ("days = 3", "unknown field"),
        ] {
            let error = days(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let both = format!(
            "as_of = [\"2018-01-01\"]\n{}",
            spaced.replace("07-02", "06-01")
        );
        assert!(days(&both).unwrap_err().contains("not both"));
    }
}
