//! Numbers in files without a name: whatever ends the process, the system takes their space back.

use crate::error::EvalError;
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Bytes of a number.
const BYTES: u64 = size_of::<f64>() as u64;

/// A file without a name in a folder. Readers and writers have places of their own in it.
#[derive(Debug)]
pub(crate) struct ScratchFile {
    folder: PathBuf,
    file: Mutex<File>,
}

impl ScratchFile {
    pub(crate) fn create(folder: &Path) -> Result<Arc<Self>, EvalError> {
        let file = tempfile::tempfile_in(folder).map_err(|e| failed(folder, "create", &e))?;
        Ok(Arc::new(Self {
            folder: folder.to_path_buf(),
            file: Mutex::new(file),
        }))
    }

    fn at(
        &self,
        place: u64,
        action: &'static str,
        work: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<(), EvalError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(place * BYTES))
            .and_then(|_| work(&mut file))
            .map_err(|e| failed(&self.folder, action, &e))
    }
}

fn failed(folder: &Path, action: &'static str, error: &io::Error) -> EvalError {
    EvalError::Scratch {
        folder: folder.to_path_buf(),
        action,
        problem: error.to_string(),
    }
}

/// Numbers that were written one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Stretch {
    file: Arc<ScratchFile>,
    start: u64,
    len: u64,
}

impl Stretch {
    /// How many numbers.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Reads it from its start, with a buffer of at most `bytes`.
    pub(crate) fn reader(&self, bytes: usize) -> Reader {
        Reader {
            file: Arc::clone(&self.file),
            at: self.start,
            left: self.len,
            most: (bytes / BYTES as usize).max(1),
            bytes: vec![],
            values: vec![],
            next: 0,
        }
    }
}

/// Writes numbers from a place in a file on.
#[derive(Debug)]
pub(crate) struct Writer {
    file: Arc<ScratchFile>,
    /// Where the open stretch starts.
    start: u64,
    /// Numbers of it that have reached the file.
    written: u64,
    buffer: Vec<u8>,
    most: usize,
}

impl Writer {
    /// Starts at number `place` of `file`, with a buffer of about `bytes`.
    pub(crate) fn new(file: Arc<ScratchFile>, place: u64, bytes: usize) -> Self {
        Self {
            file,
            start: place,
            written: 0,
            buffer: vec![],
            most: bytes,
        }
    }

    /// Appends numbers.
    pub(crate) fn push(&mut self, values: &[f64]) -> Result<(), EvalError> {
        for &value in values {
            self.buffer.extend_from_slice(&value.to_le_bytes());
        }
        match self.buffer.len() < self.most {
            true => Ok(()),
            false => self.flush(),
        }
    }

    fn flush(&mut self) -> Result<(), EvalError> {
        let place = self.start + self.written;
        self.file
            .at(place, "write", |file| file.write_all(&self.buffer))?;
        self.written += self.buffer.len() as u64 / BYTES;
        self.buffer.clear();
        Ok(())
    }

    /// What was written since the start or the last cut.
    pub(crate) fn cut(&mut self) -> Result<Stretch, EvalError> {
        self.flush()?;
        let stretch = Stretch {
            file: Arc::clone(&self.file),
            start: self.start,
            len: self.written,
        };
        self.start += self.written;
        self.written = 0;
        Ok(stretch)
    }
}

/// Reads a stretch, in blocks or in records of a few numbers.
#[derive(Debug)]
pub(crate) struct Reader {
    file: Arc<ScratchFile>,
    at: u64,
    left: u64,
    most: usize,
    bytes: Vec<u8>,
    values: Vec<f64>,
    next: usize,
}

impl Reader {
    /// Puts the next `count` numbers, or what is left, into `into`. Not to be mixed with records.
    pub(crate) fn block(&mut self, count: usize, into: &mut Vec<f64>) -> Result<(), EvalError> {
        into.clear();
        while into.len() < count && self.left > 0 {
            self.load((count - into.len()).min(self.most), into)?;
        }
        Ok(())
    }

