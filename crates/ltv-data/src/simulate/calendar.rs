//! The simulated days: weekends, holidays, and how many users register on each.

use super::SimulateConfig;
use crate::holidays::simulator_holiday;
use ltv_core::Day;

/// What a day does to everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DayKind {
    /// Monday = 0 ... Sunday = 6.
    pub(super) weekday: u8,
    pub(super) weekend: bool,
    pub(super) holiday: bool,
}

#[derive(Debug)]
pub(super) struct Calendar {
    pub(super) start: Day,
    /// Every day from the start to the end.
    pub(super) days: Vec<DayKind>,
    /// Cumulative weight of the registration days.
    registrations: Vec<f64>,
    /// Years that cohorts drift by in a year.
    drift: f64,
}

impl Calendar {
    pub(super) fn new(config: &SimulateConfig) -> Self {
        let kind = |d: i32| {
            let day = config.start + d;
            let weekday = day.weekday() as u8;
            DayKind {
                weekday,
                weekend: weekday >= 5,
                holiday: simulator_holiday(day),
            }
        };
        let days: Vec<DayKind> = (0..config.days()).map(kind).collect();
        let mut total = 0.0;
        let cohorts = days.iter().take(config.days_of_registration as usize);
        let registrations = cohorts
            .map(|day| {
                total += factor(day.weekend, 1.15) * factor(day.holiday, 1.3);
                total
            })
            .collect();
        Self {
            start: config.start,
            days,
            registrations,
            drift: f64::from(config.drift),
        }
    }

    /// The years of drift up to a registration so many days after the start.
    pub(super) fn years(&self, registered: i32) -> f64 {
        f64::from(registered) / 365.0 * self.drift
    }

    /// The registration day, counted from the start, at quantile `u` in `[0, 1)`.
    pub(super) fn registration(&self, u: f64) -> i32 {
        let total = self.registrations.last().copied().unwrap_or(0.0);
        let last = self.registrations.len().saturating_sub(1);
        self.registrations
            .partition_point(|&sum| sum <= u * total)
            .min(last) as i32
    }
}

fn factor(applies: bool, by: f64) -> f64 {
    if applies { by } else { 1.0 }
}
