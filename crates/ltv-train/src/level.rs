//! How far the trend over cohorts is followed: to where the freshest cohorts stand.

use crate::TrainError;
use ltv_core::{
    Day,
    config::{Part, Split},
    encoding::{Cohort, EncodedRows},
    predictor::Predictor,
    progress::Progress,
};
use ltv_data::{
    Dataset,
    split::Rows,
    stream::{StreamOptions, stream},
};
use ltv_model::{Bundle, Decoding, Model, bundle::Document};
use rayon::ThreadPool;
use std::sync::Arc;

/// Days of registration that count as fresh: a year, so that seasons cancel.
const FRESH_DAYS: i32 = 365;
/// Rows that are looked at, about: more of them know a mean no better than it is needed.
const MOST_ROWS: u64 = 100_000;
/// Ages that are tried.
const STEPS: usize = 17;
/// Standard errors by which the fresh cohorts' mean must differ from what is predicted.
const EVIDENCE: f64 = 2.0;

/// The bundle, its trend stopped where it has left the freshest cohorts behind.
///
/// These are the users of the last year whose label of the shortest horizon is known. Where their
/// mean is not what is predicted for them, beyond chance, the trend has turned within the time of
/// the longer horizons, whose labels cannot tell. Then the age is sought at which it would be, and
/// from there no more of the trend is followed than lies between the middle of these cohorts and
/// today, by every horizon.
pub(crate) fn levelled(
    bundle: Bundle,
    dataset: &Dataset,
    split: &Split,
    pool: &ThreadPool,
    progress: &dyn Progress,
) -> Result<Bundle, TrainError> {
    let Some(cohort) = &bundle.document.encoding.cohort else {
        return Ok(bundle);
    };
    progress.start("compare the trend with the latest users", None);
    let model = Model::new(bundle.clone(), Decoding::Expectation)?;
    let mut sums = Sums::new(cohort);
    for part in [Part::Validation, Part::Train] {
        for block in stream(dataset, fresh(&bundle.document, cohort, split, part))? {
            if sums.rows >= MOST_ROWS {
                break;
            }
            let block = block?;
            progress.advance(block.rows as u64);
            pool.install(|| sums.add(&model, cohort, block));
        }
    }
    progress.finish();
    match sums.least() {
        Some(least) => raised(bundle, least),
        None => Ok(bundle),
    }
}

/// The users of one part who registered in the last year of which the shortest horizon is mature.
fn fresh(document: &Document, cohort: &Cohort, split: &Split, part: Part) -> StreamOptions {
    let passed = document.window_days + document.horizons.shortest();
    let newest = i64::from(cohort.as_of.0) - i64::from(passed);
    let from = Day((newest - i64::from(FRESH_DAYS)) as i32);
    StreamOptions {
        rows: Rows::Part(part),
        split: Split {
            registered_from: split.registered_from.max(Some(from)),
            ..split.clone()
        },
        horizons: Some(document.horizons.clone()),
        ..StreamOptions::scoring(Arc::new(document.encoding.clone()))
    }
}

/// The bundle with no least age below `least`.
fn raised(mut bundle: Bundle, least: f64) -> Result<Bundle, TrainError> {
    if let Some(cohort) = &mut bundle.document.encoding.cohort {
        for age in &mut cohort.least {
            *age = age.max(least);
        }
    }
    Ok(Bundle::new(bundle.document, bundle.weights)?)
}

/// What the fresh cohorts were worth over the shortest horizon, and what is predicted for them.
struct Sums {
    rows: u64,
    /// Of `ln(1 + years)` since they registered.
    ages: f64,
    labels: f64,
    /// Label less prediction, and its square.
    errors: [f64; 2],
    /// Ages tried, `ln(1 + years)`, ascending from today's to the mean of the training rows, and the
    /// sum of predictions if all were of that age.
    tried: Vec<(f64, f64)>,
}

impl Sums {
    fn new(cohort: &Cohort) -> Self {
        let age = |k: usize| cohort.scale.mean * k as f64 / (STEPS - 1) as f64;
        Self {
            rows: 0,
            ages: 0.0,
            labels: 0.0,
            errors: [0.0; 2],
            tried: (0..STEPS).map(|k| (age(k), 0.0)).collect(),
        }
    }

    /// Adds the rows of a block whose label of the first horizon is known.
    fn add(&mut self, model: &dyn Predictor, cohort: &Cohort, mut block: EncodedRows) {
        let horizons = cohort.least.len();
        let known: Vec<usize> = (0..block.rows)
            .filter(|row| !block.labels[row * horizons].is_nan())
            .collect();
        let ages: Vec<f32> = block.ages(horizons).map(|ages| ages[0]).collect();
        let values = model.predict(&block).values;
        for row in &known {
            let input = f64::from(ages[*row]);
            let label = block.labels[row * horizons];
            let error = label - values[row * horizons];
            self.rows += 1;
            self.ages += input * cohort.scale.sd + cohort.scale.mean;
            self.labels += label;
            self.errors[0] += error;
            self.errors[1] += error * error;
        }
        for (age, sum) in &mut self.tried {
            let input = cohort.scale.apply(Some(age.exp_m1()));
            block.set_ages(&vec![input; horizons]);
            let values = model.predict(&block).values;
            *sum += known.iter().map(|row| values[row * horizons]).sum::<f64>();
        }
    }

