//! From record batches to cells, numbers and labels.

use crate::stream::{StreamError, columns};
use arrow::{
    array::{Array, Date32Array, Float64Array, StringArray},
    record_batch::RecordBatch,
};
use ltv_core::{
    Day, Horizons,
    encoding::{Cells, Cohort, EncodedRows, Encoding, FeatureEncoding, Scale},
};
use std::{collections::HashMap, sync::Arc};

/// Rows written at a time, so that the row-major output stays in cache while the columns pass.
const TILE_ROWS: usize = 256;

/// An encoding prepared for speed: a hash table for each vocabulary. Made once, used for all
/// batches, shared between threads.
#[derive(Debug)]
pub struct Encoder {
    encoding: Arc<Encoding>,
    /// One for each feature; empty for bins.
    words: Vec<HashMap<String, u32>>,
}

/// One network field: a column and how to read it.
struct Field<'a> {
    values: Values,
    cells: &'a Cells,
    scale: Option<Scale>,
    words: &'a HashMap<String, u32>,
}

enum Values {
    Number(Float64Array),
    Text(StringArray),
}

/// Encodes one batch. For many batches keep an [`Encoder`].
///
/// # Errors
/// See [`Encoder::encode`].
pub fn encode_batch(
    encoding: &Encoding,
    batch: &RecordBatch,
    horizons: Option<&Horizons>,
) -> Result<EncodedRows, StreamError> {
    Encoder::new(Arc::new(encoding.clone())).encode(batch, horizons)
}

impl Encoder {
    /// Prepares `encoding`.
    pub fn new(encoding: Arc<Encoding>) -> Self {
        let table = |feature: &FeatureEncoding| match &feature.cells {
            Cells::Vocabulary { values } => values.iter().cloned().zip(2..).collect(),
            Cells::Bins { .. } => HashMap::new(),
        };
        let words = encoding.features.iter().map(table).collect();
        Self { encoding, words }
    }

    /// The encoding it applies.
    pub fn encoding(&self) -> &Arc<Encoding> {
        &self.encoding
    }

    /// Encodes all rows of `batch`; with `horizons`, reads their label columns too. The columns
    /// may come in any order and among others. Numbers may be of any number type or booleans,
    /// categories text, integers or booleans.
    ///
    /// # Errors
    /// When a column is missing or of a type that cannot be read: names the column.
    pub fn encode(
        &self,
        batch: &RecordBatch,
        horizons: Option<&Horizons>,
    ) -> Result<EncodedRows, StreamError> {
        self.encode_at(batch, horizons, "the batch")
    }

    pub(crate) fn encode_at(
        &self,
        batch: &RecordBatch,
        horizons: Option<&Horizons>,
        place: &str,
    ) -> Result<EncodedRows, StreamError> {
        let rows = batch.num_rows();
        let fields = self.fields(batch, place)?;
        let mut encoded = EncodedRows {
            rows,
            cells: vec![0; rows * fields.len()],
            numbers: vec![0.0; rows * self.encoding.numbers()],
            plain: self.plain(batch, place)?,
            labels: labels(batch, horizons, place)?,
        };
        for start in (0..rows).step_by(TILE_ROWS) {
            encode_tile(&fields, start, (start + TILE_ROWS).min(rows), &mut encoded);
        }
        if let Some(cohort) = &self.encoding.cohort {
            number_cohorts(cohort, batch, place, &mut encoded)?;
        }
        Ok(encoded)
    }

    /// The columns that enter as they are, row-major, NaN where null.
    fn plain(&self, batch: &RecordBatch, place: &str) -> Result<Vec<f64>, StreamError> {
        let width = self.encoding.plain.len();
        let mut plain = vec![f64::NAN; batch.num_rows() * width];
        for (i, name) in self.encoding.plain.iter().enumerate() {
            let column = columns::number(batch, name, place)?;
            for (row, slots) in plain.chunks_exact_mut(width).enumerate() {
                slots[i] = value(&column, row).unwrap_or(f64::NAN);
            }
        }
        Ok(plain)
    }

    fn fields(&self, batch: &RecordBatch, place: &str) -> Result<Vec<Field<'_>>, StreamError> {
        let mut fields = Vec::with_capacity(self.encoding.fields());
        for (feature, words) in self.encoding.features.iter().zip(&self.words) {
            for column in &feature.columns {
                let values = match feature.cells {
                    Cells::Bins { .. } => Values::Number(columns::number(batch, column, place)?),
                    Cells::Vocabulary { .. } => Values::Text(columns::text(batch, column, place)?),
                };
                fields.push(Field {
                    values,
                    cells: &feature.cells,
                    scale: feature.scale,
                    words,
                });
            }
        }
        Ok(fields)
    }
}

fn encode_tile(fields: &[Field<'_>], start: usize, end: usize, out: &mut EncodedRows) {
    let width = fields.len();
    let numbers = out.numbers.len().checked_div(out.rows).unwrap_or(0);
    let mut number = 0;
    for (index, field) in fields.iter().enumerate() {
        let cells = out.cells[start * width..end * width].chunks_exact_mut(width);
        for (row, cells) in (start..end).zip(cells) {
            cells[index] = field.cell(row);
        }
        if let (Some(scale), Values::Number(values)) = (field.scale, &field.values) {
            let inputs = out.numbers[start * numbers..end * numbers].chunks_exact_mut(numbers);
            for (row, inputs) in (start..end).zip(inputs) {
                inputs[number] = scale.apply(value(values, row));
            }
        }
        number += usize::from(field.scale.is_some());
    }
}

/// Writes the last numbers of every row.
fn number_cohorts(
    cohort: &Cohort,
    batch: &RecordBatch,
    place: &str,
    out: &mut EncodedRows,
) -> Result<(), StreamError> {
    let registered: Date32Array = columns::typed(batch, Cohort::COLUMN, place, "Date32")?;
    columns::no_nulls(&registered, Cohort::COLUMN, place)?;
    let width = out.numbers.len() / out.rows.max(1);
    let rows = out.numbers.chunks_exact_mut(width.max(1));
    for (row, &day) in rows.zip(registered.values()) {
        let last = &mut row[width - cohort.least.len()..];
        last.iter_mut()
            .zip(cohort.numbers(Day(day)))
            .for_each(|(slot, number)| *slot = number);
    }
    Ok(())
}

impl Field<'_> {
    fn cell(&self, row: usize) -> u32 {
        match &self.values {
            Values::Number(values) => self.cells.of_number(value(values, row)),
            Values::Text(text) if text.is_null(row) => Cells::MISSING,
            Values::Text(text) => self
                .words
                .get(text.value(row))
                .copied()
                .unwrap_or(Cells::UNSEEN),
        }
    }
}

fn value(values: &Float64Array, row: usize) -> Option<f64> {
    values.is_valid(row).then(|| values.value(row))
}

/// Labels, row-major `[rows, horizons]`, NaN where null; empty without horizons.
fn labels(
    batch: &RecordBatch,
    horizons: Option<&Horizons>,
    place: &str,
) -> Result<Vec<f64>, StreamError> {
    let Some(horizons) = horizons else {
        return Ok(vec![]);
    };
    let width = horizons.len();
    let mut labels = vec![f64::NAN; batch.num_rows() * width];
    for (t, name) in horizons.columns().iter().enumerate() {
        let column = columns::number(batch, name, place)?;
        for (row, slots) in labels.chunks_exact_mut(width).enumerate() {
            slots[t] = value(&column, row).unwrap_or(f64::NAN);
        }
    }
    Ok(labels)
}
