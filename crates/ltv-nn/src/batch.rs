//! What the network reads: a block of rows with inputs and targets.

use crate::Real;

/// The widths of a batch, fixed by the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchShape {
    /// Categorical fields of a row.
    pub fields: usize,
    /// Numeric inputs of a row.
    pub numbers: usize,
    /// Columns of class targets.
    pub classes: usize,
    /// Columns of numeric targets.
    pub targets: usize,
}

/// A block of rows. Inputs are row-major, targets column-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch<T> {
    /// Number of rows.
    pub rows: usize,
    /// Row of the embedding table for every field, `[rows, fields]`.
    pub ids: Vec<u32>,
    /// Numeric inputs, `[rows, numbers]`.
    pub numbers: Vec<T>,
    /// Class targets, `[classes, rows]`; -1 where the row does not take part.
    pub classes: Vec<i32>,
    /// Numeric targets, `[targets, rows]`.
    pub targets: Vec<T>,
    /// One number for each row that tells it from all others (for dropout), `[rows]`.
    pub keys: Vec<u64>,
}

impl<T: Real> Batch<T> {
    /// A batch of `rows` rows of zeros, with no class targets set.
    pub fn new(shape: BatchShape, rows: usize) -> Self {
        Self {
            rows,
            ids: vec![0; rows * shape.fields],
            numbers: vec![T::ZERO; rows * shape.numbers],
            classes: vec![-1; rows * shape.classes],
            targets: vec![T::ZERO; rows * shape.targets],
            keys: (0..rows as u64).collect(),
        }
    }

    /// Whether all vectors have the lengths that `shape` asks for.
    pub fn fits(&self, shape: BatchShape) -> bool {
        self.ids.len() == self.rows * shape.fields
            && self.numbers.len() == self.rows * shape.numbers
            && self.classes.len() == self.rows * shape.classes
            && self.targets.len() == self.rows * shape.targets
            && self.keys.len() == self.rows
    }

    /// The class targets of rows `base..base + rows` in a column.
    pub(crate) fn class_rows(&self, column: usize, base: usize, rows: usize) -> &[i32] {
        let start = column * self.rows + base;
        &self.classes[start..start + rows]
    }

    /// The numeric targets of rows `base..base + rows` in a column.
    pub(crate) fn target_rows(&self, column: usize, base: usize, rows: usize) -> &[T] {
        let start = column * self.rows + base;
        &self.targets[start..start + rows]
    }

    /// For every class column, one over the number of rows that take part in it (at least 1): the
    /// weight of a row in a masked mean.
    pub(crate) fn row_weights(&self, columns: usize) -> Vec<T> {
        let weight = |c: usize| {
            let column = &self.classes[c * self.rows..(c + 1) * self.rows];
            let taking_part = column.iter().filter(|&&k| k >= 0).count();
            T::ONE / T::of(taking_part.max(1) as f64)
        };
        (0..columns).map(weight).collect()
    }
}
