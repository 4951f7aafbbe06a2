//! Snapshots for tests.
#![allow(clippy::unwrap_used, reason = "tests")]

use crate::{OnlineError, Publication, Store, publish, value::Detail};
use arrow::{
    array::{ArrayRef, Float64Array, Int64Array, StringArray},
    record_batch::RecordBatch,
};
use ltv_core::{
    Horizons,
    manifest::{FileEntry, SnapshotManifest},
    progress::Silent,
};
use std::{path::Path, sync::Arc};

pub(crate) const DAYS: [u32; 2] = [30, 90];

/// A snapshot of as many rows as `batches` have, different for each `as_of`.
pub(crate) fn manifest(as_of: &str, rows: u64) -> SnapshotManifest {
    SnapshotManifest {
        format: SnapshotManifest::FORMAT.into(),
        version: SnapshotManifest::VERSION,
        as_of: as_of.parse().unwrap(),
        model_id: "0f3a9c51d2e84b67".into(),
        model_blake3: None,
        input: None,
        horizons: Horizons::new(DAYS.to_vec()).unwrap(),
        decoding: "expectation".into(),
        rows,
        dropped: Default::default(),
        projected: 0,
        order_violations: 0,
        monotone: true,
        totals: vec![0.0; 2],
        files: vec![FileEntry {
            path: "part-00000.parquet".into(),
            rows,
            bytes: 1,
            blake3: as_of.into(),
        }],
    }
}

/// Rows with these ids; the numbers of id `i` are `i * scale + column`, those of ids divisible by 3 zero.
pub(crate) fn numbers(ids: &[i64], scale: f64) -> RecordBatch {
    let column = |c: usize| -> ArrayRef {
        let value = |&id: &i64| match id % 3 {
            0 => 0.0,
            _ => id.unsigned_abs() as f64 * scale + c as f64,
        };
        Arc::new(Float64Array::from_iter_values(ids.iter().map(value)))
    };
    let status = |id: &i64| if id % 2 == 0 { "active" } else { "observing" };
    let ids_column: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
    let statuses: ArrayRef = Arc::new(StringArray::from_iter_values(ids.iter().map(status)));
    let mut all = vec![
        ("user_id".to_owned(), ids_column),
        ("status".to_owned(), statuses),
    ];
    let names =
        crate::publish::number_columns(&Horizons::new(DAYS.to_vec()).unwrap(), Detail::Everything);
    all.extend(
        names
            .into_iter()
            .enumerate()
            .map(|(c, name)| (name, column(c))),
    );
    RecordBatch::try_from_iter(all).unwrap()
}

/// The same rows with texts for ids.
pub(crate) fn with_ids(batch: &RecordBatch, ids: Vec<Option<&str>>) -> RecordBatch {
    replaced(batch, "user_id", Arc::new(StringArray::from(ids)))
}

pub(crate) fn replaced(batch: &RecordBatch, name: &str, column: ArrayRef) -> RecordBatch {
    let columns = batch
        .schema()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, old)| {
            let new = if field.name() == name {
                column.clone()
            } else {
                old.clone()
            };
            (field.name().clone(), new)
        })
        .collect::<Vec<_>>();
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true)))
        .unwrap()
}

/// Publishes batches as the snapshot of a day.
pub(crate) fn put(
    store: &dyn Store,
    as_of: &str,
    batches: &[RecordBatch],
) -> Result<Publication, OnlineError> {
    let rows = batches.iter().map(|b| b.num_rows() as u64).sum();
    let manifest = manifest(as_of, rows);
    put_as(store, &manifest, Detail::Everything, batches)
}

pub(crate) fn put_as(
    store: &dyn Store,
    manifest: &SnapshotManifest,
    detail: Detail,
    batches: &[RecordBatch],
) -> Result<Publication, OnlineError> {
    let document = format!("{manifest:?}");
    publish(
        (manifest, document.as_bytes()),
        detail,
        &mut |sink| {
            let mut first = 0;
            for batch in batches {
                sink(batch, Path::new("part-00000.parquet"), first)?;
                first += batch.num_rows() as u64;
            }
            Ok(())
        },
        store,
        &Silent,
    )
}
