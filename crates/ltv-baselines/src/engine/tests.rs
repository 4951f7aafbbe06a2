//! Trees of the real library, on data whose answer is known.

use super::*;
use crate::{
    PeerConfig, TrainingRows,
    config::Form,
    fit,
    peer::{Fitted, Part, Peer, Stage, StageRecord, Two},
    testing::{Dice, frame, users},
};
use ltv_core::predictor::{Predictions, Predictor};

fn fitted(json: &str, train: &TrainingRows, validation: &TrainingRows, threads: usize) -> Peer {
    let config: PeerConfig = serde_json::from_str(json).unwrap();
    let width = train.rows.labels.len() / train.rows.rows;
    let frame = frame(&[30, 90][..width]);
    fit(&config, &frame, train, validation, 3, threads).unwrap()
}

fn rmse(predictions: &Predictions, truth: impl Iterator<Item = f64>) -> f64 {
    let errors = predictions
        .values
        .iter()
        .zip(truth)
        .map(|(p, y)| (p - y).powi(2));
    (errors.sum::<f64>() / predictions.values.len() as f64).sqrt()
}

fn sound(p: &Predictions) -> bool {
    p.values.iter().all(|v| v.is_finite() && *v >= 0.0)
}

/// A step and a slope, without noise.
fn step(plain: &[f64; 4], _: u32, _: &mut Dice) -> Vec<f64> {
    vec![if plain[3] > 0.5 { 8.0 } else { 1.0 } + plain[1]]
}

#[test]
fn every_objective_learns_a_simple_function() {
    let (train, validation) = (users(3000, 1, step), users(500, 2, step));
    let test = users(500, 3, step);
    for objective in ["squared_error", "tweedie", "absolute_error"] {
        let json = format!(
            r#"{{"kind":"xgboost","objective":"{objective}","trees":{{"grid":[{{"eta":0.2}}]}}}}"#
        );
        let peer = fitted(&json, &train, &validation, 2);
        let found = peer.predict(&test.rows);
        let error = rmse(&found, test.rows.labels.iter().copied());
        assert!(error < 0.4, "{objective} {error}");
        assert!(sound(&found) && found.positive.is_empty() && found.quantiles.is_empty());
    }
}

/// What a category is worth jumps up and down with its number.
fn jumps(_: &[f64; 4], cell: u32, _: &mut Dice) -> Vec<f64> {
    vec![f64::from(cell % 2) * 10.0]
}

#[test]
fn categories() {
    let (train, test) = (users(3000, 1, jumps), users(500, 3, jumps));
    let error = |categories: &str| {
        // One split: a set of categories is enough, a range is not.
        let json = format!(
            r#"{{"kind":"xgboost","trees":{{"categories":"{categories}","rounds":40,
                "grid":[{{"eta":0.3,"max_depth":1,"colsample_bytree":1}}]}}}}"#
        );
        let found = fitted(&json, &train, &test, 1).predict(&test.rows);
        rmse(&found, test.rows.labels.iter().copied())
    };
    let (native, codes) = (error("native"), error("codes"));
    assert!(native < 0.2 && codes > 2.0, "{native} {codes}");
}

#[test]
fn missing_values_go_their_own_way() {
    let blank = |mut rows: TrainingRows| {
        for r in 0..rows.rows.rows {
            if r % 3 == 0 {
                rows.rows.plain[r * 4 + 3] = f64::NAN;
                rows.rows.cells[r] = 0;
                rows.rows.labels[r] = 30.0;
            }
        }
        rows
    };
    let (train, test) = (blank(users(3000, 1, step)), blank(users(500, 3, step)));
    let json = r#"{"kind":"xgboost","trees":{"grid":[{"eta":0.2}]}}"#;
    let found = fitted(json, &train, &test, 2).predict(&test.rows);
    let error = rmse(&found, test.rows.labels.iter().copied());
    assert!(error < 0.3, "{error}");
}

fn noisy(plain: &[f64; 4], cell: u32, dice: &mut Dice) -> Vec<f64> {
    let p = 0.1 + 0.1 * plain[1] + 0.02 * f64::from(cell);
    let alive = dice.uniform() < p;
    let value = |dice: &mut Dice| f64::from(alive) * plain[2] * (0.5 + dice.uniform());
    let short = value(dice);
    vec![short, short + value(dice)]
}

const KINDS: [&str; 3] = [
    r#"{"kind":"xgboost","objective":"tweedie","trees":{"grid":[{},{"max_depth":2,"eta":0.1}]}}"#,
    r#"{"kind":"two_stage","trees":{"grid":[{"max_depth":2,"eta":0.1},{}]}}"#,
    r#"{"kind":"forest","trees":30,"max_depth":6,"min_group":100}"#,
];

#[test]
fn the_number_of_threads_changes_nothing() {
    let (train, validation) = (users(1500, 1, noisy), users(500, 2, noisy));
    let folder = tempfile::tempdir().unwrap();
    for (i, kind) in KINDS.into_iter().enumerate() {
        let bytes = [1, 4].map(|threads| {
            let path = folder.path().join(format!("{i}-{threads}"));
            fitted(kind, &train, &validation, threads)
                .save(&path)
                .unwrap();
            std::fs::read(path).unwrap()
        });
        assert!(bytes[0] == bytes[1], "{kind}");
    }
}

