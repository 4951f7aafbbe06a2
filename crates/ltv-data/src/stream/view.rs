//! Rows as they were known on an earlier day: [`Dataset::as_known_on`].

use super::{StreamError, columns, reader::Plan};
use crate::dataset::Dataset;
use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, StringArray},
    compute::{filter_record_batch, nullif},
    datatypes::{Field, FieldRef, Float64Type, Schema},
    record_batch::RecordBatch,
};
use ltv_core::{Day, manifest::DatasetManifest};
use std::sync::Arc;

/// Columns that no row may lack.
const WHOLE: [&str; 3] = ["user_id", "reg_day", "status"];

/// What was known on a day, in terms of registration days.
#[derive(Debug, Clone)]
pub(super) struct View {
    day: i32,
    window: i32,
    /// Days from registration until the longest horizon is over.
    span: i32,
    /// Label columns and the days from registration until each is known.
    labels: Vec<(String, i32)>,
}

impl View {
    /// The view that a dataset is, if it is one.
    pub(super) fn of(dataset: &Dataset) -> Option<Self> {
        let manifest: &DatasetManifest = dataset.manifest();
        let Day(day) = dataset.known_on()?;
        let window = manifest.window_days as i32;
        let until = |n: u32| window + n as i32;
        let days = manifest.horizons.days().iter().map(|&n| until(n));
        Some(Self {
            day,
            window,
            span: until(manifest.horizons.longest()),
            labels: manifest.horizons.columns().into_iter().zip(days).collect(),
        })
    }

    /// The rows of `batch` whose window was over, with the labels that were known.
    ///
    /// # Errors
    /// When a row lacks its user, registration day or status; rows are counted in `batch`.
    pub(super) fn apply(
        &self,
        batch: &RecordBatch,
        plan: &Plan,
        place: &str,
    ) -> Result<RecordBatch, StreamError> {
        // Looked for before rows go, so that messages count rows as the file does.
        for name in WHOLE.iter().filter(|n| plan.columns.contains(**n)) {
            columns::required(batch, name, place)?;
        }
        let registered: Date32Array = columns::typed(batch, "reg_day", place, "Date32")?;
        let day = self.day;
        let complete = |&reg: &i32| Some(reg.saturating_add(self.window) <= day);
        let mask: BooleanArray = registered.values().iter().map(complete).collect();
        let internal = |e| StreamError::internal(place, e);
        let batch = filter_record_batch(batch, &mask).map_err(internal)?;
        let registered: Date32Array = columns::typed(&batch, "reg_day", place, "Date32")?;
        let (schema, mut arrays) = (batch.schema(), batch.columns().to_vec());
        for (name, until) in &self.labels {
            if let Ok(index) = schema.index_of(name) {
                arrays[index] = self.label(&arrays[index], &registered, *until, place)?;
            }
        }
        if let Ok(index) = schema.index_of("status") {
            arrays[index] = self.status(&columns::text(&batch, "status", place)?, &registered);
        }
        // The status may have been numbered words.
        let retyped = |(field, array): (&FieldRef, &ArrayRef)| {
            Field::clone(field).with_data_type(array.data_type().clone())
        };
        let fields = schema.fields().iter().zip(&arrays).map(retyped);
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        RecordBatch::try_new(schema, arrays).map_err(internal)
    }

    /// A label is null until its horizon is over.
    fn label(
        &self,
        labels: &ArrayRef,
        registered: &Date32Array,
        until: i32,
        place: &str,
    ) -> Result<ArrayRef, StreamError> {
        let day = self.day;
        let early = |&reg: &i32| Some(reg.saturating_add(until) > day);
        let early: BooleanArray = registered.values().iter().map(early).collect();
        let internal = |e: &dyn std::fmt::Display| StreamError::internal(place, e);
        let labels: &Float64Array = labels
            .as_primitive_opt::<Float64Type>()
            .ok_or_else(|| internal(&labels.data_type()))?;
        nullif(labels, &early).map_err(|e| internal(&e))
    }

