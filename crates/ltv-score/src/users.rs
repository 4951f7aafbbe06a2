//! User ids: integers or text, and the order in which a dataset's files hold them.

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
use std::{path::PathBuf, sync::Arc};

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
        match self {
            Self::Numbers(ids) => ids.value(row).to_string(),
            Self::Text(ids) => format!("'{}'", ids.value(row)),
        }
    }

    /// Whether the id in `row` comes after the one in `other_row` of `other`.
    fn after(&self, row: usize, other: &Self, other_row: usize) -> bool {
        match (self, other) {
            (Self::Numbers(a), Self::Numbers(b)) => a.value(row) > b.value(other_row),
            (Self::Text(a), Self::Text(b)) => a.value(row) > b.value(other_row),
            _ => false,
        }
    }

    fn only(&self, row: usize) -> Self {
        match self {
            Self::Numbers(ids) => Self::Numbers(ids.slice(row, 1)),
            Self::Text(ids) => Self::Text(ids.slice(row, 1)),
        }
    }
}

/// Follows the rows of a dataset from file to file: within each the ids must rise, so that no user
/// appears twice in it. Files hold different users by their construction (a hash of the id).
#[derive(Debug)]
pub(crate) struct UserOrder {
    /// Files not yet read to their end, the current one last, with their rows.
    files: Vec<(PathBuf, u64)>,
    /// Row of the current file.
    row: u64,
    last: Option<Users>,
}

impl UserOrder {
    pub(crate) fn new(dataset: &Dataset) -> Self {
        let files = dataset.files().iter().rev();
        Self {
            files: files.map(|f| (f.path().to_owned(), f.rows())).collect(),
            row: 0,
            last: None,
        }
    }

    /// Goes past the next rows without a look at them.
    pub(crate) fn skip(&mut self, rows: usize) {
        self.row += rows as u64;
        while let Some((_, of_file)) = self.files.last().filter(|(_, n)| self.row >= *n) {
            self.row -= of_file;
            self.files.pop();
        }
        self.last = None;
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

    /// Checks the next rows.
    pub(crate) fn follow(&mut self, users: &Users) -> Result<(), ScoreError> {
        for row in 0..users.len() {
            while self.files.last().is_some_and(|(_, rows)| self.row >= *rows) {
                self.files.pop();
                (self.row, self.last) = (0, None);
            }
            let (before, at) = match &self.last {
                Some(last) if row == 0 => (last, 0),
                None => {
                    // The first row of a file; from the second on, `users` itself is looked at.
                    self.last = Some(users.only(row));
                    self.row += 1;
                    continue;
                }
                Some(_) => (users, row - 1),
            };
            if !users.after(row, before, at) {
                return Err(self.disorder(users.name(row), before.name(at)));
            }
            self.row += 1;
        }
        if let Some(row) = users.len().checked_sub(1) {
            self.last = Some(users.only(row));
        }
        Ok(())
    }

    fn disorder(&self, user: String, previous: String) -> ScoreError {
        ScoreError::Users {
            path: self.files.last().map(|f| f.0.clone()).unwrap_or_default(),
            row: self.row + 1,
            user,
            previous,
        }
    }
}
