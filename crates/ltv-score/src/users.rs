//! User ids, integers or text, and the places of rows in the files of a dataset.

use crate::ScoreError;
use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, StringArray},
    compute::filter,
    datatypes::{DataType, Int64Type},
    record_batch::RecordBatch,
};
use ltv_data::{
    Dataset,
    stream::{StreamError, columns},
};
use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf, sync::Arc};

/// The ids of a batch; none is null.
#[derive(Debug, Clone)]
pub(crate) enum Users {
    Numbers(Int64Array),
    Text(StringArray),
}

impl Users {
    /// The column `user_id` of `batch`; text of any layout becomes Utf8.
    pub(crate) fn of(batch: &RecordBatch, place: &str) -> Result<Self, ScoreError> {
        let column = columns::required(batch, "user_id", place)?;
        if *column.data_type() == DataType::Int64 {
            return Ok(Self::Numbers(column.as_primitive::<Int64Type>().clone()));
        }
        let text = columns::utf8(column, "user_id", place, "Int64 or Utf8")?;
        Ok(Self::Text(text))
    }

    pub(crate) fn array(&self) -> ArrayRef {
        match self {
            Self::Numbers(ids) => Arc::new(ids.clone()),
            Self::Text(ids) => Arc::new(ids.clone()),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Numbers(ids) => ids.len(),
            Self::Text(ids) => ids.len(),
        }
    }

    /// The ids where `mask` is true.
    pub(crate) fn filter(&self, mask: &BooleanArray) -> Result<Self, ScoreError> {
        let kept = filter(&self.array(), mask).map_err(ScoreError::internal)?;
        Ok(match self {
            Self::Numbers(_) => Self::Numbers(kept.as_primitive::<Int64Type>().clone()),
            Self::Text(_) => Self::Text(kept.as_string::<i32>().clone()),
        })
    }

    /// The id as it is shown in messages.
    pub(crate) fn name(&self, row: usize) -> String {
        self.id(row).to_string()
    }

    /// Whether the id in `row` comes after the one in `other_row` of `other`.
    fn after(&self, row: usize, other: &Self, other_row: usize) -> bool {
        match (self, other) {
            (Self::Numbers(a), Self::Numbers(b)) => a.value(row) > b.value(other_row),
            (Self::Text(a), Self::Text(b)) => a.value(row) > b.value(other_row),
            _ => false,
        }
    }

    /// The id in `row`.
    pub(crate) fn id(&self, row: usize) -> UserId {
        match self {
            Self::Numbers(ids) => UserId::Number(ids.value(row)),
            Self::Text(ids) => UserId::Text(ids.value(row).to_owned()),
        }
    }

    /// The first row whose id does not come after the one before it, with that one; `before` ends with
    /// the id before the first row.
    pub(crate) fn disorder(&self, before: Option<&Self>) -> Option<(usize, String)> {
        (0..self.len()).find_map(|row| {
            let (other, at) = match row.checked_sub(1) {
                Some(at) => (self, at),
                None => before.and_then(|other| Some((other, other.len().checked_sub(1)?)))?,
            };
            (!self.after(row, other, at)).then(|| (row, other.name(at)))
        })
    }

    pub(crate) fn only(&self, row: usize) -> Self {
        match self {
            Self::Numbers(ids) => Self::Numbers(ids.slice(row, 1)),
            Self::Text(ids) => Self::Text(ids.slice(row, 1)),
        }
    }
}

/// One id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum UserId {
    Number(i64),
    Text(String),
}

/// As it is shown in messages.
impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(id) => write!(f, "{id}"),
            Self::Text(id) => write!(f, "'{id}'"),
        }
    }
}

/// Where the rows are that are read now: in which file of a dataset.
#[derive(Debug)]
pub(crate) struct Place {
    /// Files not yet read to their end, the current one last, with their rows.
    files: Vec<(PathBuf, u64)>,
    /// Row of the current file.
    row: u64,
}

impl Place {
    pub(crate) fn new(dataset: &Dataset) -> Self {
        let files = dataset.files().iter().rev();
        Self {
            files: files.map(|f| (f.path().to_owned(), f.rows())).collect(),
            row: 0,
        }
    }

    /// Goes past the next rows without a look at them.
    pub(crate) fn skip(&mut self, rows: usize) {
        self.row += rows as u64;
        while let Some((_, of_file)) = self.files.last().filter(|(_, n)| self.row >= *n) {
            self.row -= of_file;
            self.files.pop();
        }
    }

    /// The same error, about the next rows, with the file and the row in it, from 1, in place of
    /// the batch's.
    pub(crate) fn place(&self, mut error: ScoreError) -> ScoreError {
        use StreamError::{ColumnType, MissingColumn, Null};
        let ScoreError::Stream(inner) = &mut error else {
            return error;
        };
        let (place, batch_row) = match inner {
            Null { place, row, .. } => (place, Some(row)),
            MissingColumn { place, .. } | ColumnType { place, .. } => (place, None),
            _ => return error,
        };
        let mut at = self.row + batch_row.as_ref().map_or(0, |row| row.saturating_sub(1));
        let mut files = self.files.iter().rev();
        let mut file = files.next();
        while let Some((_, rows)) = file.filter(|(_, rows)| at >= *rows) {
            at -= rows;
            file = files.next();
        }
        *place = file.map_or(String::new(), |(path, _)| path.display().to_string());
        if let Some(row) = batch_row {
            *row = at + 1;
        }
        error
    }
}
