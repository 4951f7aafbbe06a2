//! Growing trees for every horizon and stage, and choosing among settings.
//!
//! Every pair of a problem and a setting is one training on one thread; as many run side by side
//! as there are threads. So the result does not depend on how many there are. Of each problem only
//! the best trees so far are kept.
//!
//! A candidate whose score is no number (no validation row is worth anything, say) gives way to any
//! that has one; among such the stage's own loss decides.

use crate::{
    config::Setting,
    engine::{Grown, Job, Sample, grow},
    error::BaselineError,
    matrix::Layout,
    peer::{Part, Stage, StageRecord},
};
use ltv_core::encoding::EncodedRows;
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

/// One model to be grown.
pub(crate) struct Problem {
    pub(crate) horizon: u32,
    pub(crate) stage: Stage,
    /// The group of users, where there are groups.
    pub(crate) group: Option<String>,
    /// Training rows and their labels.
    pub(crate) train: Vec<(usize, f32)>,
    /// Validation rows and their labels.
    pub(crate) validation: Vec<(usize, f32)>,
    /// What to choose among, at least one.
    pub(crate) candidates: Vec<Candidate>,
    /// Whether our gradient of the absolute error takes the place of XGBoost's.
    pub(crate) absolute: bool,
    /// Most rounds.
    pub(crate) rounds: u32,
    /// Rounds without a better validation loss that end it; none: no early stopping, and no look
    /// at validation rows.
    pub(crate) patience: Option<u32>,
    /// Whether NRMSE + NMAE choose, not the loss.
    pub(crate) by_errors: bool,
}

/// One thing to try.
pub(crate) struct Candidate {
    /// What the record says of it.
    pub(crate) setting: Option<Setting>,
    /// XGBoost's parameters.
    pub(crate) parameters: Vec<(&'static str, String)>,
}

/// Where rows come from.
pub(crate) struct Source<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) train: &'a EncodedRows,
    pub(crate) validation: &'a EncodedRows,
}

impl Source<'_> {
    fn sample(&self, rows: &EncodedRows, take: &[(usize, f32)]) -> Sample {
        Sample {
            matrix: self.layout.gather(rows, take.iter().map(|t| t.0)),
            labels: take.iter().map(|t| t.1).collect(),
        }
    }

    fn grow(&self, problem: &Problem, candidate: &Candidate) -> Result<Tried, BaselineError> {
        let train = self.sample(self.train, &problem.train);
        let looks = problem.patience.is_some();
        let validation = looks.then(|| self.sample(self.validation, &problem.validation));
        let job = Job {
            types: &self.layout.types,
            train: &train,
            validation: validation.as_ref(),
            parameters: candidate.parameters.clone(),
            absolute: problem.absolute,
            rounds: problem.rounds,
            patience: problem.patience.unwrap_or(u32::MAX),
        };
        let mut grown = grow(&job)?;
        let score = match &validation {
            Some(sample) if problem.by_errors => errors(&grown.predictions, &sample.labels),
            _ => grown.loss.unwrap_or(0.0),
        };
        grown.predictions = vec![];
        Ok(Tried { score, grown })
    }
}

struct Tried {
    score: f64,
    grown: Grown,
}

impl Tried {
    /// What a candidate is judged by, the smaller the better: its score or, where that is no
    /// number, its loss; none where neither is.
    fn rank(&self) -> Option<(u8, f64)> {
        let loss = self.grown.loss.unwrap_or(f64::NAN);
        match (self.score.is_finite(), loss.is_finite()) {
            (true, _) => Some((0, self.score)),
            (false, true) => Some((1, loss)),
            (false, false) => None,
        }
    }
}

/// The best candidate of a problem so far and its place; the others are forgotten at once.
#[derive(Default)]
struct Best(Mutex<Option<(usize, Tried)>>);

impl Best {
    /// Of equals the first in the list wins, in whatever order they come.
    fn offer(&self, place: usize, tried: Tried) {
        let Some(rank) = tried.rank() else { return };
        let mut best = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let better = match best.as_ref().and_then(|(at, t)| Some((t.rank()?, *at))) {
            Some((kept, at)) => (rank, place) < (kept, at),
            None => true,
        };
        if better {
            *best = Some((place, tried));
        }
    }

