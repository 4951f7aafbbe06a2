//! The rows of one portion of a dataset, encoded, on the thread that asks for them: many threads work on
//! as many portions.

use super::{
    StreamError,
    reader::{self, Plan, RowGroup},
};
use crate::{
    dataset::{Dataset, Portion},
    encoding::{Encoder, Lookups},
};
use arrow::record_batch::RecordBatch;
use ltv_core::encoding::EncodedRows;
use std::ops::ControlFlow;

/// The columns that go along.
const USERS: [&str; 2] = ["user_id", "status"];

/// Some thousand rows of a portion, without labels.
#[derive(Debug)]
pub struct Piece {
    /// The rows, encoded.
    pub rows: EncodedRows,
    /// `user_id` and `status` of the same rows; text may be in any of Arrow's layouts.
    pub users: RecordBatch,
    /// The file, by its position in [`Dataset::files`].
    pub file: usize,
    /// Rows of the file before the first of these.
    pub first_row: u64,
}

/// Calls `sink` with a portion of `dataset`, piece by piece in the order of the files, until it fails.
///
/// # Errors
/// When the file cannot be read or lacks a column; whatever `sink` returns.
pub fn read_portion<E: From<StreamError>>(
    dataset: &Dataset,
    encoder: &Encoder,
    portion: &Portion,
    mut sink: impl FnMut(Piece) -> Result<(), E>,
) -> Result<(), E> {
    let columns = encoder.encoding().columns();
    let columns = columns.chain(USERS.map(String::from));
    let plan = Plan::new(dataset, columns, None, None)?.numbered();
    let mut lookups = Lookups::default();
    for run in &portion.runs {
        let order: Vec<RowGroup> = run.groups.clone().map(|g| (run.file, g)).collect();
        // What the sink fails with does not pass through the reader.
        let mut failed = None;
        reader::read(dataset, &plan, &order, &mut |chunk| {
            let users = users(&chunk.batch, &chunk.place)?;
            let piece = Piece {
                rows: encoder.encode_at(&chunk.batch, None, (&chunk.place, &mut lookups))?,
                users,
                file: run.file,
                first_row: chunk.first_row,
            };
            failed = sink(piece).err();
            Ok(match failed {
                None => ControlFlow::Continue(()),
                Some(_) => ControlFlow::Break(()),
            })
        })?;
        failed.map_or(Ok(()), Err)?;
    }
    Ok(())
}

fn users(batch: &RecordBatch, place: &str) -> Result<RecordBatch, StreamError> {
    let schema = batch.schema();
    let columns = USERS.map(|name| schema.index_of(name));
    let columns = columns.into_iter().collect::<Result<Vec<_>, _>>();
    let columns = columns.map_err(|e| StreamError::internal(place, e))?;
    let users = batch.project(&columns);
    users.map_err(|e| StreamError::internal(place, e))
}
