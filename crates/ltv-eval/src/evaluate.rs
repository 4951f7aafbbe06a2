//! From labels and predictions to the evaluation document.

use crate::{
    bootstrap::{self, Bootstrap, Replicate},
    deciles,
    error::EvalError,
    lorenz,
    measure::measure,
    metric::{Metric, Null, Values},
    order::order_violations,
    report::{
        Curves, Evaluation, FORMAT, HorizonResult, Scope, Score, Scores, SegmentResult, SetOrder,
        VERSION,
    },
    sample::{Ranking, Sample},
    segment::{Segments, TooSmall},
    tally::Tally,
};
use ltv_core::{
    Horizons,
    progress::{Progress, Silent},
};

/// Predictions under a name: a model, a decoding of it, or a baseline.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedPredictions {
    /// The name shown in reports.
    pub name: String,
    /// Predictions in label units, row-major `[rows, horizons]`, finite and at least 0.
    pub values: Vec<f64>,
}

/// What is evaluated. All matrices are row-major with the same rows in the same order.
#[derive(Debug, Clone, Copy)]
pub struct EvalInput<'a> {
    /// The horizons, in the order of columns.
    pub horizons: &'a Horizons,
    /// Labels, `[rows, horizons]`; NaN where immature, otherwise finite and at least 0.
    pub labels: &'a [f64],
    /// At least one set of predictions.
    pub predictions: &'a [NamedPredictions],
    /// Categorical columns to report by.
    pub segments: &'a [Segments],
    /// Intervals, when wanted. Time grows with replicates x rows x sets x (1 + segments).
    pub bootstrap: Option<Bootstrap>,
    /// Name of the set that all others are compared with, in pairs.
    pub reference: Option<&'a str>,
}

/// Evaluates every set of predictions on every horizon and segment.
///
/// Rows with an immature label count for order violations only. Beside the input, memory stays at
/// about 110 bytes a row, plus 40 bytes a row and thread for intervals.
///
/// # Errors
/// When shapes or names do not fit, or a label or prediction is negative, infinite or (predictions)
/// missing; the message names set, column and row. A metric that is not defined on the data is no
/// error: it is null with a reason.
pub fn evaluate(input: &EvalInput<'_>) -> Result<Evaluation, EvalError> {
    evaluate_with_progress(input, &Silent)
}

/// As [`evaluate`], as a stage whose units are rows of a horizon, once for each set of predictions
/// among all users and among those of each segment.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_with_progress(
    input: &EvalInput<'_>,
    progress: &dyn Progress,
) -> Result<Evaluation, EvalError> {
    let rows = check(input)?;
    let mature = input.labels.iter().filter(|y| !y.is_nan()).count();
    let times = input.predictions.len() * (1 + input.segments.len());
    progress.start("measure", Some((mature * times) as u64));
    let reference = reference(input)?;
    let sets = input.predictions.iter().map(|set| SetOrder {
        name: set.name.clone(),
        order: order_violations(&set.values, input.horizons.len()),
    });
    let column = |t| Column {
        input,
        t,
        rows,
        reference,
        progress,
    };
    let results = (0..input.horizons.len()).map(|t| column(t).result());
    let results = results.collect();
    progress.finish();
    Ok(Evaluation {
        format: FORMAT.to_owned(),
        version: VERSION,
        rows: rows as u64,
        horizons: input.horizons.days().to_vec(),
        reference: input.reference.map(str::to_owned),
        bootstrap: input.bootstrap,
        sets: sets.collect(),
        results,
    })
}

/// Scores one column of predictions without intervals: for validation during training.
///
/// # Errors
/// As [`evaluate`]; `name` stands for the column in messages and for the set in the result.
pub fn score(name: &str, labels: &[f64], predictions: &[f64]) -> Result<Scores, EvalError> {
    if predictions.len() != labels.len() {
        let what = format!("predictions '{name}'");
        return Err(EvalError::Shape {
            what,
            expected: labels.len(),
            found: predictions.len(),
        });
    }
    check_rows(labels.len())?;
    let columns = [name.to_owned()];
    check_labels(labels, &columns)?;
    check_predictions(name, predictions, &columns)?;
    let mature = labels.iter().zip(predictions).filter(|(y, _)| !y.is_nan());
    let (labels, predictions): (Vec<f64>, Vec<f64>) = mature.map(|(&y, &p)| (y, p)).unzip();
    let sample = Sample::new(labels);
    Ok(Measured::new(&sample, &predictions, None, "").scores(name, None, true))
}

