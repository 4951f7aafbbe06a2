//! What can go wrong in a simulation.

use ltv_core::Fault;
use std::path::PathBuf;

/// What can go wrong in a simulation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulateError {
    /// An option out of range, or a folder or file that cannot be written.
    #[error(transparent)]
    Core(#[from] ltv_core::Error),
    /// The folder holds something: files of another run would be read together with the new ones.
    #[error("{}: not empty; give a new folder or delete this one", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A Parquet file could not be written.
    #[error("cannot write {}: {problem}; check the free space on the disk and run again", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the Parquet writer said.
        problem: String,
    },
}

impl SimulateError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Core(e) => e.fault(),
            Self::NotEmpty { .. } | Self::Write { .. } => Fault::User,
        }
    }

    pub(super) fn write(path: impl Into<PathBuf>, problem: impl ToString) -> Self {
        Self::Write {
            path: path.into(),
            problem: problem.to_string(),
        }
    }
}
