//! Folders that take their place in one step.
//!
//! ```text
//! parent/
//!   target/            the artefact, old or new, never half of one
//!   .ltv-work-Xy12ab/  while one is made
//!     lock             held by the process that makes it
//!     new/             becomes target/
//!     old/             the old artefact, for an instant, where the system cannot exchange folders
//!     ...              scratch files
//!   .ltv-part-target/  the same, of one that is made in several runs
//! ```

use super::{parent, sync_folder};
use crate::{Error, Result};
use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

/// How the names of work folders start.
const PREFIX: &str = ".ltv-work-";
/// How the names of work folders start that outlive a run that did not finish.
pub const PART: &str = ".ltv-part-";
/// What is made in one of those, so that nothing else goes on with it.
const PURPOSE: &str = "purpose";
/// Work folders tried before giving up; a second try is needed only when another process sweeps
/// the first one away between its birth and its lock.
const TRIES: usize = 100;

/// A folder under construction: made in a hidden work folder beside its target, whose place it
/// takes by [`AtomicFolder::commit`]. Dropped without a commit, it leaves nothing behind, but for what
/// [`AtomicFolder::resume`] is to go on with.
///
/// Whenever the process is killed, the target holds the old artefact or the new one, whole. A work
/// folder that a killed process left behind is removed by the next one that makes an
/// artefact in the same parent; a lock tells it from one that is in use.
#[derive(Debug)]
pub struct AtomicFolder {
    target: PathBuf,
    new: PathBuf,
    work: PathBuf,
    /// Whether the work folder holds the only copy of something when this is dropped.
    keep: bool,
    /// Whether what has been made is for the next run when this is dropped.
    outlives: bool,
    /// Held open, and with it the lock, until the work folder is gone.
    _lock: File,
}

impl AtomicFolder {
    /// Starts a folder that will become `target`, whose parents are created. A link is followed,
    /// so that what it points to is replaced and not the link.
    ///
    /// # Errors
    /// When the parent cannot be created or written to.
    pub fn create(target: impl AsRef<Path>) -> Result<Self> {
        let target = prepared(target.as_ref())?;
        let (work, lock) = locked(parent(&target))?;
        let made = Self {
            target,
            new: work.join("new"),
            work,
            keep: false,
            outlives: false,
            _lock: lock,
        };
        // A folder of its own, because the work folder is for its owner's eyes only.
        super::create_folder(&made.new)?;
        Ok(made)
    }

    /// As [`AtomicFolder::create`], but goes on with what a run for the same `purpose` left when it failed
    /// or was killed: what it had put into the folder, and its scratch files, are there. What was left for
    /// another purpose is removed. The second value says whether anything was there.
    ///
    /// Dropped without a commit, the folder stays for the next run, unless it is empty. Files in it have to
    /// be whole whenever the process is killed: see [`super::AtomicFile`].
    ///
    /// # Errors
    /// As [`AtomicFolder::create`]; when another process is making the same target.
    pub fn resume(target: impl AsRef<Path>, purpose: &str) -> Result<(Self, bool)> {
        let (target, work, lock) = named(target.as_ref())?;
        let new = work.join("new");
        let found = fs::read_to_string(work.join(PURPOSE));
        // Killed right after its commit, a run leaves the purpose alone.
        let goes_on = found.is_ok_and(|found| found == purpose) && new.is_dir();
        if !goes_on {
            empty(&work);
            super::create_folder(&new)?;
            super::write(work.join(PURPOSE), purpose.as_bytes())?;
        }
        let made = Self {
            target,
            new,
            work,
            keep: false,
            outlives: true,
            _lock: lock,
        };
        Ok((made, goes_on))
    }

    /// As [`AtomicFolder::create`], but nobody else makes the same target by this or by [`AtomicFolder::resume`] at the
    /// same time, and what a run left that was to be resumed is removed.
    ///
    /// # Errors
    /// As [`AtomicFolder::resume`]; when what a run left cannot be removed.
    pub fn alone(target: impl AsRef<Path>) -> Result<Self> {
        let (target, work, lock) = named(target.as_ref())?;
        empty(&work);
        let left = fs::read_dir(&work).map_err(|e| Error::io(&work, "list", e))?;
        if left.flatten().any(|entry| entry.file_name() != "lock") {
            let problem = "what an earlier run left there cannot be removed";
            return Err(Error::artefact(&work, problem, "remove this folder"));
        }
        let new = work.join("new");
        super::create_folder(&new)?;
        Ok(Self {
            target,
            new,
            work,
            keep: false,
            outlives: false,
            _lock: lock,
        })
    }

