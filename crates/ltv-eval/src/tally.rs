//! Everything the metrics need from the rows, collected in two passes under row weights.

use crate::{
    lorenz::{self, Piece},
    rank::{AucSums, SpearmanSums},
    sample::{Ranking, Sample},
    sum::Sum,
};

/// Sums over the errors `e = p - y` of weighted rows, squares around `centre`.
///
/// Mean and mean square follow from the moments around the centre without loss, because the mean
/// error of any resample lies close to it; the standard deviation would lose digits around 0.
#[derive(Debug, Default)]
pub(crate) struct ErrorSums {
    centre: f64,
    absolute: Sum,
    off: Sum,
    off_square: Sum,
}

impl ErrorSums {
    /// No rows yet; `centre` is to be near their mean error.
    pub(crate) fn around(centre: f64) -> Self {
        Self {
            centre,
            ..Self::default()
        }
    }

    pub(crate) fn add(&mut self, weight: f64, error: f64) {
        let off = error - self.centre;
        self.absolute.add(weight * error.abs());
        self.off.add(weight * off);
        self.off_square.add(weight * (off * off));
    }

    /// Sum of absolute errors.
    pub(crate) fn absolute(&self) -> f64 {
        self.absolute.value()
    }

    /// Mean error over `rows` rows.
    pub(crate) fn mean(&self, rows: f64) -> f64 {
        self.centre + self.off.value() / rows
    }

    /// Mean squared error.
    pub(crate) fn mean_square(&self, rows: f64) -> f64 {
        self.variance(rows) + self.mean(rows) * self.mean(rows)
    }

    /// Population variance of the errors.
    pub(crate) fn variance(&self, rows: f64) -> f64 {
        let off = self.off.value() / rows;
        (self.off_square.value() / rows - off * off).max(0.0)
    }
}

/// Rows of one prediction value.
#[derive(Debug, Clone, Copy)]
struct Group {
    rows: f64,
    labels: f64,
    predictions: f64,
}

/// What one pass over weighted rows leaves behind; reused from replicate to replicate.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Sum of weights.
    rows: f64,
    /// Weighted rows of each label group.
    label_rows: Vec<u32>,
    /// Average rank of each label group, from the largest, minus the mean rank.
    label_ranks: Vec<f64>,
    /// Prediction groups that have rows, descending.
    groups: Vec<Group>,
    errors: ErrorSums,
    spearman: SpearmanSums,
    auc: AucSums,
    label_total: f64,
    prediction_total: f64,
}

/// What the metrics are made of: sums, and three curves in pieces from the highest down, which may be
/// walked any number of times.
pub(crate) trait Sums {
    /// Number of rows.
    fn rows(&self) -> f64;
    /// Sums over errors.
    fn errors(&self) -> &ErrorSums;
    /// Sums behind Spearman's correlation.
    fn spearman(&self) -> &SpearmanSums;
    /// Sums behind the area under the ROC curve.
    fn auc(&self) -> &AucSums;
    /// Sum of labels.
    fn label_total(&self) -> f64;
    /// Sum of predictions.
    fn prediction_total(&self) -> f64;
    /// The Lorenz curve of the labels.
    fn label_pieces(&self) -> impl Iterator<Item = Piece>;
    /// The Lorenz curve of the predictions.
    fn prediction_pieces(&self) -> impl Iterator<Item = Piece>;
    /// The gain curve: labels in order of the predictions.
    fn gain_pieces(&self) -> impl Iterator<Item = Piece>;
}

/// A tally that holds the rows of a sample.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filled<'a> {
    tally: &'a Tally,
    sample: &'a Sample,
}

