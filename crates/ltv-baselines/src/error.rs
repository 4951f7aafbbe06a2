//! What can go wrong with a peer.

use crate::btyd::BtydError;
use ltv_core::Fault;
use std::path::PathBuf;

/// Errors of this crate. Every message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BaselineError {
    /// A peer made of trees in a build without the library.
    #[error(
        "this build has no XGBoost; build with: cargo build --release --features xgboost (needs \
         cmake, ninja and libclang)"
    )]
    NoXgboost,
    /// A horizon that no row has a label for.
    #[error(
        "ltv_{horizon}: no {part} row has a mature label; make the dataset with a later as-of date \
         or earlier users, or without this horizon"
    )]
    NoRows {
        /// The horizon.
        horizon: u32,
        /// Which rows.
        part: &'static str,
    },
    /// A column that a peer cannot do without.
    #[error("{peer} needs the column '{column}', which the dataset does not have; make it again")]
    Column {
        /// The column.
        column: String,
        /// Who needs it.
        peer: &'static str,
    },
    /// No column at all.
    #[error("the dataset has no feature column; make it with sequences or aggregates")]
    NoColumns,
    /// A peer that cannot be fitted block by block.
    #[error("a peer of kind '{kind}' is fitted on rows in memory, not block by block")]
    NotStreamed {
        /// The kind.
        kind: &'static str,
    },
    /// XGBoost refused what it was given.
    #[error("XGBoost cannot {action}: {problem}")]
    Xgboost {
        /// What was attempted, as a verb phrase.
        action: &'static str,
        /// What the library says.
        problem: String,
    },
    /// A buy-till-you-die model cannot be fitted or used.
    #[error(transparent)]
    Btyd(#[from] BtydError),
    /// A file that is not a peer that can be used.
    #[error("{}: {problem}; {hint}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: &'static str,
    },
    /// An error of the core crate.
    #[error(transparent)]
    Core(#[from] ltv_core::Error),
    /// What no input should be able to bring about.
    #[error("a peer cannot be fitted or written: {0}; this is a defect: please report it")]
    Internal(String),
    /// The operating system refused to start threads.
    #[error("cannot start worker threads: {0}")]
    Threads(String),
}

impl BaselineError {
    pub(crate) fn internal(problem: impl ToString) -> Self {
        Self::Internal(problem.to_string())
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Core(e) => e.fault(),
            Self::Threads(_) | Self::Internal(_) | Self::Xgboost { .. } => Fault::Internal,
            _ => Fault::User,
        }
    }
}
