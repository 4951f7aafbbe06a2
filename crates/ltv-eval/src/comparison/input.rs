//! Who is compared, on which labels, and where the predictions come from.

use super::error::CompareError;
use crate::{
    bootstrap::Bootstrap,
    error::EvalError,
    evaluate::{check_labels, check_names, check_rows},
    metric::{Direction, Metric},
};
use ltv_core::Horizons;

/// A model, a decoding of it, or a baseline.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Contestant {
    /// The name shown in tables, unique.
    pub name: String,
    /// Names of its runs, usually one for each seed; one for a model without a seed.
    pub runs: Vec<String>,
    /// Horizons that it predicts, in days; None for all.
    pub horizons: Option<Vec<u32>>,
    /// Metrics it is meant for, None for all: the median of a distribution is meant for NMAE. It
    /// has values in the others too, but no verdict, and nobody is measured against it.
    pub metrics: Option<Vec<Metric>>,
    /// Tables in which it is shown, such as `Table 1`: verdicts are given among the contestants of
    /// a table, and once more among all.
    pub tables: Vec<String>,
}

/// An order that somebody else reports, to be checked here.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// Where it comes from, unique.
    pub name: String,
    /// Names of contestants from the worst to the best, at least two.
    pub order: Vec<String>,
    /// Metrics in which the order is expected.
    pub metrics: Vec<Metric>,
}

/// What is compared.
#[derive(Debug, Clone, Copy)]
pub struct ComparisonInput<'a> {
    /// The horizons, in the order of columns.
    pub horizons: &'a Horizons,
    /// Labels, row-major `[rows, horizons]`; NaN where immature, otherwise finite and at least 0.
    pub labels: &'a [f64],
    /// At least one.
    pub contestants: &'a [Contestant],
    /// Resamples of users. Time grows with replicates x rows x runs x horizons.
    pub bootstrap: Bootstrap,
    /// Orders to check; may be empty.
    pub expect: &'a [Expectation],
}

/// Why a column of predictions could not be read.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SourceError(Box<dyn std::error::Error + Send + Sync>);

impl SourceError {
    /// Wraps whatever the source met, a message included.
    pub fn new(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(error.into())
    }
}

/// Where predictions come from, a column at a time.
///
/// [`compare`](super::compare) asks for each column once, contestant by contestant, run by run and
/// horizon by horizon, from one thread; it holds at most two columns. Any closure of this shape is a
/// source.
pub trait Source {
    /// Predictions of one run for one horizon, all rows in the order of the labels, in label units,
    /// finite and at least 0, also where the label is immature.
    ///
    /// `contestant` and `run` count in [`ComparisonInput::contestants`] and [`Contestant::runs`],
    /// `horizon_index` in [`ComparisonInput::horizons`].
    ///
    /// # Errors
    /// When the column cannot be read.
    fn column(
        &self,
        contestant: usize,
        run: usize,
        horizon_index: usize,
    ) -> Result<Vec<f64>, SourceError>;
}

impl<F> Source for F
where
    F: Fn(usize, usize, usize) -> Result<Vec<f64>, SourceError>,
{
    fn column(
        &self,
        contestant: usize,
        run: usize,
        horizon_index: usize,
    ) -> Result<Vec<f64>, SourceError> {
        self(contestant, run, horizon_index)
    }
}

impl Contestant {
    /// Positions of its horizons, ascending.
    pub(crate) fn positions(&self, horizons: &Horizons) -> Vec<usize> {
        let predicts = |n: &u32| self.horizons.as_ref().is_none_or(|own| own.contains(n));
        let days = horizons.days().iter().enumerate();
        days.filter(|(_, n)| predicts(n)).map(|(t, _)| t).collect()
    }

    /// Whether it takes part in the contest for a metric.
    pub(crate) fn competes(&self, metric: Metric) -> bool {
        let meant = self
            .metrics
            .as_ref()
            .is_none_or(|own| own.contains(&metric));
        meant && metric.direction() != Direction::Reference
    }

    fn check(&self, horizons: &Horizons) -> Result<(), CompareError> {
        if self.runs.is_empty() {
            let contestant = self.name.clone();
            return Err(CompareError::NoRuns { contestant });
        }
        check_names(self.runs.iter())?;
        let Some(own) = &self.horizons else {
            return Ok(());
        };
        if own.is_empty() || own.iter().any(|&n| horizons.position(n).is_none()) {
            return Err(CompareError::Horizons {
                contestant: self.name.clone(),
                found: own.clone(),
                known: horizons.days().to_vec(),
            });
        }
        Ok(())
    }
}

impl Expectation {
    fn check(&self, contestants: &[Contestant]) -> Result<(), CompareError> {
        let fail = |problem: String| {
            let name = self.name.clone();
            Err(CompareError::Expectation { name, problem })
        };
        if self.order.len() < 2 {
            return fail("name at least two contestants, the worst first".to_owned());
        }
        check_names(self.order.iter())?;
        let unknown = |name: &&String| contestants.iter().all(|c| c.name != **name);
        if let Some(name) = self.order.iter().find(unknown) {
            return fail(format!("'{name}' is not among the contestants"));
        }
        if self.metrics.is_empty() {
            return fail("name at least one metric".to_owned());
        }
        let blind = |m: &&Metric| m.direction() == Direction::Reference;
        match self.metrics.iter().find(blind) {
            Some(metric) => fail(format!("{} is no merit of predictions", metric.name())),
            None => Ok(()),
        }
    }
}

impl ComparisonInput<'_> {
    /// Checks everything but the predictions; returns the number of rows.
    pub(crate) fn check(&self) -> Result<usize, CompareError> {
        let columns = self.horizons.columns();
        let (found, rows) = (self.labels.len(), self.labels.len() / columns.len());
        if rows * columns.len() != found {
            let (what, expected) = ("labels".to_owned(), rows * columns.len());
            return Err(EvalError::Shape {
                what,
                expected,
                found,
            }
            .into());
        }
        check_rows(rows)?;
        check_labels(self.labels, &columns)?;
        if self.contestants.is_empty() {
            return Err(CompareError::NoContestants);
        }
        check_names(self.contestants.iter().map(|c| &c.name))?;
        check_names(self.expect.iter().map(|e| &e.name))?;
        self.contestants
            .iter()
            .try_for_each(|c| c.check(self.horizons))?;
        self.expect
            .iter()
            .try_for_each(|e| e.check(self.contestants))?;
        self.bootstrap.check()?;
        Ok(rows)
    }
}
