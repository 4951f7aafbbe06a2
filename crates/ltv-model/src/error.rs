//! What can go wrong with a model.

use ltv_core::Fault;
use std::path::PathBuf;

/// Errors of this crate. Every message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Fewer distinct labels than the network needs.
    #[error(
        "ltv_{horizon}: the training labels hold {distinct} distinct value(s) in {rows} mature \
         rows, at least 2 are needed; make the dataset with a later as-of date or earlier users, or \
         with fewer horizons (leave {horizon} out of dataset.horizons)"
    )]
    Labels {
        /// The horizon.
        horizon: u32,
        /// Distinct values seen.
        distinct: usize,
        /// Mature training rows.
        rows: u64,
    },
    /// A cut point that leaves a sub-distribution empty.
    #[error(
        "model.cut: no training label of ltv_{horizon} lies in sub-distribution {segment}; move \
         the cut points or use \"auto\""
    )]
    EmptySegment {
        /// The horizon.
        horizon: u32,
        /// The empty sub-distribution.
        segment: usize,
    },
    /// A bundle file that cannot be used.
    #[error("{}: {problem}; {hint}", path.display())]
    Bundle {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: &'static str,
    },
    /// A bundle without what a decoding needs.
    #[error(
        "decoding: this model has no curves for 'matched', because it was trained before there were \
         any; train it again, or use expectation"
    )]
    NoMatching,
    /// An error of the core crate.
    #[error(transparent)]
    Core(#[from] ltv_core::Error),
    /// What no input should be able to bring about.
    #[error("a model cannot be written: {0}; this is a defect: please report it")]
    Internal(String),
    /// The operating system refused to start threads.
    #[error("cannot start worker threads: {0}")]
    Threads(String),
}

impl ModelError {
    pub(crate) fn internal(problem: impl ToString) -> Self {
        Self::Internal(problem.to_string())
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Core(e) => e.fault(),
            Self::Threads(_) | Self::Internal(_) => Fault::Internal,
            _ => Fault::User,
        }
    }
}
