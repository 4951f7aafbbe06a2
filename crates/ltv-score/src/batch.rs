//! The engine-neutral core of scoring: a record batch of users in, a record batch of scores out.
//! Whatever reads and writes the batches (the streams of this program, DataFusion, a job on a
//! cluster) calls this function.

use crate::{ScoreError, users::Users};
use arrow::{
    array::{ArrayRef, AsArray, BooleanArray, Date32Array, Float64Array, StringArray},
    compute::filter,
    datatypes::{DataType, Field, Schema, SchemaRef},
    record_batch::RecordBatch,
};
use ltv_core::{
    Day, Horizons,
    encoding::EncodedRows,
    predictor::{Predictions, Predictor},
};
use ltv_data::{encoding::Encoder, stream::columns};
use std::sync::Arc;

/// Suffixes of a horizon's five columns, after `ltv_<N>`.
const SUFFIXES: [&str; 5] = ["", "_p10", "_p50", "_p90", "_positive"];

/// Columns of a snapshot, see [`ltv_core::manifest::SnapshotManifest`]; none is nullable.
/// `user_type` is Int64 or Utf8.
pub fn snapshot_schema(user_type: &DataType, horizons: &Horizons) -> SchemaRef {
    let mut fields = vec![
        Field::new("user_id", user_type.clone(), false),
        Field::new("as_of", DataType::Date32, false),
        Field::new("model_id", DataType::Utf8, false),
        Field::new("status", DataType::Utf8, false),
    ];
    for name in horizons.columns() {
        let column = |suffix| Field::new(format!("{name}{suffix}"), DataType::Float64, false);
        fields.extend(SUFFIXES.map(column));
    }
    Arc::new(Schema::new(fields))
}

/// Scores the users of `batch`, one row out for each row in, in the same order.
///
/// `batch` holds `user_id` (Int64 or text), `status` (text) and the columns that `encoder` reads,
/// in any order and among others. `encoder` applies the model's own encoding:
/// `Encoder::new(Arc::new(model.encoding().clone()))`, made once. The result has the columns of
/// [`snapshot_schema`].
///
/// # Errors
/// When a column is missing, null or of a type that cannot be read; when `encoder` is not the
/// model's; and, as a defect of the model, when a prediction is negative or not finite: the message
/// names the user.
pub fn score_batch(
    model: &dyn Predictor,
    encoder: &Encoder,
    batch: &RecordBatch,
    as_of: Day,
) -> Result<RecordBatch, ScoreError> {
    if **encoder.encoding() != *model.encoding() {
        return Err(ScoreError::internal("the encoder is not the model's"));
    }
    let rows = Rows::of(batch, "the batch")?;
    let predictions = rows.predict(model, &encoder.encode(batch, None)?)?;
    rows.scored(model, &predictions, as_of)
}

/// Who is scored.
pub(crate) struct Rows {
    pub(crate) users: Users,
    pub(crate) status: StringArray,
}

impl Rows {
    pub(crate) fn of(batch: &RecordBatch, place: &str) -> Result<Self, ScoreError> {
        Ok(Self {
            users: Users::of(batch, place)?,
            status: columns::utf8(
                columns::required(batch, "status", place)?,
                "status",
                place,
                "Utf8",
            )?,
        })
    }

