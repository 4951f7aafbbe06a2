//! The decile table: are the users predicted to be worth x worth x?

use crate::{lorenz, metric::Null, sum::Sum, tally::Sums};
use serde::{Deserialize, Serialize};

/// One tenth of the rows, in order of predictions.
///
/// Decile `d` of `n` rows holds the places `floor((d - 1) n / 10) .. floor(d n / 10)`. Rows with
/// equal predictions share their labels evenly, so that a decile which cuts through a tie does
/// not depend on the order of rows. With fewer than ten rows some deciles are absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decile {
    /// 1 holds the highest predictions, 10 the lowest.
    pub decile: u8,
    /// Number of rows, at least 1.
    pub rows: u64,
    /// Mean prediction, in label units.
    pub mean_prediction: f64,
    /// Mean label, in label units.
    pub mean_label: f64,
    /// `mean_prediction / mean_label`; null when the mean label is 0.
    pub ratio: Option<f64>,
}

/// The table of all rows.
pub(crate) fn deciles(sums: &impl Sums) -> Vec<Decile> {
    let bounds = bounds(sums.rows());
    let ends: [f64; 10] = std::array::from_fn(|d| bounds[d + 1]);
    let labels = lorenz::masses_between(sums.gain_pieces(), ends);
    let predictions = lorenz::masses_between(sums.prediction_pieces(), ends);
    let decile = |d: usize| {
        let rows = bounds[d + 1] - bounds[d];
        let (mean_prediction, mean_label) = (predictions[d] / rows, labels[d] / rows);
        let ratio = (mean_label > 0.0).then(|| mean_prediction / mean_label);
        Decile {
            decile: d as u8 + 1,
            rows: rows as u64,
            mean_prediction,
            mean_label,
            ratio,
        }
    };
    (0..10)
        .filter(|&d| bounds[d + 1] > bounds[d])
        .map(decile)
        .collect()
}

/// Mean absolute percentage error over the deciles with a positive mean label.
pub(crate) fn mape(sums: &impl Sums) -> Result<f64, Null> {
    let mut count = 0;
    let mut sum = Sum::default();
    for ratio in deciles(sums).iter().filter_map(|d| d.ratio) {
        sum.add((ratio - 1.0).abs());
        count += 1;
    }
    if count > 0 {
        Ok(sum.value() / f64::from(count))
    } else {
        Err(Null::ZeroLabels)
    }
}

/// First places of the deciles, and the end.
fn bounds(rows: f64) -> [f64; 11] {
    let rows = rows as u64;
    std::array::from_fn(|d| (rows * d as u64 / 10) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_every_row_once() {
        assert_eq!(bounds(20.0), std::array::from_fn(|d| 2.0 * d as f64));
        assert_eq!(
            bounds(3.0),
            [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0]
        );
    }
}
