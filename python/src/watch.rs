//! Long work beside a Python interpreter: on a thread of its own, without the interpreter's lock, while
//! the calling thread hears Ctrl-C and tells how far the work has come.

use crate::fault::Failure;
use ltv_core::progress::Progress;
use pyo3::prelude::*;
use rayon::ThreadPoolBuilder;
use std::{
    any::Any,
    num::NonZero,
    panic::resume_unwind,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

/// How often the calling thread looks for Ctrl-C and tells of progress.
const EVERY: Duration = Duration::from_millis(100);

/// The payload of the unwinding stack.
struct Stopped;

/// How far the work has come.
#[derive(Debug, Default, Clone)]
struct State {
    stage: String,
    total: Option<u64>,
    done: u64,
    note: String,
    /// Changes with every stage.
    number: u64,
}

/// What the worker tells, and whether it is to stop.
#[derive(Default)]
struct Watch {
    stop: AtomicBool,
    state: Mutex<State>,
}

impl Watch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop_if_asked(&self) {
        if self.stop.load(Ordering::Relaxed) {
            resume_unwind(Box::new(Stopped));
        }
    }
}

impl Progress for Watch {
    fn start(&self, stage: &str, total: Option<u64>) {
        self.stop_if_asked();
        let mut state = self.state();
        *state = State {
            stage: stage.to_owned(),
            total,
            number: state.number + 1,
            ..State::default()
        };
    }

    fn advance(&self, n: u64) {
        self.stop_if_asked();
        self.state().done += n;
    }

    fn note(&self, text: &str) {
        self.state().note = text.to_owned();
    }

    fn finish(&self) {
        let mut state = self.state();
        state.total = Some(state.done);
    }
}

/// Threads where nothing says how many.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Runs `work` on so many threads of its own and returns what it made. No thread outlives it, so that a process may fork
/// afterwards. `listener`, where there is one, is called with `(number, stage, total,
/// done, note)` now and then: stages are numbered, and those too short to be noticed are not told.
///
/// # Errors
/// Those of `work`; `KeyboardInterrupt`, or whatever a signal handler or the listener raised, once
/// the work has stopped; a panic as a defect.
pub(crate) fn attended<T, W>(
    py: Python<'_>,
    threads: usize,
    listener: Option<Py<PyAny>>,
    work: W,
) -> PyResult<T>
where
    T: Send,
    W: FnOnce(Arc<dyn Progress>) -> Result<T, Failure> + Send,
{
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|e| Failure::user(format!("cannot start {threads} threads: {e}")))?;
    let watch = Arc::new(Watch::default());
    let told = watch.clone();
    let ended = py.detach(|| {
        thread::scope(|scope| {
            let (done, wait) = channel::<()>();
            let worker = scope.spawn(move || {
                // Dropped when the work ends, however it does.
                let _done = done;
                pool.install(|| work(told))
            });
            let mut problem = None;
            while let Err(RecvTimeoutError::Timeout) = wait.recv_timeout(EVERY) {
                if problem.is_none() {
                    problem = look(&watch, listener.as_ref()).err();
                    watch.stop.store(problem.is_some(), Ordering::Relaxed);
                }
            }
            (worker.join(), problem)
        })
    });
    match ended {
        (Ok(made), None) => Ok(made?),
        // It was done before it heard.
        (Ok(_) | Err(_), Some(problem)) => Err(problem),
        (Err(panic), None) => Err(Failure::internal(words(&*panic)).into()),
    }
}

fn look(watch: &Watch, listener: Option<&Py<PyAny>>) -> PyResult<()> {
    Python::attach(|py| {
        py.check_signals()?;
        let state = watch.state().clone();
        if let (Some(listener), 1..) = (listener, state.number) {
            let told = (
                state.number,
                state.stage,
                state.total,
                state.done,
                state.note,
            );
            listener.call1(py, told)?;
        }
        Ok(())
    })
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "unknown cause".to_owned())
}
