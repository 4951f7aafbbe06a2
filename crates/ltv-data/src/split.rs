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
        let closed = i64::from(day.0) + i64::from(self.window_days);
        let new = i64::from(self.since.0) + 1..=i64::from(self.until.0);
        let mut horizons = self.horizons.days().iter();
        horizons.any(|&n| new.contains(&(closed + i64::from(n))))
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
