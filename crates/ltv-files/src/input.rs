//! Files that are open for reading, for the Parquet reader and for whoever reads them whole.

use crate::{
    FilesError,
    object::{Held, Object, PART},
    runtime::wait,
};
use bytes::{Buf, Bytes, buf::Reader};
use ltv_core::{Error, artefact::checksum_of};
use parquet::{
    errors::{ParquetError, Result as ParquetResult},
    file::reader::{ChunkReader, Length},
};
use std::{
    fs::File,
    io::{self, BufReader, Read},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What it takes to open a file again. Holds no file open, and no bytes.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file of this machine.
    Local(PathBuf),
    /// An object, as it was when it was first opened.
    Remote(Arc<Object>),
}

impl Source {
    /// Opens it; of an object, the Parquet footer is fetched.
    ///
    /// # Errors
    /// When it cannot be opened, or is an object that has been replaced since.
    pub fn open(&self) -> Result<Input, FilesError> {
        match self {
            Self::Local(path) => Input::local(path),
            Self::Remote(object) => {
                let again = object.clone();
                let end = wait(async move { again.end().await })?;
                Ok(Input::remote(object.clone(), vec![end]))
            }
        }
    }

    /// All bytes of it, from the first to the last.
    ///
    /// # Errors
    /// As [`Source::open`]. Later trouble comes from the reader.
    pub fn read(&self) -> Result<Box<dyn Read>, FilesError> {
        Ok(match self {
            Self::Local(path) => Box::new(open(path)?),
            Self::Remote(object) => Box::new(Far::new(object.clone(), 0)),
        })
    }

    /// BLAKE3 checksum of its bytes, in hexadecimal; `path` is for messages.
    ///
    /// # Errors
    /// When it cannot be read to its end.
    pub fn checksum(&self, path: &Path) -> Result<String, FilesError> {
        match checksum_of(&mut self.read()?, path) {
            // Trouble with fetching an object names it and says what to do.
            Err(Error::Io { source, path, .. }) => match source.downcast::<FilesError>() {
                Ok(fetching) => Err(fetching),
                Err(source) => Err(Error::io(path, "read", source).into()),
            },
            other => Ok(other?),
        }
    }
}

/// An open file.
#[derive(Debug)]
pub struct Input(Kind);

#[derive(Debug)]
enum Kind {
    Local(File, PathBuf),
    Remote {
        object: Arc<Object>,
        /// In order, none touching another.
        held: Vec<Held>,
    },
}

fn open(path: &Path) -> Result<File, FilesError> {
    File::open(path).map_err(|source| local(path, source))
}

fn local(path: &Path, source: io::Error) -> FilesError {
    let path = path.to_path_buf();
    FilesError::Local { path, source }
}

impl Input {
    pub(crate) fn local(path: &Path) -> Result<Self, FilesError> {
        Ok(Self(Kind::Local(open(path)?, path.to_path_buf())))
    }

    pub(crate) fn remote(object: Arc<Object>, held: Vec<Held>) -> Self {
        Self(Kind::Remote { object, held })
    }

    /// What it takes to open it again.
    pub fn source(&self) -> Source {
        match &self.0 {
            Kind::Local(_, path) => Source::Local(path.clone()),
            Kind::Remote { object, .. } => Source::Remote(object.clone()),
        }
    }

    /// A second handle on it, ready to read the bytes in `ranges`: those of an object are fetched into
    /// memory, in few requests. It holds no others.
    ///
    /// # Errors
    /// When the object cannot be read or has been replaced, or the operating system refuses another
    /// handle.
    pub fn hold(&self, ranges: impl FnOnce() -> Vec<Range<u64>>) -> Result<Self, FilesError> {
        match &self.0 {
            Kind::Local(file, path) => {
                let file = file.try_clone().map_err(|e| local(path, e))?;
                Ok(Self(Kind::Local(file, path.clone())))
            }
            Kind::Remote { object, .. } => {
                let size = object.size();
                let within = |r: Range<u64>| r.start.min(size)..r.end.min(size);
                let ranges = ranges().into_iter().map(within).collect();
                let again = object.clone();
                let held = wait(async move { again.gather(ranges).await })?;
                Ok(Self::remote(object.clone(), held))
            }
        }
    }
}

