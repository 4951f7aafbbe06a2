//! The calendar table of the feature query: what is known of a day without any event.

use crate::{Result, holidays::HolidayCalendar};
use arrow::array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray};
use ltv_core::Day;
use std::{ops::Range, sync::Arc};

/// One row for each day of `days`; shares are over the `window` days from that day on.
pub(crate) fn calendar(
    days: Range<i32>,
    window: u32,
    holidays: &HolidayCalendar,
) -> Result<RecordBatch> {
    let text = |of: &dyn Fn(Day) -> String| -> ArrayRef {
        Arc::new(
            days.clone()
                .map(|d| Some(of(Day(d))))
                .collect::<StringArray>(),
        )
    };
    let flag = |yes: bool| if yes { "1" } else { "0" }.to_string();
    let share = |is: &dyn Fn(Day) -> bool| -> ArrayRef {
        Arc::new(Float64Array::from(shares(days.clone(), window, is)))
    };
    let weekend = |d: Day| d.weekday() >= 5;
    let holiday = |d: Day| holidays.contains(d);
    let columns: [(&str, ArrayRef); 7] = [
        ("day", Arc::new(days.clone().collect::<Int32Array>())),
        ("weekday", text(&|d| d.weekday().to_string())),
        ("month", text(&|d| d.month().to_string())),
        ("weekend", text(&|d| flag(weekend(d)))),
        ("holiday", text(&|d| flag(holiday(d)))),
        ("weekend_share", share(&weekend)),
        ("holiday_share", share(&holiday)),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}

/// For each day, the share of it and the `window - 1` days after it for which `is` holds.
fn shares(days: Range<i32>, window: u32, is: &dyn Fn(Day) -> bool) -> Vec<f64> {
    let reach = window as i32;
    let mut count = (days.start..days.start + reach)
        .filter(|&d| is(Day(d)))
        .count() as i32;
    let mut all = vec![];
    for day in days {
        all.push(f64::from(count) / f64::from(window));
        count += i32::from(is(Day(day + reach))) - i32::from(is(Day(day)));
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use arrow::array::AsArray;

    #[test]
    fn a_known_week() {
        let days: Day = "2024-01-01".parse().unwrap(); // a Monday, and a holiday until the 3rd
        let config = ltv_core::config::Holidays {
            simulator: true,
            ..Default::default()
        };
        let holidays = HolidayCalendar::new(&config).unwrap();
        let table = calendar(days.0..days.0 + 7, 4, &holidays).unwrap();
        let text = |c: usize, i: usize| table.column(c).as_string::<i32>().value(i).to_string();
        assert_eq!([text(1, 0), text(1, 6), text(2, 0)], ["0", "6", "1"]);
        assert_eq!(
            [text(3, 4), text(3, 5), text(4, 2), text(4, 3)],
            ["0", "1", "1", "0"]
        );
        let numbers = |c: usize| {
            table
                .column(c)
                .as_primitive::<arrow::datatypes::Float64Type>()
                .values()
                .to_vec()
        };
        assert_eq!(numbers(5), [0.0, 0.0, 0.25, 0.5, 0.5, 0.5, 0.25]);
        assert_eq!(numbers(6), [0.75, 0.5, 0.25, 0.0, 0.0, 0.0, 0.0]);
    }
}
