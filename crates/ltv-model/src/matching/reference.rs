//! The population that predictions are matched to: who expects what, and how labels are spread.

use super::{Curve, MOST_KNOTS, Matching};
use crate::grid::cell;
use std::collections::BTreeMap;

/// What is known of a horizon.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Population {
    /// Number and sum of expectations, by their leading bits.
    expectations: BTreeMap<u64, (u64, f64)>,
    rows: u64,
    labels: Vec<f64>,
}

/// Bits of the fraction that tell expectations apart: to 0.03 % of their size, so that what is
/// kept of them stays below 4096 numbers for each doubling, however many rows.
const FRACTION_BITS: u32 = 12;

/// Equal steps of ranks, as far as one step below the tail; there steps halve every
/// [`STEPS_PER_HALF`], because the top users hold much of the value.
const EQUAL_STEPS: usize = 480;
/// Where the tail begins, as a share from above.
const TAIL: f64 = 1.0 / 16.0;
const STEPS_PER_HALF: f64 = 32.0;

/// Ranks at which knots are wanted, ascending, in `[0, 1]`.
fn ranks() -> impl Iterator<Item = f64> {
    let equal = (0..EQUAL_STEPS).map(|i| i as f64 / EQUAL_STEPS as f64 * (1.0 - TAIL));
    let tail = (0..MOST_KNOTS - 1 - EQUAL_STEPS)
        .map(|j| 1.0 - TAIL * (-(j as f64) / STEPS_PER_HALF).exp2());
    equal.chain(tail).chain([1.0])
}

impl Population {
    /// Adds what is expected of a user. One whose prediction is no number is left out.
    pub fn expect(&mut self, expectation: f64) {
        if !(expectation.is_finite() && expectation >= 0.0) {
            return;
        }
        // Minus zero has other bits.
        let expectation = expectation + 0.0;
        let entry = self
            .expectations
            .entry(cell(expectation, FRACTION_BITS))
            .or_default();
        *entry = (entry.0 + 1, entry.1 + expectation);
        self.rows += 1;
    }

    /// Adds the label of a user, not necessarily one of whom anything is expected; NaN is no label. All
    /// are kept: whoever adds them says how many.
    pub fn see(&mut self, label: f64) {
        if !label.is_nan() {
            self.labels.push(label);
        }
    }

    /// How many labels above zero were seen.
    pub fn positive(&self) -> usize {
        self.labels.iter().filter(|label| **label > 0.0).count()
    }

    /// The curve, at [`MOST_KNOTS`] knots at most; none where nothing is expected or no label was seen.
    /// Where labels are all zero, so are values but for the least slope.
    pub fn curve(&self) -> Option<Curve> {
        let rows = self.rows as f64;
        let expected: f64 = self.expectations.values().map(|(_, sum)| sum).sum();
        let values = Quantiles::new(&self.labels, expected / rows)?;
        let mut wanted = ranks().peekable();
        let mut knots: Vec<[f64; 2]> = vec![];
        let mut before = 0;
        for &(count, sum) in self.expectations.values() {
            let (from, to) = (before as f64 / rows, (before + count) as f64 / rows);
            before += count;
            let last = before == self.rows;
            let mut hit = last;
            while wanted.next_if(|rank| *rank < to).is_some() {
                hit = true;
            }
            // A mean may round to that of the next cell.
            let x = sum / count as f64;
            if hit && knots.last().is_none_or(|k| k[0] < x) {
                let value = values.mean(from, to);
                let least = knots.last().map_or(0.0, |k| k[1]);
                knots.push([x, value.max(least)]);
            }
        }
        Some(Curve::over(knots.into_iter()))
    }
}

/// The curves of all horizons; none where one of them has none.
pub fn matching(horizons: &[Population]) -> Option<Matching> {
    let curves = horizons.iter().map(Population::curve);
    Some(Matching {
        rows: horizons.first()?.rows,
        curves: curves.collect::<Option<_>>()?,
    })
}

/// Labels in order, scaled to a mean.
struct Quantiles {
    labels: Vec<f64>,
    /// The sum of all labels before each, and of all of them.
    sums: Vec<f64>,
    scale: f64,
}

impl Quantiles {
    fn new(labels: &[f64], mean: f64) -> Option<Self> {
        let mut labels = labels.to_vec();
        labels.sort_by(f64::total_cmp);
        let mut sums = vec![0.0];
        for label in &labels {
            sums.push(sums[sums.len() - 1] + label);
        }
        let total = sums[labels.len()];
        let scale = match total > 0.0 {
            true => mean * labels.len() as f64 / total,
            false => 0.0,
        };
        let known = !labels.is_empty() && mean.is_finite();
        known.then_some(Self {
            labels,
            sums,
            scale,
        })
    }

    /// The integral of the quantiles from 0 up to a rank in `[0, 1]`.
    fn up_to(&self, rank: f64) -> f64 {
        let n = self.labels.len();
        let place = rank * n as f64;
        let i = (place as usize).min(n - 1);
        self.scale * (self.sums[i] + (place - i as f64) * self.labels[i]) / n as f64
    }

    /// The mean of the quantiles between two ranks, the first below the second.
    fn mean(&self, from: f64, to: f64) -> f64 {
        (self.up_to(to) - self.up_to(from)) / (to - from)
    }
}
