//! The fit loop on a small simulated platform: it learns, repeats, and survives being killed.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod simulated;

use ltv_core::progress::{Progress, Silent};
use ltv_data::Dataset;
use ltv_model::Bundle;
use ltv_train::{FitRun, TrainError, fit};
use simulated::{config, dataset};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

fn run(checkpoint: Option<&Path>, resume: bool, threads: usize) -> FitRun {
    FitRun {
        seed: 11,
        threads,
        checkpoint: checkpoint.map(Into::into),
        resume,
        cache: None,
        warm: None,
    }
}

/// Panics after so many rows of epochs and later stages: the nearest thing to a kill inside one
/// process.
struct Killer {
    left: AtomicU64,
    armed: AtomicBool,
}

impl Killer {
    fn new(after: u64) -> Self {
        Self {
            left: AtomicU64::new(after),
            armed: AtomicBool::new(false),
        }
    }
}

impl Progress for Killer {
    fn start(&self, stage: &str, _: Option<u64>) {
        let armed = stage != "fit encoding and buckets";
        self.armed.store(armed, Ordering::Relaxed);
    }
    fn advance(&self, rows: u64) {
        if self.armed.load(Ordering::Relaxed) {
            let left = self.left.load(Ordering::Relaxed);
            assert!(left >= rows, "killed");
            self.left.store(left - rows, Ordering::Relaxed);
        }
    }
    fn finish(&self) {}
}

#[test]
fn learns_repeats_and_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let whole = fit(&dataset, &config(), &run(None, false, 1), &Silent).unwrap();
    let looks = &whole.document.record.validations;
    assert!(
        looks.len() == 3 && looks[2].likelihood < looks[0].likelihood,
        "{looks:?}"
    );
    assert_eq!(
        whole,
        fit(&dataset, &config(), &run(None, false, 3), &Silent).unwrap()
    );

    let cached = |run: FitRun| FitRun {
        cache: Some(folder.path().to_path_buf()),
        ..run
    };
    let kept = fit(&dataset, &config(), &cached(run(None, false, 2)), &Silent);
    assert_eq!(whole, kept.unwrap());
    let checkpoint = folder.path().join("checkpoint");
    for kill_after in [1500, 3100, 6000] {
        std::fs::remove_file(&checkpoint).ok();
        let killer = Killer::new(kill_after);
        let first = cached(run(Some(&checkpoint), false, 2));
        let killed = catch_unwind(AssertUnwindSafe(|| {
            fit(&dataset, &config(), &first, &killer)
        }));
        assert!(killed.is_err(), "the run must not have finished");
        let second = run(Some(&checkpoint), true, 1);
        assert_eq!(whole, fit(&dataset, &config(), &second, &Silent).unwrap());
    }
    checks_what_it_resumes(&dataset, &checkpoint);
    round_trip(&whole, folder.path());
}

