//! The labels of a scope, sorted: their Lorenz curve, and the rank of every row.

use super::{
    Work,
    file::{Reader, Stretch},
    sort::Sorter,
};
use crate::{error::EvalError, rank::SpearmanSums, sample::descending, sum::Sum};

/// What all sets of predictions of a scope share.
pub(crate) struct Labels {
    /// Number of rows.
    pub(crate) rows: u64,
    /// Distinct labels, descending: `[value, rows, rank]`.
    pub(crate) groups: Stretch,
    /// Centred average rank of each row, in order of rows.
    pub(crate) ranks: Stretch,
    /// Sum of the labels.
    pub(crate) total: f64,
    /// The labels' part of Spearman's correlation.
    pub(crate) spearman: SpearmanSums,
}

impl Labels {
    /// Sorts the labels of all rows.
    pub(crate) fn new(work: &Work<'_>, labels: &Stretch) -> Result<Self, EvalError> {
        let mut sorter = Sorter::<2>::new(work)?;
        work.chunks(labels, |chunk| {
            for group in descending(chunk).chunk_by(|a, b| a.0 == b.0) {
                sorter.push(&[group[0].0, group.len() as f64])?;
            }
            sorter.close()
        })?;
        let (rows, mut above) = (labels.len() as f64, 0.0);
        let (mut total, mut spearman) = (Sum::default(), SpearmanSums::default());
        let mut writer = work.writer()?;
        sorter.merge(|[value, tied]| {
            let rank = spearman.add_label_group(tied, above, rows);
            above += tied;
            total.add(tied * value);
            writer.push(&[value, tied, rank])
        })?;
        let groups = writer.cut()?;
        Ok(Self {
            rows: labels.len(),
            ranks: ranks(work, labels, &groups)?,
            groups,
            total: total.value(),
            spearman,
        })
    }
}

/// Looks the rank of every row up: each chunk is sorted and walks along the distinct labels. That reads
/// all of these once for each chunk, in order, which costs less than sorting rows by label and back
/// as long as there are fewer than some hundred chunks of distinct labels.
fn ranks(work: &Work<'_>, labels: &Stretch, groups: &Stretch) -> Result<Stretch, EvalError> {
    let mut writer = work.writer()?;
    let mut ranks = vec![];
    work.chunks(labels, |chunk| {
        ranks.clear();
        ranks.resize(chunk.len(), 0.0);
        let mut along = groups.reader(work.limits.buffer);
        for group in descending(chunk).chunk_by(|a, b| a.0 == b.0) {
            let rank = rank_of(&mut along, group[0].0)?;
            for &(_, row) in group {
                ranks[row as usize] = rank;
            }
        }
        writer.push(&ranks)
    })?;
    writer.cut()
}

/// The rank of a label that is among the ones ahead.
fn rank_of(along: &mut Reader, label: f64) -> Result<f64, EvalError> {
    loop {
        match along.record::<3>()? {
            Some([value, _, rank]) if value == label => return Ok(rank),
            Some(_) => {}
            None => {
                let problem = format!("label {label} is missing from the sorted labels");
                return Err(EvalError::Internal { problem });
            }
        }
    }
}
