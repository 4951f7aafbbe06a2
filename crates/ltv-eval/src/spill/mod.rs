//! An evaluation of more rows than memory should hold.
//!
//! ```text
//! blocks of rows -> Spill    one file for each horizon and column, mature rows only
//!                -> Spilled  scope by scope (all rows; those of a segment):
//!                              few rows:  read into memory, measured as ever
//!                              many rows: sorted runs, merged; sums and curves from sorted files
//! ```
//! Metrics, deciles and curves are exact: the same functions of the same sums over tied rows, which
//! come from sorted files in place of arrays, so that only rounding differs (tests allow 1e-9 of a
//! value). Intervals of scopes with many rows are not: they come from [`MOST_DRAWN`] rows at most,
//! as below, and the document says from how many.
//!
//! Memory stays within [`SpillOptions::memory`] and a few MiB, however many rows there are. Disk
//! takes 8 bytes for each row, horizon and column (label, sets, codes), and while a horizon is
//! measured up to about 130 bytes a row more, less where values repeat. The files have no names:
//! they go when the process does, whatever ends it.
//!
//! # Intervals from some of the rows
//! With `m` of `n` rows drawn without replacement, value `v` of all rows and `v_m` of those drawn, a
//! resample of the drawn rows with value `v*` stands for `v + sqrt(m / n) (v* - v_m)`: standard
//! errors fall with the square root of rows. `BiasSE`, which is one itself, takes `m / n`; `AMBE` is
//! the size of `Bias`; nothing leaves the range of its metric. The width of an interval has a
//! relative error of about `sqrt(k / 4 m)`, where `k` is the kurtosis of a row's influence on the
//! metric: 1.6 % for a `k` of 1000 and a million rows, where 200 replicates alone leave 10 %.

mod collect;
mod file;
mod labels;
mod measure;
mod parts;
mod predictions;
mod sampled;
mod sort;
#[cfg(test)]
mod tests;

pub use collect::{Block, Spill};
pub use measure::{Codes, MatureBlock, SpillInput, Spilled};

use crate::error::EvalError;
use file::{ScratchFile, Stretch, Writer};
use ltv_core::progress::Progress;
use std::path::{Path, PathBuf};

/// Most rows that the intervals of a scope are made from, where it has more than memory holds.
pub const MOST_DRAWN: usize = 1_000_000;

/// Bytes that measuring a row in memory takes beside its columns, resamples on four threads included.
const MEASURED: u64 = 290;
/// Bytes that a row of a chunk takes while it is sorted.
const SORTED: u64 = 48;

/// Where rows go beyond memory, and how much of it they may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpillOptions {
    /// Folder of the scratch files.
    pub folder: PathBuf,
    /// Bytes for rows, buffers and what is being sorted; beside them a few MiB are needed.
    pub memory: u64,
}

impl SpillOptions {
    /// Rows that an evaluation by [`crate::evaluate`] may have without taking more memory, given
    /// the numbers of horizons, prediction sets and categorical columns.
    pub fn rows_in_memory(&self, horizons: usize, sets: usize, codes: usize) -> u64 {
        let columns = 8 * horizons * (1 + sets) + 4 * codes;
        self.memory / (columns as u64 + MEASURED)
    }
}

/// Sizes that follow from the memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Most rows of a scope that is measured in memory.
    pub(crate) whole: u64,
    /// Most rows drawn for intervals.
    pub(crate) drawn: usize,
    /// Rows sorted at a time.
    pub(crate) chunk: usize,
    /// Runs merged at a time, at least 2.
    pub(crate) fan_in: usize,
    /// Bytes of the buffer of a reader or writer.
    pub(crate) buffer: usize,
}

impl Limits {
    fn of(memory: u64) -> Self {
        let whole = memory / MEASURED;
        let buffer = (memory / 512).clamp(1 << 12, 1 << 20);
        Self {
            whole,
            drawn: (whole as usize).clamp(50, MOST_DRAWN),
            chunk: (memory / 2 / SORTED).clamp(64, 1 << 31) as usize,
            fan_in: (memory / 4 / buffer).clamp(8, 4096) as usize,
            buffer: buffer as usize,
        }
    }
}

/// What measuring works with.
pub(crate) struct Work<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) limits: Limits,
    pub(crate) progress: &'a dyn Progress,
}

impl Work<'_> {
    /// A writer to a new file.
    pub(crate) fn writer(&self) -> Result<Writer, EvalError> {
        let file = ScratchFile::create(self.folder)?;
        Ok(Writer::new(file, 0, self.limits.buffer))
    }

    /// Reads a column a chunk at a time.
    pub(crate) fn chunks(
        &self,
        column: &Stretch,
        mut each: impl FnMut(&[f64]) -> Result<(), EvalError>,
    ) -> Result<(), EvalError> {
        let (mut reader, mut chunk) = (column.reader(self.limits.buffer), vec![]);
        loop {
            reader.block(self.limits.chunk, &mut chunk)?;
            if chunk.is_empty() {
                return Ok(());
            }
            each(&chunk)?;
            self.progress.advance(chunk.len() as u64);
        }
    }

    /// A whole column, which must be known to be small.
    fn column(&self, column: &Stretch) -> Result<Vec<f64>, EvalError> {
        let mut values = Vec::with_capacity(column.len() as usize);
        let mut reader = column.reader(self.limits.buffer);
        reader.block(column.len() as usize, &mut values)?;
        Ok(values)
    }
}
