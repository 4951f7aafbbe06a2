//! Versions take the places of others from which users have to vanish. Files are not changed: LMDB keeps the bytes
//! of what is deleted, and others have them open.

use super::{Embedded, VERSIONS};
use crate::{
    Draft, Erase, OnlineError, Prediction, Store, UserId, Version, embedded::table::Table,
    store::EachSink,
};
use ltv_core::artefact;

impl Erase for Embedded {
    fn each(&self, version: &Version, sink: EachSink<'_>) -> Result<(), OnlineError> {
        self.verify(&version.id)?;
        let width = version.width();
        let damaged = || OnlineError::damaged_value(self.name(), &version.id);
        Table::open(&self.at(&version.id))?.each(&mut |(key, bytes)| {
            let user = UserId::of_key(key, version.users).ok_or_else(damaged)?;
            let found = Prediction::decode(key, bytes, width).ok_or_else(damaged)?;
            sink(user, found)
        })
    }

    fn stand_in(&self, id: &str, of: &Version) -> Result<Box<dyn Draft + '_>, OnlineError> {
        self.begin(id, of.rows)
    }

    fn switch(&self, old: &str, new: &str) -> Result<(), OnlineError> {
        // Whatever is put live opens.
        self.opened_version(new)?;
        let switched = self
            .pointer()?
            .and_then(|pointer| pointer.switched(old, new));
        let pointer = switched.ok_or_else(|| OnlineError::changed(self.name()))?;
        self.point(&pointer)?;
        self.refresh()?;
        self.keep(&pointer.kept())
    }

    fn clear(&self) -> Result<(), OnlineError> {
        let Some(pointer) = self.pointer()? else {
            return Ok(());
        };
        let kept = pointer.kept();
        let folder = self.folder.join(VERSIONS);
        artefact::sweep(&folder);
        self.keep(&kept)?;
        artefact::sync_folder(&folder)?;
        match artefact::stranger(&folder, kept)? {
            None => Ok(()),
            Some(name) => {
                let problem = "this is none of the versions that are kept, and may hold users";
                let hint = "if nobody is publishing, remove it, and run this again";
                Err(ltv_core::Error::artefact(folder.join(name), problem, hint).into())
            }
        }
    }
}
