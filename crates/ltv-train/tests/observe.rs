//! What a training tells whoever watches: stages that add up, values that are those of the record, and
//! after a kill every value once.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod simulated;

use ltv_core::progress::{Progress, Silent};
use ltv_train::{FitRun, RECORD_STEPS, fit};
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Mutex,
    time::Duration,
};

/// Everything that was told, and how many more rows may come before it panics.
struct Watcher {
    left: Mutex<Option<u64>>,
    told: Mutex<Told>,
}

/// Values by name and step; a step that comes twice is a mistake.
type Values = BTreeMap<(String, u64), f64>;

#[derive(Default)]
struct Told {
    begins: Vec<u64>,
    values: Values,
    /// Name, expected and done units.
    stages: Vec<(String, Option<u64>, u64)>,
    parts: BTreeMap<&'static str, Duration>,
}

impl Watcher {
    fn new(left: Option<u64>) -> Self {
        Self {
            left: Mutex::new(left),
            told: Mutex::default(),
        }
    }
}

impl Progress for Watcher {
    fn start(&self, stage: &str, total: Option<u64>) {
        self.told
            .lock()
            .unwrap()
            .stages
            .push((stage.to_owned(), total, 0));
    }
    fn advance(&self, rows: u64) {
        if let Some(left) = self.left.lock().unwrap().as_mut() {
            assert!(*left >= rows, "killed");
            *left -= rows;
        }
        if let Some(stage) = self.told.lock().unwrap().stages.last_mut() {
            stage.2 += rows;
        }
    }
    fn spend(&self, part: &'static str, time: Duration) {
        *self.told.lock().unwrap().parts.entry(part).or_default() += time;
    }
    fn begin(&self, step: u64) {
        self.told.lock().unwrap().begins.push(step);
    }
    fn measure(&self, step: u64, values: &[(&str, f64)]) {
        let all = &mut self.told.lock().unwrap().values;
        for &(name, value) in values.iter().filter(|v| v.0 != "speed/rows_per_second") {
            let before = all.insert((name.to_owned(), step), value);
            assert_eq!(before, None, "{name} at {step} came twice");
        }
    }
    fn finish(&self) {}
}

fn run(checkpoint: Option<&Path>, resume: bool) -> FitRun {
    FitRun {
        seed: 11,
        threads: 2,
        checkpoint: checkpoint.map(Into::into),
        resume,
        cache: None,
        warm: None,
    }
}

#[test]
fn what_is_told_is_what_was_done() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = simulated::dataset(folder.path());
    let config = simulated::config();
    let watcher = Watcher::new(None);
    let bundle = fit(&dataset, &config, &run(None, false), &watcher).unwrap();
    assert_eq!(
        bundle,
        fit(&dataset, &config, &run(None, false), &Silent).unwrap()
    );
    let told = watcher.told.into_inner().unwrap();
    assert_eq!(told.begins, [0]);
    for (stage, total, done) in &told.stages {
        assert_eq!(Some(*done), *total, "{stage}");
    }
    let record = &bundle.document.record;
    let of = |name: &str| -> Vec<(u64, f64)> {
        let own = told.values.iter().filter(|((n, _), _)| n == name);
        own.map(|((_, step), value)| (*step, *value)).collect()
    };
    let looks = record.validations.iter();
    let looks: Vec<_> = looks.map(|v| (v.step, v.likelihood)).collect();
    assert_eq!(of("validation/likelihood"), looks);
    let steps = record.train_rows.div_ceil(128) * 3;
    let losses = of("loss/total");
    let expected: Vec<u64> = (0..steps).step_by(RECORD_STEPS as usize).collect();
    assert_eq!(losses.iter().map(|l| l.0).collect::<Vec<_>>(), expected);
    // The total is made of its terms: no term has a negative weight or value here.
    let terms = told
        .values
        .keys()
        .filter(|(n, step)| *step == 0 && n.starts_with("loss/"));
    let sum: f64 = terms
        .filter(|(n, _)| n != "loss/total")
        .map(|key| told.values[key])
        .sum();
    assert!(losses[0].1 > 0.0 && sum >= losses[0].1, "{sum} {losses:?}");
    assert_eq!(of("rate/layers")[0], (0, config.fit.rate));
    assert!(told.parts["forward and backward"] > Duration::ZERO);
}

/// The values of a killed run before the step from which the next one goes on, and those of the next
/// one, are those of a run that was not killed.
#[test]
fn a_resumed_training_tells_every_value_once() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = simulated::dataset(folder.path());
    let mut config = simulated::config();
    // Looks and checkpoints at the same steps, at different ones, and at the ends of epochs.
    for (looks, saves) in [(6, 6), (9, 4), (0, 5)] {
        (config.fit.validation_steps, config.fit.checkpoint_steps) = (looks, saves);
        let whole = Watcher::new(None);
        fit(&dataset, &config, &run(None, false), &whole).unwrap();
        let whole = whole.told.into_inner().unwrap().values;
        let rows = dataset.rows();
        for kill_after in [rows + 900, rows + 2500, rows + 4700] {
            let checkpoint = folder.path().join(format!("{looks}-{saves}-{kill_after}"));
            let killer = Watcher::new(Some(kill_after));
            let first = run(Some(&checkpoint), false);
            let killed = AssertUnwindSafe(|| fit(&dataset, &config, &first, &killer));
            assert!(
                catch_unwind(killed).is_err(),
                "the run must not have finished"
            );
            let mut values = killer
                .told
                .lock()
                .unwrap_or_else(|e| e.into_inner())
                .values
                .clone();
            let next = Watcher::new(None);
            fit(&dataset, &config, &run(Some(&checkpoint), true), &next).unwrap();
            let next = next.told.into_inner().unwrap();
            let [begin] = next.begins[..] else {
                panic!("{:?}", next.begins)
            };
            values.retain(|(_, step), _| *step < begin);
            let kept = values.len();
            values.extend(next.values);
            assert!(
                values == whole,
                "killed after {kill_after} rows, begun at {begin}"
            );
            assert!(kept > 0 || begin == 0);
        }
    }
}