fn check(input: &EvalInput<'_>) -> Result<usize, EvalError> {
    let columns = input.horizons.columns();
    let (values, rows) = (input.labels.len(), input.labels.len() / columns.len());
    if rows * columns.len() != values {
        let expected = rows * columns.len();
        return Err(EvalError::Shape {
            what: "labels".to_owned(),
            expected,
            found: values,
        });
    }
    check_rows(rows)?;
    check_labels(input.labels, &columns)?;
    if input.predictions.is_empty() {
        return Err(EvalError::NoPredictions);
    }
    for set in input.predictions {
        if set.values.len() != values {
            let what = format!("predictions '{}'", set.name);
            return Err(EvalError::Shape {
                what,
                expected: values,
                found: set.values.len(),
            });
        }
        check_predictions(&set.name, &set.values, &columns)?;
    }
    input
        .segments
        .iter()
        .try_for_each(|segments| segments.check(rows))?;
    check_names(input.predictions.iter().map(|set| &set.name))?;
    check_names(input.segments.iter().map(|segments| &segments.name))?;
    input.bootstrap.iter().try_for_each(Bootstrap::check)?;
    Ok(rows)
}

pub(crate) fn check_rows(rows: usize) -> Result<(), EvalError> {
    u32::try_from(rows)
        .map(|_| ())
        .map_err(|_| EvalError::TooManyRows { rows })
}

pub(crate) fn check_labels(labels: &[f64], columns: &[String]) -> Result<(), EvalError> {
    match labels.iter().position(|y| *y < 0.0 || y.is_infinite()) {
        None => Ok(()),
        Some(i) => {
            let (row, column) = (i / columns.len(), columns[i % columns.len()].clone());
            Err(EvalError::Label {
                column,
                row,
                value: labels[i],
            })
        }
    }
}

pub(crate) fn check_predictions(
    set: &str,
    values: &[f64],
    columns: &[String],
) -> Result<(), EvalError> {
    match values.iter().position(|p| *p < 0.0 || !p.is_finite()) {
        None => Ok(()),
        Some(i) => {
            let (row, column) = (i / columns.len(), columns[i % columns.len()].clone());
            Err(EvalError::Prediction {
                set: set.to_owned(),
                column,
                row,
                value: values[i],
            })
        }
    }
}

pub(crate) fn check_names<'a>(names: impl Iterator<Item = &'a String>) -> Result<(), EvalError> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(EvalError::DuplicateName { name: name.clone() });
        }
    }
    Ok(())
}

fn reference(input: &EvalInput<'_>) -> Result<Option<usize>, EvalError> {
    let Some(name) = input.reference else {
        return Ok(None);
    };
    let found = input.predictions.iter().position(|set| set.name == name);
    found.map(Some).ok_or_else(|| EvalError::UnknownReference {
        name: name.to_owned(),
        known: input
            .predictions
            .iter()
            .map(|set| set.name.clone())
            .collect(),
    })
}

/// One horizon of the input.
struct Column<'a> {
    input: &'a EvalInput<'a>,
    t: usize,
    rows: usize,
    reference: Option<usize>,
    progress: &'a dyn Progress,
}

