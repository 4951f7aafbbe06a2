//! Rows of two snapshots dealt out by user, so that those of a user are in the same hand.

use super::{DiffOptions, rows::Row};
use crate::ScoreError;
use ltv_core::Error;
use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
};
use tempfile::TempDir;

/// Bytes of a hand and side that wait in memory for their file.
const WAITING: usize = 128 << 10;
/// Hands at most: what waits in memory grows with them.
const MOST: u64 = 1024;
/// Bytes that a user takes while two hands meet, beside the values: id, list and its bytes as dealt.
const BESIDE: u64 = 80;

/// The hands of both sides.
pub(super) struct Deal {
    folder: TempDir,
    /// Values of a row.
    width: usize,
    /// Of each side, each hand's rows that are in no file yet.
    waiting: [Vec<Vec<u8>>; 2],
    /// Bytes after which they go to a file.
    patience: usize,
}

impl Deal {
    /// As many hands as `rows` rows of `width` values need to be met in the memory that there is.
    pub(super) fn new(rows: u64, width: usize, options: &DiffOptions) -> Result<Self, ScoreError> {
        let bytes = rows.saturating_mul(BESIDE + 8 * width as u64);
        let hands = bytes.div_ceil(options.memory.max(1)).clamp(1, MOST);
        let scratch = &options.scratch;
        let folder = tempfile::Builder::new()
            .prefix(".ltv-diff-")
            .tempdir_in(scratch);
        let failed = |e| Error::io(scratch, "create a temporary folder in", e);
        let empty = || vec![vec![]; hands as usize];
        Ok(Self {
            folder: folder.map_err(failed)?,
            width,
            waiting: [empty(), empty()],
            // What fits needs no file.
            patience: if hands == 1 { usize::MAX } else { WAITING },
        })
    }

    /// How many there are.
    pub(super) fn hands(&self) -> usize {
        self.waiting[0].len()
    }

    /// Deals a row of a side.
    pub(super) fn add(&mut self, side: usize, row: &Row<'_>) -> Result<(), ScoreError> {
        let hand = (mixed(row.user) % self.hands() as u64) as usize;
        let waiting = &mut self.waiting[side][hand];
        waiting.extend(row.user.to_le_bytes());
        row.values
            .iter()
            .for_each(|value| waiting.extend(value.to_le_bytes()));
        if waiting.len() < self.patience {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.waiting[side][hand]);
        let path = self.path(side, hand);
        // Opened for a moment only: there are more of them than a process may hold.
        File::options()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(&bytes))
            .map_err(|e| Error::io(&path, "write", e))?;
        let mut emptied = bytes;
        emptied.clear();
        self.waiting[side][hand] = emptied;
        Ok(())
    }

    fn path(&self, side: usize, hand: usize) -> PathBuf {
        self.folder.path().join(format!("{side}-{hand}"))
    }

    /// The rows of a side in a hand, by user.
    pub(super) fn hand(
        &mut self,
        side: usize,
        hand: usize,
    ) -> Result<Vec<(u128, Vec<f64>)>, ScoreError> {
        let path = self.path(side, hand);
        let mut bytes = match path.exists() {
            true => fs::read(&path).map_err(|e| Error::io(&path, "read", e))?,
            false => vec![],
        };
        bytes.append(&mut self.waiting[side][hand]);
        let width = size_of::<u128>() + size_of::<f64>() * self.width;
        let row = |row: &[u8]| {
            let (user, values) = row.split_first_chunk()?;
            let values = values.as_chunks().0.iter();
            let values = values.map(|value| f64::from_le_bytes(*value));
            Some((u128::from_le_bytes(*user), values.collect()))
        };
        let mut rows: Vec<_> = bytes.chunks_exact(width).filter_map(row).collect();
        rows.sort_unstable_by_key(|(user, _)| *user);
        Ok(rows)
    }
}

/// Bits of a user that have nothing to do with its neighbours' (the finaliser of SplitMix64, Steele et al.
/// 2014).
fn mixed(user: u128) -> u64 {
    let mut x = (user as u64) ^ ((user >> 64) as u64).rotate_left(32);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
