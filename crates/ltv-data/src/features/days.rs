//! The last days of the log, counted while it is read: what came in, before anything is made of it.

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::{Float64Type, Int32Type},
};
use ltv_core::{Day, config::FeatureConfig};
use serde::{Deserialize, Serialize};

/// Days up to the as-of date that are counted.
pub(crate) const COUNTED: i32 = 70;

/// A day of the log.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LogDay {
    /// The day.
    pub day: Day,
    /// Its events.
    pub events: u64,
    /// What their value column adds up to; 0 without one.
    pub value: f64,
}

/// Counts days.
#[derive(Debug)]
pub(crate) struct LogDays {
    first: i32,
    value: Option<String>,
    days: Vec<(u64, f64)>,
}

impl LogDays {
    pub(crate) fn new(config: &FeatureConfig) -> Self {
        let column = config.events.value.as_ref();
        Self {
            first: config.dataset.as_of.0 - COUNTED,
            value: column.map(|column| format!("num_{column}")),
            days: vec![(0, 0.0); COUNTED as usize],
        }
    }

    /// Events before the as-of date, normalised.
    pub(crate) fn add(&mut self, events: &RecordBatch) {
        let days = events.column(1).as_primitive::<Int32Type>().values();
        let values = self
            .value
            .as_ref()
            .and_then(|name| events.column_by_name(name));
        let values = values.map(|column| column.as_primitive::<Float64Type>());
        for (row, &day) in days.iter().enumerate() {
            let place = usize::try_from(i64::from(day) - i64::from(self.first));
            let Some(found) = place.ok().and_then(|place| self.days.get_mut(place)) else {
                continue;
            };
            found.0 += 1;
            found.1 += values.map_or(0.0, |v| if v.is_valid(row) { v.value(row) } else { 0.0 });
        }
    }

    /// The days from the first with an event on.
    pub(crate) fn finish(self) -> Vec<LogDay> {
        let days = self.days.into_iter().zip(self.first..);
        let days = days.skip_while(|((events, _), _)| *events == 0);
        days.map(|((events, value), day)| LogDay {
            day: Day(day),
            events,
            value,
        })
        .collect()
    }
}
