//! The evaluation document.

use crate::{
    bootstrap::{Bootstrap, Interval},
    calibration::Calibration,
    deciles::Decile,
    error::EvalError,
    metric::{Metric, Null},
    order::OrderViolations,
    segment::TooSmall,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Name of the document's format.
pub const FORMAT: &str = "ltv-evaluation";
/// Version of the document's layout, raised whenever a field changes its meaning or goes away.
pub const VERSION: u32 = 1;

/// Every metric of every prediction set, horizon and segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Always [`FORMAT`].
    pub format: String,
    /// Always [`VERSION`].
    pub version: u32,
    /// Rows evaluated, mature or not.
    pub rows: u64,
    /// Horizons in days.
    pub horizons: Vec<u32>,
    /// The set that others are compared with, if any.
    pub reference: Option<String>,
    /// How intervals were made, if they were.
    pub bootstrap: Option<Bootstrap>,
    /// The prediction sets, in the order given.
    pub sets: Vec<SetOrder>,
    /// Results by horizon, in the order of `horizons`.
    pub results: Vec<HorizonResult>,
}

/// A prediction set and its order violations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetOrder {
    /// Its name.
    pub name: String,
    /// Shares of crossing rows; null with a single horizon.
    pub order: Option<OrderViolations>,
}

/// Results of one horizon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HorizonResult {
    /// Days.
    pub horizon: u32,
    /// Rows left out because their label is not mature.
    pub immature: u64,
    /// How the model's distributions hold; null for a model without quantiles, and where only
    /// predictions are known.
    pub calibration: Option<Calibration>,
    /// All mature rows.
    pub overall: Scope,
    /// Mature rows by segment.
    pub segments: Vec<SegmentResult>,
}

/// Results of one horizon for each value of a categorical column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SegmentResult {
    /// Name of the column.
    pub name: String,
    /// One entry for each value of the column.
    pub values: Vec<Scope>,
}

/// A set of rows and how well each prediction set does on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scope {
    /// `all`, or the value of the segment's column.
    pub label: String,
    /// Rows with a mature label.
    pub rows: u64,
    /// Rows with a positive label.
    pub positives: u64,
    /// Why there are no scores, when there are none.
    pub reason: Option<TooSmall>,
    /// How many of the rows, drawn at random, intervals are made from, where they were too many to
    /// resample all; left out where all were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawn: Option<u64>,
    /// One entry for each prediction set, in their order; empty when `reason` is given.
    pub scores: Vec<Scores>,
}

/// One prediction set on one set of rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Name of the prediction set.
    pub set: String,
    /// Every metric, in the order of [`Metric::ALL`].
    pub metrics: Vec<Score>,
    /// This set minus the reference, resampled in pairs; empty without a reference or for itself.
    pub differences: Vec<Score>,
    /// The decile table.
    pub deciles: Vec<Decile>,
    /// Curves for plotting; null in segments and when all labels or predictions are zero.
    pub curves: Option<Curves>,
}

/// A metric's value, or why it has none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Which metric.
    pub metric: Metric,
    /// Its value over all rows of the scope.
    pub value: Option<f64>,
    /// Why there is no value.
    pub reason: Option<Null>,
    /// Where the value would lie in 95 % of resamples; null without a bootstrap, without a value, or
    /// when fewer than half of the resamples have one.
    pub interval: Option<Interval>,
}

/// The curves of the paper's figure 4 and the gain curve, each at 0, 1, ..., 100 % of users.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curves {
    /// Share of the total label, users sorted by label.
    pub label: Vec<f64>,
    /// Share of the total prediction, users sorted by prediction.
    pub prediction: Vec<f64>,
    /// Share of the total label, users sorted by prediction.
    pub gain: Vec<f64>,
}

impl Score {
    pub(crate) fn new(
        metric: Metric,
        value: Result<f64, Null>,
        interval: Option<Interval>,
    ) -> Self {
        let interval = interval.filter(|_| value.is_ok());
        Self {
            metric,
            value: value.ok(),
            reason: value.err(),
            interval,
        }
    }
}

impl Scores {
    /// The score of a metric.
    pub fn score(&self, metric: Metric) -> Option<&Score> {
        self.metrics.iter().find(|score| score.metric == metric)
    }

    /// The value of a metric, when it has one.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        self.score(metric)?.value
    }

    /// The paired difference to the reference in a metric.
    pub fn difference(&self, metric: Metric) -> Option<&Score> {
        self.differences.iter().find(|score| score.metric == metric)
    }
}

impl Scope {
    /// The scores of a prediction set.
    pub fn set(&self, name: &str) -> Option<&Scores> {
        self.scores.iter().find(|scores| scores.set == name)
    }
}

impl Evaluation {
    /// The results of a horizon.
    pub fn horizon(&self, days: u32) -> Option<&HorizonResult> {
        self.results.iter().find(|result| result.horizon == days)
    }

    /// Most rows that the intervals of a scope are made from, where one had too many to resample
    /// all; `None` where all intervals are from all rows.
    pub fn drawn(&self) -> Option<u64> {
        let scopes = self.results.iter().flat_map(|result| {
            let values = result.segments.iter().flat_map(|segment| &segment.values);
            values.chain([&result.overall])
        });
        scopes.filter_map(|scope| scope.drawn).max()
    }

    /// The document as indented JSON; the same evaluation gives the same bytes.
    ///
    /// # Errors
    /// Only on a defect of the program.
    pub fn to_json(&self) -> Result<String, EvalError> {
        serde_json::to_string_pretty(self).map_err(document)
    }

    /// Reads a document written by [`Evaluation::to_json`].
    ///
    /// # Errors
    /// When the text is not such a document, or of another version.
    pub fn from_json(text: &str) -> Result<Self, EvalError> {
        parse(text, FORMAT, VERSION).map_err(|problem| EvalError::Document { problem })
    }
}

fn document(error: serde_json::Error) -> EvalError {
    EvalError::Document {
        problem: error.to_string(),
    }
}

/// Reads a document that opens with its format and version.
pub(crate) fn parse<T: DeserializeOwned>(
    text: &str,
    format: &str,
    version: u32,
) -> Result<T, String> {
    #[derive(Deserialize)]
    struct Head {
        format: String,
        version: u32,
    }
    let head: Head = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if head.format != format || head.version != version {
        let found = format!("{} version {}", head.format, head.version);
        return Err(format!(
            "expected {format} version {version}, found {found}"
        ));
    }
    serde_json::from_str(text).map_err(|error| error.to_string())
}
