//! A store in a folder of this machine.
//!
//! ```text
//! store/
//!   lock                            held by whoever publishes
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
mod erase;
mod table;

use crate::{
    Answer, Draft, OnlineError, Store, UserId, Version, pointer::Pointer, store::Hold,
    user::UserKind, value::Prediction,
};
use draft::Loading;
use ltv_core::{artefact, manifest::Head};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::{
    fs::{self, TryLockError},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};
use table::Table;

/// The file that says which version is live: a folder that holds it is a store.
pub const POINTER: &str = "live.json";
const VERSIONS: &str = "versions";
/// Held by whoever publishes.
const LOCK: &str = "lock";
/// How the names of versions start that are being removed.
const GONE: &str = ".ltv-gone-";
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
            checked,
            ..Self::to_publish(folder)
        };
        store.refresh()?;
        Ok(store)
    }

    /// The store in `folder` for whoever publishes: what is live is not opened, and may be damaged. It
    /// answers nothing before [`Store::refresh`].
    pub fn to_publish(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            open: RwLock::default(),
            pool: Mutex::default(),
            checked: false,
        }
    }

    /// Bytes of a version's file.
    ///
    /// # Errors
    /// When it is not there.
    pub fn bytes(&self, id: &str) -> Result<u64, OnlineError> {
        let file = self.at(id).join(DATA);
        let metadata = fs::metadata(&file);
        Ok(metadata
            .map_err(|e| ltv_core::Error::io(file, "read", e))?
            .len())
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
        let pointer: Pointer = artefact::read_json(&path)?;
        match pointer.kept().into_iter().find(|id| !is_name(id)) {
            Some(id) => {
                let problem = format!("'{id}' is no version's name");
                let hint = "the file was changed or damaged: publish the snapshot again";
                Err(ltv_core::Error::artefact(path, problem, hint).into())
            }
            None => Ok(Some(pointer)),
        }
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
        version.check(id, &self.name())
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

    fn answer_from(&self, opened: Arc<Opened>) {
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = Some(opened);
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
                Prediction::decode(key, bytes, width)
                    .ok_or_else(|| OnlineError::damaged_value(self.name(), &version.id))
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
            let gone = match name.starts_with(GONE) {
                true => path.clone(),
                // What is being made is hidden.
                false if name.starts_with('.') || ids.contains(&&*name) => continue,
                false => path.with_file_name(format!("{GONE}{name}")),
            };
            let failed = |e| ltv_core::Error::io(&path, "remove", e);
            if gone != path {
                // In one step, so that nobody takes half of it for a version.
                fs::rename(&path, &gone).map_err(failed)?;
            }
            fs::remove_dir_all(&gone).map_err(failed)?;
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

    fn previous(&self) -> Result<Option<Arc<Version>>, OnlineError> {
        let (Some(opened), Some(pointer)) = (self.opened(), self.pointer()?) else {
            return Ok(None);
        };
        let Some(id) = pointer.before(&opened.version.id) else {
            return Ok(None);
        };
        match self.describe(id) {
            // It may have been removed after the pointer was read.
            Err(_) if self.pointer()?.as_ref() != Some(&pointer) => Ok(None),
            described => Ok(Some(Arc::new(described?))),
        }
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
        self.answer_from(Arc::new(opened));
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

    fn hold(&self) -> Result<Hold, OnlineError> {
        check_folder(&self.folder)?;
        artefact::create_folder(&self.folder)?;
        let path = self.folder.join(LOCK);
        let failed = |e| ltv_core::Error::io(&path, "lock", e);
        let mut options = fs::File::options();
        let file = options.create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(file)),
            Err(TryLockError::WouldBlock) => Err(OnlineError::Store {
                store: self.name(),
                what: "publish",
                problem: "another process is publishing there".to_owned(),
                hint: "wait until it has ended",
            }),
            Err(TryLockError::Error(e)) => Err(failed(e).into()),
        }
    }

    fn kept(&self) -> Result<Vec<Arc<Version>>, OnlineError> {
        let Some(pointer) = self.pointer()? else {
            return Ok(vec![]);
        };
        let live = self.describe(&pointer.live)?;
        let previous = pointer.previous.filter(|id| self.at(id).exists());
        let previous = previous.map(|id| self.describe(&id)).transpose()?;
        Ok([live].into_iter().chain(previous).map(Arc::new).collect())
    }

    fn begin(&self, id: &str, _: u64) -> Result<Box<dyn Draft + '_>, OnlineError> {
        Ok(Box::new(Loading::begin(&self.at(id))?))
    }

    fn has(&self, id: &str) -> Result<bool, OnlineError> {
        if !self.at(id).join(DOCUMENT).exists() {
            return Ok(false);
        }
        let whole = self.opened_version(id).and_then(|_| self.verify(id));
        Ok(whole.is_ok())
    }

    fn go_live(&self, id: &str) -> Result<(), OnlineError> {
        let opened = Arc::new(self.opened_version(id)?);
        let pointer = Pointer::after(self.pointer()?, id);
        self.point(&pointer)?;
        self.answer_from(opened);
        // It is live; what cannot be removed now is tried again the next time.
        let _ = self.keep(&pointer.kept());
        Ok(())
    }

    fn roll_back(&self) -> Result<Arc<Version>, OnlineError> {
        let none = || OnlineError::NoPrevious { store: self.name() };
        let previous = self.pointer()?.and_then(|pointer| pointer.previous);
        let id = previous.ok_or_else(none)?;
        let opened = Arc::new(self.opened_version(&id)?);
        let version = opened.version.clone();
        self.point(&Pointer::new(&id, None))?;
        self.answer_from(opened);
        Ok(version)
    }
}

/// Whether a version can have this name: that of a folder in the store, and not of one elsewhere.
fn is_name(id: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    !id.is_empty() && !id.starts_with('.') && id.chars().all(fits)
}

/// A folder that holds something else is not taken for a store.
fn check_folder(folder: &Path) -> Result<(), OnlineError> {
    let known = |name: &str| [POINTER, VERSIONS, LOCK].contains(&name);
    let mut names = vec![];
    if folder.exists() {
        let failed = |e| ltv_core::Error::io(folder, "list", e);
        for entry in fs::read_dir(folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            // Left of a process that was killed while it wrote the pointer.
            if !artefact::is_partial(&name) {
                names.push(name.to_string_lossy().into_owned());
            }
        }
    }
    match names.into_iter().filter(|name| !known(name)).min() {
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
