//! What a path or an address names.

use crate::{
    FilesError, Input,
    address::{self, Address},
    bucket::Bucket,
    error::Problem,
    object::Object,
    runtime::wait,
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use object_store::path::Path as Key;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Objects that are opened or read side by side.
const AHEAD: usize = 32;

/// The stores that are in use: places in the same bucket share its connections and credentials.
#[derive(Debug, Default)]
pub struct Stores(Mutex<BTreeMap<String, Arc<Bucket>>>);

impl Stores {
    /// The place that `path` names: an address `s3://bucket/prefix`, or a folder of this machine. It
    /// need not be there.
    ///
    /// # Errors
    /// When it is an address that is not supported, or the environment holds no usable credentials
    /// for it.
    pub fn place(&self, path: impl AsRef<Path>) -> Result<Place, FilesError> {
        let path = path.as_ref();
        let Some(Address { bucket, prefix }) = address::parse(path)? else {
            return Ok(Place(Kind::Local(path.to_path_buf())));
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = match known.get(&bucket) {
            Some(bucket) => bucket.clone(),
            None => {
                let name = bucket.clone();
                let connected = Arc::new(wait(async move { Bucket::connect(name).await })?);
                known.entry(bucket).or_insert(connected).clone()
            }
        };
        let name = bucket.url(&prefix).into();
        Ok(Place(Kind::Remote {
            bucket,
            prefix,
            name,
        }))
    }
}

/// A folder of this machine, or all objects of a bucket whose names start with a prefix and a slash.
#[derive(Debug, Clone)]
pub struct Place(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Local(PathBuf),
    Remote {
        bucket: Arc<Bucket>,
        prefix: Key,
        /// Its address.
        name: PathBuf,
    },
}

impl Place {
    /// What messages call it: the path, or the address.
    pub fn name(&self) -> &Path {
        match &self.0 {
            Kind::Local(path) => path,
            Kind::Remote { name, .. } => name,
        }
    }

    /// Where it is, in an object store.
    pub(crate) fn prefix(&self) -> Option<(&Arc<Bucket>, &Key)> {
        match &self.0 {
            Kind::Local(_) => None,
            Kind::Remote { bucket, prefix, .. } => Some((bucket, prefix)),
        }
    }

    /// What messages call the file `name` in it.
    pub fn file(&self, name: &str) -> PathBuf {
        match &self.0 {
            Kind::Local(path) => path.join(name),
            Kind::Remote { name: url, .. } => format!("{}/{name}", url.display()).into(),
        }
    }

    /// The places in it, by name; those whose names start with a dot are left out.
    ///
    /// # Errors
    /// When it cannot be listed. A prefix that no object starts with is an empty place.
    pub fn folders(&self) -> Result<Vec<Self>, FilesError> {
        match &self.0 {
            Kind::Local(path) => {
                let entries = fs::read_dir(path).map_err(|source| FilesError::Local {
                    path: path.clone(),
                    source,
                })?;
                let inner = entries.filter_map(Result::ok).map(|e| e.path());
                let visible = |path: &PathBuf| {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    !name.starts_with('.') && path.is_dir()
                };
                let mut inner: Vec<PathBuf> = inner.filter(visible).collect();
                inner.sort();
                Ok(inner.into_iter().map(|p| Self(Kind::Local(p))).collect())
            }
            Kind::Remote { bucket, prefix, .. } => {
                let (asked, key) = (bucket.clone(), prefix.clone());
                let mut names = wait(async move { asked.folders(&key).await })?;
                names.retain(|name| !name.starts_with('.'));
                names.sort();
                let inner = names.into_iter().map(|name| {
                    let prefix = below(prefix, &name).map_err(|p| self.refuse(&name, p))?;
                    let name = bucket.url(&prefix).into();
                    let bucket = bucket.clone();
                    Ok(Self(Kind::Remote {
                        bucket,
                        prefix,
                        name,
                    }))
                });
                inner.collect()
            }
        }
    }

    /// A small file of it, whole; `None` where it is not there.
    ///
    /// # Errors
    /// When it is there and cannot be read, or nobody can tell.
    pub fn read(&self, name: &str) -> Result<Option<Bytes>, FilesError> {
        match self.object(name)? {
            None => self.read_local(name),
            Some((bucket, key)) => wait(whole(bucket, key)),
        }
    }

    fn read_local(&self, name: &str) -> Result<Option<Bytes>, FilesError> {
        let path = self.file(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(e) if is_absence(&e) => Ok(None),
            Err(e) => Err(ltv_core::Error::io(path, "read", e).into()),
        }
    }

    /// The object of a name, where this is no folder of this machine.
    fn object(&self, name: &str) -> Result<Option<(Arc<Bucket>, Key)>, FilesError> {
        let Kind::Remote { bucket, prefix, .. } = &self.0 else {
            return Ok(None);
        };
        let key = below(prefix, name).map_err(|p| self.refuse(name, p))?;
        Ok(Some((bucket.clone(), key)))
    }

    fn refuse(&self, name: &str, problem: Problem) -> FilesError {
        FilesError::remote(self.file(name).display(), problem)
    }
}

/// The key of what has a name below a prefix.
pub(crate) fn below(prefix: &Key, name: &str) -> Result<Key, Problem> {
    let key = match prefix.as_ref() {
        "" => Key::parse(name),
        prefix => Key::parse(format!("{prefix}/{name}")),
    };
    key.map_err(|_| Problem::Address("not the name of an object"))
}

fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

pub(crate) async fn whole(bucket: Arc<Bucket>, key: Key) -> Result<Option<Bytes>, FilesError> {
    match bucket.get(&key, None, None).await {
        Ok((_, bytes)) => Ok(Some(bytes)),
        Err(FilesError::Remote {
            problem: Problem::Missing,
            ..
        }) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn found((bucket, key, size): (Arc<Bucket>, Key, u64)) -> Result<Input, FilesError> {
    let (object, end) = Object::find(bucket, key, size).await?;
    Ok(Input::remote(Arc::new(object), vec![end]))
}

/// The small file `name` of each place, as [`Place::read`], objects side by side.
///
/// # Errors
/// The first in the order of `places`.
pub fn read_each(places: &[Place], name: &str) -> Result<Vec<Option<Bytes>>, FilesError> {
    let objects = places.iter().map(|p| p.object(name));
    let objects = objects.collect::<Result<Vec<_>, _>>()?;
    let remote = objects.iter().flatten().cloned();
    let mut fetched = side_by_side(remote.map(|(b, k)| whole(b, k)).collect())?.into_iter();
    let one = |(place, object): (&Place, &Option<_>)| match object {
        Some(_) => fetched.next().unwrap_or_else(|| Err(lost())),
        None => place.read_local(name),
    };
    places.iter().zip(&objects).map(one).collect()
}

/// A file that is known by its name, and not opened yet.
#[derive(Debug, Clone)]
pub struct Entry {
    path: PathBuf,
    /// Of an object, where it is and how many bytes it should have.
    object: Option<(Arc<Bucket>, Key, u64)>,
}

impl Entry {
    /// What messages call it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that an object has; not asked of a file of this machine.
    pub fn object_bytes(&self) -> Option<u64> {
        self.object.as_ref().map(|(_, _, bytes)| *bytes)
    }

    /// The same for two names of one file, and for no others.
    ///
    /// # Errors
    /// When it is a file of this machine that is not there.
    pub fn identity(&self) -> Result<PathBuf, FilesError> {
        match &self.object {
            Some(_) => Ok(self.path.clone()),
            None => Ok(fs::canonicalize(&self.path).map_err(|e| unreadable(&self.path, e))?),
        }
    }
}

fn unreadable(path: &Path, error: io::Error) -> ltv_core::Error {
    ltv_core::Error::io(path, "read", error)
}

impl Place {
    /// The file `name` in it, which should have so many bytes.
    ///
    /// # Errors
    /// When no object can have that name.
    pub fn entry(&self, name: &str, size: u64) -> Result<Entry, FilesError> {
        let object = self.object(name)?.map(|(bucket, key)| (bucket, key, size));
        let path = self.file(name);
        Ok(Entry { path, object })
    }

    /// The files in it and in the folders in it, by name, but for those of which a part of the name
    /// is not wanted; itself, where it is a file.
    ///
    /// # Errors
    /// When it is not there or cannot be listed.
    pub fn files(&self, wanted: fn(&str) -> bool) -> Result<Vec<Entry>, FilesError> {
        let mut found = vec![];
        match &self.0 {
            Kind::Local(path) => {
                let itself = fs::metadata(path).map_err(|e| unreadable(path, e))?;
                match itself.is_dir() {
                    true => walk(path, wanted, &mut found)?,
                    false => found.push(path.clone()),
                }
                found.sort();
                let entry = |path| Entry { path, object: None };
                Ok(found.into_iter().map(entry).collect())
            }
            Kind::Remote { bucket, prefix, .. } => {
                let (asked, key) = (bucket.clone(), prefix.clone());
                let mut objects = wait(async move { asked.files(&key).await })?;
                objects.retain(|(key, _)| {
                    let mut parts = key.prefix_match(prefix).into_iter().flatten();
                    parts.all(|part| wanted(part.as_ref()))
                });
                let entry = |(key, size)| Entry {
                    path: bucket.url(&key).into(),
                    object: Some((bucket.clone(), key, size)),
                };
                let mut found: Vec<Entry> = objects.into_iter().map(entry).collect();
                // As paths are: a slash before any other letter.
                found.sort_by(|a, b| a.path.cmp(&b.path));
                Ok(found)
            }
        }
    }
}

fn walk(
    folder: &Path,
    wanted: fn(&str) -> bool,
    found: &mut Vec<PathBuf>,
) -> Result<(), FilesError> {
    let failed = |e| ltv_core::Error::io(folder, "list", e);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !wanted(&name) {
            continue;
        }
        match path.is_dir() {
            true => walk(&path, wanted, found)?,
            false => found.push(path),
        }
    }
    Ok(())
}

/// Opens files in order; objects side by side and ahead of their use.
///
/// An item is an error when a file cannot be opened, or an object has another size than it should.
pub fn open_each(files: Vec<Entry>) -> impl Iterator<Item = Result<Input, FilesError>> {
    let mut rest = files.into_iter();
    let mut chunk = vec![].into_iter();
    let mut fetched = vec![].into_iter();
    std::iter::from_fn(move || {
        let next: Entry = match chunk.next() {
            Some(entry) => entry,
            None => {
                let more: Vec<Entry> = rest.by_ref().take(AHEAD).collect();
                let objects = more.iter().filter_map(|entry| entry.object.clone());
                match side_by_side(objects.map(found).collect()) {
                    Ok(inputs) => fetched = inputs.into_iter(),
                    Err(error) => return Some(Err(error)),
                }
                chunk = more.into_iter();
                chunk.next()?
            }
        };
        match next.object {
            Some(_) => fetched.next(),
            None => Some(Input::local(&next.path)),
        }
    })
}

/// All outcomes, in order. Nothing is asked where there is nothing to do.
pub(crate) fn side_by_side<T: Send + 'static>(
    work: Vec<impl Future<Output = Result<T, FilesError>> + Send + 'static>,
) -> Result<Vec<Result<T, FilesError>>, FilesError> {
    if work.is_empty() {
        return Ok(vec![]);
    }
    wait(async move { Ok(stream::iter(work).buffered(AHEAD).collect().await) })
}

fn lost() -> FilesError {
    FilesError::internal("an object was asked for and not waited for")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn files_below_a_folder() {
        let at = tempfile::tempdir().unwrap();
        for name in ["b/c/2", "b/1", "a", "_tmp/3", "b/_4"] {
            let path = at.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        let files = |path: PathBuf| {
            let place = Stores::default().place(path).unwrap();
            let found = place.files(|part| !part.starts_with('_'));
            let name = |e: Entry| e.path().strip_prefix(at.path()).unwrap().to_path_buf();
            found.map(|all| all.into_iter().map(name).collect::<Vec<_>>())
        };
        let all = files(at.path().into()).unwrap();
        assert_eq!(all, ["a", "b/1", "b/c/2"].map(PathBuf::from));
        let one = files(at.path().join("b/_4")).unwrap();
        assert_eq!(one, [PathBuf::from("b/_4")]);
        let error = files(at.path().join("nowhere")).unwrap_err().to_string();
        assert!(
            error.contains("nowhere") && error.contains("check the path"),
            "{error}"
        );
    }

    #[test]
    fn a_folder_of_this_machine() {
        let at = tempfile::tempdir().unwrap();
        for name in ["b", "a", ".hidden"] {
            fs::create_dir(at.path().join(name)).unwrap();
            fs::write(at.path().join(name).join("x"), name).unwrap();
        }
        fs::write(at.path().join("x"), "whole").unwrap();
        let place = Stores::default().place(at.path()).unwrap();
        assert_eq!(place.name(), at.path());
        assert_eq!(place.read("x").unwrap().unwrap(), "whole");
        assert_eq!(place.read("y").unwrap(), None);
        assert_eq!(place.read("x/y").unwrap(), None);
        let inner = place.folders().unwrap();
        let read = read_each(&inner, "x").unwrap();
        assert_eq!(read, [Some("a".into()), Some("b".into())]);
        let files = inner
            .iter()
            .chain([&place])
            .map(|p| p.entry("x", 0).unwrap());
        let opened: Vec<_> = open_each(files.collect()).collect();
        for (input, expected) in opened.into_iter().zip(["a", "b", "whole"]) {
            let mut text = String::new();
            let mut reader = input.unwrap().source().read().unwrap();
            io::Read::read_to_string(&mut reader, &mut text).unwrap();
            assert_eq!(text, expected);
        }
        let gone = vec![inner[0].entry("y", 0).unwrap()];
        assert!(open_each(gone).all(|opened| opened.is_err()));
        let nowhere = Stores::default().place(at.path().join("nowhere")).unwrap();
        assert!(matches!(nowhere.folders(), Err(FilesError::Local { .. })));
    }
}
