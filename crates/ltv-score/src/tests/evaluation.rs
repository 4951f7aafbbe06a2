//! Evaluations of datasets against the same numbers put together by hand.

use super::place;
use crate::{
    EvaluateOptions, ScoreError, assess_dataset,
    evaluate::{MOST_SEGMENTS, NO_VALUE, OTHER},
    evaluate_dataset,
    testing::{Fake, batch, channel, days, labels, predicted, status, write},
};
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use ltv_core::{
    Day, Fault, Horizons,
    baseline::{BaselineHorizon, Baselines},
    config::{Part, Split},
    predictor::Predictor,
    progress::Silent,
    seed::user_fraction,
};
use ltv_data::split::Rows;
use ltv_eval::{
    Bootstrap, Calibration, CentralTally, EvalInput, NamedPredictions, QuantileShare, Segments,
    SpillOptions, evaluate,
};
use std::sync::Arc;

const CHANNELS: [&str; 4] = [NO_VALUE, "ads", "friend", "store"];

fn split() -> Split {
    Split {
        test: 0.5,
        validation: 0.1,
        ..Split::default()
    }
}

fn baselines() -> Baselines {
    let horizon = |days, label_mean| BaselineHorizon {
        days,
        label_mean,
        signal_mean: 2.0,
    };
    Baselines {
        signal: "active_days".into(),
        horizons: vec![horizon(30, 3.0), horizon(90, 7.0)],
    }
}

fn options() -> EvaluateOptions {
    EvaluateOptions {
        split: split(),
        rows: Rows::Part(Part::Test),
        segments: vec!["channel".into()],
        bootstrap: Some(Bootstrap {
            replicates: 40,
            seed: 3,
        }),
        reference: Some("trivial sort".into()),
        baselines: Some(baselines()),
        batch_rows: 29,
        ..EvaluateOptions::default()
    }
}

/// The test users in the order of the dataset's files, by the definition of the split.
fn tested() -> Vec<usize> {
    let order = (0..3).flat_map(|k| (0..300).filter(move |i| i % 3 == k));
    let test = |&i: &usize| {
        user_fraction(i as i64) < 0.5 && labels(i)[0].is_some() && status(i) != "observing"
    };
    order.filter(test).collect()
}

fn matrix(users: &[usize], horizons: &[usize], f: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    let row = |&i: &usize| horizons.iter().map(|&t| f(i, t)).collect::<Vec<_>>();
    users.iter().flat_map(row).collect()
}

/// The evaluation of these columns, from arrays.
fn by_hand(users: &[usize], positions: &[usize], model: bool) -> ltv_eval::Evaluation {
    let horizons = positions.iter().map(|&t| [30, 90][t]).collect();
    let means = baselines();
    let mut predictions = vec![];
    let mut push = |name: &str, f: &dyn Fn(usize, usize) -> f64| {
        predictions.push(NamedPredictions {
            name: name.into(),
            values: matrix(users, positions, f),
        });
    };
    if model {
        push("odmn", &predicted);
        push("odmn (median)", &|i, t| predicted(i, t) / 2.0 + 0.25);
    }
    push("trivial sort", &|i, t| {
        days(i).unwrap_or(0.0) * (means.horizons[t].label_mean / 2.0)
    });
    push("train mean", &|_, t| means.horizons[t].label_mean);
    let code = |&i: &usize| {
        let name = channel(i).unwrap_or(NO_VALUE);
        CHANNELS.iter().position(|&c| c == name).unwrap() as u32
    };
    let mut evaluation = evaluate(&EvalInput {
        horizons: &Horizons::new(horizons).unwrap(),
        labels: &matrix(users, positions, |i, t| labels(i)[t].unwrap_or(f64::NAN)),
        predictions: &predictions,
        segments: &[Segments {
            name: "channel".into(),
            codes: users.iter().map(code).collect(),
            labels: CHANNELS.map(String::from).into(),
        }],
        bootstrap: options().bootstrap,
        reference: Some("trivial sort"),
    })
    .unwrap();
    for (result, &t) in evaluation.results.iter_mut().zip(positions) {
        result.calibration = model.then(|| calibration(users, t));
    }
    evaluation
}

/// Whether the fake's distributions hold, for those whose label is known.
fn calibration(users: &[usize], t: usize) -> Calibration {
    let known: Vec<(f64, f64)> = users
        .iter()
        .filter_map(|&i| Some((labels(i)[t]?, predicted(i, t))))
        .collect();
    let mut central = CentralTally::default();
    known
        .iter()
        .for_each(|(y, _)| central.add(y / (1.0 + y), y / (1.0 + y)));
    let quantile = |level, of: &dyn Fn(f64) -> f64| {
        let count = |f: &dyn Fn(f64, f64) -> bool| {
            known.iter().filter(|(y, value)| f(*y, of(*value))).count() as u64
        };
        let (below, at_or_below) = (count(&|y, q| y < q), count(&|y, q| y <= q));
        QuantileShare::new(level, below, at_or_below, known.len() as u64)
    };
    Calibration {
        users: known.len() as u64,
        central: central.central(),
        quantiles: vec![
            quantile(0.1, &|v| v / 2.0),
            quantile(0.5, &|v| v / 2.0 + 0.25),
            quantile(0.9, &|v| v * 2.0),
        ],
    }
}

