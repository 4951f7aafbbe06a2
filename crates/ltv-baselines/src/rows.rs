//! What a peer is fitted on: rows in memory, and what their columns mean.

use crate::error::BaselineError;
use ltv_core::{
    Day, Horizons,
    baseline::{BaselineHorizon, Baselines},
    config::{Label, Split},
    encoding::{EncodedRows, Encoding},
};

/// What rows mean: the dataset they come from, without its rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Horizons, ascending: the columns of the labels.
    pub horizons: Horizons,
    /// Observation window in days.
    pub window_days: u32,
    /// What labels count.
    pub label: Label,
    /// As-of date of the dataset.
    pub as_of: Day,
    /// Who of the dataset trains and validates.
    pub split: Split,
    /// Numeric columns as they are (`plain`), and categorical features as cells. The columns of
    /// the label's kind must be among the numeric ones: [`Baselines::signal_of`], and
    /// `active_days`, `recency`, `value_sum` where a peer asks for them.
    pub encoding: Encoding,
}

impl Frame {
    /// Place of a numeric column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.encoding.plain.iter().position(|c| c == name)
    }

    /// Place of a numeric column that `peer` needs.
    pub(crate) fn needed(&self, name: &str, peer: &'static str) -> Result<usize, BaselineError> {
        self.column(name).ok_or_else(|| BaselineError::Column {
            column: name.to_string(),
            peer,
        })
    }
}

/// Rows in memory, for peers that read them more than once in any order.
///
/// A row takes `4 * fields + 8 * plain + 8 * horizons + 4` bytes: 376 bytes for 40 numeric columns,
/// 5 categories, 4 horizons and scaled numbers left out. While trees are grown, each of the
/// threads holds the rows of its own problem once more, in about `13 * (plain + fields)` bytes a
/// row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrainingRows {
    /// The rows, with labels.
    pub rows: EncodedRows,
    /// Registration day of each row.
    pub registered: Vec<Day>,
}

impl TrainingRows {
    /// Adds a block of rows, with labels.
    pub fn push(&mut self, block: &EncodedRows, registered: &[Day]) {
        let rows = &mut self.rows;
        rows.rows += block.rows;
        rows.cells.extend_from_slice(&block.cells);
        rows.plain.extend_from_slice(&block.plain);
        rows.labels.extend_from_slice(&block.labels);
        self.registered.extend_from_slice(registered);
    }

    pub(crate) fn check(&self, frame: &Frame) -> Result<(), BaselineError> {
        check_block(&self.rows, frame)?;
        if self.registered.len() == self.rows.rows {
            return Ok(());
        }
        let (days, rows) = (self.registered.len(), self.rows.rows);
        let problem = format!("{days} registration days for {rows} rows");
        Err(BaselineError::internal(problem))
    }

    /// Rows whose label of the horizon at `position` is mature, and which registered in its newest
    /// `recent_days` days, if given.
    pub(crate) fn mature(&self, position: usize, width: usize, since: Option<Day>) -> Vec<usize> {
        (0..self.rows.rows)
            .filter(|r| !self.rows.labels[r * width + position].is_nan())
            .filter(|&r| since.is_none_or(|day| self.registered[r] > day))
            .collect()
    }

    /// The day after which registrations are recent: `days` before the newest of `rows`.
    pub(crate) fn since(&self, rows: &[usize], days: Option<u32>) -> Option<Day> {
        let newest = rows.iter().map(|&r| self.registered[r]).max()?;
        let days = i32::try_from(days?).unwrap_or(i32::MAX);
        Some(Day(newest.0.saturating_sub(days)))
    }
}

/// Whether a block of labelled rows has the shape that `frame` says.
pub(crate) fn check_block(rows: &EncodedRows, frame: &Frame) -> Result<(), BaselineError> {
    let widths = [
        ("cells", rows.cells.len(), frame.encoding.fields()),
        ("columns", rows.plain.len(), frame.encoding.plain.len()),
        ("labels", rows.labels.len(), frame.horizons.len()),
    ];
    for (what, found, width) in widths {
        if found != rows.rows * width {
            let problem = format!("{found} {what} for {} rows of {width}", rows.rows);
            return Err(BaselineError::internal(problem));
        }
    }
    Ok(())
}

/// Adds up what [`Baselines`] needs.
#[derive(Debug, Clone)]
pub(crate) struct BaselineSums {
    signal: usize,
    sums: Vec<(u64, f64, f64)>,
}

impl BaselineSums {
    pub(crate) fn new(frame: &Frame) -> Result<Self, BaselineError> {
        let signal = frame.needed(Baselines::signal_of(frame.label), "every peer")?;
        Ok(Self {
            signal,
            sums: vec![(0, 0.0, 0.0); frame.horizons.len()],
        })
    }

    pub(crate) fn add(&mut self, rows: &EncodedRows, frame: &Frame) {
        let (width, plain) = (self.sums.len(), frame.encoding.plain.len());
        for r in 0..rows.rows {
            let signal = rows.plain[r * plain + self.signal];
            let signal = if signal.is_finite() { signal } else { 0.0 };
            for (t, sum) in self.sums.iter_mut().enumerate() {
                let label = rows.labels[r * width + t];
                if !label.is_nan() {
                    *sum = (sum.0 + 1, sum.1 + label, sum.2 + signal);
                }
            }
        }
    }

    /// The means.
    ///
    /// # Errors
    /// When a horizon has no mature row.
    pub(crate) fn finish(&self, frame: &Frame) -> Result<Baselines, BaselineError> {
        let mut horizons = vec![];
        for (&days, &(rows, label, signal)) in frame.horizons.days().iter().zip(&self.sums) {
            if rows == 0 {
                return Err(BaselineError::NoRows {
                    horizon: days,
                    part: "training",
                });
            }
            horizons.push(BaselineHorizon {
                days,
                label_mean: label / rows as f64,
                signal_mean: signal / rows as f64,
            });
        }
        Ok(Baselines {
            signal: Baselines::signal_of(frame.label).to_string(),
            horizons,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_rows_are_counted_from_the_newest_mature_one() {
        let rows = TrainingRows {
            rows: EncodedRows {
                rows: 4,
                labels: vec![1.0, 1.0, f64::NAN, 1.0],
                ..EncodedRows::default()
            },
            registered: vec![Day(10), Day(20), Day(99), Day(11)],
        };
        let all = rows.mature(0, 1, None);
        assert_eq!(all, [0, 1, 3]);
        let since = rows.since(&all, Some(10));
        assert_eq!(since, Some(Day(10)));
        assert_eq!(rows.mature(0, 1, since), [1, 3]);
        assert_eq!(rows.since(&all, None), None);
    }
}