#[test]
fn a_file_holds_the_same_trees() {
    let (train, validation) = (users(1500, 1, noisy), users(500, 2, noisy));
    let folder = tempfile::tempdir().unwrap();
    for kind in KINDS {
        let peer = fitted(kind, &train, &validation, 2);
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        peer.save(&a).unwrap();
        let loaded = Peer::load(&a).unwrap();
        loaded.save(&b).unwrap();
        assert_eq!(std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
        let found = peer.predict(&train.rows);
        assert_eq!(loaded.predict(&train.rows), found);
        assert!(sound(&found) && found.values.iter().any(|v| *v > 0.0));
    }
}

#[test]
fn many_threads_predict_at_once() {
    let (train, validation) = (users(1500, 1, noisy), users(500, 2, noisy));
    let peer = fitted(KINDS[1], &train, &validation, 2);
    let alone = peer.predict(&validation.rows);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| peer.predict(&validation.rows)))
            .collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), alone);
        }
    });
    // More than one block, in order.
    let many = users(10_000, 9, noisy);
    let all = peer.predict(&many.rows);
    assert_eq!(all.rows, 10_000);
    let last = users(10_000, 9, noisy);
    let mut tail = last.rows;
    tail.rows = 100;
    tail.plain.drain(..9_900 * 4);
    tail.cells.drain(..9_900);
    tail.labels.drain(..9_900 * 2);
    assert_eq!(peer.predict(&tail).values, all.values[9_900 * 2..]);
}

fn stages(peer: &Peer) -> &[StageRecord] {
    &peer.document().record.stages
}

#[test]
fn early_stopping() {
    let luck = |_: &[f64; 4], _: u32, dice: &mut Dice| vec![dice.uniform()];
    let json = r#"{"kind":"xgboost","trees":{"rounds":400,"grid":[{"eta":0.3,"max_depth":6}]}}"#;
    let peer = fitted(json, &users(1000, 1, luck), &users(1000, 2, luck), 1);
    assert!(stages(&peer)[0].rounds < 20, "{:?}", stages(&peer));
    let json = r#"{"kind":"xgboost","trees":{"rounds":50,"grid":[{"eta":0.01}]}}"#;
    let (train, validation) = (users(1000, 1, step), users(500, 2, step));
    let peer = fitted(json, &train, &validation, 1);
    assert_eq!(stages(&peer)[0].rounds, 50, "it still gets better");
    // The recorded loss is that of the model kept.
    let found = peer.predict(&validation.rows);
    let error = rmse(&found, validation.rows.labels.iter().copied());
    assert!((error - stages(&peer)[0].loss.unwrap()).abs() < 1e-5);
}

#[test]
fn the_better_setting_is_chosen() {
    let json = r#"{"kind":"xgboost","trees":{"grid":[{"eta":0.001,"max_depth":1},{"eta":0.2}]}}"#;
    let peer = fitted(json, &users(2000, 1, step), &users(500, 2, step), 2);
    let chosen = stages(&peer)[0].setting.unwrap();
    assert_eq!((chosen.eta, chosen.max_depth), (0.2, 4));
}

