//! What can go wrong in an experiment, and whose fault it is.

use ltv_baselines::BaselineError;
use ltv_core::{Day, Fault};
use ltv_data::{DataError, part::PartError, stream::StreamError};
use ltv_eval::{EvalError, comparison::CompareError};
use ltv_model::ModelError;
use ltv_score::ScoreError;
use ltv_train::TrainError;
use std::path::PathBuf;

/// A failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// Configuration, artefact or file trouble that the core crate words.
    #[error(transparent)]
    Core(#[from] ltv_core::Error),
    /// An event log cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A dataset cannot be read.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// A network cannot be built, read or written.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A network cannot be trained.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A model that is no network cannot be fitted, read or written.
    #[error(transparent)]
    Baseline(#[from] BaselineError),
    /// A model does not fit a dataset.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// Metrics cannot be computed.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// Models cannot be compared.
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// Predictions cannot be written.
    #[error(transparent)]
    Part(#[from] PartError),
    /// Something about one contestant.
    #[error("models '{name}': {source}")]
    Contestant {
        /// The contestant.
        name: String,
        /// What is wrong.
        source: Box<LabError>,
    },
    /// Something about one date of a backtest.
    #[error("as of {day}: {source}")]
    Date {
        /// The as-of date.
        day: Day,
        /// What is wrong.
        source: Box<LabError>,
    },
    /// A model that needs the event log, and there is none.
    #[error(
        "it needs the event log that the dataset was made from: give it with events = [\"...\"] or --events"
    )]
    NoEvents,
    /// Two datasets that do not go together.
    #[error(
        "{}: {what}: {found}, but {expected} in {}; make both with the same feature configuration",
        path.display(), other.display()
    )]
    Unlike {
        /// The later dataset.
        path: PathBuf,
        /// The training dataset.
        other: PathBuf,
        /// What differs.
        what: &'static str,
        /// What it is in the training dataset.
        expected: String,
        /// What it is in the later one.
        found: String,
    },
    /// Nobody to judge on.
    #[error(
        "{}: nobody to judge on: {wanted}; give a later dataset as test, or split.test above 0",
        path.display()
    )]
    Nobody {
        /// The dataset.
        path: PathBuf,
        /// Who was looked for.
        wanted: &'static str,
    },
    /// Nobody to judge on at one date of a backtest.
    #[error(
        "{}: nobody to judge on: no user registered from {from} and before {until} has a label by \
         {as_of}; end with an earlier date, judge more days, or make the dataset with a later --as-of",
        path.display()
    )]
    NobodySince {
        /// The dataset.
        path: PathBuf,
        /// The as-of date: first day of registration.
        from: Day,
        /// Registered before this day.
        until: Day,
        /// As-of day of the dataset, by which labels are known.
        as_of: Day,
    },
    /// A stored run that cannot be read.
    #[error("{}: {problem}; delete the folder to train this model again", path.display())]
    Run {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A file that is no model.
    #[error("{}: {problem}; give a file that 'ltv train' or 'ltv compare' wrote", path.display())]
    NoModel {
        /// The file.
        path: PathBuf,
        /// What it is.
        problem: &'static str,
    },
    /// What no input should be able to bring about.
    #[error("the comparison failed: {0}; this is a defect: please report it")]
    Internal(String),
}

impl LabError {
    pub(crate) fn internal(problem: impl ToString) -> Self {
        Self::Internal(problem.to_string())
    }

    /// The same error, said of a contestant.
    pub(crate) fn of(self, name: &str) -> Self {
        Self::Contestant {
            name: name.to_owned(),
            source: Box::new(self),
        }
    }

    /// The same error, said of a date.
    pub(crate) fn at(self, day: Day) -> Self {
        Self::Date {
            day,
            source: Box::new(self),
        }
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Core(e) => e.fault(),
            Self::Data(e) => e.fault(),
            Self::Stream(e) => e.fault(),
            Self::Model(e) => e.fault(),
            Self::Train(e) => e.fault(),
            Self::Baseline(e) => e.fault(),
            Self::Score(e) => e.fault(),
            Self::Eval(e) => e.fault(),
            Self::Compare(e) => e.fault(),
            Self::Contestant { source, .. } | Self::Date { source, .. } => source.fault(),
            Self::Internal(_) => Fault::Internal,
            _ => Fault::User,
        }
    }
}
