//! Splitting a table by a hash of the user, through temporary files, in bounded memory.

use super::input::Table;
use crate::{DataError, Result};
use arrow::{
    array::{Array, AsArray, RecordBatch, UInt32Array},
    compute::{BatchCoalescer, concat_batches, take_record_batch},
    datatypes::{Int32Type, Int64Type, SchemaRef},
    ipc::{reader::StreamReader, writer::StreamWriter},
};
use ltv_core::{Day, progress::Progress};
use std::{
    fs::File,
    io::{BufReader, BufWriter},
    path::{Path, PathBuf},
};

/// Rows gathered before they are dealt out to the parts.
const GATHER: usize = 1 << 18;
/// Rows in a batch given to the query engine.
const BATCH: usize = 8192;

/// A table split into parts, each of which holds all rows of its users.
#[derive(Debug)]
pub(crate) struct Parts {
    schema: SchemaRef,
    place: Place,
    /// Rows read.
    pub(crate) read: u64,
    /// Rows kept, those before the as-of day.
    pub(crate) kept: u64,
    /// Smallest day (of an event or a registration) in the table.
    pub(crate) first_day: Option<i32>,
}

#[derive(Debug)]
enum Place {
    Memory(Vec<RecordBatch>),
    Files(Vec<PathBuf>),
}

impl Parts {
    /// A table without rows.
    pub(crate) fn empty(schema: SchemaRef) -> Self {
        Self {
            schema,
            place: Place::Memory(vec![]),
            read: 0,
            kept: 0,
            first_day: None,
        }
    }

    /// Splits `table` into `count` parts; files go to `folder` with names that start with `stem`.
    pub(crate) fn split(
        table: &Table,
        as_of: Day,
        count: usize,
        folder: &Path,
        stem: &str,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let mut parts = Self::empty(table.schema.clone());
        let mut writer = Writer::create(&table.schema, count, folder, stem)?;
        for reader in table.readers() {
            let mut reader = reader?;
            while let Some(next) = reader.next(as_of)? {
                parts.read += next.read;
                parts.kept += next.batch.num_rows() as u64;
                parts.first_day = earliest(parts.first_day, smallest_day(&next.batch));
                writer.add(next.batch)?;
                progress.advance(next.read);
            }
        }
        parts.place = writer.finish()?;
        Ok(parts)
    }

    /// The rows of part `index`.
    pub(crate) fn load(&self, index: usize) -> Result<Vec<RecordBatch>> {
        match &self.place {
            Place::Memory(batches) => Ok(batches.clone()),
            Place::Files(paths) => match paths.get(index) {
                Some(path) => read_part(path, &self.schema),
                None => Ok(vec![]),
            },
        }
    }

    /// The schema of the rows.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }
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

fn read_part(path: &Path, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
    let file = File::open(path).map_err(|e| DataError::io(path, "open", e))?;
    let mut merge = BatchCoalescer::new(schema.clone(), BATCH);
    for batch in StreamReader::try_new(BufReader::new(file), None)? {
        merge.push_batch(batch?)?;
    }
    merge.finish_buffered_batch()?;
    Ok(std::iter::from_fn(|| merge.next_completed_batch()).collect())
}

struct Writer {
    schema: SchemaRef,
    gathered: Vec<RecordBatch>,
    rows: usize,
    files: Vec<(PathBuf, StreamWriter<BufWriter<File>>)>,
}

impl Writer {
    fn create(schema: &SchemaRef, count: usize, folder: &Path, stem: &str) -> Result<Self> {
        let mut files = vec![];
        for index in 0..if count > 1 { count } else { 0 } {
            let path = folder.join(format!("{stem}-{index:05}.arrow"));
            let file = File::create(&path).map_err(|e| DataError::io(&path, "create", e))?;
            files.push((path, StreamWriter::try_new(BufWriter::new(file), schema)?));
        }
        Ok(Self {
            schema: schema.clone(),
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

    /// Writes the gathered rows, each to its part.
    fn deal(&mut self) -> Result<()> {
        let all = concat_batches(&self.schema, &self.gathered)?;
        self.gathered.clear();
        self.rows = 0;
        let (order, starts) =
            order_by_part(&part_of_rows(&all, self.files.len()), self.files.len());
        let sorted = take_record_batch(&all, &order)?;
        for ((_, writer), range) in self.files.iter_mut().zip(starts.windows(2)) {
            if range[1] > range[0] {
                writer.write(&sorted.slice(range[0], range[1] - range[0]))?;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Place> {
        if self.files.is_empty() {
            return Ok(Place::Memory(self.gathered));
        }
        self.deal()?;
        let mut paths = vec![];
        for (path, mut writer) in self.files {
            writer.finish()?;
            paths.push(path);
        }
        Ok(Place::Files(paths))
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
    let users = batch.column(0);
    let part = |hash: u64| (hash % count as u64) as u32;
    match users.as_primitive_opt::<Int64Type>() {
        Some(ids) => ids
            .values()
            .iter()
            .map(|&id| part(mix(id as u64)))
            .collect(),
        None => {
            let names = users.as_string::<i32>();
            (0..names.len())
                .map(|i| part(mix(fnv(names.value(i).as_bytes()))))
                .collect()
        }
    }
}

/// FNV-1a.
fn fnv(bytes: &[u8]) -> u64 {
    let step = |h: u64, &b: &u8| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// The finaliser of SplitMix64: every input bit reaches every output bit.
fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_dealt_out_stably() {
        let (order, starts) = order_by_part(&[2, 0, 2, 1, 0], 4);
        assert_eq!(order.values().to_vec(), [1, 4, 3, 0, 2]);
        assert_eq!(starts, [0, 2, 3, 5, 5]);
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
