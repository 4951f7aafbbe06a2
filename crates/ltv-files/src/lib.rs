//! Where files lie: in folders of this machine, or in buckets of an object store with the S3 API.
//!
//! A [`Place`] is what a path or an address `s3://bucket/prefix` names. It lists its folders, reads
//! small files whole, and opens files for the Parquet reader as an [`Input`]. Of an object only the
//! ranges that are wanted are fetched, side by side and ahead of the reader, so that a row group costs a
//! few large requests and never one for each page. Files of this machine are read as they always
//! were. An artefact of many files goes to a prefix by a [`Publication`].
//!
//! | module | holds |
//! |---|---|
//! | [`place`] | what a path or an address names |
//! | [`input`] | a file that is open for reading |
//! | [`part`] | a Parquet file of an artefact, read batch by batch |
//! | [`publish`] | an artefact on its way to a prefix, where its manifest commits it |
//! | [`error`] | what can go wrong, and what to do about it |
//!
//! Calls block the thread that makes them; requests run on a small runtime of their own. Credentials
//! and the server's address come from the environment, under the names that the tools of AWS
//! use; they decide what can be read and written, and never what is computed. No message repeats them.

mod address;
mod bucket;
pub mod error;
mod explain;
pub mod input;
mod object;
pub mod part;
pub mod place;
pub mod publish;
mod runtime;
mod settings;

pub use error::FilesError;
pub use input::{Input, Source};
pub use part::{Part, column_ranges};
pub use place::{Entry, Place, Stores, open_each, read_each};
pub use publish::{Publication, Site};
