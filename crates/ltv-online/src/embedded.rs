//! A store in a folder of this machine.
//!
//! ```text
//! store/
//!   live.json                       which version is live, and which was before
//!   versions/2024-04-01-5d0b.../    one version, never changed
//!     version.json
//!     data.mdb                      keys and values (LMDB)
//! ```
//!
//! A version is made in a hidden folder and gets its name when it is on disk and has been read back;
//! `live.json` is replaced in one step. A kill anywhere leaves the old version live. Versions are mapped into
//! memory read-only, so that any number of processes share one copy of what is in use; removed ones stay
//! readable for whoever has them open.

mod draft;
mod table;

use crate::{
    Answer, Draft, OnlineError, Store, UserId, Version, user::UserKind, value::Prediction,
};
use draft::Loading;
use ltv_core::{artefact, manifest::Head};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};
use table::Table;

const POINTER: &str = "live.json";
const VERSIONS: &str = "versions";
const DOCUMENT: &str = "version.json";

/// A store in a folder.
pub struct Embedded {
    folder: PathBuf,
    open: RwLock<Option<Arc<Opened>>>,
}

/// A version that answers.
struct Opened {
    version: Arc<Version>,
    table: Table,
}

/// Which version is live.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Pointer {
    format: String,
    version: u32,
    live: String,
    previous: Option<String>,
}

impl Pointer {
    const FORMAT: &'static str = "ltv-store";
    const VERSION: u32 = 1;
}

impl Embedded {
    /// The store in `folder`, which need not be there yet.
    ///
    /// # Errors
    /// When what is there is no store, or its live version cannot be opened.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, OnlineError> {
        let store = Self {
            folder: folder.into(),
            open: RwLock::default(),
        };
        store.refresh()?;
        Ok(store)
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

    fn point(&self, live: &str, previous: Option<String>) -> Result<(), OnlineError> {
        let pointer = Pointer {
            format: Pointer::FORMAT.into(),
            version: Pointer::VERSION,
            live: live.into(),
            previous,
        };
        Ok(artefact::write_json(self.folder.join(POINTER), &pointer)?)
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
        Ok(Opened {
            version: Arc::new(self.describe(id)?),
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

impl Opened {
    fn answer(&self, store: &str, users: &[UserId]) -> Result<Answer, OnlineError> {
        Ok(Answer {
            version: self.version.clone(),
            predictions: self.get(store, users)?,
        })
    }

    fn get(&self, store: &str, users: &[UserId]) -> Result<Vec<Option<Prediction>>, OnlineError> {
        let horizons = self.version.horizons.len();
        let keys = users.iter().map(|user| key(user, self.version.users));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        self.table.get(&keys, |bytes| {
            Prediction::decode(bytes, horizons).ok_or_else(|| OnlineError::Check {
                store: store.to_owned(),
                problem: format!("a damaged value in version {}", self.version.id),
            })
        })
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
        opened.answer(&self.name(), users)
    }

    fn peek(&self, id: &str, users: &[UserId]) -> Result<Answer, OnlineError> {
        match self.opened() {
            Some(opened) if opened.version.id == id => opened.answer(&self.name(), users),
            _ => self.opened_version(id)?.answer(&self.name(), users),
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
        let previous = match self.pointer()? {
            Some(pointer) if pointer.live == id => pointer.previous,
            pointer => pointer.map(|pointer| pointer.live),
        };
        self.point(id, previous.clone())?;
        let kept: Vec<&str> = previous.iter().map(String::as_str).chain([id]).collect();
        self.keep(&kept)?;
        self.refresh()?;
        Ok(())
    }

    fn roll_back(&self) -> Result<Arc<Version>, OnlineError> {
        let none = || OnlineError::NoPrevious { store: self.name() };
        let previous = self.pointer()?.and_then(|pointer| pointer.previous);
        let id = previous.ok_or_else(none)?;
        let version = Arc::new(self.describe(&id)?);
        self.point(&id, None)?;
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
