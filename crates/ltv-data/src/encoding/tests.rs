//! Fitting and applying against slow references.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::{
    dataset::Dataset,
    split,
    stream::StreamError,
    testing::{self, Row, batch, rows, write_rows},
};
use arrow::{
    array::{Array, ArrayRef, BooleanArray, Int32Array, LargeStringArray},
    record_batch::RecordBatch,
};
use ltv_core::{
    Horizons,
    config::{EncodingOptions, Mature, Part, Split},
    encoding::{Cells, Encoding, FeatureEncoding, Scale},
};
use proptest::prelude::*;
use std::{path::Path, sync::Arc};

fn open(folder: &Path, rows: &[Row], file_rows: usize) -> Dataset {
    write_rows(folder, rows, file_rows, 64);
    Dataset::open(folder).unwrap()
}

fn options() -> EncodingPlan {
    EncodingPlan {
        cohort: false,
        cells: EncodingOptions {
            min_category_rows: 5,
            max_bins: 32,
            ..EncodingOptions::default()
        },
        numbers: true,
        horizons: None,
        news: None,
    }
}

fn train(rows: &[Row], split: &Split) -> Vec<Row> {
    let horizons = Horizons::new(vec![30, 90]).unwrap();
    let parts = split::parts(&batch(rows), split, &horizons, "test").unwrap();
    let chosen = rows
        .iter()
        .zip(parts)
        .filter(|(_, p)| *p == Some(Part::Train));
    chosen.map(|(r, _)| r.clone()).collect()
}

#[test]
fn fit_sees_training_rows_only() {
    let folder = tempfile::tempdir().unwrap();
    let all = rows(3000);
    let split = Split {
        test: 0.3,
        mature: Mature::Longest,
        ..Split::default()
    };
    let fitted = fit(&open(folder.path(), &all, 1000), &split, &options()).unwrap();
    let train = train(
        &all,
        &Split {
            mature: Mature::Longest,
            ..split.clone()
        },
    );
    assert_eq!(
        fitted.train_rows,
        train.iter().filter(|r| r.labels[1].is_some()).count() as u64
    );

    // Few distinct values: every one is a bin; the channel's vocabulary is sorted.
    let distinct = |values: &mut dyn Iterator<Item = f64>| {
        let mut values: Vec<f64> = values.filter(|&x| x != 0.0).collect();
        values.sort_unstable_by(f64::total_cmp);
        values.dedup();
        values.pop();
        values
    };
    let active = distinct(&mut train.iter().filter_map(|r| r.active_days));
    let cnt = distinct(&mut train.iter().flat_map(|r| r.cnt).flatten());
    let cells: Vec<&Cells> = fitted.encoding.features.iter().map(|f| &f.cells).collect();
    assert_eq!(cells[0], &Cells::Bins { edges: active });
    assert_eq!(cells[1], &Cells::Bins { edges: cnt });
    let words = ["ads", "friend", "store"].map(String::from).to_vec();
    assert_eq!(cells[2], &Cells::Vocabulary { values: words });
    assert_eq!(fitted.encoding.fields(), 4);
    assert_eq!(fitted.encoding.numbers(), 3);

    // Label distribution and the trivial baseline's means.
    for t in 0..2 {
        let mature: Vec<&Row> = train.iter().filter(|r| r.labels[t].is_some()).collect();
        let mean = |get: &dyn Fn(&Row) -> f64| {
            mature.iter().map(|r| get(r)).sum::<f64>() / mature.len() as f64
        };
        let means = fitted.baselines.horizons[t];
        assert_eq!(means.days, [30, 90][t]);
        assert_eq!(fitted.labels[t].count(), mature.len() as u64);
        assert!((means.label_mean - mean(&|r| r.labels[t].unwrap())).abs() < 1e-9);
        let expected = mean(&|r| r.active_days.unwrap_or(0.0));
        assert!((means.signal_mean - expected).abs() < 1e-9);
        assert_eq!(fitted.baselines.signal, "active_days");
    }
}

