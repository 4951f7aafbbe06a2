//! What can go wrong in the daily loop, and whose fault it is.

use ltv_core::{Day, Fault};
use ltv_data::{DataError, stream::StreamError};
use ltv_eval::EvalError;
use ltv_files::FilesError;
use ltv_model::ModelError;
use ltv_score::ScoreError;
use ltv_train::TrainError;
use std::path::PathBuf;

/// A failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DailyError {
    /// Configuration, artefact or file trouble that the core crate words.
    #[error(transparent)]
    Core(#[from] ltv_core::Error),
    /// A place cannot be read.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// Features cannot be made.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A dataset cannot be read.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// A model cannot be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A model cannot be trained.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Users cannot be scored.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// A model cannot be judged.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// The ledger cannot be read or written.
    #[error("{}: {source}; free space there, or put the ledger back from a copy", path.display())]
    Ledger {
        /// Its file.
        path: PathBuf,
        /// The cause.
        source: rusqlite::Error,
    },
    /// A ledger that a later program wrote.
    #[error("{}: written as version {found}, newest known is {known}; update ltv to read it", path.display())]
    LedgerVersion {
        /// Its file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Another run is at work.
    #[error("{}: another run is at work here; wait until it is done", path.display())]
    Busy {
        /// The work folder.
        path: PathBuf,
    },
    /// A day before one that is published.
    #[error(
        "{date}: {published} is published already, and days follow each other; give another --work folder to run \
         earlier days again"
    )]
    Past {
        /// The day asked for.
        date: Day,
        /// The last published one.
        published: Day,
    },
    /// A model that the ledger does not know, or whose file is gone.
    #[error("model '{id}': {problem}; 'ltv models list' says which there are")]
    NoModel {
        /// What was asked for.
        id: String,
        /// What is wrong.
        problem: String,
    },
    /// What the caller's part of the loop failed with.
    #[error("{message}")]
    Elsewhere {
        /// In words.
        message: String,
        /// Whose fault.
        fault: Fault,
    },
    /// What no input should be able to bring about.
    #[error("{0}; this is a defect: please report it")]
    Internal(String),
}

impl DailyError {
    pub(crate) fn internal(problem: impl ToString) -> Self {
        Self::Internal(problem.to_string())
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Core(e) => e.fault(),
            Self::Files(e) => e.fault(),
            Self::Data(e) => e.fault(),
            Self::Stream(e) => e.fault(),
            Self::Model(e) => e.fault(),
            Self::Train(e) => e.fault(),
            Self::Score(e) => e.fault(),
            Self::Eval(e) => e.fault(),
            Self::Elsewhere { fault, .. } => *fault,
            Self::Internal(_) => Fault::Internal,
            _ => Fault::User,
        }
    }
}
