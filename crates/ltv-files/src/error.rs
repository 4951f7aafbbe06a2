//! What can go wrong between a place and its reader.

use ltv_core::Fault;
use parquet::errors::ParquetError;
use std::path::PathBuf;

/// What can go wrong when files are listed, opened or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// Trouble with files of this machine that `ltv-core` already describes.
    #[error(transparent)]
    Core(#[from] ltv_core::Error),
    /// The operating system refused to list or open something.
    #[error("cannot read {}: {source}; check the path and its permissions", path.display())]
    Local {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// An object, a prefix or a bucket that cannot be used.
    #[error("{url}: {problem}")]
    Remote {
        /// Its address.
        url: String,
        /// What is wrong, and what to do.
        problem: Problem,
    },
    /// The machinery that makes requests failed.
    #[error("{problem}; this is a defect: please report it")]
    Internal {
        /// What happened.
        problem: String,
    },
}

/// What is wrong with an address or what it names. Codes are those of the S3 API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// An address of another kind of store.
    #[error(
        "addresses of this kind are not supported: give a folder of this machine, or s3://bucket/prefix for any store with the S3 API (AWS_ENDPOINT_URL names its server)"
    )]
    Scheme,
    /// Not an address.
    #[error("{0}: write it as s3://bucket/prefix; credentials are read from the environment alone")]
    Address(&'static str),
    /// The environment contradicts itself.
    #[error("{0}")]
    Settings(String),
    /// Nothing to sign requests with.
    #[error(
        "no credentials ({0}): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where a web identity, a container or an instance has a role; profiles of ~/.aws are not read, but 'aws configure export-credentials --format env' prints one for the environment"
    )]
    NoCredentials(String),
    /// Credentials that the store does not know, or no longer.
    #[error(
        "the store does not accept the credentials ({0}): check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY and, with temporary ones, AWS_SESSION_TOKEN and whether they have expired"
    )]
    Credentials(String),
    /// Requests are signed with the time.
    #[error(
        "the store's clock and this machine's are too far apart for its signatures: set this machine's clock, by NTP for example"
    )]
    Clock,
    /// An object below a prefix that its listing cannot name.
    #[error(
        "an object there has a name that is no path ({0}): rename it or move it away, or give a prefix without it"
    )]
    Key(String),
    /// Credentials that may not do this.
    #[error(
        "access denied ({0}): its owner must allow these credentials s3:GetObject and s3:ListBucket there"
    )]
    Denied(String),
    /// Credentials that may read and not write.
    #[error(
        "access denied ({0}): its owner must allow these credentials s3:PutObject, s3:AbortMultipartUpload, s3:DeleteObject, s3:GetObject and s3:ListBucket there"
    )]
    WriteDenied(String),
    /// No bucket of this name.
    #[error("there is no such bucket: check its name, AWS_REGION and AWS_ENDPOINT_URL")]
    NoBucket,
    /// A bucket that another server must be asked for.
    #[error("the bucket is not in this region: set AWS_REGION to the one it is in")]
    Region,
    /// No object of this name.
    #[error("there is no such object: check the address, or upload what is missing")]
    Missing,
    /// Another object than the one that was there at first.
    #[error("it was replaced while it was in use: run again when nothing writes there any more")]
    Replaced,
    /// An object that was written before, and is no longer what was written.
    #[error(
        "this run wrote it, and it is gone or has another size: somebody else writes there; run again when nobody does"
    )]
    Lost,
    /// More or fewer bytes than there should be.
    #[error(
        "{found} bytes, but there should be {expected}: it was cut short or replaced; upload it again"
    )]
    Size {
        /// Bytes there should be.
        expected: u64,
        /// Bytes there are, or that came.
        found: String,
    },
    /// No connection, or it broke, again and again.
    #[error(
        "the store cannot be reached ({0}): check AWS_ENDPOINT_URL, AWS_REGION and the network, and run again"
    )]
    Unreachable(String),
    /// Any other answer.
    #[error("the store refused the request ({0}): run again later, or ask whoever runs the store")]
    Refused(String),
}

impl FilesError {
    pub(crate) fn remote(url: impl ToString, problem: Problem) -> Self {
        let url = url.to_string();
        Self::Remote { url, problem }
    }

    pub(crate) fn internal(problem: impl ToString) -> Self {
        let problem = problem.to_string();
        Self::Internal { problem }
    }

    /// What the Parquet reader said of an [`Input`](crate::Input): trouble with fetching it, or else, as
    /// text, with what is in it.
    ///
    /// # Errors
    /// When nothing was wrong with fetching.
    pub fn of_parquet(error: ParquetError) -> Result<Self, String> {
        match error {
            ParquetError::External(inner) => match inner.downcast::<Self>() {
                Ok(fetching) => Ok(*fetching),
                Err(other) => Err(other.to_string()),
            },
            other => Err(other.to_string()),
        }
    }

    /// Whose fault it is: nearly always something that the user can put right.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Core(e) => e.fault(),
            Self::Internal { .. } => Fault::Internal,
            _ => Fault::User,
        }
    }
}
