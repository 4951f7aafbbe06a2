//! Labels of a dataset against the predictions of a model and of the baselines, in one pass.

use crate::{
    ScoreError,
    batch::Rows as Scored,
    model::{at_least_one, check_fit, pool},
};
use arrow::{
    array::{ArrayRef, AsArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Float64Type},
};
use ltv_core::{
    Horizons,
    baseline::{BaselineHorizon, Baselines},
    config::Split,
    encoding::EncodedRows,
    manifest::FeatureKind,
    predictor::Predictor,
    progress::Progress,
};
use ltv_data::{
    Dataset,
    split::Rows,
    stream::{StreamOptions, stream_with_columns},
};
use ltv_eval::{Bootstrap, EvalInput, Evaluation, NamedPredictions, Segments, evaluate};
use std::{collections::HashMap, sync::Arc};

/// Name of the baseline that ranks by what a user did in the observation window.
pub const TRIVIAL_SORT: &str = "trivial sort";
/// Name of the baseline that predicts one number for everybody.
pub const TRAIN_MEAN: &str = "train mean";
/// Segment of rows without a value.
pub const NO_VALUE: &str = "(missing)";

/// What to evaluate, and how.
#[derive(Debug, Clone)]
pub struct EvaluateOptions {
    /// The split that `rows` refers to; not looked at for [`Rows::All`].
    pub split: Split,
    /// Which rows.
    pub rows: Rows,
    /// Name of the model's published values in the report; its median is `<name> (median)`.
    pub name: String,
    /// Horizons to report, among the model's and the dataset's; `None` for all of the model's, or
    /// of the baselines' when there is no model.
    pub horizons: Option<Horizons>,
    /// Columns to report by: categorical features or kept columns.
    pub segments: Vec<String>,
    /// Confidence intervals, when wanted.
    pub bootstrap: Option<Bootstrap>,
    /// Name of the set that all others are compared with in pairs, if any.
    pub reference: Option<String>,
    /// The simplest predictions, from the training rows.
    pub baselines: Option<Baselines>,
    /// Days of the observation window that the model was trained on; not checked when `None`.
    pub expected_window: Option<u32>,
    /// Rows predicted at a time, at least 1.
    pub batch_rows: usize,
    /// Threads to predict and measure with, at least 1. The result does not depend on it.
    pub threads: usize,
}

impl Default for EvaluateOptions {
    /// All rows under the name `odmn`: no segments, intervals, comparison or baselines.
    fn default() -> Self {
        Self {
            split: Split::default(),
            rows: Rows::All,
            name: "odmn".to_owned(),
            horizons: None,
            segments: vec![],
            bootstrap: None,
            reference: None,
            baselines: None,
            expected_window: None,
            batch_rows: 16_384,
            threads: 1,
        }
    }
}

/// Evaluates a model, the baselines or both on the labels of `dataset`.
///
/// The sets of the result are, in this order: the model's published values, their median, the
/// baselines [`TRIVIAL_SORT`] and [`TRAIN_MEAN`]. Rows whose labels are immature count for order
/// violations only.
///
/// Memory grows with the evaluated rows: 8 bytes for each row, horizon and set, the labels being
/// one more set, 4 for each row and segment column, and what [`ltv_eval::evaluate`] needs.
///
/// # Errors
/// When there is nothing to evaluate; when model, baselines and dataset do not fit each other (a
/// horizon, feature, window or label that one of them lacks); when a segment column is not
/// categorical; when a file cannot be read; and as [`ltv_eval::evaluate`].
pub fn evaluate_dataset(
    dataset: &Dataset,
    model: Option<&dyn Predictor>,
    options: &EvaluateOptions,
    progress: &dyn Progress,
) -> Result<Evaluation, ScoreError> {
    at_least_one("batch_rows", options.batch_rows)?;
    let pool = pool(options.threads)?;
    let mut collected = Collected::prepare(dataset, model, options)?;
    progress.start("read labels and predict", None);
    let stream = collected.stream(model, options);
    for item in stream_with_columns(dataset, stream, &collected.columns())? {
        let (encoded, raw) = item?;
        let rows = raw.num_rows() as u64;
        pool.install(|| collected.add(model, &encoded, &raw))?;
        progress.advance(rows);
    }
    progress.finish();
    let (predictions, segments) = collected.sets(options);
    progress.start("measure", None);
    let evaluation = pool.install(|| {
        evaluate(&EvalInput {
            horizons: &collected.horizons,
            labels: &collected.labels,
            predictions: &predictions,
            segments: &segments,
            bootstrap: options.bootstrap,
            reference: options.reference.as_deref(),
        })
    })?;
    progress.finish();
    Ok(evaluation)
}

