//! The document: intervals, segments, errors, text.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use ltv_core::{Fault, Horizons};
use ltv_eval::{
    Bootstrap, EvalError, EvalInput, Evaluation, Metric, NamedPredictions, Null, Segments,
    TooSmall, evaluate,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

struct Data {
    horizons: Horizons,
    labels: Vec<f64>,
    predictions: Vec<NamedPredictions>,
    segments: Vec<Segments>,
}

/// 600 users, two horizons, a model that knows something, one that knows nothing, a constant.
fn data() -> Data {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut draw = || random.random_range(0.0..1.0f64);
    let (mut labels, mut model, mut noise) = (Vec::new(), Vec::new(), Vec::new());
    for user in 0..600 {
        let worth = if draw() < 0.4 {
            (draw() * 20.0).floor()
        } else {
            0.0
        };
        labels.extend([
            worth,
            if user % 5 == 0 {
                f64::NAN
            } else {
                worth + (draw() * 4.0).floor()
            },
        ]);
        let guess = 0.5 * worth + (draw() * 5.0).round();
        model.extend([guess, guess + 1.0]);
        let other = (draw() * 8.0).round();
        noise.extend([other, other - draw().round().min(other)]);
    }
    let set = |name: &str, values| NamedPredictions {
        name: name.to_owned(),
        values,
    };
    let constant = vec![2.0; labels.len()];
    let codes = (0..600)
        .map(|u| {
            if u < 400 {
                0
            } else if u < 580 {
                1
            } else {
                2
            }
        })
        .collect();
    let segment = Segments {
        name: "country".to_owned(),
        codes,
        labels: ["France", "a name that is much too long", "Malta", "nobody"]
            .map(str::to_owned)
            .into(),
    };
    Data {
        horizons: Horizons::new(vec![30, 90]).unwrap(),
        labels,
        predictions: vec![
            set("model", model),
            set("noise", noise),
            set("constant", constant),
        ],
        segments: vec![segment],
    }
}

fn input(data: &Data) -> EvalInput<'_> {
    EvalInput {
        horizons: &data.horizons,
        labels: &data.labels,
        predictions: &data.predictions,
        segments: &data.segments,
        bootstrap: Some(Bootstrap {
            replicates: 200,
            seed: 11,
        }),
        reference: Some("noise"),
    }
}

fn run(threads: usize) -> Evaluation {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    pool.install(|| evaluate(&input(&data())).unwrap())
}

#[test]
fn same_bytes_for_any_number_of_threads() {
    let one = run(1).to_json().unwrap();
    assert_eq!(one, run(4).to_json().unwrap());
}

#[test]
fn another_seed_moves_intervals_but_no_value() {
    let data = data();
    let a = evaluate(&input(&data)).unwrap();
    let other = Some(Bootstrap {
        replicates: 200,
        seed: 12,
    });
    let b = evaluate(&EvalInput {
        bootstrap: other,
        ..input(&data)
    })
    .unwrap();
    let score = |e: &Evaluation| {
        e.results[0].overall.scores[0]
            .score(Metric::NormGini)
            .unwrap()
            .clone()
    };
    assert_eq!(score(&a).value, score(&b).value);
    assert_ne!(score(&a).interval, score(&b).interval);
}

/// A row-by-row resample must give what the multiplicities give: same distribution, so the same
/// interval up to its own noise.
#[test]
fn intervals_agree_with_resampled_rows() {
    let data = data();
    let bootstrap = Some(Bootstrap {
        replicates: 2000,
        seed: 1,
    });
    let found = evaluate(&EvalInput {
        bootstrap,
        segments: &[],
        ..input(&data)
    })
    .unwrap();
    let scores = &found.results[0].overall.scores[0];
    let column = |m: &[f64]| -> Vec<f64> { m.iter().step_by(2).copied().collect() };
    let (y, p) = (column(&data.labels), column(&data.predictions[0].values));
    let mut random = ChaCha8Rng::seed_from_u64(99);
    let mut all = vec![Vec::new(); Metric::COUNT];
    for _ in 0..2000 {
        let rows: Vec<usize> = (0..y.len())
            .map(|_| random.random_range(0..y.len()))
            .collect();
        let (ry, rp): (Vec<f64>, Vec<f64>) = rows.iter().map(|&r| (y[r], p[r])).unzip();
        let s = ltv_eval::score("resample", &ry, &rp).unwrap();
        Metric::ALL
            .iter()
            .for_each(|&m| all[m as usize].push(s.value(m).unwrap()));
    }
    for metric in Metric::ALL {
        let values = &mut all[metric as usize];
        values.sort_by(f64::total_cmp);
        let (low, high) = (values[50], values[1949]);
        let interval = scores.score(metric).unwrap().interval.unwrap();
        assert_eq!(interval.replicates, 2000);
        let slack = 0.15 * (high - low) + 1e-12;
        let near = (interval.low - low).abs() < slack && (interval.high - high).abs() < slack;
        assert!(
            near,
            "{metric:?}: {interval:?} but rows give [{low}, {high}]"
        );
    }
}

