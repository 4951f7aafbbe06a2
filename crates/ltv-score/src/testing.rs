//! A small dataset on disk and a model that can be worked out by hand.
#![allow(clippy::unwrap_used, reason = "tests")]

use arrow::{
    array::{ArrayRef, Date32Array, Float64Array, Int64Array, StringArray},
    record_batch::RecordBatch,
};
use ltv_core::{
    Day, Horizons,
    artefact::checksum,
    config::{DatasetOptions, FeatureConfig, Label},
    encoding::{Cells, EncodedRows, Encoding, FeatureEncoding},
    manifest::{DatasetManifest, FeatureEntry, FeatureKind, FileEntry},
    predictor::{Predictions, Predictor},
};
use ltv_data::Dataset;
use parquet::{arrow::ArrowWriter, file::properties::WriterProperties};
use std::{fs::File, path::Path, sync::Arc};

/// As-of date of the datasets.
pub(crate) const AS_OF: Day = Day(200);

const STATUSES: [&str; 4] = ["active", "observing", "past_horizon", "no_events"];

/// Status of user `i`.
pub(crate) fn status(i: usize) -> &'static str {
    STATUSES[i % 4]
}

/// `active_days` of user `i`.
pub(crate) fn days(i: usize) -> Option<f64> {
    (i % 11 != 5).then_some((i * 5 % 7) as f64)
}

/// Channel of user `i`.
pub(crate) fn channel(i: usize) -> Option<&'static str> {
    ["store", "ads", "friend"].get(i % 5).copied()
}

/// Labels of user `i`, 30 and 90 days.
pub(crate) fn labels(i: usize) -> [Option<f64>; 2] {
    match status(i) {
        "active" => [
            Some((i % 9) as f64),
            i.is_multiple_of(3).then_some((i % 31) as f64),
        ],
        "past_horizon" => [Some((i % 5) as f64), Some((i % 17) as f64)],
        _ => [None, None],
    }
}

/// The users with these numbers.
pub(crate) fn batch(users: &[usize]) -> RecordBatch {
    let text = |get: &dyn Fn(usize) -> Option<&'static str>| -> ArrayRef {
        Arc::new(users.iter().map(|&i| get(i)).collect::<StringArray>())
    };
    let numbers = |get: &dyn Fn(usize) -> Option<f64>| -> ArrayRef {
        Arc::new(users.iter().map(|&i| get(i)).collect::<Float64Array>())
    };
    let ids = users
        .iter()
        .map(|&i| Some(i as i64))
        .collect::<Int64Array>();
    let registered = users
        .iter()
        .map(|&i| Some((i % 50) as i32))
        .collect::<Date32Array>();
    RecordBatch::try_from_iter_with_nullable([
        ("user_id", Arc::new(ids) as ArrayRef, true),
        ("reg_day", Arc::new(registered) as _, true),
        ("status", text(&|i| Some(status(i))), true),
        ("active_days", numbers(&days), true),
        ("channel", text(&channel), true),
        ("ltv_30", numbers(&|i| labels(i)[0]), true),
        ("ltv_90", numbers(&|i| labels(i)[1]), true),
    ])
    .unwrap()
}

/// Writes one file for each list of users.
pub(crate) fn dataset(folder: &Path, files: &[Vec<usize>]) -> Dataset {
    write(
        folder,
        &files.iter().map(|users| batch(users)).collect::<Vec<_>>(),
    )
}

/// Writes one file for each batch.
pub(crate) fn write(folder: &Path, batches: &[RecordBatch]) -> Dataset {
    let mut files = vec![];
    for (i, batch) in batches.iter().enumerate() {
        let name = format!("part-{i:05}.parquet");
        let path = folder.join(&name);
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(40))
            .build();
        let file = File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
        files.push(FileEntry {
            rows: batch.num_rows() as u64,
            bytes: path.metadata().unwrap().len(),
            blake3: checksum(&path).unwrap(),
            path: name,
        });
    }
    manifest(files).write(folder).unwrap();
    Dataset::open(folder).unwrap()
}

