//! Events to datasets, and tables to datasets.

use crate::{
    fault::Failure,
    watch::{attended, cores},
};
use arrow::ffi_stream::ArrowArrayStreamReader;
use arrow_pyarrow::FromPyArrow;
use ltv_core::{Day, config::FeatureConfig};
use ltv_data::{
    BuildOptions, Dataset, build_dataset,
    features::printed_sql,
    simulate::SimulateConfig,
    table::{TableSpec, TableWriter},
    update_dataset,
};
use pyo3::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A document that Python wrote.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|e| Failure::user(format!("options: {e}")))
}

pub(crate) fn text(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(Failure::internal)
}

/// Options of `ltv features`: a JSON document, laid over a configuration file.
pub(crate) fn feature_config(file: Option<&Path>, over: &str) -> Result<FeatureConfig, Failure> {
    let config: FeatureConfig = ltv::resolve(None, file, &parse::<Value>(over)?)?;
    config.check()?;
    Ok(config)
}

/// Turns Parquet files of events and users into the dataset `out`; its manifest and, of an update, what was made anew
/// and what came late.
#[pyfunction]
#[pyo3(signature = (events, users, config, options, out, update, partitions, threads, listener=None))]
#[expect(clippy::too_many_arguments, reason = "they have names in Python")]
pub(crate) fn features(
    py: Python<'_>,
    events: Vec<PathBuf>,
    users: Vec<PathBuf>,
    config: Option<PathBuf>,
    options: String,
    out: PathBuf,
    update: Option<PathBuf>,
    partitions: Option<usize>,
    threads: usize,
    listener: Option<Py<PyAny>>,
) -> PyResult<String> {
    attended(py, threads, listener, |progress| {
        let config = feature_config(config.as_deref(), &options)?;
        let options = BuildOptions {
            partitions,
            threads,
            scratch: None,
        };
        let users = (!users.is_empty()).then_some(users.as_slice());
        let Some(earlier) = &update else {
            let manifest = build_dataset(&events, users, &config, &out, &options, &*progress)?;
            return text(&manifest);
        };
        let places: (&Path, &Path) = (earlier, &out);
        let updated = update_dataset(places, &events, users, &config, &options, &*progress)?;
        text(&updated.manifest)
    })
}

/// The one SQL statement that makes the dataset.
#[pyfunction]
#[pyo3(signature = (config, options, users))]
pub(crate) fn feature_sql(config: Option<PathBuf>, options: &str, users: bool) -> PyResult<String> {
    Ok(printed_sql(
        &feature_config(config.as_deref(), options)?,
        users,
    ))
}

/// Options of `ltv features` for what `ltv simulate` writes, as a JSON document; without an as-of day.
#[pyfunction]
pub(crate) fn simulator_options() -> PyResult<String> {
    let config = SimulateConfig::feature_config(Day(0));
    let mut options = serde_json::to_value(config).map_err(Failure::internal)?;
    if let Some(dataset) = options["dataset"].as_object_mut() {
        dataset.remove("as_of");
    }
    Ok(options.to_string())
}

/// The manifest of the dataset in these folders, and its files, in the order of their rows.
#[pyfunction]
pub(crate) fn dataset_files(
    py: Python<'_>,
    folders: Vec<PathBuf>,
) -> PyResult<(String, Vec<PathBuf>)> {
    attended(py, 1, None, |_| {
        let dataset = Dataset::open_all(&folders)?;
        let files = dataset.files().iter().map(|file| file.path().to_owned());
        Ok((text(dataset.manifest())?, files.collect()))
    })
}

/// Writes a table of features and labels, anything with `__arrow_c_stream__`, as a dataset into the folder
/// `out`; its manifest.
#[pyfunction]
#[pyo3(signature = (table, spec, out, listener=None))]
pub(crate) fn write_table(
    py: Python<'_>,
    table: &Bound<'_, PyAny>,
    spec: &str,
    out: PathBuf,
    listener: Option<Py<PyAny>>,
) -> PyResult<String> {
    let batches = ArrowArrayStreamReader::from_pyarrow_bound(table)?;
    let spec: TableSpec = parse(spec)?;
    attended(py, cores(), listener, |progress| {
        let mut writer = TableWriter::new(out, spec)?;
        progress.start("read table", None);
        for batch in batches {
            let batch = batch.map_err(|e| Failure::user(format!("the table: {e}")))?;
            writer.add(&batch)?;
            progress.advance(batch.num_rows() as u64);
        }
        progress.finish();
        text(&writer.finish()?)
    })
}