impl Column<'_> {
    fn result(&self) -> HorizonResult {
        let horizon = self.input.horizons.days()[self.t];
        let mature: Vec<u32> = (0..self.rows as u32)
            .filter(|&row| !self.cell(self.input.labels, row).is_nan())
            .collect();
        let stream = bootstrap::stream(horizon);
        let segments = self.input.segments.iter().map(|segments| {
            let parts = segments.split(&mature);
            let values = parts.iter().zip(&segments.labels).map(|(rows, label)| {
                self.scope(
                    label,
                    rows,
                    &format!("{stream}/{}/{label}", segments.name),
                    true,
                )
            });
            SegmentResult {
                name: segments.name.clone(),
                values: values.collect(),
            }
        });
        HorizonResult {
            horizon,
            immature: (self.rows - mature.len()) as u64,
            calibration: None,
            segments: segments.collect(),
            overall: self.scope("all", &mature, &stream, false),
        }
    }

    fn cell(&self, matrix: &[f64], row: u32) -> f64 {
        matrix[row as usize * self.input.horizons.len() + self.t]
    }

    fn scope(&self, label: &str, rows: &[u32], stream: &str, segment: bool) -> Scope {
        let gather = |matrix: &[f64]| -> Vec<f64> {
            rows.iter().map(|&row| self.cell(matrix, row)).collect()
        };
        let sample = Sample::new(gather(self.input.labels));
        let positives = sample.positives();
        let reason = TooSmall::check(rows.len(), positives).filter(|_| segment);
        let mut scores = Vec::new();
        if reason.is_none() {
            let sets = self.input.predictions.iter();
            let measured: Vec<Measured> = sets
                .map(|set| {
                    let predictions = gather(&set.values);
                    let bootstrap = self.input.bootstrap.as_ref();
                    let measured = Measured::new(&sample, &predictions, bootstrap, stream);
                    self.progress.advance(rows.len() as u64);
                    measured
                })
                .collect();
            for (i, set) in self.input.predictions.iter().enumerate() {
                let other = self.reference.filter(|&r| r != i).map(|r| &measured[r]);
                scores.push(measured[i].scores(&set.name, other, !segment));
            }
        } else {
            let left_out = rows.len() * self.input.predictions.len();
            self.progress.advance(left_out as u64);
        }
        let (label, rows) = (label.to_owned(), rows.len() as u64);
        Scope {
            label,
            rows,
            positives: positives as u64,
            reason,
            scores,
        }
    }
}

/// One prediction set on one set of rows, before it is put into words.
struct Measured {
    values: Values,
    replicates: Vec<Replicate>,
    deciles: Vec<deciles::Decile>,
    curves: Option<Curves>,
}

impl Measured {
    fn new(
        sample: &Sample,
        predictions: &[f64],
        bootstrap: Option<&Bootstrap>,
        stream: &str,
    ) -> Self {
        let ranking = Ranking::new(sample, predictions);
        let mut tally = Tally::default();
        let values = measure(sample, &ranking, &vec![1; sample.rows()], &mut tally);
        let deciles = deciles::deciles(&tally);
        let curves = curves(sample, &tally);
        let replicates = bootstrap
            .map(|bootstrap| bootstrap::replicates(sample, &ranking, bootstrap, stream))
            .unwrap_or_default();
        Self {
            values,
            replicates,
            deciles,
            curves,
        }
    }

    fn scores(&self, name: &str, reference: Option<&Self>, curves: bool) -> Scores {
        let metrics = Metric::ALL.map(|metric| {
            let interval = bootstrap::interval(&self.replicates, metric);
            Score::new(metric, self.values.get(metric), interval)
        });
        let differences = reference.map(|other| {
            Metric::ALL.map(|metric| {
                let (ours, theirs) = (self.values.get(metric), other.values.get(metric));
                let difference = ours.and_then(|a| finite(a - theirs?));
                let pairs = (&self.replicates, &other.replicates);
                let interval = bootstrap::paired_interval(pairs.0, pairs.1, metric);
                Score::new(metric, difference, interval)
            })
        });
        Scores {
            set: name.to_owned(),
            metrics: metrics.to_vec(),
            differences: differences.map(Vec::from).unwrap_or_default(),
            deciles: self.deciles.clone(),
            curves: self.curves.clone().filter(|_| curves),
        }
    }
}

fn finite(value: f64) -> Result<f64, Null> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Null::Overflow)
    }
}

/// The curves at every percent of users.
fn curves(sample: &Sample, tally: &Tally) -> Option<Curves> {
    let (labels, predictions) = (tally.label_total, tally.prediction_total);
    if !(labels > 0.0 && predictions > 0.0 && (labels + predictions).is_finite()) {
        return None;
    }
    let places: [f64; 101] = std::array::from_fn(|percent| tally.rows * percent as f64 / 100.0);
    let shares = |masses: [f64; 101], total: f64| masses.map(|mass| (mass / total).min(1.0)).into();
    Some(Curves {
        label: shares(
            lorenz::masses_at(tally.label_pieces(sample), places),
            labels,
        ),
        prediction: shares(
            lorenz::masses_at(tally.prediction_pieces(), places),
            predictions,
        ),
        gain: shares(lorenz::masses_at(tally.gain_pieces(), places), labels),
    })
}
