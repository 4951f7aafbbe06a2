//! From files to the evaluation document.

use super::{
    Limits, SpillOptions, Work, file::Stretch, labels::Labels, parts::Parts, predictions::Sorted,
    sampled::Drawn,
};
use crate::{
    bootstrap::Bootstrap,
    error::EvalError,
    evaluate::{check_names, find_reference},
    order::OrderTally,
    report::{Evaluation, FORMAT, HorizonResult, Scope, SegmentResult, SetOrder, VERSION},
    scope::{Frame, Measured, Place},
};
use ltv_core::{Horizons, progress::Progress};

/// The mature rows of one horizon, some of them.
#[derive(Debug, Clone, Copy)]
pub struct MatureBlock<'a> {
    /// Labels.
    pub labels: &'a [f64],
    /// The predictions of each set.
    pub predictions: &'a [Vec<f64>],
    /// The codes of each categorical column.
    pub codes: &'a [Vec<u32>],
}

/// What the codes of a categorical column mean, once all rows are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codes {
    /// Name of the column.
    pub name: String,
    /// For each code given with rows, an index into `labels`.
    pub meaning: Vec<u32>,
    /// The values of the column, to report by.
    pub labels: Vec<String>,
}

/// Rows in scratch files, to be measured.
#[derive(Debug)]
pub struct Spilled {
    pub(super) options: SpillOptions,
    pub(super) horizons: Horizons,
    pub(super) sets: Vec<String>,
    pub(super) orders: Vec<OrderTally>,
    pub(super) rows: u64,
    pub(super) columns: Vec<Mature>,
}

/// The mature rows of a horizon.
#[derive(Debug)]
pub(super) struct Mature {
    pub(super) rows: Rows,
    pub(super) codes: Vec<Stretch>,
    pub(super) immature: u64,
}

/// The rows of a scope: each column a stretch.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) labels: Stretch,
    pub(super) predictions: Vec<Stretch>,
    pub(super) positives: u64,
}

/// How to evaluate what was spilled; as in [`crate::EvalInput`].
#[derive(Debug, Clone, Copy)]
pub struct SpillInput<'a> {
    /// What the first columns of codes mean; to report by.
    pub segments: &'a [Codes],
    /// Intervals, when wanted.
    pub bootstrap: Option<Bootstrap>,
    /// Name of the set that all others are compared with, in pairs.
    pub reference: Option<&'a str>,
}

impl Spilled {
    /// Names of the sets of predictions.
    pub fn sets(&self) -> &[String] {
        &self.sets
    }

    /// Rows with a mature label of the horizon in place `t`.
    pub fn mature(&self, t: usize) -> u64 {
        self.columns.get(t).map_or(0, |c| c.rows.labels.len())
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        let columns = (1 + self.sets.len()) as u64;
        let of = |c: &Mature| 8 * c.rows.labels.len() * (columns + c.codes.len() as u64);
        self.columns.iter().map(of).sum()
    }

    /// Reads the mature rows of the horizon in place `t` again, in the order in which they came.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn read(&self, t: usize, mut each: impl FnMut(&MatureBlock<'_>)) -> Result<(), EvalError> {
        const ROWS: usize = 1 << 14;
        let (buffer, columns) = (8 * ROWS, &self.columns[t]);
        let mut labels_reader = columns.rows.labels.reader(buffer);
        let readers = |stretches: &[Stretch]| -> Vec<_> {
            stretches.iter().map(|s| s.reader(buffer)).collect()
        };
        let mut sets = readers(&columns.rows.predictions);
        let mut coders = readers(&columns.codes);
        let (mut labels, mut column) = (vec![], vec![]);
        let mut predictions = vec![vec![]; sets.len()];
        let mut codes = vec![vec![]; coders.len()];
        loop {
            labels_reader.block(ROWS, &mut labels)?;
            if labels.is_empty() {
                return Ok(());
            }
            for (reader, set) in sets.iter_mut().zip(&mut predictions) {
                reader.block(ROWS, set)?;
            }
            for (reader, codes) in coders.iter_mut().zip(&mut codes) {
                reader.block(ROWS, &mut column)?;
                codes.clear();
                codes.extend(column.iter().map(|&code| code as u32));
            }
            each(&MatureBlock {
                labels: &labels,
                predictions: &predictions,
                codes: &codes,
            });
        }
    }

    /// Evaluates every set of predictions on every horizon and segment, as [`crate::evaluate`] does.
    /// What differs is said in [`crate::spill`].
    ///
    /// # Errors
    /// When names do not fit or a file cannot be made, written or read.
    pub fn evaluate(
        &self,
        input: &SpillInput<'_>,
        progress: &dyn Progress,
    ) -> Result<Evaluation, EvalError> {
        self.evaluate_within(input, progress, Limits::of(self.options.memory))
    }

    pub(super) fn evaluate_within(
        &self,
        input: &SpillInput<'_>,
        progress: &dyn Progress,
        limits: Limits,
    ) -> Result<Evaluation, EvalError> {
        check_names(input.segments.iter().map(|codes| &codes.name))?;
        input.bootstrap.iter().try_for_each(Bootstrap::check)?;
        let find = |name| find_reference(name, self.sets.iter());
        let names: Vec<&str> = self.sets.iter().map(String::as_str).collect();
        let measure = Measure {
            work: Work {
                folder: &self.options.folder,
                limits,
                progress,
            },
            frame: Frame {
                names: &names,
                bootstrap: input.bootstrap.as_ref(),
                reference: input.reference.map(find).transpose()?,
                progress,
            },
        };
        let horizons = self.horizons.days().iter().zip(&self.columns);
        let results =
            horizons.map(|(&days, columns)| measure.horizon(days, columns, input.segments));
        let sets = self.sets.iter().zip(&self.orders);
        Ok(Evaluation {
            format: FORMAT.to_owned(),
            version: VERSION,
            rows: self.rows,
            horizons: self.horizons.days().to_vec(),
            reference: input.reference.map(str::to_owned),
            bootstrap: input.bootstrap,
            results: results.collect::<Result<_, _>>()?,
            sets: sets
                .map(|(name, order)| SetOrder {
                    name: name.clone(),
                    order: order.shares(),
                })
                .collect(),
        })
    }
}

