//! Users to predict: a table of somebody else's, or a dataset on disk.

use crate::fault::Failure;
use arrow::{
    array::AsArray,
    datatypes::{DataType, Float32Type, Float64Type},
    ffi_stream::ArrowArrayStreamReader,
    record_batch::RecordBatch,
};
use arrow_pyarrow::FromPyArrow;
use ltv_core::{
    encoding::{Cells, EncodedRows, Encoding},
    progress::Progress,
};
use ltv_data::{
    Dataset,
    encoding::Encoder,
    stream::{StreamError, read_portion},
};
use ltv_score::coalesced;
use pyo3::{
    prelude::*,
    types::{PyList, PyTuple},
};
use rayon::prelude::*;
use std::path::PathBuf;

/// Rows that one thread encodes and predicts at a time.
const ROWS: usize = 4096;

/// Rows of a dataset that one thread reads, row groups being whole.
const PORTION: u64 = 65_536;

/// Where users come from.
pub(crate) enum Source {
    /// Anything with `__arrow_c_stream__`, a batch at a time.
    Table(Box<ArrowArrayStreamReader>),
    /// Folders of a dataset.
    Dataset(Vec<PathBuf>),
}

/// What was made of so many rows.
pub(crate) struct Rows<T> {
    pub(crate) rows: usize,
    pub(crate) made: T,
}

impl<'py> FromPyObject<'_, 'py> for Source {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        // A data frame is a sequence of names, too.
        if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
            return Ok(Self::Dataset(object.extract()?));
        }
        let table = ArrowArrayStreamReader::from_pyarrow_bound(&object)?;
        Ok(Self::Table(Box::new(table)))
    }
}

impl Source {
    /// Encodes all rows and hands them to `predict`, on the threads of the pool that this is called in; the parts
    /// in the order of the rows.
    pub(crate) fn predict<T: Send>(
        self,
        encoder: &Encoder,
        progress: &dyn Progress,
        predict: impl Fn(&EncodedRows) -> T + Sync,
    ) -> Result<Vec<Rows<T>>, Failure> {
        let mut all = vec![];
        let part = |rows: &EncodedRows| Rows {
            rows: rows.rows,
            made: predict(rows),
        };
        match self {
            Self::Table(batches) => {
                progress.start("predict", None);
                let mut first_row = 0;
                for batch in coalesced(*batches, ROWS) {
                    let batch = batch.map_err(|e| Failure::user(format!("the table: {e}")))?;
                    check_finite(encoder.encoding(), &batch, first_row)?;
                    first_row += batch.num_rows();
                    let pieces: Result<Vec<_>, Failure> = pieces(&batch)
                        .into_par_iter()
                        .map(|piece| Ok(part(&encoder.encode(&piece, None)?)))
                        .collect();
                    all.extend(pieces?);
                    progress.advance(batch.num_rows() as u64);
                }
            }
            Self::Dataset(folders) => {
                let dataset = Dataset::open_all(&folders)?;
                progress.start("predict", Some(dataset.rows()));
                let portions = dataset.portions(PORTION);
                let parts: Result<Vec<_>, Failure> = portions
                    .par_iter()
                    .map(|portion| {
                        let mut made = vec![];
                        read_portion(&dataset, encoder, portion, |piece| {
                            made.push(part(&piece.rows));
                            progress.advance(piece.rows.rows as u64);
                            Ok::<(), StreamError>(())
                        })?;
                        Ok(made)
                    })
                    .collect();
                all.extend(parts?.into_iter().flatten());
            }
        }
        progress.finish();
        Ok(all)
    }
}

/// Refuses what is neither a number nor missing: a model would take it for either.
fn check_finite(encoding: &Encoding, batch: &RecordBatch, first_row: usize) -> Result<(), Failure> {
    let numbers = encoding
        .features
        .iter()
        .filter(|f| matches!(f.cells, Cells::Bins { .. }));
    let columns = numbers.flat_map(|f| &f.columns).chain(&encoding.plain);
    for name in columns {
        let Some(column) = batch.column_by_name(name) else {
            continue;
        };
        let found = match column.data_type() {
            DataType::Float64 => {
                let values = column.as_primitive::<Float64Type>();
                values.iter().position(|x| x.is_some_and(f64::is_infinite))
            }
            DataType::Float32 => {
                let values = column.as_primitive::<Float32Type>();
                values.iter().position(|x| x.is_some_and(f32::is_infinite))
            }
            _ => None,
        };
        if let Some(row) = found {
            let row = first_row + row + 1;
            let problem = format!(
                "the table: column '{name}' is infinite in row {row}; a feature is finite, or missing"
            );
            return Err(Failure::user(problem));
        }
    }
    Ok(())
}

/// Slices of some thousand rows, none of one row alone: of those, products add up in another order.
fn pieces(batch: &RecordBatch) -> Vec<RecordBatch> {
    let rows = batch.num_rows();
    let count = rows
        .saturating_sub(1)
        .div_ceil(ROWS)
        .max(usize::from(rows > 0));
    let piece = |i: usize| {
        let start = i * ROWS;
        let end = if i + 1 == count { rows } else { start + ROWS };
        batch.slice(start, end - start)
    };
    (0..count).map(piece).collect()
}