    /// The folder that becomes the target.
    pub fn path(&self) -> &Path {
        &self.new
    }

    /// A folder for scratch files, which goes away with the rest. The names `lock`, `new` and
    /// `old` are taken.
    pub fn scratch(&self) -> &Path {
        &self.work
    }

    /// What the folder will become, links followed.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Flushes everything to disk and puts the folder in the place of its target, which is then
    /// removed. The caller has made sure that what is there may be replaced.
    ///
    /// # Errors
    /// When the disk is full or the operating system refuses; the target is then as it was.
    pub fn commit(mut self) -> Result<()> {
        if self.target.exists() && !self.target.is_dir() {
            let error = io::Error::from(io::ErrorKind::NotADirectory);
            return Err(Error::io(&self.target, "replace", error));
        }
        if let Ok(old) = fs::metadata(&self.target) {
            // Who may read the artefact is not ours to change.
            fs::set_permissions(&self.new, old.permissions())
                .map_err(|e| Error::io(&self.new, "set permissions of", e))?;
        }
        sync_tree(&self.new)?;
        if let Err(failure) = replace(&self.new, &self.target, &self.work.join("old")) {
            return self.rescue(failure);
        }
        // Dropping removes the old artefact. Should that fail, the next run sweeps it.
        self.outlives = false;
        sync_folder(parent(&self.target))
    }

    /// As [`AtomicFolder::commit`], and sees that nothing is left on this disk of what was replaced, by any name that
    /// it had here.
    ///
    /// # Errors
    /// As [`AtomicFolder::commit`]; when the old artefact cannot be removed, after it was replaced.
    pub fn commit_for_good(self) -> Result<()> {
        let (work, target) = (self.work.clone(), self.target.clone());
        self.commit()?;
        if work.exists() {
            let problem = format!(
                "{} was replaced, but what was there before cannot be removed from here",
                target.display()
            );
            return Err(Error::artefact(work, problem, "remove this folder"));
        }
        sync_folder(parent(&target))
    }

    fn rescue(&mut self, failure: Failure) -> Result<()> {
        match failure {
            Failure::Untouched(e) => Err(Error::io(&self.target, "replace", e)),
            Failure::SetAside(e) => {
                self.keep = true;
                let problem = format!("neither replaced nor put back ({e})");
                let hint =
                    "what was there is now in the folder 'old' of this hidden one: move it back";
                Err(Error::artefact(&self.work, problem, hint))
            }
        }
    }
}

impl Drop for AtomicFolder {
    fn drop(&mut self) {
        let has_parts = || fs::read_dir(&self.new).is_ok_and(|mut parts| parts.next().is_some());
        let stays = self.keep || (self.outlives && has_parts());
        if !stays {
            remove(&self.work);
        }
    }
}

/// A target with its links followed, in a folder that is there and swept.
fn prepared(target: &Path) -> Result<PathBuf> {
    crate::address::check_output(target)?;
    let target = fs::canonicalize(target).unwrap_or_else(|_| target.to_path_buf());
    super::create_folder(parent(&target))?;
    sweep(parent(&target));
    Ok(target)
}

/// A target with its links followed, the work folder that has a name for it, and the lock of that.
fn named(target: &Path) -> Result<(PathBuf, PathBuf, File)> {
    let target = prepared(target)?;
    let folder = parent(&target);
    let mut name = std::ffi::OsString::from(PART);
    name.push(target.file_name().unwrap_or_default());
    let work = folder.join(name);
    let lock = held(&work, &target)?;
    if !put_back(folder, &work.join("old")) {
        let hint = "an old artefact was set aside in its folder 'old': move it away";
        return Err(Error::artefact(&work, "not free to be used again", hint));
    }
    Ok((target, work, lock))
}

/// Removes a work folder, its lock last: whatever a kill leaves of it can be swept.
fn remove(work: &Path) {
    empty(work);
    let others = fs::read_dir(work).into_iter().flatten().count();
    if others <= 1 {
        let _ = fs::remove_file(work.join("lock"));
        let _ = fs::remove_dir(work);
    }
}

/// Removes all but its lock, first of all what it is for: half of it is of no use to anybody.
fn empty(work: &Path) {
    let _ = fs::remove_file(work.join(PURPOSE));
    for entry in fs::read_dir(work).into_iter().flatten().flatten() {
        let path = entry.path();
        // What cannot be removed now is swept by the next run.
        let _ = match entry.file_type() {
            Ok(kind) if kind.is_dir() => fs::remove_dir_all(path),
            _ if entry.file_name() == "lock" => continue,
            _ => fs::remove_file(path),
        };
    }
}

