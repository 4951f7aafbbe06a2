//! The rows of one horizon, sorted once by label and once by prediction.
//!
//! ```text
//! Sample   labels     y of each row                       rows x 8 bytes
//!          group      which distinct label, per row       rows x 4
//!          values     distinct labels, descending
//! Ranking  order      rows by prediction, descending      rows x 4
//!          labels     y in that order                     rows x 8
//!          group      label group in that order           rows x 4
//!          starts     where each distinct prediction starts in that order
//!          values     distinct predictions, descending
//! ```
//! Resampling changes how often a row counts, never the order, so both serve every replicate.

use crate::sum::Sum;
use rayon::prelude::*;

/// The labels of one horizon.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) labels: Vec<f64>,
    pub(crate) group: Vec<u32>,
    pub(crate) values: Vec<f64>,
}

/// One set of predictions for the rows of a [`Sample`].
#[derive(Debug)]
pub(crate) struct Ranking {
    pub(crate) order: Vec<u32>,
    pub(crate) labels: Vec<f64>,
    pub(crate) group: Vec<u32>,
    pub(crate) starts: Vec<u32>,
    pub(crate) values: Vec<f64>,
    /// Mean error: squares are summed around it, so that the sd keeps its digits.
    pub(crate) centre: f64,
}

impl Sample {
    /// Takes mature labels: finite, at least 0, fewer than 2^32 (checked by the caller).
    pub(crate) fn new(labels: Vec<f64>) -> Self {
        let sorted = descending(&labels);
        let mut group = vec![0; labels.len()];
        let mut values = Vec::new();
        for &(value, row) in &sorted {
            if values.last() != Some(&value) {
                values.push(value);
            }
            group[row as usize] = values.len() as u32 - 1;
        }
        Self {
            labels,
            group,
            values,
        }
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.labels.len()
    }

    /// Number of rows with a positive label.
    pub(crate) fn positives(&self) -> usize {
        self.labels.iter().filter(|&&y| y > 0.0).count()
    }
}

impl Ranking {
    /// Takes one prediction for each row of `sample`: finite, at least 0.
    pub(crate) fn new(sample: &Sample, predictions: &[f64]) -> Self {
        let sorted = descending(predictions);
        let (mut starts, mut values) = (Vec::new(), Vec::new());
        for (i, &(value, _)) in sorted.iter().enumerate() {
            if values.last() != Some(&value) {
                values.push(value);
                starts.push(i as u32);
            }
        }
        starts.push(sorted.len() as u32);
        let order: Vec<u32> = sorted.into_iter().map(|(_, row)| row).collect();
        let labels = order
            .iter()
            .map(|&row| sample.labels[row as usize])
            .collect();
        let group = order
            .iter()
            .map(|&row| sample.group[row as usize])
            .collect();
        let errors: Sum = predictions
            .iter()
            .zip(&sample.labels)
            .map(|(p, y)| p - y)
            .collect();
        let centre = errors.value() / sample.rows().max(1) as f64;
        Self {
            order,
            labels,
            group,
            starts,
            values,
            centre,
        }
    }
}

/// Values with their rows, descending; equal values in order of rows, so that the order of
/// summation, and with it the last bit, does not depend on the sort.
pub(crate) fn descending(values: &[f64]) -> Vec<(f64, u32)> {
    // Adding 0.0 turns -0.0 into 0.0: the two are equal but total_cmp sets them apart.
    let mut sorted: Vec<(f64, u32)> = values
        .iter()
        .enumerate()
        .map(|(row, &value)| (value + 0.0, row as u32))
        .collect();
    sorted.par_sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_form_one_group() {
        let sample = Sample::new(vec![0.0, 5.0, -0.0, 5.0, 2.0]);
        assert_eq!(sample.values, [5.0, 2.0, 0.0]);
        assert_eq!(sample.group, [2, 0, 2, 0, 1]);
        assert_eq!(sample.positives(), 3);
        let ranking = Ranking::new(&sample, &[1.0, 3.0, 1.0, 1.0, 0.0]);
        assert_eq!(ranking.values, [3.0, 1.0, 0.0]);
        assert_eq!(ranking.order, [1, 0, 2, 3, 4]);
        assert_eq!(ranking.starts, [0, 1, 4, 5]);
        assert_eq!(ranking.labels, [5.0, 0.0, 0.0, 5.0, 2.0]);
        assert!((ranking.centre + 1.2).abs() < 1e-15);
    }
}