    /// The next record; none at the end.
    #[inline]
    pub(crate) fn record<const W: usize>(&mut self) -> Result<Option<[f64; W]>, EvalError> {
        if self.next == self.values.len() && !self.refill(W)? {
            return Ok(None);
        }
        let record = std::array::from_fn(|i| self.values[self.next + i]);
        self.next += W;
        Ok(Some(record))
    }

    fn refill(&mut self, width: usize) -> Result<bool, EvalError> {
        let mut values = std::mem::take(&mut self.values);
        values.clear();
        self.load((self.most / width).max(1) * width, &mut values)?;
        (self.values, self.next) = (values, 0);
        Ok(!self.values.is_empty())
    }

    fn load(&mut self, count: usize, into: &mut Vec<f64>) -> Result<(), EvalError> {
        let count = self.left.min(count as u64);
        self.bytes.resize((count * BYTES) as usize, 0);
        let bytes = &mut self.bytes;
        self.file
            .at(self.at, "read", |file| file.read_exact(bytes))?;
        (self.at, self.left) = (self.at + count, self.left - count);
        let (numbers, _) = self.bytes.as_chunks::<{ BYTES as usize }>();
        into.extend(numbers.iter().map(|&number| f64::from_le_bytes(number)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the buffers and the cuts, numbers come back as they were written.
        #[test]
        fn stretches_read_back(
            parts in prop::collection::vec(prop::collection::vec(any::<f64>(), 0..40), 0..6),
            out in 1usize..200,
            back in 1usize..200,
            block in 1usize..50,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let file = ScratchFile::create(folder.path()).unwrap();
            let mut writer = Writer::new(file, 3, out);
            let mut stretches = vec![];
            for part in &parts {
                part.chunks(7).for_each(|some| writer.push(some).unwrap());
                stretches.push(writer.cut().unwrap());
            }
            let same = |a: &[f64], b: &[f64]| a.iter().map(|x| x.to_bits()).eq(b.iter().map(|x| x.to_bits()));
            for (part, stretch) in parts.iter().zip(&stretches) {
                prop_assert_eq!(stretch.len(), part.len() as u64);
                let (mut reader, mut all, mut some) = (stretch.reader(back), vec![], vec![]);
                loop {
                    reader.block(block, &mut some).unwrap();
                    if some.is_empty() {
                        break;
                    }
                    all.extend_from_slice(&some);
                }
                prop_assert!(same(&all, part));
            }
        }

        #[test]
        fn records_read_back(count in 0usize..100, back in 1usize..200) {
            let folder = tempfile::tempdir().unwrap();
            let file = ScratchFile::create(folder.path()).unwrap();
            let mut writer = Writer::new(file, 0, 64);
            let records: Vec<[f64; 3]> = (0..count).map(|i| [i as f64, -1.0, 0.5]).collect();
            records.iter().for_each(|record| writer.push(record).unwrap());
            let mut reader = writer.cut().unwrap().reader(back);
            for record in &records {
                prop_assert_eq!(reader.record().unwrap(), Some(*record));
            }
            prop_assert_eq!(reader.record::<3>().unwrap(), None);
        }
    }

    #[test]
    fn a_file_cut_short_is_an_error_and_no_file_has_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = ScratchFile::create(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let mut writer = Writer::new(Arc::clone(&file), 0, 8);
        writer.push(&[1.0, 2.0]).unwrap();
        let stretch = writer.cut().unwrap();
        file.file.lock().unwrap().set_len(8).unwrap();
        let error = stretch.reader(8).block(2, &mut vec![]).unwrap_err();
        assert!(error.to_string().contains("read"), "{error}");
        let nowhere = folder.path().join("not/there");
        let error = ScratchFile::create(&nowhere).unwrap_err();
        assert!(error.to_string().contains("not/there"), "{error}");
    }
}
