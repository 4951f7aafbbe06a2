//! Batches that know how much of the dataset has been read for them, so that a stage has a total
//! whoever is wanted.

use super::{StreamError, worker};
use ltv_core::progress::{Progress, Stretch};
use std::{cell::Cell, ops::ControlFlow};

/// Batches of a dataset, made on a thread of their own; see [`stream`](super::stream()).
#[derive(Debug)]
pub struct Batches<T> {
    /// Each with the rows of the dataset that had been read when it was made.
    worker: worker::Worker<(T, u64)>,
    rows: u64,
}

/// Where batches go, and how many rows have been read for them, wanted or not.
pub(super) struct Outlet<'a, T> {
    out: &'a worker::Outlet<(T, u64)>,
    read: Cell<u64>,
}

impl<T> Outlet<'_, T> {
    pub(super) fn offer(&self, batch: T) -> ControlFlow<()> {
        self.out.offer((batch, self.read.get()))
    }

    /// So many more rows of the dataset are dealt with.
    pub(super) fn done(&self, rows: u64) {
        self.read.set(self.read.get() + rows);
    }
}

impl<T: Send + 'static> Batches<T> {
    /// Those that `produce` makes of a dataset of so many rows.
    pub(super) fn spawn(
        rows: u64,
        produce: impl FnOnce(&Outlet<'_, T>) -> Result<(), StreamError> + Send + 'static,
    ) -> Self {
        let worker = worker::spawn(worker::PREFETCH, move |out| {
            let read = Cell::new(0);
            produce(&Outlet { out, read })
        });
        Self { worker, rows }
    }
}

impl<T> Batches<T> {
    /// The same batches within a stage whose units are the rows of the dataset: how many have been
    /// read for the batches that are done with, wanted or not, and how long batches were waited for.
    pub fn told(self, progress: &dyn Progress) -> Told<'_, T> {
        Told {
            batches: self,
            at: 0,
            told: 0,
            progress,
        }
    }
}

impl<T> Iterator for Batches<T> {
    type Item = Result<T, StreamError>;
    fn next(&mut self) -> Option<Self::Item> {
        Some(self.worker.next()?.map(|(batch, _)| batch))
    }
}

/// Batches whose reading is told; see [`Batches::told`].
pub struct Told<'a, T> {
    batches: Batches<T>,
    /// Rows read for the batch that is at work.
    at: u64,
    told: u64,
    progress: &'a dyn Progress,
}

impl<T> Told<'_, T> {
    /// Rows of the dataset that have been told of so far.
    pub fn rows(&self) -> u64 {
        self.told
    }

    fn tell(&mut self) {
        self.progress.advance(self.at - self.told);
        self.told = self.at;
    }
}

impl<T> Iterator for Told<'_, T> {
    type Item = Result<T, StreamError>;
    fn next(&mut self) -> Option<Self::Item> {
        self.tell();
        let worker = &mut self.batches.worker;
        match Stretch::of(self.progress, "waiting for rows", || worker.next()) {
            Some(Ok((batch, at))) => {
                self.at = at;
                Some(Ok(batch))
            }
            Some(Err(error)) => Some(Err(error)),
            None => {
                // Rows that nobody wanted come after the last batch.
                self.at = self.at.max(self.batches.rows);
                self.tell();
                None
            }
        }
    }
}