#[test]
fn a_dataset_is_evaluated_as_its_arrays_are() {
    let (_folder, dataset, _) = place();
    let model = Fake::new();
    let users = tested();
    assert!((50..100).contains(&users.len()));
    for threads in [1, 3] {
        let options = EvaluateOptions {
            threads,
            ..options()
        };
        let found = evaluate_dataset(&dataset, Some(&model), &options, &Silent).unwrap();
        assert_eq!(found, by_hand(&users, &[0, 1], true));
    }
}

/// Rows beyond the memory go through files. Where each scope fits by itself, nothing differs.
#[test]
fn files_give_what_arrays_give() {
    let (_folder, dataset, _) = place();
    let (model, users) = (Fake::new(), tested());
    let scratch = tempfile::tempdir().unwrap();
    let through = |spill| {
        let options = EvaluateOptions { spill, ..options() };
        assess_dataset(&dataset, Some(&model), &options, &Silent).unwrap()
    };
    let files = |memory| {
        Some(SpillOptions {
            folder: scratch.path().to_path_buf(),
            memory,
        })
    };
    let (in_memory, evidence) = through(None);
    // Bytes for all rows of one scope, but not for those of both horizons with all their columns.
    let some = files(290 * users.len() as u64);
    assert!(some.as_ref().unwrap().rows_in_memory(2, 4, 2) < users.len() as u64);
    assert_eq!(through(some), (in_memory.clone(), evidence.clone()));
    let (found, own) = through(files(0));
    assert_eq!(own, evidence);
    assert_eq!(found.results[0].overall.drawn, Some(50));
    for (found, expected) in found.results.iter().zip(&in_memory.results) {
        assert_eq!(found.calibration, expected.calibration);
        let pairs = found.overall.scores.iter().zip(&expected.overall.scores);
        for (found, expected) in pairs.flat_map(|(a, b)| a.metrics.iter().zip(&b.metrics)) {
            let (a, b) = (found.value.unwrap_or(-9.0), expected.value.unwrap_or(-9.0));
            assert!(
                (a - b).abs() <= 1e-12 * b.abs().max(1.0),
                "{found:?} {expected:?}"
            );
        }
    }
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[test]
fn all_rows_one_horizon_or_the_baselines_alone() {
    let (_folder, dataset, _) = place();
    let model = Fake::new();
    let users: Vec<usize> = (0..3)
        .flat_map(|k| (0..300).filter(move |i| i % 3 == k))
        .collect();
    let all = EvaluateOptions {
        rows: Rows::All,
        ..options()
    };
    let found = evaluate_dataset(&dataset, None, &all, &Silent).unwrap();
    assert_eq!(found, by_hand(&users, &[0, 1], false));
    let one = EvaluateOptions {
        horizons: Some(Horizons::new(vec![90]).unwrap()),
        ..all
    };
    let found = evaluate_dataset(&dataset, Some(&model), &one, &Silent).unwrap();
    assert_eq!(found, by_hand(&users, &[1], true));
}

#[test]
fn everybody_with_a_label_whatever_the_part() {
    let (_folder, dataset, _) = place();
    let order = (0..3).flat_map(|k| (0..300).filter(move |i| i % 3 == k));
    let ripe = |&i: &usize| {
        labels(i)[0].is_some()
            && !["observing", "no_events"].contains(&status(i))
            && (10..20).contains(&(i % 50))
    };
    let users: Vec<usize> = order.filter(ripe).collect();
    let mature = EvaluateOptions {
        rows: Rows::Mature,
        split: Split {
            registered_from: Some(Day(10)),
            registered_before: Some(Day(20)),
            ..split()
        },
        ..options()
    };
    let found = evaluate_dataset(&dataset, Some(&Fake::new()), &mature, &Silent).unwrap();
    assert_eq!(found, by_hand(&users, &[0, 1], true));
}

#[test]
fn a_model_may_know_no_distribution() {
    let (_folder, dataset, _) = place();
    let model = Fake::with(|_, out| {
        out.quantiles.clear();
        out.positive.clear();
    });
    let found = evaluate_dataset(&dataset, Some(&model), &options(), &Silent).unwrap();
    let names: Vec<_> = found.sets.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["odmn", "trivial sort", "train mean"]);
    let whole = by_hand(&tested(), &[0, 1], true);
    let of = |e: &ltv_eval::Evaluation| e.results[0].overall.set("odmn").cloned();
    assert_eq!(of(&found), of(&whole));
    let encoder = ltv_data::encoding::Encoder::new(Arc::new(model.encoding().clone()));
    let error = crate::score_batch(&model, &encoder, &batch(&[0, 1]), Day(200)).unwrap_err();
    assert_eq!(error.fault(), Fault::User);
    assert!(error.to_string().contains("P(value > 0)"), "{error}");
}

