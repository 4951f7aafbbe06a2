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
    /// How much each row counts in the means that losses are, finite and not negative, `[rows]`. A
    /// weight of 2 is that of two equal rows, one of 0 that of a row which is not there.
    pub weights: Vec<T>,
}

impl<T: Real> Batch<T> {
    /// A batch of `rows` rows of zeros, each of weight one, with no class targets set.
    pub fn new(shape: BatchShape, rows: usize) -> Self {
        Self {
            rows,
            ids: vec![0; rows * shape.fields],
            numbers: vec![T::ZERO; rows * shape.numbers],
            classes: vec![-1; rows * shape.classes],
            targets: vec![T::ZERO; rows * shape.targets],
            keys: (0..rows as u64).collect(),
            weights: vec![T::ONE; rows],
        }
    }

    /// Whether all vectors have the lengths that `shape` asks for.
    pub fn fits(&self, shape: BatchShape) -> bool {
        self.ids.len() == self.rows * shape.fields
            && self.numbers.len() == self.rows * shape.numbers
            && self.classes.len() == self.rows * shape.classes
            && self.targets.len() == self.rows * shape.targets
            && self.keys.len() == self.rows
            && self.weights.len() == self.rows
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

    /// The weights of rows `base..base + rows`.
    pub(crate) fn weight_rows(&self, base: usize, rows: usize) -> &[T] {
        &self.weights[base..base + rows]
    }

    /// What turns weighted sums over rows into weighted means.
    pub(crate) fn means(&self, columns: usize) -> Means<T> {
        let column = |c: usize| {
            let classes = &self.classes[c * self.rows..(c + 1) * self.rows];
            let rows = classes.iter().zip(&self.weights);
            inverse(rows.filter(|(k, _)| **k >= 0).map(|(_, w)| w.f64()).sum())
        };
        Means {
            columns: (0..columns).map(column).collect(),
            all: inverse(self.weights.iter().map(|w| w.f64()).sum()),
        }
    }
}

/// The factors of means over rows: one over the weight of the rows that take part (1 where nobody
/// does, whose sum is zero).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Means<T> {
    /// For every class column.
    pub(crate) columns: Vec<T>,
    /// Over all rows of the batch.
    pub(crate) all: T,
}

fn inverse<T: Real>(weight: f64) -> T {
    if weight > 0.0 {
        T::ONE / T::of(weight)
    } else {
        T::ONE
    }
}
