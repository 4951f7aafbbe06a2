//! Fitting models on datasets.

use crate::{dataset::parse, fault::Failure, model::Model, watch::attended};
use ltv_baselines::PeerConfig;
use ltv_core::config::{Split, TrainConfig};
use ltv_data::Dataset;
use ltv_train::{FitRun, fit};
use pyo3::prelude::*;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Trains a network as `ltv train` does, with `options` laid over those of `preset`.
#[pyfunction]
#[pyo3(signature = (data, preset, config, options, seed, threads, cache, checkpoint, warm, listener=None))]
#[expect(clippy::too_many_arguments, reason = "they have names in Python")]
pub(crate) fn train(
    py: Python<'_>,
    data: Vec<PathBuf>,
    preset: &str,
    config: Option<PathBuf>,
    options: &str,
    seed: u64,
    threads: usize,
    cache: Option<PathBuf>,
    checkpoint: Option<PathBuf>,
    warm: Option<&Bound<'_, Model>>,
    listener: Option<Py<PyAny>>,
) -> PyResult<Model> {
    let warm = match warm {
        None => None,
        Some(model) => Some(model.get().bundle().ok_or_else(|| {
            Failure::user("warm_start: this model is no network; give one of the same kind")
        })?),
    };
    attended(py, threads, listener, |progress| {
        let config = configuration(preset, config.as_deref(), options)?;
        let run = FitRun {
            seed,
            threads,
            resume: checkpoint.is_some(),
            checkpoint,
            cache,
            warm,
        };
        let dataset = Dataset::open_all(&data)?;
        Ok(Model::network(fit(&dataset, &config, &run, &*progress)?))
    })
}

fn configuration(preset: &str, file: Option<&Path>, options: &str) -> Result<TrainConfig, Failure> {
    let base = match preset {
        "default" => TrainConfig::default(),
        "paper" => TrainConfig::paper(),
        other => {
            let problem = format!("preset: '{other}' is unknown; use 'default' or 'paper'");
            return Err(Failure::user(problem));
        }
    };
    let config = ltv::resolve(Some(&base), file, &parse::<Value>(options)?)?;
    config.check()?;
    Ok(config)
}

/// Fits a peer on a dataset; buy-till-you-die models on the event log `events`.
#[pyfunction]
#[pyo3(signature = (data, events, config, horizons, split, seed, threads, listener=None))]
#[expect(clippy::too_many_arguments, reason = "they have names in Python")]
pub(crate) fn fit_peer(
    py: Python<'_>,
    data: Vec<PathBuf>,
    events: Vec<PathBuf>,
    config: &str,
    horizons: Vec<u32>,
    split: &str,
    seed: u64,
    threads: usize,
    listener: Option<Py<PyAny>>,
) -> PyResult<Model> {
    attended(py, threads, listener, |progress| {
        let config: PeerConfig = parse(config)?;
        let split: Split = ltv::resolve(Some(&Split::default()), None, &parse::<Value>(split)?)?;
        split.check()?;
        let dataset = Dataset::open_all(&data)?;
        let from = (&dataset, &split, events.as_slice());
        let what = (&config, horizons.as_slice());
        let peer = ltv_lab::fit_peer(from, what, (seed, threads), &*progress)?;
        Ok(Model::peer(peer))
    })
}
