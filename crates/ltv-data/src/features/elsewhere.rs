//! The feature query for engines elsewhere: the statement, the columns that its tables are made of,
//! and the calendar.

use super::{
    calendar,
    input::{Wanted, event_columns, user_columns},
    sql::feature_sql,
};
use crate::{Result, holidays::HolidayCalendar};
use arrow::record_batch::RecordBatch;
use ltv_core::{Day, config::FeatureConfig};
use serde::Serialize;

/// What another engine needs to know to make a dataset.
#[derive(Debug, Clone, Serialize)]
pub struct QueryPlan {
    /// The statement; it reads `events`, `calendar` and, where there are any, `users`.
    pub sql: String,
    /// Columns of `events` and what they are made of; of a column whose role is `time`, `time_ns` too.
    pub events: Vec<Wanted>,
    /// Columns of `users`, without which there is no such table.
    pub users: Option<Vec<Wanted>>,
}

impl QueryPlan {
    /// For `config`, with or without a user table.
    pub fn new(config: &FeatureConfig, with_users: bool) -> Self {
        Self {
            sql: feature_sql(config, with_users),
            events: event_columns(config),
            users: with_users.then(|| user_columns(config)),
        }
    }
}

/// The table `calendar` of the days from `first` to the as-of day.
///
/// # Errors
/// When the file of holidays cannot be read.
pub fn calendar_of(config: &FeatureConfig, first: Day) -> Result<RecordBatch> {
    let options = &config.dataset;
    let holidays = HolidayCalendar::new(&config.holidays)?;
    let days = first.0..options.as_of.0.max(first.0);
    calendar::calendar(days, options.window_days, &holidays)
}
