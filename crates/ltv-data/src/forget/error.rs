//! What can go wrong while users are forgotten. No message says who they are: messages are kept.

use crate::{part::PartError, stream::StreamError};
use ltv_core::Fault;
use ltv_files::FilesError;
use std::path::PathBuf;

/// A failure to forget somebody.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForgetError {
    /// Artefact or file trouble that the core crate words.
    #[error(transparent)]
    Core(#[from] ltv_core::Error),
    /// A file cannot be read.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A column is not what it should be.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// A file cannot be written.
    #[error(transparent)]
    Part(#[from] PartError),
    /// An artefact in an object store.
    #[error(
        "{}: users are not removed from an object store, which may keep older versions and copies; make it again from a source without them",
        .0.display()
    )]
    Remote(PathBuf),
    /// An id that cannot be one.
    #[error("user {number} of those given cannot be in {}: its ids are whole numbers of 64 bits", path.display())]
    Id {
        /// The file.
        path: PathBuf,
        /// Which of the users, from 1.
        number: usize,
    },
    /// Nobody would be left.
    #[error("{}: it holds nobody else, and a dataset is of one user at least; remove the folder", .0.display())]
    Nobody(PathBuf),
    /// Another run made it anew.
    #[error("{}: it was made anew meanwhile, and is as that left it; run this again", .0.display())]
    Replaced(PathBuf),
    /// An operation failed that earlier checks should have made safe.
    #[error("{problem}; this is a defect: please report it")]
    Internal {
        /// What happened.
        problem: String,
    },
}

impl ForgetError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Core(e) => e.fault(),
            Self::Files(e) => e.fault(),
            Self::Stream(e) => e.fault(),
            Self::Part(PartError::Core(e)) => e.fault(),
            Self::Internal { .. } => Fault::Internal,
            _ => Fault::User,
        }
    }

    /// A defect.
    pub fn internal(problem: impl ToString) -> Self {
        Self::Internal {
            problem: problem.to_string(),
        }
    }
}
