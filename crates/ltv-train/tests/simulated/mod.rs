//! What tests of the fit loop train, and on whom.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use ltv_core::{
    config::{Auto, TrainConfig},
    progress::Silent,
};
use ltv_data::{
    BuildOptions, Dataset, build_dataset,
    simulate::{SimulateConfig, simulate},
};
use std::path::Path;

/// A small simulated platform, a year and a half of it.
pub(crate) fn dataset(folder: &Path) -> Dataset {
    let config = SimulateConfig {
        users: 3000,
        seed: 5,
        ..SimulateConfig::default()
    };
    let simulation = folder.join("simulation");
    let made = simulate(&config, &simulation, &|_| ()).unwrap();
    let features = SimulateConfig::feature_config(made.as_of);
    let (events, users) = (simulation.join("events"), simulation.join("users"));
    let out = folder.join("dataset");
    let options = BuildOptions::default();
    build_dataset(
        &[events],
        Some(&[users]),
        &features,
        &out,
        &options,
        &Silent,
    )
    .unwrap();
    Dataset::open(&out).unwrap()
}

/// A small network that is trained for a few steps.
pub(crate) fn config() -> TrainConfig {
    let mut config = TrainConfig::default();
    config.model.bottom = vec![32, 16];
    config.model.tower = 8;
    config.model.dropout = Auto::Is(0.1);
    config.fit.batch = Auto::Is(128);
    config.fit.epochs = 3;
    config.fit.checkpoint_steps = 7;
    config.fit.shuffle_rows = 1000;
    config.encoding.min_category_rows = 20;
    config
}
