//! What can go wrong in an experiment, and whose fault it is.

use ltv_baselines::BaselineError;
use ltv_core::{Day, Fault};
use ltv_data::{DataError, part::PartError, stream::StreamError};
use ltv_eval::{EvalError, comparison::CompareError};
use ltv_model::ModelError;
use ltv_score::ScoreError;
use ltv_train::TrainError;
use std::path::PathBuf;

/// A failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// Configuration, artefact or file trouble that the core crate words.
    #[error(transparent)]
    Core(#[from] ltv_core::Error),
    /// An event log cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A dataset cannot be read.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// A network cannot be built, read or written.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A network cannot be trained.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A model that is no network cannot be fitted, read or written.
    #[error(transparent)]
    Baseline(#[from] BaselineError),
    /// A model does not fit a dataset.
    #[error(transparent)]
    Score(#[from] ScoreError),
    /// Metrics cannot be computed.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// Models cannot be compared.
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// Predictions cannot be written.
    #[error(transparent)]
    Part(#[from] PartError),
    /// Something about one contestant.
    #[error("models '{name}': {source}")]
    Contestant {
        /// The contestant.
        name: String,
        /// What is wrong.
        source: Box<LabError>,
    },
    /// Something about one date of a backtest.
    #[error("as of {day}: {source}")]
    Date {
        /// The as-of date.
        day: Day,
        /// What is wrong.
        source: Box<LabError>,
    },
    /// A model that needs the event log, and there is none.
    #[error(
        "it needs the event log that the dataset was made from: give it with events = [\"...\"] or --events"
    )]
    NoEvents,
    /// Two datasets that do not go together.
    #[error(
        "{}: {what}: {found}, but {expected} in {}; make both with the same feature configuration",
        path.display(), other.display()
    )]
    Unlike {
        /// The later dataset.
        path: PathBuf,
        /// The training dataset.
        other: PathBuf,
        /// What differs.
        what: &'static str,
        /// What it is in the training dataset.
        expected: String,
        /// What it is in the later one.
        found: String,
    },
    /// Nobody to judge on.
    #[error(
        "{}: nobody to judge on: {wanted}; give a later dataset as test, or split.test above 0",
        path.display()
    )]
    Nobody {
        /// The dataset.
        path: PathBuf,
        /// Who was looked for.
        wanted: &'static str,
    },
    /// Nobody to judge on at one date of a backtest.
    #[error(
        "{}: nobody to judge on: no user registered from {from} and before {until} has a label by \
         {as_of}; end with an earlier date, judge more days, or make the dataset with a later --as-of",
        path.display()
    )]
    NobodySince {
        /// The dataset.
        path: PathBuf,
        /// The as-of date: first day of registration.
        from: Day,
        /// Registered before this day.
        until: Day,
        /// As-of day of the dataset, by which labels are known.
        as_of: Day,
    },
    /// A stored run that cannot be read.
    #[error("{}: {problem}; delete the folder to train this model again", path.display())]
    Run {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Something about one of the two models of an experiment.
    #[error("the model of the {role} arm: {source}")]
    Role {
        /// The arm.
        role: &'static str,
        /// What is wrong.
        source: Box<LabError>,
    },
    /// A model that predicts something else than the dataset counts.
    #[error(
        "{}: its labels count {found}, but the model of the {role} arm predicts {expected}; give a dataset \
         with dataset.label = \"{expected}\"",
        path.display()
    )]
    OtherLabel {
        /// The dataset.
        path: PathBuf,
        /// The arm.
        role: &'static str,
        /// What the model predicts.
        expected: &'static str,
        /// What the dataset counts.
        found: &'static str,
    },
    /// A column of costs that is not there.
    #[error(
        "{}: no column '{column}' for costs; kept columns are {known:?}: make the dataset with \
         users.keep = [\"{column}\"], or state a cost model with --cost-model",
        path.display()
    )]
    NoCost {
        /// The dataset.
        path: PathBuf,
        /// The column.
        column: String,
        /// The kept columns there are.
        known: Vec<String>,
    },
    /// A column of costs that holds no numbers.
    #[error("{}: column '{column}' is {found}, but costs are numbers; give another with --cost", path.display())]
    CostType {
        /// The dataset.
        path: PathBuf,
        /// The column.
        column: String,
        /// Its type.
        found: String,
    },
    /// A user whom no return can be computed for.
    #[error("{}: {column}, user {user}: a cost of {cost}; {hint}", path.display())]
    CostValue {
        /// The dataset.
        path: PathBuf,
        /// Where costs are from.
        column: String,
        /// The user.
        user: String,
        /// What was found.
        cost: f64,
        /// What to do.
        hint: &'static str,
    },
    /// A label below 0.
    #[error("{}: column 'ltv_{days}', user {user}: {label}; values must be finite and at least 0", path.display())]
    Realised {
        /// The dataset.
        path: PathBuf,
        /// The user.
        user: String,
        /// Days of the outcome.
        days: u32,
        /// What was found.
        label: f64,
    },
    /// Nobody whom both models have never seen and whose value is known.
    #[error(
        "{}: nobody to deliver to: wanted are users registered since {since}, whom neither model has seen, who \
         cost something and whose value over {days} days was known on {as_of}, which takes a registration on {until} or \
         before ({free} cost nothing and were left out); make the dataset with a later as-of date, or give shorter --outcomes",
        path.display()
    )]
    NobodyToDeliver {
        /// The dataset.
        path: PathBuf,
        /// First day of registration.
        since: Day,
        /// Longest outcome in days.
        days: u32,
        /// Last day of registration.
        until: Day,
        /// As-of day of the dataset.
        as_of: Day,
        /// Users left out because they cost nothing.
        free: u64,
    },
    /// A file that is no model.
    #[error("{}: {problem}; give a file that 'ltv train' or 'ltv compare' wrote", path.display())]
    NoModel {
        /// The file.
        path: PathBuf,
        /// What it is.
        problem: &'static str,
    },
    /// What no input should be able to bring about.
    #[error("the comparison failed: {0}; this is a defect: please report it")]
    Internal(String),
}

