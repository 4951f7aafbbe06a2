//! Encoded batches of a dataset, read on a thread of their own.
//!
//! ```text
//!   row groups            chunks of 8192 rows         block of buffer_rows        batches
//!   (shuffled or    -->   filtered by split,    -->   (permuted when       -->    of exactly
//!    in order)            encoded                      shuffled)                   batch_rows
//! ```
//!
//! Memory depends on `buffer_rows` and on the size of a row group, not on the size of the
//! dataset. The same seed and epoch give the same batches, on any machine.

mod batches;
pub mod columns;
mod error;
pub(crate) mod reader;
mod told;
mod view;
pub(crate) mod worker;

#[cfg(test)]
mod tests;

pub use batches::{
    EncodedStream, RawStream, Shuffle, StreamOptions, stream, stream_with_columns, stream_with_raw,
};
pub use error::{ShardDifference, StreamError};
pub use told::{Batches, Told};