/// The two stages of a peer, each as a peer of its own.
fn stage(peer: &Peer, rows: &TrainingRows, of: impl Fn(&Two) -> Part) -> Vec<f64> {
    let Fitted::TwoStage { horizons } = &peer.document().model else {
        panic!("{:?}", peer.document().config);
    };
    let mut document = peer.document().clone();
    document.config = serde_json::from_str(r#"{"kind":"xgboost"}"#).unwrap();
    document.model = Fitted::Xgboost {
        horizons: horizons.iter().map(of).collect(),
    };
    Peer::new(document).unwrap().predict(&rows.rows).values
}

#[test]
fn two_stages_make_one_value() {
    let (train, test) = (users(3000, 1, noisy), users(800, 2, noisy));
    for form in [Form::Product, Form::Gate] {
        let name = serde_json::to_string(&form).unwrap();
        let json = format!(r#"{{"kind":"two_stage","form":{name},"trees":{{"grid":[{{}}]}}}}"#);
        let peer = fitted(&json, &train, &test, 2);
        let found = peer.predict(&test.rows);
        let p = stage(&peer, &test, |two| two.positive.clone());
        let r = stage(&peer, &test, |two| two.amount.clone());
        assert_eq!(found.positive, p);
        assert!(found.quantiles.is_empty() && sound(&found));
        for (i, value) in found.values.iter().enumerate() {
            let expected = match form {
                Form::Product => p[i] * r[i],
                Form::Gate if p[i] > 0.5 => r[i],
                Form::Gate => 0.0,
            };
            assert_eq!(*value, expected);
        }
        assert!(p.iter().any(|p| *p > 0.5) && p.iter().any(|p| *p < 0.5));
        // The classifier is calibrated on average.
        let share = test.rows.labels.iter().filter(|y| **y > 0.0).count() as f64 / 1600.0;
        assert!((p.iter().sum::<f64>() / 1600.0 - share).abs() < 0.04);
    }
    let stages: Vec<_> = stages(&fitted(KINDS[1], &train, &test, 2))
        .iter()
        .map(|s| (s.horizon, s.stage))
        .collect();
    use Stage::{Amount, Positive};
    assert_eq!(
        stages,
        [(30, Positive), (30, Amount), (90, Positive), (90, Amount)]
    );
}

#[test]
fn forests_learn_within_groups() {
    let (train, test) = (users(4000, 1, noisy), users(1000, 2, noisy));
    let peer = fitted(KINDS[2], &train, &test, 2);
    let found = peer.predict(&test.rows);
    assert!(sound(&found) && found.quantiles.is_empty());
    assert!(found.positive.iter().all(|p| (0.0..=1.0).contains(p)));
    let mean = |v: &mut dyn Iterator<Item = f64>| v.sum::<f64>() / 2000.0;
    let truth = mean(&mut test.rows.labels.iter().copied());
    let guess = mean(&mut found.values.iter().copied());
    assert!((guess / truth - 1.0).abs() < 0.1, "{guess} {truth}");
    let constant = test
        .rows
        .labels
        .iter()
        .map(|y| (y - truth).powi(2))
        .sum::<f64>()
        / 2000.0;
    let error = rmse(&found, test.rows.labels.iter().copied());
    assert!(
        error < 0.95 * constant.sqrt(),
        "{error} {}",
        constant.sqrt()
    );
    // A group too small uses the forest of all.
    let json = r#"{"kind":"forest","trees":5,"min_group":2000}"#;
    let groups: Vec<_> = stages(&fitted(json, &train, &test, 2))
        .iter()
        .map(|s| s.group.clone().unwrap())
        .collect();
    assert!(
        groups.iter().filter(|g| *g == "all").count() >= 4,
        "{groups:?}"
    );
}

#[test]
fn labels_that_teach_nothing() {
    let zero = |_: &[f64; 4], _: u32, _: &mut Dice| vec![0.0, 5.0];
    let rows = users(400, 1, zero);
    for kind in KINDS {
        let found = fitted(kind, &rows, &rows, 1).predict(&rows.rows);
        let rows = found.values.chunks(2);
        rows.for_each(|v| assert!(v[0] == 0.0 && (v[1] - 5.0).abs() < 1e-9, "{kind} {v:?}"));
    }
    // Nothing can stop the second stage: no validation row is above 0.
    let none = users(100, 2, zero);
    let peer = fitted(KINDS[1], &users(400, 1, noisy), &none, 1);
    assert_eq!(stages(&peer)[1].rounds, 0);
}

#[test]
fn recent_days_leave_old_cohorts_out() {
    // Rows register one a day; value drops after the first half.
    let mut train = users(2000, 1, step);
    train.rows.labels[..1000]
        .iter_mut()
        .for_each(|y| *y += 100.0);
    let json =
        |days: &str| format!(r#"{{"kind":"xgboost","trees":{{"grid":[{{"eta":0.2}}]{days}}}}}"#);
    let recent = fitted(&json(r#","recent_days":900"#), &train, &train, 1);
    assert_eq!(stages(&recent)[0].train_rows, 900);
    assert!(recent.predict(&train.rows).values.iter().all(|v| *v < 20.0));
    assert_eq!(
        stages(&fitted(&json(""), &train, &train, 1))[0].train_rows,
        2000
    );
}

#[test]
fn garbage_is_not_a_model() {
    assert!(Trees::load(b"nonsense", &["q"]).is_err());
    let rows = users(400, 1, step);
    let peer = fitted(
        r#"{"kind":"xgboost","trees":{"grid":[{}]}}"#,
        &rows,
        &rows,
        1,
    );
    let mut document = peer.document().clone();
    // Trees of five columns, an encoding of four.
    document.encoding.features.clear();
    assert!(Peer::new(document).is_err());
}

#[test]
fn a_model_of_several_outputs_is_refused() {
    let matrix = || crate::matrix::Matrix {
        rows: 30,
        values: (0..30).map(|i| i as f32).collect(),
    };
    let grown = |objective: &str, more: Option<(&'static str, String)>| {
        let train = Sample {
            matrix: matrix(),
            labels: (0..30).map(|i| (i / 10) as f32).collect(),
        };
        let mut parameters = vec![("objective", objective.to_string())];
        parameters.extend(more);
        let job = Job {
            types: &["q"],
            train: &train,
            validation: None,
            parameters,
            absolute: false,
            rounds: 2,
            patience: 1,
        };
        grow(&job).unwrap().model
    };
    let one = Trees::load(&grown("reg:squarederror", None), &["q"]).unwrap();
    assert_eq!(one.predict(&matrix()).len(), 30);
    let three = grown("multi:softprob", Some(("num_class", "3".to_string())));
    let error = Trees::load(&three, &["q"]).unwrap_err().to_string();
    assert!(error.contains("not one finite number"), "{error}");
}
