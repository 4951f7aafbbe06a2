//! What can go wrong in training.

use ltv_core::Fault;
use ltv_data::stream::StreamError;
use ltv_model::ModelError;
use std::path::PathBuf;

/// Errors of this crate. Every message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// Nobody to validate with.
    #[error(
        "{}: no rows in the validation part of the split; check [split] and the dataset's as-of \
         date (only users with a mature label of the required horizon take part)",
        dataset.display()
    )]
    NoValidationRows {
        /// The dataset.
        dataset: PathBuf,
    },
    /// The loss or a weight is no longer a number.
    #[error(
        "the loss or a weight is not finite at step {step}; lower fit.rate and fit.embedding_rate"
    )]
    Diverged {
        /// Steps made.
        step: u64,
    },
    /// A checkpoint that cannot be used.
    #[error("{}: {problem}; {hint}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: &'static str,
    },
    /// A model that cannot be gone on from.
    #[error("model {model} cannot be gone on from: {problem}; train from the start")]
    Warm {
        /// Its id.
        model: String,
        /// Why not.
        problem: String,
    },
    /// What no input should be able to bring about.
    #[error("progress cannot be saved: {0}; this is a defect: please report it")]
    Internal(String),
    /// The dataset cannot be read.
    #[error(transparent)]
    Data(#[from] StreamError),
    /// The network cannot be built.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A configuration or file error.
    #[error(transparent)]
    Core(#[from] ltv_core::Error),
}

impl TrainError {
    pub(crate) fn internal(problem: impl ToString) -> Self {
        Self::Internal(problem.to_string())
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Data(e) => e.fault(),
            Self::Model(e) => e.fault(),
            Self::Core(e) => e.fault(),
            Self::Internal(_) => Fault::Internal,
            _ => Fault::User,
        }
    }
}
