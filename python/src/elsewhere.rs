//! Features and scores by another engine, such as Spark.

use crate::{
    dataset::{feature_config, parse, text},
    fault::Failure,
    model::{Model, options},
    watch::{attended, cores},
};
use arrow::ffi_stream::ArrowArrayStreamReader;
use arrow_pyarrow::{FromPyArrow, ToPyArrow};
use ltv_core::Day;
use ltv_data::features::{QueryPlan, calendar_of};
use ltv_score::{Expected, ScoredPart, commit_parts, score_part};
use pyo3::prelude::*;
use std::path::PathBuf;

/// The feature query and what its tables are made of, as a JSON document.
#[pyfunction]
#[pyo3(signature = (config, options, users))]
pub(crate) fn query_plan(config: Option<PathBuf>, options: &str, users: bool) -> PyResult<String> {
    let config = feature_config(config.as_deref(), options)?;
    Ok(text(&QueryPlan::new(&config, users))?)
}

/// The table `calendar` from a day on, which is counted from 1970-01-01, as a PyArrow record batch.
#[pyfunction]
#[pyo3(signature = (config, options, first))]
pub(crate) fn calendar<'py>(
    py: Python<'py>,
    config: Option<PathBuf>,
    options: &str,
    first: i32,
) -> PyResult<Bound<'py, PyAny>> {
    let config = feature_config(config.as_deref(), options)?;
    let batch = calendar_of(&config, Day(first)).map_err(Failure::from)?;
    batch.to_pyarrow(py)
}

/// Scores rows of a dataset, ordered by user, into the file `name` of `folder`; what whoever commits the snapshot
/// must know of it, as a JSON document.
#[pyfunction]
#[pyo3(name = "score_part")]
#[expect(clippy::too_many_arguments, reason = "they have names in Python")]
pub(crate) fn part(
    py: Python<'_>,
    model: &Bound<'_, Model>,
    rows: &Bound<'_, PyAny>,
    folder: PathBuf,
    name: &str,
    as_of: &str,
    decoding: &str,
    keep: bool,
) -> PyResult<String> {
    let batches = ArrowArrayStreamReader::from_pyarrow_bound(rows)?;
    let as_of: Day = as_of.parse().map_err(Failure::from)?;
    let model = model.get().scoring(decoding)?;
    // An engine counts on one core for a task; other tasks have the others.
    attended(py, 1, None, |progress| {
        let how = options(&model, keep, 1);
        let place = (&*folder, name);
        text(&score_part(
            &*model, batches, place, as_of, &how, &*progress,
        )?)
    })
}

/// Commits the snapshot `out` of parts that were scored into `staging`; its manifest.
#[pyfunction]
#[pyo3(name = "commit_parts")]
#[expect(clippy::too_many_arguments, reason = "they have names in Python")]
pub(crate) fn commit(
    py: Python<'_>,
    model: &Bound<'_, Model>,
    out: PathBuf,
    staging: PathBuf,
    parts: Vec<String>,
    as_of: &str,
    expected: &str,
    decoding: &str,
    keep: bool,
) -> PyResult<String> {
    let as_of: Day = as_of.parse().map_err(Failure::from)?;
    let model = model.get().scoring(decoding)?;
    attended(py, cores(), None, |_| {
        let parts = parts.iter().map(|part| parse::<ScoredPart>(part));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        let expected: Expected = parse(expected)?;
        let how = options(&model, keep, 1);
        let expected = (as_of, expected);
        text(&commit_parts(
            &out, &staging, parts, &*model, expected, &how,
        )?)
    })
}
