//! What can go wrong in a simulation.

use super::Shard;
use crate::part::PartError;
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
    /// More shards than users, nearly: nothing would be written.
    #[error("shard {shard} holds none of {population} users; simulate more users, or fewer shards")]
    Nobody {
        /// The shard.
        shard: Shard,
        /// Users of all shards.
        population: u64,
    },
    /// A file could not be written.
    #[error(transparent)]
    Part(#[from] PartError),
    /// A table operation failed.
    #[error("a table operation failed: {0}; this is a defect: please report it")]
    Arrow(#[from] arrow::error::ArrowError),
}

impl SimulateError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Core(e) => e.fault(),
            Self::NotEmpty { .. } | Self::Nobody { .. } | Self::Part(_) => Fault::User,
            Self::Arrow(_) => Fault::Internal,
        }
    }
}
