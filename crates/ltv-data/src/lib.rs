//! Events to features and labels, encodings, splits, dataset streams, and the simulator.
//!
//! | module | holds |
//! |---|---|
//! | [`features`] | event log and user table to a dataset of features and labels |
//! | [`dataset`] | opening a dataset, checked against its manifest |
//! | [`split`] | which user trains, validates, tests |
//! | [`encoding`] | fitting feature encodings in one pass, applying them column at a time |
//! | [`stream`] | encoded batches, shuffled or in order, read on a thread of their own |
//! | [`simulate`] | a seeded platform of new users, for demonstrations and tests |
//! | [`random`] | random datasets of a given shape, to measure on |
//! | [`table`] | a dataset of rows that somebody else made |
//! | [`part`] | writing one Parquet file of a dataset, snapshot or simulation |
//! | [`holidays`] | which days are holidays |
//! | [`forget`] | users vanish from datasets, and what snapshots need for that |
//! | [`error`] | what can go wrong while features are made, and whose fault it is |

pub mod dataset;
pub mod encoding;
pub mod error;
pub mod features;
pub mod forget;
mod hash;
pub mod holidays;
pub mod part;
pub mod random;
pub mod simulate;
pub mod split;
pub mod stream;
pub mod table;
#[cfg(test)]
mod testing;

pub use dataset::Dataset;
pub use error::{DataError, Result};
pub use features::{BuildOptions, Updated, build_dataset, make_dataset, update_dataset};
