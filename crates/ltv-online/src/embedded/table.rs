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

use super::DATA;
use crate::{OnlineError, sorting::Row};
use heed::{
    CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, PutFlags, RwTxn, WithoutTls,
    env_closing_event, types::Bytes,
};
use rayon::ThreadPool;
use rayon::prelude::*;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

/// Users written before they are handed to the operating system.
const BATCH: u64 = 500_000;
/// Keys that are not worth more than one thread.
const ALONE: usize = 16;
/// Keys that a thread looks up at a time.
const CHUNK: usize = 4;

/// A version's users.
pub(super) struct Table {
    path: PathBuf,
    map: Arc<Map>,
}

/// A file in memory.
struct Map {
    env: Env<WithoutTls>,
    users: Database<'static, Bytes, Bytes>,
}

/// The maps of this process, by folder: LMDB allows one of each file.
static MAPS: Mutex<BTreeMap<PathBuf, Weak<Map>>> = Mutex::new(BTreeMap::new());
/// How long a map may take to be given back by the last who had it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the bytes of keys and values that are added come from, in the order of keys.
pub(super) trait Rows {
    /// The next user.
    fn next(&mut self) -> Result<Option<Row<'_>>, OnlineError>;
}

impl Table {
    /// Opens the table in `folder` to read.
    pub(super) fn open(folder: &Path) -> Result<Self, OnlineError> {
        let failed = |e| ltv_core::Error::io(folder.join(DATA), "open", e);
        let path = fs::canonicalize(folder).map_err(failed)?;
        let mut maps = MAPS.lock().unwrap_or_else(PoisonError::into_inner);
        maps.retain(|_, map| map.strong_count() > 0);
        let map = match maps.get(&path).and_then(Weak::upgrade) {
            Some(map) => map,
            None => {
                // Its last user may be about to give it back.
                if let Some(closing) = env_closing_event(&path) {
                    closing.wait_timeout(PATIENCE);
                }
                let map = Arc::new(Map::new(&path)?);
                maps.insert(path.clone(), Arc::downgrade(&map));
                map
            }
        };
        Ok(Self { path, map })
    }
}

impl Map {
    fn new(folder: &Path) -> Result<Self, OnlineError> {
        let flags = EnvFlags::READ_ONLY | EnvFlags::NO_LOCK | EnvFlags::NO_READ_AHEAD;
        let env = environment(folder, flags, 0)?;
        whole(folder, &env)?;
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
        Ok(Self { env, users })
    }
}

impl Table {
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

    /// Looks keys up, many of them on the threads of `pool`: where the table is not in memory, a key takes
    /// a read of the disk, which serves many at a time as fast as one.
    pub(super) fn get<T: Send>(
        &self,
        keys: &[Vec<u8>],
        pool: impl FnOnce() -> Result<Arc<ThreadPool>, OnlineError>,
        decode: impl Fn(&[u8], &[u8]) -> Result<T, OnlineError> + Sync,
    ) -> Result<Vec<Option<T>>, OnlineError> {
        if keys.len() <= ALONE {
            return self.get_here(keys, &decode);
        }
        let part = |keys: &[Vec<u8>]| self.get_here(keys, &decode);
        let parts = pool()?.install(|| {
            let parts = keys.par_chunks(CHUNK).map(part);
            parts.collect::<Result<Vec<_>, _>>()
        })?;
        Ok(parts.into_iter().flatten().collect())
    }

    fn get_here<T>(
        &self,
        keys: &[Vec<u8>],
        decode: &(impl Fn(&[u8], &[u8]) -> Result<T, OnlineError> + Sync),
    ) -> Result<Vec<Option<T>>, OnlineError> {
        let failed = |e| explain(&self.path, "read", e);
        let txn = self.map.env.read_txn().map_err(failed)?;
        let one = |key: &Vec<u8>| {
            let found = self.map.users.get(&txn, key).map_err(failed)?;
            found.map(|value| decode(key, value)).transpose()
        };
        keys.iter().map(one).collect()
    }

    /// Calls `sink` with every key and value, in the order of keys.
    pub(super) fn each(
        &self,
        sink: &mut dyn FnMut(Row<'_>) -> Result<(), OnlineError>,
    ) -> Result<(), OnlineError> {
        let failed = |e| explain(&self.path, "read", e);
        let txn = self.map.env.read_txn().map_err(failed)?;
        for row in self.map.users.iter(&txn).map_err(failed)? {
            sink(row.map_err(failed)?)?;
        }
        Ok(())
    }
}

/// Refuses a file that is shorter than it says: a read past its end would end the process.
fn whole(folder: &Path, env: &Env<WithoutTls>) -> Result<(), OnlineError> {
    let pages = env.info().last_page_number as u64 + 1;
    let expected = pages * u64::from(env.unnamed_database_stat().page_size);
    let found = env
        .real_disk_size()
        .map_err(|e| explain(folder, "read", e))?;
    if found >= expected {
        return Ok(());
    }
    let problem = format!("{found} bytes of {expected}");
    let hint = "the file was cut short: publish the snapshot again";
    Err(ltv_core::Error::artefact(folder.join(DATA), problem, hint).into())
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
    // Of the pages of any system.
    let size = size.next_multiple_of(64 << 10);
    let size = usize::try_from(size).unwrap_or(1 << 30);
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(size);
    // SAFETY: nobody changes the file while it is mapped: one process writes it, in a folder of its own, and
    // it is read only once it is whole. So neither locks nor early syncs are needed.
    let opened = unsafe { options.flags(flags).open(folder) };
    opened.map_err(|e| explain(folder, "open", e))
}

fn explain(folder: &Path, what: &'static str, error: heed::Error) -> OnlineError {
    if let heed::Error::Io(source) = error {
        return ltv_core::Error::io(folder.join(DATA), what, source).into();
    }
    OnlineError::Store {
        store: folder.join(DATA).display().to_string(),
        what,
        problem: error.to_string(),
        hint: "it may be damaged: publish the snapshot again",
    }
}
