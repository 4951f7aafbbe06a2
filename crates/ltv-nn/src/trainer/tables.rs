//! Which rows of a batch touch which cell of an embedding table.
//!
//! The gradient of a table is never held as a table: the gradient of the embedded inputs is kept
//! for the batch, and summed cell by cell, in the order of the rows, when the cell is updated.

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
            let gradient = &source.parts[part][start..start + out.len()];
            for (o, &g) in out.iter_mut().zip(gradient) {
                *o += g;
            }
            look_up = self.next[at];
        }
    }
}
