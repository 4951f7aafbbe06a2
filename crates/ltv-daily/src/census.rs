//! What is counted of a dataset, so that a day can be compared with the one before: in one pass, in memory that
//! does not grow with the rows.

use crate::DailyError;
use arrow::{
    array::{Array, AsArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Date32Type},
};
use ltv_core::{Day, encoding::Encoding, progress::Progress};
use ltv_data::{
    Dataset,
    stream::{StreamOptions, stream_with_columns},
};
use ltv_eval::Sum;
use std::{collections::BTreeMap, sync::Arc};

/// Days before the last that the last are compared with: four weeks.
pub(crate) const BEFORE: i32 = 28;
/// Values of a column that are told apart.
const MOST_VALUES: usize = 10_000;
/// Users whose value is not among them.
const OTHERS: &str = "(other)";

/// Numbers of users by column and value.
pub(crate) type ByValue = BTreeMap<(String, String), u64>;

/// What was counted.
#[derive(Debug, Default)]
pub(crate) struct Census {
    /// Users registered before the earlier date.
    pub(crate) shared: u64,
    pub(crate) shared_by: ByValue,
    /// Labels known on the earlier date, one sum for each horizon.
    pub(crate) known: Vec<Moments>,
    /// Labels that have become known since.
    pub(crate) fresh: Vec<Moments>,
    /// Labels that became known in the four weeks up to the earlier date.
    pub(crate) before: Vec<Moments>,
    /// Users registered since the earlier date.
    pub(crate) newcomers: u64,
    pub(crate) newcomers_by: ByValue,
    /// Users registered in the four weeks before it.
    pub(crate) predecessors: u64,
    pub(crate) predecessors_by: ByValue,
    /// Days from the earlier date to the dataset's.
    pub(crate) days: u32,
}

/// Number, sum and sum of squares.
#[derive(Debug, Default, Clone)]
pub(crate) struct Moments {
    pub(crate) rows: u64,
    sum: Sum,
    squares: Sum,
}

impl Moments {
    pub(crate) fn add(&mut self, x: f64) {
        self.rows += 1;
        self.sum.add(x);
        self.squares.add(x * x);
    }

    pub(crate) fn total(&self) -> f64 {
        self.sum.value()
    }

    pub(crate) fn mean(&self) -> f64 {
        self.total() / self.rows.max(1) as f64
    }

    /// Population variance.
    pub(crate) fn variance(&self) -> f64 {
        let n = self.rows.max(1) as f64;
        (self.squares.value() / n - self.mean().powi(2)).max(0.0)
    }
}

impl Census {
    /// Counts a dataset, in view of one as of `since`.
    pub(crate) fn take(
        dataset: &Dataset,
        since: Day,
        by: &[String],
        progress: &dyn Progress,
    ) -> Result<Self, DailyError> {
        let manifest = dataset.manifest();
        let horizons = &manifest.horizons;
        let width = horizons.len();
        let mut census = Self {
            known: vec![Moments::default(); width],
            fresh: vec![Moments::default(); width],
            before: vec![Moments::default(); width],
            days: (manifest.as_of - since).max(1) as u32,
            ..Self::default()
        };
        let options = StreamOptions {
            horizons: Some(horizons.clone()),
            ..StreamOptions::scoring(Arc::new(Encoding::default()))
        };
        progress.start("count users and labels", Some(dataset.rows()));
        let spans: Vec<i32> = horizons
            .days()
            .iter()
            .map(|&n| (manifest.window_days + n) as i32)
            .collect();
        for item in stream_with_columns(dataset, options, by)?.told(progress) {
            let (encoded, raw) = item?;
            let days = registered(&raw)?;
            for (&day, labels) in days.iter().zip(encoded.labels.chunks_exact(width)) {
                for (t, (&label, span)) in labels.iter().zip(&spans).enumerate() {
                    census.label(t, day + span, label, since.0);
                }
            }
            census.users(&days, &raw, by, since.0)?;
        }
        progress.finish();
        Ok(census)
    }

