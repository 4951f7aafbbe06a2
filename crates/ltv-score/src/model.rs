//! Does a model fit a dataset? Asked before a row is read.

use crate::ScoreError;
use ltv_core::{Error, predictor::Predictor};
use ltv_data::Dataset;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::collections::HashSet;

/// Does a model fit a dataset? Asked before a row is read.
///
/// # Errors
/// When the dataset lacks a column of the model, or was made with another window.
pub fn check_fit(
    dataset: &Dataset,
    model: &dyn Predictor,
    expected_window: Option<u32>,
) -> Result<(), ScoreError> {
    let (path, manifest) = (dataset.folder().to_path_buf(), dataset.manifest());
    let found = manifest.window_days;
    if let Some(expected) = expected_window.filter(|&w| w != found) {
        return Err(ScoreError::Window {
            path,
            expected,
            found,
        });
    }
    let features = manifest.features.iter().flat_map(|f| &f.columns);
    let known: HashSet<&String> = features.chain(&manifest.keep).collect();
    for feature in &model.encoding().features {
        if let Some(column) = feature.columns.iter().find(|c| !known.contains(c)) {
            return Err(ScoreError::MissingFeature {
                path,
                feature: feature.name.clone(),
                column: column.clone(),
            });
        }
    }
    let plain = &model.encoding().plain;
    match plain.iter().find(|c| !known.contains(c)) {
        Some(column) => Err(ScoreError::MissingFeature {
            path,
            feature: column.clone(),
            column: column.clone(),
        }),
        None => Ok(()),
    }
}

/// The threads that a model predicts with.
pub(crate) fn pool(threads: usize) -> Result<ThreadPool, ScoreError> {
    at_least_one("threads", threads)?;
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(ScoreError::internal)
}

/// Fails when an option that counts something is 0.
pub(crate) fn at_least_one(key: &str, value: usize) -> Result<(), ScoreError> {
    if value == 0 {
        return Err(Error::config(key, "must be at least 1").into());
    }
    Ok(())
}
