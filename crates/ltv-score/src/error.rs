//! What can go wrong while users are scored or a model is evaluated.

use ltv_core::Fault;
use ltv_data::stream::StreamError;
use ltv_eval::EvalError;
use ltv_files::FilesError;
use parquet::errors::ParquetError;
use std::path::PathBuf;

/// A failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreError {
    /// Configuration, artefact or file trouble that the core crate words.
    #[error(transparent)]
    Core(#[from] ltv_core::Error),
    /// A place that cannot be read or written.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The dataset or a batch cannot be read or encoded.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// Metrics cannot be computed.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// The model reads a column that the dataset does not have.
    #[error(
        "{}: no column '{column}', which the model's feature '{feature}' reads; score a dataset made with the feature configuration that the model was trained with",
        path.display()
    )]
    MissingFeature {
        /// The dataset.
        path: PathBuf,
        /// The feature of the model.
        feature: String,
        /// The column it reads.
        column: String,
    },
    /// A model without a distribution, where one is to be written.
    #[error(
        "model {model_id} predicts values alone, but a snapshot holds quantiles and P(value > 0) as well; score with a model that has them: a network, RFM cells, buy-till-you-die"
    )]
    NoDistribution {
        /// The model.
        model_id: String,
    },
    /// The model was trained on another observation window.
    #[error(
        "{}: users are observed for {found} days, but the model was trained on {expected}; make the dataset with dataset.window_days = {expected}",
        path.display()
    )]
    Window {
        /// The dataset.
        path: PathBuf,
        /// Days of the model's window.
        expected: u32,
        /// Days of the dataset's.
        found: u32,
    },
    /// Horizons were asked for that the model does not predict, or the baselines do not know.
    #[error("the {what} has no horizon of {days} days, only {known:?}; choose among these")]
    Horizon {
        /// "model" or "baselines".
        what: &'static str,
        /// The horizon asked for.
        days: u32,
        /// Those that are there.
        known: Vec<u32>,
    },
    /// The baselines were fitted to another kind of label.
    #[error(
        "{}: its labels are of another kind than the model's: they go with the column '{expected}', the model's with '{found}'; evaluate on a dataset made with the label that the model was trained on",
        path.display()
    )]
    Signal {
        /// The dataset.
        path: PathBuf,
        /// The column that goes with the dataset's label.
        expected: &'static str,
        /// The column of the baselines.
        found: String,
    },
    /// A segment column that is not there or is not categorical.
    #[error(
        "{}: cannot report by '{column}': it is neither a categorical feature nor a kept column; there are {known:?}",
        path.display()
    )]
    Segment {
        /// The dataset.
        path: PathBuf,
        /// What was asked for.
        column: String,
        /// What is there.
        known: Vec<String>,
    },
    /// A segment column of numbers that measure something.
    #[error(
        "{}: cannot report by '{column}': it holds {found} numbers, which are no categories; report by one of {known:?}",
        path.display()
    )]
    SegmentType {
        /// The dataset.
        path: PathBuf,
        /// What was asked for.
        column: String,
        /// Its type.
        found: String,
        /// Columns of categories.
        known: Vec<String>,
    },
    /// A segment column with so many values that none is a segment.
    #[error(
        "{}: cannot report by '{column}': it has more than {most} different values; report by a column of fewer",
        path.display()
    )]
    SegmentValues {
        /// The dataset.
        path: PathBuf,
        /// What was asked for.
        column: String,
        /// Values that are told apart at most.
        most: usize,
    },
    /// No row with a label.
    #[error(
        "{}: nobody to evaluate among {rows} users: wanted are {wanted}; choose other users, or make the dataset with a later as-of date",
        path.display()
    )]
    Nobody {
        /// The dataset.
        path: PathBuf,
        /// Users in it.
        rows: u64,
        /// Whom the options ask for, in words.
        wanted: String,
    },
    /// Neither a model nor baselines were given.
    #[error("nothing to evaluate: give a model, baselines or both")]
    NothingToEvaluate,
    /// A file of the dataset is not strictly ordered by user.
    #[error(
        "{}: user {user} in row {row} does not come after user {previous}; every user must appear once, in order: make the dataset again with 'ltv features'",
        path.display()
    )]
    Users {
        /// The file.
        path: PathBuf,
        /// Row in the file, from 1.
        row: u64,
        /// The user there.
        user: String,
        /// The user before.
        previous: String,
    },
    /// No value for an ad platform.
    #[error("nothing left to send to {platform}: {left_out}; nothing was written: {hint}")]
    NothingToSend {
        /// The platform.
        platform: &'static str,
        /// How many users were left out, by reason, in words.
        left_out: String,
        /// What to do.
        hint: &'static str,
    },
    /// The output holds something that is not part of a snapshot.
    #[error(
        "{}: holds '{entry}', which is not part of a snapshot; give a new folder, an empty one or a snapshot to replace",
        path.display()
    )]
    OutputInUse {
        /// The output.
        path: PathBuf,
        /// The first thing in the way.
        entry: String,
    },
    /// The Parquet writer failed.
    #[error("cannot write {}: {source}; is the disk full?", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: ParquetError,
    },
    /// The model predicted what no prediction can be.
    #[error(
        "model {model_id} predicts {column} = {value} for user {user}; a prediction is a finite number of 0 or more: this is a defect, please report it"
    )]
    Prediction {
        /// The model.
        model_id: String,
        /// The user.
        user: String,
        /// The snapshot column.
        column: String,
        /// The value.
        value: f64,
    },
    /// The model's predictions cross although their order was guaranteed.
    #[error(
        "model {model_id} predicts more for {shorter} days than for {longer} for user {user}, although order is guaranteed: this is a defect, please report it"
    )]
    Order {
        /// The model.
        model_id: String,
        /// The user.
        user: String,
        /// The shorter horizon in days.
        shorter: u32,
        /// The longer horizon in days.
        longer: u32,
    },
    /// The model returned blocks of another size than it was asked for.
    #[error(
        "model {model_id} returned {found} {what} for a block that has {expected}: this is a defect, please report it"
    )]
    Shape {
        /// The model.
        model_id: String,
        /// Which block.
        what: &'static str,
        /// Values expected.
        expected: usize,
        /// Values returned.
        found: usize,
    },
    /// Rows went missing between dataset and snapshot.
    #[error(
        "{}: {found} rows of {expected} were scored; the snapshot is not committed: this is a defect, please report it",
        path.display()
    )]
    Rows {
        /// The dataset.
        path: PathBuf,
        /// Rows in the dataset's manifest.
        expected: u64,
        /// Rows written or dropped on request.
        found: u64,
    },
    /// An operation failed that earlier checks should have made safe.
    #[error("{problem}; this is a defect: please report it")]
    Internal {
        /// What happened.
        problem: String,
    },
}

impl ScoreError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Core(e) => e.fault(),
            Self::Files(e) => e.fault(),
            Self::Stream(e) => e.fault(),
            Self::Eval(e) => e.fault(),
            Self::Prediction { .. }
            | Self::Order { .. }
            | Self::Shape { .. }
            | Self::Rows { .. }
            | Self::Internal { .. } => Fault::Internal,
            _ => Fault::User,
        }
    }

    /// The same error, where its row was counted from row `first_row` of the file.
    pub(crate) fn offset_by(self, first_row: u64) -> Self {
        match self {
            Self::Stream(error) => error.offset_by(first_row).into(),
            other => other,
        }
    }

    pub(crate) fn internal(problem: impl ToString) -> Self {
        Self::Internal {
            problem: problem.to_string(),
        }
    }
}