/// What the pass over the dataset gathers. Matrices are row-major `[rows, horizons]`.
struct Collected {
    horizons: Horizons,
    /// Positions of the horizons among the model's.
    positions: Vec<usize>,
    labels: Vec<f64>,
    /// The model's values and medians.
    values: Vec<f64>,
    medians: Vec<f64>,
    baselines: Option<Baseline>,
    segments: Vec<Coder>,
}

impl Collected {
    /// Checks that everything fits together.
    fn prepare(
        dataset: &Dataset,
        model: Option<&dyn Predictor>,
        options: &EvaluateOptions,
    ) -> Result<Self, ScoreError> {
        let known = match (model, &options.baselines) {
            (Some(model), _) => model.horizons().clone(),
            (None, Some(baselines)) => {
                Horizons::new(baselines.horizons.iter().map(|h| h.days).collect())?
            }
            (None, None) => return Err(ScoreError::NothingToEvaluate),
        };
        let horizons = options.horizons.clone().unwrap_or_else(|| known.clone());
        let mut positions = vec![];
        if let Some(model) = model {
            check_fit(dataset, model, options.expected_window)?;
            positions = positions_in(&horizons, &known)?;
        }
        let baselines = options.baselines.as_ref();
        let baselines = baselines
            .map(|b| Baseline::new(b, dataset, &horizons))
            .transpose()?;
        let segments = options
            .segments
            .iter()
            .map(|column| Coder::new(dataset, column));
        Ok(Self {
            horizons,
            positions,
            labels: vec![],
            values: vec![],
            medians: vec![],
            baselines,
            segments: segments.collect::<Result<_, _>>()?,
        })
    }

    fn stream(&self, model: Option<&dyn Predictor>, options: &EvaluateOptions) -> StreamOptions {
        let encoding = model.map(|m| m.encoding().clone()).unwrap_or_default();
        StreamOptions {
            rows: options.rows,
            split: options.split.clone(),
            horizons: Some(self.horizons.clone()),
            batch_rows: options.batch_rows,
            ..StreamOptions::scoring(Arc::new(encoding))
        }
    }

    /// Dataset columns that are read beside the model's.
    fn columns(&self) -> Vec<String> {
        let signal = self.baselines.iter().map(|b| b.signal.clone());
        signal
            .chain(self.segments.iter().map(|s| s.column.clone()))
            .collect()
    }

    fn add(
        &mut self,
        model: Option<&dyn Predictor>,
        encoded: &EncodedRows,
        raw: &RecordBatch,
    ) -> Result<(), ScoreError> {
        self.labels.extend_from_slice(&encoded.labels);
        if let Some(model) = model {
            let rows = Scored::of(raw, "a batch of the dataset")?;
            let predictions = rows.predict(model, encoded)?;
            let width = model.horizons().len();
            for row in 0..raw.num_rows() {
                for t in &self.positions {
                    let cell = row * width + t;
                    self.values.push(predictions.values[cell]);
                    self.medians.push(predictions.quantiles[cell * 3 + 1]);
                }
            }
        }
        if let Some(baselines) = &mut self.baselines {
            baselines.add(raw)?;
        }
        self.segments.iter_mut().try_for_each(|s| s.add(raw))
    }

    /// The sets of predictions by name, and the segments.
    fn sets(&mut self, options: &EvaluateOptions) -> (Vec<NamedPredictions>, Vec<Segments>) {
        let mut sets = vec![];
        let mut push = |name: String, values| sets.push(NamedPredictions { name, values });
        if !self.positions.is_empty() {
            push(options.name.clone(), std::mem::take(&mut self.values));
            push(
                format!("{} (median)", options.name),
                std::mem::take(&mut self.medians),
            );
        }
        if let Some(baselines) = &mut self.baselines {
            let rows = self.labels.len() / self.horizons.len();
            push(
                TRIVIAL_SORT.to_owned(),
                std::mem::take(&mut baselines.trivial),
            );
            let means: Vec<f64> = baselines.means.iter().map(|h| h.label_mean).collect();
            push(TRAIN_MEAN.to_owned(), means.repeat(rows));
        }
        (sets, self.segments.drain(..).map(Coder::finish).collect())
    }
}

