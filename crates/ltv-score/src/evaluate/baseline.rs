//! The trivial predictions beside a model's.

use super::column;
use crate::ScoreError;
use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::{DataType, Float64Type},
};
use ltv_core::{
    Horizons,
    baseline::{BaselineHorizon, Baselines},
};
use ltv_data::Dataset;

/// The trivial predictions of the rows so far.
pub(super) struct Baseline {
    pub(super) signal: String,
    pub(super) means: Vec<BaselineHorizon>,
    pub(super) trivial: Vec<f64>,
}

impl Baseline {
    pub(super) fn new(
        baselines: &Baselines,
        dataset: &Dataset,
        horizons: &Horizons,
    ) -> Result<Self, ScoreError> {
        let expected = Baselines::signal_of(dataset.manifest().label);
        if baselines.signal != expected {
            return Err(ScoreError::Signal {
                path: dataset.folder().to_path_buf(),
                expected,
                found: baselines.signal.clone(),
            });
        }
        let means = |&days: &u32| {
            baselines
                .horizon(days)
                .copied()
                .ok_or_else(|| ScoreError::Horizon {
                    what: "baselines",
                    days,
                    known: baselines.horizons.iter().map(|h| h.days).collect(),
                })
        };
        Ok(Self {
            signal: baselines.signal.clone(),
            means: horizons
                .days()
                .iter()
                .map(means)
                .collect::<Result<_, _>>()?,
            trivial: vec![],
        })
    }

    pub(super) fn add(&mut self, raw: &RecordBatch) -> Result<(), ScoreError> {
        let column = column(raw, &self.signal, &DataType::Float64)?;
        for signal in column.as_primitive::<Float64Type>() {
            self.trivial
                .extend(self.means.iter().map(|h| h.trivial(signal)));
        }
        Ok(())
    }
}
