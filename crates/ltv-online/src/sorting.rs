//! Users in the order of their keys, more than memory holds: sorted in memory, in files where there are many.

use crate::{OnlineError, UserId, user::UserKind};
use grenad::{ChunkCreator, MergeFunction, MergerIter, Sorter};
use std::{
    borrow::Cow,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// Bytes of users that are sorted in memory.
const MEMORY: usize = 256 << 20;
/// Sorted files that are merged at a time.
const FILES: usize = 64;

/// A key and a value.
pub(crate) type Row<'a> = (&'a [u8], &'a [u8]);

/// Users who are being sorted.
pub(crate) struct Sorting {
    sorter: Sorter<Twice, Scratch>,
    place: PathBuf,
    prefix: usize,
}

impl Sorting {
    /// `scratch`: a folder for files, which never have a name for long; `place`: what messages call them; `prefix`:
    /// bytes of a key that come before those of a user's.
    pub(crate) fn new(scratch: PathBuf, place: &Path, prefix: usize) -> Self {
        let mut sorter = Sorter::builder(Twice);
        sorter.dump_threshold(MEMORY).max_nb_chunks(FILES);
        Self {
            sorter: sorter.chunk_creator(Scratch(scratch)).build(),
            place: place.to_path_buf(),
            prefix,
        }
    }

    /// Adds a user, of a kind of ids.
    pub(crate) fn insert(
        &mut self,
        kind: UserKind,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), OnlineError> {
        let inserted = self.sorter.insert(key, value);
        inserted.map_err(|e| explain(&self.place, self.prefix, kind, e))
    }

    /// All who were added, in the order of their keys; `kind` of ids.
    pub(crate) fn sorted(self, kind: UserKind) -> Result<Sorted, OnlineError> {
        let Self {
            sorter,
            place,
            prefix,
        } = self;
        let users = sorter.into_stream_merger_iter();
        Ok(Sorted {
            users: users.map_err(|e| explain(&place, prefix, kind, e))?,
            kind,
            place,
            prefix,
        })
    }
}

/// Users in the order of their keys.
pub(crate) struct Sorted {
    users: MergerIter<File, Twice>,
    kind: UserKind,
    place: PathBuf,
    prefix: usize,
}

impl Sorted {
    /// The next user's key and value.
    ///
    /// # Errors
    /// When a key was added twice, or scratch files cannot be read.
    pub(crate) fn next(&mut self) -> Result<Option<Row<'_>>, OnlineError> {
        let next = self.users.next();
        next.map_err(|e| explain(&self.place, self.prefix, self.kind, e))
    }
}

/// No user has more than one value; the error is the key of one who has.
struct Twice;

impl MergeFunction for Twice {
    type Error = Vec<u8>;

    fn merge<'a>(&self, key: &[u8], values: &[Cow<'a, [u8]>]) -> Result<Cow<'a, [u8]>, Vec<u8>> {
        match values {
            [only] => Ok(only.clone()),
            _ => Err(key.to_vec()),
        }
    }
}

/// Makes files without names in a folder.
struct Scratch(PathBuf);

impl ChunkCreator for Scratch {
    type Chunk = File;
    type Error = io::Error;

    fn create(&self) -> io::Result<File> {
        let path = self.0.join("chunk");
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        fs::remove_file(path)?;
        Ok(file)
    }
}

fn explain(
    place: &Path,
    prefix: usize,
    kind: UserKind,
    error: grenad::Error<Vec<u8>>,
) -> OnlineError {
    match error {
        grenad::Error::Io(source) => ltv_core::Error::io(place, "write", source).into(),
        grenad::Error::Merge(key) => {
            let user = key.get(prefix..).and_then(|key| UserId::of_key(key, kind));
            OnlineError::Twice {
                user: user.map_or_else(|| format!("{key:?}"), |id| id.to_string()),
            }
        }
        other => OnlineError::internal(format!("{}: sorting failed: {other:?}", place.display())),
    }
}
