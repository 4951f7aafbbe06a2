//! Going on from a model of an earlier day.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod simulated;

use ltv_core::{config::TrainConfig, progress::Silent};
use ltv_data::Dataset;
use ltv_model::{Bundle, Decoding, Model};
use ltv_train::{FitRun, TrainError, fit};
use simulated::{config, dataset};
use std::{path::Path, sync::Arc};

fn run(warm: Option<&Bundle>, threads: usize) -> FitRun {
    FitRun {
        seed: 11,
        threads,
        warm: warm.map(|bundle| Arc::new(bundle.clone())),
        ..FitRun::default()
    }
}

/// The dataset as of two days, 20 days apart, and a model of the first.
fn yesterday(folder: &Path) -> (Dataset, Bundle) {
    let dataset = dataset(folder);
    let day = dataset.manifest().as_of + -300;
    let then = dataset.as_known_on(day).unwrap();
    let before = fit(&then, &config(), &run(None, 2), &Silent).unwrap();
    (dataset.as_known_on(day + 20).unwrap(), before)
}

#[test]
fn what_was_learned_stays_and_what_is_new_is_added() {
    let folder = tempfile::tempdir().unwrap();
    let (today, before) = yesterday(folder.path());
    let after = fit(&today, &config(), &run(Some(&before), 2), &Silent).unwrap();
    let (old, new) = (&before.document, &after.document);
    assert_eq!(new.record.parent.as_deref(), Some(before.id.as_str()));
    assert_eq!((&new.spec, new.as_of), (&old.spec, old.as_of + 20));
    assert_eq!(new.encoding.features, old.encoding.features);
    assert_eq!(
        new.config,
        config(),
        "the options are those that were given"
    );
    // The first look is at the weights before; nothing worse is kept.
    let looks = &new.record.validations;
    assert_eq!((looks[0].step, looks.len()), (0, 3));
    let best = looks
        .iter()
        .map(|look| look.likelihood)
        .fold(f64::INFINITY, f64::min);
    let kept = looks
        .iter()
        .find(|look| look.step == new.record.steps)
        .unwrap();
    assert_eq!(kept.likelihood, best);
    // A twentieth of the rows is new, and a quarter of the others comes again.
    let (steps, epoch) = (looks[2].step, new.record.train_rows.div_ceil(128));
    assert!(
        steps < 2 * epoch * 6 / 10,
        "{steps} steps, an epoch has {epoch}"
    );
    assert_eq!(
        fit(&today, &config(), &run(Some(&before), 1), &Silent).unwrap(),
        after
    );
    Model::new(after, Decoding::Expectation).unwrap();
}

#[test]
fn where_nothing_is_new_nothing_has_to_be_learned() {
    let folder = tempfile::tempdir().unwrap();
    let (_, before) = yesterday(folder.path());
    let then = dataset_of(folder.path())
        .as_known_on(before.document.as_of)
        .unwrap();
    let mut config = config();
    config.warm.replay = 0.0;
    let after = fit(&then, &config, &run(Some(&before), 2), &Silent).unwrap();
    assert_eq!(
        (after.document.record.steps, &after.weights),
        (0, &before.weights)
    );
}

fn dataset_of(folder: &Path) -> Dataset {
    Dataset::open(folder.join("dataset")).unwrap()
}

#[test]
fn a_run_that_was_stopped_goes_on_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (today, before) = yesterday(folder.path());
    let whole = fit(&today, &config(), &run(Some(&before), 2), &Silent).unwrap();
    let checkpoint = folder.path().join("checkpoint");
    let mut short = config();
    short.warm.epochs = 1;
    let stopped = FitRun {
        checkpoint: Some(checkpoint.clone()),
        ..run(Some(&before), 2)
    };
    fit(&today, &short, &stopped, &Silent).unwrap();
    let other = FitRun {
        resume: true,
        ..stopped.clone()
    };
    // One of other options, or of another model, is not gone on with.
    let error = fit(&today, &config(), &other, &Silent).unwrap_err();
    assert!(matches!(error, TrainError::Checkpoint { .. }), "{error}");
    std::fs::remove_file(&checkpoint).unwrap();
    assert_eq!(fit(&today, &config(), &other, &Silent).unwrap(), whole);
    assert_eq!(fit(&today, &config(), &other, &Silent).unwrap(), whole);
}

#[test]
fn another_kind_of_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (today, before) = yesterday(folder.path());
    let refused = |dataset: &Dataset, change: fn(&mut TrainConfig), expected: &str| {
        let mut config = config();
        change(&mut config);
        let error = fit(dataset, &config, &run(Some(&before), 2), &Silent).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(expected) && text.contains("train from the start"),
            "{text}"
        );
    };
    refused(&today, |c| c.model.tower = 4, "[model]");
    refused(&today, |c| c.encoding.max_bins = 9, "[encoding]");
    refused(&today, |c| c.split.validation = 0.2, "[split]");
    refused(&today, |c| c.horizons = vec![30], "horizons");
    let earlier = today.as_known_on(before.document.as_of + -1);
    // A view of a view is of the first.
    if let Ok(earlier) = earlier {
        refused(&earlier, |_| (), "later day");
    }
}
