//! Errors to messages and exit codes: 2 is for what the user can put right, 1 for our defects, 3 for a gate that
//! failed.

use crate::{
    log::{self, Format, Kind},
    signals,
};
use ltv_core::Fault;
use std::{
    ffi::OsString,
    fmt,
    panic::{self, AssertUnwindSafe},
    sync::atomic::{AtomicBool, Ordering},
};

/// Why a command stopped.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    fault: Fault,
    /// Whether everything went as it should, and a gate did not let it pass.
    gate: bool,
}

impl Failure {
    /// A gate that did not let something pass.
    pub(crate) fn gate(message: impl Into<String>) -> Self {
        Self {
            gate: true,
            ..Self::user(message)
        }
    }

    /// What is wrong, and whose fault it is.
    pub(crate) fn parts(self) -> (String, Fault) {
        (self.message, self.fault)
    }

    /// Something the user can put right.
    pub(crate) fn user(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            fault: Fault::User,
            gate: false,
        }
    }

    /// A defect of this program.
    pub(crate) fn internal(problem: impl fmt::Display) -> Self {
        let message = format!("{problem}; this is a defect: please report it");
        Self {
            message,
            fault: Fault::Internal,
            gate: false,
        }
    }
}

/// As people are told.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Every library error knows whose fault it is.
macro_rules! from_library {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self { fault: error.fault(), message: error.to_string(), gate: false }
            }
        }
    )*};
}

from_library!(
    ltv_core::Error,
    ltv_data::DataError,
    ltv_data::forget::ForgetError,
    ltv_data::stream::StreamError,
    ltv_data::simulate::SimulateError,
    ltv_data::random::RandomError,
    ltv_eval::EvalError,
    ltv_files::FilesError,
    ltv_model::ModelError,
    ltv_train::TrainError,
    ltv_score::ScoreError,
    ltv_lab::LabError,
    ltv_daily::DailyError,
    ltv_onnx::OnnxError,
    ltv_online::OnlineError,
    ltv_serve::ServeError,
);

/// Whether a panic has been reported.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// A panic is a defect whatever the input: one line instead of a trace. The stack unwinds after it,
/// which takes temporary files and folders away.
pub(crate) fn install_panic_hook() {
    panic::set_hook(Box::new(|info| {
        // What follows from the first panic, or from being stopped, is no news.
        if signals::received().is_some() || PANICKED.swap(true, Ordering::SeqCst) {
            return;
        }
        let text = info.payload();
        let text = text.downcast_ref::<&str>().map(|s| s.to_string());
        let text = text.or_else(|| info.payload().downcast_ref::<String>().cloned());
        let text = text.unwrap_or_else(|| "unknown cause".into());
        let place = info
            .location()
            .map(|l| format!(" at {l}"))
            .unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        let message = format!("{line}{place}; this is a defect of ltv: please report it");
        log::error(&message, INTERNAL, Kind::Internal);
    }));
}

/// Runs `command` and turns whatever comes of it into an exit code. A panic is exit code 1, also
/// when it happened on a thread that nobody waited for.
pub(crate) fn run(command: impl FnOnce() -> Result<(), Failure>) -> u8 {
    let outcome = panic::catch_unwind(AssertUnwindSafe(command));
    if let (Some(signal), false) = (signals::received(), matches!(outcome, Ok(Ok(())))) {
        let (message, code) = (
            format!("stopped by {}", signals::name(signal)),
            128 + signal,
        );
        log::error(&message, code, Kind::Stopped);
        return code;
    }
    let panicked = PANICKED.load(Ordering::SeqCst);
    match outcome {
        Ok(Ok(())) if !panicked => 0,
        Ok(Err(failure)) if !panicked => fail(&failure),
        _ => INTERNAL,
    }
}

/// Exit code of what the user can put right.
const USER: u8 = 2;
/// Exit code of a gate that failed.
const GATE: u8 = 3;
/// Exit code of our defects.
const INTERNAL: u8 = 1;

impl Failure {
    /// The exit code, and what programs are told.
    pub(crate) fn code(&self) -> (u8, Kind) {
        match self.fault {
            _ if self.gate => (GATE, Kind::Gate),
            Fault::User => (USER, Kind::User),
            Fault::Internal => (INTERNAL, Kind::Internal),
        }
    }
}

/// Prints the message and gives the exit code.
fn fail(failure: &Failure) -> u8 {
    let (code, kind) = failure.code();
    log::error(&failure.message, code, kind);
    code
}

/// Of arguments that make no command: prints what is wrong with them or, where it was asked for,
/// help, and gives the exit code.
pub(crate) fn refuse(error: &clap::Error, arguments: &[OsString]) -> u8 {
    let words = arguments.iter().map(|a| a.to_string_lossy().into_owned());
    let format = Format::asked(words);
    if format == Format::Text || !error.use_stderr() {
        // Nobody to tell that standard output is gone.
        let _ = error.print();
        return if error.use_stderr() { USER } else { 0 };
    }
    format.choose();
    log::error(&problem(error), USER, Kind::User);
    USER
}

/// What is wrong with arguments that make no command.
pub(crate) fn problem(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let message = text.trim_end();
    message
        .strip_prefix("error: ")
        .unwrap_or(message)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_unwinds_and_is_a_defect() {
        struct Held<'a>(&'a AtomicBool);
        impl Drop for Held<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let released = AtomicBool::new(false);
        let code = run(|| {
            let held = Held(&released);
            let none: [u8; 0] = [];
            let place = none.len();
            // Past the end.
            let _ = std::hint::black_box(&none[..])[place];
            drop(held);
            Ok(())
        });
        assert_eq!(code, INTERNAL);
        assert!(released.load(Ordering::SeqCst));
    }
}
