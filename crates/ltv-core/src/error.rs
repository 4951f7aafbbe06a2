//! Errors of this crate, and the question every error of the program must answer: whose fault?

use std::path::{Path, PathBuf};

/// Whose fault a failure is; the binary turns it into an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Input, configuration or environment that the user can put right: exit code 2.
    User,
    /// A defect or a broken promise of this program: exit code 1.
    Internal,
}

/// Short name for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with configuration, artefacts and files.
///
/// Every message names the thing at fault and says what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused a file operation.
    #[error(
        "cannot {action} {}: {source}; {}",
        crate::address::named(path),
        advice(path, source)
    )]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was attempted, as a verb phrase ("read", "create").
        action: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// A configuration value outside its range, or options that contradict each other.
    #[error("{key}: {problem}")]
    Config {
        /// Dotted key, as in the TOML file.
        key: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A configuration file that is not valid TOML or has an unknown key.
    #[error("{}: {problem}", crate::address::named(path))]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// The parser's message, with line and column.
        problem: String,
    },
    /// An artefact that is missing, damaged, of another kind or of an unknown version.
    #[error("{}: {problem}; {hint}", crate::address::named(path))]
    Artefact {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        hint: &'static str,
    },
    /// An artefact that this program cannot write, although nothing is wrong with what it was given.
    #[error("{}: {problem}; this is a defect: please report it", path.display())]
    Internal {
        /// The file or folder.
        path: PathBuf,
        /// What went wrong.
        problem: String,
    },
    /// A date that cannot be read.
    #[error("'{text}' is not a date: write it as YYYY-MM-DD, for example 2021-07-01")]
    Date {
        /// What was given.
        text: String,
    },
}

/// What to do about a refused file operation.
fn advice(path: &Path, error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    if crate::address::is_address(path) {
        return "this cannot be in an object store: download it, and give its path";
    }
    match error.kind() {
        ErrorKind::NotFound => "check the path",
        ErrorKind::PermissionDenied => "check its permissions",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "free space there or choose another folder"
        }
        ErrorKind::ReadOnlyFilesystem => "choose another folder",
        ErrorKind::IsADirectory => "give a file",
        ErrorKind::NotADirectory => "give a folder",
        ErrorKind::ResourceBusy | ErrorKind::CrossesDevices => {
            "if it is a mount point, give a folder inside it"
        }
        _ => "check the path and the disk, and run again",
    }
}

impl Error {
    /// Wraps an I/O error with its file and action.
    pub fn io(path: impl AsRef<Path>, action: &'static str, source: std::io::Error) -> Self {
        Self::Io {
            path: path.as_ref().to_path_buf(),
            action,
            source,
        }
    }

    /// A configuration error for `key`.
    pub fn config(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Config {
            key: key.into(),
            problem: problem.into(),
        }
    }

    /// An artefact error for `path`.
    pub fn artefact(
        path: impl AsRef<Path>,
        problem: impl Into<String>,
        hint: &'static str,
    ) -> Self {
        Self::Artefact {
            path: path.as_ref().to_path_buf(),
            problem: problem.into(),
            hint,
        }
    }

    /// A defect met while writing `path`.
    pub fn internal(path: impl AsRef<Path>, problem: impl Into<String>) -> Self {
        Self::Internal {
            path: path.as_ref().to_path_buf(),
            problem: problem.into(),
        }
    }

    /// Whose fault it is. Nearly everything this crate reports can be put right by the user.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Internal { .. } => Fault::Internal,
            _ => Fault::User,
        }
    }
}
