//! Encoded batches of a dataset, read on threads of their own.
//!
//! ```text
//!   row groups            chunks of 8192 rows         block of buffer_rows        batches
//!   (shuffled or    -->   filtered by split,    -->   (permuted when       -->    of exactly
//!    in order)            encoded, or from             shuffled)                   batch_rows
//!                         the cache
//!   `threads` threads, the order kept                 one thread, four batches ahead
//! ```
//!
//! Text is looked up once for each distinct word of a row group, where the file has it as numbered
//! words. Memory depends on `buffer_rows`, of which a block and about as much ahead of it are held, and
//! on the size of a row group, not on the size of the dataset. The same seed and epoch give the same
//! batches, on any machine, with any number of threads, with and without a cache. Why it is made so:
//! docs/decisions/0021-input.md.

mod batcher;
mod batches;
mod cache;
pub mod columns;
mod error;
mod groups;
mod packing;
mod portion;
mod raw;
pub(crate) mod reader;
mod told;
mod view;
pub(crate) mod worker;

#[cfg(test)]
mod tests;

pub use batches::{EncodedStream, Shuffle, StreamOptions, stream};
pub use cache::EncodedCache;
pub use error::{ShardDifference, StreamError};
pub use portion::{Piece, read_portion};
pub use raw::{RawStream, stream_with_columns, stream_with_raw};
pub use told::{Batches, Told};