#[test]
fn paired_differences() {
    let evaluation = run(2);
    let scope = &evaluation.results[0].overall;
    let (model, noise) = (scope.set("model").unwrap(), scope.set("noise").unwrap());
    assert!(noise.differences.is_empty());
    let difference = model.difference(Metric::NormGini).unwrap();
    let expected = model.value(Metric::NormGini).unwrap() - noise.value(Metric::NormGini).unwrap();
    assert_eq!(difference.value, Some(expected));
    let interval = difference.interval.unwrap();
    assert!(interval.low > 0.0 && interval.low < expected && expected < interval.high);
    // The labels are the same in every pair of resamples.
    let labels = model.difference(Metric::LabelGini).unwrap();
    assert_eq!(labels.value, Some(0.0));
    let interval = labels.interval.unwrap();
    assert_eq!((interval.low, interval.high), (0.0, 0.0));
}

#[test]
fn segments_are_as_if_evaluated_alone() {
    let data = data();
    let evaluation = evaluate(&input(&data)).unwrap();
    let result = &evaluation.results[1];
    assert_eq!((result.immature, result.overall.rows), (120, 480));
    let values = &result.segments[0].values;
    assert_eq!(values.iter().map(|v| v.rows).sum::<u64>(), 480);
    let pick = |m: &[f64]| -> Vec<f64> { (0..400).map(|u| m[2 * u + 1]).collect() };
    let alone = ltv_eval::score(
        "model",
        &pick(&data.labels),
        &pick(&data.predictions[0].values),
    );
    let (alone, found) = (alone.unwrap(), values[0].set("model").unwrap());
    for metric in Metric::ALL {
        assert_eq!(found.value(metric), alone.value(metric));
    }
    assert_eq!(found.deciles, alone.deciles);
    assert!(
        values[0].scores[0]
            .score(Metric::NRMSE)
            .unwrap()
            .interval
            .is_some()
    );
    assert_eq!(values[2].reason, Some(TooSmall::FewRows));
    assert_eq!(
        (values[3].rows, values[3].reason),
        (0, Some(TooSmall::FewRows))
    );
    assert!(values[2].scores.is_empty());
}

#[test]
fn a_segment_without_positive_labels_says_so() {
    let mut data = data();
    (0..400).for_each(|u| data.labels[2 * u] = 0.0);
    let evaluation = evaluate(&input(&data)).unwrap();
    assert_eq!(
        evaluation.results[0].segments[0].values[0].reason,
        Some(TooSmall::NoPositiveLabel)
    );
}

#[test]
fn a_horizon_without_mature_rows_is_null_not_an_error() {
    let mut data = data();
    data.labels
        .iter_mut()
        .skip(1)
        .step_by(2)
        .for_each(|y| *y = f64::NAN);
    let evaluation = evaluate(&input(&data)).unwrap();
    let scope = &evaluation.results[1].overall;
    assert_eq!((scope.rows, evaluation.results[1].immature), (0, 600));
    for score in scope.scores.iter().flat_map(|s| &s.metrics) {
        assert_eq!((score.value, score.reason), (None, Some(Null::NoRows)));
    }
    assert!(evaluation.details().contains("no mature rows"));
    let empty = EvalInput {
        labels: &[],
        predictions: &[named("a", vec![])],
        segments: &[],
        reference: None,
        ..input(&data)
    };
    assert_eq!(evaluate(&empty).unwrap().rows, 0);
}

fn named(name: &str, values: Vec<f64>) -> NamedPredictions {
    NamedPredictions {
        name: name.to_owned(),
        values,
    }
}

#[test]
fn document_round_trip_and_version() {
    let evaluation = run(2);
    let json = evaluation.to_json().unwrap();
    let read = Evaluation::from_json(&json).unwrap();
    assert_eq!(read.details(), evaluation.details());
    assert_eq!(
        read.results[0].overall.scores[0].metrics.len(),
        Metric::COUNT
    );
    let error =
        Evaluation::from_json(&json.replacen("\"version\": 1", "\"version\": 9", 1)).unwrap_err();
    assert!(error.to_string().contains("version 9"), "{error}");
}