/// The held bytes from `start` on, up to `length` where it is given; `None` where they are not all
/// held.
fn covered(held: &[Held], start: u64, length: Option<usize>) -> Option<Bytes> {
    let next = held.partition_point(|h| h.start <= start);
    let held = held.get(next.checked_sub(1)?)?;
    let skipped = usize::try_from(start - held.start).ok()?;
    match length {
        None if skipped < held.bytes.len() => Some(held.bytes.slice(skipped..)),
        Some(length) if skipped.checked_add(length)? <= held.bytes.len() => {
            Some(held.bytes.slice(skipped..skipped + length))
        }
        _ => None,
    }
}

impl Length for Input {
    fn len(&self) -> u64 {
        match &self.0 {
            Kind::Local(file, _) => Length::len(file),
            Kind::Remote { object, .. } => object.size(),
        }
    }
}

/// What is not held of an object is fetched when it is asked for: slow, and right.
impl ChunkReader for Input {
    type T = Reading;

    fn get_read(&self, start: u64) -> ParquetResult<Reading> {
        Ok(match &self.0 {
            Kind::Local(file, _) => Reading::File(file.get_read(start)?),
            Kind::Remote { object, held } => match covered(held, start, None) {
                Some(bytes) => Reading::Held(bytes.reader()),
                None => Reading::Far(Far::new(object.clone(), start)),
            },
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let (object, held) = match &self.0 {
            Kind::Local(file, _) => return file.get_bytes(start, length),
            Kind::Remote { object, held } => (object.clone(), held),
        };
        if let Some(bytes) = covered(held, start, Some(length)) {
            return Ok(bytes);
        }
        let end = start.saturating_add(length as u64);
        if end > object.size() {
            let problem = format!("{length} bytes at {start}, but there are {}", object.size());
            return Err(ParquetError::EOF(problem));
        }
        wait(async move { object.get(start..end).await })
            .map_err(|e| ParquetError::External(Box::new(e)))
    }
}

/// Reads a file from some byte on.
#[derive(Debug)]
pub enum Reading {
    /// A file of this machine.
    File(BufReader<File>),
    /// Bytes in memory.
    Held(Reader<Bytes>),
    /// An object, part by part.
    Far(Far),
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(reader) => reader.read(buffer),
            Self::Held(reader) => reader.read(buffer),
            Self::Far(reader) => reader.read(buffer),
        }
    }
}

/// Reads an object to its end, a part at a time.
#[derive(Debug)]
pub struct Far {
    object: Arc<Object>,
    /// Where the next part starts.
    next: u64,
    part: Bytes,
}

impl Far {
    fn new(object: Arc<Object>, next: u64) -> Self {
        let part = Bytes::new();
        Self { object, next, part }
    }
}

impl Read for Far {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.part.is_empty() && self.next < self.object.size() {
            let (object, start) = (self.object.clone(), self.next);
            let end = object.size().min(start.saturating_add(PART));
            let part = wait(async move { object.get(start..end).await });
            self.part = part.map_err(io::Error::other)?;
            self.next = end;
        }
        let count = buffer.len().min(self.part.len());
        buffer[..count].copy_from_slice(&self.part.split_to(count));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every question about 24 bytes of which some are held, against the bytes themselves.
    #[test]
    fn what_is_held_is_given_and_nothing_else() {
        let all: Vec<u8> = (0..24).collect();
        let ranges = [3..7, 7..9, 15..20];
        let held = ranges.clone().map(|range| Held {
            start: range.start as u64,
            bytes: all[range].to_vec().into(),
        });
        for start in 0..26 {
            let within = ranges.iter().find(|r| r.contains(&start));
            let expected = within.map(|r| all[start..r.end].to_vec());
            let found = covered(&held, start as u64, None);
            assert_eq!(found.map(|b| b.to_vec()), expected, "from {start}");
            for length in 1..8 {
                let fits = within.filter(|r| start + length <= r.end);
                let expected = fits.map(|_| all[start..start + length].to_vec());
                let found = covered(&held, start as u64, Some(length));
                assert_eq!(found.map(|b| b.to_vec()), expected, "{length} from {start}");
            }
        }
        assert_eq!(covered(&held, u64::MAX, Some(usize::MAX)), None);
    }
}
