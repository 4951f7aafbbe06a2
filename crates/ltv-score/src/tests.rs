//! Snapshots against the users they were made from.
#![allow(clippy::unwrap_used, reason = "tests")]

mod elsewhere;
mod evaluation;

use crate::{
    EvaluateOptions, PastHorizon, ScoreError, ScoreOptions, evaluate_dataset, score, score_batch,
    snapshot_schema,
    testing::{AS_OF, Fake, batch, dataset, days, predicted, status, write},
};
use arrow::{
    array::{ArrayRef, AsArray, RecordBatch, StringArray},
    compute::concat_batches,
    datatypes::{DataType, Date32Type, Float64Type, Int64Type},
};
use ltv_core::{
    Fault, Horizons,
    artefact::checksum,
    manifest::{MANIFEST, SnapshotManifest},
    predictor::Predictor,
    progress::Silent,
};
use ltv_data::{Dataset, encoding::Encoder};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};
use tempfile::TempDir;

/// Users 0..300 in three files, by remainder.
fn people(folder: &Path) -> Dataset {
    let file = |k: usize| (0..300).filter(|i| i % 3 == k).collect::<Vec<_>>();
    dataset(folder, &[file(0), file(1), file(2)])
}

fn options() -> ScoreOptions {
    ScoreOptions {
        file_rows: Some(80),
        ..ScoreOptions::default()
    }
}

/// A dataset, and a folder to score into.
fn place() -> (TempDir, Dataset, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let dataset = people(&data);
    let out = folder.path().join("out/snapshot");
    (folder, dataset, out)
}

fn run(dataset: &Dataset, model: &Fake, out: &Path) -> Result<SnapshotManifest, ScoreError> {
    score(dataset, model, out, &options(), &Silent)
}

fn read(out: &Path) -> RecordBatch {
    let manifest = SnapshotManifest::read(out).unwrap();
    let mut batches = vec![];
    for file in &manifest.files {
        let path = out.join(&file.path);
        assert_eq!(checksum(&path).unwrap(), file.blake3);
        assert_eq!(path.metadata().unwrap().len(), file.bytes);
        let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).unwrap());
        batches.extend(reader.unwrap().build().unwrap().map(Result::unwrap));
    }
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

fn numbers(batch: &RecordBatch, name: &str) -> Vec<f64> {
    batch[name].as_primitive::<Float64Type>().values().to_vec()
}

fn users(batch: &RecordBatch) -> Vec<usize> {
    let ids = batch["user_id"].as_primitive::<Int64Type>();
    ids.values().iter().map(|&id| id as usize).collect()
}

/// Every file below `folder` with its bytes.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|e| {
            let name = e.file_name().to_string_lossy().into_owned();
            (name, fs::read(e.path()).unwrap())
        })
        .collect()
}

fn check_rows(batch: &RecordBatch) {
    for (row, i) in users(batch).into_iter().enumerate() {
        assert_eq!(batch["status"].as_string::<i32>().value(row), status(i));
        assert_eq!(batch["model_id"].as_string::<i32>().value(row), "fake");
        assert_eq!(
            batch["as_of"].as_primitive::<Date32Type>().value(row),
            AS_OF.0
        );
        for (t, name) in ["ltv_30", "ltv_90"].into_iter().enumerate() {
            let value = predicted(i, t);
            let cell = |suffix: &str| numbers(batch, &format!("{name}{suffix}"))[row];
            assert_eq!(cell(""), value);
            assert_eq!(cell("_p10"), value / 2.0);
            assert_eq!(cell("_p50"), value / 2.0 + 0.25);
            assert_eq!(cell("_p90"), value * 2.0);
            assert_eq!(cell("_positive"), value / (1.0 + value));
        }
    }
}

#[test]
fn everybody_is_scored_whatever_the_status() {
    let (_folder, dataset, out) = place();
    let manifest = run(&dataset, &Fake::new(), &out).unwrap();
    assert_eq!(manifest, SnapshotManifest::read(&out).unwrap());
    let rows: Vec<u64> = manifest.files.iter().map(|f| f.rows).collect();
    assert_eq!((manifest.rows, rows), (300, vec![80, 60, 60, 80, 20]));
    let batch = read(&out);
    let expected = snapshot_schema(&DataType::Int64, &Horizons::new(vec![30, 90]).unwrap());
    assert_eq!(batch.schema().fields(), expected.fields());
    let mut found = users(&batch);
    found.sort_unstable();
    assert_eq!(found, (0..300).collect::<Vec<_>>());
    check_rows(&batch);
    let unknown = (0..300).filter(|&i| days(i).is_none()).count() as u64;
    assert_eq!(
        (manifest.projected, manifest.order_violations),
        (unknown, 0)
    );
    for t in 0..2 {
        let total: f64 = (0..300).map(|i| predicted(i, t)).sum();
        assert!((manifest.totals[t] - total).abs() < 1e-9);
    }
}