/// Where each of `horizons` stands among the model's.
fn positions_in(horizons: &Horizons, known: &Horizons) -> Result<Vec<usize>, ScoreError> {
    let position = |&days: &u32| {
        known.position(days).ok_or_else(|| ScoreError::Horizon {
            what: "model",
            days,
            known: known.days().to_vec(),
        })
    };
    horizons.days().iter().map(position).collect()
}

/// The trivial predictions of the rows so far.
struct Baseline {
    signal: String,
    means: Vec<BaselineHorizon>,
    trivial: Vec<f64>,
}

impl Baseline {
    fn new(
        baselines: &Baselines,
        dataset: &Dataset,
        horizons: &Horizons,
    ) -> Result<Self, ScoreError> {
        let expected = Baselines::signal_of(dataset.manifest().label);
        if baselines.signal != expected {
            return Err(ScoreError::Signal {
                path: dataset.folder().to_path_buf(),
                expected,
                found: baselines.signal.clone(),
            });
        }
        let means = |&days: &u32| {
            baselines
                .horizon(days)
                .copied()
                .ok_or_else(|| ScoreError::Horizon {
                    what: "baselines",
                    days,
                    known: baselines.horizons.iter().map(|h| h.days).collect(),
                })
        };
        Ok(Self {
            signal: baselines.signal.clone(),
            means: horizons
                .days()
                .iter()
                .map(means)
                .collect::<Result<_, _>>()?,
            trivial: vec![],
        })
    }

    fn add(&mut self, raw: &RecordBatch) -> Result<(), ScoreError> {
        let column = column(raw, &self.signal, &DataType::Float64)?;
        for signal in column.as_primitive::<Float64Type>() {
            self.trivial
                .extend(self.means.iter().map(|h| h.trivial(signal)));
        }
        Ok(())
    }
}

/// Numbers the values of a column as they appear.
struct Coder {
    column: String,
    codes: Vec<u32>,
    known: HashMap<String, u32>,
}

impl Coder {
    fn new(dataset: &Dataset, column: &str) -> Result<Self, ScoreError> {
        let manifest = dataset.manifest();
        let categorical = |kind| kind == FeatureKind::Categorical;
        let features = manifest.features.iter().filter(|f| categorical(f.kind));
        let known: Vec<String> = features
            .flat_map(|f| &f.columns)
            .chain(&manifest.keep)
            .cloned()
            .collect();
        if !known.iter().any(|name| name == column) {
            return Err(ScoreError::Segment {
                path: dataset.folder().to_path_buf(),
                column: column.to_owned(),
                known,
            });
        }
        Ok(Self {
            column: column.to_owned(),
            codes: vec![],
            known: HashMap::new(),
        })
    }

    fn add(&mut self, raw: &RecordBatch) -> Result<(), ScoreError> {
        let values = column(raw, &self.column, &DataType::Utf8)?;
        for value in values.as_string::<i32>() {
            let value = value.unwrap_or(NO_VALUE);
            let next = self.known.len() as u32;
            let code = match self.known.get(value) {
                Some(&code) => code,
                None => *self.known.entry(value.to_owned()).or_insert(next),
            };
            self.codes.push(code);
        }
        Ok(())
    }

    /// The codes again, now in the order of their values.
    fn finish(self) -> Segments {
        let mut values: Vec<(String, u32)> = self.known.into_iter().collect();
        values.sort_unstable();
        let mut code = vec![0; values.len()];
        for (new, (_, old)) in values.iter().enumerate() {
            code[*old as usize] = new as u32;
        }
        Segments {
            name: self.column,
            codes: self.codes.iter().map(|&old| code[old as usize]).collect(),
            labels: values.into_iter().map(|(value, _)| value).collect(),
        }
    }
}

/// The column `name` as `to`.
fn column(raw: &RecordBatch, name: &str, to: &DataType) -> Result<ArrayRef, ScoreError> {
    let column = raw.column_by_name(name);
    let column =
        column.ok_or_else(|| ScoreError::internal(format!("column '{name}' was not read")))?;
    cast(column, to).map_err(ScoreError::internal)
}
