//! Rows in the order of their keys, more than memory holds: sorted in memory, in files where there are many.

use crate::ScoreError;
use grenad::{ChunkCreator, MergeFunction, MergerIter, Sorter};
use ltv_core::Error;
use std::{
    borrow::Cow,
    convert::Infallible,
    fs::File,
    io,
    path::{Path, PathBuf},
};

/// Sorted files that are merged at a time.
const FILES: usize = 64;

/// Room for what is being sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scratch {
    /// A folder for files, which have no names.
    pub folder: PathBuf,
    /// Bytes that are sorted at a time, 10 MiB at least.
    pub memory: u64,
}

/// Rows that are being sorted.
pub(super) struct Sorting {
    sorter: Sorter<First, Nameless>,
    place: PathBuf,
}

impl Sorting {
    pub(super) fn new(scratch: &Scratch) -> Self {
        let mut sorter = Sorter::builder(First);
        let memory = usize::try_from(scratch.memory).unwrap_or(usize::MAX);
        sorter.dump_threshold(memory).max_nb_chunks(FILES);
        let files = Nameless(scratch.folder.clone());
        Self {
            sorter: sorter.chunk_creator(files).build(),
            place: scratch.folder.clone(),
        }
    }

    /// Adds a row. No two have the same key, or they are the same.
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) -> Result<(), ScoreError> {
        let added = self.sorter.insert(key, value);
        added.map_err(|e| explain(&self.place, e))
    }

    /// All rows, in order.
    pub(super) fn sorted(self) -> Result<Sorted, ScoreError> {
        let rows = self.sorter.into_stream_merger_iter();
        Ok(Sorted {
            rows: rows.map_err(|e| explain(&self.place, e))?,
            place: self.place,
        })
    }
}

/// Rows in the order of their keys.
pub(super) struct Sorted {
    rows: MergerIter<File, First>,
    place: PathBuf,
}

impl Sorted {
    /// The next row's key and value.
    #[allow(clippy::type_complexity, reason = "a key and a value, or none")]
    pub(super) fn next(&mut self) -> Result<Option<(&[u8], &[u8])>, ScoreError> {
        let next = self.rows.next();
        next.map_err(|e| explain(&self.place, e))
    }
}

/// Of rows with the same key, which are the same.
struct First;

impl MergeFunction for First {
    type Error = Infallible;

    fn merge<'a>(&self, _: &[u8], values: &[Cow<'a, [u8]>]) -> Result<Cow<'a, [u8]>, Infallible> {
        Ok(values.first().cloned().unwrap_or_default())
    }
}

/// Makes files without names in a folder.
struct Nameless(PathBuf);

impl ChunkCreator for Nameless {
    type Chunk = File;
    type Error = io::Error;

    fn create(&self) -> io::Result<File> {
        tempfile::tempfile_in(&self.0)
    }
}

fn explain(place: &Path, error: grenad::Error<Infallible>) -> ScoreError {
    match error {
        grenad::Error::Io(source) => Error::io(place, "write scratch files in", source).into(),
        other => ScoreError::internal(format!("{}: sorting failed: {other:?}", place.display())),
    }
}
