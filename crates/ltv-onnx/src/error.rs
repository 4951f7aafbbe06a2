//! What can go wrong with an export.

use ltv_core::Fault;

/// Errors of this crate. Every message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// What the model does cannot be said in ONNX.
    #[error("{option}: {problem}")]
    Unsupported {
        /// The option of the command or of the model that asks for it.
        option: &'static str,
        /// What cannot be said, and what to do.
        problem: String,
    },
    /// A dataset column whose name the graph needs for something else.
    #[error(
        "column '{column}': the model reads it as {first} and as {second}, and a graph's inputs and \
         outputs must have names of their own; train on a dataset in which it has another name"
    )]
    Column {
        /// The column.
        column: String,
        /// One use.
        first: &'static str,
        /// Another.
        second: &'static str,
    },
    /// A column whose name could be that of a value inside the graph.
    #[error(
        "column '{column}': names that start with '/' are those of values inside the graph; train on a \
         dataset in which it has another name"
    )]
    Slash {
        /// The column.
        column: String,
    },
    /// More bytes than a file of the format holds.
    #[error(
        "the scoring graph takes {bytes} bytes, and an ONNX file at most {}; train with fewer \
         categories (encoding.max_categories) or a smaller model.embedding",
        Self::MOST_BYTES
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// What no model should be able to bring about.
    #[error("the model cannot be exported: {0}; this is a defect: please report it")]
    Internal(String),
}

impl OnnxError {
    /// The largest message that readers of protocol buffers take: 2 GiB less a byte.
    pub const MOST_BYTES: usize = i32::MAX as usize;

    pub(crate) fn internal(problem: impl ToString) -> Self {
        Self::Internal(problem.to_string())
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Internal(_) => Fault::Internal,
            _ => Fault::User,
        }
    }
}
