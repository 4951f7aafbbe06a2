//! What can be wrong with the input of an evaluation.

use ltv_core::Fault;
use std::path::PathBuf;

/// Errors of this crate. Rows are in the order of the input; fields count them from 0, messages from
/// 1.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A label below zero or infinite.
    #[error(
        "label {column}, row {}: {value} is not a value a Lorenz curve can hold; labels must be \
         finite and at least 0 (floor returns at 0, leave immature labels empty)",
        .row + 1
    )]
    Label {
        /// Name of the column, `ltv_<N>`.
        column: String,
        /// Row of the input.
        row: usize,
        /// What was found.
        value: f64,
    },
    /// A prediction below zero, infinite or missing.
    #[error(
        "predictions '{set}', column {column}, row {}: {value} is not a usable prediction; every \
         row needs one that is finite and at least 0, also where the label is immature",
        .row + 1
    )]
    Prediction {
        /// Name of the prediction set.
        set: String,
        /// Name of the column, `ltv_<N>`.
        column: String,
        /// Row of the input.
        row: usize,
        /// What was found.
        value: f64,
    },
    /// An array whose length does not fit the others.
    #[error("{what} holds {found} values, expected {expected}: give one for each row and horizon")]
    Shape {
        /// The array.
        what: String,
        /// Number of values that would fit.
        expected: usize,
        /// Number of values found.
        found: usize,
    },
    /// A segment code without a label.
    #[error(
        "segment '{segment}', row {}: code {code} has no label, there are only {labels}",
        .row + 1
    )]
    SegmentCode {
        /// Name of the segmentation.
        segment: String,
        /// Row of the input.
        row: usize,
        /// The code.
        code: u32,
        /// Number of labels.
        labels: usize,
    },
    /// No prediction set was given.
    #[error("nothing to evaluate: give at least one set of predictions")]
    NoPredictions,
    /// Two prediction sets, or two segmentations, of one name.
    #[error(
        "'{name}' is given twice: every set of predictions and every segment needs its own name"
    )]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// The reference of paired differences is not among the prediction sets.
    #[error("reference '{name}' is not among the predictions: choose one of {known:?}")]
    UnknownReference {
        /// What was asked for.
        name: String,
        /// The sets there are.
        known: Vec<String>,
    },
    /// A number of bootstrap replicates that makes no interval.
    #[error("bootstrap: {found} replicates cannot give a 95 % interval, use 20 to 1000000")]
    Replicates {
        /// What was asked for.
        found: u32,
    },
    /// More rows than 32-bit row numbers can address.
    #[error("{rows} rows are too many for one evaluation: evaluate a sample of at most 4294967295")]
    TooManyRows {
        /// Number of rows.
        rows: usize,
    },
    /// Scratch files that cannot be made, written or read.
    #[error(
        "cannot {action} scratch files in {}: {problem}; free space there or choose another folder",
        folder.display()
    )]
    Scratch {
        /// Where they are.
        folder: PathBuf,
        /// What was attempted: "create", "write" or "read".
        action: &'static str,
        /// The cause.
        problem: String,
    },
    /// Sorted files that contradict each other.
    #[error("{problem}; this is a defect: please report it")]
    Internal {
        /// What was found.
        problem: String,
    },
    /// An option outside its range.
    #[error("{option}: {problem}")]
    Option {
        /// The option.
        option: &'static str,
        /// What would do.
        problem: &'static str,
    },
    /// An arm of an experiment without users.
    #[error(
        "the {arm} arm has {users} of the users, too few to deliver to: give a larger arm share, or more users"
    )]
    EmptyArm {
        /// The arm.
        arm: &'static str,
        /// Its users.
        users: usize,
    },
    /// A budget that pays for everybody.
    #[error(
        "a budget of {budget} buys everybody in an arm, who cost {whole}, so that nothing is left to choose: give less"
    )]
    BudgetLarge {
        /// The budget.
        budget: f64,
        /// What the users of the cheaper arm cost.
        whole: f64,
    },
    /// A budget that pays for nobody.
    #[error(
        "a budget of {budget} does not pay for the first user of an arm, who costs {first}: give more"
    )]
    BudgetSmall {
        /// The budget.
        budget: f64,
        /// What the first user costs.
        first: f64,
    },
    /// A stored evaluation that cannot be read or written.
    #[error("evaluation document: {problem}; evaluate again with this version of the program")]
    Document {
        /// What is wrong with it.
        problem: String,
    },
}

impl EvalError {
    /// Whose fault it is: arrays and codes are put together by the program, all else is input.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Shape { .. } | Self::SegmentCode { .. } | Self::Internal { .. } => {
                Fault::Internal
            }
            _ => Fault::User,
        }
    }

    /// The same error, found in a block that `rows` others come before.
    pub(crate) fn after(mut self, rows: usize) -> Self {
        if let Self::Label { row, .. }
        | Self::Prediction { row, .. }
        | Self::SegmentCode { row, .. } = &mut self
        {
            *row += rows;
        }
        self
    }
}
