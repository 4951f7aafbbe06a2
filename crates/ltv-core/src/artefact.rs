//! Files, and folders of them, are written whole or not at all.

mod folder;

pub use folder::{AtomicFolder, PART, stranger, sweep};

use crate::{Error, Result, address};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::{self, File},
    io::{BufWriter, Read, Write},
    path::{Path, PathBuf},
};

/// How the names of files under construction start.
const PARTIAL: &str = ".partial-";

/// Whether a file of this name is one under construction, or was when its process was killed.
pub fn is_partial(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy().starts_with(PARTIAL)
}

/// A file under construction: written under a temporary name in the same folder, and given its
/// own name only by [`AtomicFile::commit`], after its bytes are on disk. Dropped without a
/// commit, it leaves nothing behind.
#[derive(Debug)]
pub struct AtomicFile {
    target: PathBuf,
    temp: tempfile::NamedTempFile,
}

impl AtomicFile {
    /// Starts a file that will become `target`.
    ///
    /// # Errors
    /// When the folder does not exist or is not writable.
    pub fn create(target: impl AsRef<Path>) -> Result<Self> {
        let target = target.as_ref().to_path_buf();
        address::check_output(&target)?;
        let temp = tempfile::Builder::new()
            .prefix(PARTIAL)
            .tempfile_in(parent(&target))
            .map_err(|e| Error::io(&target, "create", about_target(&e)))?;
        Ok(Self { target, temp })
    }

    /// The open file, to write to.
    pub fn file(&mut self) -> &mut File {
        self.temp.as_file_mut()
    }

    /// A second handle on the open file, for writers that take ownership.
    ///
    /// # Errors
    /// When the operating system refuses another handle.
    pub fn handle(&self) -> Result<File> {
        self.temp
            .as_file()
            .try_clone()
            .map_err(|e| Error::io(&self.target, "open", e))
    }

    /// Flushes to disk and moves the file to its name, replacing what was there.
    ///
    /// # Errors
    /// When the disk is full or the rename fails; the target is then as it was.
    pub fn commit(self) -> Result<()> {
        let Self { target, temp } = self;
        set_permissions(temp.as_file()).map_err(|e| Error::io(&target, "set permissions of", e))?;
        temp.as_file()
            .sync_all()
            .map_err(|e| Error::io(&target, "write", e))?;
        temp.persist(&target)
            .map_err(|e| Error::io(&target, "rename to", e.error))?;
        sync_folder(parent(&target))
    }
}

/// The same error without the temporary file's name, which says nothing to the user.
fn about_target(error: &std::io::Error) -> std::io::Error {
    let kind = error.kind();
    match kind {
        std::io::ErrorKind::NotFound => std::io::Error::new(kind, "its folder is not there"),
        _ => kind.into(),
    }
}

/// Temporary files are private; an artefact is readable like any other file.
#[cfg(unix)]
fn set_permissions(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn set_permissions(_: &File) -> std::io::Result<()> {
    Ok(())
}

/// The folder that holds `path`: `.` for a bare file name.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    }
}

/// Flushes a folder to disk: a rename or a removal is durable only once the folder it happened in is.
///
/// # Errors
/// When the operating system refuses.
pub fn sync_folder(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    File::open(folder)
        .and_then(|handle| handle.sync_all())
        .map_err(|e| Error::io(folder, "write", e))?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// Writes `bytes` to `path`, whole or not at all.
///
/// # Errors
/// See [`AtomicFile`].
pub fn write(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    let path = path.as_ref();
    let mut file = AtomicFile::create(path)?;
    let mut out = BufWriter::new(file.file());
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|e| Error::io(path, "write", e))?;
    drop(out);
    file.commit()
}

/// Writes `value` to `path` as indented JSON, whole or not at all.
///
/// # Errors
/// See [`AtomicFile`].
pub fn write_json(path: impl AsRef<Path>, value: &impl Serialize) -> Result<()> {
    let path = path.as_ref();
    write(path, &to_json(path, value)?)
}

/// The bytes of `value` as an indented JSON document, as files hold it; `path` is for messages.
///
/// # Errors
/// When it cannot be written down, which is a defect.
pub fn to_json(path: impl AsRef<Path>, value: &impl Serialize) -> Result<Vec<u8>> {
    let written = serde_json::to_vec_pretty(value);
    let mut bytes = written.map_err(|e| Error::internal(path, e.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads a JSON document.
///
/// # Errors
/// When the file is missing, or is not the document expected.
pub fn read_json<T: DeserializeOwned>(path: impl AsRef<Path>) -> Result<T> {
    let path = path.as_ref();
    let bytes = fs::read(path).map_err(|e| Error::io(path, "read", e))?;
    parse_json(path, &bytes)
}

/// A JSON document that has been read from `path`.
///
/// # Errors
/// When it is not the document expected.
pub fn parse_json<T: DeserializeOwned>(path: impl AsRef<Path>, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| {
        Error::artefact(
            path,
            format!("not a valid document ({e})"),
            "make the artefact again",
        )
    })
}

/// BLAKE3 checksum of a file, in hexadecimal.
///
/// # Errors
/// When the file cannot be read.
pub fn checksum(path: impl AsRef<Path>) -> Result<String> {
    let path = path.as_ref();
    let mut file = File::open(path).map_err(|e| Error::io(path, "read", e))?;
    checksum_of(&mut file, path)
}

/// BLAKE3 checksum of all that is left to read, in hexadecimal; `path` is for messages.
///
/// # Errors
/// When it cannot be read.
pub fn checksum_of(file: &mut dyn Read, path: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file
            .read(&mut buffer)
            .map_err(|e| Error::io(path, "read", e))?
        {
            0 => return Ok(hasher.finalize().to_hex().to_string()),
            n => hasher.update(&buffer[..n]),
        };
    }
}

/// Creates a folder and its parents.
///
/// # Errors
/// When the operating system refuses.
pub fn create_folder(path: impl AsRef<Path>) -> Result<()> {
    address::check_output(path.as_ref())?;
    fs::create_dir_all(&path).map_err(|e| Error::io(&path, "create", e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_folder_is_in_this_one() {
        assert_eq!(parent(Path::new("model.ltv")), Path::new("."));
        assert_eq!(parent(Path::new("a/model.ltv")), Path::new("a"));
    }

    #[test]
    fn nothing_is_left_of_an_uncommitted_file() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.json");
        let mut file = AtomicFile::create(&target).unwrap();
        file.file().write_all(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_bare_file_name_stands_in_the_current_folder() {
        assert_eq!(parent(Path::new("model.ltv")), Path::new("."));
        assert_eq!(parent(Path::new("a/model.ltv")), Path::new("a"));
        assert_eq!(parent(Path::new("/")), Path::new("."));
        sync_folder(parent(Path::new("model.ltv"))).unwrap();
    }

    #[test]
    fn json_round_trip_and_checksum() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.json");
        write_json(&target, &vec![1, 2, 3]).unwrap();
        assert_eq!(read_json::<Vec<u32>>(&target).unwrap(), [1, 2, 3]);
        assert_eq!(checksum(&target).unwrap().len(), 64);
        write(&target, b"nonsense").unwrap();
        let error = read_json::<Vec<u32>>(&target).unwrap_err().to_string();
        assert!(error.contains("a.json") && error.contains("make the artefact again"));
    }
}
