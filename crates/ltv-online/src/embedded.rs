//! A store in a folder of this machine.
//!
//! ```text
//! store/
//!   live.json                       which version is live, and which was before
//!   versions/2024-04-01-5d0b.../    one version, never changed
//!     version.json
//!     data.mdb                      keys and values (LMDB)
//!     data.blake3                   its checksum
//! ```
//!
//! A version is made in a hidden folder and gets its name when it is on disk and has been read back;
//! `live.json` is replaced in one step. A kill anywhere leaves the old version live. Versions are mapped into
//! memory read-only, so that any number of processes share one copy of what is in use; removed ones stay
//! readable for whoever has them open.

mod draft;
mod table;

use crate::{
    Answer, Draft, OnlineError, Store, UserId, Version, pointer::Pointer, user::UserKind,
    value::Prediction,
};
use draft::Loading;
use ltv_core::{artefact, manifest::Head};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};
use table::Table;

const POINTER: &str = "live.json";
const VERSIONS: &str = "versions";
const DOCUMENT: &str = "version.json";
const DATA: &str = "data.mdb";
const SUM: &str = "data.blake3";
/// Threads that look batches up: so many reads a disk is given at a time.
const THREADS: usize = 16;

/// A store in a folder.
pub struct Embedded {
    folder: PathBuf,
    open: RwLock<Option<Arc<Opened>>>,
    /// Threads that wait for the disk, once there is a batch.
    pool: Mutex<Option<Arc<ThreadPool>>>,
    /// Whether files are read from end to end before they answer.
    checked: bool,
}

/// A version that answers.
struct Opened {
    version: Arc<Version>,
    table: Table,
}

impl Embedded {
    /// The store in `folder`, which need not be there yet.
    ///
    /// # Errors
    /// When what is there is no store, or its live version cannot be opened.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, OnlineError> {
        Self::new(folder.into(), false)
    }

    /// As [`Embedded::open`], but a version answers only after its file has been read from end to end and
    /// has the checksum that was written down: for whoever stays open for long.
    ///
    /// # Errors
    /// As [`Embedded::open`]; when the live version is damaged.
    pub fn open_checked(folder: impl Into<PathBuf>) -> Result<Self, OnlineError> {
        Self::new(folder.into(), true)
    }

    fn new(folder: PathBuf, checked: bool) -> Result<Self, OnlineError> {
        let store = Self {
            folder,
            open: RwLock::default(),
            pool: Mutex::default(),
            checked,
        };
        store.refresh()?;
        Ok(store)
    }

    /// Reads a version from end to end.
    ///
    /// # Errors
    /// When it is not the file that was written.
    pub fn verify(&self, id: &str) -> Result<(), OnlineError> {
        let folder = self.at(id);
        let (file, sum) = (folder.join(DATA), folder.join(SUM));
        let written = fs::read_to_string(&sum);
        let written = written.map_err(|e| ltv_core::Error::io(&sum, "read", e))?;
        match written.split_whitespace().next() == Some(&*artefact::checksum(&file)?) {
            true => Ok(()),
            false => {
                let problem = "its checksum is not the one that was written";
                let hint = "the file was changed or damaged: publish the snapshot again";
                Err(ltv_core::Error::artefact(file, problem, hint).into())
            }
        }
    }

    fn pointer(&self) -> Result<Option<Pointer>, OnlineError> {
        let path = self.folder.join(POINTER);
        if !path.exists() {
            return Ok(None);
        }
        let head: Head = artefact::read_json(&path)?;
        head.expect(&path, Pointer::FORMAT, Pointer::VERSION)?;
        Ok(Some(artefact::read_json(&path)?))
    }

    fn point(&self, pointer: &Pointer) -> Result<(), OnlineError> {
        Ok(artefact::write_json(self.folder.join(POINTER), pointer)?)
    }

    fn at(&self, id: &str) -> PathBuf {
        self.folder.join(VERSIONS).join(id)
    }

    fn describe(&self, id: &str) -> Result<Version, OnlineError> {
        let path = self.at(id).join(DOCUMENT);
        let head: Head = artefact::read_json(&path)?;
        head.expect(&path, Version::FORMAT, Version::VERSION)?;
        let version: Version = artefact::read_json(&path)?;
        version.check(&self.name())
    }

    fn opened_version(&self, id: &str) -> Result<Opened, OnlineError> {
        let version = Arc::new(self.describe(id)?);
        if self.checked {
            self.verify(id)?;
        }
        Ok(Opened {
            version,
            table: Table::open(&self.at(id))?,
        })
    }

    /// What this process answers from.
    fn opened(&self) -> Option<Arc<Opened>> {
        self.open
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn pool(&self) -> Result<Arc<ThreadPool>, OnlineError> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = &*pool {
            return Ok(pool.clone());
        }
        let made = ThreadPoolBuilder::new().num_threads(THREADS);
        let made = made.thread_name(|i| format!("look-up {i}")).build();
        Ok(pool
            .insert(Arc::new(made.map_err(OnlineError::internal)?))
            .clone())
    }

    fn answer(&self, opened: &Opened, users: &[UserId]) -> Result<Answer, OnlineError> {
        let version = &opened.version;
        let keys = users.iter().map(|user| key(user, version.users));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let width = version.width();
        let predictions = opened.table.get(
            &keys,
            || self.pool(),
            |key, bytes| {
                Prediction::decode(key, bytes, width).ok_or_else(|| OnlineError::Check {
                    store: self.name(),
                    problem: format!("a damaged value in version {}", version.id),
                })
            },
        )?;
        Ok(Answer {
            version: version.clone(),
            predictions,
        })
    }

    /// Removes all versions but these.
    fn keep(&self, ids: &[&str]) -> Result<(), OnlineError> {
        let folder = self.folder.join(VERSIONS);
        let failed = |e| ltv_core::Error::io(&folder, "list", e);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // What others are making is hidden.
            if !name.starts_with('.') && !ids.contains(&&*name) {
                fs::remove_dir_all(&path).map_err(|e| ltv_core::Error::io(&path, "remove", e))?;
            }
        }
        Ok(())
    }
}

