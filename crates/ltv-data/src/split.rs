//! Which user trains, validates or tests: the split of [`ltv_core::config::Split`] applied to
//! record batches.

use crate::stream::{StreamError, columns};
use arrow::{
    array::{Array, AsArray, BooleanArray, Date32Array, Float64Array},
    datatypes::Int64Type,
    record_batch::RecordBatch,
};
use ltv_core::{
    Day, Horizons,
    config::{Mature, Part, Split},
    seed::{user_fraction, user_fraction_text},
};

/// Which rows of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rows {
    /// Every row, whether or not its labels are mature: what is scored.
    #[default]
    All,
    /// The rows of one part of the split.
    Part(Part),
    /// The rows that take part in the split, whichever part is theirs: registered within its days,
    /// with the labels it asks for.
    Mature,
}

/// Users of whom more is known than on an earlier day, and a share of the others.
#[derive(Debug, Clone, PartialEq)]
pub struct News {
    /// The earlier as-of date.
    pub since: Day,
    /// Today's.
    pub until: Day,
    /// Days of observation.
    pub window_days: u32,
    /// The horizons whose labels count.
    pub horizons: Horizons,
    /// The share of the others, in `[0, 1]`.
    pub others: f64,
    /// Decides which of the others.
    pub seed: u64,
}

impl News {
    /// Whether a label of users registered on `day` became known after the earlier date.
    pub fn matured(&self, day: Day) -> bool {
        matured(
            (self.since, self.until),
            self.window_days,
            &self.horizons,
            day,
        )
    }

    /// Which rows these are. Reads `user_id` and `reg_day`.
    pub(crate) fn mask(
        &self,
        batch: &RecordBatch,
        place: &str,
    ) -> Result<BooleanArray, StreamError> {
        let registered: Date32Array = columns::typed(batch, "reg_day", place, "Date32")?;
        let fractions = fractions(batch, place)?;
        // The split looks at the fraction itself: this must not depend on it.
        let drawn = |f: f64| crate::hash::mix(f.to_bits() ^ self.seed) as f64 / 2f64.powi(64);
        let row = |(&day, f): (&i32, f64)| Some(self.matured(Day(day)) || drawn(f) < self.others);
        Ok(registered.values().iter().zip(fractions).map(row).collect())
    }
}

/// Whether a label of users registered on `day` was not known on the first of two as-of dates, and is on the second.
pub(crate) fn matured(
    (since, until): (Day, Day),
    window_days: u32,
    horizons: &Horizons,
    day: Day,
) -> bool {
    let closed = i64::from(day.0) + i64::from(window_days);
    let new = i64::from(since.0) + 1..=i64::from(until.0);
    let mut horizons = horizons.days().iter();
    horizons.any(|&n| new.contains(&(closed + i64::from(n))))
}

/// The part each row belongs to; `None` for rows that take no part: registered outside the
/// split's days, of status `observing`, or with an immature label where [`Split::mature`] wants a
/// mature one. Length: the rows of `batch`.
///
/// Whether a user has done anything by the as-of date plays no part: it is known only after the
/// window, and who is trained on would depend on it. A mature user without events has labels of 0.
///
/// Reads `user_id`, `reg_day`, `status` and one label column. `place` is named in errors.
///
/// # Errors
/// When one of these columns is missing, of another type, or (but for the label) null.
pub fn parts(
    batch: &RecordBatch,
    split: &Split,
    horizons: &Horizons,
    place: &str,
) -> Result<Vec<Option<Part>>, StreamError> {
    let registered: Date32Array = columns::typed(batch, "reg_day", place, "Date32")?;
    let status = columns::words(batch, "status", place)?;
    let label = columns::number(batch, &label_column(split, horizons), place)?;
    columns::no_nulls(&registered, "reg_day", place)?;
    columns::no_nulls(status.rows(), "status", place)?;
    let fractions = fractions(batch, place)?;
    let part = |row: usize| {
        let out = !is_mature(&label, row)
            || status.get(row) == Some("observing")
            || !split.admits(Day(registered.value(row)));
        (!out).then(|| split.part(fractions[row]))
    };
    Ok((0..batch.num_rows()).map(part).collect())
}

/// The label column that decides maturity.
pub(crate) fn label_column(split: &Split, horizons: &Horizons) -> String {
    let days = match split.mature {
        Mature::Shortest => horizons.shortest(),
        Mature::Longest => horizons.longest(),
    };
    format!("ltv_{days}")
}

fn is_mature(label: &Float64Array, row: usize) -> bool {
    label.is_valid(row)
}

/// The hash fraction of every user.
pub(crate) fn fractions(batch: &RecordBatch, place: &str) -> Result<Vec<f64>, StreamError> {
    let users = columns::required(batch, "user_id", place)?;
    if let Some(ids) = users.as_primitive_opt::<Int64Type>() {
        return Ok(ids.values().iter().map(|&id| user_fraction(id)).collect());
    }
    let text = columns::utf8(users, "user_id", place, "Int64 or Utf8")?;
    Ok(text
        .iter()
        .map(|id| user_fraction_text(id.unwrap_or_default()))
        .collect())
}

/// A filter mask: the rows that take part at all.
pub(crate) fn any(parts: &[Option<Part>]) -> BooleanArray {
    parts.iter().map(|p| Some(p.is_some())).collect()
}

/// A filter mask: the rows of `wanted` among `parts`.
pub(crate) fn mask(parts: &[Option<Part>], wanted: Part) -> BooleanArray {
    parts.iter().map(|&p| Some(p == Some(wanted))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::testing::{batch, rows};

    fn news(others: f64) -> News {
        News {
            since: Day(100),
            until: Day(103),
            window_days: 7,
            horizons: Horizons::new(vec![30, 90]).unwrap(),
            others,
            seed: 5,
        }
    }

    /// A label is known from the day on on which window and horizon are over.
    #[test]
    fn news_are_labels_that_were_not_known_and_now_are() {
        let known = |registered: i32, n: i32, day: i32| registered + 7 + n <= day;
        for registered in -50..120 {
            let mut horizons = [30, 90].into_iter();
            let new = horizons.any(|n| !known(registered, n, 100) && known(registered, n, 103));
            assert_eq!(news(0.0).matured(Day(registered)), new, "{registered}");
        }
    }

    #[test]
    fn of_the_others_a_share_is_drawn_whatever_their_part() {
        let mut rows = rows(20_000);
        rows.iter_mut().for_each(|row| row.reg_day = 0);
        let batch = batch(&rows);
        let share = |others: f64| {
            let mask = news(others).mask(&batch, "test").unwrap();
            mask.true_count() as f64 / 20_000.0
        };
        assert_eq!((share(0.0), share(1.0)), (0.0, 1.0));
        assert!((share(0.25) - 0.25).abs() < 0.02, "{}", share(0.25));
        // Among those whom the split has in its first tenth as among all.
        let first: Vec<bool> = fractions(&batch, "test")
            .unwrap()
            .iter()
            .map(|f| *f < 0.1)
            .collect();
        let mask = news(0.25).mask(&batch, "test").unwrap();
        let drawn = mask
            .iter()
            .zip(&first)
            .filter(|(m, first)| **first && *m == Some(true))
            .count();
        let all = first.iter().filter(|first| **first).count();
        assert!(
            (drawn as f64 / all as f64 - 0.25).abs() < 0.05,
            "{drawn} of {all}"
        );
    }
}
