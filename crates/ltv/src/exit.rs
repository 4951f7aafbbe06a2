//! Errors to messages and exit codes: 2 is for what the user can put right, 1 for our defects.

use ltv_core::Fault;
use std::{fmt, process::ExitCode};

/// Why a command stopped.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    fault: Fault,
}

impl Failure {
    /// Something the user can put right.
    pub(crate) fn user(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            fault: Fault::User,
        }
    }

    /// A defect of this program.
    pub(crate) fn internal(problem: impl fmt::Display) -> Self {
        let message = format!("{problem}; this is a defect: please report it");
        Self {
            message,
            fault: Fault::Internal,
        }
    }
}

/// Every library error knows whose fault it is.
macro_rules! from_library {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self { fault: error.fault(), message: error.to_string() }
            }
        }
    )*};
}

from_library!(
    ltv_core::Error,
    ltv_data::DataError,
    ltv_data::stream::StreamError,
    ltv_data::simulate::SimulateError,
    ltv_eval::EvalError,
    ltv_model::ModelError,
    ltv_train::TrainError,
    ltv_score::ScoreError,
);

/// Prints the message and gives the exit code.
pub(crate) fn fail(failure: &Failure) -> ExitCode {
    eprintln!("error: {}", failure.message);
    ExitCode::from(match failure.fault {
        Fault::User => 2,
        Fault::Internal => 1,
    })
}

/// A panic is a defect whatever the input: one line instead of a trace, and exit code 1, also when
/// it happens on a thread that nobody waits for.
pub(crate) fn install_panic_hook() {
    std::panic::set_hook(Box::new(|info| {
        let text = info.payload();
        let text = text.downcast_ref::<&str>().map(|s| s.to_string());
        let text = text.or_else(|| info.payload().downcast_ref::<String>().cloned());
        let text = text.unwrap_or_else(|| "unknown cause".into());
        let place = info
            .location()
            .map(|l| format!(" at {l}"))
            .unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        eprintln!("error: {line}{place}; this is a defect of ltv: please report it");
        std::process::exit(1);
    }));
}
