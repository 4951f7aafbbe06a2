//! The gradient of embedding tables, from that of the embedded inputs of a batch.
//!
//! A small table's is summed row by row into a table of its size. That of a large one is never held as a
//! table: its look-ups are listed by cell, and summed when the cell is updated. Either way a cell's
//! look-ups are added in the order of the rows.

use super::Cut;
use crate::{Batch, Real, graph::InputSpec, layout::Table};

const NONE: u32 = u32::MAX;

/// Linked lists of the look-ups in each cell of one table.
#[derive(Debug)]
pub(super) struct TableIndex {
    /// First look-up of each cell.
    heads: Vec<u32>,
    /// The next look-up in the same cell, for each look-up.
    next: Vec<u32>,
    /// Cells that were looked up, ascending once [`TableIndex::build`] returns.
    pub(super) touched: Vec<u32>,
}

/// Where the gradient of an embedded input is found.
pub(super) struct Source<'a, T> {
    pub(super) fields: &'a [usize],
    pub(super) input: &'a InputSpec,
    /// Gradients of the embedded inputs, part by part.
    pub(super) parts: &'a [&'a [T]],
    pub(super) cut: Cut,
}

impl<T: Real> Source<'_, T> {
    /// Adds the gradient of a whole table to `out`.
    #[inline(always)]
    pub(super) fn scatter(&self, batch: &Batch<T>, out: &mut [T], dim: usize) {
        let (width, embedded) = (self.input.tables.len(), self.input.embedded);
        if self.fields.is_empty() {
            return;
        }
        for (part, gradients) in self.parts.iter().enumerate() {
            let rows = self.cut.range(part);
            let ids = batch.ids[rows.start * width..rows.end * width].chunks_exact(width);
            for (ids, gradients) in ids.zip(gradients.chunks_exact(embedded)) {
                for &field in self.fields {
                    let cell = &mut out[ids[field] as usize * dim..][..dim];
                    add(cell, &gradients[self.input.columns[field]..][..dim]);
                }
            }
        }
    }
}

/// Adds to a cell; one of the usual dimension without a loop.
#[inline(always)]
fn add<T: Real>(cell: &mut [T], gradient: &[T]) {
    match (
        <&mut [T; 8]>::try_from(&mut *cell),
        <&[T; 8]>::try_from(gradient),
    ) {
        (Ok(cell), Ok(gradient)) => *cell = std::array::from_fn(|i| cell[i] + gradient[i]),
        _ => cell.iter_mut().zip(gradient).for_each(|(c, &g)| *c += g),
    }
}

impl TableIndex {
    pub(super) fn new(table: &Table) -> Self {
        Self {
            heads: vec![NONE; table.rows],
            next: vec![],
            touched: vec![],
        }
    }

    /// Lists the look-ups of a batch. A look-up's number is `row * fields of the table + field`.
    pub(super) fn build<T: Real>(&mut self, batch: &Batch<T>, fields: &[usize], width: usize) {
        for &cell in &self.touched {
            self.heads[cell as usize] = NONE;
        }
        self.touched.clear();
        self.next.resize(batch.rows * fields.len(), NONE);
        // From the last to the first, so that the lists run from the first to the last.
        for row in (0..batch.rows).rev() {
            for (f, field) in fields.iter().enumerate().rev() {
                let cell = batch.ids[row * width + field];
                let head = &mut self.heads[cell as usize];
                let look_up = (row * fields.len() + f) as u32;
                if *head == NONE {
                    self.touched.push(cell);
                }
                self.next[look_up as usize] = *head;
                *head = look_up;
            }
        }
        self.touched.sort_unstable();
    }

    /// Adds the gradient of a cell to `out`.
    #[inline(always)]
    pub(super) fn gather<T: Real>(&self, cell: usize, source: &Source<'_, T>, out: &mut [T]) {
        let mut look_up = self.heads[cell];
        while look_up != NONE {
            let at = look_up as usize;
            let (row, field) = (
                at / source.fields.len(),
                source.fields[at % source.fields.len()],
            );
            let (part, row) = source.cut.place(row);
            let start = row * source.input.embedded + source.input.columns[field];
            add(out, &source.parts[part][start..start + out.len()]);
            look_up = self.next[at];
        }
    }
}
