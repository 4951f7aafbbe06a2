//! Splitting a table by a hash of the user, through temporary files, in bounded memory.
//!
//! At most [`MOST_FILES`] files are open at a time: where there are more parts, a first pass deals
//! the rows out to files of neighbouring parts, and these are divided again, in as many passes as
//! it takes. Rows keep their order in every pass, so a part is the same whatever the passes.

use super::{input::Table, normalise::Normalised};
use crate::{DataError, Result, hash::mix};
use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array},
    compute::{BatchCoalescer, concat_batches, take_record_batch},
    datatypes::{Int32Type, Int64Type, SchemaRef},
    ipc::{reader::StreamReader, writer::StreamWriter},
};
use ltv_core::{Day, progress::Progress};
use std::{
    fs::{self, File},
    io::{BufReader, BufWriter, Write},
    ops::Range,
    panic::resume_unwind,
    path::{Path, PathBuf},
    sync::mpsc::{SyncSender, sync_channel},
};

/// Rows gathered before they are dealt out to the parts.
const GATHER: usize = 1 << 18;
/// Files written side by side: well below the 256 open files that some systems allow a process.
pub(crate) const MOST_FILES: usize = 128;
/// Batches read ahead of the one that is dealt out.
const AHEAD: usize = 8;
/// Rows in a batch given to the query engine.
const BATCH: usize = 8192;

/// What becomes of a batch that was read.
pub(crate) type Sift<'a> = &'a mut dyn FnMut(RecordBatch) -> Result<RecordBatch>;

/// Where and how tables are split.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scratch<'a> {
    /// Folder of the temporary files.
    pub(crate) folder: &'a Path,
    /// Parts, at least 1.
    pub(crate) count: usize,
    /// Most files written side by side, at least 2.
    pub(crate) most_files: usize,
}

/// A table split into parts, each of which holds all rows of its users.
#[derive(Debug)]
pub(crate) struct Parts {
    schema: SchemaRef,
    stem: &'static str,
    place: Place,
    /// Rows read.
    pub(crate) read: u64,
    /// Rows before the as-of day.
    pub(crate) kept: u64,
    /// Smallest day (of an event or a registration) in the table.
    pub(crate) first_day: Option<i32>,
}

#[derive(Debug)]
enum Place {
    /// The only part.
    Memory(Vec<RecordBatch>),
    /// In the order of the parts.
    Files(Vec<Shelf>),
}

/// A file with the rows of neighbouring parts.
#[derive(Debug)]
struct Shelf {
    path: PathBuf,
    parts: Range<usize>,
}

impl Parts {
    /// Splits `table` into parts or, where there are more than can be written side by side, into
    /// files of neighbouring parts, for [`Parts::divide`]. Their names start with `stem`. `sift` says which rows
    /// before the as-of day are wanted at all.
    pub(crate) fn split(
        table: &Table,
        stem: &'static str,
        (as_of, sift): (Day, Sift<'_>),
        scratch: Scratch<'_>,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let mut parts = Self {
            schema: table.schema.clone(),
            stem,
            place: Place::Memory(vec![]),
            read: 0,
            kept: 0,
            first_day: None,
        };
        let mut writer = Writer::create(&table.schema, stem, scratch, 0..scratch.count)?;
        std::thread::scope(|scope| {
            let (sender, batches) = sync_channel(AHEAD);
            let reading = scope.spawn(move || read_ahead(table, as_of, &sender));
            for next in batches {
                parts.read += next.read;
                parts.kept += next.batch.num_rows() as u64;
                let batch = sift(next.batch)?;
                parts.first_day = earliest(parts.first_day, smallest_day(&batch));
                writer.add(batch)?;
                progress.advance(next.read);
            }
            reading.join().unwrap_or_else(|panic| resume_unwind(panic))
        })?;
        parts.place = writer.finish()?;
        Ok(parts)
    }

    /// Divides files of several parts until each part has its own.
    pub(crate) fn divide(&mut self, scratch: Scratch<'_>, progress: &dyn Progress) -> Result<()> {
        let Place::Files(shelves) = &mut self.place else {
            return Ok(());
        };
        // The next one last.
        let mut open: Vec<Shelf> = std::mem::take(shelves).into_iter().rev().collect();
        while let Some(shelf) = open.pop() {
            if shelf.parts.len() == 1 {
                shelves.push(shelf);
                continue;
            }
            let mut writer = Writer::create(&self.schema, self.stem, scratch, shelf.parts)?;
            for batch in read(&shelf.path)? {
                let batch = batch.map_err(|e| DataError::scratch(&shelf.path, e))?;
                progress.advance(batch.num_rows() as u64);
                writer.add(batch)?;
            }
            fs::remove_file(&shelf.path).map_err(|e| DataError::io(&shelf.path, "remove", e))?;
            if let Place::Files(finer) = writer.finish()? {
                open.extend(finer.into_iter().rev());
            }
        }
        Ok(())
    }

