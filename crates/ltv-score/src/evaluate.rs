//! Labels of a dataset against the predictions of a model and of the baselines, in one pass.

use crate::{
    ScoreError,
    batch::Rows as Scored,
    model::{at_least_one, check_fit, pool},
    users::UserOrder,
};
use arrow::{
    array::{ArrayRef, AsArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Float64Type},
};
use ltv_core::{
    Day, Horizons,
    baseline::{BaselineHorizon, Baselines},
    config::{Mature, Part, Split},
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
use std::{cmp::Reverse, collections::HashMap, path::PathBuf, sync::Arc};

/// Name of the baseline that ranks by what a user did in the observation window.
pub const TRIVIAL_SORT: &str = "trivial sort";
/// Name of the baseline that predicts one number for everybody.
pub const TRAIN_MEAN: &str = "train mean";
/// Segment of rows without a value.
pub const NO_VALUE: &str = "(missing)";
/// Segment of the rows whose value is not among the [`MOST_SEGMENTS`] most frequent.
pub const OTHER: &str = "(other)";
/// Values of a column that are reported by themselves.
pub const MOST_SEGMENTS: usize = 50;
/// Values of a column that are told apart, so that memory is bounded.
const MOST_VALUES: usize = 100_000;

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
    /// Columns to report by: categorical features or kept columns that are not measurements. Values
    /// beyond the [`MOST_SEGMENTS`] most frequent become [`OTHER`].
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
/// When there is nothing, or nobody with a mature label, to evaluate; when model, baselines and dataset do not fit each other (a
/// horizon, feature, window or label that one of them lacks); when a segment column is not
/// categorical or has too many values; when a file cannot be read; and as [`ltv_eval::evaluate`].
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
    if collected.labels.iter().all(|label| label.is_nan()) {
        return Err(nobody(dataset, &collected.horizons, options));
    }
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

/// Why nobody has a label to evaluate on.
fn nobody(dataset: &Dataset, horizons: &Horizons, options: &EvaluateOptions) -> ScoreError {
    let (manifest, split) = (dataset.manifest(), &options.split);
    let mut wanted = match options.rows {
        Rows::Part(Part::Test) => format!("users of the test split (split.test = {})", split.test),
        Rows::Part(Part::Validation) => "users of the validation split".to_owned(),
        Rows::Part(Part::Train) => "users of the training split".to_owned(),
        Rows::All | Rows::Mature => "users".to_owned(),
    };
    let (mut from, mut before) = (split.registered_from, split.registered_before);
    let mut days = horizons.shortest();
    if options.rows == Rows::All {
        (from, before) = (None, None);
    } else {
        days = match split.mature {
            Mature::Shortest => manifest.horizons.shortest(),
            Mature::Longest => manifest.horizons.longest(),
        };
    }
    if let Some(day) = from {
        wanted.push_str(&format!(" registered on {day} or later"));
    }
    if let Some(day) = before {
        let and = from.map_or(" registered", |_| " and");
        wanted.push_str(&format!("{and} before {day}"));
    }
    let (as_of, until) = (manifest.as_of, manifest.window_days + days);
    wanted.push_str(&format!(
        " with events and a label of {days} days that was known on {as_of}, which takes a \
         registration on {} or before",
        Day(as_of.0.saturating_sub_unsigned(until))
    ));
    ScoreError::Nobody {
        path: dataset.folder().to_path_buf(),
        rows: dataset.rows(),
        wanted,
    }
}

/// What the pass over the dataset gathers. Matrices are row-major `[rows, horizons]`.
struct Collected {
    horizons: Horizons,
    /// Positions of the horizons among the model's.
    positions: Vec<usize>,
    /// Where we are. Only with [`Rows::All`] does this count rows of files; the other choices read
    /// ids and status themselves, and find what is wrong with them first.
    order: UserOrder,
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
            order: UserOrder::new(dataset),
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
            let rows = Scored::of(raw, "").map_err(|e| self.order.place(e))?;
            self.order.skip(raw.num_rows());
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
    path: PathBuf,
    column: String,
    codes: Vec<u32>,
    known: HashMap<String, u32>,
}

impl Coder {
    fn new(dataset: &Dataset, column: &str) -> Result<Self, ScoreError> {
        let path = || dataset.folder().to_path_buf();
        let (known, column) = (segment_columns(dataset), column.to_owned());
        let Some((_, found)) = known.iter().find(|(name, _)| *name == column) else {
            let known = known.into_iter().map(|(name, _)| name).collect();
            return Err(ScoreError::Segment {
                path: path(),
                column,
                known,
            });
        };
        if is_measurement(found) {
            let found = found.to_string();
            let categories = known.into_iter().filter(|(_, t)| !is_measurement(t));
            return Err(ScoreError::SegmentType {
                path: path(),
                column,
                found,
                known: categories.map(|(name, _)| name).collect(),
            });
        }
        Ok(Self {
            path: path(),
            column,
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
        if self.known.len() > MOST_VALUES {
            return Err(ScoreError::SegmentValues {
                path: self.path.clone(),
                column: self.column.clone(),
                most: MOST_VALUES,
            });
        }
        Ok(())
    }

    /// The codes again, now in the order of their values, rare ones last and together.
    fn finish(self) -> Segments {
        let mut values: Vec<(String, u32)> = self.known.into_iter().collect();
        values.sort_unstable();
        let mut counts = vec![0_u64; values.len()];
        for &code in &self.codes {
            counts[code as usize] += 1;
        }
        if values.len() > MOST_SEGMENTS {
            // A stable sort: of values as frequent as each other the first ones stay.
            values.sort_by_key(|(_, code)| Reverse(counts[*code as usize]));
            values[..MOST_SEGMENTS].sort_unstable();
        }
        let mut new_code = vec![0; values.len()];
        for (new, (_, old)) in values.iter().enumerate() {
            new_code[*old as usize] = new.min(MOST_SEGMENTS) as u32;
        }
        let rare = values.len() > MOST_SEGMENTS;
        let kept = values.into_iter().take(MOST_SEGMENTS);
        let labels = kept.map(|(value, _)| value);
        let codes = self.codes.iter().map(|&old| new_code[old as usize]);
        Segments {
            name: self.column,
            codes: codes.collect(),
            labels: labels.chain(rare.then(|| OTHER.to_owned())).collect(),
        }
    }
}

/// The columns that may hold categories, with their types: categorical features and kept columns.
fn segment_columns(dataset: &Dataset) -> Vec<(String, DataType)> {
    let manifest = dataset.manifest();
    let categorical = |kind| kind == FeatureKind::Categorical;
    let features = manifest.features.iter().filter(|f| categorical(f.kind));
    let names = features.flat_map(|f| &f.columns).chain(&manifest.keep);
    let schema = dataset.files().first().map(|file| file.schema());
    let kind = |name: &String| {
        let field = schema.and_then(|s| s.field_with_name(name).ok());
        field.map_or(DataType::Utf8, |f| f.data_type().clone())
    };
    names.map(|name| (name.clone(), kind(name))).collect()
}

/// Whether values of this type measure something and so are no categories.
fn is_measurement(kind: &DataType) -> bool {
    kind.is_floating() || kind.is_decimal()
}

/// The column `name` as `to`.
fn column(raw: &RecordBatch, name: &str, to: &DataType) -> Result<ArrayRef, ScoreError> {
    let column = raw.column_by_name(name);
    let column =
        column.ok_or_else(|| ScoreError::internal(format!("column '{name}' was not read")))?;
    cast(column, to).map_err(ScoreError::internal)
}
