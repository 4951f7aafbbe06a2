//! On whom models are judged: the same users for all of them, in the same order.

use crate::LabError;
use arrow::{array::ArrayRef, compute::concat};
use ltv_core::{
    Day, Horizons,
    config::{Part, Split},
    encoding::{EncodedRows, Encoding},
    predictor::Predictor,
    progress::{Progress, Silent},
};
use ltv_data::{
    Dataset,
    split::Rows,
    stream::{StreamOptions, stream, stream_with_raw},
};
use ltv_eval::Segments;
use ltv_score::evaluate::Months;
use std::sync::Arc;

/// The users that models are judged on. Labels take 8 bytes for each user and horizon.
#[derive(Debug)]
pub struct Judged {
    dataset: Dataset,
    split: Split,
    rows: Rows,
    /// All horizons of the training dataset.
    pub horizons: Horizons,
    /// Row-major `[users, horizons]`, NaN where immature.
    pub labels: Vec<f64>,
    /// The users' ids, in order.
    pub users: ArrayRef,
    /// When they registered.
    pub months: Segments,
}

impl Judged {
    /// With a later dataset, whoever in it registered since the as-of day of the training dataset;
    /// without one, the test part of the split. Who has no mature label of the split's required
    /// horizon is left out.
    ///
    /// # Errors
    /// When nobody is left, the later dataset was made with another label or window or lacks a
    /// feature or horizon, or a file cannot be read.
    pub fn read(
        train: &Dataset,
        test: Option<&Dataset>,
        split: &Split,
        progress: &dyn Progress,
    ) -> Result<Self, LabError> {
        progress.start("read labels", Some(test.unwrap_or(train).rows()));
        let horizons = &train.manifest().horizons;
        let (judged, wanted) = match test {
            None => (
                Self::collect(
                    train,
                    (Rows::Part(Part::Test), split.clone()),
                    (horizons, progress),
                )?,
                "users of the test part of the split, with a label",
            ),
            Some(later) => {
                check_alike(train, later)?;
                let since = since(train, split);
                (
                    Self::collect(later, (Rows::Mature, since), (horizons, progress))?,
                    "users registered since the training dataset's as-of day, with a label",
                )
            }
        };
        progress.finish();
        match judged.is_empty() {
            false => Ok(judged),
            true => Err(LabError::Nobody {
                path: judged.dataset.folder().to_path_buf(),
                wanted,
            }),
        }
    }

    /// Whoever in `later` registered since the as-of day of `train`, a view of it, and before `until`,
    /// with a label that `later` knows.
    ///
    /// # Errors
    /// When there is nobody, or a file cannot be read.
    pub fn of_span(
        train: &Dataset,
        later: &Dataset,
        split: &Split,
        until: Day,
    ) -> Result<Self, LabError> {
        let split = Split {
            registered_before: Some(until),
            ..since(train, split)
        };
        let horizons = &train.manifest().horizons;
        let judged = Self::collect(later, (Rows::Mature, split), (horizons, &Silent))?;
        match judged.is_empty() {
            false => Ok(judged),
            true => Err(LabError::NobodySince {
                path: later.folder().to_path_buf(),
                from: train.manifest().as_of,
                until,
                as_of: later.manifest().as_of,
            }),
        }
    }

    fn collect(
        dataset: &Dataset,
        (rows, split): (Rows, Split),
        (horizons, progress): (&Horizons, &dyn Progress),
    ) -> Result<Self, LabError> {
        let mut judged = Self {
            dataset: dataset.clone(),
            rows,
            split,
            horizons: horizons.clone(),
            labels: vec![],
            users: Arc::new(arrow::array::Int64Array::from(Vec::<i64>::new())),
            months: Months::default().finish(),
        };
        let mut months = Months::default();
        let mut users = vec![];
        let stream = stream_with_raw(&judged.dataset, judged.options(Encoding::default()))?;
        for item in stream.told(progress) {
            let (encoded, raw) = item?;
            judged.labels.extend_from_slice(&encoded.labels);
            users.push(raw.column(0).clone());
            months.add(&raw)?;
        }
        if users.is_empty() {
            return Ok(judged);
        }
        let parts: Vec<&dyn arrow::array::Array> = users.iter().map(AsRef::as_ref).collect();
        judged.users = concat(&parts).map_err(LabError::internal)?;
        judged.months = months.finish();
        Ok(judged)
    }

