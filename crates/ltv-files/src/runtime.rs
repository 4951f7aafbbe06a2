//! Requests run beside the threads that wait for them.

use crate::FilesError;
use std::{
    num::NonZeroUsize,
    sync::{LazyLock, mpsc},
    thread::available_parallelism,
};
use tokio::runtime::{Builder, Runtime};

/// Threads that move bytes: more would take time from whoever uses them.
const THREADS: usize = 4;

/// Started with the first request, and never where there is none.
static RUNTIME: LazyLock<Result<Runtime, std::io::Error>> = LazyLock::new(|| {
    let threads = available_parallelism().map_or(1, NonZeroUsize::get);
    Builder::new_multi_thread()
        .worker_threads(threads.min(THREADS))
        .thread_name("object store")
        .enable_all()
        .build()
});

/// Blocks until `work` is done. May be called on any thread, also on one of another runtime.
pub(crate) fn wait<T: Send + 'static>(
    work: impl Future<Output = Result<T, FilesError>> + Send + 'static,
) -> Result<T, FilesError> {
    let runtime = RUNTIME.as_ref().map_err(FilesError::internal)?;
    let (sender, receiver) = mpsc::sync_channel(1);
    runtime.spawn(async move {
        // The receiver waits below.
        let _ = sender.send(work.await);
    });
    let died = |_| FilesError::internal("a request to the object store died");
    receiver.recv().map_err(died)?
}
