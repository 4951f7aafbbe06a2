//! A producer on a thread of its own behind a bounded channel.

use super::StreamError;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::{ops::ControlFlow, thread::JoinHandle};

/// Items made ahead of their use.
pub(crate) const PREFETCH: usize = 4;

/// Items from a producer's thread, in order. Dropping it stops the producer and waits for it.
#[derive(Debug)]
pub(crate) struct Worker<T> {
    receiver: Option<Receiver<Result<T, StreamError>>>,
    thread: Option<JoinHandle<()>>,
}

/// Where a producer puts its items.
pub(crate) struct Outlet<T> {
    sender: Sender<Result<T, StreamError>>,
}

impl<T> Outlet<T> {
    /// Waits until there is room; breaks when nobody wants more.
    pub(crate) fn offer(&self, item: T) -> ControlFlow<()> {
        match self.sender.send(Ok(item)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

/// Runs `produce` on a new thread, at most `ahead` items before their use. An error it returns
/// is the last item.
pub(crate) fn spawn<T: Send + 'static>(
    ahead: usize,
    produce: impl FnOnce(&Outlet<T>) -> Result<(), StreamError> + Send + 'static,
) -> Worker<T> {
    let (sender, receiver) = bounded(ahead);
    let thread = std::thread::spawn(move || {
        let outlet = Outlet { sender };
        if let Err(error) = produce(&outlet) {
            // Nobody left to tell: the receiver was dropped.
            let _ = outlet.sender.send(Err(error));
        }
    });
    Worker {
        receiver: Some(receiver),
        thread: Some(thread),
    }
}

impl<T> Iterator for Worker<T> {
    type Item = Result<T, StreamError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(item) = self.receiver.as_ref().and_then(|r| r.recv().ok()) {
            return Some(item);
        }
        self.receiver = None;
        let thread = self.thread.take()?;
        let died = thread.join().is_err();
        died.then(|| Err(StreamError::internal("the reading thread", "it panicked")))
    }
}

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        // Disconnects first, so that the producer's next offer breaks.
        self.receiver = None;
        if let Some(thread) = self.thread.take() {
            // A panic in there has no one to be reported to any more.
            let _ = thread.join();
        }
    }
}