#[test]
fn users_past_the_horizon_can_be_left_out() {
    let (_folder, dataset, out) = place();
    let options = ScoreOptions {
        past_horizon: PastHorizon::Drop,
        ..options()
    };
    let manifest = score(&dataset, &Fake::new(), &out, &options, &Silent).unwrap();
    let batch = read(&out);
    assert_eq!((manifest.rows, batch.num_rows()), (225, 225));
    let dropped = BTreeMap::from([("past_horizon".to_owned(), 75)]);
    assert_eq!(manifest.dropped, dropped);
    assert_eq!(SnapshotManifest::read(&out).unwrap(), manifest);
    assert!(users(&batch).iter().all(|&i| status(i) != "past_horizon"));
    check_rows(&batch);
}

#[test]
fn bytes_do_not_depend_on_threads() {
    let (folder, dataset, _) = place();
    let snapshot = |threads: usize| {
        let out = folder.path().join(format!("threads-{threads}"));
        let options = ScoreOptions {
            threads,
            ..options()
        };
        score(&dataset, &Fake::new(), &out, &options, &Silent).unwrap();
        contents(&out)
    };
    assert_eq!(snapshot(1), snapshot(3));
}

#[test]
fn while_a_run_goes_on_and_after_it_fails_the_old_snapshot_stays() {
    let (folder, dataset, out) = place();
    let seen = out.clone();
    let absent = Fake::with(move |_, _| assert!(!seen.exists()));
    run(&dataset, &absent, &out).unwrap();
    let before = contents(&out);

    let (seen, old) = (out.clone(), before.clone());
    let broken = Fake::with(move |rows, predictions| {
        assert_eq!(contents(&seen), old);
        if rows.rows < 40 {
            predictions.values[3] = f64::NAN;
        }
    });
    let error = run(&dataset, &broken, &out).unwrap_err();
    assert_eq!(error.fault(), Fault::Internal);
    // The second of the last 20 users of the first file, on 90 days.
    let message = error.to_string();
    assert!(message.contains("ltv_90 = NaN for user 243"), "{message}");
    assert_eq!(contents(&out), before);

    let doubled = Fake::with(|_, p| p.values.iter_mut().for_each(|x| *x *= 2.0));
    let other = ScoreOptions {
        model_blake3: Some("of another model".into()),
        ..options()
    };
    score(&dataset, &doubled, &out, &other, &Silent).unwrap();
    let total: f64 = (0..300).map(|i| 2.0 * predicted(i, 0)).sum();
    let manifest = SnapshotManifest::read(&out).unwrap();
    assert!(
        (manifest.totals[0] - total).abs() < 1e-9,
        "all of one model"
    );
    // Nothing hidden is left either.
    assert_eq!(fs::read_dir(folder.path().join("out")).unwrap().count(), 1);
}

#[test]
fn a_first_run_that_fails_or_panics_leaves_nothing() {
    let (folder, dataset, out) = place();
    let negative = Fake::with(|_, p| p.quantiles[4] = -1.0);
    let error = run(&dataset, &negative, &out).unwrap_err().to_string();
    assert!(error.contains("ltv_90_p50 = -1 for user 0"), "{error}");
    let short = Fake::with(|_, p| {
        p.positive.pop();
    });
    let error = run(&dataset, &short, &out).unwrap_err();
    assert!(matches!(error, ScoreError::Shape { .. }), "{error}");
    let dying = Fake::with(|rows, _| assert!(rows.rows == 41, "planned"));
    let run = std::panic::AssertUnwindSafe(|| run(&dataset, &dying, &out));
    assert!(std::panic::catch_unwind(run).is_err());
    assert_eq!(fs::read_dir(folder.path().join("out")).unwrap().count(), 0);
}

