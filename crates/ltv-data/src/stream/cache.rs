//! Encoded rows of earlier passes, kept on disk.

use super::{
    StreamError, StreamOptions,
    packing::{Packing, Size},
    reader::RowGroup,
};
use crate::{dataset::Dataset, split::Rows};
use ltv_core::{Error, encoding::EncodedRows};
use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A file in which streams keep the rows that they have encoded, so that the next stream of the same
/// rows need not read and encode them again. Row groups are kept whole, as they come; several streams,
/// also of different rows or encodings, can share one cache. Cheap to clone: clones are the same cache.
///
/// The file has no name, so that nothing is left of it when the last clone is dropped or the program
/// is killed. When it can be written no further, because the disk is full, what it took is given
/// back and streams go on without it.
#[derive(Debug, Clone)]
pub struct EncodedCache(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    file: File,
    end: u64,
    groups: HashMap<(Key, RowGroup), Arc<[Piece]>>,
    problem: Option<String>,
}

/// What decides encoded rows: see [`Shelf::new`].
type Key = blake3::Hash;

/// A packed chunk in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    offset: u64,
    size: Size,
}

impl EncodedCache {
    /// An empty cache in `folder`.
    ///
    /// # Errors
    /// When no file can be created there.
    pub fn in_folder(folder: &Path) -> Result<Self, Error> {
        let file = tempfile::tempfile_in(folder);
        Ok(Self::over(file.map_err(|e| Error::io(folder, "write", e))?))
    }

    /// An empty cache in an empty file.
    pub(super) fn over(file: File) -> Self {
        Self(Arc::new(Mutex::new(State {
            file,
            end: 0,
            groups: HashMap::new(),
            problem: None,
        })))
    }

    /// Why it can be written no further, if so.
    pub fn problem(&self) -> Option<String> {
        self.state().problem.clone()
    }

    /// Bytes that it takes on disk.
    pub fn bytes(&self) -> u64 {
        self.state().end
    }

    /// A state is whole between any two steps.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn append(&mut self, bytes: &[u8]) -> io::Result<u64> {
        let offset = self.end;
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.write_all(bytes)?;
        self.end += bytes.len() as u64;
        Ok(offset)
    }

    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.read_exact(bytes)
    }

    /// Gives the disk back, for what is worth more than a cache.
    fn give_up(&mut self, why: &io::Error) {
        self.problem = Some(why.to_string());
        self.groups.clear();
        self.end = 0;
        // Where even this fails, the space comes back with the end of the program.
        let _ = self.file.set_len(0);
    }
}

/// The part of a cache that belongs to the streams of the same rows under the same encoding.
pub(super) struct Shelf {
    cache: EncodedCache,
    key: Key,
    packing: Packing,
}

impl Shelf {
    /// Encoded rows are decided by the files' content, the day of a view, the encoding, the part of
    /// the split, which of its rows, and the horizons, and by nothing else: rows of different order, batches or draws
    /// share a shelf.
    ///
    /// # Errors
    /// When these cannot be written down, which is a defect.
    pub(super) fn new(
        cache: &EncodedCache,
        dataset: &Dataset,
        options: &StreamOptions,
    ) -> Result<Self, StreamError> {
        let files: Vec<_> = dataset.manifest().files.iter().map(|f| &f.blake3).collect();
        let part = match options.rows {
            Rows::All => None,
            rows => Some((
                format!("{rows:?}"),
                &options.split,
                &dataset.manifest().horizons,
            )),
        };
        let decisive = (
            files,
            dataset.known_on(),
            &*options.encoding,
            part,
            &options.horizons,
            options.news.as_ref().map(|news| format!("{news:?}")),
        );
        let text = serde_json::to_vec(&decisive);
        let text = text.map_err(|e| StreamError::internal("the cache of encoded rows", e))?;
        let labels = options.horizons.as_ref().map_or(0, |h| h.len());
        Ok(Self {
            cache: cache.clone(),
            key: blake3::hash(&text),
            packing: Packing::new(&options.encoding, labels),
        })
    }

    /// The pieces of a row group that is kept.
    pub(super) fn find(&self, group: RowGroup) -> Option<Arc<[Piece]>> {
        self.cache.state().groups.get(&(self.key, group)).cloned()
    }

    /// The rows of a piece; `None` when it is there no more.
    pub(super) fn read(&self, piece: Piece) -> Option<EncodedRows> {
        let mut bytes = vec![0; self.packing.bytes(piece.size)];
        let read = {
            let mut state = self.cache.state();
            if state.problem.is_some() {
                return None;
            }
            state.read(piece.offset, &mut bytes)
        };
        read.ok()?;
        self.packing.unpack(&bytes, piece.size)
    }

    /// Writes rows; `None` when the cache can be written no further.
    pub(super) fn write(&self, rows: &EncodedRows) -> Option<Piece> {
        let mut bytes = vec![];
        let size = self.packing.pack(rows, &mut bytes);
        let mut state = self.cache.state();
        if state.problem.is_some() {
            return None;
        }
        match state.append(&bytes) {
            Ok(offset) => Some(Piece { offset, size }),
            Err(error) => {
                state.give_up(&error);
                None
            }
        }
    }

    /// Keeps a row group, of which all pieces have been written.
    pub(super) fn put(&self, group: RowGroup, pieces: Vec<Piece>) {
        let mut state = self.cache.state();
        if state.problem.is_none() {
            state.groups.insert((self.key, group), pieces.into());
        }
    }
}
