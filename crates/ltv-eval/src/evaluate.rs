//! From labels and predictions to the evaluation document.

use crate::{
    bootstrap::Bootstrap,
    error::EvalError,
    order::order_violations,
    report::{Evaluation, FORMAT, HorizonResult, Scope, Scores, SegmentResult, SetOrder, VERSION},
    sample::Sample,
    scope::{Frame, Measured, Place},
    segment::Segments,
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
    let find = |name| find_reference(name, input.predictions.iter().map(|set| &set.name));
    let reference = input.reference.map(find).transpose()?;
    let mature = input.labels.iter().filter(|y| !y.is_nan()).count();
    let times = input.predictions.len() * (1 + input.segments.len());
    progress.start("measure", Some((mature * times) as u64));
    let sets = input.predictions.iter().map(|set| SetOrder {
        name: set.name.clone(),
        order: order_violations(&set.values, input.horizons.len()),
    });
    let names: Vec<&str> = input.predictions.iter().map(|set| &*set.name).collect();
    let frame = Frame {
        names: &names,
        bootstrap: input.bootstrap.as_ref(),
        reference,
        progress,
    };
    let column = |t| Column {
        input,
        t,
        rows,
        frame,
        progress,
    };
    let results: Result<_, _> = (0..input.horizons.len())
        .map(|t| column(t).result())
        .collect();
    progress.finish();
    Ok(Evaluation {
        format: FORMAT.to_owned(),
        version: VERSION,
        rows: rows as u64,
        horizons: input.horizons.days().to_vec(),
        reference: input.reference.map(str::to_owned),
        bootstrap: input.bootstrap,
        sets: sets.collect(),
        results: results?,
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
    Ok(Measured::new(&sample, &predictions, (None, "", &Silent)).scores(name, None, true))
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

/// Where the set called `name` stands.
pub(crate) fn find_reference<'a>(
    name: &str,
    mut sets: impl Iterator<Item = &'a String> + Clone,
) -> Result<usize, EvalError> {
    let known = sets.clone();
    sets.position(|set| set == name)
        .ok_or_else(|| EvalError::UnknownReference {
            name: name.to_owned(),
            known: known.cloned().collect(),
        })
}

/// One horizon of the input.
struct Column<'a> {
    input: &'a EvalInput<'a>,
    t: usize,
    rows: usize,
    frame: Frame<'a>,
    progress: &'a dyn Progress,
}

impl Column<'_> {
    fn result(&self) -> Result<HorizonResult, EvalError> {
        let horizon = self.input.horizons.days()[self.t];
        let mature: Vec<u32> = (0..self.rows as u32)
            .filter(|&row| !self.cell(self.input.labels, row).is_nan())
            .collect();
        let overall = Place::overall(horizon);
        let segments = self.input.segments.iter().map(|segments| {
            let parts = segments.split(&mature);
            let values = parts.iter().zip(&segments.labels).map(|(rows, label)| {
                self.scope(rows, &Place::segment(horizon, &segments.name, label))
            });
            Ok(SegmentResult {
                name: segments.name.clone(),
                values: values.collect::<Result<_, _>>()?,
            })
        });
        Ok(HorizonResult {
            horizon,
            immature: (self.rows - mature.len()) as u64,
            calibration: None,
            segments: segments.collect::<Result<_, _>>()?,
            overall: self.scope(&mature, &overall)?,
        })
    }

    fn cell(&self, matrix: &[f64], row: u32) -> f64 {
        matrix[row as usize * self.input.horizons.len() + self.t]
    }

    fn scope(&self, rows: &[u32], place: &Place) -> Result<Scope, EvalError> {
        let gather = |matrix: &[f64]| -> Vec<f64> {
            rows.iter().map(|&row| self.cell(matrix, row)).collect()
        };
        let sets = self.input.predictions.len();
        let mut told = 0;
        let scope = self.frame.scope(place, gather(self.input.labels), |set| {
            // All sets before this one are measured.
            self.progress.advance(((set - told) * rows.len()) as u64);
            told = set;
            Ok(gather(&self.input.predictions[set].values))
        })?;
        self.progress.advance(((sets - told) * rows.len()) as u64);
        Ok(scope)
    }
}
