//! The values of a column as codes, to report by.

use super::column;
use crate::ScoreError;
use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::{DataType, Date32Type},
};
use ltv_core::{Day, manifest::FeatureKind};
use ltv_data::Dataset;
use ltv_eval::{Segments, spill::Codes};
use std::{cmp::Reverse, collections::HashMap, path::PathBuf};

/// Segment of rows without a value.
pub const NO_VALUE: &str = "(missing)";
/// Segment of the rows whose value is not among the [`MOST_SEGMENTS`] most frequent.
pub const OTHER: &str = "(other)";
/// Values of a column that are reported by themselves.
pub const MOST_SEGMENTS: usize = 50;
/// Values of a column that are told apart, so that memory is bounded.
const MOST_VALUES: usize = 100_000;

/// Numbers the values of a column as they appear.
#[derive(Debug)]
pub struct Coder {
    path: PathBuf,
    pub(super) column: String,
    codes: Vec<u32>,
    known: HashMap<String, u32>,
    /// Rows of each value, by code.
    counts: Vec<u64>,
}

impl Coder {
    /// For a categorical feature or a kept column of the dataset.
    ///
    /// # Errors
    /// When there is no such column, or it measures something.
    pub fn new(dataset: &Dataset, column: &str) -> Result<Self, ScoreError> {
        let path = || dataset.folder().to_path_buf();
        let (known, column) = (segment_columns(dataset), column.to_owned());
        let Some((_, found)) = known.iter().find(|(name, _)| *name == column) else {
            let known = known.into_iter().map(|(name, _)| name).collect();
            return Err(ScoreError::Segment {
                path: path(),
                column,
                known,
            });
        };
        if is_measurement(found) {
            let found = found.to_string();
            let categories = known.into_iter().filter(|(_, t)| !is_measurement(t));
            return Err(ScoreError::SegmentType {
                path: path(),
                column,
                found,
                known: categories.map(|(name, _)| name).collect(),
            });
        }
        Ok(Self {
            path: path(),
            column,
            codes: vec![],
            known: HashMap::new(),
            counts: vec![],
        })
    }

    /// Adds the rows of a batch that holds the column.
    ///
    /// # Errors
    /// When it does not, or there are too many values.
    pub fn add(&mut self, raw: &RecordBatch) -> Result<(), ScoreError> {
        let values = column(raw, &self.column, &DataType::Utf8)?;
        for value in values.as_string::<i32>() {
            let value = value.unwrap_or(NO_VALUE);
            let next = self.known.len() as u32;
            let code = match self.known.get(value) {
                Some(&code) => code,
                None => *self.known.entry(value.to_owned()).or_insert(next),
            };
            self.codes.push(code);
            if code as usize == self.counts.len() {
                self.counts.push(0);
            }
            self.counts[code as usize] += 1;
        }
        if self.known.len() > MOST_VALUES {
            return Err(ScoreError::SegmentValues {
                path: self.path.clone(),
                column: self.column.clone(),
                most: MOST_VALUES,
            });
        }
        Ok(())
    }

    /// The codes of the rows since the last call.
    pub(super) fn take(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.codes)
    }

    /// The codes again, now in the order of their values, rare ones last and together.
    pub fn finish(mut self) -> Segments {
        let codes = self.take();
        segments(codes, self.meaning())
    }

    /// What each code stands for, in the order of values, rare ones last and together.
    pub(super) fn meaning(self) -> Codes {
        let mut values: Vec<(String, u32)> = self.known.into_iter().collect();
        values.sort_unstable();
        if values.len() > MOST_SEGMENTS {
            // A stable sort: of values as frequent as each other the first ones stay.
            values.sort_by_key(|(_, code)| Reverse(self.counts[*code as usize]));
            values[..MOST_SEGMENTS].sort_unstable();
        }
        let mut meaning = vec![0; values.len()];
        for (new, (_, old)) in values.iter().enumerate() {
            meaning[*old as usize] = new.min(MOST_SEGMENTS) as u32;
        }
        let rare = values.len() > MOST_SEGMENTS;
        let kept = values.into_iter().take(MOST_SEGMENTS);
        let labels = kept.map(|(value, _)| value);
        Codes {
            name: self.column,
            meaning,
            labels: labels.chain(rare.then(|| OTHER.to_owned())).collect(),
        }
    }
}

/// Rows by what their codes stand for.
fn segments(codes: Vec<u32>, meaning: Codes) -> Segments {
    let mean = |code: u32| meaning.meaning[code as usize];
    Segments {
        name: meaning.name,
        codes: codes.into_iter().map(mean).collect(),
        labels: meaning.labels,
    }
}

/// The columns that may hold categories, with their types: categorical features and kept columns.
fn segment_columns(dataset: &Dataset) -> Vec<(String, DataType)> {
    let manifest = dataset.manifest();
    let categorical = |kind| kind == FeatureKind::Categorical;
    let features = manifest.features.iter().filter(|f| categorical(f.kind));
    let names = features.flat_map(|f| &f.columns).chain(&manifest.keep);
    let schema = dataset.files().first().map(|file| file.schema());
    let kind = |name: &String| {
        let field = schema.and_then(|s| s.field_with_name(name).ok());
        field.map_or(DataType::Utf8, |f| f.data_type().clone())
    };
    names.map(|name| (name.clone(), kind(name))).collect()
}

/// Whether values of this type measure something and so are no categories.
fn is_measurement(kind: &DataType) -> bool {
    kind.is_floating() || kind.is_decimal()
}

/// Numbers registration months as they appear.
#[derive(Debug, Default)]
pub struct Months {
    codes: Vec<u32>,
    known: HashMap<String, u32>,
}

impl Months {
    /// Adds the rows of a batch that holds `reg_day`.
    ///
    /// # Errors
    /// When it does not.
    pub fn add(&mut self, raw: &RecordBatch) -> Result<(), ScoreError> {
        for day in column(raw, "reg_day", &DataType::Date32)?.as_primitive::<Date32Type>() {
            let month: String = Day(day.unwrap_or(0)).to_string().chars().take(7).collect();
            let next = self.known.len() as u32;
            self.codes.push(*self.known.entry(month).or_insert(next));
        }
        Ok(())
    }

    /// The codes of the rows since the last call.
    pub(super) fn take(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.codes)
    }

    /// The codes in the order of months.
    pub fn finish(mut self) -> Segments {
        let codes = self.take();
        segments(codes, self.meaning())
    }

    /// What each code stands for, in the order of months.
    pub(super) fn meaning(self) -> Codes {
        let mut months: Vec<(String, u32)> = self.known.into_iter().collect();
        months.sort_unstable();
        let mut meaning = vec![0; months.len()];
        for (new, (_, old)) in months.iter().enumerate() {
            meaning[*old as usize] = new as u32;
        }
        Codes {
            name: COHORT.to_owned(),
            meaning,
            labels: months.into_iter().map(|(month, _)| month).collect(),
        }
    }
}

/// Name of the breakdown by registration month.
pub const COHORT: &str = "registration month";
