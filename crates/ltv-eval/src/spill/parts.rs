//! The rows of a horizon by the values of a categorical column.

use super::{
    Work,
    file::{ScratchFile, Stretch, Writer},
    measure::Codes,
};
use crate::error::EvalError;

/// How the rows of a horizon fall to the values of a column.
pub(super) struct Parts<'a> {
    codes: &'a Codes,
    column: &'a Stretch,
    rows: Vec<u64>,
}

impl<'a> Parts<'a> {
    pub(super) fn count(
        work: &Work<'_>,
        codes: &'a Codes,
        column: &'a Stretch,
    ) -> Result<Self, EvalError> {
        let mut rows = vec![0; codes.labels.len()];
        let mut row = 0;
        work.chunks(column, |chunk| {
            for &code in chunk {
                let part = codes.meaning.get(code as usize);
                let count = part.and_then(|&part| rows.get_mut(part as usize));
                *count.ok_or_else(|| EvalError::SegmentCode {
                    segment: codes.name.clone(),
                    row,
                    code: code as u32,
                    labels: codes.labels.len(),
                })? += 1;
                row += 1;
            }
            Ok(())
        })?;
        Ok(Self {
            codes,
            column,
            rows,
        })
    }

    /// A column of values, part by part in one file.
    pub(super) fn split(
        &self,
        work: &Work<'_>,
        values: &Stretch,
    ) -> Result<Vec<Stretch>, EvalError> {
        let file = ScratchFile::create(work.folder)?;
        let buffer = work.limits.buffer.min(1 << 18);
        let mut place = 0;
        let mut writers: Vec<Writer> = self
            .rows
            .iter()
            .map(|rows| {
                let writer = Writer::new(file.clone(), place, buffer);
                place += rows;
                writer
            })
            .collect();
        let (mut codes, mut some) = (self.column.reader(work.limits.buffer), vec![]);
        work.chunks(values, |chunk| {
            codes.block(chunk.len(), &mut some)?;
            for (&code, value) in some.iter().zip(chunk) {
                let part = self.codes.meaning[code as usize];
                writers[part as usize].push(std::slice::from_ref(value))?;
            }
            Ok(())
        })?;
        writers.iter_mut().map(Writer::cut).collect()
    }
}
