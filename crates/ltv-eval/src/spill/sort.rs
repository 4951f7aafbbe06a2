//! Sums by value, in descending order of values, over more rows than memory holds.
//!
//! ```text
//! rows    -> chunk sorted in memory -> one record for each distinct value -> run in a file
//! runs    -> merged, equal values added up -> records, each value once
//! ```
//! A record is `[value, sum, sum, ...]`. Few distinct values, as labels in days or a rule's
//! predictions, make runs of few records whatever the number of rows: then this is a histogram.

use super::{
    Work,
    file::{Reader, Stretch, Writer},
};
use crate::error::EvalError;
use std::{
    cmp::Ordering,
    collections::{BinaryHeap, VecDeque, binary_heap::PeekMut},
};

/// Collects runs and merges them.
pub(crate) struct Sorter<'a, const W: usize> {
    work: &'a Work<'a>,
    writer: Writer,
    runs: VecDeque<Stretch>,
}

impl<'a, const W: usize> Sorter<'a, W> {
    pub(crate) fn new(work: &'a Work<'a>) -> Result<Self, EvalError> {
        Ok(Self {
            work,
            writer: work.writer()?,
            runs: VecDeque::new(),
        })
    }

    /// Appends a record to the open run: its value is below that of the one before.
    pub(crate) fn push(&mut self, record: &[f64; W]) -> Result<(), EvalError> {
        self.writer.push(record)
    }

    /// Ends the open run.
    pub(crate) fn close(&mut self) -> Result<(), EvalError> {
        self.runs.push_back(self.writer.cut()?);
        Ok(())
    }

    /// Hands out the records of all runs in descending order, those of equal values added up.
    pub(crate) fn merge(
        mut self,
        mut each: impl FnMut([f64; W]) -> Result<(), EvalError>,
    ) -> Result<(), EvalError> {
        let fan_in = self.work.limits.fan_in;
        while self.runs.len() > fan_in {
            let first: Vec<Stretch> = self.runs.drain(..fan_in).collect();
            let mut writer = self.work.writer()?;
            self.merge_runs(&first, |record| writer.push(&record))?;
            self.runs.push_back(writer.cut()?);
        }
        let runs = std::mem::take(&mut self.runs);
        self.merge_runs(&Vec::from(runs), &mut each)
    }

    fn merge_runs(
        &self,
        runs: &[Stretch],
        mut each: impl FnMut([f64; W]) -> Result<(), EvalError>,
    ) -> Result<(), EvalError> {
        let mut heads = Heads::<W>::open(runs, self.work.limits.buffer)?;
        let (mut open, mut since) = (None::<[f64; W]>, 0);
        while let Some(record) = heads.next()? {
            since += 1;
            if since == PULSE {
                self.work.progress.advance(0);
                since = 0;
            }
            match &mut open {
                Some(group) if group[0] == record[0] => {
                    (1..W).for_each(|i| group[i] += record[i]);
                }
                _ => {
                    if let Some(whole) = open.replace(record) {
                        each(whole)?;
                    }
                }
            }
        }
        open.map_or(Ok(()), each)
    }
}

/// Records between two calls of [`ltv_core::progress::Progress::advance`], so that a task can stop.
const PULSE: u32 = 1 << 20;

/// The next record of every run.
struct Heads<const W: usize> {
    readers: Vec<Reader>,
    records: Vec<[f64; W]>,
    heap: BinaryHeap<Head>,
}

/// Where a run stands. Equal values come in order of runs, so that sums do not depend on the heap.
struct Head {
    value: f64,
    run: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_value = self.value.total_cmp(&other.value);
        by_value.then(other.run.cmp(&self.run))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head {}

impl<const W: usize> Heads<W> {
    fn open(runs: &[Stretch], buffer: usize) -> Result<Self, EvalError> {
        let mut heads = Self {
            readers: runs.iter().map(|run| run.reader(buffer)).collect(),
            records: vec![[0.0; W]; runs.len()],
            heap: BinaryHeap::with_capacity(runs.len()),
        };
        for (run, reader) in heads.readers.iter_mut().enumerate() {
            if let Some(record) = reader.record()? {
                heads.records[run] = record;
                let value = record[0];
                heads.heap.push(Head { value, run });
            }
        }
        Ok(heads)
    }

    fn next(&mut self) -> Result<Option<[f64; W]>, EvalError> {
        let Some(mut head) = self.heap.peek_mut() else {
            return Ok(None);
        };
        let run = head.run;
        let record = self.records[run];
        match self.readers[run].record()? {
            Some(next) => {
                self.records[run] = next;
                head.value = next[0];
            }
            None => {
                PeekMut::pop(head);
            }
        }
        Ok(Some(record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spill::{Limits, tests::limits};
    use ltv_core::progress::Silent;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn sorted(rows: &[u8], limits: Limits) -> Vec<[f64; 3]> {
        let folder = tempfile::tempdir().unwrap();
        let work = Work {
            folder: folder.path(),
            limits,
            progress: &Silent,
        };
        let mut sorter = Sorter::<3>::new(&work).unwrap();
        for chunk in rows.chunks(work.limits.chunk) {
            let mut sums = BTreeMap::new();
            for row in chunk {
                *sums.entry(*row).or_insert(0.0) += 1.0;
            }
            for (&value, &count) in sums.iter().rev() {
                let value = f64::from(value);
                sorter.push(&[value, count, 2.0 * count]).unwrap();
            }
            sorter.close().unwrap();
        }
        let mut found = vec![];
        sorter
            .merge(|record| {
                found.push(record);
                Ok(())
            })
            .unwrap();
        found
    }

    proptest! {
        /// Against a map, however many runs and levels of merging there are.
        #[test]
        fn sums_by_value(rows in prop::collection::vec(0u8..40, 0..300), chunk in 1usize..50, fan_in in 2usize..6) {
            let found = sorted(&rows, Limits { chunk, fan_in, ..limits() });
            let mut counts = BTreeMap::new();
            rows.iter().for_each(|row| *counts.entry(*row).or_insert(0.0) += 1.0);
            let expected: Vec<_> = counts.into_iter().rev().map(|(v, n)| [f64::from(v), n, 2.0 * n]).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
