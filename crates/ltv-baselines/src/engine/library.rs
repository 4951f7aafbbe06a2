//! Growing trees and predicting with them by the XGBoost library.
//!
//! The library is given one thread wherever it grows trees: its own threads add up histograms in
//! an order that depends on how many there are, and so do, in the last bits, the trees. Callers run
//! several trainings side by side instead.

use super::{Grown, Job, Sample, absolute};
use crate::{error::BaselineError, matrix::Matrix};
use std::sync::{Mutex, PoisonError};
use xgb::{Booster, DMatrix, XGBError, parameters::BoosterParameters};

/// The field of a model that holds the types of its columns.
const TYPES: &str = "feature_type";

fn failed(action: &'static str) -> impl Fn(XGBError) -> BaselineError {
    move |e| BaselineError::Xgboost {
        action,
        // The library appends a stack trace.
        problem: first_paragraph(&e.to_string()),
    }
}

fn first_paragraph(text: &str) -> String {
    let end = text.find("Stack trace").unwrap_or(text.len());
    text[..end].trim().to_string()
}

fn to_dmatrix(matrix: &Matrix, types: &[&'static str]) -> Result<DMatrix, XGBError> {
    let mut out = DMatrix::from_dense(&matrix.values, matrix.rows)?;
    out.set_feature_types(types)?;
    Ok(out)
}

fn labelled(sample: &Sample, types: &[&'static str]) -> Result<DMatrix, XGBError> {
    let mut out = to_dmatrix(&sample.matrix, types)?;
    out.set_labels(&sample.labels)?;
    Ok(out)
}

/// Grows trees.
///
/// # Errors
/// When the library refuses a parameter or the rows.
pub(crate) fn grow(job: &Job<'_>) -> Result<Grown, BaselineError> {
    let reading = failed("read the rows");
    let train = labelled(job.train, job.types).map_err(&reading)?;
    let validation = job.validation.map(|s| labelled(s, job.types));
    let validation = validation.transpose().map_err(&reading)?;
    let mut booster = start(job, &train)?;
    let growing = failed("grow trees");
    let (mut best, mut loss) = (0, f64::INFINITY);
    for round in 0..job.rounds {
        if job.absolute {
            booster.update_custom(&train, absolute_error)
        } else {
            booster.update(&train, round as i32)
        }
        .map_err(&growing)?;
        let Some(rows) = &validation else {
            best = round;
            continue;
        };
        let losses = booster.evaluate(rows).map_err(&growing)?;
        let now = losses.values().next().map_or(f64::NAN, |&x| f64::from(x));
        if now < loss {
            (best, loss) = (round, now);
        } else if round - best >= job.patience {
            break;
        }
    }
    let kept = booster.slice(0, best as i32 + 1).map_err(&growing)?;
    let types = job.types.to_vec();
    kept.set_feature_info(TYPES, &types).map_err(&growing)?;
    let predictions = match &validation {
        Some(rows) => kept.predict(rows).map_err(&growing)?,
        None => vec![],
    };
    Ok(Grown {
        model: kept.save_buffer(true).map_err(&growing)?,
        rounds: best + 1,
        loss: validation.map(|_| loss),
        predictions: predictions.into_iter().map(f64::from).collect(),
    })
}

/// [`absolute::absolute_error`], as the library calls it. Without labels there is no gradient, which the
/// library refuses.
fn absolute_error(predictions: &[f32], train: &DMatrix) -> (Vec<f32>, Vec<f32>) {
    absolute::absolute_error(predictions, train.get_labels().unwrap_or(&[]))
}

/// A booster without trees that estimates its own intercept, as XGBoost does everywhere else.
///
/// The crate always sets an intercept of 0.5, and cannot take that back. So the empty model is
/// written out, its intercept marked as not given, and read again.
fn start(job: &Job<'_>, train: &DMatrix) -> Result<Booster, BaselineError> {
    let starting = failed("start a training");
    let defaults = BoosterParameters::default();
    let mut empty = Booster::new_with_cached_dmats(&defaults, &[train]).map_err(&starting)?;
    set(&mut empty, &job.parameters).map_err(&starting)?;
    let text = empty.save_buffer(false).map_err(&starting)?;
    let mut model: serde_json::Value =
        serde_json::from_slice(&text).map_err(BaselineError::internal)?;
    let given = model
        .pointer_mut("/learner/learner_model_param/boost_from_average")
        .ok_or_else(|| BaselineError::internal("an empty model without an intercept"))?;
    *given = "1".into();
    let text = model.to_string();
    let mut booster = Booster::load_buffer(text.as_bytes()).map_err(&starting)?;
    set(&mut booster, &job.parameters).map_err(&starting)?;
    Ok(booster)
}

fn set(booster: &mut Booster, parameters: &[(&'static str, String)]) -> Result<(), XGBError> {
    booster.set_param("nthread", "1")?;
    booster.set_param("verbosity", "0")?;
    booster.set_param("tree_method", "hist")?;
    for (name, value) in parameters {
        booster.set_param(name, value)?;
    }
    Ok(())
}

/// Grown trees, ready to predict from any number of threads.
pub(crate) struct Trees {
    model: Vec<u8>,
    types: Vec<&'static str>,
    /// A booster cannot be shared between threads: each thread takes one out, and makes another
    /// where there is none.
    idle: Mutex<Vec<Booster>>,
}

impl std::fmt::Debug for Trees {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Trees({} bytes)", self.model.len())
    }
}

impl Trees {
    /// Reads a model that [`grow`] made, compares its columns, and tries it on one row. XGBoost
    /// itself takes rows of fewer columns, and reads the others as missing.
    ///
    /// # Errors
    /// When it is no model, one of other columns, or one of several outputs, as those of many
    /// classes are.
    pub(crate) fn load(model: &[u8], types: &[&'static str]) -> Result<Self, BaselineError> {
        let trees = Self {
            model: model.to_vec(),
            types: types.to_vec(),
            idle: Mutex::default(),
        };
        let empty = Matrix {
            rows: 1,
            values: vec![f32::NAN; types.len()],
        };
        let found = trees.try_predict(&empty)?;
        if found.len() != 1 || !found[0].is_finite() {
            return Err(BaselineError::Xgboost {
                action: "use a model",
                problem: format!("for one row it predicts {found:?}, not one finite number"),
            });
        }
        let booster = trees.take()?;
        let found = booster
            .get_feature_info(TYPES)
            .map_err(failed("read a model"))?;
        if found != types {
            return Err(BaselineError::Xgboost {
                action: "read a model",
                problem: format!("its columns are {found:?}, those of the encoding {types:?}"),
            });
        }
        Ok(trees)
    }

    fn take(&self) -> Result<Booster, BaselineError> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        if let Some(booster) = idle {
            return Ok(booster);
        }
        let reading = failed("read a model");
        let mut booster = Booster::load_buffer(&self.model).map_err(&reading)?;
        booster.set_param("nthread", "1").map_err(&reading)?;
        booster.set_param("verbosity", "0").map_err(&reading)?;
        Ok(booster)
    }

    fn try_predict(&self, matrix: &Matrix) -> Result<Vec<f64>, BaselineError> {
        let predicting = failed("predict");
        let booster = self.take()?;
        let rows = to_dmatrix(matrix, &self.types).map_err(&predicting)?;
        let values = booster.predict(&rows).map_err(&predicting)?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(booster);
        Ok(values.into_iter().map(f64::from).collect())
    }

    /// Predictions, one for each row; all NaN where the library fails, which a model that was tried
    /// on one row gives no reason to.
    pub(crate) fn predict(&self, matrix: &Matrix) -> Vec<f64> {
        match self.try_predict(matrix) {
            Ok(found) if found.len() == matrix.rows => found,
            _ => vec![f64::NAN; matrix.rows],
        }
    }
}
