//! Which days are holidays: a calendar built in, a file, or days given one by one.

use crate::{DataError, Result};
use ltv_core::{Day, config::Holidays};
use std::{collections::BTreeSet, path::Path};

/// The holidays of the world that `ltv simulate` makes: the same dates every year, namely
/// January 1-3, February 10-16, May 1-5, October 1-7, November 11 and December 24-26.
pub fn simulator_holiday(day: Day) -> bool {
    matches!(
        month_and_day(day),
        (1, 1..=3) | (2, 10..=16) | (5, 1..=5) | (10, 1..=7) | (11, 11) | (12, 24..=26)
    )
}

/// Month and day of the month, from the day's text form, which is the one calendar we have.
fn month_and_day(day: Day) -> (u32, u32) {
    let text = day.to_string();
    let mut parts = text.rsplit('-').map(|p| p.parse().unwrap_or(0));
    let date = parts.next().unwrap_or(0);
    (day.month(), date)
}

/// The configured holidays, ready to be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HolidayCalendar {
    days: BTreeSet<Day>,
    simulator: bool,
}

impl HolidayCalendar {
    /// Collects the days of all sources that the configuration names.
    ///
    /// # Errors
    /// When the holiday file cannot be read or has a line that is not a date.
    pub fn new(config: &Holidays) -> Result<Self> {
        let mut days: BTreeSet<Day> = config.days.iter().copied().collect();
        if let Some(path) = &config.file {
            days.extend(read_file(path)?);
        }
        Ok(Self {
            days,
            simulator: config.simulator,
        })
    }

    /// Whether `day` is a holiday.
    pub fn contains(&self, day: Day) -> bool {
        self.days.contains(&day) || (self.simulator && simulator_holiday(day))
    }
}

/// Reads a holiday file: one `YYYY-MM-DD` on each line; `#` starts a comment.
///
/// # Errors
/// When the file cannot be read, or names the first line that is not a date.
pub fn read_file(path: &Path) -> Result<Vec<Day>> {
    let text = std::fs::read_to_string(path).map_err(|e| DataError::io(path, "read", e))?;
    let mut days = vec![];
    for (index, line) in text.lines().enumerate() {
        let entry = line.split('#').next().unwrap_or("").trim();
        if entry.is_empty() {
            continue;
        }
        days.push(entry.parse().map_err(|_| DataError::HolidayLine {
            path: path.to_path_buf(),
            line: index + 1,
            text: entry.to_string(),
        })?);
    }
    Ok(days)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn the_simulator_has_26_holidays_a_year() {
        for (from, to) in [("2023-01-01", "2024-01-01"), ("2024-01-01", "2025-01-01")] {
            let days = day(from).0..day(to).0;
            assert_eq!(
                days.filter(|&d| simulator_holiday(Day(d))).count(),
                3 + 7 + 5 + 7 + 1 + 3
            );
        }
        let yes = [
            "2024-01-01",
            "2021-02-16",
            "1999-05-05",
            "2030-10-07",
            "2024-11-11",
        ];
        let no = [
            "2024-01-04",
            "2021-02-09",
            "1999-05-06",
            "2030-09-30",
            "2024-12-27",
        ];
        assert!(yes.iter().all(|d| simulator_holiday(day(d))));
        assert!(!no.iter().any(|d| simulator_holiday(day(d))));
    }

    #[test]
    fn a_file_with_comments_and_a_clear_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("days.txt");
        std::fs::write(&path, "# ours\n2024-03-08 # spring\n\n 2024-05-09\r\n").unwrap();
        let config = Holidays {
            file: Some(path.clone()),
            days: vec![Day(3)],
            simulator: false,
        };
        let calendar = HolidayCalendar::new(&config).unwrap();
        assert!(
            ["2024-03-08", "2024-05-09"]
                .iter()
                .all(|d| calendar.contains(day(d)))
        );
        assert!(calendar.contains(Day(3)) && !calendar.contains(day("2024-01-01")));
        std::fs::write(&path, "2024-03-08\n08.03.2024\n").unwrap();
        let error = read_file(&path).unwrap_err().to_string();
        assert!(error.contains("days.txt: line 2: '08.03.2024'"), "{error}");
    }
}