/// How a replacement failed.
enum Failure {
    /// The target is as it was.
    Untouched(io::Error),
    /// The old artefact is in the folder to set it aside in.
    SetAside(io::Error),
}

/// Puts `new` in the place of `target`: in one step where the system can exchange two folders, and
/// otherwise in two, with the old one set aside in the folder `old` in between.
fn replace(new: &Path, target: &Path, old: &Path) -> Result<(), Failure> {
    if !target.exists() {
        return fs::rename(new, target).map_err(Failure::Untouched);
    }
    match exchange(new, target) {
        Err(e) if e.kind() == io::ErrorKind::Unsupported => in_two_steps(new, target, old),
        done => done.map_err(Failure::Untouched),
    }
}

/// `Unsupported` when the operating system or the file system cannot do it.
fn exchange(a: &Path, b: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    {
        use rustix::{
            fs::{CWD, RenameFlags, renameat_with},
            io::Errno,
        };
        renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).map_err(|e| match e {
            // Old kernels, file systems without it, and sandboxes that do not know the call.
            Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP | Errno::PERM => {
                io::ErrorKind::Unsupported.into()
            }
            e => e.into(),
        })
    }
    #[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
    {
        let _ = (a, b);
        Err(io::ErrorKind::Unsupported.into())
    }
}

fn in_two_steps(new: &Path, target: &Path, old: &Path) -> Result<(), Failure> {
    let name = target.file_name().unwrap_or_default();
    let aside = old.join(name);
    fs::create_dir_all(old).map_err(Failure::Untouched)?;
    fs::rename(target, &aside).map_err(Failure::Untouched)?;
    if let Err(e) = fs::rename(new, target) {
        return match fs::rename(&aside, target) {
            Ok(()) => Err(Failure::Untouched(e)),
            Err(_) => Err(Failure::SetAside(e)),
        };
    }
    // No longer the only copy: under this name whoever sweeps may remove it.
    let _ = fs::rename(&aside, new);
    Ok(())
}

/// Flushes every file and folder below `folder`, and itself.
fn sync_tree(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(|e| Error::io(folder, "list", e))? {
        let path = entry.map_err(|e| Error::io(folder, "list", e))?.path();
        if path.is_dir() {
            sync_tree(&path)?;
        } else {
            File::open(&path)
                .and_then(|file| file.sync_all())
                .map_err(|e| Error::io(&path, "write", e))?;
        }
    }
    sync_folder(folder)
}

/// A new work folder in `folder`, and its lock.
fn locked(folder: &Path) -> Result<(PathBuf, File)> {
    let fail = |e| Error::io(folder, "create a temporary folder in", e);
    let mut last = io::ErrorKind::WouldBlock.into();
    for _ in 0..TRIES {
        let work = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(folder)
            .map_err(fail)?;
        let path = work.path().join("lock");
        let lock = match File::create(&path) {
            Ok(lock) => lock,
            Err(e) => {
                last = e;
                continue;
            }
        };
        // Where locks are not supported nobody can sweep either.
        if !matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) && path.exists() {
            return Ok((work.keep(), lock));
        }
    }
    Err(fail(last))
}

/// The lock of a work folder that is known by its name, which is made where it is not there.
fn held(work: &Path, target: &Path) -> Result<File> {
    let path = work.join("lock");
    let mut last = io::ErrorKind::WouldBlock.into();
    for _ in 0..TRIES {
        let opened =
            private(work).and_then(|()| File::options().create(true).append(true).open(&path));
        let lock = match opened {
            Ok(lock) => lock,
            Err(e) => {
                last = e;
                continue;
            }
        };
        // Where locks are not supported, nobody can be told apart.
        if matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
            let hint = "wait until it is done, or give another output";
            return Err(Error::artefact(
                target,
                "another process is making it",
                hint,
            ));
        }
        // Whoever had it may have removed the folder just now, and others made it anew.
        if is_at(&lock, &path) {
            return Ok(lock);
        }
    }
    Err(Error::io(work, "lock", last))
}

/// Makes a folder for its owner's eyes alone, unless it is there.
fn private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Whether the open file is the one that has this name now.
fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(held), Ok(named)) = (file.metadata(), fs::metadata(path)) else {
        return false;
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        (held.dev(), held.ino()) == (named.dev(), named.ino())
    }
    #[cfg(not(unix))]
    {
        held.len() == named.len()
    }
}

