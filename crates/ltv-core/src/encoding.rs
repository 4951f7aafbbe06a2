//! Fitted feature encodings: from a raw value to the number of its cell.
//!
//! Every feature is discretised (paper section 3.2): numbers fall into equal-frequency bins,
//! categories into a vocabulary. Missing, zero and unseen values have cells of their own. Fitting
//! lives in `ltv-data`; this module only applies what was fitted, and is stored in the bundle.

use crate::{Day, Error, Result};
use serde::{Deserialize, Serialize};

/// The fitted encoding of a whole dataset: an ordered list of features.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Encoding {
    /// In the order in which the network sees them.
    pub features: Vec<FeatureEncoding>,
    /// How the day of registration becomes numbers of its own, the last ones; none where the network
    /// does not look at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cohort: Option<Cohort>,
    /// Numeric dataset columns that enter as they are, for models that are no networks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plain: Vec<String>,
}

/// The encoding of one feature: one column, or the columns of a day-level sequence, which share
/// their cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureEncoding {
    /// The feature's name; for a sequence the stem of its columns.
    pub name: String,
    /// The dataset columns it reads: one, or one for each day of the window.
    pub columns: Vec<String>,
    /// How a value becomes a cell.
    pub cells: Cells,
    /// How a number becomes a network input as well, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
}

/// How a value becomes a cell number in `0..count()`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cells {
    /// Cell 0: missing (null or NaN); cell 1: exactly zero; cell `2 + i`: the i-th bin, where
    /// bin `i` holds values `edges[i-1] < x <= edges[i]`, open at both ends.
    Bins {
        /// Upper edges of all bins but the last, strictly increasing and finite.
        edges: Vec<f64>,
    },
    /// Cell 0: missing; cell 1: rare or unseen; cell `2 + i`: the i-th value.
    Vocabulary {
        /// Sorted, without duplicates. Integers are written in decimal.
        values: Vec<String>,
    },
}

impl Cells {
    /// Cell of a missing value.
    pub const MISSING: u32 = 0;
    /// Cell of an exact zero, in bins.
    pub const ZERO: u32 = 1;
    /// Cell of a rare or unseen category, in a vocabulary.
    pub const UNSEEN: u32 = 1;

    /// Number of cells, at least 3 for bins and 2 for a vocabulary.
    pub fn count(&self) -> usize {
        match self {
            Self::Bins { edges } => edges.len() + 3,
            Self::Vocabulary { values } => values.len() + 2,
        }
    }

    /// Cell of a number; a vocabulary sees it as missing.
    pub fn of_number(&self, value: Option<f64>) -> u32 {
        match (self, value) {
            (Self::Bins { edges }, Some(x)) if !x.is_nan() => {
                if x == 0.0 {
                    return Self::ZERO;
                }
                2 + edges.partition_point(|&e| e < x) as u32
            }
            _ => Self::MISSING,
        }
    }

    /// Cell of a category; bins see it as missing.
    pub fn of_text(&self, value: Option<&str>) -> u32 {
        match (self, value) {
            (Self::Vocabulary { values }, Some(text)) => values
                .binary_search_by(|v| v.as_str().cmp(text))
                .map_or(Self::UNSEEN, |i| 2 + i as u32),
            _ => Self::MISSING,
        }
    }
}

/// Standardises `sign(x) * ln(1 + |x|)`: subtract `mean`, divide by `sd`; a missing value is 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// Mean of the transformed training values.
    pub mean: f64,
    /// Their standard deviation, at least [`Scale::LEAST_SD`].
    pub sd: f64,
}

impl Scale {
    /// The largest transformed value, `ln(1 + x)` of the largest finite number, rounded up: no mean
    /// is beyond it, and no standard deviation.
    pub const LARGEST: f64 = 710.0;
    /// The smallest standard deviation. What is fitted is never below 1e-6: columns that vary less
    /// count as constant. This is less, for others' files, and yet large enough that inputs stay
    /// below `2 * 710 / 1e-9`, far from the largest number in single precision.
    pub const LEAST_SD: f64 = 1e-9;

    /// Whether inputs are finite for every value.
    fn is_sound(&self) -> bool {
        self.mean.abs() <= Self::LARGEST && (Self::LEAST_SD..=Self::LARGEST).contains(&self.sd)
    }

