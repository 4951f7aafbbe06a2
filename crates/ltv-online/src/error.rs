//! What can go wrong with stores, and whose fault it is.

use ltv_core::Fault;
use ltv_files::FilesError;
use std::path::PathBuf;

/// A failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnlineError {
    /// Artefact or file trouble that the core crate words.
    #[error(transparent)]
    Core(#[from] ltv_core::Error),
    /// A file of a snapshot cannot be read.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A row of a snapshot that cannot be published.
    #[error("{}: row {row}: {problem}; make the snapshot again with 'ltv score'", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Row in the file, from 1.
        row: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// A user who is in a snapshot twice.
    #[error(
        "user {user} has more than one row in the snapshot; make it again from a dataset in which every user appears once"
    )]
    Twice {
        /// The user.
        user: String,
    },
    /// A text that is no id of the store's users.
    #[error("'{text}' is no user of this store: its ids are {wanted}")]
    Id {
        /// What was given.
        text: String,
        /// What the store's ids are.
        wanted: &'static str,
    },
    /// Nothing has been published.
    #[error("{store}: nothing is published there; publish a snapshot with 'ltv publish'")]
    Empty {
        /// The store.
        store: String,
    },
    /// A user to be forgotten whose id cannot be one of the store's.
    #[error("user {number} of those given cannot be one of {store}: its ids are {wanted}")]
    Position {
        /// The store.
        store: String,
        /// Which of the users, from 1: messages are kept, and do not say who is to be forgotten.
        number: usize,
        /// What the store's ids are.
        wanted: &'static str,
    },
    /// A snapshot whose users were forgotten in part would be published whole again.
    #[error(
        "{store}: {count} users of this snapshot were forgotten there, and publishing it would bring them back; run 'ltv forget' on the snapshot too, and then publish it"
    )]
    Forgotten {
        /// The store.
        store: String,
        /// How many.
        count: u64,
    },
    /// There is no version to go back to.
    #[error(
        "{store}: there is no version before the one that is live; publish the snapshot that should be"
    )]
    NoPrevious {
        /// The store.
        store: String,
    },
    /// An address of a store that is none.
    #[error("store address '{address}': {problem}; {hint}")]
    Address {
        /// What was given, without its password.
        address: String,
        /// What is wrong with it.
        problem: String,
        /// What to write.
        hint: &'static str,
    },
    /// The store failed.
    #[error("{store}: cannot {what}: {problem}; {hint}")]
    Store {
        /// The store.
        store: String,
        /// What was tried.
        what: &'static str,
        /// What happened.
        problem: String,
        /// What to do.
        hint: &'static str,
    },
    /// What was loaded is not what was to be loaded.
    #[error(
        "{store}: {problem}; the version is not put live: the disk or the store lost something, try again"
    )]
    Check {
        /// The store.
        store: String,
        /// What differs.
        problem: String,
    },
    /// An operation failed that earlier checks should have made safe.
    #[error("{problem}; this is a defect: please report it")]
    Internal {
        /// What happened.
        problem: String,
    },
}

impl OnlineError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Core(e) => e.fault(),
            Self::Files(e) => e.fault(),
            Self::Internal { .. } => Fault::Internal,
            _ => Fault::User,
        }
    }

    /// Bytes in a version that are no user's.
    pub(crate) fn damaged_value(store: String, version: &str) -> Self {
        Self::Check {
            store,
            problem: format!("a damaged value in version {version}"),
        }
    }

    /// What is live is no longer what it was when a user was to be forgotten.
    pub(crate) fn changed(store: String) -> Self {
        Self::Store {
            store,
            what: "put a version in the place of another",
            problem: "somebody published there meanwhile".to_owned(),
            hint: "run this again",
        }
    }

    /// A defect.
    pub fn internal(problem: impl ToString) -> Self {
        Self::Internal {
            problem: problem.to_string(),
        }
    }
}
