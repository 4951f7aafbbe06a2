//! Who is to be forgotten, and who of a file's rows is one of them.

use super::ForgetError;
use crate::stream::columns;
use arrow::{
    array::{Array, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray},
    datatypes::{DataType, Int64Type},
};
use std::{collections::HashMap, path::Path};

/// Users who are to be forgotten, as they were given: whether a text stands for a number is up to the artefact.
#[derive(Debug, Clone, Default)]
pub struct Users {
    texts: HashMap<String, usize>,
    numbers: HashMap<i64, usize>,
    /// The first who is no whole number.
    text: Option<usize>,
    len: usize,
}

impl Users {
    /// Users by their ids, no two of which are the same.
    pub fn new(ids: &[String]) -> Self {
        let number = |id: &String| id.parse::<i64>().ok();
        let all = || ids.iter().enumerate();
        let numbers = all().filter_map(|(at, id)| Some((number(id)?, at)));
        Self {
            texts: all().map(|(at, id)| (id.clone(), at)).collect(),
            numbers: numbers.collect(),
            text: ids.iter().position(|id| number(id).is_none()),
            len: ids.len(),
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Who of the ids is none of these users; the others are counted in `found`, by the order in which they were given.
    pub(super) fn stays(
        &self,
        ids: &Ids,
        path: &Path,
        found: &mut [u64],
    ) -> Result<BooleanArray, ForgetError> {
        let mut stays = |at: Option<&usize>| {
            if let Some(&at) = at {
                found[at] += 1;
            }
            Some(at.is_none())
        };
        match (ids, self.text) {
            (Ids::Numbers(_), Some(at)) => Err(ForgetError::Id {
                path: path.to_path_buf(),
                number: at + 1,
            }),
            (Ids::Numbers(ids), None) => {
                let at = ids.values().iter().map(|id| self.numbers.get(id));
                Ok(at.map(&mut stays).collect())
            }
            (Ids::Texts(ids), _) => {
                let at = ids.iter().map(|id| self.texts.get(id?));
                Ok(at.map(&mut stays).collect())
            }
        }
    }
}

/// The ids of a batch; none is null.
pub(super) enum Ids {
    Numbers(Int64Array),
    Texts(StringArray),
}

impl Ids {
    pub(super) fn of(batch: &RecordBatch, path: &Path) -> Result<Self, ForgetError> {
        let place = path.display().to_string();
        let column = columns::required(batch, "user_id", &place)?;
        Ok(match column.data_type() {
            DataType::Int64 => Self::Numbers(column.as_primitive::<Int64Type>().clone()),
            _ => Self::Texts(columns::utf8(column, "user_id", &place, "Int64 or Utf8")?),
        })
    }
}
