//! The population that predictions are matched to: who expects what, and how values are spread.
//! Rows stream through; what is kept of them are sums on fixed grids.

use super::{Curve, MOST_KNOTS, Matching};
use crate::decode::Distribution;
use std::{collections::BTreeMap, sync::Arc};

/// One population for each horizon.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// In order of the horizons.
    pub horizons: Vec<Population>,
}

impl Reference {
    /// The curves; none where nobody was added.
    pub fn matching(&self) -> Option<Matching> {
        let curves = self.horizons.iter().map(Population::curve);
        Some(Matching {
            rows: self.horizons.first()?.rows,
            curves: curves.collect::<Option<_>>()?,
        })
    }

    /// Adds a population on the same grids.
    pub fn merge(&mut self, other: &Self) {
        let pairs = self.horizons.iter_mut().zip(&other.horizons);
        pairs.for_each(|(own, other)| own.merge(other));
    }
}

/// A population at one horizon.
#[derive(Debug, Clone, PartialEq)]
pub struct Population {
    /// Values, ascending, from the least to the largest that is predicted.
    grid: Arc<[f64]>,
    /// Sums of `P(label < v)` and `P(label <= v)` at each value.
    sums: Vec<[f64; 2]>,
    /// Number and sum of expectations, by their leading bits.
    expectations: BTreeMap<u64, (u64, f64)>,
    rows: u64,
}

/// Bits of the fraction that tell expectations apart: to 0.03 % of their size, so that what is
/// kept of them stays below 4096 numbers for each doubling, however many rows.
const FRACTION_BITS: u32 = 12;

fn cell(expectation: f64) -> u64 {
    expectation.to_bits() >> (f64::MANTISSA_DIGITS - 1 - FRACTION_BITS)
}

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
    /// Nobody yet, with the values at which distributions are looked at: ascending; the first at most,
    /// the last at least, every value that is predicted.
    pub fn new(grid: Arc<[f64]>) -> Self {
        Self {
            sums: vec![[0.0; 2]; grid.len()],
            grid,
            expectations: BTreeMap::new(),
            rows: 0,
        }
    }

    /// Adds a user. One whose prediction is no number is left out.
    pub fn add(&mut self, user: &dyn Distribution) {
        let expectation = user.expectation();
        if !(expectation.is_finite() && expectation >= 0.0) {
            return;
        }
        let sums = &mut self.sums;
        user.cumulate(&self.grid, &mut |i, below, at_most| {
            sums[i][0] += below;
            sums[i][1] += at_most;
        });
        // Minus zero has other bits.
        let expectation = expectation + 0.0;
        let entry = self.expectations.entry(cell(expectation)).or_default();
        *entry = (entry.0 + 1, entry.1 + expectation);
        self.rows += 1;
    }

    /// Adds a population on the same grid.
    pub fn merge(&mut self, other: &Self) {
        for (own, other) in self.sums.iter_mut().zip(&other.sums) {
            *own = [own[0] + other[0], own[1] + other[1]];
        }
        for (&cell, &(count, sum)) in &other.expectations {
            let entry = self.expectations.entry(cell).or_default();
            *entry = (entry.0 + count, entry.1 + sum);
        }
        self.rows += other.rows;
    }

    /// The curve, at [`MOST_KNOTS`] knots at most; none of nobody.
    pub fn curve(&self) -> Option<Curve> {
        if self.rows == 0 {
            return None;
        }
        let rows = self.rows as f64;
        let mut values = Quantiles::new(self);
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

/// The integral of `F^-1` from 0 upwards, rank by rank: straight between the values of the grid.
struct Quantiles {
    /// Rank and value, both non-decreasing: a jump of `F` is a flat piece.
    points: Vec<[f64; 2]>,
    /// The last point at or before the last rank asked for, and the integral up to it.
    at: usize,
    integral: f64,
}

impl Quantiles {
    fn new(population: &Population) -> Self {
        let rows = population.rows as f64;
        let mut points = vec![];
        let mut least: f64 = 0.0;
        for (value, sums) in population.grid.iter().zip(&population.sums) {
            for sum in sums {
                // Rounding must not turn it back.
                least = least.max(sum / rows).min(1.0);
                points.push([least, *value]);
            }
        }
        Self {
            points,
            at: 0,
            integral: 0.0,
        }
    }

    /// The integral up to a rank, which does not fall from call to call.
    fn up_to(&mut self, rank: f64) -> f64 {
        while let Some(&[r1, v1]) = self.points.get(self.at + 1) {
            let [r0, v0] = self.points[self.at];
            if r1 <= rank {
                self.integral += (r1 - r0) * 0.5 * (v0 + v1);
                self.at += 1;
                continue;
            }
            let v = v0 + (v1 - v0) * ((rank - r0) / (r1 - r0));
            return self.integral + (rank - r0).max(0.0) * 0.5 * (v0 + v);
        }
        let [r, v] = self.points.last().copied().unwrap_or_default();
        self.integral + (rank - r).max(0.0) * v
    }

    /// The mean of `F^-1` between two ranks, the first below the second.
    fn mean(&mut self, from: f64, to: f64) -> f64 {
        let before = self.up_to(from);
        (self.up_to(to) - before) / (to - from)
    }
}
