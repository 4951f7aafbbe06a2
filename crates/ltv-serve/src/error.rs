//! What can go wrong with a server, and whose fault it is. What can go wrong with a request is no error of
//! the server: it is answered.

use ltv_core::Fault;
use std::{io, net::SocketAddr, path::PathBuf};

/// A failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// File trouble that the core crate words.
    #[error(transparent)]
    Core(#[from] ltv_core::Error),
    /// A setting outside of its range.
    #[error("{key}: {problem}")]
    Setting {
        /// The setting.
        key: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// Everybody who reaches the address could ask.
    #[error(
        "{address}: other machines reach this address, and nobody would have to show who they are; give a file of tokens with --tokens, or say that everybody may ask with --no-auth"
    )]
    Open {
        /// The address.
        address: SocketAddr,
    },
    /// The port cannot be had.
    #[error(
        "{address}: cannot listen there: {source}; choose another address or stop what listens there"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file of tokens that cannot be read.
    #[error(
        "{}: line {line}: {problem}; a line is NAME:blake3:HASH, as 'ltv serve --new-token NAME' writes it",
        path.display()
    )]
    Tokens {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A file of tokens without any.
    #[error(
        "{}: holds no token, so that nobody could ask; add the line that 'ltv serve --new-token NAME' prints",
        path.display()
    )]
    NoTokens {
        /// The file.
        path: PathBuf,
    },
    /// A name that a token cannot have.
    #[error("'{name}' cannot name a token: use 1 to 64 letters, digits, '.', '_' and '-'")]
    TokenName {
        /// The name.
        name: String,
    },
    /// A certificate or key that cannot be used.
    #[error(
        "{}: {problem}; give a certificate and its own key as PEM files",
        path.display()
    )]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The operating system refused what a server cannot do without, or a defect.
    #[error("{problem}; this is a defect: please report it")]
    Internal {
        /// What happened.
        problem: String,
    },
}

impl ServeError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Core(e) => e.fault(),
            Self::Internal { .. } => Fault::Internal,
            _ => Fault::User,
        }
    }

    pub(crate) fn setting(key: &'static str, problem: String) -> Self {
        Self::Setting { key, problem }
    }

    pub(crate) fn internal(problem: impl ToString) -> Self {
        Self::Internal {
            problem: problem.to_string(),
        }
    }
}
