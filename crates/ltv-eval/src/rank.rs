//! Rank metrics over groups of tied rows, from the highest down.

use crate::{metric::Null, sum::Sum};

/// Sums behind Spearman's correlation. Ranks are average ranks minus their mean `(n + 1) / 2`.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct SpearmanSums {
    label_square: Sum,
    prediction_square: Sum,
    product: Sum,
}

/// Average rank of `rows` tied rows that follow `above` others, minus the mean rank of `total`.
fn centred_rank(rows: f64, above: f64, total: f64) -> f64 {
    above + rows / 2.0 - total / 2.0
}

impl SpearmanSums {
    /// Adds the next group of equal labels and returns its centred rank.
    pub(crate) fn add_label_group(&mut self, rows: f64, above: f64, total: f64) -> f64 {
        let rank = centred_rank(rows, above, total);
        self.label_square.add(rows * (rank * rank));
        rank
    }

    /// Adds the next group of equal predictions, whose rows' label ranks sum to `label_ranks`.
    pub(crate) fn add_prediction_group(
        &mut self,
        rows: f64,
        above: f64,
        total: f64,
        label_ranks: f64,
    ) {
        let rank = centred_rank(rows, above, total);
        self.prediction_square.add(rows * (rank * rank));
        self.product.add(rank * label_ranks);
    }

    /// The correlation, in `[-1, 1]`.
    pub(crate) fn value(&self) -> Result<f64, Null> {
        let (label, prediction) = (self.label_square.value(), self.prediction_square.value());
        if label <= 0.0 {
            return Err(Null::ConstantLabels);
        }
        if prediction <= 0.0 {
            return Err(Null::ConstantPredictions);
        }
        Ok((self.product.value() / (label * prediction).sqrt()).clamp(-1.0, 1.0))
    }
}

/// Pairs of a positive and a zero label in the right order, tied predictions counted half.
#[derive(Debug, Default)]
pub(crate) struct AucSums {
    positives: f64,
    zeros: f64,
    right: Sum,
}

impl AucSums {
    /// Adds the next group of equal predictions.
    pub(crate) fn add_group(&mut self, positives: f64, zeros: f64) {
        self.right.add(zeros * (self.positives + positives / 2.0));
        self.positives += positives;
        self.zeros += zeros;
    }

    /// The area under the ROC curve, in `[0, 1]`.
    pub(crate) fn value(&self) -> Result<f64, Null> {
        let pairs = self.positives * self.zeros;
        if pairs > 0.0 {
            Ok(self.right.value() / pairs)
        } else {
            Err(Null::OneClass)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auc_by_hand() {
        // Predictions 3: one positive; 2: one positive and one zero; 1: one zero.
        let mut auc = AucSums::default();
        [(1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
            .into_iter()
            .for_each(|(p, z)| auc.add_group(p, z));
        assert_eq!(auc.value(), Ok(3.5 / 4.0));
        assert_eq!(AucSums::default().value(), Err(Null::OneClass));
    }

    #[test]
    fn centred_ranks_sum_to_zero() {
        // Ranks of five rows in groups of 2, 1 and 2: 1.5, 3, 4.5; mean 3.
        assert_eq!(centred_rank(2.0, 0.0, 5.0), -1.5);
        assert_eq!(centred_rank(1.0, 2.0, 5.0), 0.0);
        assert_eq!(centred_rank(2.0, 3.0, 5.0), 1.5);
    }
}