fn key(user: &UserId, kind: UserKind) -> Result<Vec<u8>, OnlineError> {
    let mut key = vec![];
    user.clone().of_kind(kind)?.key(&mut key);
    Ok(key)
}

impl Store for Embedded {
    fn name(&self) -> String {
        self.folder.display().to_string()
    }

    fn live(&self) -> Option<Arc<Version>> {
        Some(self.opened()?.version.clone())
    }

    fn refresh(&self) -> Result<bool, OnlineError> {
        let Some(pointer) = self.pointer()? else {
            return Ok(false);
        };
        if self.opened().is_some_and(|o| o.version.id == pointer.live) {
            return Ok(false);
        }
        let opened = match self.opened_version(&pointer.live) {
            // It may have been replaced, and removed, after the pointer was read.
            Err(error) => match self.pointer()? {
                Some(later) if later != pointer => self.opened_version(&later.live)?,
                _ => return Err(error),
            },
            Ok(opened) => opened,
        };
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(opened));
        Ok(true)
    }

    fn get(&self, users: &[UserId]) -> Result<Answer, OnlineError> {
        let opened = self.opened();
        let opened = opened.ok_or_else(|| OnlineError::Empty { store: self.name() })?;
        self.answer(&opened, users)
    }

    fn peek(&self, id: &str, users: &[UserId]) -> Result<Answer, OnlineError> {
        match self.opened() {
            Some(opened) if opened.version.id == id => self.answer(&opened, users),
            _ => self.answer(&self.opened_version(id)?, users),
        }
    }

    fn begin(&self, id: &str, _: u64) -> Result<Box<dyn Draft + '_>, OnlineError> {
        check_folder(&self.folder)?;
        Ok(Box::new(Loading::begin(&self.at(id))?))
    }

    fn has(&self, id: &str) -> Result<bool, OnlineError> {
        Ok(self.at(id).join(DOCUMENT).exists())
    }

    fn go_live(&self, id: &str) -> Result<(), OnlineError> {
        self.describe(id)?;
        let pointer = Pointer::after(self.pointer()?, id);
        self.point(&pointer)?;
        self.keep(&pointer.kept())?;
        self.refresh()?;
        Ok(())
    }

    fn roll_back(&self) -> Result<Arc<Version>, OnlineError> {
        let none = || OnlineError::NoPrevious { store: self.name() };
        let previous = self.pointer()?.and_then(|pointer| pointer.previous);
        let id = previous.ok_or_else(none)?;
        let version = Arc::new(self.describe(&id)?);
        self.point(&Pointer::new(&id, None))?;
        self.refresh()?;
        Ok(version)
    }
}

/// A folder that holds something else is not taken for a store.
fn check_folder(folder: &Path) -> Result<(), OnlineError> {
    match artefact::stranger(folder, [POINTER, VERSIONS])? {
        Some(entry) => {
            let problem = format!("holds '{entry}', which is not part of a store");
            let hint = "give a new folder, an empty one or a store";
            Err(ltv_core::Error::artefact(folder, problem, hint).into())
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
