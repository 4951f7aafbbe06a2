//! The latest users of whom something is known, and how old they are.

use crate::TrainError;
use ltv_core::{
    Day, Horizons,
    config::{Mature, Part, Split},
    encoding::{EncodedRows, Encoding},
    progress::Progress,
};
use ltv_data::{
    Dataset,
    split::Rows,
    stream::{Shuffle, StreamOptions, stream},
};
use ltv_model::bundle::Document;
use std::sync::Arc;

/// Where they are looked for, one part after the other.
const PARTS: [Part; 2] = [Part::Validation, Part::Train];

/// Training and validation users whose shortest of some horizons is mature.
#[derive(Clone, Copy)]
pub(crate) struct Recent<'a> {
    pub(crate) dataset: &'a Dataset,
    pub(crate) split: &'a Split,
    pub(crate) window_days: u32,
    pub(crate) as_of: Day,
}

impl Recent<'_> {
    /// Units of one pass: the dataset is read once for each part of the split.
    pub(crate) fn units(&self) -> u64 {
        PARTS.len() as u64 * self.dataset.rows()
    }

    /// Hands over, encoded, the users of the last `days` of registration of which the shortest horizon
    /// is mature: all of them, or about `most`, from here and there.
    pub(crate) fn each(
        &self,
        (days, most): (u32, u64),
        (horizons, encoding): (Horizons, Encoding),
        progress: &dyn Progress,
        mut each: impl FnMut(EncodedRows),
    ) -> Result<(), TrainError> {
        let encoding = Arc::new(encoding);
        let (mut rows, all) = (0, self.dataset.rows());
        for part in PARTS {
            if rows >= most {
                progress.advance(all);
                continue;
            }
            let options = StreamOptions {
                rows: Rows::Part(part),
                split: self.last(days, &horizons),
                horizons: Some(horizons.clone()),
                // Rows lie in the order of user ids, which may be that of registration.
                shuffle: Some(Shuffle::new(0, 0)),
                ..StreamOptions::scoring(encoding.clone())
            };
            let mut blocks = stream(self.dataset, options)?.told(progress);
            for block in &mut blocks {
                let block = block?;
                rows += block.rows as u64;
                each(block);
                if rows >= most {
                    break;
                }
            }
            progress.advance(all.saturating_sub(blocks.rows()));
        }
        Ok(())
    }

    /// The split, narrowed to these days.
    fn last(&self, days: u32, horizons: &Horizons) -> Split {
        let passed = i64::from(self.window_days) + i64::from(horizons.shortest());
        let mature = i64::from(self.as_of.0) - passed;
        let before = self.split.registered_before;
        let newest = before.map_or(mature, |day| mature.min(i64::from(day.0) - 1));
        let from = newest - i64::from(days) + 1;
        let from = Day(from.clamp(i32::MIN.into(), i32::MAX.into()) as i32);
        Split {
            mature: Mature::Shortest,
            registered_from: self.split.registered_from.max(Some(from)),
            ..self.split.clone()
        }
    }
}

/// The ages of the latest users among some rows, as network inputs, one for each horizon; empty
/// where a model has no trend, or there are no rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct LatestAges(Vec<f32>);

impl LatestAges {
    /// Of users who registered in the last year of which the shortest horizon is mature.
    pub(crate) fn of(
        recent: Recent<'_>,
        document: &Document,
        progress: &dyn Progress,
    ) -> Result<Self, TrainError> {
        let mut latest = Self::default();
        let trends = document.encoding.trends();
        if trends > 0 {
            progress.start("see how old the latest users are", Some(recent.units()));
            let read = (document.horizons.clone(), document.encoding.clone());
            let see = |rows: EncodedRows| latest.see(&rows, trends);
            recent.each((365, 100_000), read, progress, see)?;
            progress.finish();
        }
        Ok(latest)
    }

    fn see(&mut self, rows: &EncodedRows, horizons: usize) {
        for ages in rows.ages(horizons) {
            if self.0.is_empty() {
                self.0 = ages.to_vec();
            }
            let pairs = self.0.iter_mut().zip(ages);
            pairs.for_each(|(least, &age)| *least = least.min(age));
        }
    }

    /// Gives all users of a block these ages.
    pub(crate) fn set(&self, rows: &mut EncodedRows) {
        rows.set_ages(&self.0);
    }

    /// Whether users of other ages would be predicted otherwise.
    pub(crate) fn matter(&self) -> bool {
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
        let mut latest = LatestAges::default();
        latest.see(&rows, 2);
        assert_eq!(latest, LatestAges(vec![0.5, 2.0]));
        latest.set(&mut rows);
        assert_eq!(rows.numbers, [9.0, 0.5, 2.0, 9.0, 0.5, 2.0, 9.0, 0.5, 2.0]);
        LatestAges::default().set(&mut rows);
        assert_eq!(rows.numbers[..3], [9.0, 0.5, 2.0]);
    }
}