    /// The least age, in years, that the fresh cohorts speak for; none where they do not contradict
    /// what is predicted for them, or there are none.
    fn least(&self) -> Option<f64> {
        let [error, squares] = self.errors;
        if error.abs() <= EVIDENCE * squares.sqrt() {
            return None;
        }
        let mean = self.ages / self.rows as f64;
        Some((self.age() - mean).max(0.0).exp_m1())
    }

    /// The youngest age, `ln(1 + years)`, at which predictions are what was seen; where they never
    /// are, the one at which they come nearest.
    fn age(&self) -> f64 {
        let over = |sum: f64| sum - self.labels;
        for pair in self.tried.windows(2) {
            let [(young, low), (old, high)] = [pair[0], pair[1]].map(|(age, sum)| (age, over(sum)));
            if low * high <= 0.0 && low != high {
                return young + (old - young) * low / (low - high);
            }
        }
        let distance = |&(_, sum): &(f64, f64)| over(sum).abs();
        let nearest = self
            .tried
            .iter()
            .min_by(|a, b| distance(a).total_cmp(&distance(b)));
        nearest.map_or(0.0, |(age, _)| *age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ltv_core::{
        Horizons,
        encoding::{Encoding, Scale},
        predictor::Predictions,
    };

    const SCALE: Scale = Scale { mean: 0.8, sd: 0.5 };

    fn cohort() -> Cohort {
        Cohort {
            as_of: Day(20_000),
            scale: SCALE,
            least: vec![0.0, 0.3],
        }
    }

    /// Predicts `level + slope * ln(1 + years)` for the first horizon, nothing of use for the second.
    struct Line {
        level: f64,
        slope: f64,
        horizons: Horizons,
        encoding: Encoding,
    }

    impl Line {
        fn new(level: f64, slope: f64) -> Self {
            Self {
                level,
                slope,
                horizons: Horizons::new(vec![30, 90]).unwrap(),
                encoding: Encoding::default(),
            }
        }
    }

    impl Predictor for Line {
        fn model_id(&self) -> &str {
            "line"
        }
        fn horizons(&self) -> &Horizons {
            &self.horizons
        }
        fn encoding(&self) -> &Encoding {
            &self.encoding
        }
        fn predict(&self, rows: &EncodedRows) -> Predictions {
            let value = |row: &[f32]| {
                let age = f64::from(row[1]) * SCALE.sd + SCALE.mean;
                [self.level + self.slope * age, f64::NAN]
            };
            let values = rows.numbers.chunks_exact(3).flat_map(value).collect();
            let rows = rows.rows;
            Predictions {
                rows,
                values,
                ..Predictions::default()
            }
        }
    }

    /// Users aged evenly over the last year, whose labels have the given mean and lie `spread` around
    /// it; every third has no label yet.
    fn fresh(mean: f64, spread: f64) -> Sums {
        sums(&Line::new(1.0, 1.0), mean, spread)
    }

    fn sums(model: &Line, mean: f64, spread: f64) -> Sums {
        let mut sums = Sums::new(&cohort());
        let mut block = EncodedRows::default();
        for row in 0..600 {
            let input = SCALE.apply(Some(f64::from(row) / 600.0));
            block.numbers.extend([7.0, input, input]);
            let around = if row % 2 == 0 { spread } else { -spread };
            let label = if row % 3 == 0 {
                f64::NAN
            } else {
                mean + around
            };
            block.labels.extend([label, f64::NAN]);
            block.rows += 1;
        }
        sums.add(model, &cohort(), block);
        sums
    }

    /// The mean of `ln(1 + t)` over a year is `2 ln 2 - 1`.
    const MIDDLE: f64 = 2.0 * std::f64::consts::LN_2 - 1.0;

    #[test]
    fn a_trend_that_holds_is_left_alone() {
        let sums = fresh(1.0 + MIDDLE, 0.5);
        assert_eq!(sums.rows, 400);
        assert!((sums.ages / 400.0 - MIDDLE).abs() < 1e-3);
        assert_eq!(sums.least(), None);
        assert_eq!(Sums::new(&cohort()).least(), None, "nobody");
    }

    #[test]
    fn chance_is_no_evidence() {
        assert!(fresh(1.7, 0.5).least().is_some());
        assert_eq!(fresh(1.7, 20.0).least(), None);
    }

    /// A line that the fresh cohorts meet at `ln(1 + years) = 0.7`.
    #[test]
    fn what_is_left_to_today_is_followed_from_where_they_stand() {
        for (level, slope) in [(1.0, 1.0), (3.0, -1.0)] {
            let at = level + slope * 0.7;
            let sums = sums(&Line::new(level, slope), at, 0.1);
            assert!((sums.age() - 0.7).abs() < 1e-6, "{}", sums.age());
            let expected = (0.7 - MIDDLE).exp_m1();
            assert!((sums.least().unwrap() - expected).abs() < 2e-3);
        }
    }

    #[test]
    fn the_nearest_where_no_age_is_right() {
        for (mean, age) in [(9.0, SCALE.mean), (0.2, 0.0)] {
            assert!((fresh(mean, 0.1).age() - age).abs() < 1e-12);
        }
        assert_eq!(fresh(0.2, 0.1).least(), Some(0.0), "nothing is stopped");
    }
}
