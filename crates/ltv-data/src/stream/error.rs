//! What can go wrong when a dataset is opened, fitted or streamed.

use ltv_core::{Day, Fault};
use ltv_files::FilesError;
use parquet::errors::ParquetError;
use std::path::{Path, PathBuf};

/// What can go wrong when a dataset is opened, fitted or streamed.
///
/// `place` is the file, or words for a batch that came from elsewhere; the first row of the
/// file is row 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// Configuration, manifest or file trouble that `ltv-core` already describes.
    #[error(transparent)]
    Core(#[from] ltv_core::Error),
    /// A place, or a file in an object store, that cannot be read.
    #[error(transparent)]
    Files(FilesError),
    /// The operating system refused to open or read a data file.
    #[error("cannot read {}: {source}; the manifest names this file: restore it or make the dataset again", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A data file is damaged, cut short or not Parquet.
    #[error("{}: not a whole Parquet file ({problem}); make the dataset again with 'ltv features'", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the Parquet reader said.
        problem: String,
    },
    /// A data file or the whole dataset has other rows than the manifest says.
    #[error("{}: {found} rows, but the manifest says {expected}; the files and the manifest are not of one run: make the dataset again", path.display())]
    Rows {
        /// The file, or the folder for the sum over files.
        path: PathBuf,
        /// Rows in the manifest.
        expected: u64,
        /// Rows found.
        found: u64,
    },
    /// A file is no longer the one that was written.
    #[error("{}: checksum {found}, but the manifest says {expected}; the file was changed: make the dataset again", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// Checksum in the manifest.
        expected: String,
        /// Checksum found.
        found: String,
    },
    /// Shards that are not of one dataset.
    #[error(transparent)]
    ShardsDiffer(#[from] Box<ShardDifference>),
    /// Two shards with the same users, who would count twice.
    #[error("{}: it holds users that are also in {}; each user belongs to one shard: leave one of the two out", path.display(), other.display())]
    SharedUsers {
        /// A file of the later shard.
        path: PathBuf,
        /// A file of the earlier one.
        other: PathBuf,
    },
    /// A column is not there.
    #[error("{place}: no column '{column}'; {hint}")]
    MissingColumn {
        /// Where it was looked for.
        place: String,
        /// Its name.
        column: String,
        /// What to do.
        hint: &'static str,
    },
    /// A column is of a type that cannot be used.
    #[error("{place}: column '{column}' is {found}, not {expected}; write it with that type")]
    ColumnType {
        /// Where.
        place: String,
        /// The column.
        column: String,
        /// The type found.
        found: String,
        /// The types that would do.
        expected: &'static str,
    },
    /// A null where every row must have a value.
    #[error("{place}: column '{column}' is null in row {row}; every row needs a value")]
    Null {
        /// Where.
        place: String,
        /// The column.
        column: String,
        /// The row.
        row: u64,
    },
    /// A label that no label can be.
    #[error(
        "{place}: label '{column}' is {value} in row {row}; a label is a finite number of 0 or more, or null while immature: correct the events and make the dataset again"
    )]
    Label {
        /// Where.
        place: String,
        /// The column.
        column: String,
        /// The row.
        row: u64,
        /// The value found.
        value: f64,
    },
    /// A horizon that the dataset has no labels for.
    #[error("{}: no labels for {horizon} days, only for {known:?}; choose among these or make the dataset with this horizon", path.display())]
    Horizon {
        /// The dataset.
        path: PathBuf,
        /// The horizon asked for, in days.
        horizon: u32,
        /// The horizons of the dataset, in days.
        known: Vec<u32>,
    },
    /// A view of a day that the dataset does not reach.
    #[error("{}: nothing is known of {day}: its as-of day is {as_of}; give a day up to then, or make the dataset with '--as-of {day}'", path.display())]
    Later {
        /// The dataset.
        path: PathBuf,
        /// The day asked for.
        day: Day,
        /// First day whose events are not known.
        as_of: Day,
    },
    /// Nobody to learn from.
    #[error("{}: no user to train on among {rows}: the split's days admit nobody, or no label is mature yet; widen split.registered_from / registered_before, or use an as-of date at least {days} days after registration", path.display())]
    NoTrainingRows {
        /// The dataset.
        path: PathBuf,
        /// Rows seen.
        rows: u64,
        /// Days from registration until the label asked for is mature.
        days: u32,
    },
    /// Arrow refused an operation that the checks above should have made safe.
    #[error("{place}: {problem}; this is a defect: please report it")]
    Internal {
        /// Where.
        place: String,
        /// What happened.
        problem: String,
    },
}

/// The first thing in which two shards differ.
#[derive(Debug, thiserror::Error)]
#[error("{}: {key} is {found}, but {expected} in {}; shards of one dataset have the same configuration: make this one again, or leave it out", path.display(), other.display())]
pub struct ShardDifference {
    /// The shard.
    pub path: PathBuf,
    /// The first shard.
    pub other: PathBuf,
    /// Where their manifests differ, or what does.
    pub key: String,
    /// What is there in this shard.
    pub found: String,
    /// What is there in the first one.
    pub expected: String,
}

/// A file that a manifest names has advice of its own.
impl From<FilesError> for StreamError {
    fn from(error: FilesError) -> Self {
        match error {
            FilesError::Core(error) => Self::Core(error),
            FilesError::Local { path, source } => Self::File { path, source },
            other => Self::Files(other),
        }
    }
}

impl StreamError {
    /// What the Parquet reader said of a file.
    pub(crate) fn parquet(path: &Path, error: ParquetError) -> Self {
        let path = path.to_path_buf();
        match FilesError::of_parquet(error) {
            Ok(fetching) => fetching.into(),
            Err(problem) => Self::Parquet { path, problem },
        }
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Core(e) => e.fault(),
            Self::Files(e) => e.fault(),
            Self::Internal { .. } => Fault::Internal,
            _ => Fault::User,
        }
    }

    /// The same error with rows counted from the file's first row, not the batch's.
    pub fn offset_by(mut self, first_row: u64) -> Self {
        if let Self::Null { row, .. } | Self::Label { row, .. } = &mut self {
            *row += first_row;
        }
        self
    }

    pub(crate) fn internal(place: impl ToString, problem: impl ToString) -> Self {
        Self::Internal {
            place: place.to_string(),
            problem: problem.to_string(),
        }
    }
}