#[test]
fn files_and_threads_do_not_change_the_fit() {
    let all = rows(2000);
    let split = Split::default();
    let fit_with = |file_rows: usize, threads: usize| {
        let folder = tempfile::tempdir().unwrap();
        let dataset = open(folder.path(), &all, file_rows);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let fitted = pool.install(|| fit(&dataset, &split, &options())).unwrap();
        (serde_json::to_string(&fitted.encoding).unwrap(), fitted)
    };
    let first = fit_with(2000, 1);
    assert_eq!(first, fit_with(2000, 4));
    assert_eq!(first, fit_with(2000, 4));
    // Other files, other order of the rows of a sequence: only the rounding of sums may differ.
    let (_, other) = fit_with(170, 2);
    for (a, b) in first
        .1
        .encoding
        .features
        .iter()
        .zip(&other.encoding.features)
    {
        assert_eq!(a.cells, b.cells);
        if let (Some(a), Some(b)) = (a.scale, b.scale) {
            assert!((a.mean - b.mean).abs() < 1e-12 && (a.sd - b.sd).abs() < 1e-12);
        }
    }
}

#[test]
fn nobody_to_train_on_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = open(folder.path(), &rows(100), 100);
    let split = Split {
        registered_from: Some(ltv_core::Day(1000)),
        ..Split::default()
    };
    let error = fit(&dataset, &split, &options()).unwrap_err();
    assert!(
        matches!(
            error,
            StreamError::NoTrainingRows {
                rows: 100,
                days: 32,
                ..
            }
        ),
        "{error}"
    );
    let horizons = Some(Horizons::new(vec![30, 365]).unwrap());
    let error = fit(
        &dataset,
        &split,
        &EncodingPlan {
            horizons,
            ..options()
        },
    )
    .unwrap_err();
    assert!(error.to_string().contains("365"), "{error}");
}

#[test]
fn a_scoring_batch_may_have_other_types_but_no_gaps() {
    let encoding = Encoding {
        cohort: None,
        features: vec![
            feature(
                "n",
                Cells::Bins {
                    edges: vec![1.0, 2.0],
                },
                true,
            ),
            feature("b", Cells::Bins { edges: vec![] }, false),
            feature(
                "w",
                Cells::Vocabulary {
                    values: vec!["7".into(), "x".into()],
                },
                false,
            ),
            feature(
                "i",
                Cells::Vocabulary {
                    values: vec!["7".into()],
                },
                false,
            ),
        ],
        plain: vec![],
    };
    let n: ArrayRef = Arc::new(Int32Array::from(vec![Some(2), None, Some(0)]));
    let b: ArrayRef = Arc::new(BooleanArray::from(vec![true, false, true]));
    let w: ArrayRef = Arc::new(LargeStringArray::from(vec![Some("x"), Some("y"), None]));
    let i: ArrayRef = Arc::new(Int32Array::from(vec![7, 8, 7]));
    let batch = RecordBatch::try_from_iter([("i", i), ("w", w), ("b", b), ("n", n)]).unwrap();
    let got = encode_batch(&encoding, &batch, None).unwrap();
    assert_eq!(got.cells, [3, 2, 3, 2, 0, 1, 1, 1, 1, 2, 0, 2]);
    assert_eq!((got.numbers.len(), got.labels.len()), (3, 0));
    let missing = batch.project(&[0, 1, 2]).unwrap();
    let error = encode_batch(&encoding, &missing, None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("no column 'n'"), "{error}");
    let wrong = RecordBatch::try_from_iter([
        ("n", batch.column(1).clone()),
        ("b", batch.column(2).clone()),
        ("w", batch.column(1).clone()),
        ("i", batch.column(0).clone()),
    ]);
    let error = encode_batch(&encoding, &wrong.unwrap(), None)
        .unwrap_err()
        .to_string();
    assert!(error.contains("column 'n' is LargeUtf8"), "{error}");
}

fn feature(name: &str, cells: Cells, scaled: bool) -> FeatureEncoding {
    let scale = scaled.then_some(Scale { mean: 0.5, sd: 2.0 });
    FeatureEncoding {
        name: name.into(),
        columns: vec![name.into()],
        cells,
        scale,
    }
}

