//! `ltv train --tensorboard DIR`: what a training measures of itself, as an event file that
//! TensorBoard reads (docs/formats/tensorboard.md, docs/decisions/0020-tensorboard.md).

mod event;
mod record;

use crate::{exit::Failure, progress::Display};
use event::Event;
use ltv_core::{
    Error,
    artefact::{AtomicFile, create_folder},
    progress::Progress,
};
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// How the names of event files begin: what TensorBoard looks for.
const PREFIX: &str = "events.out.tfevents.";

/// Shows progress as before, and writes what is measured to an event file, if there is to be one.
pub(crate) struct Recorder<'a> {
    display: &'a Display,
    folder: Option<PathBuf>,
    file: Mutex<Option<EventFile>>,
}

impl<'a> Recorder<'a> {
    /// Asks now whether files can be made in the folder, so that a training does not end without
    /// them.
    pub(crate) fn new(display: &'a Display, folder: Option<&Path>) -> Result<Self, Failure> {
        if let Some(folder) = folder {
            if folder.exists() && !folder.is_dir() {
                let problem = "is a file; --tensorboard takes a folder to write event files to";
                return Err(Failure::user(format!("{}: {problem}", folder.display())));
            }
            create_folder(folder)?;
            drop(AtomicFile::create(folder.join("probe"))?);
        }
        Ok(Self {
            display,
            folder: folder.map(Path::to_path_buf),
            file: Mutex::new(None),
        })
    }

    /// Does something with the event file. One that cannot be written is given up, not the training.
    fn with(&self, work: impl FnOnce(&mut EventFile) -> io::Result<()>) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Err(error)) = file.as_mut().map(work) else {
            return;
        };
        let path = file.take().map(|file| file.path).unwrap_or_default();
        self.display.warn(&format!(
            "{}: cannot be written ({error}); training goes on, without events for TensorBoard",
            path.display()
        ));
    }
}

impl Progress for Recorder<'_> {
    fn start(&self, stage: &str, total: Option<u64>) {
        self.display.start(stage, total);
    }
    fn advance(&self, n: u64) {
        self.display.advance(n);
    }
    fn note(&self, text: &str) {
        self.display.note(text);
    }
    fn spend(&self, part: &'static str, time: Duration) {
        self.display.spend(part, time);
    }
    fn finish(&self) {
        self.display.finish();
    }

    fn begin(&self, step: u64) {
        let Some(folder) = &self.folder else { return };
        match EventFile::create(folder, step) {
            Ok(file) => *self.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(file),
            Err(error) => self.display.warn(&format!(
                "{error}; training goes on, without events for TensorBoard"
            )),
        }
    }

    fn measure(&self, step: u64, values: &[(&str, f64)]) {
        self.with(|file| file.add(&Event::scalars(now(), step, values)));
    }
}

/// An event file under construction. Unlike an artefact it is read while it grows.
struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// A new file after all others in the folder, in which steps from `step` on replace theirs.
    fn create(folder: &Path, step: u64) -> Result<Self, Error> {
        let time = now();
        let path = folder.join(name(folder, time as u64)?);
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let file = file.map_err(|e| Error::io(&path, "create", e))?;
        let mut events = Self { path, file };
        let written = events
            .add(&Event::version(time))
            .and_then(|()| events.add(&Event::start(time, step)));
        match written {
            Ok(()) => Ok(events),
            Err(e) => Err(Error::io(&events.path, "write", e)),
        }
    }

    /// Adds a record, all of it at once: it is there before the next checkpoint is.
    fn add(&mut self, event: &Event) -> io::Result<()> {
        self.file.write_all(&record::framed(event.bytes()))
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs_f64()
}

/// A name that sorts after those of all event files in the folder, which is the order in which they
/// are read: with the second of its creation or, where that is not late enough, a later one.
fn name(folder: &Path, second: u64) -> Result<OsString, Error> {
    let failed = |e| Error::io(folder, "list", e);
    let mut next = second;
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let second = rest.and_then(|rest| rest.split('.').next()?.parse::<u64>().ok());
        next = next.max(second.map_or(0, |second| second.saturating_add(1)));
    }
    Ok(format!("{PREFIX}{next:010}.ltv").into())
}

#[cfg(test)]
mod tests;