/// Killed or failed after any part, a run goes on with the next, and ends in the same bytes.
#[test]
fn parts_that_were_finished_are_not_made_again() {
    let (folder, dataset, out) = place();
    let whole = folder.path().join("whole");
    run(&dataset, &Fake::new(), &whole).unwrap();
    let scored = Arc::new(AtomicUsize::new(0));
    for part in 1..5 {
        let (seen, until) = (scored.clone(), 50 * part);
        let dying = Fake::with(move |rows, p| {
            if seen.fetch_add(rows.rows, Relaxed) >= until {
                p.values[0] = -1.0;
            }
        });
        scored.store(50 * (part - 1), Relaxed);
        run(&dataset, &dying, &out).unwrap_err();
        assert!(!out.exists());
    }
    // A part that was damaged meanwhile is made again.
    let hidden = out.with_file_name(".ltv-part-snapshot/new");
    let first = hidden.join("part-00000.parquet");
    let mut bytes = fs::read(&first).unwrap();
    bytes[100] ^= 1;
    fs::write(&first, bytes).unwrap();
    fs::write(hidden.join("part-00077.parquet"), "of another run").unwrap();
    scored.store(0, Relaxed);
    let seen = scored.clone();
    let counting = Fake::with(move |rows, _| {
        seen.fetch_add(rows.rows, Relaxed);
    });
    run(&dataset, &counting, &out).unwrap();
    assert_eq!(
        scored.load(Relaxed),
        80 + 20,
        "the damaged one and the last"
    );
    assert_eq!(contents(&out), contents(&whole));
    assert_eq!(fs::read_dir(out.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn only_snapshots_are_replaced() {
    let (_folder, dataset, out) = place();
    let in_use = |error: ScoreError, name: &str| match &error {
        ScoreError::OutputInUse { entry, .. } => assert_eq!(entry, name),
        _ => unreachable!("{error}"),
    };
    fs::create_dir_all(&out).unwrap();
    run(&dataset, &Fake::new(), &out).unwrap();
    fs::write(out.join("notes.txt"), "mine").unwrap();
    in_use(run(&dataset, &Fake::new(), &out).unwrap_err(), "notes.txt");
    fs::remove_file(out.join(MANIFEST)).unwrap();
    let error = run(&dataset, &Fake::new(), &out).unwrap_err();
    assert!(matches!(error, ScoreError::OutputInUse { .. }));
    // The dataset itself is a folder with a manifest, of another kind.
    let error = run(&dataset, &Fake::new(), dataset.folder()).unwrap_err();
    assert!(error.to_string().contains("ltv-dataset"), "{error}");
}

#[test]
fn crossing_predictions_are_counted_or_refused() {
    let (_folder, dataset, out) = place();
    let crossing = || {
        Fake::with(|_, p| {
            p.values[1] = p.values[0] / 2.0;
            p.values[0] += 1.0;
        })
    };
    let error = run(&dataset, &crossing(), &out).unwrap_err();
    assert_eq!(error.fault(), Fault::Internal);
    assert!(
        error
            .to_string()
            .contains("for 30 days than for 90 for user 0")
    );
    let options = ScoreOptions {
        monotone: false,
        ..options()
    };
    let manifest = score(&dataset, &crossing(), &out, &options, &Silent).unwrap();
    // The first row of each of the 9 batches.
    assert_eq!((manifest.order_violations, manifest.monotone), (9, false));
}

#[test]
fn a_model_that_does_not_fit_the_dataset_is_refused() {
    let (_folder, dataset, out) = place();
    let mut model = Fake::new();
    model.encoding.features[1].columns[0] = "country".into();
    let error = run(&dataset, &model, &out).unwrap_err();
    assert_eq!(error.fault(), Fault::User);
    let message = error.to_string();
    assert!(
        message.contains("'country'") && message.contains("'channel'"),
        "{message}"
    );
    let options = ScoreOptions {
        expected_window: Some(14),
        ..options()
    };
    let error = score(&dataset, &Fake::new(), &out, &options, &Silent).unwrap_err();
    assert!(
        error.to_string().contains("dataset.window_days = 14"),
        "{error}"
    );
    for wrong in [
        ScoreOptions {
            threads: 0,
            ..ScoreOptions::default()
        },
        ScoreOptions {
            file_rows: Some(0),
            ..ScoreOptions::default()
        },
    ] {
        assert!(score(&dataset, &Fake::new(), &out, &wrong, &Silent).is_err());
    }
    assert!(!out.exists());
}

#[test]
fn a_user_who_appears_twice_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let second: Vec<usize> = (1..60).chain([59, 70]).collect();
    let dataset = dataset(folder.path(), &[vec![0, 100], vec![], second]);
    let error = run(&dataset, &Fake::new(), &out).unwrap_err();
    let ScoreError::Users {
        path,
        row,
        user,
        previous,
    } = &error
    else {
        unreachable!("{error}")
    };
    assert!(path.ends_with("part-00002.parquet"));
    assert_eq!((*row, user.as_str(), previous.as_str()), (60, "59", "59"));
    assert!(!out.exists());
}

#[test]
fn a_missing_id_is_named_by_file_and_row_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let users: Vec<usize> = (0..60).collect();
    let whole = batch(&users);
    let holes = StringArray::from_iter(users.iter().map(|&i| (i != 45).then(|| status(i))));
    let columns = whole.schema();
    let columns = columns.fields().iter().zip(whole.columns());
    let columns = columns.map(|(field, array)| {
        let array = match field.name().as_str() {
            "status" => Arc::new(holes.clone()) as ArrayRef,
            _ => array.clone(),
        };
        (field.name().clone(), array, true)
    });
    let second = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let first = batch(&(100..150).collect::<Vec<_>>());
    let dataset = write(folder.path(), &[first, second]);
    let name = "part-00001.parquet: column 'status' is null in row 46";
    let error = run(&dataset, &Fake::new(), &out).unwrap_err().to_string();
    assert!(error.contains(name), "{error}");
    let options = EvaluateOptions {
        batch_rows: 37,
        ..EvaluateOptions::default()
    };
    let error = evaluate_dataset(&dataset, Some(&Fake::new()), &options, &Silent).unwrap_err();
    assert!(error.to_string().contains(name), "{error}");
}

#[test]
fn text_ids_and_an_empty_dataset() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let plain = batch(&(0..50).collect::<Vec<_>>());
    let mut columns = plain.columns().to_vec();
    let ids: StringArray = (0..50).map(|i| Some(format!("user-{i:03}"))).collect();
    columns[0] = Arc::new(ids) as ArrayRef;
    let text = RecordBatch::try_from_iter(
        plain
            .schema()
            .fields()
            .iter()
            .map(|f| f.name().clone())
            .zip(columns),
    );
    let dataset = write(folder.path(), &[text.unwrap()]);
    run(&dataset, &Fake::new(), &out).unwrap();
    let batch = read(&out);
    assert_eq!(batch["user_id"].as_string::<i32>().value(49), "user-049");

    let nobody = tempfile::tempdir().unwrap();
    let dataset = write(nobody.path(), &[]);
    let manifest = run(&dataset, &Fake::new(), &out).unwrap();
    assert_eq!((manifest.rows, manifest.files.len()), (0, 0));
    assert_eq!(contents(&out).len(), 1);
}

