//! One set of predictions of a scope, sorted and added up.

use super::{
    Work,
    file::{Reader, Stretch},
    labels::Labels,
    sort::Sorter,
};
use crate::{
    error::EvalError,
    lorenz::Piece,
    rank::{AucSums, SpearmanSums},
    sample::descending,
    sum::Sum,
    tally::{ErrorSums, Sums},
};
use std::cell::RefCell;

/// Everything the metrics of one set need; the curves are read from files at every use.
pub(crate) struct Sorted<'a> {
    labels: &'a Labels,
    /// Distinct predictions, descending: `[rows, labels, predictions]`.
    groups: Stretch,
    errors: ErrorSums,
    spearman: SpearmanSums,
    auc: AucSums,
    total: f64,
    buffer: usize,
    /// What went wrong while a curve was read, which ended early then.
    failed: RefCell<Option<EvalError>>,
}

impl<'a> Sorted<'a> {
    /// Sorts `predictions`, in order of rows like `labels`, whose sorted form is `sorted`.
    pub(crate) fn new(
        work: &Work<'_>,
        labels: &Stretch,
        sorted: &'a Labels,
        predictions: &Stretch,
    ) -> Result<Self, EvalError> {
        let mut sorter = Sorter::new(work)?;
        let errors = runs(work, labels, sorted, predictions, &mut sorter)?;
        let (all, mut above) = (sorted.rows as f64, 0.0);
        let (mut spearman, mut auc) = (sorted.spearman, AucSums::default());
        let (mut total, mut writer) = (Sum::default(), work.writer()?);
        sorter.merge(|[value, rows, positives, labels, ranks]| {
            spearman.add_prediction_group(rows, above, all, ranks);
            auc.add_group(positives, rows - positives);
            above += rows;
            let mass = rows * value;
            total.add(mass);
            writer.push(&[rows, labels, mass])
        })?;
        Ok(Self {
            labels: sorted,
            groups: writer.cut()?,
            errors,
            spearman,
            auc,
            total: total.value(),
            buffer: work.limits.buffer,
            failed: RefCell::new(None),
        })
    }

    /// To be asked after the last use: whether all curves were read to their ends.
    pub(crate) fn finish(self) -> Result<(), EvalError> {
        self.failed.into_inner().map_or(Ok(()), Err)
    }

    fn pieces<const W: usize>(
        &self,
        stretch: &Stretch,
        piece: fn([f64; W]) -> Piece,
    ) -> impl Iterator<Item = Piece> {
        let mut reader: Reader = stretch.reader(self.buffer);
        std::iter::from_fn(move || match reader.record() {
            Ok(record) => record.map(piece),
            Err(error) => {
                *self.failed.borrow_mut() = Some(error);
                None
            }
        })
    }
}

/// Fills the sorter with `[prediction, rows, positives, labels, ranks]`; the sums of errors.
fn runs(
    work: &Work<'_>,
    labels: &Stretch,
    sorted: &Labels,
    predictions: &Stretch,
    sorter: &mut Sorter<'_, 5>,
) -> Result<ErrorSums, EvalError> {
    let mut labels = labels.reader(work.limits.buffer);
    let mut ranks = sorted.ranks.reader(work.limits.buffer);
    let (mut y, mut rank) = (vec![], vec![]);
    let mut errors: Option<ErrorSums> = None;
    work.chunks(predictions, |p| {
        labels.block(p.len(), &mut y)?;
        ranks.block(p.len(), &mut rank)?;
        // The mean error of the first rows is close enough to that of all.
        let errors = errors.get_or_insert_with(|| {
            let first: Sum = p.iter().zip(&y).map(|(p, y)| p - y).collect();
            ErrorSums::around(first.value() / p.len() as f64)
        });
        p.iter().zip(&y).for_each(|(p, y)| errors.add(1.0, p - y));
        for group in descending(p).chunk_by(|a, b| a.0 == b.0) {
            let (mut labels, mut ranks, mut positives) = (Sum::default(), Sum::default(), 0);
            for &(_, row) in group {
                let label = y[row as usize];
                positives += u32::from(label > 0.0);
                labels.add(label);
                ranks.add(rank[row as usize]);
            }
            let (rows, positives) = (group.len() as f64, f64::from(positives));
            sorter.push(&[group[0].0, rows, positives, labels.value(), ranks.value()])?;
        }
        sorter.close()
    })?;
    Ok(errors.unwrap_or_default())
}

impl Sums for Sorted<'_> {
    fn rows(&self) -> f64 {
        self.labels.rows as f64
    }

    fn errors(&self) -> &ErrorSums {
        &self.errors
    }

    fn spearman(&self) -> &SpearmanSums {
        &self.spearman
    }

    fn auc(&self) -> &AucSums {
        &self.auc
    }

    fn label_total(&self) -> f64 {
        self.labels.total
    }

    fn prediction_total(&self) -> f64 {
        self.total
    }

    fn label_pieces(&self) -> impl Iterator<Item = Piece> {
        self.pieces(&self.labels.groups, |[value, rows, _]| Piece {
            rows,
            mass: rows * value,
        })
    }

    fn prediction_pieces(&self) -> impl Iterator<Item = Piece> {
        self.pieces(&self.groups, |[rows, _, mass]| Piece { rows, mass })
    }

    fn gain_pieces(&self) -> impl Iterator<Item = Piece> {
        self.pieces(&self.groups, |[rows, mass, _]| Piece { rows, mass })
    }
}
