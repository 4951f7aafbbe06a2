//! Growing trees for every horizon and stage, and choosing among settings.
//!
//! Every pair of a problem and a setting is one training on one thread; as many run side by side
//! as there are threads. So the result does not depend on how many there are.

use crate::{
    config::Setting,
    engine::{Grown, Job, Sample, grow},
    error::BaselineError,
    matrix::Layout,
    peer::{Part, Stage, StageRecord},
};
use ltv_core::encoding::EncodedRows;
use rayon::prelude::*;

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

impl Problem {
    /// A stage whose training labels are all the same, or that should look at validation rows and
    /// has none, is the mean of its training labels.
    fn constant(&self) -> Option<f64> {
        let blind = self.patience.is_some() && self.validation.is_empty();
        let first = self.train.first()?.1;
        let same = self.train.iter().all(|t| t.1 == first);
        let sum: f64 = self.train.iter().map(|t| f64::from(t.1)).sum();
        (blind || same).then(|| sum / self.train.len() as f64)
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
    let jobs: Vec<(&Problem, &Candidate)> = problems
        .iter()
        .filter(|p| !p.train.is_empty() && p.constant().is_none())
        .flat_map(|p| p.candidates.iter().map(move |c| (p, c)))
        .collect();
    let tried: Result<Vec<Tried>, _> = pool.install(|| {
        // One at a time: a long training must not wait behind another in a thread's share.
        let jobs = jobs.par_iter().with_max_len(1);
        jobs.map(|(p, c)| source.grow(p, c)).collect()
    });
    let mut tried = tried?.into_iter();
    Ok(problems.iter().map(|p| best(p, &mut tried)).collect())
}

fn best(problem: &Problem, tried: &mut impl Iterator<Item = Tried>) -> (Part, StageRecord) {
    let mut record = problem.record();
    if problem.train.is_empty() {
        return (Part::Constant(0.0), record);
    }
    if let Some(value) = problem.constant() {
        return (Part::Constant(value), record);
    }
    let mut chosen: Option<(Tried, &Candidate)> = None;
    for (candidate, next) in problem.candidates.iter().zip(tried) {
        if chosen.as_ref().is_none_or(|(t, _)| next.score < t.score) {
            chosen = Some((next, candidate));
        }
    }
    let Some((Tried { score, grown }, candidate)) = chosen else {
        return (Part::Constant(0.0), record);
    };
    record.setting = candidate.setting;
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

    #[test]
    fn errors_by_hand() {
        // mu = 2, errors -1 and 2: NRMSE sqrt(2.5) / 2, NMAE 1.5 / 2; -3 counts as 0.
        let found = errors(&[-3.0, 5.0], &[1.0, 3.0]);
        assert!((found - (2.5f64.sqrt() + 1.5) / 2.0).abs() < 1e-12);
        assert_eq!(errors(&[1.0], &[0.0]), f64::INFINITY);
    }
}