#[test]
fn a_batch_in_and_a_batch_out() {
    let model = Fake::new();
    let encoder = Encoder::new(Arc::new(model.encoding().clone()));
    let people = batch(&[9, 3, 4]);
    let scored = score_batch(&model, &encoder, &people, AS_OF).unwrap();
    assert_eq!(users(&scored), [9, 3, 4]);
    check_rows(&scored);
    for missing in ["user_id", "status", "active_days"] {
        let mut fewer = people.clone();
        fewer.remove_column(people.schema().index_of(missing).unwrap());
        let error = score_batch(&model, &encoder, &fewer, AS_OF).unwrap_err();
        assert_eq!(error.fault(), Fault::User);
        assert!(error.to_string().contains(missing), "{error}");
    }
    let other = Encoder::new(Arc::default());
    assert!(score_batch(&model, &other, &people, AS_OF).is_err());
    let none = score_batch(&model, &encoder, &people.slice(0, 0), AS_OF).unwrap();
    assert_eq!(none.num_rows(), 0);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(16))]

    /// However rows are cut into files, the snapshot holds the same rows.
    #[test]
    fn cuts_do_not_matter(file_rows in 1u64..200, threads in 1usize..4) {
        let (_folder, dataset, out) = place();
        let options = ScoreOptions { file_rows: Some(file_rows), threads, ..ScoreOptions::default() };
        let manifest = score(&dataset, &Fake::new(), &out, &options, &Silent).unwrap();
        proptest::prop_assert!(manifest.files.iter().all(|f| f.rows <= file_rows.max(40)));
        let order: Vec<usize> = (0..3).flat_map(|k| (0..300).filter(move |i| i % 3 == k)).collect();
        proptest::prop_assert_eq!(users(&read(&out)), order);
    }
}
