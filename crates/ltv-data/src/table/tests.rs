//! Tables to datasets.
#![allow(clippy::unwrap_used, reason = "tests")]
use super::*;
use crate::{
    Dataset,
    encoding::{EncodingPlan, fit},
};
use arrow::array::{BooleanArray, Int32Array, TimestampMillisecondArray};
use ltv_core::config::Split;

fn spec() -> TableSpec {
    let entry = |name: &str, kind| FeatureEntry {
        name: name.into(),
        kind,
        columns: vec![name.into()],
    };
    TableSpec {
        features: vec![
            entry("spend", FeatureKind::Numeric),
            entry("plan", FeatureKind::Categorical),
        ],
        horizons: Horizons::new(vec![30, 90]).unwrap(),
        window_days: 7,
        label: Label::Value,
        as_of: None,
    }
}

fn table(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let all = columns.into_iter().map(|(name, array)| (name, array, true));
    RecordBatch::try_from_iter_with_nullable(all).unwrap()
}

/// Users without names or days, half of them with labels of 90 days.
fn users(rows: usize) -> RecordBatch {
    let spend = (0..rows).map(|i| (i % 7 > 0).then_some(i as i32));
    let plan = (0..rows).map(|i| Some(i % 3 == 0));
    let long = (0..rows).map(|i| if i % 2 == 0 { f64::NAN } else { 5.0 });
    table(vec![
        ("spend", Arc::new(spend.collect::<Int32Array>())),
        ("plan", Arc::new(plan.collect::<BooleanArray>())),
        ("ltv_30", Arc::new(Float64Array::from(vec![2.0; rows]))),
        (
            "ltv_90",
            Arc::new(Float64Array::from_iter_values(long)) as ArrayRef,
        ),
    ])
}

fn refused(batch: &RecordBatch, spec: TableSpec) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = TableWriter::new(folder.path(), spec).unwrap();
    let added = writer
        .add(&users(3).slice(0, 0))
        .and_then(|()| writer.add(batch));
    let error = added
        .and_then(|()| writer.finish().map(|_| ()))
        .unwrap_err();
    assert_eq!(error.fault(), Fault::User);
    assert!(!folder.path().join("manifest.json").exists());
    error.to_string()
}

#[test]
fn a_table_is_a_dataset() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = TableWriter::new(folder.path(), spec()).unwrap();
    for batch in [users(300), users(1), users(200)] {
        writer.add(&batch).unwrap();
    }
    let manifest = writer.finish().unwrap();
    assert_eq!((manifest.rows, manifest.as_of), (501, Day(97)));
    let dataset = Dataset::open(folder.path()).unwrap();
    dataset.verify().unwrap();
    let fitted = fit(&dataset, &Split::default(), &EncodingPlan::default()).unwrap();
    assert_eq!(fitted.train_rows + fitted.validation_rows, 501);
    // Half of the longer labels are not known.
    let known: Vec<u64> = fitted.labels.iter().map(|labels| labels.count()).collect();
    assert!(known[1] < known[0] * 6 / 10, "{known:?}");
}

#[test]
fn what_cannot_be_is_named() {
    let with = |name: &str, array: ArrayRef| {
        let plain = users(4);
        let mut all: Vec<_> = plain
            .schema()
            .fields()
            .iter()
            .map(|f| f.name().clone())
            .zip(plain.columns().to_vec())
            .filter(|(column, _)| column != name)
            .collect();
        all.push((name.to_owned(), array));
        let all = all.iter().map(|(n, a)| (n.as_str(), a.clone())).collect();
        refused(&table(all), spec())
    };
    let numbers = |all: [f64; 4]| Arc::new(Float64Array::from(all.to_vec())) as ArrayRef;
    let infinite = with("spend", numbers([1.0, 2.0, f64::INFINITY, 0.0]));
    assert!(infinite.contains("'spend' is inf in row 3"), "{infinite}");
    let negative = with("ltv_30", numbers([1.0, -2.0, 0.0, 0.0]));
    assert!(
        negative.contains("ltv_30") && negative.contains("row 2"),
        "{negative}"
    );
    let floats = with("plan", numbers([0.5; 4]));
    assert!(floats.contains("'plan' is Float64"), "{floats}");
    let days = with("reg_day", numbers([0.5; 4]));
    assert!(days.contains("a date or a timestamp"), "{days}");
    let null = with("user_id", Arc::new(Int64Array::from(vec![None; 4])));
    assert!(null.contains("'user_id' is null in row 1"), "{null}");
    let missing = refused(&users(4).project(&[0, 2, 3]).unwrap(), spec());
    assert!(missing.contains("no column 'plan'"), "{missing}");
    assert!(refused(&users(0), spec()).contains("no rows"));
}

#[test]
fn labels_say_when_they_were_known() {
    let day = 86_400_000;
    let times = TimestampMillisecondArray::from(vec![day, 3 * day + 5, 2 * day]);
    let labels = |all: [Option<f64>; 3]| Arc::new(Float64Array::from(all.to_vec())) as ArrayRef;
    let batch = table(vec![
        (
            "user_id",
            Arc::new(StringArray::from(vec!["b", "a", "c"])) as ArrayRef,
        ),
        ("reg_day", Arc::new(times)),
        ("spend", labels([Some(1.0), None, Some(2.0)])),
        ("plan", Arc::new(StringArray::from(vec!["x", "y", "x"]))),
        ("ltv_30", labels([Some(1.0); 3])),
        ("ltv_90", labels([Some(1.0), None, None])),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let mut writer = TableWriter::new(folder.path(), spec()).unwrap();
    writer.add(&batch).unwrap();
    // The first user, of day 1: 7 days of window and 90 of horizon.
    assert_eq!(writer.finish().unwrap().as_of, Day(98));
    let early = TableSpec {
        as_of: Some(Day(90)),
        ..spec()
    };
    let early = refused(&batch, early);
    assert!(
        early.contains("1970-04-09") && early.contains("1970-01-02"),
        "{early}"
    );
}

#[test]
fn a_time_is_of_its_day_in_utc() {
    let evening = TimestampMillisecondArray::from(vec![86_400_000 - 1; 3]).with_timezone("+09:00");
    let rows = users(3);
    let fields = rows.schema();
    let mut all: Vec<_> = fields
        .fields()
        .iter()
        .map(|f| f.name().as_str())
        .zip(rows.columns().to_vec())
        .collect();
    all.push(("reg_day", Arc::new(evening)));
    let folder = tempfile::tempdir().unwrap();
    let mut writer = TableWriter::new(folder.path(), spec()).unwrap();
    writer.add(&table(all.clone())).unwrap();
    assert_eq!(writer.finish().unwrap().as_of, Day(97));
    all.pop();
    all.push(("reg_day", Arc::new(Date32Array::from(vec![0, 0, i32::MAX]))));
    let far = table(all);
    let mut writer = TableWriter::new(folder.path(), spec()).unwrap();
    writer.add(&far.slice(0, 2)).unwrap();
    let error = writer.add(&far.slice(2, 1)).unwrap_err().to_string();
    assert!(error.contains("row 3"), "{error}");
}
