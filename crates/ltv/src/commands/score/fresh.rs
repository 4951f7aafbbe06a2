//! Users straight from an event log: a dataset in a hidden folder, for as long as they are scored.

use super::Flags;
use crate::{commands::Context, exit::Failure, options::Overlay};
use ltv_core::{Error, address::is_address, config::FeatureConfig};
use ltv_data::{BuildOptions, Dataset, build_dataset, dataset::first_manifest};
use ltv_model::bundle::Document;
use ltv_score::ScoreError;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The users to score. Dropped, it takes its folder with it.
pub(super) struct Fresh {
    pub(super) dataset: Dataset,
    features: PathBuf,
    _folder: TempDir,
}

impl Fresh {
    /// Builds the dataset that the model wants of the log that the flags name, in `scratch` or beside the output.
    pub(super) fn build(
        flags: &Flags,
        document: &Document,
        scratch: Option<&Path>,
        context: &Context,
    ) -> Result<Self, Failure> {
        let (Some(features), Some(_)) = (&flags.fresh.features, flags.fresh.as_of) else {
            let message = "--events: give --features and --as-of with it";
            return Err(Failure::user(message));
        };
        let config = config(flags, features, document)?;
        let place = match scratch {
            Some(scratch) => scratch.to_path_buf(),
            None if is_address(&flags.out) => std::env::temp_dir(),
            None => existing(&flags.out).to_path_buf(),
        };
        let folder = tempfile::Builder::new()
            .prefix(".ltv-fresh-")
            .tempdir_in(&place)
            .map_err(|e| Error::io(&place, "create a temporary folder in", e))?;
        let out = folder.path().join("dataset");
        let users = (!flags.fresh.users.is_empty()).then_some(flags.fresh.users.as_slice());
        let options = BuildOptions {
            threads: context.threads,
            ..BuildOptions::default()
        };
        let progress = &context.progress;
        build_dataset(
            &flags.fresh.events,
            users,
            &config,
            &out,
            &options,
            progress,
        )?;
        Ok(Self {
            dataset: Dataset::open(&out)?,
            features: features.clone(),
            _folder: folder,
        })
    }

    /// The same error, with the configuration to blame in place of the hidden dataset.
    pub(super) fn blame(&self, error: ScoreError) -> ScoreError {
        match error {
            ScoreError::MissingFeature {
                feature, column, ..
            } => ScoreError::MissingFeature {
                path: self.features.clone(),
                feature,
                column,
            },
            other => other,
        }
    }
}

/// The features of a file or of a dataset, about what the model predicts, for everybody.
fn config(flags: &Flags, features: &Path, document: &Document) -> Result<FeatureConfig, Failure> {
    let mut options = match first_manifest(features)? {
        Some(dataset) => Overlay::over(&dataset.config)?,
        None if features.is_dir() || is_address(features) => {
            let problem = "a folder without manifest.json, so no dataset";
            let hint = "give the TOML file or the dataset that the model was made with";
            return Err(Error::artefact(features, problem, hint).into());
        }
        None => Overlay::default().file(Some(features))?,
    };
    options.unset("dataset.registered_from");
    options.unset("dataset.registered_before");
    options.set("dataset.as_of", flags.fresh.as_of)?;
    options.set("dataset.window_days", Some(document.window_days))?;
    options.set("dataset.horizons", Some(document.horizons.days()))?;
    options.set("dataset.label", Some(document.label))?;
    let config: FeatureConfig = options.resolve()?;
    config.check()?;
    Ok(config)
}

/// The innermost folder around `out` that is there: a failure must leave no new one.
fn existing(out: &Path) -> &Path {
    let around = out.ancestors().skip(1);
    let mut there = around.filter(|p| !p.as_os_str().is_empty() && p.is_dir());
    there.next().unwrap_or(Path::new("."))
}
