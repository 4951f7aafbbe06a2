//! User ids: integers or text, and the order in which a dataset's files hold them.

use crate::ScoreError;
use arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, StringArray},
    datatypes::{DataType, Int64Type},
    record_batch::RecordBatch,
};
use ltv_data::{Dataset, stream::columns};
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
