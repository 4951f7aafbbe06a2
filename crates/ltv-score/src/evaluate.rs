//! Labels of a dataset against the predictions of a model and of the baselines, in one pass.

mod baseline;
mod coder;
mod evidence;
mod files;

pub use coder::{COHORT, Coder, MOST_SEGMENTS, Months, NO_VALUE, OTHER};
pub use evidence::{Breakdown, Evidence, Group, QUANTILES, QuantileTally, Tally, histograms};

use crate::{
    ScoreError,
    batch::Rows as Scored,
    model::{at_least_one, check_fit, pool},
    users::Place,
};
use arrow::{
    array::{ArrayRef, RecordBatch},
    compute::cast,
    datatypes::DataType,
};
use baseline::Baseline;
use ltv_core::{
    Day, Horizons,
    baseline::Baselines,
    config::{Mature, Part, Split},
    encoding::EncodedRows,
    predictor::Predictor,
    progress::{Progress, Stretch},
};
use ltv_data::{
    Dataset,
    split::Rows,
    stream::{StreamOptions, stream_with_columns},
};
use ltv_eval::{
    Bootstrap, EvalInput, Evaluation, NamedPredictions, Segments, Spill, SpillOptions,
    evaluate_with_progress,
};
use rayon::ThreadPool;
use std::sync::Arc;

/// Name of the baseline that ranks by what a user did in the observation window.
pub const TRIVIAL_SORT: &str = "trivial sort";
/// Name of the baseline that predicts one number for everybody.
pub const TRAIN_MEAN: &str = "train mean";
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
    /// Where rows go that would take more memory than they may; `None` keeps all in memory.
    pub spill: Option<SpillOptions>,
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
            spill: None,
        }
    }
}

/// Evaluates a model, the baselines or both on the labels of `dataset`.
///
/// The sets of the result are, in this order: the model's published values, their median, the
/// baselines [`TRIVIAL_SORT`] and [`TRAIN_MEAN`]. Rows whose labels are immature count for order
/// violations only.
///
/// In memory a row takes 8 bytes for each horizon and set, the labels being one more set, 4 for each
/// segment column, and what [`ltv_eval::evaluate`] needs. Where [`EvaluateOptions::spill`] says so and
/// all rows would take more than it allows, they go to scratch files instead
/// ([`ltv_eval::spill`]): the same metrics, with intervals from some of the rows.
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
    Ok(assess_dataset(dataset, model, options, progress)?.0)
}

