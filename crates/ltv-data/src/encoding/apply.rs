//! From record batches to cells, numbers and labels.

use crate::stream::{
    StreamError,
    columns::{self, Words},
};
use arrow::{
    array::{Array, Float64Array, Int32Array, StringArray},
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

/// What one reader has looked up so far: for each field, the cells of the words of its latest
/// dictionary. Chunks of a row group share their dictionaries, so that each word is looked up once for
/// all of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lookups(Vec<Lookup>);

#[derive(Debug, Clone)]
struct Lookup {
    /// Kept, so that no other dictionary can come to lie where it is.
    words: StringArray,
    /// The cell of each word; [`Lookup::UNKNOWN`] before it is met.
    cells: Vec<u32>,
}

impl Lookup {
    const UNKNOWN: u32 = u32::MAX;

    fn empty() -> Self {
        let words = StringArray::new_null(0);
        Self {
            words,
            cells: vec![],
        }
    }

    /// Whether `words` are these, in the same place in memory.
    fn is_of(&self, words: &StringArray) -> bool {
        let same_text = self.words.values().as_ptr() == words.values().as_ptr();
        let same_ends = self.words.offsets().as_ptr() == words.offsets().as_ptr();
        same_text && same_ends && self.words.len() == words.len()
    }

    /// Forgets what is of other words.
    fn turn_to(&mut self, words: StringArray) {
        if !self.is_of(&words) {
            self.cells.clear();
            self.cells.resize(words.len(), Self::UNKNOWN);
            self.words = words;
        }
    }

    fn cell(&mut self, key: i32, table: &HashMap<String, u32>) -> u32 {
        let key = key as usize;
        if self.cells[key] == Self::UNKNOWN {
            self.cells[key] = cell_of(self.words.value(key), table);
        }
        self.cells[key]
    }
}

/// One network field: a column and how to read it.
struct Field<'a> {
    values: Values<'a>,
    cells: &'a Cells,
    scale: Option<Scale>,
    words: &'a HashMap<String, u32>,
}

enum Values<'a> {
    Number(Float64Array),
    Text(StringArray),
    /// Keys of the words of a dictionary.
    Numbered(Int32Array, &'a mut Lookup),
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
        self.encode_at(batch, horizons, ("the batch", &mut Lookups::default()))
    }

    /// As [`Encoder::encode`], of a batch from `place`, with what its reader has looked up so far.
    pub(crate) fn encode_at(
        &self,
        batch: &RecordBatch,
        horizons: Option<&Horizons>,
        (place, lookups): (&str, &mut Lookups),
    ) -> Result<EncodedRows, StreamError> {
        let rows = batch.num_rows();
        let mut fields = self.fields(batch, place, lookups)?;
        let mut encoded = EncodedRows {
            rows,
            cells: vec![0; rows * fields.len()],
            numbers: vec![0.0; rows * self.encoding.numbers()],
            plain: self.plain(batch, place)?,
            labels: labels(batch, horizons, place)?,
        };
        for start in (0..rows).step_by(TILE_ROWS) {
            encode_tile(
                &mut fields,
                start,
                (start + TILE_ROWS).min(rows),
                &mut encoded,
            );
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

    fn fields<'a>(
        &'a self,
        batch: &RecordBatch,
        place: &str,
        lookups: &'a mut Lookups,
    ) -> Result<Vec<Field<'a>>, StreamError> {
        lookups.0.resize_with(self.encoding.fields(), Lookup::empty);
        let mut lookups = lookups.0.iter_mut();
        let mut fields = Vec::with_capacity(self.encoding.fields());
        for (feature, words) in self.encoding.features.iter().zip(&self.words) {
            for (column, lookup) in feature.columns.iter().zip(&mut lookups) {
                let values = match feature.cells {
                    Cells::Bins { .. } => Values::Number(columns::number(batch, column, place)?),
                    Cells::Vocabulary { .. } => match columns::words(batch, column, place)? {
                        Words::Text(text) => Values::Text(text),
                        Words::Numbered(keys, words) => {
                            lookup.turn_to(words);
                            Values::Numbered(keys, lookup)
                        }
                    },
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

fn encode_tile(fields: &mut [Field<'_>], start: usize, end: usize, out: &mut EncodedRows) {
    let width = fields.len();
    let numbers = out.numbers.len().checked_div(out.rows).unwrap_or(0);
    let mut number = 0;
    for (index, field) in fields.iter_mut().enumerate() {
        let cells = out.cells[start * width..end * width].chunks_exact_mut(width);
        field.write(start, cells.map(|cells| &mut cells[index]));
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
    let registered = columns::days(batch, Cohort::COLUMN, place)?;
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
    /// Writes the cells of the rows from `start` on, one for each of `out`.
    fn write<'o>(&mut self, start: usize, out: impl Iterator<Item = &'o mut u32>) {
        let (out, table) = ((start..).zip(out), self.words);
        match &mut self.values {
            Values::Number(values) => {
                out.for_each(|(row, cell)| *cell = self.cells.of_number(value(values, row)));
            }
            Values::Text(text) => out.for_each(|(row, cell)| {
                *cell = match text.is_valid(row) {
                    true => cell_of(text.value(row), table),
                    false => Cells::MISSING,
                }
            }),
            Values::Numbered(keys, lookup) if keys.null_count() == 0 => {
                let keys = &keys.values()[start..];
                out.zip(keys)
                    .for_each(|((_, cell), &key)| *cell = lookup.cell(key, table));
            }
            Values::Numbered(keys, lookup) => out.for_each(|(row, cell)| {
                *cell = match keys.is_valid(row) {
                    true => lookup.cell(keys.value(row), table),
                    false => Cells::MISSING,
                }
            }),
        }
    }
}

fn cell_of(word: &str, table: &HashMap<String, u32>) -> u32 {
    table.get(word).copied().unwrap_or(Cells::UNSEEN)
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
