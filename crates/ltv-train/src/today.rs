//! Users as they would be predicted had they registered today.

use crate::TrainError;
use ltv_core::encoding::{EncodedRows, Encoding};
use ltv_data::stream::EncodedStream;

/// The ages of the latest users among some rows, as network inputs, one for each horizon; empty
/// where a model has no trend, or there are no rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Today(Vec<f32>);

impl Today {
    pub(crate) fn of(encoding: &Encoding, rows: EncodedStream) -> Result<Self, TrainError> {
        let mut today = Self::default();
        if encoding.trends() > 0 {
            for block in rows {
                today.see(&block?, encoding.trends());
            }
        }
        Ok(today)
    }

    fn see(&mut self, rows: &EncodedRows, horizons: usize) {
        for ages in rows.ages(horizons) {
            if self.0.is_empty() {
                self.0 = ages.to_vec();
            }
            self.0
                .iter_mut()
                .zip(ages)
                .for_each(|(least, &age)| *least = least.min(age));
        }
    }

    /// Gives all users of a block these ages.
    pub(crate) fn set(&self, rows: &mut EncodedRows) {
        rows.set_ages(&self.0);
    }

    /// Whether there is a trend to be followed to today.
    pub(crate) fn moves(&self) -> bool {
        !self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_of_each_horizon() {
        let mut rows = EncodedRows {
            rows: 3,
            numbers: vec![9.0, 1.0, 2.0, 9.0, 0.5, 3.0, 9.0, 2.0, 2.5],
            ..EncodedRows::default()
        };
        let mut today = Today::default();
        today.see(&rows, 2);
        assert_eq!(today, Today(vec![0.5, 2.0]));
        today.set(&mut rows);
        assert_eq!(rows.numbers, [9.0, 0.5, 2.0, 9.0, 0.5, 2.0, 9.0, 0.5, 2.0]);
        Today::default().set(&mut rows);
        assert_eq!(rows.numbers[..3], [9.0, 0.5, 2.0]);
    }
}
