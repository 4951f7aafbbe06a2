//! A build without XGBoost: everything ends with the error that says how to get it.

use super::{Grown, Job};
use crate::{error::BaselineError, matrix::Matrix};

/// Trees, of which there are none in this build.
#[derive(Debug)]
pub(crate) enum Trees {}

impl Trees {
    pub(crate) fn load(_: &[u8], _: &[&'static str]) -> Result<Self, BaselineError> {
        Err(BaselineError::NoXgboost)
    }

    pub(crate) fn predict(&self, _: &Matrix) -> Vec<f64> {
        match *self {}
    }
}

pub(crate) fn grow(_: &Job<'_>) -> Result<Grown, BaselineError> {
    Err(BaselineError::NoXgboost)
}
