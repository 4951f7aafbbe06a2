//! Finding a column of a batch and reading it as the type a computation wants.

use super::StreamError;
use crate::dataset::is_text;
use arrow::{
    array::{
        Array, ArrayRef, AsArray, Date32Array, Float64Array, Int32Array, Int64Array, StringArray,
    },
    compute::{CastOptions, cast_with_options},
    datatypes::{DataType, Int32Type, TimeUnit},
    record_batch::RecordBatch,
};
use std::sync::Arc;

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

/// The column `name` as text; integers and booleans are written in decimal, and whole numbers that came as
/// floats, as data frames have them where some are missing, as integers are.
pub(crate) fn text(
    batch: &RecordBatch,
    name: &str,
    place: &str,
) -> Result<StringArray, StreamError> {
    let column = &plain(get(batch, name, place)?, name, place)?;
    let found = column.data_type();
    let whole = found.is_integer() || matches!(found, DataType::Boolean | DataType::Null);
    if !(is_text(found) || whole) {
        return Err(wrong_type(column, name, place, "Utf8"));
    }
    let column = cast(column, &DataType::Utf8, name, place, "Utf8")?;
    downcast(&column, place).cloned()
}

/// A column without a dictionary of numbers, and whole numbers as integers.
fn plain(column: &ArrayRef, name: &str, place: &str) -> Result<ArrayRef, StreamError> {
    let column = match column.data_type() {
        DataType::Dictionary(_, values) if !is_text(values) => {
            cast(column, &values.clone(), name, place, "Utf8")?
        }
        _ => column.clone(),
    };
    if !column.data_type().is_floating() {
        return Ok(column);
    }
    let numbers = cast(&column, &DataType::Float64, name, place, "Utf8")?;
    let whole =
        |x: Option<f64>| x.is_none_or(|x| x.is_nan() || (x.fract() == 0.0 && x.abs() < 9e15));
    let numbers = downcast::<Float64Array>(&numbers, place)?;
    if !numbers.iter().all(whole) {
        return Err(wrong_type(&column, name, place, "Utf8, or whole numbers"));
    }
    let integers = numbers
        .iter()
        .map(|x| x.filter(|x| !x.is_nan()).map(|x| x as i64));
    Ok(Arc::new(integers.collect::<Int64Array>()))
}

/// The column `name` as days: a date, or a time, which is of the day that it is in UTC whatever zone it is shown in.
pub(crate) fn days(
    batch: &RecordBatch,
    name: &str,
    place: &str,
) -> Result<Date32Array, StreamError> {
    const EXPECTED: &str = "a date or a timestamp";
    let column = get(batch, name, place)?;
    no_nulls(column, name, place)?;
    let moment = matches!(
        column.data_type(),
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..)
    );
    if !moment {
        return Err(wrong_type(column, name, place, EXPECTED));
    }
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()));
    let column = match column.data_type() {
        DataType::Timestamp(_, Some(_)) => cast(column, &utc, name, place, EXPECTED)?,
        _ => column.clone(),
    };
    let days = cast(&column, &DataType::Date32, name, place, EXPECTED)?;
    downcast::<Date32Array>(&days, place).cloned()
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
