//! What can be wrong with a comparison.

use super::input::SourceError;
use crate::error::EvalError;
use ltv_core::Fault;

/// Errors of a comparison.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// Labels, predictions or settings that no evaluation takes.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// A column of predictions could not be read.
    #[error("predictions of '{contestant}', run '{run}', column {column}: {source}")]
    Source {
        /// Name of the contestant.
        contestant: String,
        /// Name of the run.
        run: String,
        /// Name of the column, `ltv_<N>`.
        column: String,
        /// Why.
        source: SourceError,
    },
    /// Nobody takes part.
    #[error("nothing to compare: give at least one contestant")]
    NoContestants,
    /// A contestant without a run.
    #[error("contestant '{contestant}' has no run: give one for each seed, or one if it has none")]
    NoRuns {
        /// Its name.
        contestant: String,
    },
    /// A contestant that predicts nothing, or a horizon that has no labels.
    #[error("contestant '{contestant}' predicts horizons {found:?}: give some of {known:?}")]
    Horizons {
        /// Its name.
        contestant: String,
        /// The horizons it was said to predict.
        found: Vec<u32>,
        /// The horizons of the labels.
        known: Vec<u32>,
    },
    /// An expected order that says nothing.
    #[error("expected order '{name}': {problem}")]
    Expectation {
        /// Its name.
        name: String,
        /// What is wrong and what to give instead.
        problem: String,
    },
    /// A stored comparison that cannot be read or written.
    #[error("comparison document: {problem}; compare again with this version of the program")]
    Document {
        /// What is wrong with it.
        problem: String,
    },
}

impl CompareError {
    /// Whose fault it is: all of it is input, but for arrays that the program puts together.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Eval(error) => error.fault(),
            _ => Fault::User,
        }
    }
}
