//! Keys and values of one version in an LMDB file, mapped into memory.
//!
//! The one place of this crate with unsafe code: mapping a file is unsafe wherever it is done, because nobody
//! can stop others from changing the file. Ours are written once, by one process, in a folder that nobody else
//! knows, and never changed afterwards, so that readers need no lock; whoever truncates one under a
//! running reader ends that reader.
#![allow(
    unsafe_code,
    reason = "a file is mapped into memory, see the module's documentation"
)]

use crate::OnlineError;
use heed::{
    CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, PutFlags, RwTxn, WithoutTls,
    types::Bytes,
};
use std::path::{Path, PathBuf};

/// Users written before they are handed to the operating system.
const BATCH: u64 = 500_000;

/// A version's users.
pub(super) struct Table {
    path: PathBuf,
    env: Env<WithoutTls>,
    users: Database<'static, Bytes, Bytes>,
}

/// Where the bytes of keys and values that are added come from, in the order of keys.
pub(super) trait Rows {
    /// The next user.
    fn next(&mut self) -> Result<Option<(&[u8], &[u8])>, OnlineError>;
}

impl Table {
    /// Opens the table in `folder` to read.
    pub(super) fn open(folder: &Path) -> Result<Self, OnlineError> {
        let flags = EnvFlags::READ_ONLY | EnvFlags::NO_LOCK | EnvFlags::NO_READ_AHEAD;
        let env = environment(folder, flags, 0)?;
        let failed = |e| explain(folder, "open", e);
        let txn = env.read_txn().map_err(failed)?;
        let opened = env
            .open_databases_and_commit(txn, |opener, txn| {
                let users = opener.open_database::<Bytes, Bytes>(txn, None)?;
                Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(users))
            })
            .map_err(failed)?;
        let users = opened.unwrap_commit();
        let users = users.ok_or_else(|| OnlineError::internal("a table without its database"))?;
        Ok(Self {
            path: folder.to_path_buf(),
            env,
            users,
        })
    }

    /// Writes a new table of `rows` into `folder`, in few large transactions, and to disk. `bytes`: about how
    /// many keys and values have.
    pub(super) fn write(folder: &Path, bytes: u64, rows: &mut dyn Rows) -> Result<(), OnlineError> {
        // A kill or a power cut in between leaves a folder without its name: nothing needs to be on disk
        // before the end.
        let flags = EnvFlags::NO_SYNC | EnvFlags::NO_META_SYNC | EnvFlags::NO_LOCK;
        // Pages are filled to the brim, but for their heads and what one more value would not fit into.
        let size = (bytes * 2).saturating_add(64 << 20);
        let env = environment(folder, flags, size)?;
        let failed = |e| explain(folder, "write", e);
        let txn = env.write_txn().map_err(failed)?;
        let users = env
            .create_databases_and_commit(txn, |opener, txn| {
                let users = opener.create_database::<Bytes, Bytes>(txn, None)?;
                Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(users))
            })
            .map_err(failed)?
            .unwrap_commit();
        loop {
            let mut txn = env.write_txn().map_err(failed)?;
            let added = append(folder, users, &mut txn, rows)?;
            txn.commit().map_err(failed)?;
            if added < BATCH {
                break;
            }
        }
        env.force_sync().map_err(failed)?;
        // Once it is closed, it can be opened again to read.
        env.prepare_for_closing().wait();
        Ok(())
    }

    /// Looks keys up in one state of the table.
    pub(super) fn get<T>(
        &self,
        keys: &[Vec<u8>],
        decode: impl Fn(&[u8]) -> Result<T, OnlineError>,
    ) -> Result<Vec<Option<T>>, OnlineError> {
        let failed = |e| explain(&self.path, "read", e);
        let txn = self.env.read_txn().map_err(failed)?;
        let one = |key: &Vec<u8>| {
            let found = self.users.get(&txn, key).map_err(failed)?;
            found.map(&decode).transpose()
        };
        keys.iter().map(one).collect()
    }

    /// Calls `sink` with every key and value, in the order of keys.
    pub(super) fn each(
        &self,
        sink: &mut dyn FnMut(&[u8], &[u8]) -> Result<(), OnlineError>,
    ) -> Result<(), OnlineError> {
        let failed = |e| explain(&self.path, "read", e);
        let txn = self.env.read_txn().map_err(failed)?;
        for row in self.users.iter(&txn).map_err(failed)? {
            let (key, value) = row.map_err(failed)?;
            sink(key, value)?;
        }
        Ok(())
    }
}

/// Adds the next users, [`BATCH`] at most; how many.
fn append(
    folder: &Path,
    users: Database<'_, Bytes, Bytes>,
    txn: &mut RwTxn<'_>,
    rows: &mut dyn Rows,
) -> Result<u64, OnlineError> {
    let mut added = 0;
    while added < BATCH {
        let Some((key, value)) = rows.next()? else {
            break;
        };
        users
            .put_with_flags(txn, PutFlags::APPEND, key, value)
            .map_err(|e| explain(folder, "write", e))?;
        added += 1;
    }
    Ok(added)
}

/// `size`: most bytes of a table that is written; of one that is read, 0.
fn environment(folder: &Path, flags: EnvFlags, size: u64) -> Result<Env<WithoutTls>, OnlineError> {
    let page = 4096;
    let size = usize::try_from(size.next_multiple_of(page)).unwrap_or(usize::MAX / 2);
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(size);
    // SAFETY: nobody changes the file while it is mapped: one process writes it, in a folder of its own, and
    // it is read only once it is whole. So neither locks nor early syncs are needed.
    let opened = unsafe { options.flags(flags).open(folder) };
    opened.map_err(|e| explain(folder, "open", e))
}

fn explain(folder: &Path, what: &'static str, error: heed::Error) -> OnlineError {
    if let heed::Error::Io(source) = error {
        return ltv_core::Error::io(folder.join("data.mdb"), what, source).into();
    }
    OnlineError::Store {
        store: folder.join("data.mdb").display().to_string(),
        what,
        problem: error.to_string(),
        hint: "it may be damaged: publish the snapshot again",
    }
}
