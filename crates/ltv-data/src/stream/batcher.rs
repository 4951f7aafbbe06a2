//! From encoded rows to batches of one size: blocks, permuted where rows are shuffled.

use super::{batches::StreamOptions, told::Outlet};
use ltv_core::{config::ClassFactors, encoding::EncodedRows};
use rand::{RngExt, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use std::ops::ControlFlow;

/// Collects encoded rows into blocks, permutes them, cuts batches.
pub(super) struct Batcher<'a> {
    batch_rows: usize,
    draws: Option<ClassFactors>,
    rng: Option<ChaCha8Rng>,
    block_rows: usize,
    block: EncodedRows,
    batch: EncodedRows,
    out: &'a Outlet<'a, EncodedRows>,
}

impl<'a> Batcher<'a> {
    /// Without a generator, rows stay in order.
    pub(super) fn new(
        options: &StreamOptions,
        rng: Option<ChaCha8Rng>,
        out: &'a Outlet<'a, EncodedRows>,
    ) -> Self {
        let batch_rows = options.batch_rows;
        Self {
            batch_rows,
            draws: options.draws,
            rng,
            block_rows: options.shuffle.map_or(batch_rows, |s| s.buffer_rows),
            block: EncodedRows::default(),
            batch: EncodedRows::default(),
            out,
        }
    }

    /// Takes rows in; breaks when nobody wants more batches.
    pub(super) fn add(&mut self, encoded: &EncodedRows) -> ControlFlow<()> {
        if let Some(draws) = self.draws {
            return self.draw(encoded, &draws);
        }
        let mut start = 0;
        while start < encoded.rows {
            let end = encoded.rows.min(start + self.block_rows - self.block.rows);
            append(&mut self.block, encoded, start..end);
            start = end;
            if self.block.rows == self.block_rows {
                self.cut_block()?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Adds every row as often as its class says.
    fn draw(&mut self, encoded: &EncodedRows, draws: &ClassFactors) -> ControlFlow<()> {
        let horizons = encoded.labels.len().checked_div(encoded.rows).unwrap_or(0);
        for row in 0..encoded.rows {
            let labels = &encoded.labels[row * horizons..(row + 1) * horizons];
            // No chance without a generator: only the whole part is drawn.
            let chance = self.rng.as_mut().map_or(1.0, |rng| rng.random());
            for _ in 0..draws.of(labels).draws(chance) {
                append(&mut self.block, encoded, row..row + 1);
                if self.block.rows == self.block_rows {
                    self.cut_block()?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Empties the block into batches.
    fn cut_block(&mut self) -> ControlFlow<()> {
        let block = std::mem::take(&mut self.block);
        if let Some(rng) = &mut self.rng {
            let mut order: Vec<u32> = (0..block.rows as u32).collect();
            order.shuffle(rng);
            let mut order = &order[..];
            while !order.is_empty() {
                let room = self.batch_rows - self.batch.rows;
                let (now, later) = order.split_at(room.min(order.len()));
                gather(&mut self.batch, &block, now);
                self.send_if_full()?;
                order = later;
            }
        } else {
            // Without a shuffle a block is as long as a batch.
            append(&mut self.batch, &block, 0..block.rows);
            self.send_if_full()?;
        }
        // Its memory serves the next block.
        self.block = emptied(block);
        ControlFlow::Continue(())
    }

    fn send_if_full(&mut self) -> ControlFlow<()> {
        if self.batch.rows < self.batch_rows {
            return ControlFlow::Continue(());
        }
        let fresh = EncodedRows {
            rows: 0,
            cells: Vec::with_capacity(self.batch.cells.len()),
            numbers: Vec::with_capacity(self.batch.numbers.len()),
            plain: Vec::with_capacity(self.batch.plain.len()),
            labels: Vec::with_capacity(self.batch.labels.len()),
        };
        self.out.offer(std::mem::replace(&mut self.batch, fresh))
    }

    /// Sends what is left.
    pub(super) fn finish(mut self) {
        if self.cut_block().is_continue() && self.batch.rows > 0 {
            // The last batch: whether it is still wanted makes no difference.
            let _ = self.out.offer(std::mem::take(&mut self.batch));
        }
    }
}

fn emptied(mut rows: EncodedRows) -> EncodedRows {
    rows.rows = 0;
    rows.cells.clear();
    rows.numbers.clear();
    rows.plain.clear();
    rows.labels.clear();
    rows
}

/// Copies a range of rows of `from` to the end of `to`.
fn append(to: &mut EncodedRows, from: &EncodedRows, rows: std::ops::Range<usize>) {
    let span = |len: usize| {
        let width = len.checked_div(from.rows).unwrap_or(0);
        rows.start * width..rows.end * width
    };
    to.cells
        .extend_from_slice(&from.cells[span(from.cells.len())]);
    to.numbers
        .extend_from_slice(&from.numbers[span(from.numbers.len())]);
    to.plain
        .extend_from_slice(&from.plain[span(from.plain.len())]);
    to.labels
        .extend_from_slice(&from.labels[span(from.labels.len())]);
    to.rows += rows.len();
}

/// Copies some rows of `from`, in the order given, to the end of `to`.
fn gather(to: &mut EncodedRows, from: &EncodedRows, rows: &[u32]) {
    fn one<T: Copy>(to: &mut Vec<T>, from: &[T], all: usize, rows: &[u32]) {
        let width = from.len().checked_div(all).unwrap_or(0);
        if width == 0 {
            return;
        }
        to.reserve(rows.len() * width);
        for &row in rows {
            to.extend_from_slice(&from[row as usize * width..][..width]);
        }
    }
    one(&mut to.cells, &from.cells, from.rows, rows);
    one(&mut to.numbers, &from.numbers, from.rows, rows);
    one(&mut to.plain, &from.plain, from.rows, rows);
    one(&mut to.labels, &from.labels, from.rows, rows);
    to.rows += rows.len();
}