/// Removes the work folders in `folder` that nobody holds. An old artefact that was set aside in
/// one goes back to its name if that is free; otherwise it stays where it is.
///
/// What cannot be removed (somebody else's, say) is left: it is not needed for our work.
pub fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let (name, work) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        if name.starts_with(PREFIX) {
            sweep_one(folder, &work);
        }
        // What is made in several runs stays, but for an old artefact that it had set aside.
        let lock = File::open(work.join("lock")).ok();
        if name.starts_with(PART) && lock.is_some_and(|lock| lock.try_lock().is_ok()) {
            let _ = put_back(folder, &work.join("old"));
        }
    }
}

fn sweep_one(folder: &Path, work: &Path) {
    let Ok(lock) = File::open(work.join("lock")) else {
        // Killed before it made its lock, or about to make it; the latter tries again.
        let _ = fs::remove_dir(work);
        return;
    };
    if lock.try_lock().is_ok() && put_back(folder, &work.join("old")) {
        remove(work);
    }
}

/// Whether nothing worth keeping is left in `old`.
fn put_back(folder: &Path, old: &Path) -> bool {
    let Ok(entries) = fs::read_dir(old) else {
        return !old.exists();
    };
    entries.flatten().all(|entry| {
        let name = folder.join(entry.file_name());
        !name.exists() && fs::rename(entry.path(), name).is_ok()
    })
}

