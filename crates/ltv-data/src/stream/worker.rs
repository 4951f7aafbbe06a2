//! Producers on threads of their own behind bounded channels: one, or several that take turns.

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

/// What comes out of several sources, in the order of the sources, while several threads work on
/// them. Dropping it stops the threads and waits for them.
#[derive(Debug)]
pub(crate) struct InTurn<T> {
    lanes: Vec<Lane<T>>,
    /// The source that is read from, of so many.
    source: usize,
    sources: usize,
}

#[derive(Debug)]
struct Lane<T> {
    receiver: Option<Receiver<Step<T>>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Step<T> {
    Item(T),
    /// The source has no more.
    End,
    Failed(StreamError),
}

/// Runs `produce` on every source: thread `i` of `lanes` on source `i`, `i + lanes` and so on, each at
/// most `ahead` items before their use. Which items come, and in which order, does not depend on the
/// number of threads. What `produce` returns an error for ends it all.
pub(crate) fn in_turn<S, T, P>(sources: &[S], lanes: usize, ahead: usize, produce: P) -> InTurn<T>
where
    S: Copy + Send + 'static,
    T: Send + 'static,
    P: FnMut(S, &mut dyn FnMut(T) -> ControlFlow<()>) -> Result<(), StreamError>
        + Clone
        + Send
        + 'static,
{
    let count = lanes.clamp(1, sources.len().max(1));
    let lane = |i: usize| {
        let (sender, receiver) = bounded(ahead.max(1));
        let own: Vec<S> = sources.iter().skip(i).step_by(count).copied().collect();
        let produce = produce.clone();
        let thread = std::thread::spawn(move || run(own, sender, produce));
        Lane {
            receiver: Some(receiver),
            thread: Some(thread),
        }
    };
    InTurn {
        lanes: (0..count).map(lane).collect(),
        source: 0,
        sources: sources.len(),
    }
}

/// One thread of [`in_turn`]; ends early when nobody listens any more.
fn run<S, T>(
    sources: Vec<S>,
    sender: Sender<Step<T>>,
    mut produce: impl FnMut(S, &mut dyn FnMut(T) -> ControlFlow<()>) -> Result<(), StreamError>,
) {
    for source in sources {
        let mut offer = |item| match sender.send(Step::Item(item)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        };
        let done = produce(source, &mut offer);
        let is_over = done.is_err();
        let last = done.map_or_else(Step::Failed, |()| Step::End);
        if sender.send(last).is_err() || is_over {
            return;
        }
    }
}

impl<T> Iterator for InTurn<T> {
    type Item = Result<T, StreamError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.source < self.sources {
            let lane = self.source % self.lanes.len();
            match self.lanes[lane].receiver.as_ref()?.recv() {
                Ok(Step::Item(item)) => return Some(Ok(item)),
                Ok(Step::End) => self.source += 1,
                Ok(Step::Failed(error)) => {
                    self.source = self.sources;
                    return Some(Err(error));
                }
                // A thread goes without a word only by a panic.
                Err(_) => {
                    self.source = self.sources;
                    return Some(Err(StreamError::internal(
                        "a reading thread",
                        "it panicked",
                    )));
                }
            }
        }
        None
    }
}

impl<T> Drop for InTurn<T> {
    fn drop(&mut self) {
        // All of them are disconnected before any is waited for.
        self.lanes.iter_mut().for_each(|lane| lane.receiver = None);
        for thread in self.lanes.iter_mut().filter_map(|lane| lane.thread.take()) {
            // A panic in there has been reported, or has no one to be reported to any more.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    type Sink<'a> = &'a mut dyn FnMut(u64) -> ControlFlow<()>;

    /// Source `s` has `s % 7` items, and takes longer the more it has.
    fn count_up(source: u64, sink: Sink<'_>) -> Result<(), StreamError> {
        for i in 0..source % 7 {
            std::thread::yield_now();
            if sink(10 * source + i).is_break() {
                break;
            }
        }
        Ok(())
    }

    #[test]
    fn items_come_in_the_order_of_the_sources_from_any_number_of_threads() {
        let sources: Vec<u64> = (0..40).collect();
        let expected: Vec<u64> = (0..40)
            .flat_map(|s| (0..s % 7).map(move |i| 10 * s + i))
            .collect();
        for lanes in [0, 1, 2, 3, 7, 100] {
            for ahead in [0, 1, 5] {
                let found = in_turn(&sources, lanes, ahead, count_up);
                assert_eq!(found.map(Result::unwrap).collect::<Vec<_>>(), expected);
            }
        }
        assert!(in_turn(&[], 3, 2, count_up).next().is_none());
    }

    #[test]
    fn an_error_or_a_panic_is_the_last_item() {
        let end = |how: fn() -> Result<(), StreamError>| {
            let items = in_turn(
                &[3, 4, 5, 6],
                2,
                1,
                move |source, sink: Sink<'_>| match source {
                    5 => how(),
                    _ => count_up(source, sink),
                },
            );
            let all: Vec<_> = items.collect();
            assert_eq!(all.len(), 8, "seven items of the first two sources");
            all.into_iter().last().unwrap().unwrap_err().to_string()
        };
        assert!(end(|| Err(StreamError::internal("here", "no more"))).contains("no more"));
        assert!(end(|| panic!("on purpose")).contains("panicked"));
    }

    #[test]
    fn dropping_it_stops_all_threads() {
        let endless = |_, sink: Sink<'_>| {
            while sink(1).is_continue() {}
            Ok(())
        };
        let mut items = in_turn(&[0_u64; 9], 3, 2, endless);
        assert_eq!(items.next().unwrap().unwrap(), 1);
        // Returns only when the threads have ended.
        drop(items);
    }
}