    /// The network input for a raw value.
    pub fn apply(&self, value: Option<f64>) -> f32 {
        match value {
            Some(x) if x.is_finite() => {
                let y = x.signum() * x.abs().ln_1p();
                ((y - self.mean) / self.sd) as f32
            }
            _ => 0.0,
        }
    }
}

/// When a user registered, as one network input for each horizon: the age of the cohort at the
/// as-of date of the training, `ln(1 + years)` standardised, but not below a least age. Whoever
/// registers later than that date has the least age: the training knows nothing more recent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cohort {
    /// The as-of date of the training dataset.
    pub as_of: Day,
    /// Mean and standard deviation of `ln(1 + years)` over the training rows.
    pub scale: Scale,
    /// The least age of each horizon, in years, at least 0: how far from the cohorts whose labels are
    /// mature a trend is followed towards today.
    pub least: Vec<f64>,
}

impl Cohort {
    /// The dataset column it reads.
    pub const COLUMN: &str = "reg_day";

    /// Years from a registration to the as-of date, at least 0.
    pub fn years(as_of: Day, registered: Day) -> f64 {
        (f64::from(as_of.0) - f64::from(registered.0)).max(0.0) / 365.25
    }

    /// The network inputs of a user, one for each horizon.
    pub fn numbers(&self, registered: Day) -> impl Iterator<Item = f32> + '_ {
        let years = Self::years(self.as_of, registered);
        let number = move |&least: &f64| self.scale.apply(Some(years.max(least)));
        self.least.iter().map(number)
    }

    fn is_sound(&self) -> bool {
        let sound = |years: &f64| *years >= 0.0 && years.is_finite();
        self.scale.is_sound() && self.least.iter().all(sound)
    }
}

impl FeatureEncoding {
    fn check(&self) -> Result<(), String> {
        let (sound, problem) = match &self.cells {
            Cells::Bins { edges } => (
                edges.iter().all(|e| e.is_finite()) && edges.windows(2).all(|w| w[0] < w[1]),
                "edges are not finite and ascending",
            ),
            Cells::Vocabulary { values } => (
                values.windows(2).all(|w| w[0] < w[1]),
                "the vocabulary is not sorted",
            ),
        };
        if !sound {
            return Err(problem.into());
        }
        match self.scale {
            Some(scale) if !scale.is_sound() => Err(format!(
                "scale.mean = {} is not within {most} of 0, or scale.sd = {} not between {} and \
                 {most}",
                scale.mean,
                scale.sd,
                Scale::LEAST_SD,
                most = Scale::LARGEST
            )),
            _ => Ok(()),
        }
    }
}

impl Encoding {
    /// Checks what whoever applies an encoding relies on: edges and vocabularies in order, and scales
    /// that make finite inputs of every value.
    ///
    /// # Errors
    /// Names the feature and what is wrong with it.
    pub fn check(&self) -> Result<()> {
        for feature in &self.features {
            let key = || format!("feature '{}'", feature.name);
            let name = |problem| Error::config(key(), problem);
            feature.check().map_err(name)?;
        }
        match &self.cohort {
            Some(cohort) if !cohort.is_sound() => {
                let problem = "its mean, standard deviation or a least age cannot be one";
                Err(Error::config("encoding.cohort", problem))
            }
            _ => Ok(()),
        }
    }

    /// The dataset columns that are read, in order; a column may be read twice.
    pub fn columns(&self) -> impl Iterator<Item = String> + '_ {
        let features = self.features.iter().flat_map(|f| f.columns.iter().cloned());
        let cohort = self.cohort.iter().map(|_| Cohort::COLUMN.to_owned());
        features.chain(self.plain.iter().cloned()).chain(cohort)
    }

    /// Number of cells of every network field, one field for each column, in order.
    pub fn field_cells(&self) -> Vec<usize> {
        let per = |f: &FeatureEncoding| vec![f.cells.count(); f.columns.len()];
        self.features.iter().flat_map(per).collect()
    }

    /// Number of network fields: columns over all features.
    pub fn fields(&self) -> usize {
        self.features.iter().map(|f| f.columns.len()).sum()
    }

    /// Number of numeric network inputs: columns of features that have a [`Scale`], then one for each
    /// horizon where there is a [`Cohort`].
    pub fn numbers(&self) -> usize {
        let scaled = self.features.iter().filter(|f| f.scale.is_some());
        scaled.map(|f| f.columns.len()).sum::<usize>() + self.trends()
    }

    /// The last so many of them are ages of cohorts.
    pub fn trends(&self) -> usize {
        self.cohort.as_ref().map_or(0, |c| c.least.len())
    }
}