/// Mean and standard deviation, in two passes.
fn moments(x: &[f64]) -> (f64, f64) {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

#[test]
fn ages_are_those_of_the_training_rows_and_of_the_mature_among_them() {
    let folder = tempfile::tempdir().unwrap();
    let (all, split) = (rows(3000), Split::default());
    let how = EncodingPlan {
        cohort: true,
        ..options()
    };
    let dataset = open(folder.path(), &all, 1000);
    let as_of = dataset.manifest().as_of;
    let encoding = fit(&dataset, &split, &how).unwrap().encoding;
    let cohort = encoding.cohort.clone().unwrap();
    let train = train(&all, &split);
    let age = |row: &Row| (f64::from(as_of.0 - row.reg_day) / 365.25).ln_1p();
    let (mean, sd) = moments(&train.iter().map(age).collect::<Vec<_>>());
    assert!((cohort.scale.mean - mean).abs() < 1e-9 && (cohort.scale.sd - sd).abs() < 1e-9);
    assert_eq!(cohort.least.len(), 2);
    for (t, least) in cohort.least.iter().enumerate() {
        let mature = train.iter().filter(|row| row.labels[t].is_some());
        let (mean, sd) = moments(&mature.map(age).collect::<Vec<_>>());
        let expected = (mean - 4.0 * sd).exp_m1();
        assert!(expected > 0.1 && (least - expected).abs() < 1e-9, "{least}");
    }
    let encoded = encode_batch(&encoding, &batch(&all[..300]), None).unwrap();
    let width = encoding.numbers();
    for (row, numbers) in all.iter().zip(encoded.numbers.chunks_exact(width)) {
        let expected: Vec<f32> = cohort.numbers(ltv_core::Day(row.reg_day)).collect();
        assert_eq!(&numbers[width - 2..], expected);
    }
}

#[test]
fn users_of_one_day_have_no_trend() {
    let folder = tempfile::tempdir().unwrap();
    let same_day = |row| Row { reg_day: 7, ..row };
    let all: Vec<Row> = rows(500).into_iter().map(same_day).collect();
    let how = EncodingPlan {
        cohort: true,
        ..options()
    };
    let fitted = fit(&open(folder.path(), &all, 500), &Split::default(), &how).unwrap();
    assert_eq!(fitted.encoding.cohort, None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn encoding_equals_a_slow_reference(
        n in 0usize..700, skip in 0usize..300,
        edges in proptest::collection::btree_set(1i8..20, 0..6),
    ) {
        let edges: Vec<f64> = edges.into_iter().map(f64::from).collect();
        let mut cnt = feature("cnt", Cells::Bins { edges: edges.clone() }, true);
        cnt.columns = vec!["cnt_d0".into(), "cnt_d1".into()];
        let words = Cells::Vocabulary { values: vec!["ads".into(), "friend".into()] };
        let encoding = Encoding {
            cohort: None,
            features: vec![
                feature("channel", words, false),
                cnt,
                feature("active_days", Cells::Bins { edges }, false),
            ],
            plain: vec!["active_days".into()],
        };
        let rows = testing::rows(n + skip).split_off(skip);
        let horizons = Horizons::new(vec![90]).unwrap();
        let got = encode_batch(&encoding, &batch(&rows), Some(&horizons)).unwrap();
        let mut expected = ltv_core::encoding::EncodedRows { rows: n, ..Default::default() };
        for row in &rows {
            let [channel, cnt, active] = &encoding.features[..] else { unreachable!() };
            expected.cells.push(channel.cells.of_text(row.channel));
            expected.cells.extend(row.cnt.map(|x| cnt.cells.of_number(x)));
            expected.cells.push(active.cells.of_number(row.active_days));
            expected.plain.push(row.active_days.unwrap_or(f64::NAN));
            expected.numbers.extend(row.cnt.map(|x| cnt.scale.unwrap().apply(x)));
            expected.labels.push(row.labels[1].unwrap_or(f64::NAN));
        }
        prop_assert_eq!(format!("{got:?}"), format!("{expected:?}"));
        prop_assert!(batch(&rows).column(0).null_count() == 0);
    }
}
