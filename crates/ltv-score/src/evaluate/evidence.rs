//! What a report shows beside metrics: are quantiles kept, where do horizons cross, which cohorts
//! and channels are over- or under-predicted.

use ltv_core::{Horizons, labels::LabelHistogram, predictor::Predictions};
use ltv_eval::{Calibration, Central, CentralTally, NamedPredictions, QuantileShare, Segments};

/// The quantiles that a model gives.
pub const QUANTILES: [f64; 3] = [0.1, 0.5, 0.9];

/// Counts and totals over the evaluated rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evidence {
    /// Rows, mature or not.
    pub rows: u64,
    /// For each horizon the counts of each of [`QUANTILES`]; empty for a model without quantiles.
    pub quantiles: Vec<[QuantileTally; 3]>,
    /// For each horizon the labels in the middle of their distribution, where it is known.
    pub central: Vec<Option<Central>>,
    /// Rows whose values the order projection changed; none without a model.
    pub projected: Option<u64>,
    /// The mature labels of each horizon.
    pub labels: Vec<LabelHistogram>,
    /// Totals by registration month, then by each segment column.
    pub breakdowns: Vec<Breakdown>,
}

/// How many labels lie below a predicted quantile. Where labels tie with it, the level is kept when
/// it lies between the two shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuantileTally {
    /// Rows with a mature label.
    pub users: u64,
    /// Those whose label is below the predicted quantile.
    pub below: u64,
    /// Those whose label is not above it.
    pub at_or_below: u64,
}

/// Totals by the values of a column.
#[derive(Debug, Clone, PartialEq)]
pub struct Breakdown {
    /// The column.
    pub name: String,
    /// Whether its values follow each other in time.
    pub ordered: bool,
    /// For each horizon, one entry for each value.
    pub horizons: Vec<Vec<Group>>,
}

/// The rows of one value.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The value.
    pub label: String,
    /// Rows with a mature label.
    pub users: u64,
    /// Their total label.
    pub actual: f64,
    /// Their total prediction by set, in the order of sets.
    pub predicted: Vec<f64>,
}

impl Breakdown {
    /// Adds up `labels` and the values of `sets`, row-major `[rows, horizons]`, by code.
    pub fn new(
        codes: &Segments,
        ordered: bool,
        horizons: &Horizons,
        labels: &[f64],
        sets: &[NamedPredictions],
    ) -> Self {
        let width = horizons.len();
        let mut totals = Self::empty(&codes.name, &codes.labels, ordered, (width, sets.len()));
        for (row, &code) in codes.codes.iter().enumerate() {
            for t in 0..width {
                let cell = row * width + t;
                let predicted = sets.iter().map(|set| set.values[cell]);
                totals.add(t, code, labels[cell], predicted);
            }
        }
        totals.finish()
    }

    /// No rows yet, for so many horizons and sets.
    pub(super) fn empty(
        name: &str,
        labels: &[String],
        ordered: bool,
        (horizons, sets): (usize, usize),
    ) -> Self {
        let empty = |label: &String| Group {
            label: label.clone(),
            users: 0,
            actual: 0.0,
            predicted: vec![0.0; sets],
        };
        let groups: Vec<Group> = labels.iter().map(empty).collect();
        Self {
            name: name.to_owned(),
            ordered,
            horizons: vec![groups; horizons],
        }
    }

    /// Adds a row of the horizon in place `t`, unless it is immature.
    pub(super) fn add(
        &mut self,
        t: usize,
        code: u32,
        label: f64,
        predicted: impl Iterator<Item = f64>,
    ) {
        if label.is_nan() {
            return;
        }
        let group = &mut self.horizons[t][code as usize];
        group.users += 1;
        group.actual += label;
        for (total, value) in group.predicted.iter_mut().zip(predicted) {
            *total += value;
        }
    }

    /// Without the groups that nobody belongs to.
    pub(super) fn finish(mut self) -> Self {
        let horizons = self.horizons.iter_mut();
        horizons.for_each(|groups| groups.retain(|group| group.users > 0));
        self
    }
}

/// Counts as blocks of rows come by.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    rows: u64,
    projected: Option<u64>,
    quantiles: Vec<[QuantileTally; 3]>,
    central: Vec<CentralTally>,
}

impl Tally {
    pub(super) fn new(horizons: usize) -> Self {
        Self {
            quantiles: vec![Default::default(); horizons],
            central: vec![Default::default(); horizons],
            ..Self::default()
        }
    }

    /// `positions`: where the horizons of `labels` stand among the model's; `located`: where labels lie
    /// in distributions, `[rows, horizons of the model, 2]`, or empty.
    pub(super) fn add(
        &mut self,
        found: &Predictions,
        located: &[f64],
        positions: &[usize],
        labels: &[f64],
    ) {
        let width = found.values.len() / found.rows.max(1);
        let moved = found.projected.iter().filter(|&&p| p).count() as u64;
        self.rows += found.rows as u64;
        *self.projected.get_or_insert(0) += moved;
        if !located.is_empty() {
            for (row, labels) in labels.chunks_exact(positions.len()).enumerate() {
                let tallies = self.central.iter_mut().zip(positions).zip(labels);
                for ((tally, t), _) in tallies.filter(|(_, label)| !label.is_nan()) {
                    let cell = 2 * (row * width + t);
                    tally.add(located[cell], located[cell + 1]);
                }
            }
        }
        if found.quantiles.is_empty() {
            return;
        }
        for (row, labels) in labels.chunks_exact(positions.len()).enumerate() {
            for ((&label, tallies), t) in labels.iter().zip(&mut self.quantiles).zip(positions) {
                let cell = (row * width + t) * QUANTILES.len();
                let predicted = &found.quantiles[cell..cell + QUANTILES.len()];
                for (tally, &quantile) in tallies.iter_mut().zip(predicted) {
                    tally.add(label, quantile);
                }
            }
        }
    }