impl Tally {
    /// Collects the rows of `sample`, each counted `weights[row]` times.
    pub(crate) fn fill<'a>(
        &'a mut self,
        sample: &'a Sample,
        ranking: &Ranking,
        weights: &[u8],
    ) -> Filled<'a> {
        self.errors = ErrorSums::around(ranking.centre);
        self.spearman = SpearmanSums::default();
        self.auc = AucSums::default();
        self.count_labels(sample, weights);
        self.walk_predictions(ranking, weights);
        self.label_total = lorenz::total(self.label_pieces(sample));
        self.prediction_total = lorenz::total(self.prediction_pieces());
        Filled {
            tally: self,
            sample,
        }
    }

    fn count_labels(&mut self, sample: &Sample, weights: &[u8]) {
        self.label_rows.clear();
        self.label_rows.resize(sample.values.len(), 0);
        for (&group, &weight) in sample.group.iter().zip(weights) {
            self.label_rows[group as usize] += u32::from(weight);
        }
        self.rows = self.label_rows.iter().map(|&rows| f64::from(rows)).sum();
        self.label_ranks.clear();
        let mut above = 0.0;
        for &rows in &self.label_rows {
            let rank = self
                .spearman
                .add_label_group(f64::from(rows), above, self.rows);
            self.label_ranks.push(rank);
            above += f64::from(rows);
        }
    }

    fn walk_predictions(&mut self, ranking: &Ranking, weights: &[u8]) {
        self.groups.clear();
        let mut above = 0.0;
        for (bounds, &prediction) in ranking.starts.windows(2).zip(&ranking.values) {
            let range = bounds[0] as usize..bounds[1] as usize;
            let (mut rows, mut positives) = (0, 0);
            let (mut labels, mut ranks) = (Sum::default(), Sum::default());
            for i in range {
                let weight = weights[ranking.order[i] as usize];
                if weight == 0 {
                    continue;
                }
                let (label, times) = (ranking.labels[i], f64::from(weight));
                rows += u32::from(weight);
                positives += if label > 0.0 { u32::from(weight) } else { 0 };
                labels.add(times * label);
                ranks.add(times * self.label_ranks[ranking.group[i] as usize]);
                self.errors.add(times, prediction - label);
            }
            if rows == 0 {
                continue;
            }
            let (rows, positives) = (f64::from(rows), f64::from(positives));
            let (labels, predictions) = (labels.value(), rows * prediction);
            self.groups.push(Group {
                rows,
                labels,
                predictions,
            });
            self.spearman
                .add_prediction_group(rows, above, self.rows, ranks.value());
            self.auc.add_group(positives, rows - positives);
            above += rows;
        }
    }

    fn label_pieces(&self, sample: &Sample) -> impl Iterator<Item = Piece> {
        self.label_rows
            .iter()
            .zip(&sample.values)
            .map(|(&rows, &value)| {
                let rows = f64::from(rows);
                Piece {
                    rows,
                    mass: rows * value,
                }
            })
    }

    fn prediction_pieces(&self) -> impl Iterator<Item = Piece> {
        self.groups.iter().map(|group| Piece {
            rows: group.rows,
            mass: group.predictions,
        })
    }
}

impl Sums for Filled<'_> {
    fn rows(&self) -> f64 {
        self.tally.rows
    }

    fn errors(&self) -> &ErrorSums {
        &self.tally.errors
    }

    fn spearman(&self) -> &SpearmanSums {
        &self.tally.spearman
    }

    fn auc(&self) -> &AucSums {
        &self.tally.auc
    }

    fn label_total(&self) -> f64 {
        self.tally.label_total
    }

    fn prediction_total(&self) -> f64 {
        self.tally.prediction_total
    }

    fn label_pieces(&self) -> impl Iterator<Item = Piece> {
        self.tally.label_pieces(self.sample)
    }

    fn prediction_pieces(&self) -> impl Iterator<Item = Piece> {
        self.tally.prediction_pieces()
    }

    fn gain_pieces(&self) -> impl Iterator<Item = Piece> {
        self.tally.groups.iter().map(|group| Piece {
            rows: group.rows,
            mass: group.labels,
        })
    }
}
