//! What the part of a page about one horizon is made from.

use super::{
    input::{MetricDots, Part},
    table::Table,
};
use crate::{
    calibration::Central,
    report::{Curves, Score},
};

/// One horizon.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HorizonPart {
    /// Days.
    pub days: u32,
    /// Users whose label is mature.
    pub users: u64,
    /// Those of them with a positive label.
    pub positives: u64,
    /// Users left out because their label is not mature.
    pub immature: u64,
    /// Metrics of each set.
    pub scores: Part<Vec<SetScores>>,
    /// Metrics as points with intervals, in small charts side by side.
    pub dots: Vec<MetricDots>,
    /// More tables, such as differences to a reference.
    pub tables: Vec<Table>,
    /// Lorenz and gain curves of each set, the subject of the report first.
    pub curves: Part<Vec<SetCurves>>,
    /// Deciles of each set.
    pub deciles: Part<Vec<SetDeciles>>,
    /// Quantiles of each set against the labels.
    pub quantiles: Part<Vec<SetQuantiles>>,
    /// Distribution of the labels.
    pub labels: Part<LabelHistogram>,
    /// Totals by cohort, by channel.
    pub totals: Part<Vec<Totals>>,
}

/// Metrics of a set on one horizon.
#[derive(Debug, Clone, PartialEq)]
pub struct SetScores {
    /// Name of the set.
    pub set: String,
    /// Metrics with their intervals.
    pub scores: Vec<Score>,
}

/// Curves of a set on one horizon.
#[derive(Debug, Clone, PartialEq)]
pub struct SetCurves {
    /// Name of the set.
    pub set: String,
    /// At 0, 1, ..., 100 % of users. Any number of evenly spaced points from 0 to 100 % will do.
    pub curves: Curves,
    /// Area between the curves of labels and of predictions.
    pub mutual_gini: Option<f64>,
    /// Gini coefficient of the labels.
    pub label_gini: Option<f64>,
    /// Gini coefficient of the predictions.
    pub prediction_gini: Option<f64>,
    /// Area of the gain curve against that of the ideal one.
    pub normalised_gini: Option<f64>,
}

/// Deciles of a set on one horizon.
#[derive(Debug, Clone, PartialEq)]
pub struct SetDeciles {
    /// Name of the set.
    pub set: String,
    /// The deciles, highest predictions first.
    pub deciles: Vec<DecilePoint>,
}

/// One decile.
#[derive(Debug, Clone, PartialEq)]
pub struct DecilePoint {
    /// 1 holds the highest predictions.
    pub decile: u8,
    /// Users in it.
    pub users: u64,
    /// Mean prediction, in label units.
    pub predicted: f64,
    /// Mean label, in label units.
    pub actual: f64,
    /// 95 % interval of the mean label.
    pub interval: Option<(f64, f64)>,
}

/// Predicted quantiles of a set on one horizon.
#[derive(Debug, Clone, PartialEq)]
pub struct SetQuantiles {
    /// Name of the set.
    pub set: String,
    /// One for each level.
    pub quantiles: Vec<QuantileCount>,
    /// Labels in the middle 80 % of their predicted distribution, where it is known.
    pub central: Option<Central>,
}

/// How many labels lie below a predicted quantile.
///
/// Labels tie with predictions where a value is common: with 70 % of labels at 0, a P10 of 0 is
/// right although no label lies below it. So both counts are asked for; the level is kept when it
/// lies between the two shares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantileCount {
    /// Nominal level, in `(0, 1)`: 0.9 for P90.
    pub level: f64,
    /// Users whose label is below their predicted quantile.
    pub below: u64,
    /// Users whose label is below or equal to it.
    pub at_or_below: u64,
    /// Users with a mature label.
    pub users: u64,
}

/// Distribution of labels, with the model's buckets.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LabelHistogram {
    /// Ends of the bins, ascending, in label units; one more than `counts`. Where the first is
    /// positive and the last more than a hundred times as large, the axis is logarithmic.
    pub edges: Vec<f64>,
    /// Users in each bin, those at exactly 0 not counted.
    pub counts: Vec<u64>,
    /// Users whose label is exactly 0.
    pub zeros: u64,
    /// Edges of the model's buckets, in label units.
    pub bucket_edges: Vec<f64>,
}

/// Predicted against actual totals of the values of a column.
#[derive(Debug, Clone, PartialEq)]
pub struct Totals {
    /// Name of the column: `registration month`, `channel`.
    pub name: String,
    /// Whether the values follow each other in time and are drawn as a line.
    pub ordered: bool,
    /// The values of the column, in the order to be shown.
    pub groups: Vec<GroupTotal>,
}

/// One value of a column.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupTotal {
    /// The value.
    pub name: String,
    /// Users with a mature label.
    pub users: u64,
    /// Their total label, in label units.
    pub actual: f64,
    /// Their total prediction by set.
    pub predicted: Vec<SetTotal>,
}

/// A total prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct SetTotal {
    /// Name of the set.
    pub set: String,
    /// In label units.
    pub total: f64,
}