    pub(super) fn finish(
        self,
        labels: Vec<LabelHistogram>,
        breakdowns: Vec<Breakdown>,
    ) -> Evidence {
        let counted = self.quantiles.iter().flatten().any(|q| q.users > 0);
        Evidence {
            rows: self.rows,
            quantiles: if counted { self.quantiles } else { vec![] },
            central: self.central.iter().map(CentralTally::central).collect(),
            projected: self.projected,
            labels,
            breakdowns,
        }
    }
}

impl Evidence {
    /// How the distributions of a horizon hold; none without quantiles or labels.
    pub(super) fn calibration(&self, t: usize) -> Option<Calibration> {
        let tallies = self.quantiles.get(t).filter(|q| q[0].users > 0)?;
        let share = |(q, &level): (&QuantileTally, &f64)| {
            QuantileShare::new(level, q.below, q.at_or_below, q.users)
        };
        Some(Calibration {
            users: tallies[0].users,
            central: self.central.get(t).copied().flatten(),
            quantiles: tallies.iter().zip(&QUANTILES).map(share).collect(),
        })
    }
}

/// The mature labels of each of so many horizons, from a row-major matrix.
pub fn histograms(labels: &[f64], horizons: usize) -> Vec<LabelHistogram> {
    let of = |t: usize| {
        let mut histogram = LabelHistogram::default();
        let column = labels.iter().skip(t).step_by(horizons);
        column.for_each(|&y| histogram.add(y));
        histogram
    };
    (0..horizons).map(of).collect()
}

impl QuantileTally {
    fn add(&mut self, label: f64, quantile: f64) {
        if label.is_nan() {
            return;
        }
        self.users += 1;
        self.below += u64::from(label < quantile);
        self.at_or_below += u64::from(label <= quantile);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn quantiles_are_counted_with_their_ties() {
        let found = Predictions {
            rows: 2,
            values: vec![0.0; 4],
            quantiles: vec![9.0, 9.0, 9.0, 0.0, 1.0, 5.0, 9.0, 9.0, 9.0, 0.0, 2.0, 5.0],
            projected: vec![true, false],
            ..Predictions::default()
        };
        let mut tally = Tally::new(1);
        // Only the second of the model's horizons is judged.
        // Of the first horizon nothing is read; its place in the second is the middle, or not.
        let located = [9.0, 9.0, 0.2, 0.8, 9.0, 9.0, 0.0, 0.2];
        tally.add(&found, &located, &[1], &[1.0, f64::NAN]);
        tally.add(&found, &located, &[1], &[7.0, 0.0]);
        let evidence = tally.finish(histograms(&[1.0, f64::NAN, 7.0, 0.0], 1), vec![]);
        let counts = evidence.quantiles[0].map(|q| (q.users, q.below, q.at_or_below));
        assert_eq!(counts, [(3, 0, 1), (3, 1, 2), (3, 2, 2)]);
        let calibration = evidence.calibration(0).unwrap();
        let shares = calibration.quantiles.iter().map(|q| (q.below, q.holds));
        let third = 1.0 / 3.0;
        let expected = [(0.0, true), (third, true), (2.0 * third, false)];
        assert_eq!(shares.collect::<Vec<_>>(), expected);
        // Twice all of it, once half.
        let central = calibration.central.unwrap();
        assert!((central.share - 2.5 / 3.0).abs() < 1e-12, "{central:?}");
        assert_eq!((evidence.rows, evidence.projected), (4, Some(2)));
        assert_eq!(
            (evidence.labels[0].count(), evidence.labels[0].mean()),
            (3, 8.0 / 3.0)
        );
    }

    #[test]
    fn totals_leave_immature_labels_out() {
        let codes = Segments {
            name: "channel".into(),
            codes: vec![0, 1, 0],
            labels: vec!["ads".into(), "friend".into()],
        };
        let sets = [NamedPredictions {
            name: "odmn".into(),
            values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        }];
        let horizons = Horizons::new(vec![30, 90]).unwrap();
        let labels = [10.0, f64::NAN, 20.0, f64::NAN, 30.0, 60.0];
        let breakdown = Breakdown::new(&codes, false, &horizons, &labels, &sets);
        let group = |label: &str, users, actual, predicted| Group {
            label: label.into(),
            users,
            actual,
            predicted: vec![predicted],
        };
        let short = vec![group("ads", 2, 40.0, 6.0), group("friend", 1, 20.0, 3.0)];
        assert_eq!(
            breakdown.horizons,
            [short, vec![group("ads", 1, 60.0, 6.0)]]
        );
    }
}
