//! How old the cohorts are that a model is trained on.

use super::numbers::Moments;
use crate::stream::{StreamError, columns};
use arrow::{
    array::{Array, Date32Array},
    record_batch::RecordBatch,
};
use ltv_core::{
    Day, Horizons,
    encoding::{Cohort, Scale},
};

/// How far a trend is followed: so many standard deviations of the logarithm of the age, from the
/// mean of the cohorts whose labels are mature. Evenly spread cohorts are 1.7 of them wide on either
/// side, so that a trend is followed for about two thirds as long again as it has been seen.
const REACH: f64 = 4.0;

/// Sums over the training rows, all of them and those whose label of each horizon is mature.
#[derive(Debug)]
pub(super) struct Ages {
    as_of: Day,
    all: Moments,
    mature: Vec<Moments>,
}

impl Ages {
    pub(super) fn new(as_of: Day, horizons: usize) -> Self {
        Self {
            as_of,
            all: Moments::default(),
            mature: vec![Moments::default(); horizons],
        }
    }

    pub(super) fn add(
        &mut self,
        batch: &RecordBatch,
        horizons: &Horizons,
        place: &str,
    ) -> Result<(), StreamError> {
        let registered: Date32Array = columns::typed(batch, Cohort::COLUMN, place, "Date32")?;
        let age = |&day: &i32| Cohort::years(self.as_of, Day(day)).ln_1p();
        let ages: Vec<f64> = registered.values().iter().map(age).collect();
        ages.iter().for_each(|&age| self.all.add(age));
        for (moments, name) in self.mature.iter_mut().zip(horizons.columns()) {
            let labels = columns::number(batch, &name, place)?;
            let known = (0..labels.len()).filter(|&row| labels.is_valid(row));
            known.for_each(|row| moments.add(ages[row]));
        }
        Ok(())
    }

    /// None where all users registered at about the same time: there is no trend to see.
    pub(super) fn cohort(&self) -> Option<Cohort> {
        let (mean, sd) = self.all.mean_and_sd();
        let least = |moments: &Moments| {
            let (mean, sd) = moments.mean_and_sd();
            (mean - REACH * sd.unwrap_or(0.0)).max(0.0).exp_m1()
        };
        Some(Cohort {
            as_of: self.as_of,
            scale: Scale { mean, sd: sd? },
            least: self.mature.iter().map(least).collect(),
        })
    }
}
