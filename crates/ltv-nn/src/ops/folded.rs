//! A layer over embedding look-ups, applied to the tables once and for all.
//!
//! `W [e_0; e_1; ...; x]` is a sum over fields, `W_0 e_0 + W_1 e_1 + ... + W_x x`, and of every product
//! `W_f e_f` there are no more than the field has cells. With weights that no longer change they are
//! made once, and a row is a sum of look-ups in place of a matrix product.

use super::LANES;
use crate::{
    Layout, Real,
    graph::InputSpec,
    real::{View, product},
    simd::simd,
    tile::{Tile, parts, product_rows},
    trainer::Weights,
};
use std::{array::from_fn, hint, ops::Range};

/// Outputs summed at a time: four AVX-512 registers of `f32`.
const BLOCK: usize = 64;
/// Bytes that a cache fetches at a time.
const LINE: usize = 64;
/// Bytes of one block of all folded fields at most: what stays in the second-level cache of a core while
/// a tile is summed.
const MOST: usize = 640 << 10;

/// A layer of a network that is not trained any more, over the embedded input.
pub(crate) struct Layer<'a, T> {
    /// `[n, k]`, row by row.
    pub(crate) weights: &'a [T],
    /// `[n]`.
    pub(crate) biases: &'a [T],
    /// Outputs, `n`.
    pub(crate) outputs: usize,
    /// Where its inputs come from.
    pub(crate) input: &'a InputSpec,
    /// The tables, and what else there is.
    pub(crate) layout: &'a Layout,
    /// The embeddings.
    pub(crate) embeddings: &'a Weights<T>,
}

/// What a layer makes of its smaller fields, cell by cell.
pub(crate) struct Folded<T> {
    /// Field, and where its cells start in a block.
    fields: Vec<(usize, usize)>,
    /// Columns of the input that are left to a product.
    rest: Vec<Range<usize>>,
    /// `[blocks, cells, BLOCK]`; outputs past the last are zero.
    table: Vec<[T; BLOCK]>,
    /// By block; past the last output zero.
    biases: Vec<[T; BLOCK]>,
    /// Cells of all folded fields.
    cells: usize,
    outputs: usize,
}

impl<T: Real> Folded<T> {
    /// Folds the fields that fit, those of few cells first; `None` where none does.
    pub(crate) fn new(layer: &Layer<'_, T>) -> Option<Self> {
        let cells = |field: usize| layer.layout.tables[layer.input.tables[field]].rows;
        let mut order: Vec<usize> = (0..layer.input.tables.len()).collect();
        order.sort_by_key(|&field| cells(field));
        let (mut fields, mut end) = (vec![], 0);
        for field in order {
            if (end + cells(field)) * size_of::<[T; BLOCK]>() > MOST {
                break;
            }
            fields.push((field, end));
            end += cells(field);
        }
        let blocks = layer.outputs.div_ceil(BLOCK);
        let mut folded = Self {
            rest: vec![],
            table: vec![[T::ZERO; BLOCK]; blocks * end],
            biases: vec![[T::ZERO; BLOCK]; blocks],
            cells: end,
            outputs: layer.outputs,
            fields,
        };
        for &(field, first) in &folded.fields {
            fold_field(layer, field, first, end, &mut folded.table);
        }
        folded.biases.as_flattened_mut()[..layer.outputs].copy_from_slice(layer.biases);
        folded.rest = folded.rest(layer);
        (end > 0).then_some(folded)
    }

    /// The columns of the input that belong to no folded field.
    fn rest(&self, layer: &Layer<'_, T>) -> Vec<Range<usize>> {
        let width = layer.weights.len() / layer.outputs;
        let mut left = vec![true; width];
        for &(field, _) in &self.fields {
            let dim = layer.layout.tables[layer.input.tables[field]].dim;
            left[layer.input.columns[field]..][..dim].fill(false);
        }
        let runs = left.chunk_by(|a, b| a == b).scan(0, |at, run| {
            let range = *at..*at + run.len();
            *at = range.end;
            Some((run[0], range))
        });
        runs.filter_map(|(left, range)| left.then_some(range))
            .collect()
    }

    /// Numbers of a row in [`Folded::sum`]'s result: the outputs, up to the end of a block.
    pub(crate) fn width(&self) -> usize {
        self.outputs.next_multiple_of(BLOCK)
    }