    /// Users whose label is known, by horizon; 0 where nobody has any value.
    pub(crate) fn labels(&self) -> Vec<u64> {
        let all = self.known.iter().zip(&self.fresh);
        let rows = |(known, fresh): (&Moments, &Moments)| {
            let valued = known.total() + fresh.total() > 0.0;
            if valued { known.rows + fresh.rows } else { 0 }
        };
        all.map(rows).collect()
    }

    /// A label that is known from the day `end` on.
    fn label(&mut self, t: usize, end: i32, label: f64, since: i32) {
        if label.is_nan() {
            return;
        }
        if end > since {
            self.fresh[t].add(label);
            return;
        }
        self.known[t].add(label);
        if end > since - BEFORE {
            self.before[t].add(label);
        }
    }

    fn users(
        &mut self,
        days: &[i32],
        raw: &RecordBatch,
        by: &[String],
        since: i32,
    ) -> Result<(), DailyError> {
        for &day in days {
            self.shared += u64::from(day < since);
            self.newcomers += u64::from(day >= since);
            self.predecessors += u64::from((since - BEFORE..since).contains(&day));
        }
        for column in by {
            let values = raw.column_by_name(column);
            let values = values.ok_or_else(|| no_column(column))?;
            let values = cast(values, &DataType::Utf8).map_err(|_| no_column(column))?;
            let values = values.as_string::<i32>();
            for (&day, value) in days.iter().zip(values) {
                let value = value.unwrap_or("(missing)");
                if day >= since {
                    add(&mut self.newcomers_by, column, value);
                    continue;
                }
                add(&mut self.shared_by, column, value);
                if day >= since - BEFORE {
                    add(&mut self.predecessors_by, column, value);
                }
            }
        }
        Ok(())
    }
}

fn add(counts: &mut ByValue, column: &str, value: &str) {
    let key = (column.to_owned(), value.to_owned());
    let value = match counts.contains_key(&key) || counts.len() < MOST_VALUES {
        true => key,
        false => (column.to_owned(), OTHERS.to_owned()),
    };
    *counts.entry(value).or_default() += 1;
}

fn no_column(column: &str) -> DailyError {
    let problem =
        format!("'{column}' is not a text column of the dataset; name a profile or kept column");
    ltv_core::Error::config("judge.by", problem).into()
}

/// The registration days of a batch.
fn registered(raw: &RecordBatch) -> Result<Vec<i32>, DailyError> {
    let column = raw.column_by_name("reg_day");
    let days = column.and_then(|column| column.as_primitive_opt::<Date32Type>());
    let days = days.filter(|days| days.null_count() == 0);
    let days = days.ok_or_else(|| DailyError::internal("reg_day was not read"))?;
    Ok(days.values().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_formulas() {
        let mut moments = Moments::default();
        [1.0, 2.0, 6.0].into_iter().for_each(|x| moments.add(x));
        assert_eq!(
            (moments.rows, moments.total(), moments.mean()),
            (3, 9.0, 3.0)
        );
        assert!((moments.variance() - 14.0 / 3.0).abs() < 1e-12);
        assert_eq!(Moments::default().mean(), 0.0);
    }

    #[test]
    fn labels_are_counted_by_when_they_became_known() {
        let mut census = Census {
            known: vec![Moments::default()],
            fresh: vec![Moments::default()],
            before: vec![Moments::default()],
            ..Census::default()
        };
        let since = 100;
        for (end, label) in [
            (101, 1.0),
            (100, 2.0),
            (73, 4.0),
            (72, 8.0),
            (101, f64::NAN),
        ] {
            census.label(0, end, label, since);
        }
        let totals = [&census.fresh, &census.known, &census.before].map(|m| m[0].total());
        assert_eq!(totals, [1.0, 14.0, 6.0]);
    }
}
