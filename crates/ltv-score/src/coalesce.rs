//! Record batches of many rows, from those of another engine.

use arrow::{compute::concat_batches, error::ArrowError, record_batch::RecordBatch};

/// The same rows in batches of `least` rows or more, but for the last one. None has one row, unless there is no other: of
/// one row alone, products add up in another order than of the same row among others. Batches that are
/// large enough are not copied.
pub fn coalesced<I>(batches: I, least: usize) -> Coalesced<I::IntoIter>
where
    I: IntoIterator<Item = Result<RecordBatch, ArrowError>>,
{
    Coalesced {
        batches: batches.into_iter(),
        least: least.max(2),
        waiting: vec![],
        ready: None,
        ended: false,
    }
}

/// See [`coalesced`].
pub struct Coalesced<I> {
    batches: I,
    least: usize,
    /// Too few rows for a batch.
    waiting: Vec<RecordBatch>,
    /// Goes out once it is known that no single row follows it.
    ready: Option<RecordBatch>,
    ended: bool,
}

impl<I: Iterator<Item = Result<RecordBatch, ArrowError>>> Coalesced<I> {
    fn rows(&self) -> usize {
        self.waiting.iter().map(RecordBatch::num_rows).sum()
    }

    fn joined(&mut self) -> Result<RecordBatch, ArrowError> {
        let all = std::mem::take(&mut self.waiting);
        match &all[..] {
            [one] => Ok(one.clone()),
            _ => concat_batches(&all[0].schema(), &all),
        }
    }

    /// Fills `waiting` until there is a batch, or nothing more.
    fn fill(&mut self) -> Result<(), ArrowError> {
        while !self.ended && self.rows() < self.least {
            match self.batches.next() {
                Some(batch) => self
                    .waiting
                    .extend(Some(batch?).filter(|b| b.num_rows() > 0)),
                None => self.ended = true,
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        loop {
            self.fill()?;
            if self.rows() == 1 {
                // The end. The row joins those before it.
                self.waiting.splice(0..0, self.ready.take());
            }
            let joined = match self.waiting.is_empty() {
                true => None,
                false => Some(self.joined()?),
            };
            let out = std::mem::replace(&mut self.ready, joined);
            if out.is_some() || self.ready.is_none() {
                return Ok(out);
            }
        }
    }
}

impl<I: Iterator<Item = Result<RecordBatch, ArrowError>>> Iterator for Coalesced<I> {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.ended = true;
        }
        step.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::{
        array::{ArrayRef, AsArray, Int64Array},
        datatypes::Int64Type,
    };
    use std::sync::Arc;

    fn batch(rows: std::ops::Range<i64>) -> Result<RecordBatch, ArrowError> {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(rows));
        RecordBatch::try_from_iter([("id", ids)])
    }

    /// Sizes of what comes out of batches of these sizes, and a check of the rows.
    fn sizes(of: &[i64], least: usize) -> Vec<usize> {
        let mut next = 0;
        let batches = of.iter().map(|&rows| {
            next += rows;
            batch(next - rows..next)
        });
        let all: Vec<_> = coalesced(batches, least).map(Result::unwrap).collect();
        let ids = all
            .iter()
            .flat_map(|b| b.column(0).as_primitive::<Int64Type>().values());
        assert!(ids.copied().eq(0..of.iter().sum()), "{of:?}");
        all.iter().map(RecordBatch::num_rows).collect()
    }

    #[test]
    fn no_row_is_alone() {
        assert_eq!(sizes(&[], 4), [0usize; 0]);
        assert_eq!(sizes(&[1], 4), [1]);
        assert_eq!(sizes(&[0, 1, 0], 4), [1]);
        assert_eq!(sizes(&[1; 9], 4), [4, 5]);
        assert_eq!(sizes(&[7, 1], 4), [8]);
        assert_eq!(sizes(&[1, 7], 4), [8]);
        assert_eq!(sizes(&[7, 2, 9, 1], 4), [7, 12]);
        assert_eq!(sizes(&[5, 5, 3], 4), [5, 5, 3]);
        for seed in 0..200i64 {
            let of: Vec<i64> = (0..seed % 13).map(|i| (seed * 7 + i * i * 3) % 6).collect();
            let found = sizes(&of, 4);
            let alone = found.iter().filter(|&&rows| rows == 1).count();
            assert!(alone == 0 || found == [1], "{of:?}: {found:?}");
        }
    }

    #[test]
    fn an_error_comes_once_and_ends_it() {
        let bad = Err(ArrowError::ComputeError("broken".into()));
        let mut all = coalesced([batch(0..3), bad, batch(3..9)], 2);
        let found: Vec<bool> = all.by_ref().map(|b| b.is_ok()).collect();
        assert_eq!(found.iter().filter(|ok| !**ok).count(), 1);
    }
}
