//! Finding a column of a batch and reading it as the type a computation wants.

use super::StreamError;
use crate::dataset::is_text;
use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array, Int32Array, StringArray},
    compute::{CastOptions, cast_with_options},
    datatypes::{DataType, Int32Type},
    record_batch::RecordBatch,
};

/// The column `name` of `batch`.
pub(crate) fn get<'a>(
    batch: &'a RecordBatch,
    name: &str,
    place: &str,
) -> Result<&'a ArrayRef, StreamError> {
    batch
        .column_by_name(name)
        .ok_or_else(|| StreamError::MissingColumn {
            place: place.to_string(),
            column: name.to_string(),
            hint: "give the columns that the model was trained with",
        })
}

/// The column `name`, without nulls.
///
/// # Errors
/// When it is missing or has a null. `place` is named in errors.
pub fn required<'a>(
    batch: &'a RecordBatch,
    name: &str,
    place: &str,
) -> Result<&'a ArrayRef, StreamError> {
    let column = get(batch, name, place)?;
    no_nulls(column, name, place)?;
    Ok(column)
}

/// `column` as Utf8, where it is text of any layout.
///
/// # Errors
/// When it is not text; `expected` says what would do.
pub fn utf8(
    column: &ArrayRef,
    name: &str,
    place: &str,
    expected: &'static str,
) -> Result<StringArray, StreamError> {
    if !is_text(column.data_type()) {
        return Err(wrong_type(column, name, place, expected));
    }
    let column = cast(column, &DataType::Utf8, name, place, expected)?;
    downcast(&column, place).cloned()
}

/// The column `name`, which must already be an array of type `T`.
pub(crate) fn typed<T: Array + Clone + 'static>(
    batch: &RecordBatch,
    name: &str,
    place: &str,
    expected: &'static str,
) -> Result<T, StreamError> {
    let column = get(batch, name, place)?;
    let wrong = || wrong_type(column, name, place, expected);
    column
        .as_any()
        .downcast_ref::<T>()
        .cloned()
        .ok_or_else(wrong)
}

/// The column `name` as 64-bit floats: any number type or booleans.
pub(crate) fn number(
    batch: &RecordBatch,
    name: &str,
    place: &str,
) -> Result<Float64Array, StreamError> {
    let column = get(batch, name, place)?;
    let found = column.data_type();
    if !(found.is_numeric() || matches!(found, DataType::Boolean | DataType::Null)) {
        return Err(wrong_type(column, name, place, "Float64"));
    }
    let column = cast(column, &DataType::Float64, name, place, "Float64")?;
    downcast(&column, place).cloned()
}

/// The column `name` as text; integers and booleans are written in decimal.
pub(crate) fn text(
    batch: &RecordBatch,
    name: &str,
    place: &str,
) -> Result<StringArray, StreamError> {
    let column = get(batch, name, place)?;
    let found = column.data_type();
    let whole = found.is_integer() || matches!(found, DataType::Boolean | DataType::Null);
    if !(is_text(found) || whole) {
        return Err(wrong_type(column, name, place, "Utf8"));
    }
    let column = cast(column, &DataType::Utf8, name, place, "Utf8")?;
    downcast(&column, place).cloned()
}

/// A column of categories, as it came.
pub(crate) enum Words {
    /// The text of every row.
    Text(StringArray),
    /// The number of every row's word among distinct words, none of them null. Words are worth looking
    /// at once where rows are many.
    Numbered(Int32Array, StringArray),
}

impl Words {
    /// The word of a row, unless it is null.
    pub(crate) fn get(&self, row: usize) -> Option<&str> {
        match self {
            Self::Text(text) => text.is_valid(row).then(|| text.value(row)),
            Self::Numbered(keys, words) => {
                let word = || words.value(keys.value(row) as usize);
                keys.is_valid(row).then(word)
            }
        }
    }

    /// Of every row; both kinds of words know which are null.
    pub(crate) fn rows(&self) -> &dyn Array {
        match self {
            Self::Text(text) => text,
            Self::Numbered(keys, _) => keys,
        }
    }
}

/// The column `name` as words: as [`text`], without writing out what is numbered.
pub(crate) fn words(batch: &RecordBatch, name: &str, place: &str) -> Result<Words, StreamError> {
    let column = get(batch, name, place)?.as_dictionary_opt::<Int32Type>();
    let numbered = column.and_then(|column| {
        let words = column.values().as_string_opt::<i32>()?;
        (words.null_count() == 0).then(|| (column.keys().clone(), words.clone()))
    });
    match numbered {
        Some((keys, words)) => Ok(Words::Numbered(keys, words)),
        None => Ok(Words::Text(text(batch, name, place)?)),
    }
}

/// Text as [`words`] takes it without writing it out.
pub(crate) fn numbered() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// `column` as `to`; itself when it is that already.
pub(crate) fn cast(
    column: &ArrayRef,
    to: &DataType,
    name: &str,
    place: &str,
    expected: &'static str,
) -> Result<ArrayRef, StreamError> {
    if column.data_type() == to {
        return Ok(column.clone());
    }
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(column, to, &options).map_err(|_| wrong_type(column, name, place, expected))
}

/// Fails on the first null of a column that must have none.
pub(crate) fn no_nulls(column: &dyn Array, name: &str, place: &str) -> Result<(), StreamError> {
    if column.null_count() == 0 {
        return Ok(());
    }
    let row = (0..column.len()).find(|&i| column.is_null(i)).unwrap_or(0) as u64 + 1;
    Err(StreamError::Null {
        place: place.to_string(),
        column: name.to_string(),
        row,
    })
}

pub(crate) fn downcast<'a, T: 'static>(
    column: &'a ArrayRef,
    place: &str,
) -> Result<&'a T, StreamError> {
    let problem = || StreamError::internal(place, format!("{} after a cast", column.data_type()));
    column.as_any().downcast_ref().ok_or_else(problem)
}

pub(crate) fn wrong_type(
    column: &ArrayRef,
    name: &str,
    place: &str,
    expected: &'static str,
) -> StreamError {
    StreamError::ColumnType {
        place: place.to_string(),
        column: name.to_string(),
        found: column.data_type().to_string(),
        expected,
    }
}
