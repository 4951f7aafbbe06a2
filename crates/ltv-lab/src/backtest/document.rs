//! The backtest document (docs/formats/backtest.md).

use crate::LabError;
use ltv_core::Day;
use ltv_eval::{Metric, Paired, Psi};
use serde::{Deserialize, Serialize};

/// Name of the document's format.
pub const FORMAT: &str = "ltv-backtest";
/// Version of the document's layout, raised whenever a field changes its meaning or goes away.
pub const VERSION: u32 = 1;

/// Models at several as-of dates, each trained with what was known then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Backtest {
    /// Always [`FORMAT`].
    pub format: String,
    /// Always [`VERSION`].
    pub version: u32,
    /// As-of day of the dataset: labels of judged users are those known then.
    pub known_on: Day,
    /// Days of registration that were judged, from each date on.
    pub judge_days: u32,
    /// Horizons in days.
    pub horizons: Vec<u32>,
    /// Rows of the tables: models, each with its decodings.
    pub models: Vec<String>,
    /// The dates, ascending.
    pub dates: Vec<DateResult>,
    /// Metrics over the dates.
    pub metrics: Vec<OverTime>,
    /// Judged users by the month of their registration.
    pub cohorts: Vec<Cohort>,
    /// What models of consecutive dates predict for the same users.
    pub stability: Vec<Stability>,
    /// How models of every earlier date do on the users of each date.
    pub staleness: Vec<Stale>,
    /// The same by age, over dates.
    pub ageing: Vec<Ageing>,
}

/// One as-of date.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DateResult {
    /// Models know what happened before this day.
    pub as_of: Day,
    /// Judged users registered from `as_of` on and before this day.
    pub until: Day,
    /// Users trained on.
    pub train_rows: u64,
    /// Users judged.
    pub judged_rows: u64,
    /// One for each horizon.
    pub labels: Vec<LabelDrift>,
    /// One for each feature, in the order of the dataset.
    pub features: Vec<FeatureDrift>,
}

/// Labels of a horizon among judged users against those among training rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelDrift {
    /// Days.
    pub horizon: u32,
    /// Training rows whose label was known at the date.
    pub train_rows: u64,
    /// Their mean label; null without any.
    pub train_mean: Option<f64>,
    /// Judged users whose label is known by now.
    pub judged_rows: u64,
    /// Their mean label; null without any.
    pub judged_mean: Option<f64>,
    /// Null when either side has no label.
    pub psi: Option<Psi>,
}

/// A feature of judged users against that of training rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureDrift {
    /// Its name.
    pub name: String,
    /// The column it was measured on: of a sequence, that of the day that moved most.
    pub column: String,
    /// Null when either side has no row.
    pub psi: Option<Psi>,
}

/// A metric of a model over the dates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OverTime {
    /// Row of the tables.
    pub model: String,
    /// Days.
    pub horizon: u32,
    /// Which metric.
    pub metric: Metric,
    /// Whether the model is meant for it; one that is not has no rival and is nobody's.
    pub meant: bool,
    /// For each date the mean over seeds; null where there is none.
    pub values: Vec<Option<f64>>,
    /// For each date the sample standard deviation over seeds; null with one seed.
    pub sds: Vec<Option<f64>>,
    /// Mean over the dates that have a value; null without any.
    pub mean: Option<f64>,
    /// The best of the others over the dates; null without one.
    pub rival: Option<String>,
    /// By how much the model is worse than the rival ([`Metric::cost`]), over the dates on which both
    /// have a value: negative when better.
    pub excess: Option<Paired>,
}

/// Judged users who registered in one month, and what a model predicted for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cohort {
    /// The date of the model.
    pub as_of: Day,
    /// Row of the tables.
    pub model: String,
    /// Days.
    pub horizon: u32,
    /// The month, `YYYY-MM`.
    pub cohort: String,
    /// Users whose label is known.
    pub users: u64,
    /// Their mean label.
    pub label_mean: f64,
    /// Their mean prediction, mean over seeds.
    pub prediction_mean: f64,
    /// Sum of predictions over sum of labels; null when the labels sum to zero.
    pub ratio: Option<f64>,
    /// Normalised Gini, mean over seeds; null where it has no value.
    pub norm_gini: Option<f64>,
}

/// What the models of two consecutive dates predict for the users judged at the later one. Means over
/// seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stability {
    /// Row of the tables.
    pub model: String,
    /// Days.
    pub horizon: u32,
    /// Date of the earlier model.
    pub from: Day,
    /// Date of the later model and of the users.
    pub to: Day,
    /// Correlation of ranks; null where a model predicts the same for everybody.
    pub spearman: Option<f64>,
    /// Mean prediction of the later model over that of the earlier one, minus 1; null when that is 0.
    pub mean_change: Option<f64>,
    /// Share of users who are in another decile of predictions.
    pub decile_changed: f64,
}

/// How the model of a date does on the users judged at that date or a later one. Means over seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stale {
    /// Row of the tables.
    pub model: String,
    /// Days.
    pub horizon: u32,
    /// Date of the users.
    pub as_of: Day,
    /// Date of the model.
    pub trained: Day,
    /// Days between the two; 0 for the fresh model.
    pub age_days: i32,
    /// The metrics of staleness, in the order of [`AGED`](super::AGED); null where there is no value.
    pub values: Vec<Option<f64>>,
}

/// What age costs: a model that is so many dates old against the fresh one, on the same users.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ageing {
    /// Row of the tables.
    pub model: String,
    /// Days.
    pub horizon: u32,
    /// How many dates old; 0 for the fresh model.
    pub steps: u32,
    /// Its age in days, mean over the dates.
    pub age_days: f64,
    /// Dates whose users were predicted by a model that old.
    pub dates: u32,
    /// One for each metric of staleness.
    pub metrics: Vec<Aged>,
}

/// A metric of old models and of fresh ones, mean over the same dates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Aged {
    /// Which metric.
    pub metric: Metric,
    /// Of the old models; null without a value.
    pub stale: Option<f64>,
    /// Of the fresh ones; null without a value.
    pub fresh: Option<f64>,
}

impl Backtest {
    /// A metric of a model over the dates.
    pub fn metric(&self, model: &str, horizon: u32, metric: Metric) -> Option<&OverTime> {
        let wanted = |m: &&OverTime| m.horizon == horizon && m.metric == metric && m.model == model;
        self.metrics.iter().find(wanted)
    }

    /// The document as indented JSON; the same backtest gives the same bytes.
    ///
    /// # Errors
    /// Only on a defect of the program.
    pub fn to_json(&self) -> Result<String, LabError> {
        serde_json::to_string_pretty(self).map_err(LabError::internal)
    }
}