    /// Number of users.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there is nobody, which [`Judged::read`] refuses.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// The labels of the horizon in place `t`, NaN where immature.
    pub fn column(&self, t: usize) -> Vec<f64> {
        let labels = self.labels.iter().skip(t);
        labels.step_by(self.horizons.len()).copied().collect()
    }

    /// The day before which they registered, where only a span is judged.
    pub(crate) fn until(&self) -> Option<Day> {
        self.split
            .registered_before
            .filter(|_| self.rows == Rows::Mature)
    }

    /// The dataset that they are in.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    pub(crate) fn options(&self, encoding: Encoding) -> StreamOptions {
        StreamOptions {
            rows: self.rows,
            split: self.split.clone(),
            horizons: Some(self.horizons.clone()),
            ..StreamOptions::scoring(Arc::new(encoding))
        }
    }

    /// What the model predicts for them: one column for each of its horizons, and the share of users
    /// whose values the order projection changed.
    ///
    /// # Errors
    /// When the model reads a column that is not there, or predicts what cannot be a value.
    pub fn predict(
        &self,
        model: &dyn Predictor,
        progress: &dyn Progress,
    ) -> Result<(Vec<Vec<f64>>, f64), LabError> {
        ltv_score::check_fit(&self.dataset, model, None)?;
        progress.start("predict", Some(self.len() as u64));
        let width = model.horizons().len();
        let mut columns = vec![Vec::with_capacity(self.len()); width];
        let mut projected = 0_usize;
        for block in stream(&self.dataset, self.options(model.encoding().clone()))? {
            let block = block?;
            let found = model.predict(&block);
            check(model, &block, &found.values)?;
            for row in found.values.chunks_exact(width) {
                for (column, &value) in columns.iter_mut().zip(row) {
                    column.push(value);
                }
            }
            projected += found.projected.iter().filter(|&&p| p).count();
            progress.advance(block.rows as u64);
        }
        progress.finish();
        Ok((columns, projected as f64 / self.len() as f64))
    }
}

/// Who registered since the as-of day of the training dataset.
fn since(train: &Dataset, split: &Split) -> Split {
    Split {
        registered_from: Some(train.manifest().as_of),
        mature: split.mature,
        ..Split::default()
    }
}

/// Labels and features of both datasets mean the same.
fn check_alike(train: &Dataset, test: &Dataset) -> Result<(), LabError> {
    let (ours, theirs) = (train.manifest(), test.manifest());
    let differ = |what: &'static str, expected: String, found: String| LabError::Unlike {
        path: test.folder().to_path_buf(),
        other: train.folder().to_path_buf(),
        what,
        expected,
        found,
    };
    if ours.label != theirs.label {
        let (expected, found) = (format!("{:?}", ours.label), format!("{:?}", theirs.label));
        return Err(differ("dataset.label", expected, found));
    }
    if ours.window_days != theirs.window_days {
        let (expected, found) = (ours.window_days.to_string(), theirs.window_days.to_string());
        return Err(differ("dataset.window_days", expected, found));
    }
    match ours.features.iter().find(|f| !theirs.features.contains(f)) {
        Some(feature) => Err(differ(
            "its features",
            feature.name.clone(),
            "none such".into(),
        )),
        None => Ok(()),
    }
}

/// Predictions are finite, at least 0 and as many as there should be.
pub(crate) fn check(
    model: &dyn Predictor,
    rows: &EncodedRows,
    values: &[f64],
) -> Result<(), LabError> {
    let expected = rows.rows * model.horizons().len();
    let bad = values.iter().find(|v| !(**v >= 0.0 && v.is_finite()));
    match bad {
        Some(value) => Err(LabError::internal(format!("a prediction is {value}"))),
        None if values.len() == expected => Ok(()),
        None => Err(LabError::internal(format!(
            "{} predictions for {expected}",
            values.len()
        ))),
    }
}