    fn take(self) -> Option<(usize, Tried)> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Problem {
    /// A stage whose training labels are all the same, or that should look at validation rows and
    /// has none, is the mean of its training labels.
    fn constant(&self) -> Option<f64> {
        let blind = self.patience.is_some() && self.validation.is_empty();
        let first = self.train.first()?.1;
        let same = self.train.iter().all(|t| t.1 == first);
        (blind || same).then(|| self.mean())
    }

    /// The mean of the training labels, 0 without any.
    fn mean(&self) -> f64 {
        let sum: f64 = self.train.iter().map(|t| f64::from(t.1)).sum();
        sum / self.train.len().max(1) as f64
    }

    fn record(&self) -> StageRecord {
        StageRecord {
            horizon: self.horizon,
            stage: self.stage,
            group: self.group.clone(),
            train_rows: self.train.len() as u64,
            validation_rows: match self.patience {
                Some(_) => self.validation.len() as u64,
                None => 0,
            },
            setting: None,
            rounds: 0,
            loss: None,
            score: None,
        }
    }
}

/// Grows all problems' trees, in their order. A problem without training rows is the constant 0.
///
/// # Errors
/// When the library is not in this build or refuses something, or threads cannot be started.
pub(crate) fn solve(
    problems: &[Problem],
    source: &Source<'_>,
    threads: usize,
) -> Result<Vec<(Part, StageRecord)>, BaselineError> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.max(1))
        .build()
        .map_err(|e| BaselineError::Threads(e.to_string()))?;
    let best: Vec<Best> = problems.iter().map(|_| Best::default()).collect();
    let jobs: Vec<(usize, usize)> = problems
        .iter()
        .enumerate()
        .filter(|(_, p)| !p.train.is_empty() && p.constant().is_none())
        .flat_map(|(i, p)| (0..p.candidates.len()).map(move |place| (i, place)))
        .collect();
    pool.install(|| {
        // One at a time: a long training must not wait behind another in a thread's share.
        let jobs = jobs.par_iter().with_max_len(1);
        jobs.try_for_each(|&(i, place)| {
            let problem = &problems[i];
            let tried = source.grow(problem, &problem.candidates[place])?;
            best[i].offer(place, tried);
            Ok::<(), BaselineError>(())
        })
    })?;
    let pairs = problems.iter().zip(best);
    Ok(pairs.map(|(p, best)| finish(p, best.take())).collect())
}

/// Without trees, or with such as cannot be judged, a problem is the mean of its training labels.
fn finish(problem: &Problem, best: Option<(usize, Tried)>) -> (Part, StageRecord) {
    let mut record = problem.record();
    let Some((place, Tried { score, grown })) = best else {
        return (Part::Constant(problem.mean()), record);
    };
    record.setting = problem.candidates[place].setting;
    record.rounds = grown.rounds;
    record.loss = grown.loss.filter(|l| l.is_finite());
    record.score = problem.patience.map(|_| score).filter(|s| s.is_finite());
    (Part::from_bytes(&grown.model), record)
}

/// NRMSE + NMAE of predictions floored at 0; infinite where the labels' mean is 0.
fn errors(predictions: &[f64], labels: &[f32]) -> f64 {
    let n = labels.len() as f64;
    let (mut sum, mut squares, mut absolutes) = (0.0, 0.0, 0.0);
    for (&p, &y) in predictions.iter().zip(labels) {
        let error = p.max(0.0) - f64::from(y);
        sum += f64::from(y);
        squares += error * error;
        absolutes += error.abs();
    }
    if sum <= 0.0 {
        return f64::INFINITY;
    }
    ((squares / n).sqrt() + absolutes / n) / (sum / n)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The place and mark of the best of candidates `(score, loss)`, offered in this order.
    fn best(all: &[(usize, f64, f64)]) -> Option<(usize, u32)> {
        let best = Best::default();
        for &(place, score, loss) in all {
            let grown = Grown {
                model: vec![],
                rounds: place as u32 + 100,
                loss: Some(loss),
                predictions: vec![],
            };
            best.offer(place, Tried { score, grown });
        }
        best.take()
            .map(|(place, tried)| (place, tried.grown.rounds))
    }

    #[test]
    fn the_best_candidate_in_any_order() {
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        let cases = [
            (vec![(0, nan, 0.1), (1, 3.0, 9.0), (2, 2.0, 9.0)], Some(2)),
            (vec![(0, 2.0, 9.0), (1, 2.0, 1.0), (2, inf, 0.0)], Some(0)),
            // No score is a number: the loss decides.
            (vec![(0, inf, 5.0), (1, nan, 4.0), (2, inf, nan)], Some(1)),
            (vec![(0, nan, nan), (1, inf, inf)], None),
        ];
        for (mut all, expected) in cases {
            for _ in 0..all.len() {
                all.rotate_left(1);
                let expected = expected.map(|i| (i, i as u32 + 100));
                assert_eq!(best(&all), expected, "{all:?}");
                let reversed: Vec<_> = all.iter().rev().copied().collect();
                assert_eq!(best(&reversed), expected, "{all:?}");
            }
        }
    }

    #[test]
    fn what_cannot_be_judged_is_a_constant() {
        let problem = Problem {
            horizon: 30,
            stage: Stage::Value,
            group: None,
            train: vec![(0, 1.0), (1, 4.0)],
            validation: vec![(0, 1.0)],
            candidates: vec![],
            absolute: false,
            rounds: 1,
            patience: Some(1),
            by_errors: true,
        };
        let (part, record) = finish(&problem, None);
        assert_eq!((part, record.rounds), (Part::Constant(2.5), 0));
    }

    #[test]
    fn errors_by_hand() {
        // mu = 2, errors -1 and 2: NRMSE sqrt(2.5) / 2, NMAE 1.5 / 2; -3 counts as 0.
        let found = errors(&[-3.0, 5.0], &[1.0, 3.0]);
        assert!((found - (2.5f64.sqrt() + 1.5) / 2.0).abs() < 1e-12);
        assert_eq!(errors(&[1.0], &[0.0]), f64::INFINITY);
    }
}