impl LabError {
    pub(crate) fn internal(problem: impl ToString) -> Self {
        Self::Internal(problem.to_string())
    }

    /// The same error, said of a contestant.
    pub(crate) fn of(self, name: &str) -> Self {
        Self::Contestant {
            name: name.to_owned(),
            source: Box::new(self),
        }
    }

    /// The same error, said of the model of an arm.
    pub(crate) fn of_role(self, role: &'static str) -> Self {
        let source = Box::new(self);
        Self::Role { role, source }
    }

    /// A cost that is not above 0.
    pub(crate) fn cost(path: PathBuf, user: String, column: Option<&String>, cost: f64) -> Self {
        let column = column.map_or("the cost model".to_owned(), |c| format!("column '{c}'"));
        let hint = match cost {
            0.0 => {
                "a return takes a cost above 0: leave out those who cost nothing with --leave-out-free"
            }
            c if c > 0.0 && c.is_finite() => "give costs in another unit, from 1e-50 to 1e50",
            _ => "costs must be there, finite and above 0",
        };
        Self::CostValue {
            path,
            column,
            user,
            cost,
            hint,
        }
    }

    /// The same error, said of a date.
    pub(crate) fn at(self, day: Day) -> Self {
        Self::Date {
            day,
            source: Box::new(self),
        }
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Core(e) => e.fault(),
            Self::Data(e) => e.fault(),
            Self::Stream(e) => e.fault(),
            Self::Model(e) => e.fault(),
            Self::Train(e) => e.fault(),
            Self::Baseline(e) => e.fault(),
            Self::Score(e) => e.fault(),
            Self::Eval(e) => e.fault(),
            Self::Compare(e) => e.fault(),
            Self::Contestant { source, .. }
            | Self::Date { source, .. }
            | Self::Role { source, .. } => source.fault(),
            Self::Internal(_) => Fault::Internal,
            _ => Fault::User,
        }
    }
}
