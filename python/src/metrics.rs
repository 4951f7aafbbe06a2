//! Metrics of labels and predictions.

use crate::{
    arrays::Floats,
    dataset::text,
    watch::{attended, cores},
};
use ltv_core::Horizons;
use ltv_eval::{
    Bootstrap, EvalInput, Metric, NamedPredictions, Segments, evaluate_with_progress, score,
};
use pyo3::{prelude::*, types::PyDict};
use std::collections::BTreeSet;

/// Every metric by name; `None` where it has no value.
#[pyfunction]
pub(crate) fn metrics<'py>(
    py: Python<'py>,
    labels: Floats,
    predictions: Floats,
) -> PyResult<Bound<'py, PyDict>> {
    let found = attended(py, cores(), None, |_| {
        Ok(score("predictions", labels.values(), predictions.values())?)
    })?;
    let all = PyDict::new(py);
    for metric in Metric::ALL {
        all.set_item(metric.name(), found.value(metric))?;
    }
    Ok(all)
}

/// The whole evaluation, with intervals, as a JSON document. `labels` and each of `predictions` are row-major,
/// `[rows, horizons]`.
#[pyfunction]
#[pyo3(signature = (labels, predictions, horizons, replicates, seed, reference, segments, threads=None, listener=None))]
#[expect(clippy::too_many_arguments, reason = "they have names in Python")]
pub(crate) fn evaluate(
    py: Python<'_>,
    labels: Floats,
    predictions: Vec<(String, Floats)>,
    horizons: Vec<u32>,
    replicates: u32,
    seed: u64,
    reference: Option<String>,
    segments: Vec<(String, Vec<String>)>,
    threads: Option<usize>,
    listener: Option<Py<PyAny>>,
) -> PyResult<String> {
    let predictions: Vec<_> = predictions
        .into_iter()
        .map(|(name, values)| NamedPredictions {
            name,
            values: values.values().to_vec(),
        })
        .collect();
    attended(py, threads.unwrap_or_else(cores), listener, |progress| {
        let horizons = Horizons::new(horizons)?;
        let segments: Vec<Segments> = segments.into_iter().map(coded).collect();
        let input = EvalInput {
            horizons: &horizons,
            labels: labels.values(),
            predictions: &predictions,
            segments: &segments,
            bootstrap: (replicates > 0).then_some(Bootstrap { replicates, seed }),
            reference: reference.as_deref(),
        };
        text(&evaluate_with_progress(&input, &*progress)?)
    })
}

/// Values of a column as numbers of distinct values.
fn coded((name, values): (String, Vec<String>)) -> Segments {
    let labels: BTreeSet<String> = values.iter().cloned().collect();
    let labels: Vec<String> = labels.into_iter().collect();
    let code = |value: &String| labels.binary_search(value).unwrap_or_default() as u32;
    let codes = values.iter().map(code).collect();
    Segments {
        name,
        codes,
        labels,
    }
}
