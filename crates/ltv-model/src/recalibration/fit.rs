//! The slope and what keeps the mean, from sums on a fixed grid of expectations.

use super::Recalibration;
use crate::grid::cell;
use std::collections::BTreeMap;

/// How far slopes are from 1, as a standard deviation, before anything is known: what is measured
/// counts for little where its standard error is more than this.
const PRIOR_SD: f64 = 0.2;
/// Bits of the fraction that tell expectations apart: to 0.1 % of their size, so that what is kept
/// stays below 1024 cells for each doubling, however many rows.
const FRACTION_BITS: u32 = 10;
/// Rows that a slope takes at least.
const LEAST_ROWS: f64 = 100.0;
/// How the variance of a label grows with its mean, as a power: between a Poisson variable's 1 and the
/// 2 of a multiple of one variable.
const VARIANCE_POWER: f64 = 1.5;
/// Newton steps at most; a regression that is well posed takes five or so.
const STEPS: usize = 50;

/// What a horizon's labels and expectations add up to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sums {
    /// Rows whose label is known, by the leading bits of their expectation.
    known: BTreeMap<u64, Cell>,
    /// All rows, by the leading bits of what would be expected of the latest: number and sum.
    latest: BTreeMap<u64, (f64, f64)>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Cell {
    rows: f64,
    expectations: f64,
    labels: f64,
    squares: f64,
}

/// Whether an expectation can be raised to a power: whoever is worth nothing stays so.
fn counts(expectation: f64) -> bool {
    expectation > 0.0 && expectation.is_finite()
}

impl Sums {
    /// Adds a row: its expectation, what would be expected of it were the user one of the latest, and
    /// its label, NaN where immature.
    pub fn add(&mut self, expectation: f64, latest: f64, label: f64) {
        if counts(expectation) && !label.is_nan() {
            let cell = self
                .known
                .entry(cell(expectation, FRACTION_BITS))
                .or_default();
            cell.rows += 1.0;
            cell.expectations += expectation;
            cell.labels += label;
            cell.squares += label * label;
        }
        if counts(latest) {
            let cell = self.latest.entry(cell(latest, FRACTION_BITS)).or_default();
            *cell = (cell.0 + 1.0, cell.1 + latest);
        }
    }

    /// The map: the slope drawn towards 1 by as much as it is uncertain, and the factor with which
    /// the latest users keep their mean.
    pub fn recalibration(&self) -> Recalibration {
        let Some((slope, [robust, supposed])) = self.slope() else {
            return Recalibration::NONE;
        };
        let variance = robust.max(supposed);
        let trust = PRIOR_SD * PRIOR_SD / (PRIOR_SD * PRIOR_SD + variance);
        let slope = 1.0 + trust * (slope - 1.0);
        let slope = slope.clamp(Recalibration::LEAST, Recalibration::MOST);
        let cells = self.latest.values();
        let powers = |(rows, sum): &(f64, f64)| rows * (sum / rows).powf(slope);
        let powers: f64 = cells.clone().map(powers).sum();
        let factor = cells.map(|(_, sum)| sum).sum::<f64>() / powers;
        let found = Recalibration { slope, factor };
        if found.is_sound() {
            found
        } else {
            Recalibration::NONE
        }
    }

    /// The slope and two variances of it: the robust one, of the errors as they were found, which is too
    /// small where the few large labels all happen to be on the line, and that of errors that grow with the
    /// mean. None where rows are few, labels all zero or expectations all the same.
    pub(super) fn slope(&self) -> Option<(f64, [f64; 2])> {
        if self.rows() < LEAST_ROWS {
            return None;
        }
        let labels: f64 = self.known.values().map(|c| c.labels).sum();
        let expectations: f64 = self.known.values().map(|c| c.expectations).sum();
        // Logarithms are taken from that of the mean label, so that the two coefficients hardly
        // depend on each other.
        let origin = (labels / self.rows()).ln();
        let mut at = [origin + (labels / expectations).ln(), 1.0];
        for _ in 0..STEPS {
            let sums = Normal::of(self, origin, at);
            let step = sums.solve(sums.score)?;
            // Far from the solution a whole step may overshoot.
            let damp = step.map(|s| s.clamp(-1.0, 1.0));
            at = [at[0] + damp[0], at[1] + damp[1]];
            if step.iter().all(|s| s.abs() < 1e-10) {
                let around = Normal::of(self, origin, at);
                let variances = around.variances()?;
                let finite = variances.iter().chain(&at).all(|x| x.is_finite());
                return finite.then_some((at[1], variances));
            }
        }
        None
    }

    fn rows(&self) -> f64 {
        self.known.values().map(|c| c.rows).sum()
    }
}

/// Sums at some coefficients, the constant first.
struct Normal {
    score: [f64; 2],
    information: [f64; 3],
    /// Squared errors of labels, and weighted as the score's spread needs them.
    squares: f64,
    spread: [f64; 3],
    /// The same, as the variance is supposed to be, but for a factor.
    supposed: f64,
    supposed_spread: [f64; 3],
}

impl Normal {
    fn of(sums: &Sums, origin: f64, [constant, slope]: [f64; 2]) -> Self {
        let mut all = Self {
            score: [0.0; 2],
            information: [0.0; 3],
            squares: 0.0,
            spread: [0.0; 3],
            supposed: 0.0,
            supposed_spread: [0.0; 3],
        };
        for c in sums.known.values() {
            let x = (c.expectations / c.rows).ln() - origin;
            let mean = (constant + slope * x).exp();
            let error = c.labels - c.rows * mean;
            let square = c.squares - 2.0 * mean * c.labels + c.rows * mean * mean;
            let add = |to: &mut [f64; 3], w: f64| {
                let terms = [w, w * x, w * x * x];
                to.iter_mut().zip(terms).for_each(|(to, term)| *to += term);
            };
            all.score[0] += error;
            all.score[1] += error * x;
            add(&mut all.information, c.rows * mean);
            add(&mut all.spread, square);
            all.squares += square;
            let supposed = c.rows * mean.powf(VARIANCE_POWER);
            add(&mut all.supposed_spread, supposed);
            all.supposed += supposed;
        }
        all
    }

    /// The information's inverse times a vector; none where it has no inverse.
    fn solve(&self, [u, v]: [f64; 2]) -> Option<[f64; 2]> {
        let [a, b, c] = self.information;
        let determinant = a * c - b * b;
        let sound = determinant > 1e-12 * a * c && determinant.is_finite();
        sound.then(|| [(c * u - b * v) / determinant, (a * v - b * u) / determinant])
    }

    /// The slope's variance: inverse, spread, inverse (Huber 1967), of either spread.
    fn variances(&self) -> Option<[f64; 2]> {
        let [p, q] = self.solve([0.0, 1.0])?;
        let of = |[a, b, c]: [f64; 3]| p * p * a + 2.0 * p * q * b + q * q * c;
        let factor = self.squares / self.supposed;
        Some([of(self.spread), factor * of(self.supposed_spread)])
    }
}

/// The maps of all horizons; none where none of them is of any use.
pub fn recalibrated(horizons: &[Sums]) -> Option<Vec<Recalibration>> {
    let maps: Vec<_> = horizons.iter().map(Sums::recalibration).collect();
    maps.iter()
        .any(|map| *map != Recalibration::NONE)
        .then_some(maps)
}
