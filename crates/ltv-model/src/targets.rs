//! From encoded rows to what the engine reads.

use crate::{odmn::HorizonColumns, spec::Spec};
use ltv_core::encoding::{Cells, EncodedRows};
use ltv_nn::{Batch, BatchShape, Real};

/// Fills the inputs of a batch. A cell outside its field's range is read as missing.
pub fn inputs<T: Real>(spec: &Spec, shape: BatchShape, rows: &EncodedRows) -> Batch<T> {
    let mut batch = Batch::new(shape, rows.rows);
    let fields = spec.fields.len().max(1);
    let from = rows.cells.chunks_exact(fields);
    for (out, from) in batch.ids.chunks_exact_mut(fields).zip(from) {
        for ((out, &cell), &cells) in out.iter_mut().zip(from).zip(&spec.fields) {
            *out = if (cell as usize) < cells {
                cell
            } else {
                Cells::MISSING
            };
        }
    }
    for (out, &x) in batch.numbers.iter_mut().zip(&rows.numbers) {
        *out = T::of(f64::from(x));
    }
    batch
}

/// Fills the targets: a null label (NaN) leaves -1 in every column of its horizon, so that it
/// contributes to none of its losses.
pub fn targets<T: Real>(
    spec: &Spec,
    columns: &[HorizonColumns],
    rows: &EncodedRows,
    batch: &mut Batch<T>,
) {
    let (n, horizons) = (rows.rows, spec.horizons.len());
    for (t, (column, buckets)) in columns.iter().zip(&spec.horizons).enumerate() {
        for r in 0..n {
            let label = rows.labels[r * horizons + t];
            if !label.is_nan() {
                column.fill(buckets, label, r, batch);
            }
        }
    }
}