    /// The rows where `mask` is true.
    pub(crate) fn filter(&self, mask: &BooleanArray) -> Result<Self, ScoreError> {
        let status = filter(&self.status, mask).map_err(ScoreError::internal)?;
        Ok(Self {
            users: self.users.filter(mask)?,
            status: status.as_string::<i32>().clone(),
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.users.len() == 0
    }

    /// The model's predictions, checked.
    pub(crate) fn predict(
        &self,
        model: &dyn Predictor,
        encoded: &EncodedRows,
    ) -> Result<Predictions, ScoreError> {
        let predictions = model.predict(encoded);
        self.check(model, &predictions)?;
        Ok(predictions)
    }

    /// The model's predictions, checked, and where labels, `[rows, horizons]` of the model, lie in its
    /// distributions: [`Predictor::locate`].
    pub(crate) fn locate(
        &self,
        model: &dyn Predictor,
        encoded: &EncodedRows,
        labels: &[f64],
    ) -> Result<(Predictions, Vec<f64>), ScoreError> {
        let (predictions, located) = model.locate(encoded, labels);
        self.check(model, &predictions)?;
        if located.is_empty() || located.len() == 2 * labels.len() {
            return Ok((predictions, located));
        }
        let (found, expected) = (located.len(), 2 * labels.len());
        let problem = format!("{found} places of labels where {expected} are due");
        Err(ScoreError::internal(problem))
    }

    fn check(&self, model: &dyn Predictor, predictions: &Predictions) -> Result<(), ScoreError> {
        check_shapes(model, predictions, self.users.len())?;
        let width = model.horizons().len();
        self.check_values(model, &predictions.values, width, &[""])?;
        self.check_values(model, &predictions.quantiles, width * 3, &SUFFIXES[1..4])?;
        self.check_values(model, &predictions.positive, width, &SUFFIXES[4..])
    }

    /// Fails on the first value that is negative or not finite; `width` values belong to a row,
    /// one for each horizon and suffix.
    fn check_values(
        &self,
        model: &dyn Predictor,
        values: &[f64],
        width: usize,
        suffixes: &[&str],
    ) -> Result<(), ScoreError> {
        let bad = |x: &f64| !(*x >= 0.0 && x.is_finite());
        let Some(i) = values.iter().position(bad) else {
            return Ok(());
        };
        let (row, column) = (i / width, i % width);
        let days = model.horizons().days()[column / suffixes.len()];
        Err(ScoreError::Prediction {
            model_id: model.model_id().to_owned(),
            user: self.users.name(row),
            column: format!("ltv_{days}{}", suffixes[column % suffixes.len()]),
            value: values[i],
        })
    }

    /// The rows of a snapshot.
    pub(crate) fn scored(
        &self,
        model: &dyn Predictor,
        predictions: &Predictions,
        as_of: Day,
    ) -> Result<RecordBatch, ScoreError> {
        let (rows, horizons) = (self.users.len(), model.horizons());
        let none = predictions.quantiles.is_empty() || predictions.positive.is_empty();
        if none && rows > 0 {
            return Err(ScoreError::NoDistribution {
                model_id: model.model_id().to_owned(),
            });
        }
        let users = self.users.array();
        let schema = snapshot_schema(users.data_type(), horizons);
        let ids = std::iter::repeat_n(model.model_id(), rows);
        let mut columns: Vec<ArrayRef> = vec![
            users,
            Arc::new(Date32Array::from(vec![as_of.0; rows])),
            Arc::new(StringArray::from_iter_values(ids)),
            Arc::new(self.status.clone()),
        ];
        let width = horizons.len();
        for t in 0..width {
            columns.push(column(&predictions.values, t, width));
            for q in 0..3 {
                columns.push(column(&predictions.quantiles, t * 3 + q, width * 3));
            }
            columns.push(column(&predictions.positive, t, width));
        }
        RecordBatch::try_new(schema, columns).map_err(ScoreError::internal)
    }
}

fn column(matrix: &[f64], index: usize, width: usize) -> ArrayRef {
    let values = matrix.iter().skip(index).step_by(width).copied();
    Arc::new(Float64Array::from_iter_values(values))
}

fn check_shapes(
    model: &dyn Predictor,
    predictions: &Predictions,
    rows: usize,
) -> Result<(), ScoreError> {
    let cells = rows * model.horizons().len();
    // Not every model knows a distribution.
    let unless_empty = |found: usize, expected| if found == 0 { 0 } else { expected };
    let (quantiles, positive) = (predictions.quantiles.len(), predictions.positive.len());
    let shapes = [
        ("rows", predictions.rows, rows),
        ("values", predictions.values.len(), cells),
        ("quantiles", quantiles, unless_empty(quantiles, cells * 3)),
        ("probabilities", positive, unless_empty(positive, cells)),
        ("projection marks", predictions.projected.len(), rows),
    ];
    match shapes
        .into_iter()
        .find(|(_, found, expected)| found != expected)
    {
        None => Ok(()),
        Some((what, found, expected)) => Err(ScoreError::Shape {
            model_id: model.model_id().to_owned(),
            what,
            expected,
            found,
        }),
    }
}
