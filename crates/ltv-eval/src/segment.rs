//! Segments: the same numbers for each value of a categorical column.

use crate::error::EvalError;
use serde::{Deserialize, Serialize};

/// Fewest mature rows for which a segment value is measured.
pub const MIN_SEGMENT_ROWS: usize = 50;

/// A categorical column, one code for each row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segments {
    /// Name of the column.
    pub name: String,
    /// For each row, an index into `labels`.
    pub codes: Vec<u32>,
    /// The values of the column.
    pub labels: Vec<String>,
}

/// Why a segment value is not measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TooSmall {
    /// Fewer than [`MIN_SEGMENT_ROWS`] mature rows.
    FewRows,
    /// No positive label.
    NoPositiveLabel,
}

impl std::fmt::Display for TooSmall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::FewRows => write!(f, "fewer than {MIN_SEGMENT_ROWS} mature rows"),
            Self::NoPositiveLabel => f.write_str("no positive label"),
        }
    }
}

impl TooSmall {
    /// The reason not to measure a segment value, if there is one.
    pub(crate) fn check(rows: u64, positives: u64) -> Option<Self> {
        if rows < MIN_SEGMENT_ROWS as u64 {
            return Some(Self::FewRows);
        }
        (positives == 0).then_some(Self::NoPositiveLabel)
    }
}

impl Segments {
    /// One code for each row, each with a label.
    pub(crate) fn check(&self, rows: usize) -> Result<(), EvalError> {
        if self.codes.len() != rows {
            let what = format!("segment '{}'", self.name);
            return Err(EvalError::Shape {
                what,
                expected: rows,
                found: self.codes.len(),
            });
        }
        match self
            .codes
            .iter()
            .position(|&code| code as usize >= self.labels.len())
        {
            None => Ok(()),
            Some(row) => Err(EvalError::SegmentCode {
                segment: self.name.clone(),
                row,
                code: self.codes[row],
                labels: self.labels.len(),
            }),
        }
    }

    /// The given rows, by value.
    pub(crate) fn split(&self, rows: &[u32]) -> Vec<Vec<u32>> {
        let mut parts = vec![Vec::new(); self.labels.len()];
        for &row in rows {
            parts[self.codes[row as usize] as usize].push(row);
        }
        parts
    }
}