    /// Bytes of its tables.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.table)
    }

    /// Whether a field is folded.
    pub(crate) fn has(&self, field: usize) -> bool {
        self.fields.iter().any(|&(folded, _)| folded == field)
    }

    /// Biases and what the folded fields make of rows: `[rows, width]` from ids `[rows, fields]`. A block
    /// of outputs for all rows at a time, so that a block's table stays in cache: the more rows, the better.
    pub(crate) fn sum(&self, arch: pulp::Arch, ids: &[u32], fields: usize, sums: &mut [T]) {
        simd!(arch, self.sum_blocks(ids, fields, sums));
    }

    #[inline(always)]
    fn sum_blocks(&self, ids: &[u32], fields: usize, sums: &mut [T]) {
        let (rows, _) = sums.as_chunks_mut::<BLOCK>();
        let blocks = self.width() / BLOCK;
        let rows_read = rows.len() / blocks;
        for (i, table) in self.table.chunks_exact(self.cells).enumerate() {
            let out = rows.iter_mut().skip(i).step_by(blocks);
            if rows_read * self.fields.len() >= self.cells {
                fetch(table);
            }
            for (out, ids) in out.zip(ids.chunks_exact(fields)) {
                let mut sum = self.biases[i];
                for &(field, first) in &self.fields {
                    let cell = &table[first + ids[field] as usize];
                    sum = from_fn(|l| sum[l] + cell[l]);
                }
                *out = sum;
            }
        }
    }

    /// `y = x W^T + b`. `sums`: of the tile's rows; `x`: `[rows, k]`, row by row, only what is
    /// not folded is read; `y`: `[n]` features; `w`: `[n, k]`.
    pub(crate) fn apply(
        &self,
        t: &mut Tile<'_, T>,
        sums: &[T],
        x: Range<usize>,
        y: Range<usize>,
        w: &[T],
    ) {
        let (ld, rows) = (t.ld, t.rows);
        let [y, x] = parts(t.values, [y, x]);
        match ld {
            1 => y.copy_from_slice(&sums[..self.outputs]),
            _ => simd!(t.arch, turn(sums, self.width(), y, ld)),
        }
        let (n, k) = (self.outputs, w.len() / self.outputs);
        let many = product_rows(rows, ld);
        for range in &self.rest {
            let x = View::new(&x[range.start..], range.len(), many, k).t();
            let w = View::new(&w[range.start..], range.len(), n, k);
            product((y, many, n, ld, false), true, x, w);
        }
    }
}

/// Reads a block once from its beginning to its end, which memory is fast at: look-ups then find it in cache.
#[inline(always)]
fn fetch<T: Real>(table: &[[T; BLOCK]]) {
    let mut sum = T::ZERO;
    let lines = table.as_flattened().iter().step_by(LINE / size_of::<T>());
    lines.for_each(|&first| sum += first);
    hint::black_box(sum);
}

/// From row by row to output by output.
#[inline(always)]
fn turn<T: Real>(rows: &[T], width: usize, y: &mut [T], ld: usize) {
    for (start, rows) in (0..ld).step_by(LANES).zip(rows.chunks(LANES * width)) {
        for (first, y) in (0..width).step_by(LANES).zip(y.chunks_mut(LANES * ld)) {
            let mut square = [[T::ZERO; LANES]; LANES];
            for (to, row) in square.iter_mut().zip(rows.chunks_exact(width)) {
                to.copy_from_slice(&row[first..first + LANES]);
            }
            for (j, y) in y.chunks_exact_mut(ld).enumerate() {
                y[start..start + LANES].copy_from_slice(&from_fn::<_, LANES, _>(|r| square[r][j]));
            }
        }
    }
}

/// Writes `W_f e` for every cell of a field to its places in all blocks.
fn fold_field<T: Real>(
    layer: &Layer<'_, T>,
    field: usize,
    first: usize,
    cells: usize,
    out: &mut [[T; BLOCK]],
) {
    let table = &layer.layout.tables[layer.input.tables[field]];
    let (n, k) = (layer.outputs, layer.weights.len() / layer.outputs);
    let embeddings = &layer.embeddings.tables[table.offset..][..table.rows * table.dim];
    let mut all = vec![T::ZERO; table.rows * n];
    let w = View::new(
        &layer.weights[layer.input.columns[field]..],
        table.dim,
        n,
        k,
    );
    let embeddings = View::new(embeddings, table.dim, table.rows, table.dim);
    product(
        (&mut all, n, table.rows, n, false),
        false,
        w.t(),
        embeddings,
    );
    for (cell, outputs) in all.chunks_exact(n).enumerate() {
        for (block, outputs) in outputs.chunks(BLOCK).enumerate() {
            out[block * cells + first + cell][..outputs.len()].copy_from_slice(outputs);
        }
    }
}