/// A block of encoded rows: what the network reads, and what it is judged by.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EncodedRows {
    /// Number of rows.
    pub rows: usize,
    /// Cells, row-major `[rows, fields]`.
    pub cells: Vec<u32>,
    /// Scaled numbers, row-major `[rows, numbers]`; empty when the encoding has none.
    pub numbers: Vec<f32>,
    /// Columns as they are, row-major `[rows, plain]`; NaN where missing.
    pub plain: Vec<f64>,
    /// Labels, row-major `[rows, horizons]`; NaN where immature; empty when scoring.
    pub labels: Vec<f64>,
}

impl EncodedRows {
    /// The last numbers of every row, so many of them: ages of cohorts, where an encoding has any.
    pub fn ages(&self, count: usize) -> impl Iterator<Item = &[f32]> {
        let width = self.numbers.len() / self.rows.max(1);
        self.numbers
            .chunks_exact(width.max(1))
            .map(move |row| &row[width - count..])
    }

    /// Writes the same ages over the last numbers of every row.
    pub fn set_ages(&mut self, ages: &[f32]) {
        let width = self.numbers.len() / self.rows.max(1);
        for row in self.numbers.chunks_exact_mut(width.max(1)) {
            row[width - ages.len()..].copy_from_slice(ages);
        }
    }

    /// Adds a copy of a row of `from`, which must have the same columns.
    pub fn push(&mut self, from: &Self, row: usize) {
        fn one<T: Copy>(to: &mut Vec<T>, from: &[T], rows: usize, row: usize) {
            let width = from.len() / rows;
            to.extend_from_slice(&from[row * width..(row + 1) * width]);
        }
        one(&mut self.cells, &from.cells, from.rows, row);
        one(&mut self.numbers, &from.numbers, from.rows, row);
        one(&mut self.plain, &from.plain, from.rows, row);
        one(&mut self.labels, &from.labels, from.rows, row);
        self.rows += 1;
    }

