//! Small datasets on disk for the tests of this crate.
#![allow(clippy::unwrap_used, reason = "tests")]

use arrow::{
    array::{ArrayRef, Date32Array, Float64Array, Int64Array, StringArray},
    record_batch::RecordBatch,
};
use ltv_core::{
    Day, Horizons,
    artefact::checksum,
    config::{DatasetOptions, FeatureConfig, Label},
    manifest::{DatasetManifest, FeatureEntry, FeatureKind, FileEntry},
};
use parquet::{arrow::ArrowWriter, file::properties::WriterProperties};
use std::{fs::File, path::Path, sync::Arc};

/// One user.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    pub(crate) user: i64,
    pub(crate) reg_day: i32,
    pub(crate) status: &'static str,
    pub(crate) active_days: Option<f64>,
    pub(crate) cnt: [Option<f64>; 2],
    pub(crate) channel: Option<&'static str>,
    /// `ltv_30`, `ltv_90`.
    pub(crate) labels: [Option<f64>; 2],
}

/// `n` varied rows; user `i` is the `i`-th.
pub(crate) fn rows(n: usize) -> Vec<Row> {
    let row = |i: usize| {
        let known = |value: usize, every: usize| (!i.is_multiple_of(every)).then_some(value as f64);
        Row {
            user: i as i64,
            reg_day: (i % 50) as i32,
            status: if i.is_multiple_of(17) {
                "observing"
            } else {
                "active"
            },
            active_days: known(i % 8, 11),
            cnt: [known(i * 7 % 23, 5), known(i * 3 % 9, 4)],
            channel: ["ads", "store", "friend"].get(i % 4).copied(),
            labels: if i.is_multiple_of(17) {
                [None, None]
            } else {
                [known(i % 31, 13), (i % 26 > 9).then_some((i % 91) as f64)]
            },
        }
    };
    (0..n).map(row).collect()
}

pub(crate) fn batch(rows: &[Row]) -> RecordBatch {
    let numbers = |get: &dyn Fn(&Row) -> Option<f64>| -> ArrayRef {
        Arc::new(rows.iter().map(get).collect::<Float64Array>())
    };
    RecordBatch::try_from_iter_with_nullable([
        (
            "user_id",
            Arc::new(rows.iter().map(|r| Some(r.user)).collect::<Int64Array>()) as _,
            true,
        ),
        (
            "reg_day",
            Arc::new(
                rows.iter()
                    .map(|r| Some(r.reg_day))
                    .collect::<Date32Array>(),
            ) as _,
            true,
        ),
        (
            "status",
            Arc::new(rows.iter().map(|r| Some(r.status)).collect::<StringArray>()) as _,
            true,
        ),
        ("active_days", numbers(&|r| r.active_days), true),
        ("cnt_d0", numbers(&|r| r.cnt[0]), true),
        ("cnt_d1", numbers(&|r| r.cnt[1]), true),
        (
            "channel",
            Arc::new(rows.iter().map(|r| r.channel).collect::<StringArray>()) as _,
            true,
        ),
        ("cost", numbers(&|r| Some(r.user as f64 / 2.0)), true),
        ("ltv_30", numbers(&|r| r.labels[0]), true),
        ("ltv_90", numbers(&|r| r.labels[1]), true),
    ])
    .unwrap()
}

/// Writes batches, one for each file, as a dataset of 2 horizons.
pub(crate) fn write(folder: &Path, batches: &[RecordBatch], group_rows: usize) {
    write_as(folder, batches, group_rows, &|_| true);
}

/// As [`write`]; tells of every file whether its text is numbered.
pub(crate) fn write_as(
    folder: &Path,
    batches: &[RecordBatch],
    group_rows: usize,
    numbered: &dyn Fn(usize) -> bool,
) {
    let mut files = vec![];
    for (i, batch) in batches.iter().enumerate() {
        let name = format!("part-{i:05}.parquet");
        let path = folder.join(&name);
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(group_rows))
            .set_dictionary_enabled(numbered(i))
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
}

/// Rows cut into files of `file_rows` and row groups of `group_rows`.
pub(crate) fn write_rows(folder: &Path, rows: &[Row], file_rows: usize, group_rows: usize) {
    let batches: Vec<RecordBatch> = rows.chunks(file_rows).map(batch).collect();
    write(folder, &batches, group_rows);
}

fn manifest(files: Vec<FileEntry>) -> DatasetManifest {
    let feature = |name: &str, kind, columns: &[&str]| FeatureEntry {
        name: name.into(),
        kind,
        columns: columns.iter().map(|c| c.to_string()).collect(),
    };
    let dataset = DatasetOptions {
        as_of: Day(200),
        window_days: 2,
        horizons: Horizons::new(vec![30, 90]).unwrap(),
        label: Label::ActiveDays,
        registered_from: None,
        registered_before: None,
    };
    let features = vec![
        feature("active_days", FeatureKind::Numeric, &["active_days"]),
        feature("cnt", FeatureKind::Sequence, &["cnt_d0", "cnt_d1"]),
        feature("channel", FeatureKind::Categorical, &["channel"]),
    ];
    DatasetManifest {
        keep: vec!["cost".into()],
        ..DatasetManifest::new(FeatureConfig::bare(dataset), features, files)
    }
}