/// The first entry of `folder` whose name is not among `own`; `None` also when there is no folder.
///
/// # Errors
/// When it cannot be listed.
pub fn stranger<'a>(
    folder: &Path,
    own: impl IntoIterator<Item = &'a str>,
) -> Result<Option<String>> {
    if !folder.exists() {
        return Ok(None);
    }
    let own: std::collections::HashSet<&str> = own.into_iter().collect();
    let mut names = vec![];
    for entry in fs::read_dir(folder).map_err(|e| Error::io(folder, "list", e))? {
        let entry = entry.map_err(|e| Error::io(folder, "list", e))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    Ok(names
        .into_iter()
        .filter(|name| !own.contains(name.as_str()))
        .min())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = names
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Makes `target` of one file, `name`.
    fn make(target: &Path, name: &str) {
        let folder = AtomicFolder::create(target).unwrap();
        super::super::write(folder.path().join(name), b"whole").unwrap();
        super::super::write(folder.scratch().join("spill"), b"scratch").unwrap();
        folder.commit().unwrap();
    }

    #[test]
    fn a_folder_takes_the_place_of_nothing_of_an_empty_one_and_of_an_old_one() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("a/b");
        make(&target, "1");
        make(&target, "2");
        assert_eq!(entries(&target), ["2"]);
        let empty = place.path().join("a/c");
        fs::create_dir(&empty).unwrap();
        make(&empty, "3");
        assert_eq!(entries(&empty), ["3"]);
        assert_eq!(entries(&place.path().join("a")), ["b", "c"]);
    }

    #[test]
    fn without_a_commit_nothing_changes() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("a");
        make(&target, "1");
        let folder = AtomicFolder::create(&target).unwrap();
        fs::write(folder.path().join("2"), "half").unwrap();
        drop(folder);
        assert_eq!(entries(&target), ["1"]);
        assert_eq!(entries(place.path()), ["a"]);
        let file = place.path().join("file");
        fs::write(&file, "mine").unwrap();
        AtomicFolder::create(&file).unwrap().commit().unwrap_err();
        assert_eq!(fs::read(&file).unwrap(), b"mine");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_followed() {
        let place = tempfile::tempdir().unwrap();
        let (real, link) = (place.path().join("real"), place.path().join("link"));
        make(&real, "1");
        std::os::unix::fs::symlink("real", &link).unwrap();
        make(&link, "2");
        assert!(link.is_symlink());
        assert_eq!(entries(&real), ["2"]);
    }

    #[test]
    fn two_steps_where_there_is_no_exchange() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        let (new, target, old) = (path("new"), path("target"), path("old"));
        fs::create_dir_all(new.join("n")).unwrap();
        fs::create_dir_all(target.join("o")).unwrap();
        in_two_steps(&new, &target, &old).ok().unwrap();
        assert_eq!(entries(&target), ["n"]);
        assert_eq!(entries(&new), ["o"]);
        assert_eq!(entries(&old), [] as [&str; 0]);
        // The new one is gone: the old one comes back.
        fs::remove_dir_all(&new).unwrap();
        let failure = in_two_steps(&new, &target, &old).err().unwrap();
        assert!(matches!(failure, Failure::Untouched(_)));
        assert_eq!(entries(&target), ["n"]);
    }

    #[test]
    fn what_a_killed_process_left_is_swept_and_what_is_held_is_not() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        let held = AtomicFolder::create(path("other")).unwrap();
        fs::write(held.path().join("1"), "half").unwrap();
        for killed in ["early", "late"] {
            fs::create_dir_all(path(PREFIX).with_extension(killed)).unwrap();
        }
        let late = path(PREFIX).with_extension("late");
        File::create(late.join("lock")).unwrap();
        File::create(late.join("spill")).unwrap();
        fs::create_dir_all(late.join("new/events")).unwrap();
        fs::create_dir_all(late.join("old/target/was here")).unwrap();
        drop(AtomicFolder::create(path("target")).unwrap());
        assert_eq!(entries(&path("target")), ["was here"]);
        assert_eq!(
            entries(place.path()).len(),
            2,
            "the held one and the target"
        );
        held.commit().unwrap();
        assert_eq!(entries(&path("other")), ["1"]);
    }

    #[test]
    fn what_a_run_left_is_there_for_the_same_purpose_alone() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("target");
        let resume = |purpose: &str| AtomicFolder::resume(&target, purpose).unwrap();
        let (folder, goes_on) = resume("a");
        assert!(!goes_on);
        let error = AtomicFolder::resume(&target, "a").unwrap_err().to_string();
        assert!(error.contains("another process"), "{error}");
        drop(folder);
        assert_eq!(entries(place.path()), [] as [&str; 0], "nothing was made");

        let (folder, _) = resume("a");
        fs::write(folder.path().join("part"), "1").unwrap();
        drop(folder);
        let (folder, goes_on) = resume("a");
        assert_eq!(
            (goes_on, entries(folder.path())),
            (true, vec!["part".into()])
        );
        drop(folder);
        // Others sweep beside it.
        drop(AtomicFolder::create(place.path().join("other")).unwrap());
        let (folder, goes_on) = resume("b");
        assert_eq!((goes_on, entries(folder.path())), (false, vec![]));
        fs::write(folder.path().join("part"), "2").unwrap();
        folder.commit().unwrap();
        assert_eq!(entries(place.path()), ["target"]);
        assert_eq!(fs::read(target.join("part")).unwrap(), b"2");
        assert!(!resume("b").1, "it was finished");

        // Killed right after its commit, a run leaves all but the folder, which has moved away.
        let left = place.path().join(".ltv-part-target");
        fs::create_dir(&left).unwrap();
        fs::write(left.join("purpose"), "c").unwrap();
        let (folder, goes_on) = resume("c");
        assert!(!goes_on && folder.path().is_dir());
    }

    #[test]
    fn alone_nothing_is_left_of_what_others_left_or_of_what_was_there() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("target");
        make(&target, "1");
        let (left, _) = AtomicFolder::resume(&target, "a").unwrap();
        fs::write(left.path().join("part"), "1").unwrap();
        AtomicFolder::alone(&target).unwrap_err();
        drop(left);
        let folder = AtomicFolder::alone(&target).unwrap();
        assert_eq!(entries(folder.path()), [] as [&str; 0]);
        AtomicFolder::resume(&target, "a").unwrap_err();
        fs::write(folder.path().join("half"), "2").unwrap();
        drop(folder);
        assert_eq!(entries(place.path()), ["target"]);
        assert_eq!(entries(&target), ["1"]);
        let folder = AtomicFolder::alone(&target).unwrap();
        fs::write(folder.path().join("2"), "whole").unwrap();
        folder.commit_for_good().unwrap();
        assert_eq!(entries(place.path()), ["target"]);
        assert_eq!(entries(&target), ["2"]);
    }

    #[test]
    fn the_only_copy_of_an_old_artefact_is_never_removed() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        make(&path("target"), "1");
        let work = path(PREFIX).with_extension("x");
        fs::create_dir_all(work.join("old/target")).unwrap();
        File::create(work.join("lock")).unwrap();
        make(&path("target"), "2");
        assert!(work.join("old/target").exists());
    }

    #[test]
    fn strangers_are_named_in_order() {
        let place = tempfile::tempdir().unwrap();
        for name in ["b", "a", "own"] {
            File::create(place.path().join(name)).unwrap();
        }
        assert_eq!(stranger(place.path(), ["own"]).unwrap().unwrap(), "a");
        assert_eq!(stranger(place.path(), ["own", "a", "b"]).unwrap(), None);
        assert_eq!(stranger(&place.path().join("none"), []).unwrap(), None);
    }
}