/// Measures scopes.
struct Measure<'a> {
    work: Work<'a>,
    frame: Frame<'a>,
}

impl Measure<'_> {
    fn horizon(
        &self,
        days: u32,
        columns: &Mature,
        segments: &[Codes],
    ) -> Result<HorizonResult, EvalError> {
        let segments = segments.iter().zip(&columns.codes).map(|(codes, stretch)| {
            let parts = self.split(&columns.rows, codes, stretch)?;
            let values =
                codes.labels.iter().zip(parts).map(|(label, rows)| {
                    self.scope(&rows, &Place::segment(days, &codes.name, label))
                });
            Ok(SegmentResult {
                name: codes.name.clone(),
                values: values.collect::<Result<_, _>>()?,
            })
        });
        Ok(HorizonResult {
            horizon: days,
            immature: columns.immature,
            calibration: None,
            segments: segments.collect::<Result<_, _>>()?,
            overall: self.scope(&columns.rows, &Place::overall(days))?,
        })
    }

    fn scope(&self, rows: &Rows, place: &Place) -> Result<Scope, EvalError> {
        let mut scope = place.scope(rows.labels.len(), rows.positives);
        if scope.reason.is_some() {
            return Ok(scope);
        }
        if rows.labels.len() <= self.work.limits.whole {
            let labels = self.work.column(&rows.labels)?;
            let set = |set: usize| self.work.column(&rows.predictions[set]);
            return self.frame.scope(place, labels, set);
        }
        let labels = Labels::new(&self.work, &rows.labels)?;
        let drawn = match self.frame.bootstrap {
            Some(bootstrap) => Some(Drawn::new(&self.work, &rows.labels, bootstrap, place)?),
            None => None,
        };
        let measured = rows.predictions.iter().map(|predictions| {
            let sorted = Sorted::new(&self.work, &rows.labels, &labels, predictions)?;
            let mut measured = Measured::of(&sorted);
            sorted.finish()?;
            if let Some(drawn) = &drawn {
                measured.replicates =
                    drawn.replicates(&self.work, predictions, &measured.values)?;
            }
            Ok(measured)
        });
        let measured: Vec<_> = measured.collect::<Result<_, _>>()?;
        scope.scores = self.frame.scores(place, &measured);
        scope.drawn = drawn.map(|drawn| drawn.rows());
        Ok(scope)
    }

    /// The rows of each value of a column.
    fn split(&self, rows: &Rows, codes: &Codes, column: &Stretch) -> Result<Vec<Rows>, EvalError> {
        let parts = Parts::count(&self.work, codes, column)?;
        let labels = parts.split(&self.work, &rows.labels)?;
        let predictions: Vec<Vec<Stretch>> = rows
            .predictions
            .iter()
            .map(|set| parts.split(&self.work, set))
            .collect::<Result<_, _>>()?;
        let part = |(part, labels): (usize, Stretch)| {
            let mut positives = 0;
            self.work.chunks(&labels, |chunk| {
                positives += chunk.iter().filter(|&&y| y > 0.0).count() as u64;
                Ok(())
            })?;
            Ok(Rows {
                labels,
                predictions: predictions.iter().map(|set| set[part].clone()).collect(),
                positives,
            })
        };
        labels.into_iter().enumerate().map(part).collect()
    }
}