    /// Puts a copy of a row of `from`, which must have the same columns, in the place of row `at`.
    pub fn replace(&mut self, at: usize, from: &Self, row: usize) {
        fn one<T: Copy>(to: &mut [T], at: usize, from: &[T], rows: usize, row: usize) {
            let width = from.len() / rows;
            to[at * width..(at + 1) * width].copy_from_slice(&from[row * width..(row + 1) * width]);
        }
        one(&mut self.cells, at, &from.cells, from.rows, row);
        one(&mut self.numbers, at, &from.numbers, from.rows, row);
        one(&mut self.plain, at, &from.plain, from.rows, row);
        one(&mut self.labels, at, &from.labels, from.rows, row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_numbers() {
        let bins = Cells::Bins {
            edges: vec![1.0, 5.0],
        };
        assert_eq!(bins.count(), 5);
        let cell = |x| bins.of_number(Some(x));
        assert_eq!(bins.of_number(None), 0);
        assert_eq!(cell(f64::NAN), 0);
        assert_eq!([cell(0.0), cell(-0.0)], [1, 1]);
        assert_eq!(
            [cell(-3.0), cell(1.0), cell(1.5), cell(5.0), cell(9e99)],
            [2, 2, 3, 3, 4]
        );
        assert_eq!(cell(f64::INFINITY), 4);
    }

    fn cohort() -> Cohort {
        let scale = Scale {
            mean: 0.5,
            sd: 0.25,
        };
        Cohort {
            as_of: Day(20_000),
            scale,
            least: vec![0.0, 1.5],
        }
    }

    /// Two years before the as-of date, half a year, on it, and after it.
    #[test]
    fn a_cohort_is_as_old_as_it_is_but_no_younger_than_the_least() {
        let cohort = cohort();
        let z = |years: f64| (((1.0 + years).ln() - 0.5) / 0.25) as f32;
        let year = 365.25;
        for (age, expected) in [(2.0, [2.0, 2.0]), (0.5, [0.5, 1.5]), (0.0, [0.0, 1.5])] {
            let found: Vec<f32> = cohort.numbers(Day(20_000 - (age * year) as i32)).collect();
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - z(expected)).abs() < 0.01, "{age}: {found}");
            }
        }
        let later: Vec<f32> = cohort.numbers(Day(i32::MAX)).collect();
        assert_eq!(later, cohort.numbers(Day(20_000)).collect::<Vec<_>>());
        let first: Vec<f32> = cohort.numbers(Day(i32::MIN)).collect();
        assert!(first.iter().all(|x| x.is_finite()));
    }

    #[test]
    fn cohorts_are_numbers_and_a_column_and_must_be_sound() {
        let with = |cohort| Encoding {
            cohort: Some(cohort),
            ..Encoding::default()
        };
        let encoding = with(cohort());
        encoding.check().unwrap();
        assert_eq!((encoding.numbers(), encoding.trends()), (2, 2));
        assert_eq!(encoding.columns().collect::<Vec<_>>(), ["reg_day"]);
        for least in [-1.0, f64::NAN, f64::INFINITY] {
            let least = vec![least];
            let bad = Cohort { least, ..cohort() };
            let error = with(bad).check().unwrap_err().to_string();
            assert!(error.starts_with("encoding.cohort"), "{error}");
        }
        let scale = Scale { mean: 0.0, sd: 0.0 };
        assert!(with(Cohort { scale, ..cohort() }).check().is_err());
    }

    #[test]
    fn what_makes_no_finite_inputs_is_refused() {
        let check = |mean, sd| {
            let scale = Scale { mean, sd };
            let encoding = Encoding {
                cohort: None,
                features: vec![FeatureEncoding {
                    name: "spend".into(),
                    columns: vec!["spend".into()],
                    cells: Cells::Bins { edges: vec![] },
                    scale: Some(scale),
                }],
                plain: vec![],
            };
            let inputs = [f64::MAX, f64::MIN].map(|x| scale.apply(Some(x)));
            (encoding.check(), inputs.iter().all(|x| x.is_finite()))
        };
        for (mean, sd) in [(0.7, 0.4), (710.0, 1e-9), (-3.0, 1e-6), (0.0, 710.0)] {
            let (checked, finite) = check(mean, sd);
            checked.unwrap();
            assert!(finite);
        }
        for (mean, sd) in [
            (0.0, 0.0),
            (0.0, 1e-300),
            (0.0, -1.0),
            (0.0, f64::NAN),
            (0.0, f64::INFINITY),
            (1e300, 1.0),
            (f64::NAN, 1.0),
        ] {
            let error = check(mean, sd).0.unwrap_err().to_string();
            assert!(error.starts_with("feature 'spend': scale"), "{error}");
        }
    }

    #[test]
    fn rows_are_copied_whole() {
        let from = EncodedRows {
            rows: 2,
            cells: vec![1, 2, 3, 4],
            numbers: vec![],
            plain: vec![0.5, 1.5],
            labels: vec![7.0, f64::NAN],
        };
        let mut rows = EncodedRows::default();
        rows.push(&from, 1);
        rows.push(&from, 1);
        rows.replace(1, &from, 0);
        assert_eq!(rows.cells, [3, 4, 1, 2]);
        assert_eq!((rows.rows, &rows.plain[..]), (2, &[1.5, 0.5][..]));
        assert!(rows.labels[0].is_nan() && rows.labels[1] == 7.0);
    }

    #[test]
    fn cells_of_categories() {
        let words = Cells::Vocabulary {
            values: vec!["a".into(), "c".into()],
        };
        let cell = |x| words.of_text(Some(x));
        assert_eq!(words.of_text(None), 0);
        assert_eq!([cell("a"), cell("b"), cell("c")], [2, 1, 3]);
    }

    proptest::proptest! {
        #[test]
        fn a_cell_is_always_in_range(x: f64, mut edges: Vec<i16>) {
            edges.sort_unstable();
            edges.dedup();
            let bins = Cells::Bins { edges: edges.into_iter().map(f64::from).collect() };
            proptest::prop_assert!((bins.of_number(Some(x)) as usize) < bins.count());
        }
    }
}
