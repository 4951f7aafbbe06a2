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
    /// How much each row counts in the losses, finite and not negative, `[rows]`: a loss is the
    /// weighted sum over the rows that take part, divided by their number. Weights are meant to be
    /// one on average over all rows there are, not within a batch: so a batch that happens to have
    /// no heavy rows counts less, instead of counting its light rows as if they were ordinary ones.
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

    /// What turns weighted sums over rows into means. Weights are left out: divided by their own
    /// sum, they would cancel wherever a batch has rows of one weight only.
    ///
    /// Where all rows that can take part in a column weigh the same, as those of a sub-distribution
    /// of positive values do, that weight stays as a common factor of the column's losses: towers
    /// of their own do not notice under Adam, layers that they share with others hear them louder.
    pub(crate) fn means(&self, columns: usize) -> Means<T> {
        let column = |c: usize| {
            let classes = &self.classes[c * self.rows..(c + 1) * self.rows];
            inverse(classes.iter().filter(|k| **k >= 0).count())
        };
        Means {
            columns: (0..columns).map(column).collect(),
            all: inverse(self.rows),
        }
    }
}

/// The factors of means over rows: one over the number of rows that take part (1 where nobody
/// does, whose sum is zero).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Means<T> {
    /// For every class column.
    pub(crate) columns: Vec<T>,
    /// Over all rows of the batch.
    pub(crate) all: T,
}

fn inverse<T: Real>(rows: usize) -> T {
    T::ONE / T::of(rows.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0.2 % of rows are positive and weigh half of all: over an epoch, their share of the losses
    /// is that half, although four of five batches have none.
    #[test]
    fn a_rare_class_keeps_its_share_over_batches() {
        const ROWS: usize = 100;
        let shape = BatchShape {
            fields: 0,
            numbers: 0,
            classes: 1,
            targets: 0,
        };
        let (positive, zero) = (250.0, 250.0 / 499.0);
        let mut sums = [0.0f64; 2];
        for i in 0..5 {
            let mut batch = Batch::<f64>::new(shape, ROWS);
            batch.classes.fill(0);
            batch.weights.fill(zero);
            if i == 3 {
                (batch.classes[7], batch.weights[7]) = (1, positive);
            }
            let means = batch.means(1);
            assert_eq!(means.columns[0], means.all);
            for (&y, w) in batch.classes.iter().zip(&batch.weights) {
                sums[y as usize] += w * means.all;
            }
        }
        assert!((sums[0] - sums[1]).abs() < 1e-12, "{sums:?}");
    }

    #[test]
    fn those_who_do_not_take_part_are_not_counted() {
        let shape = BatchShape {
            fields: 0,
            numbers: 0,
            classes: 2,
            targets: 0,
        };
        let mut batch = Batch::<f32>::new(shape, 3);
        batch.classes[..3].copy_from_slice(&[0, -1, 4]);
        let means = batch.means(2);
        assert_eq!((means.columns, means.all), (vec![0.5, 1.0], 1.0 / 3.0));
    }
}