    /// Every window is over; who had no event by the later day had none by the earlier one.
    fn status(&self, found: &StringArray, registered: &Date32Array) -> ArrayRef {
        let one = |row: usize| match found.value(row) {
            "no_events" => "no_events",
            _ if registered.value(row).saturating_add(self.span) <= self.day => "past_horizon",
            _ => "active",
        };
        Arc::new(
            (0..found.len())
                .map(|row| Some(one(row)))
                .collect::<StringArray>(),
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::{
        encoding::{EncodingPlan, fit},
        split::Rows,
        stream::{StreamOptions, stream, stream_with_raw},
        testing::{batch, rows, write, write_rows},
    };
    use arrow::{array::Int64Array, datatypes::Int64Type};
    use ltv_core::{Horizons, config::Split, encoding::Encoding};

    /// User, status and labels of every row.
    type Seen = (i64, String, [Option<f64>; 2]);

    fn seen(dataset: &Dataset) -> Vec<Seen> {
        let options = StreamOptions {
            horizons: Some(Horizons::new(vec![30, 90]).unwrap()),
            ..StreamOptions::scoring(Arc::new(Encoding::default()))
        };
        let mut all = vec![];
        for item in stream_with_raw(dataset, options).unwrap() {
            let (encoded, raw) = item.unwrap();
            let users: &Int64Array = raw.column(0).as_primitive::<Int64Type>();
            let status = columns::text(&raw, "status", "test").unwrap();
            for (row, labels) in encoded.labels.chunks(2).enumerate() {
                let known = |y: f64| (!y.is_nan()).then_some(y);
                let labels = [known(labels[0]), known(labels[1])];
                all.push((users.value(row), status.value(row).to_owned(), labels));
            }
        }
        all
    }

    /// Row by row, by the definitions of the words. The window is 2 days.
    #[test]
    fn rows_labels_and_status_are_those_of_the_day() {
        let folder = tempfile::tempdir().unwrap();
        let mut rows = rows(300);
        for row in &mut rows {
            row.reg_day = row.user as i32 % 50 * 4;
        }
        rows[7].status = "no_events";
        write_rows(folder.path(), &rows, 100, 30);
        let dataset = Dataset::open(folder.path()).unwrap();
        for day in [3, 34, 94, 140, 200] {
            let view = dataset.as_known_on(Day(day)).unwrap();
            let manifest = view.manifest();
            assert_eq!(
                (manifest.as_of, manifest.config.dataset.as_of),
                (Day(day), Day(day))
            );
            let expected: Vec<Seen> = rows
                .iter()
                .filter(|r| r.reg_day + 2 <= day)
                .map(|r| {
                    let known = |t: usize, n: i32| r.labels[t].filter(|_| r.reg_day + 2 + n <= day);
                    let status = match r.status {
                        "no_events" => "no_events",
                        _ if r.reg_day + 92 <= day => "past_horizon",
                        _ => "active",
                    };
                    (r.user, status.to_owned(), [known(0, 30), known(1, 90)])
                })
                .collect();
            assert_eq!(seen(&view), expected, "day {day}");
        }
        let twice = dataset.as_known_on(Day(140)).unwrap().as_known_on(Day(34));
        assert_eq!(
            seen(&twice.unwrap()),
            seen(&dataset.as_known_on(Day(34)).unwrap())
        );
    }

    #[test]
    fn a_later_day_is_not_known() {
        let folder = tempfile::tempdir().unwrap();
        write_rows(folder.path(), &rows(10), 10, 10);
        let dataset = Dataset::open(folder.path()).unwrap();
        let error = dataset.as_known_on(Day(201)).unwrap_err().to_string();
        assert!(
            error.contains("1970-07-20") && error.contains("1970-07-21"),
            "{error}"
        );
        let view = dataset.as_known_on(Day(100)).unwrap();
        assert!(view.as_known_on(Day(101)).is_err());
    }

    #[test]
    fn nobody_is_learnt_from_who_was_not_known() {
        let folder = tempfile::tempdir().unwrap();
        write_rows(folder.path(), &rows(300), 100, 30);
        let dataset = Dataset::open(folder.path()).unwrap();
        let learn = |day| {
            let view = dataset.as_known_on(Day(day)).unwrap();
            fit(&view, &Split::default(), &EncodingPlan::default())
        };
        assert!(learn(31).is_err(), "no label of 30 days is known on day 31");
        let (early, late) = (learn(50).unwrap(), learn(81).unwrap());
        assert!(early.train_rows < late.train_rows);
        assert_eq!(early.labels[1].count(), 0);
    }

    #[test]
    fn what_a_row_lacks_is_counted_from_the_start_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let plain = batch(&rows(40));
        let mut days: Vec<Option<i32>> = (0..40).map(|i| Some(i * 5)).collect();
        days[33] = None;
        let mut arrays = plain.columns().to_vec();
        arrays[1] = Arc::new(Date32Array::from(days));
        let odd = RecordBatch::try_new(plain.schema(), arrays).unwrap();
        write(folder.path(), &[odd], 16);
        let view = Dataset::open(folder.path()).unwrap();
        let view = view.as_known_on(Day(60)).unwrap();
        let options = StreamOptions {
            rows: Rows::Mature,
            ..StreamOptions::scoring(Arc::new(Encoding::default()))
        };
        let error = stream(&view, options).unwrap().find_map(Result::err);
        let error = error.unwrap().to_string();
        assert!(error.contains("'reg_day' is null in row 34"), "{error}");
    }
}
