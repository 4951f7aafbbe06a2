//! A version of the embedded store that is being made: users are sorted by their keys, in files where there
//! are many, and then written in one go.

use super::{
    DATA, DOCUMENT, SUM,
    table::{Rows, Table},
};
use crate::{
    Draft, OnlineError, UserId, Version,
    sorting::{Row, Sorted, Sorting},
};
use ltv_core::artefact::{self, AtomicFolder};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A version on its way.
pub(super) struct Loading {
    target: PathBuf,
    folder: AtomicFolder,
    sorting: Sorting,
    /// Of the user who is added.
    key: Vec<u8>,
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
        Ok(Self {
            target: target.to_path_buf(),
            folder,
            sorting: Sorting::new(scratch, target, 0),
            key: vec![],
            rows: 0,
            bytes: 0,
        })
    }
}

impl Draft for Loading {
    fn add(&mut self, user: &UserId, value: &[u8]) -> Result<(), OnlineError> {
        user.key(&mut self.key);
        self.rows += 1;
        self.bytes += (self.key.len() + value.len()) as u64;
        self.sorting.insert(user.kind(), &self.key, value)
    }

    fn finish(self: Box<Self>, mut version: Version) -> Result<Version, OnlineError> {
        let Self {
            target,
            folder,
            sorting,
            rows,
            bytes,
            ..
        } = *self;
        let store = target.display().to_string();
        let mut sorted = Summed {
            users: sorting.sorted(version.users)?,
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
        Table::open(folder.path())?.each(&mut |(key, value)| {
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

/// Users in the order of their keys, with a checksum of those who went by.
struct Summed {
    users: Sorted,
    sum: Content,
}

impl Rows for Summed {
    fn next(&mut self) -> Result<Option<Row<'_>>, OnlineError> {
        let next = self.users.next()?;
        if let Some((key, value)) = next {
            self.sum.add(key, value);
        }
        Ok(next)
    }
}
