//! The slope and what keeps the mean, from sums on a fixed grid of expectations.

use super::Recalibration;
use std::collections::BTreeMap;

/// How far slopes are from 1, as a standard deviation, before anything is known: what is measured
/// counts for little where its standard error is more than this.
const PRIOR_SD: f64 = 0.2;
/// Bits of the fraction that tell expectations apart: to 0.1 % of their size, so that what is kept
/// stays below 1024 cells for each doubling, however many rows.
const FRACTION_BITS: u32 = 10;
/// Newton steps at most; a regression that is well posed takes five or so.
const STEPS: usize = 50;

/// What a horizon's labels and expectations add up to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sums {
    /// Rows whose label is known, by the leading bits of their expectation.
    known: BTreeMap<u64, Cell>,
    /// All rows, by the leading bits of what would be expected of them today: number and sum.
    today: BTreeMap<u64, (f64, f64)>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Cell {
    rows: f64,
    expectations: f64,
    labels: f64,
    squares: f64,
}

fn cell(expectation: f64) -> u64 {
    expectation.to_bits() >> (f64::MANTISSA_DIGITS - 1 - FRACTION_BITS)
}

/// Whether an expectation can be raised to a power: whoever is worth nothing stays so.
fn counts(expectation: f64) -> bool {
    expectation > 0.0 && expectation.is_finite()
}

impl Sums {
    /// Adds a row: its expectation, what would be expected of it if the user had registered today, and
    /// its label, NaN where immature.
    pub fn add(&mut self, expectation: f64, today: f64, label: f64) {
        if counts(expectation) && !label.is_nan() {
            let cell = self.known.entry(cell(expectation)).or_default();
            cell.rows += 1.0;
            cell.expectations += expectation;
            cell.labels += label;
            cell.squares += label * label;
        }
        if counts(today) {
            let cell = self.today.entry(cell(today)).or_default();
            *cell = (cell.0 + 1.0, cell.1 + today);
        }
    }

    /// The map: the slope drawn towards 1 by as much as it is uncertain, and the factor with which
    /// the users of today keep their mean.
    pub fn recalibration(&self) -> Recalibration {
        let Some((slope, variance)) = self.slope() else {
            return Recalibration::NONE;
        };
        let trust = PRIOR_SD * PRIOR_SD / (PRIOR_SD * PRIOR_SD + variance);
        let slope = 1.0 + trust * (slope - 1.0);
        let slope = slope.clamp(Recalibration::LEAST, Recalibration::MOST);
        let cells = self.today.values();
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

    /// The slope and its variance, robust to labels that vary more than a Poisson variable does; none
    /// where labels are all zero or expectations all the same.
    pub(super) fn slope(&self) -> Option<(f64, f64)> {
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
                let variance = around.variance()?;
                return (at[1].is_finite() && variance.is_finite()).then_some((at[1], variance));
            }
        }
        None
    }

    fn rows(&self) -> f64 {
        self.known.values().map(|c| c.rows).sum()
    }
}

/// Score, information and the score's own spread at some coefficients, the constant first.
struct Normal {
    score: [f64; 2],
    information: [f64; 3],
    spread: [f64; 3],
}

impl Normal {
    fn of(sums: &Sums, origin: f64, [constant, slope]: [f64; 2]) -> Self {
        let mut all = Self {
            score: [0.0; 2],
            information: [0.0; 3],
            spread: [0.0; 3],
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

    /// The slope's variance: inverse, spread, inverse (Huber 1967).
    fn variance(&self) -> Option<f64> {
        let [p, q] = self.solve([0.0, 1.0])?;
        let [a, b, c] = self.spread;
        Some(p * p * a + 2.0 * p * q * b + q * q * c)
    }
}

/// The maps of all horizons; none where none of them is of any use.
pub fn recalibrated(horizons: &[Sums]) -> Option<Vec<Recalibration>> {
    let maps: Vec<_> = horizons.iter().map(Sums::recalibration).collect();
    maps.iter()
        .any(|map| *map != Recalibration::NONE)
        .then_some(maps)
}