#[test]
fn nobody_to_evaluate_is_an_error_that_says_why() {
    let (_folder, dataset, _) = place();
    for rows in [Rows::Mature, Rows::Part(Part::Test)] {
        let options = EvaluateOptions {
            rows,
            split: Split {
                registered_from: Some(Day(170)),
                ..split()
            },
            ..options()
        };
        let error = evaluate_dataset(&dataset, Some(&Fake::new()), &options, &Silent).unwrap_err();
        assert_eq!(error.fault(), Fault::User);
        let text = error.to_string();
        assert!(text.contains("registered on 1970-06-20 or later"), "{text}");
        // Known as of day 200: a window of 7 days and 30 more.
        assert!(
            text.contains("registration on 1970-06-13 or before"),
            "{text}"
        );
    }
}

#[test]
fn scratch_files_that_cannot_be_made_are_an_error_of_the_user() {
    let (_folder, dataset, _) = place();
    let options = EvaluateOptions {
        spill: Some(SpillOptions {
            folder: "nowhere/at/all".into(),
            memory: 0,
        }),
        ..options()
    };
    let error = evaluate_dataset(&dataset, None, &options, &Silent).unwrap_err();
    assert_eq!(error.fault(), Fault::User);
    assert!(error.to_string().contains("nowhere/at/all"), "{error}");
}

/// Of 60 channels the first has one user, the next two, and so on.
#[test]
fn rare_segments_are_put_together() {
    let users: Vec<usize> = (0..1830).collect();
    let mut channel = vec![];
    for i in 0..60 {
        channel.extend(std::iter::repeat_n(format!("c{i:02}"), i + 1));
    }
    let plain = batch(&users);
    let columns = plain.schema();
    let columns = columns.fields().iter().zip(plain.columns());
    let columns = columns.map(|(field, array)| {
        let array = match field.name().as_str() {
            "channel" => Arc::new(StringArray::from(channel.clone())) as ArrayRef,
            _ => array.clone(),
        };
        (field.name().clone(), array, true)
    });
    let folder = tempfile::tempdir().unwrap();
    let many = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let dataset = write(folder.path(), &[many]);
    let options = EvaluateOptions {
        rows: Rows::All,
        bootstrap: None,
        ..options()
    };
    let found = evaluate_dataset(&dataset, None, &options, &Silent).unwrap();
    let values = &found.results[0].segments[0].values;
    assert_eq!(values.len(), MOST_SEGMENTS + 1);
    assert_eq!(
        (values[0].label.as_str(), values[49].label.as_str()),
        ("c10", "c59")
    );
    assert_eq!(values[50].label, OTHER);
    let mature = |start: usize, end: usize| {
        let known = (start..end).filter(|&i| labels(i)[0].is_some());
        known.count() as u64
    };
    // c00 to c09: 1 + 2 + ... + 10 users.
    assert_eq!(values[50].rows, mature(0, 55));
    assert_eq!(values[0].rows, mature(55, 66));
}

#[test]
fn what_does_not_fit_is_named() {
    let (_folder, dataset, _) = place();
    let model = Fake::new();
    let fails = |model: Option<&dyn Predictor>, options: EvaluateOptions| -> ScoreError {
        let error = evaluate_dataset(&dataset, model, &options, &Silent).unwrap_err();
        assert_eq!(error.fault(), Fault::User, "{error}");
        error
    };
    let mut longer = Fake::new();
    longer.horizons = Horizons::new(vec![30, 365]).unwrap();
    let bare = EvaluateOptions::default;
    let error = fails(Some(&longer), bare()).to_string();
    assert!(error.contains("no labels for 365 days"), "{error}");

    let horizons = Some(Horizons::new(vec![60]).unwrap());
    let error = fails(Some(&model), EvaluateOptions { horizons, ..bare() }).to_string();
    assert!(error.contains("model has no horizon of 60 days"), "{error}");

    let segments = vec!["active_days".to_owned()];
    let error = fails(Some(&model), EvaluateOptions { segments, ..bare() }).to_string();
    assert!(
        error.contains("'active_days'") && error.contains("channel"),
        "{error}"
    );

    let mut revenue = baselines();
    revenue.signal = "value_sum".into();
    let error = fails(
        None,
        EvaluateOptions {
            baselines: Some(revenue),
            ..bare()
        },
    );
    assert!(
        matches!(
            error,
            ScoreError::Signal {
                expected: "active_days",
                ..
            }
        ),
        "{error}"
    );

    let mut few = baselines();
    few.horizons.pop();
    let error = fails(
        Some(&model),
        EvaluateOptions {
            baselines: Some(few),
            ..bare()
        },
    );
    assert!(
        error
            .to_string()
            .contains("baselines has no horizon of 90 days"),
        "{error}"
    );

    assert!(matches!(fails(None, bare()), ScoreError::NothingToEvaluate));
    let window = EvaluateOptions {
        expected_window: Some(3),
        ..bare()
    };
    assert!(matches!(
        fails(Some(&model), window),
        ScoreError::Window { .. }
    ));
}