/// As [`evaluate_dataset`], with what a report shows beside metrics.
///
/// # Errors
/// As [`evaluate_dataset`].
pub fn assess_dataset(
    dataset: &Dataset,
    model: Option<&dyn Predictor>,
    options: &EvaluateOptions,
    progress: &dyn Progress,
) -> Result<(Evaluation, Evidence), ScoreError> {
    at_least_one("batch_rows", options.batch_rows)?;
    let pool = pool(options.threads)?;
    let mut collected = Collected::prepare(dataset, model, options)?;
    progress.start("read labels and predict", Some(dataset.rows()));
    let stream = collected.stream(model, options);
    let stream = stream_with_columns(dataset, stream, &collected.columns())?;
    for item in stream.told(progress) {
        let (encoded, raw) = item?;
        Stretch::of(progress, "predicting", || {
            pool.install(|| collected.add(model, &encoded, &raw))
        })?;
        collected.make_room(options)?;
    }
    progress.finish();
    let found = match collected.spill.take() {
        Some(spill) => collected.measure_files(spill, options, (&pool, progress))?,
        None => collected.measure(options, (&pool, progress))?,
    };
    let (mut evaluation, evidence) =
        found.ok_or_else(|| nobody(dataset, &collected.horizons, options))?;
    for (t, result) in evaluation.results.iter_mut().enumerate() {
        result.calibration = evidence.calibration(t);
    }
    Ok((evaluation, evidence))
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
    place: Place,
    labels: Vec<f64>,
    /// The model's values and medians.
    values: Vec<f64>,
    medians: Vec<f64>,
    baselines: Option<Baseline>,
    segments: Vec<Coder>,
    months: Months,
    tally: Tally,
    /// The rows that are no longer in memory.
    spill: Option<Spill>,
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
            tally: Tally::new(horizons.len()),
            months: Months::default(),
            horizons,
            positions,
            place: Place::new(dataset),
            labels: vec![],
            values: vec![],
            medians: vec![],
            baselines,
            segments: segments.collect::<Result<_, _>>()?,
            spill: None,
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
            let rows = Scored::of(raw, "").map_err(|e| self.place.place(e))?;
            self.place.skip(raw.num_rows());
            let width = model.horizons().len();
            let mut labels = vec![f64::NAN; raw.num_rows() * width];
            let own = encoded.labels.chunks_exact(self.positions.len());
            for (all, own) in labels.chunks_exact_mut(width).zip(own) {
                let cells = self.positions.iter().zip(own);
                cells.for_each(|(&t, &label)| all[t] = label);
            }
            let (predictions, located) = rows.locate(model, encoded, &labels)?;
            self.tally
                .add(&predictions, &located, &self.positions, &encoded.labels);
            for row in 0..raw.num_rows() {
                for t in &self.positions {
                    let cell = row * width + t;
                    self.values.push(predictions.values[cell]);
                    self.medians.extend(predictions.quantiles.get(cell * 3 + 1));
                }
            }
        }
        if let Some(baselines) = &mut self.baselines {
            baselines.add(raw)?;
        }
        self.months.add(raw)?;
        self.segments.iter_mut().try_for_each(|s| s.add(raw))
    }

    /// Measures rows in memory; none when nobody has a label.
    fn measure(
        &mut self,
        options: &EvaluateOptions,
        (pool, progress): (&ThreadPool, &dyn Progress),
    ) -> Result<Option<(Evaluation, Evidence)>, ScoreError> {
        if self.labels.iter().all(|label| label.is_nan()) {
            return Ok(None);
        }
        let predictions = self.sets(options);
        let segments: Vec<Segments> = self.segments.drain(..).map(Coder::finish).collect();
        let evidence = self.evidence(&predictions, &segments);
        let input = EvalInput {
            horizons: &self.horizons,
            labels: &self.labels,
            predictions: &predictions,
            segments: &segments,
            bootstrap: options.bootstrap,
            reference: options.reference.as_deref(),
        };
        let evaluation = pool.install(|| evaluate_with_progress(&input, progress))?;
        Ok(Some((evaluation, evidence)))
    }

    /// What a report shows beside metrics.
    fn evidence(&mut self, sets: &[NamedPredictions], segments: &[Segments]) -> Evidence {
        let months = std::mem::take(&mut self.months).finish();
        let columns = std::iter::once((&months, true)).chain(segments.iter().map(|s| (s, false)));
        let breakdown =
            |(codes, ordered)| Breakdown::new(codes, ordered, &self.horizons, &self.labels, sets);
        let breakdowns = columns.map(breakdown).collect();
        let labels = histograms(&self.labels, self.horizons.len());
        std::mem::take(&mut self.tally).finish(labels, breakdowns)
    }

    /// The sets of predictions of the rows in memory, by name; they are taken out.
    fn sets(&mut self, options: &EvaluateOptions) -> Vec<NamedPredictions> {
        let mut sets = vec![];
        let mut push = |name: String, values| sets.push(NamedPredictions { name, values });
        if !self.positions.is_empty() {
            push(options.name.clone(), std::mem::take(&mut self.values));
            if !self.medians.is_empty() {
                let name = format!("{} (median)", options.name);
                push(name, std::mem::take(&mut self.medians));
            }
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
        sets
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

/// The column `name` as `to`.
fn column(raw: &RecordBatch, name: &str, to: &DataType) -> Result<ArrayRef, ScoreError> {
    let column = raw.column_by_name(name);
    let column =
        column.ok_or_else(|| ScoreError::internal(format!("column '{name}' was not read")))?;
    cast(column, to).map_err(ScoreError::internal)
}
