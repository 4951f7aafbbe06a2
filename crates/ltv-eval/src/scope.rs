//! One set of rows, such as a horizon's or those of a segment: every prediction set on it.

use crate::{
    bootstrap::{self, Bootstrap, Replicate},
    deciles,
    error::EvalError,
    lorenz,
    measure::measure,
    metric::{Metric, Null, Values},
    report::{Curves, Scope, Score, Scores},
    sample::{Ranking, Sample},
    segment::TooSmall,
    tally::{Sums, Tally},
};
use ltv_core::progress::Progress;

/// What all scopes of an evaluation have in common.
#[derive(Clone, Copy)]
pub(crate) struct Frame<'a> {
    /// The prediction sets.
    pub(crate) names: &'a [&'a str],
    pub(crate) bootstrap: Option<&'a Bootstrap>,
    /// The set that others are compared with.
    pub(crate) reference: Option<usize>,
    /// Told of resamples.
    pub(crate) progress: &'a dyn Progress,
}

/// Which scope.
#[derive(Debug)]
pub(crate) struct Place {
    label: String,
    /// Name of its stream of random numbers.
    pub(crate) stream: String,
    segment: bool,
}

impl Place {
    /// All rows of a horizon.
    pub(crate) fn overall(horizon: u32) -> Self {
        Self {
            label: "all".to_owned(),
            stream: bootstrap::stream(horizon),
            segment: false,
        }
    }

    /// Those of a value of a column.
    pub(crate) fn segment(horizon: u32, column: &str, label: &str) -> Self {
        Self {
            label: label.to_owned(),
            stream: format!("{}/{column}/{label}", bootstrap::stream(horizon)),
            segment: true,
        }
    }

    /// The scope with nothing measured yet; its `reason` says whether it is to be.
    pub(crate) fn scope(&self, rows: u64, positives: u64) -> Scope {
        Scope {
            label: self.label.clone(),
            rows,
            positives,
            reason: TooSmall::check(rows, positives).filter(|_| self.segment),
            drawn: None,
            scores: vec![],
        }
    }
}

impl Frame<'_> {
    /// Measures rows in memory. `predictions` gives those of a set.
    pub(crate) fn scope(
        &self,
        place: &Place,
        labels: Vec<f64>,
        mut predictions: impl FnMut(usize) -> Result<Vec<f64>, EvalError>,
    ) -> Result<Scope, EvalError> {
        let sample = Sample::new(labels);
        let mut scope = place.scope(sample.rows() as u64, sample.positives() as u64);
        if scope.reason.is_none() {
            let measured: Result<Vec<_>, _> = (0..self.names.len())
                .map(|set| {
                    let predictions = predictions(set)?;
                    let how = (self.bootstrap, &*place.stream, self.progress);
                    Ok(Measured::new(&sample, &predictions, how))
                })
                .collect();
            scope.scores = self.scores(place, &measured?);
        }
        Ok(scope)
    }

    /// The scores of all sets.
    pub(crate) fn scores(&self, place: &Place, measured: &[Measured]) -> Vec<Scores> {
        let sets = self.names.iter().zip(measured).enumerate();
        sets.map(|(i, (name, own))| {
            let other = self.reference.filter(|&r| r != i).map(|r| &measured[r]);
            own.scores(name, other, !place.segment)
        })
        .collect()
    }
}

/// One prediction set on one set of rows, before it is put into words.
pub(crate) struct Measured {
    pub(crate) values: Values,
    pub(crate) replicates: Vec<Replicate>,
    deciles: Vec<deciles::Decile>,
    curves: Option<Curves>,
}

impl Measured {
    /// Of rows in memory.
    pub(crate) fn new(
        sample: &Sample,
        predictions: &[f64],
        (bootstrap, stream, progress): (Option<&Bootstrap>, &str, &dyn Progress),
    ) -> Self {
        let ranking = Ranking::new(sample, predictions);
        let mut tally = Tally::default();
        let sums = tally.fill(sample, &ranking, &vec![1; sample.rows()]);
        let replicates = bootstrap
            .map(|bootstrap| bootstrap::replicates(sample, &ranking, bootstrap, stream, progress))
            .unwrap_or_default();
        Self {
            replicates,
            ..Self::of(&sums)
        }
    }

    /// Without resamples.
    pub(crate) fn of(sums: &impl Sums) -> Self {
        Self {
            values: measure(sums),
            replicates: vec![],
            deciles: deciles::deciles(sums),
            curves: curves(sums),
        }
    }

    pub(crate) fn scores(&self, name: &str, reference: Option<&Self>, curves: bool) -> Scores {
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
fn curves(sums: &impl Sums) -> Option<Curves> {
    let (labels, predictions) = (sums.label_total(), sums.prediction_total());
    if !(labels > 0.0 && predictions > 0.0 && (labels + predictions).is_finite()) {
        return None;
    }
    let places: [f64; 101] = std::array::from_fn(|percent| sums.rows() * percent as f64 / 100.0);
    let shares = |masses: [f64; 101], total: f64| masses.map(|mass| (mass / total).min(1.0)).into();
    Some(Curves {
        label: shares(lorenz::masses_at(sums.label_pieces(), places), labels),
        prediction: shares(
            lorenz::masses_at(sums.prediction_pieces(), places),
            predictions,
        ),
        gain: shares(lorenz::masses_at(sums.gain_pieces(), places), labels),
    })
}