fn manifest(files: Vec<FileEntry>) -> DatasetManifest {
    let feature = |name: &str, kind| FeatureEntry {
        name: name.into(),
        kind,
        columns: vec![name.into()],
    };
    let dataset = DatasetOptions {
        as_of: AS_OF,
        window_days: 7,
        horizons: Horizons::new(vec![30, 90]).unwrap(),
        label: Label::ActiveDays,
        registered_from: None,
        registered_before: None,
    };
    let features = vec![
        feature("active_days", FeatureKind::Numeric),
        feature("channel", FeatureKind::Categorical),
    ];
    DatasetManifest::new(FeatureConfig::bare(dataset), features, files)
}

/// Sees every block before it is predicted, and may change what is.
type Hook = Box<dyn Fn(&EncodedRows, &mut Predictions) + Send + Sync>;

/// Predicts sums of cells: see [`predicted`].
pub(crate) struct Fake {
    pub(crate) horizons: Horizons,
    pub(crate) encoding: Encoding,
    pub(crate) hook: Hook,
}

impl Fake {
    pub(crate) fn new() -> Self {
        Self::with(|_, _| {})
    }

    pub(crate) fn with(
        hook: impl Fn(&EncodedRows, &mut Predictions) + Send + Sync + 'static,
    ) -> Self {
        let feature = |name: &str, cells| FeatureEncoding {
            name: name.into(),
            columns: vec![name.into()],
            cells,
            scale: None,
        };
        let edges = vec![1.0, 2.0, 3.0, 4.0];
        let values = vec!["ads".into(), "friend".into(), "store".into()];
        let features = vec![
            feature("active_days", Cells::Bins { edges }),
            feature("channel", Cells::Vocabulary { values }),
        ];
        Self {
            horizons: Horizons::new(vec![30, 90]).unwrap(),
            encoding: Encoding {
                features,
                ..Encoding::default()
            },
            hook: Box::new(hook),
        }
    }
}

/// The fake's value for user `i` and the horizon at position `t`, by the definition of cells.
pub(crate) fn predicted(i: usize, t: usize) -> f64 {
    let days = match days(i) {
        None => 0,
        Some(0.0) => 1,
        Some(x) => 1 + (x as u32).min(5),
    };
    let channel = match channel(i) {
        None => 0,
        Some("ads") => 2,
        Some("friend") => 3,
        Some(_) => 4,
    };
    value(days, channel, t)
}

fn value(days: u32, channel: u32, t: usize) -> f64 {
    (f64::from(days) + f64::from(channel) / 10.0) * (t + 1) as f64
}

impl Predictor for Fake {
    fn model_id(&self) -> &str {
        "fake"
    }
    fn horizons(&self) -> &Horizons {
        &self.horizons
    }
    fn encoding(&self) -> &Encoding {
        &self.encoding
    }
    fn predict(&self, rows: &EncodedRows) -> Predictions {
        let mut predictions = Predictions {
            rows: rows.rows,
            ..Predictions::default()
        };
        for cells in rows.cells.chunks(2) {
            for t in 0..self.horizons.len() {
                let value = value(cells[0], cells[1], t);
                predictions.values.push(value);
                predictions
                    .quantiles
                    .extend([value / 2.0, value / 2.0 + 0.25, value * 2.0]);
                predictions.positive.push(value / (1.0 + value));
            }
            predictions.projected.push(cells[0] == 0);
        }
        (self.hook)(rows, &mut predictions);
        predictions
    }

    /// Of every user the same distribution, without a jump: P(value < y) = y / (1 + y).
    fn locate(&self, rows: &EncodedRows, labels: &[f64]) -> (Predictions, Vec<f64>) {
        let places = labels.iter().flat_map(|y| [y / (1.0 + y); 2]);
        (self.predict(rows), places.collect())
    }
}