    /// The rows of part `index`.
    pub(crate) fn load(&self, index: usize) -> Result<Vec<RecordBatch>> {
        match &self.place {
            Place::Memory(batches) => Ok(batches.clone()),
            Place::Files(shelves) => match shelves.get(index) {
                Some(shelf) => read_part(&shelf.path, &self.schema),
                None => Ok(vec![]),
            },
        }
    }

    /// The schema of the rows.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}

/// Hands over the batches of `table` until there are none, or nobody takes them any more.
fn read_ahead(table: &Table, as_of: Day, batches: &SyncSender<Normalised>) -> Result<()> {
    for reader in table.readers() {
        let mut reader = reader?;
        while let Some(next) = reader.next(as_of)? {
            if batches.send(next).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The smaller of two days that may be unknown.
pub(crate) fn earliest(a: Option<i32>, b: Option<i32>) -> Option<i32> {
    a.into_iter().chain(b).min()
}

fn smallest_day(batch: &RecordBatch) -> Option<i32> {
    let column = batch
        .column_by_name("day")
        .or_else(|| batch.column_by_name("reg_day"))?;
    arrow::compute::min(column.as_primitive::<Int32Type>())
}

fn read(path: &Path) -> Result<StreamReader<BufReader<File>>> {
    let file = File::open(path).map_err(|e| DataError::io(path, "open", e))?;
    StreamReader::try_new(BufReader::new(file), None).map_err(|e| DataError::scratch(path, e))
}

fn read_part(path: &Path, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
    let mut merge = BatchCoalescer::new(schema.clone(), BATCH);
    for batch in read(path)? {
        merge.push_batch(batch.map_err(|e| DataError::scratch(path, e))?)?;
    }
    merge.finish_buffered_batch()?;
    Ok(std::iter::from_fn(|| merge.next_completed_batch()).collect())
}

/// Deals rows out to files of one or more neighbouring parts; keeps them when there is one part.
struct Writer {
    schema: SchemaRef,
    /// Parts in all.
    count: usize,
    /// First of the parts that are dealt out.
    first: usize,
    /// Parts in a file; the last file may have fewer.
    width: usize,
    gathered: Vec<RecordBatch>,
    rows: usize,
    files: Vec<(Shelf, StreamWriter<BufWriter<File>>)>,
}

impl Writer {
    fn create(
        schema: &SchemaRef,
        stem: &str,
        scratch: Scratch<'_>,
        parts: Range<usize>,
    ) -> Result<Self> {
        let width = parts.len().div_ceil(scratch.most_files);
        let mut files = vec![];
        for first in parts.clone().step_by(width.max(1)) {
            if parts.len() == 1 {
                break;
            }
            let shelf = Shelf {
                path: scratch.folder.join(format!("{stem}-{first}-{width}.arrow")),
                parts: first..parts.end.min(first + width),
            };
            let file =
                File::create(&shelf.path).map_err(|e| DataError::io(&shelf.path, "create", e))?;
            let writer = StreamWriter::try_new(BufWriter::new(file), schema)
                .map_err(|e| DataError::scratch(&shelf.path, e))?;
            files.push((shelf, writer));
        }
        Ok(Self {
            schema: schema.clone(),
            count: scratch.count,
            first: parts.start,
            width,
            gathered: vec![],
            rows: 0,
            files,
        })
    }

    fn add(&mut self, batch: RecordBatch) -> Result<()> {
        self.rows += batch.num_rows();
        self.gathered.push(batch);
        if self.rows >= GATHER && !self.files.is_empty() {
            self.deal()?;
        }
        Ok(())
    }

    /// Writes the gathered rows, each to its file.
    fn deal(&mut self) -> Result<()> {
        let all = concat_batches(&self.schema, &self.gathered)?;
        self.gathered.clear();
        self.rows = 0;
        let mut files = part_of_rows(&all, self.count);
        let file = |part: u32| (part as usize - self.first) / self.width;
        files.iter_mut().for_each(|p| *p = file(*p) as u32);
        let (order, starts) = order_by_part(&files, self.files.len());
        let sorted = take_record_batch(&all, &order)?;
        for ((shelf, writer), range) in self.files.iter_mut().zip(starts.windows(2)) {
            if range[1] > range[0] {
                writer
                    .write(&sorted.slice(range[0], range[1] - range[0]))
                    .map_err(|e| DataError::scratch(&shelf.path, e))?;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Place> {
        if self.files.is_empty() {
            return Ok(Place::Memory(self.gathered));
        }
        self.deal()?;
        let mut shelves = vec![];
        for (shelf, mut writer) in self.files {
            writer
                .finish()
                .and_then(|()| Ok(writer.get_mut().flush()?))
                .map_err(|e| DataError::scratch(&shelf.path, e))?;
            shelves.push(shelf);
        }
        Ok(Place::Files(shelves))
    }
}

/// Row numbers ordered by part, and where each part starts; stable.
fn order_by_part(parts: &[u32], count: usize) -> (UInt32Array, Vec<usize>) {
    let mut starts = vec![0; count + 1];
    parts.iter().for_each(|&p| starts[p as usize + 1] += 1);
    (0..count).for_each(|p| starts[p + 1] += starts[p]);
    let mut next = starts.clone();
    let mut order = vec![0; parts.len()];
    for (row, &part) in parts.iter().enumerate() {
        order[next[part as usize]] = row as u32;
        next[part as usize] += 1;
    }
    (order.into(), starts)
}

fn part_of_rows(batch: &RecordBatch, count: usize) -> Vec<u32> {
    let part = |hash: u64| (hash % count as u64) as u32;
    hashes(batch.column(0)).into_iter().map(part).collect()
}

/// The hash of every user.
pub(crate) fn hashes(users: &ArrayRef) -> Vec<u64> {
    match users.as_primitive_opt::<Int64Type>() {
        Some(ids) => ids.values().iter().map(|&id| mix(id as u64)).collect(),
        None => {
            let names = users.as_string::<i32>();
            (0..names.len())
                .map(|i| mix(fnv(names.value(i).as_bytes())))
                .collect()
        }
    }
}

/// FNV-1a.
fn fnv(bytes: &[u8]) -> u64 {
    let step = |h: u64, &b: &u8| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array};
    use std::sync::Arc;

    #[test]
    fn rows_are_dealt_out_stably() {
        let (order, starts) = order_by_part(&[2, 0, 2, 1, 0], 4);
        assert_eq!(order.values().to_vec(), [1, 4, 3, 0, 2]);
        assert_eq!(starts, [0, 2, 3, 5, 5]);
    }

    /// Users 0 to 999 three times over, dealt out to `count` parts.
    fn dealt(count: usize, most_files: usize) -> Vec<Vec<RecordBatch>> {
        let folder = tempfile::tempdir().unwrap();
        let ids: Int64Array = (0..3000).map(|i| i % 1000).collect();
        let rows: Int64Array = (0..3000).collect();
        let columns: [(&str, ArrayRef); 2] = [("user", Arc::new(ids)), ("row", Arc::new(rows))];
        let all = RecordBatch::try_from_iter(columns).unwrap();
        let scratch = Scratch {
            folder: folder.path(),
            count,
            most_files,
        };
        let mut writer = Writer::create(&all.schema(), "x", scratch, 0..count).unwrap();
        (0..30).for_each(|i| writer.add(all.slice(i * 100, 100)).unwrap());
        let open = fs::read_dir(folder.path()).unwrap().count();
        assert!(open <= most_files, "{open} files at a time");
        let mut parts = Parts {
            schema: all.schema(),
            stem: "x",
            place: writer.finish().unwrap(),
            read: 3000,
            kept: 3000,
            first_day: None,
        };
        parts.divide(scratch, &ltv_core::progress::Silent).unwrap();
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, if count == 1 { 0 } else { count });
        (0..count).map(|i| parts.load(i).unwrap()).collect()
    }

    #[test]
    fn a_part_is_the_same_whatever_the_passes() {
        let rows = |parts: &[Vec<RecordBatch>]| -> usize {
            parts.iter().flatten().map(RecordBatch::num_rows).sum()
        };
        for count in [1, 2, 7, 40, 41] {
            let one = dealt(count, 64);
            assert_eq!(rows(&one), 3000);
            for most_files in [2, 3, 6, 40] {
                assert_eq!(one, dealt(count, most_files), "{count} in {most_files}");
            }
        }
    }

    #[test]
    fn a_full_disk_is_not_a_defect() {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let error = DataError::scratch("events-0-1.arrow".as_ref(), full.into());
        assert_eq!(error.fault(), ltv_core::Fault::User);
        let text = error.to_string();
        assert!(
            text.contains("events-0-1.arrow") && text.contains("free space there"),
            "{text}"
        );
    }

    #[test]
    fn parts_are_even() {
        let mut counts = [0; 7];
        (0..70_000u64).for_each(|id| counts[(mix(id * 7) % 7) as usize] += 1);
        assert!(
            counts.iter().all(|&c| (9_500..10_500).contains(&c)),
            "{counts:?}"
        );
        assert_ne!(fnv(b"a"), fnv(b"b"));
    }
}
