//! Going on from an earlier model: its encoding, buckets and weights stay, labels that have become known since are
//! learned.

use crate::TrainError;
use ltv_core::{
    config::{Schedule, TrainConfig},
    encoding::Encoding,
    manifest::FeatureKind,
    seed,
};
use ltv_data::{Dataset, split::News};
use ltv_model::{Bundle, spec::Spec};

/// The configuration of the loop: that of `config`, with the epochs and rates of a warm start.
pub(crate) fn loop_config(config: &TrainConfig) -> TrainConfig {
    let mut warm = config.clone();
    warm.fit.epochs = config.warm.epochs;
    warm.fit.rate *= config.warm.rate;
    warm.fit.embedding_rate *= config.warm.rate;
    warm.fit.schedule = Schedule::Constant;
    warm
}

/// Refuses a model that this dataset and configuration cannot go on from.
pub(crate) fn check(
    earlier: &Bundle,
    dataset: &Dataset,
    config: &TrainConfig,
) -> Result<(), TrainError> {
    let (document, manifest) = (&earlier.document, dataset.manifest());
    let unlike = |what: &str| {
        Err(TrainError::Warm {
            model: earlier.id.clone(),
            problem: what.to_owned(),
        })
    };
    let horizons = config.chosen_horizons()?;
    let horizons = horizons.as_ref().unwrap_or(&manifest.horizons);
    if document.horizons != *horizons {
        return unlike("its horizons are others");
    }
    if document.label != manifest.label || document.window_days != manifest.window_days {
        return unlike("its label or window is another");
    }
    if document.as_of > manifest.as_of {
        return unlike("it knows a later day than the dataset");
    }
    let then = &document.config;
    if then.model != config.model || then.encoding != config.encoding {
        return unlike("[model] or [encoding] of the configuration have changed");
    }
    // Who tested or validated must not be trained on.
    if (then.split.test, then.split.validation) != (config.split.test, config.split.validation) {
        return unlike("[split] of the configuration has changed");
    }
    let encoded = document.encoding.features.iter();
    let found = manifest.features.iter();
    let same = encoded.clone().count() == manifest.features.len()
        && encoded.zip(found).all(|(then, now)| {
            let words = matches!(then.cells, ltv_core::encoding::Cells::Vocabulary { .. });
            then.columns == now.columns && words == (now.kind == FeatureKind::Categorical)
        });
    match same {
        true => Ok(()),
        false => unlike("its features are others"),
    }
}

/// The rows of an epoch.
pub(crate) fn news(earlier: &Bundle, dataset: &Dataset, config: &TrainConfig, seed_: u64) -> News {
    let (document, until) = (&earlier.document, dataset.manifest().as_of);
    News {
        since: document.as_of,
        until,
        window_days: document.window_days,
        horizons: document.horizons.clone(),
        others: config.warm.replay,
        seed: seed::derive(seed_, &format!("replay/{until}")),
    }
}

/// The earlier encoding and network. The trend goes on to the new as-of date: how far it may be followed is seen
/// anew, its scale is what the weights know.
pub(crate) fn kept(earlier: &Bundle, fitted: Encoding) -> (Encoding, Spec) {
    let document = &earlier.document;
    let mut encoding = document.encoding.clone();
    if let (Some(cohort), Some(now)) = (&mut encoding.cohort, fitted.cohort) {
        cohort.as_of = now.as_of;
        cohort.least = now.least;
    }
    (encoding, document.spec.clone())
}
