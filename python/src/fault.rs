//! Errors of the libraries as exceptions: the classes are those of `ltv.errors`.

use ltv_core::Fault;
use pyo3::{exceptions::PyRuntimeError, prelude::*};

/// A failure, before there is a Python interpreter to raise it in.
#[derive(Debug)]
pub(crate) struct Failure {
    class: &'static str,
    message: String,
}

impl Failure {
    /// Something the caller can put right.
    pub(crate) fn user(message: impl Into<String>) -> Self {
        Self {
            class: "InputError",
            message: message.into(),
        }
    }

    /// A defect of this package.
    pub(crate) fn internal(problem: impl std::fmt::Display) -> Self {
        Self {
            class: INTERNAL,
            message: format!("{problem}; this is a defect: please report it"),
        }
    }
}

const INTERNAL: &str = "InternalError";

/// Each library has a class of its own; defects share one.
macro_rules! from_library {
    ($($error:ty => $class:literal),* $(,)?) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                let class = match error.fault() {
                    Fault::User => $class,
                    Fault::Internal => INTERNAL,
                };
                Self { class, message: error.to_string() }
            }
        }
    )*};
}

from_library!(
    ltv_core::Error => "InputError",
    ltv_data::DataError => "DataError",
    ltv_data::stream::StreamError => "DataError",
    ltv_data::table::TableError => "DataError",
    ltv_baselines::BaselineError => "ModelError",
    ltv_model::ModelError => "ModelError",
    ltv_train::TrainError => "TrainError",
    ltv_lab::LabError => "TrainError",
    ltv_score::ScoreError => "ScoreError",
    ltv_eval::EvalError => "MetricError",
);

impl From<ltv_baselines::btyd::BtydError> for Failure {
    fn from(error: ltv_baselines::btyd::BtydError) -> Self {
        Self {
            class: "ModelError",
            message: error.to_string(),
        }
    }
}

impl From<ltv::Refused> for Failure {
    fn from(refused: ltv::Refused) -> Self {
        let class = match refused.code {
            1 => INTERNAL,
            3 => "GateError",
            _ => "InputError",
        };
        Self {
            class,
            message: refused.message,
        }
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        Python::attach(|py| {
            let class = py
                .import("ltv.errors")
                .and_then(|errors| errors.getattr(failure.class));
            match class.and_then(|class| class.call1((&failure.message,))) {
                Ok(exception) => Self::from_value(exception),
                Err(_) => PyRuntimeError::new_err(failure.message),
            }
        })
    }
}