fn checks_what_it_resumes(dataset: &Dataset, checkpoint: &Path) {
    let mut other = config();
    other.fit.rate = 0.5;
    let error = fit(dataset, &other, &run(Some(checkpoint), true, 1), &Silent).unwrap_err();
    assert!(matches!(error, TrainError::Checkpoint { .. }), "{error}");
    assert!(error.to_string().contains("of another run"), "{error}");

    let bytes = std::fs::read(checkpoint).unwrap();
    let resume = run(Some(checkpoint), true, 1);
    let mut flipped = bytes.clone();
    flipped[bytes.len() - 1000] ^= 4;
    let cases: [(&[u8], &str); 4] = [
        (&flipped, "its checksum does not match"),
        (&bytes[..bytes.len() - 1], "not a checkpoint"),
        (b"not a checkpoint", "not a checkpoint"),
        (b"", "not a checkpoint"),
    ];
    for (bytes, expected) in cases {
        std::fs::write(checkpoint, bytes).unwrap();
        let error = fit(dataset, &config(), &resume, &Silent).unwrap_err();
        assert!(matches!(error, TrainError::Checkpoint { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains(expected) && text.contains("delete it"),
            "{text}"
        );
    }
}

/// Asked before the first step, resumed or not.
#[test]
fn where_no_checkpoint_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    // Nothing is read: a single row would panic.
    let killer = Killer::new(0);
    killer.armed.store(true, Ordering::Relaxed);
    for (path, expected) in [
        (folder.path().join("no/such/file"), "no/such/file"),
        (folder.path().to_path_buf(), "is a folder"),
    ] {
        for resume in [false, true] {
            let error = fit(&dataset, &config(), &run(Some(&path), resume, 1), &killer);
            let error = error.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}

/// What comes back are the weights of the best look, not of the last: those of a training that
/// ends there.
#[test]
fn early_stopping_returns_the_best_weights() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let mut config = config();
    (config.fit.rate, config.fit.embedding_rate) = (0.03, 0.03);
    (config.fit.epochs, config.fit.patience) = (30, 2);
    let stopped = fit(&dataset, &config, &run(None, false, 1), &Silent).unwrap();
    let record = &stopped.document.record;
    let looks = &record.validations;
    let by_likelihood = |i: &usize, j: &usize| {
        let (a, b) = (&looks[*i], &looks[*j]);
        a.likelihood.total_cmp(&b.likelihood)
    };
    let best = (0..looks.len()).min_by(by_likelihood).unwrap();
    assert_eq!((looks.len(), record.steps), (best + 3, looks[best].step));
    config.fit.epochs = best as u32 + 1;
    let short = fit(&dataset, &config, &run(None, false, 1), &Silent).unwrap();
    assert_eq!(stopped.weights, short.weights);
    config.fit.epochs += 1;
    let longer = fit(&dataset, &config, &run(None, false, 1), &Silent).unwrap();
    assert_eq!(stopped.weights, longer.weights);
}

/// A scheduler passes `--resume` always; the first run finds no file, and starts.
#[test]
fn resuming_from_nothing_starts_afresh() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let whole = fit(&dataset, &config(), &run(None, false, 1), &Silent).unwrap();
    let checkpoint = folder.path().join("not yet");
    let resumed = run(Some(&checkpoint), true, 1);
    assert_eq!(whole, fit(&dataset, &config(), &resumed, &Silent).unwrap());
    assert!(checkpoint.exists());
}

/// Validations by steps: the last weights get their look as well, killed and resumed or not.
#[test]
fn the_last_weights_are_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let mut config = config();
    for (every, looks) in [(1_000_000, 1), (20, 4)] {
        config.fit.validation_steps = every;
        let whole = fit(&dataset, &config, &run(None, false, 1), &Silent).unwrap();
        let record = &whole.document.record;
        let steps = record.train_rows.div_ceil(config.fit.batch_rows(0) as u64) * 3;
        let at: Vec<u64> = record.validations.iter().map(|v| v.step).collect();
        assert_eq!((at.len(), at.last()), (looks, Some(&steps)), "{at:?}");
        assert!(record.steps > 0 && record.validations[0].likelihood.is_finite());

        let checkpoint = folder.path().join(format!("checkpoint-{every}"));
        let killer = Killer::new(6000);
        let first = run(Some(&checkpoint), false, 2);
        let killed = catch_unwind(AssertUnwindSafe(|| fit(&dataset, &config, &first, &killer)));
        assert!(killed.is_err(), "the run must not have finished");
        // Once from the middle, once from the end.
        for _ in 0..2 {
            let second = run(Some(&checkpoint), true, 1);
            assert_eq!(whole, fit(&dataset, &config, &second, &Silent).unwrap());
        }
    }
}

/// A bundle is what was saved, and its bytes repeat.
fn round_trip(bundle: &Bundle, folder: &Path) {
    let (a, b) = (folder.join("a.ltv"), folder.join("b.ltv"));
    let id = bundle.save(&a).unwrap();
    bundle.save(&b).unwrap();
    assert_eq!(std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
    let loaded = Bundle::load(&a).unwrap();
    assert_eq!((&loaded.id, &loaded), (&id, bundle));
    let mut bytes = std::fs::read(&a).unwrap();
    let last = bytes.len() - 100;
    bytes[last] ^= 1;
    std::fs::write(&b, bytes).unwrap();
    let error = Bundle::load(&b).unwrap_err().to_string();
    assert!(error.contains("damaged"), "{error}");
}

#[test]
fn nobody_to_train_on() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let mut config = config();
    config.split.registered_before = Some("1990-01-01".parse().unwrap());
    let error = fit(&dataset, &config, &run(None, false, 1), &Silent).unwrap_err();
    assert!(error.to_string().contains("no user to train on"), "{error}");
}
