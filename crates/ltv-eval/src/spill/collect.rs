//! From blocks of rows to a file for each horizon and column.

use super::{
    SpillOptions,
    file::{ScratchFile, Writer},
    measure::{Mature, Rows, Spilled},
};
use crate::{
    error::EvalError,
    evaluate::{check_labels, check_names, check_predictions},
    order::OrderTally,
};
use ltv_core::Horizons;

/// Rows to add. All slices belong to the same rows in the same order.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    /// Labels, row-major `[rows, horizons]`; NaN where immature.
    pub labels: &'a [f64],
    /// The predictions of each set, row-major `[rows, horizons]`.
    pub predictions: &'a [&'a [f64]],
    /// For each categorical column one code for each row.
    pub codes: &'a [&'a [u32]],
}

/// Takes rows and writes them to scratch files.
#[derive(Debug)]
pub struct Spill {
    options: SpillOptions,
    horizons: Horizons,
    sets: Vec<String>,
    codes: usize,
    rows: u64,
    orders: Vec<OrderTally>,
    columns: Vec<HorizonWriters>,
}

/// The columns of one horizon: labels, each set, each column of codes.
#[derive(Debug)]
struct HorizonWriters {
    writers: Vec<Writer>,
    immature: u64,
    positives: u64,
}

impl Spill {
    /// Starts without rows, for predictions of `sets` and so many categorical columns.
    ///
    /// # Errors
    /// When names repeat or are none, or files cannot be made.
    pub fn new(
        horizons: &Horizons,
        sets: Vec<String>,
        codes: usize,
        options: SpillOptions,
    ) -> Result<Self, EvalError> {
        if sets.is_empty() {
            return Err(EvalError::NoPredictions);
        }
        check_names(sets.iter())?;
        let files = 1 + sets.len() + codes;
        let share = options.memory / 4 / (files * horizons.len()) as u64;
        let buffer = share.clamp(1 << 12, 1 << 20) as usize;
        let writer = |_| {
            Ok(Writer::new(
                ScratchFile::create(&options.folder)?,
                0,
                buffer,
            ))
        };
        let writers = |_| {
            Ok(HorizonWriters {
                writers: (0..files).map(writer).collect::<Result<_, _>>()?,
                immature: 0,
                positives: 0,
            })
        };
        Ok(Self {
            columns: (0..horizons.len()).map(writers).collect::<Result<_, _>>()?,
            orders: vec![OrderTally::new(horizons.len()); sets.len()],
            horizons: horizons.clone(),
            sets,
            codes,
            rows: 0,
            options,
        })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// When shapes do not fit, or a label or prediction is negative, infinite or (predictions)
    /// missing; the message counts rows from the first one added. When a file cannot be written.
    pub fn add(&mut self, block: &Block<'_>) -> Result<(), EvalError> {
        let rows = block.labels.len() / self.horizons.len();
        self.check(block, rows)
            .map_err(|error| error.after(self.rows as usize))?;
        for (order, set) in self.orders.iter_mut().zip(block.predictions) {
            order.add(set);
        }
        for (t, columns) in self.columns.iter_mut().enumerate() {
            columns.add(block, t, self.horizons.len())?;
        }
        self.rows += rows as u64;
        Ok(())
    }

    fn check(&self, block: &Block<'_>, rows: usize) -> Result<(), EvalError> {
        let columns = self.horizons.columns();
        let cells = rows * columns.len();
        shape("labels", cells, block.labels.len())?;
        check_labels(block.labels, &columns)?;
        shape("sets", self.sets.len(), block.predictions.len())?;
        for (name, set) in self.sets.iter().zip(block.predictions) {
            shape(&format!("predictions '{name}'"), cells, set.len())?;
            check_predictions(name, set, &columns)?;
        }
        shape("codes", self.codes, block.codes.len())?;
        let mut codes = block.codes.iter();
        codes.try_for_each(|codes| shape("codes", rows, codes.len()))
    }

    /// Ends the rows.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn finish(self) -> Result<Spilled, EvalError> {
        let sets = self.sets.len();
        let finish = |mut columns: HorizonWriters| {
            let mut stretches = columns.writers.iter_mut().map(Writer::cut);
            let mut next = |count| {
                stretches
                    .by_ref()
                    .take(count)
                    .collect::<Result<Vec<_>, _>>()
            };
            let (labels, predictions, codes) = (next(1)?.remove(0), next(sets)?, next(self.codes)?);
            Ok(Mature {
                rows: Rows {
                    labels,
                    predictions,
                    positives: columns.positives,
                },
                codes,
                immature: columns.immature,
            })
        };
        Ok(Spilled {
            columns: self
                .columns
                .into_iter()
                .map(finish)
                .collect::<Result<_, _>>()?,
            options: self.options,
            horizons: self.horizons,
            sets: self.sets,
            orders: self.orders,
            rows: self.rows,
        })
    }
}

fn shape(what: &str, expected: usize, found: usize) -> Result<(), EvalError> {
    if expected == found {
        return Ok(());
    }
    Err(EvalError::Shape {
        what: what.to_owned(),
        expected,
        found,
    })
}

impl HorizonWriters {
    fn add(&mut self, block: &Block<'_>, t: usize, width: usize) -> Result<(), EvalError> {
        let labels = || block.labels.iter().skip(t).step_by(width).copied();
        let mature: Vec<usize> = labels()
            .enumerate()
            .filter(|(_, y)| !y.is_nan())
            .map(|(row, _)| row)
            .collect();
        self.immature += (labels().count() - mature.len()) as u64;
        self.positives += labels().filter(|&y| y > 0.0).count() as u64;
        let values = std::iter::once(&block.labels).chain(block.predictions);
        let (floats, codes) = self.writers.split_at_mut(1 + block.predictions.len());
        let mut column = Vec::with_capacity(mature.len());
        for (writer, matrix) in floats.iter_mut().zip(values) {
            column.clear();
            column.extend(mature.iter().map(|row| matrix[row * width + t]));
            writer.push(&column)?;
        }
        for (writer, codes) in codes.iter_mut().zip(block.codes) {
            column.clear();
            column.extend(mature.iter().map(|&row| f64::from(codes[row])));
            writer.push(&column)?;
        }
        Ok(())
    }
}
