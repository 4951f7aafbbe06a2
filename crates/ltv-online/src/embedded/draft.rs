//! A version of the embedded store that is being made: users are sorted by their keys, in files where there
//! are many, and then written in one go.

use super::{
    DATA, DOCUMENT, SUM,
    table::{Rows, Table},
};
use crate::{Draft, OnlineError, UserId, Version, user::UserKind};
use grenad::{ChunkCreator, MergeFunction, MergerIter, Sorter};
use ltv_core::artefact::{self, AtomicFolder};
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

/// A version on its way.
pub(super) struct Loading {
    target: PathBuf,
    folder: AtomicFolder,
    sorter: Sorter<Twice, Scratch>,
    rows: u64,
    /// Of all keys and values.
    bytes: u64,
}

impl Loading {
    /// Starts the version that will be in `target`.
    pub(super) fn begin(target: &Path) -> Result<Self, OnlineError> {
        let folder = AtomicFolder::create(target)?;
        let scratch = folder.scratch().join("sorted");
        artefact::create_folder(&scratch)?;
        let mut sorter = Sorter::builder(Twice);
        sorter.dump_threshold(MEMORY).max_nb_chunks(FILES);
        let sorter = sorter.chunk_creator(Scratch(scratch)).build();
        Ok(Self {
            target: target.to_path_buf(),
            folder,
            sorter,
            rows: 0,
            bytes: 0,
        })
    }
}

impl Draft for Loading {
    fn add(&mut self, user: &UserId, key: &[u8], value: &[u8]) -> Result<(), OnlineError> {
        self.rows += 1;
        self.bytes += (key.len() + value.len()) as u64;
        let failed = |e| sorting(&self.target, user.kind(), e);
        self.sorter.insert(key, value).map_err(failed)
    }

    fn finish(self: Box<Self>, mut version: Version) -> Result<Version, OnlineError> {
        let Self {
            target,
            folder,
            sorter,
            rows,
            bytes,
        } = *self;
        let store = target.display().to_string();
        let failed = |e| sorting(&target, version.users, e);
        let mut sorted = Sorted {
            users: sorter.into_stream_merger_iter().map_err(failed)?,
            kind: version.users,
            store: target.clone(),
            sum: Content::default(),
        };
        // A page of LMDB takes 16 bytes for each entry, beside its key and value.
        Table::write(folder.path(), bytes + 16 * rows, &mut sorted)?;
        let written = sorted.sum;
        drop(sorted.users);
        let differs = |problem: String| OnlineError::Check {
            store: store.clone(),
            problem,
        };
        if written.rows != rows {
            let problem = format!("{} users of {rows} were written", written.rows);
            return Err(differs(problem));
        }
        let mut read = Content::default();
        Table::open(folder.path())?.each(&mut |key, value| {
            read.add(key, value);
            Ok(())
        })?;
        (version.rows, version.content) = (rows, written.hash());
        if (read.rows, read.hash()) != (rows, version.content.clone()) {
            let problem = "what was read back is not what was written".to_owned();
            return Err(differs(problem));
        }
        let sum = artefact::checksum(folder.path().join(DATA))?;
        let line = format!("{sum}  {DATA}\n");
        artefact::write(folder.path().join(SUM), line.as_bytes())?;
        artefact::write_json(folder.path().join(DOCUMENT), &version)?;
        same_readers(&folder.path().join(DOCUMENT), &folder.path().join(DATA))?;
        folder.commit()?;
        Ok(version)
    }
}

/// Lets whoever may read one file read the other: LMDB makes files for their owner alone.
fn same_readers(of: &Path, file: &Path) -> Result<(), OnlineError> {
    let failed = |e| ltv_core::Error::io(file, "write", e);
    let permissions = fs::metadata(of).map_err(failed)?.permissions();
    Ok(fs::set_permissions(file, permissions).map_err(failed)?)
}

/// Checksum of keys and values in their order.
#[derive(Default)]
struct Content {
    rows: u64,
    hasher: blake3::Hasher,
}

impl Content {
    fn add(&mut self, key: &[u8], value: &[u8]) {
        self.rows += 1;
        for bytes in [key, value] {
            self.hasher.update(&(bytes.len() as u32).to_le_bytes());
            self.hasher.update(bytes);
        }
    }

    fn hash(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }
}

/// Users in the order of their keys.
struct Sorted {
    users: MergerIter<File, Twice>,
    kind: UserKind,
    store: PathBuf,
    sum: Content,
}

impl Rows for Sorted {
    fn next(&mut self) -> Result<Option<(&[u8], &[u8])>, OnlineError> {
        match self.users.next() {
            Ok(Some((key, value))) => {
                self.sum.add(key, value);
                Ok(Some((key, value)))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(sorting(&self.store, self.kind, error)),
        }
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

fn sorting(store: &Path, kind: UserKind, error: grenad::Error<Vec<u8>>) -> OnlineError {
    match error {
        grenad::Error::Io(source) => ltv_core::Error::io(store, "write", source).into(),
        grenad::Error::Merge(key) => OnlineError::Twice {
            user: UserId::of_key(&key, kind)
                .map_or_else(|| format!("{key:?}"), |id| id.to_string()),
        },
        other => OnlineError::internal(format!("{}: sorting failed: {other:?}", store.display())),
    }
}
