//! The comparison document (docs/formats/comparison.md).

use super::{
    crossing::Crossings, error::CompareError, input::Contestant, ranking::RankingResult,
    standing::Standing,
};
use crate::{
    bootstrap::{Bootstrap, Interval},
    metric::{Metric, Null},
    report::parse,
};
use serde::{Deserialize, Serialize};

/// Name of the document's format.
pub const FORMAT: &str = "ltv-comparison";
/// Version of the document's layout, raised whenever a field changes its meaning or goes away.
pub const VERSION: u32 = 1;

/// Many contestants on the same users.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Always [`FORMAT`].
    pub format: String,
    /// Always [`VERSION`].
    pub version: u32,
    /// Rows compared, mature or not.
    pub rows: u64,
    /// Horizons in days.
    pub horizons: Vec<u32>,
    /// How intervals over users were made.
    pub bootstrap: Bootstrap,
    /// Who takes part, in the order given.
    pub contestants: Vec<ContestantResult>,
    /// Results by horizon, in the order of `horizons`.
    pub results: Vec<HorizonComparison>,
}

/// A contestant and its order violations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContestantResult {
    /// Its name.
    pub name: String,
    /// Names of its runs.
    pub runs: Vec<String>,
    /// Horizons it predicts, in days, ascending.
    pub horizons: Vec<u32>,
    /// Metrics it is meant for; null for all.
    pub metrics: Option<Vec<Metric>>,
    /// Tables in which it is shown.
    pub tables: Vec<String>,
    /// Shares of crossing rows; null with a single horizon.
    pub order: Option<Crossings>,
}

/// Results of one horizon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HorizonComparison {
    /// Days.
    pub horizon: u32,
    /// Rows with a mature label, on which everything here is measured.
    pub rows: u64,
    /// Rows with a positive label.
    pub positives: u64,
    /// Rows left out because their label is not mature.
    pub immature: u64,
    /// Those who predict this horizon, in the order of `contestants`.
    pub entries: Vec<EntryResult>,
    /// Verdicts: among all first, then within each named table, in order of name.
    pub tables: Vec<TableResult>,
    /// Expected orders, in the order given, and their metrics.
    pub rankings: Vec<RankingResult>,
}

/// A contestant on one horizon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EntryResult {
    /// Name of the contestant.
    pub contestant: String,
    /// Every metric, in the order of [`Metric::ALL`].
    pub metrics: Vec<MetricResult>,
}

/// A metric over the runs of a contestant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricResult {
    /// Which metric.
    pub metric: Metric,
    /// Mean over runs; null when any run has no value.
    pub mean: Option<f64>,
    /// Sample standard deviation over runs (divisor `n - 1`); null with one run.
    pub sd: Option<f64>,
    /// The value of each run, in their order.
    pub runs: Vec<Option<f64>>,
    /// Why there is no mean: the reason of the first run without a value.
    pub reason: Option<Null>,
    /// 95 % bootstrap interval of the mean over users, these runs given: how far the spread of
    /// seeds reaches is in `sd`. Null without a mean, or when fewer than half of the resamples have one.
    pub interval: Option<Interval>,
}

/// Verdicts among the contestants of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableResult {
    /// Its name; null for all contestants.
    pub table: Option<String>,
    /// Its contestants that predict this horizon.
    pub rows: Vec<TableRow>,
}

/// A contestant in a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableRow {
    /// Name of the contestant.
    pub contestant: String,
    /// One for each metric that it is meant for, has a value in, and has a rival in.
    pub standings: Vec<Standing>,
}

impl ContestantResult {
    pub(crate) fn new(
        contestant: &Contestant,
        horizons: Vec<u32>,
        order: Option<Crossings>,
    ) -> Self {
        Self {
            name: contestant.name.clone(),
            runs: contestant.runs.clone(),
            horizons,
            metrics: contestant.metrics.clone(),
            tables: contestant.tables.clone(),
            order,
        }
    }
}

impl EntryResult {
    /// The result of a metric.
    pub fn metric(&self, metric: Metric) -> Option<&MetricResult> {
        self.metrics.iter().find(|result| result.metric == metric)
    }
}

impl TableRow {
    /// The standing in a metric.
    pub fn standing(&self, metric: Metric) -> Option<&Standing> {
        self.standings.iter().find(|s| s.metric == metric)
    }
}

impl TableResult {
    /// The row of a contestant.
    pub fn row(&self, contestant: &str) -> Option<&TableRow> {
        self.rows.iter().find(|row| row.contestant == contestant)
    }
}

impl HorizonComparison {
    /// The metrics of a contestant.
    pub fn entry(&self, contestant: &str) -> Option<&EntryResult> {
        self.entries.iter().find(|e| e.contestant == contestant)
    }

    /// A table by name; None for that of all contestants.
    pub fn table(&self, name: Option<&str>) -> Option<&TableResult> {
        self.tables.iter().find(|t| t.table.as_deref() == name)
    }
}

impl Comparison {
    /// The results of a horizon.
    pub fn horizon(&self, days: u32) -> Option<&HorizonComparison> {
        self.results.iter().find(|result| result.horizon == days)
    }

    /// The document as indented JSON; the same comparison gives the same bytes.
    ///
    /// # Errors
    /// Only on a defect of the program.
    pub fn to_json(&self) -> Result<String, CompareError> {
        serde_json::to_string_pretty(self).map_err(|error| CompareError::Document {
            problem: error.to_string(),
        })
    }

    /// Reads a document written by [`Comparison::to_json`].
    ///
    /// # Errors
    /// When the text is not such a document, or of another version.
    pub fn from_json(text: &str) -> Result<Self, CompareError> {
        parse(text, FORMAT, VERSION).map_err(|problem| CompareError::Document { problem })
    }
}
