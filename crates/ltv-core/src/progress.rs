//! How far a long task has come, where its time goes, and what it measures of itself. Libraries
//! report to a [`Progress`]; the binary draws it, logs it and adds it up. Nothing of it enters a
//! result.

use std::time::{Duration, Instant};

/// Told about the stages of a long task, one after the other, possibly from several threads.
pub trait Progress: Send + Sync {
    /// A stage begins: what it does, and how many units it has, where that is known. Stages of one
    /// kind differ in a number at the end of their names: `epoch 1`, `epoch 2`.
    fn start(&self, stage: &str, total: Option<u64>);
    /// `n` more units of the current stage are done.
    fn advance(&self, n: u64);
    /// What came out of the current stage so far, in words; the last one counts.
    fn note(&self, _text: &str) {}
    /// So much of the current stage's time went into this part of it. A part may come up any number
    /// of times.
    fn spend(&self, _part: &'static str, _time: Duration) {}
    /// A training makes its steps from number `step` on; the first of all is 0. What it measured at
    /// `step` or later, in a run that was stopped, will be measured again.
    fn begin(&self, _step: u64) {}
    /// What a training measures of itself at a step: names, unique and with `/` between their parts,
    /// and values.
    fn measure(&self, _step: u64, _values: &[(&str, f64)]) {}
    /// The current stage is over.
    fn finish(&self);
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _: &str, _: Option<u64>) {}
    fn advance(&self, _: u64) {}
    fn finish(&self) {}
}

/// Time that goes into one part of a stage, from now until it is told into which.
#[must_use = "time that is not told goes nowhere"]
pub struct Stretch<'a> {
    progress: &'a dyn Progress,
    began: Instant,
}

impl<'a> Stretch<'a> {
    /// Begins now.
    pub fn new(progress: &'a dyn Progress) -> Self {
        Self {
            progress,
            began: Instant::now(),
        }
    }

    /// Ends now, and went into `part`.
    pub fn spent(self, part: &'static str) {
        self.progress.spend(part, self.began.elapsed());
    }

    /// The time of `work`, which goes into `part`.
    pub fn of<T>(progress: &'a dyn Progress, part: &'static str, work: impl FnOnce() -> T) -> T {
        let stretch = Self::new(progress);
        let made = work();
        stretch.spent(part);
        made
    }
}

/// An iterator whose time goes into one part of a stage: a queue that is waited for.
pub struct Waited<'a, I> {
    items: I,
    progress: &'a dyn Progress,
    part: &'static str,
}

impl<'a, I> Waited<'a, I> {
    /// The same items.
    pub fn new(items: I, progress: &'a dyn Progress, part: &'static str) -> Self {
        Self {
            items,
            progress,
            part,
        }
    }
}

impl<I: Iterator> Iterator for Waited<'_, I> {
    type Item = I::Item;
    fn next(&mut self) -> Option<Self::Item> {
        Stretch::of(self.progress, self.part, || self.items.next())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Parts(Mutex<Vec<(&'static str, Duration)>>);

    impl Progress for Parts {
        fn start(&self, _: &str, _: Option<u64>) {}
        fn advance(&self, _: u64) {}
        fn finish(&self) {}
        fn spend(&self, part: &'static str, time: Duration) {
            self.0.lock().unwrap().push((part, time));
        }
    }

    #[test]
    fn a_stretch_is_as_long_as_its_work() {
        let (parts, nap) = (Parts::default(), Duration::from_millis(5));
        assert_eq!(
            Stretch::of(&parts, "work", || {
                std::thread::sleep(nap);
                7
            }),
            7
        );
        let found = parts.0.into_inner().unwrap();
        assert!(found.len() == 1 && found[0].0 == "work" && found[0].1 >= nap);
    }

    #[test]
    fn waiting_is_told_for_every_item_and_for_the_end() {
        let parts = Parts::default();
        let items: Vec<_> = Waited::new(0..3, &parts, "wait").collect();
        assert_eq!(items, [0, 1, 2]);
        assert_eq!(parts.0.into_inner().unwrap().len(), 4);
    }
}