#[test]
fn text_fits_the_screen_and_keeps_mutual_gini_in_company() {
    let mut data = data();
    data.predictions.push(named(
        "a fourth set with a long and\u{1b}[31m coloured name",
        data.labels.iter().map(|_| 1234.5).collect(),
    ));
    let text = evaluate(&input(&data)).unwrap().details();
    assert!(text.lines().all(|l| l.chars().count() <= 100), "{text}");
    assert!(!text.contains('\u{1b}'));
    let lines: Vec<&str> = text.lines().collect();
    for (i, line) in lines
        .iter()
        .enumerate()
        .filter(|(_, l)| l.trim_start().starts_with("Mutual Gini ↓"))
    {
        assert!(lines[i + 1].contains("Norm. Gini ↑"), "{line}");
    }
    let mutual = lines
        .iter()
        .filter(|l| l.trim_start().starts_with("Mutual Gini ↓"))
        .count();
    assert_eq!(
        mutual, 6,
        "two horizons: two blocks of sets, one of differences"
    );
    assert!(text.contains("fewer than 50 mature rows"));
    assert!(text.contains("predictions all equal"));
}

#[test]
fn the_summary_fits_a_screen() {
    let mut data = data();
    let variant = data.predictions[0].clone();
    let name = format!("{} (median)", variant.name);
    data.predictions.push(named(&name, variant.values));
    let evaluation = evaluate(&input(&data)).unwrap();
    let text = evaluation.summary();
    assert!(text.lines().all(|l| l.chars().count() <= 100), "{text}");
    assert!(text.lines().count() <= 25, "{text}");
    assert!(!text.contains("(median)"), "{text}");
    let model = &evaluation.results[0].overall.scores[0];
    let gini = format!("{:.3}±", model.value(Metric::NormGini).unwrap());
    assert!(text.contains(&gini), "{text}");
    assert!(text.contains("by "), "{text}");
}

#[test]
fn curves_start_at_zero_and_end_at_one() {
    let evaluation = run(1);
    let scores = &evaluation.results[0].overall.scores[0];
    let curves = scores.curves.as_ref().unwrap();
    for curve in [&curves.label, &curves.prediction, &curves.gain] {
        assert_eq!((curve.len(), curve[0]), (101, 0.0));
        assert!((curve[100] - 1.0).abs() < 1e-12);
        assert!(curve.windows(2).all(|w| w[0] <= w[1] + 1e-15));
    }
    assert!((curves.gain[10] - scores.value(Metric::Capture10).unwrap()).abs() < 1e-15);
}

fn message(change: impl FnOnce(&mut Data)) -> EvalError {
    let mut data = data();
    change(&mut data);
    evaluate(&input(&data)).unwrap_err()
}

#[test]
fn errors_name_the_place() {
    let says = |error: EvalError, words: &[&str]| {
        let text = error.to_string();
        assert!(words.iter().all(|w| text.contains(w)), "{text}");
    };
    says(message(|d| d.labels[7] = -2.0), &["ltv_90", "row 4", "-2"]);
    says(
        message(|d| d.labels[8] = f64::INFINITY),
        &["ltv_30", "row 5", "inf"],
    );
    says(
        message(|d| d.predictions[1].values[3] = -0.5),
        &["'noise'", "ltv_90", "row 2", "-0.5"],
    );
    says(
        message(|d| d.predictions[1].values[4] = f64::NAN),
        &["'noise'", "ltv_30", "row 3", "NaN"],
    );
    says(
        message(|d| d.segments[0].codes[9] = 4),
        &["'country'", "row 10", "code 4"],
    );
    says(
        message(|d| d.predictions[0].name = "constant".to_owned()),
        &["'constant'", "twice"],
    );
    says(
        message(|d| d.predictions[1].name = "other".to_owned()),
        &["'noise'", "constant"],
    );
    says(message(|d| d.predictions.clear()), &["at least one"]);
    says(
        message(|d| d.labels.truncate(1199)),
        &["labels", "1198", "1199"],
    );
    let shape = message(|d| d.predictions[2].values.truncate(1199));
    assert_eq!(shape.fault(), Fault::Internal);
    assert_eq!(message(|d| d.labels[0] = -1.0).fault(), Fault::User);
    let data = data();
    let few = EvalInput {
        bootstrap: Some(Bootstrap {
            replicates: 5,
            seed: 0,
        }),
        ..input(&data)
    };
    says(evaluate(&few).unwrap_err(), &["5 replicates", "20"]);
}
