//! Ctrl-C and other requests to stop. Commands that write into temporary files and folders stop at
//! their next step, so that nothing is left of them.

use crate::exit::Failure;
use signal_hook::{
    consts::{SIGINT, SIGTERM, TERM_SIGNALS},
    flag,
};
use std::{
    panic::resume_unwind,
    process::exit,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// How often the watching thread looks.
const EVERY: Duration = Duration::from_millis(100);
/// What a command has to come to its next step, before the program ends without tidying up.
const PATIENCE: Duration = Duration::from_secs(5);

/// The last signal, or 0.
static SIGNAL: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// The payload of the unwinding stack.
struct Stopped;

/// From now on a signal is heard by [`stop_if_asked`]; a second one, or patience at its end, stops
/// the program at once.
pub(crate) fn listen() -> Result<(), Failure> {
    let heard = Arc::new(AtomicBool::new(false));
    for &signal in TERM_SIGNALS {
        let number = usize::from(code(signal));
        let status = 128 + i32::from(code(signal));
        flag::register_conditional_shutdown(signal, status, heard.clone())
            .and_then(|_| flag::register_usize(signal, SIGNAL.clone(), number))
            .and_then(|_| flag::register(signal, heard.clone()))
            .map_err(Failure::internal)?;
    }
    thread::spawn(|| {
        while received().is_none() {
            thread::sleep(EVERY);
        }
        thread::sleep(PATIENCE);
        exit(128 + i32::from(received().unwrap_or_default()));
    });
    Ok(())
}

fn code(signal: i32) -> u8 {
    u8::try_from(signal).unwrap_or(u8::MAX / 2)
}

/// The signal that asked the program to stop.
pub(crate) fn received() -> Option<u8> {
    let signal = SIGNAL.load(Ordering::SeqCst);
    u8::try_from(signal).ok().filter(|&signal| signal > 0)
}

/// What people call it.
pub(crate) fn name(signal: u8) -> String {
    match i32::from(signal) {
        SIGINT => "Ctrl-C".into(),
        SIGTERM => "SIGTERM".into(),
        other => format!("signal {other}"),
    }
}

/// Unwinds the stack, without a message, when a signal came: the next step of a long task asks here.
pub(crate) fn stop_if_asked() {
    if received().is_some() {
        resume_unwind(Box::new(Stopped));
    }
}
