//! What can go wrong between an event log and a dataset.

use crate::{part::PartError, stream::StreamError};
use ltv_core::{Day, Fault};
use ltv_files::FilesError;
use parquet::errors::ParquetError;
use std::path::{Path, PathBuf};

/// Short name for results of this crate.
pub type Result<T, E = DataError> = std::result::Result<T, E>;

/// A failure of this crate. Every message names the file, the column and the row or value at
/// fault, and says what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Configuration, artefact or file trouble that the core crate words.
    #[error(transparent)]
    Core(#[from] ltv_core::Error),
    /// A place, or a file in an object store, that cannot be read.
    #[error(transparent)]
    Files(FilesError),
    /// A folder given as input that holds no Parquet file.
    #[error("{}: no .parquet file in this folder; give the folder or file of the {table}", path.display())]
    NoFiles {
        /// The folder.
        path: PathBuf,
        /// "event log" or "user table".
        table: &'static str,
    },
    /// A file that is given more than once, by whatever names.
    #[error("{}: given more than once as part of the {table}; its rows would count twice: name it once", path.display())]
    FileTwice {
        /// The file.
        path: PathBuf,
        /// "event log" or "user table".
        table: &'static str,
    },
    /// A file that is empty, cut short, damaged or of another format.
    #[error("{}: not a readable Parquet file ({problem}); write it again", path.display())]
    NotParquet {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        problem: String,
    },
    /// A column that the configuration names and the file lacks.
    #[error(
        "{}: there is no column '{column}' ({key}); the file has: {}",
        path.display(), present.join(", ")
    )]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The configuration key that names it.
        key: String,
        /// The columns that are there.
        present: Vec<String>,
    },
    /// A column of a type that its role does not allow.
    #[error("{}: column '{column}' ({key}) is {found}; it must be {wanted}", path.display())]
    WrongType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The configuration key that names it.
        key: String,
        /// Its Arrow type.
        found: String,
        /// The types allowed.
        wanted: &'static str,
    },
    /// Two files whose columns of the same role have different kinds of type.
    #[error(
        "{}: column '{column}' is {found}, but {expected} in {}; make them the same",
        path.display(), other.display()
    )]
    MixedTypes {
        /// The file.
        path: PathBuf,
        /// A file read before it.
        other: PathBuf,
        /// The column.
        column: String,
        /// Kind of type in `path`.
        found: String,
        /// Kind of type in `other`.
        expected: String,
    },
    /// A value that must not be there.
    #[error("{}: column '{column}', row {row}: {problem}; mend or remove the row", path.display())]
    BadValue {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Row number in the file, the first row being 1.
        row: u64,
        /// What is wrong with the value.
        problem: String,
    },
    /// A user with two rows in the user table.
    #[error(
        "{}: column '{column}', row {row}: user '{user}' has a row already, row {first_row} of {}; keep one row for each user",
        path.display(), first_path.display()
    )]
    DuplicateUser {
        /// The file of the second row.
        path: PathBuf,
        /// The user column.
        column: String,
        /// Row number of the second row in its file, the first row being 1.
        row: u64,
        /// The user's id.
        user: String,
        /// The file of the first row.
        first_path: PathBuf,
        /// Row number of the first row in its file.
        first_row: u64,
    },
    /// A line of a holiday file that is no date.
    #[error("{}: line {line}: '{text}' is not a date; write one YYYY-MM-DD on each line", path.display())]
    HolidayLine {
        /// The file.
        path: PathBuf,
        /// Line number, the first being 1.
        line: usize,
        /// What the line says.
        text: String,
    },
    /// An output folder that holds something else.
    #[error("{}: holds '{entry}', which is not part of a dataset; give a new folder, an empty one or a dataset to replace", path.display())]
    OutputInUse {
        /// The folder.
        path: PathBuf,
        /// The first thing in the way.
        entry: String,
    },
    /// Nobody to make features of.
    #[error(
        "no user to make features of: {events} events before the as-of date {as_of}{left_out}; give a log with events before it, another dataset.as_of, or wider dataset.registered_from .. registered_before"
    )]
    NoUsers {
        /// The first day whose events are not known.
        as_of: Day,
        /// Events before it.
        events: u64,
        /// What was read but left out, by reason.
        left_out: String,
    },
    /// An earlier dataset that cannot be read.
    #[error(transparent)]
    Earlier(Box<StreamError>),
    /// An earlier dataset whose rows cannot be taken over.
    #[error("{}: its rows cannot be taken over: {problem}; make the dataset from the start", path.display())]
    NotEarlier {
        /// Its folder.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// A scratch file could not be written or read back.
    #[error("{}: cannot write or read a scratch file: {source}; free space there or choose another folder for the output", path.display())]
    Scratch {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The query engine was refused memory or disk space.
    #[error(
        "the feature query was refused memory or disk space: {0}; use more partitions, or fewer threads"
    )]
    Resources(#[source] Box<datafusion::error::DataFusionError>),
    /// The query engine failed.
    #[error("the feature query failed: {0}; this is a defect: please report it")]
    Query(#[source] Box<datafusion::error::DataFusionError>),
    /// A table operation failed on data that had been checked.
    #[error("a table operation failed: {0}; this is a defect: please report it")]
    Arrow(#[from] arrow::error::ArrowError),
    /// A part could not be written.
    #[error(transparent)]
    Part(#[from] PartError),
    /// Numbers that must agree do not.
    #[error("{what}: expected {expected}, got {found}; this is a defect: please report it")]
    Mismatch {
        /// What was counted.
        what: String,
        /// By an independent count.
        expected: u64,
        /// By the query.
        found: u64,
    },
}

impl DataError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Core(error) => error.fault(),
            Self::Files(error) => error.fault(),
            Self::Earlier(error) => error.fault(),
            Self::Query(_) | Self::Arrow(_) | Self::Mismatch { .. } => Fault::Internal,
            _ => Fault::User,
        }
    }

    /// An Arrow error about a scratch file: the file's when it is one of input and output.
    pub(crate) fn scratch(path: &Path, error: arrow::error::ArrowError) -> Self {
        match error {
            arrow::error::ArrowError::IoError(_, source) => Self::Scratch {
                path: path.to_path_buf(),
                source,
            },
            other => other.into(),
        }
    }

    /// What the Parquet reader said of a file.
    pub(crate) fn parquet(path: &Path, error: ParquetError) -> Self {
        let path = path.to_path_buf();
        match FilesError::of_parquet(error) {
            Ok(fetching) => fetching.into(),
            Err(problem) => Self::NotParquet { path, problem },
        }
    }

    /// Wraps an I/O error with its file and action.
    pub(crate) fn io(path: &Path, action: &'static str, source: std::io::Error) -> Self {
        ltv_core::Error::io(path, action, source).into()
    }
}

impl From<StreamError> for DataError {
    fn from(error: StreamError) -> Self {
        Self::Earlier(Box::new(error))
    }
}

/// Files of this machine have words of their own.
impl From<FilesError> for DataError {
    fn from(error: FilesError) -> Self {
        match error {
            FilesError::Core(error) => Self::Core(error),
            FilesError::Local { path, source } => Self::io(&path, "open", source),
            other => Self::Files(other),
        }
    }
}

impl From<datafusion::error::DataFusionError> for DataError {
    fn from(error: datafusion::error::DataFusionError) -> Self {
        use datafusion::error::DataFusionError;
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) | DataFusionError::IoError(_) => {
                Self::Resources(Box::new(error))
            }
            _ => Self::Query(Box::new(error)),
        }
    }
}
