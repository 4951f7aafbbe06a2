//! How far the trend over cohorts is followed: to where the freshest cohorts stand.

use crate::{TrainError, recent::Recent};
use ltv_core::{
    config::Balance,
    encoding::{Cohort, EncodedRows},
    predictor::Predictor,
    progress::Progress,
};
use ltv_model::{Bundle, Decoding, Model};
use rayon::ThreadPool;

/// Days of registration that count as fresh: a year, so that seasons cancel.
const FRESH_DAYS: u32 = 365;
/// Users that are looked at, about: enough for the mean, and each is predicted at every age tried.
const MOST_ROWS: u64 = 20_000;
/// Ages that are tried.
const STEPS: usize = 25;
/// Standard errors by which the fresh cohorts' mean must differ from what is predicted.
const EVIDENCE: f64 = 2.0;
/// Users with value that must be among them: the standard error is that of the sample, and a few
/// large labels that happen not to be in it would make it too small.
const LEAST_POSITIVE: u64 = 200;

/// The bundle, its trend stopped where it has left the freshest cohorts behind.
///
/// These are the users of the last year whose label of the shortest horizon is known. Where their
/// mean is not what is predicted for them, beyond chance, the trend has turned within the time of
/// the longer horizons, whose labels cannot tell. Then the age is sought at which it would be, and
/// from there no more of the trend is followed than lies between the middle of these cohorts and
/// today, by every horizon. Training on users who are brought to equal weight distorts totals, so that
/// nothing can be said then.
pub(crate) fn levelled(
    bundle: Bundle,
    recent: Recent<'_>,
    pool: &ThreadPool,
    progress: &dyn Progress,
) -> Result<Bundle, TrainError> {
    let document = &bundle.document;
    let balanced = document.config.fit.balance != Balance::None;
    let cohort = match &document.encoding.cohort {
        Some(cohort) if !balanced => cohort,
        _ => return Ok(bundle),
    };
    let stage = "compare the trend with the latest users";
    progress.start(stage, Some(recent.units()));
    let model = Model::new(bundle.clone(), Decoding::Expectation)?;
    let read = || (document.horizons.clone(), document.encoding.clone());
    let mut seen = Seen::default();
    recent.each((FRESH_DAYS, MOST_ROWS), read(), progress, |rows| {
        pool.install(|| seen.add(&model, cohort, &rows));
    })?;
    let mut least = None;
    if seen.contradicts() {
        progress.start("look for where the trend stops", Some(recent.units()));
        let mut tried = Tried::new(cohort);
        recent.each((FRESH_DAYS, MOST_ROWS), read(), progress, |rows| {
            pool.install(|| tried.add(&model, cohort, rows));
        })?;
        let found = tried.age(seen.labels).map(|age| seen.left(age));
        least = found.filter(|least| *least > 0.0);
    }
    if let Some(least) = least {
        let times = seen.labels / (seen.labels - seen.errors[0]);
        progress.note(&format!(
            "the latest users are worth {times:.2} times what the trend says; it stops {least:.2} \
             years before the as-of date"
        ));
    }
    progress.finish();
    match least {
        Some(least) => raised(bundle, least),
        None => Ok(bundle),
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

/// The rows whose label of the first horizon is known.
fn known(rows: &EncodedRows, horizons: usize) -> impl Iterator<Item = usize> + '_ {
    (0..rows.rows).filter(move |row| !rows.labels[row * horizons].is_nan())
}

/// What the fresh cohorts were worth over the shortest horizon, and what is predicted for them.
#[derive(Debug, Default)]
struct Seen {
    rows: u64,
    positive: u64,
    /// Of `ln(1 + years)` since they registered.
    ages: f64,
    labels: f64,
    /// Label less prediction, and its square.
    errors: [f64; 2],
}

impl Seen {
    fn add(&mut self, model: &dyn Predictor, cohort: &Cohort, rows: &EncodedRows) {
        let horizons = cohort.least.len();
        let ages: Vec<f32> = rows.ages(horizons).map(|ages| ages[0]).collect();
        let values = model.predict(rows).values;
        for row in known(rows, horizons) {
            let label = rows.labels[row * horizons];
            let error = label - values[row * horizons];
            self.rows += 1;
            self.positive += u64::from(label > 0.0);
            self.ages += f64::from(ages[row]) * cohort.scale.sd + cohort.scale.mean;
            self.labels += label;
            self.errors[0] += error;
            self.errors[1] += error * error;
        }
    }

    /// Whether they are not what is predicted for them, beyond chance.
    fn contradicts(&self) -> bool {
        let [error, squares] = self.errors;
        self.positive >= LEAST_POSITIVE && error.abs() > EVIDENCE * squares.sqrt()
    }

    /// The age, in years, at which the trend stops that meets them at `age`, `ln(1 + years)`.
    fn left(&self, age: f64) -> f64 {
        (age - self.ages / self.rows as f64).max(0.0).exp_m1()
    }
}

/// Ages, `ln(1 + years)`, from today's to those of the oldest training rows, about, and the sum of
/// predictions for the shortest horizon if all were of that age.
struct Tried(Vec<(f64, f64)>);

impl Tried {
    fn new(cohort: &Cohort) -> Self {
        let oldest = cohort.scale.mean + 2.0 * cohort.scale.sd;
        let age = |k: usize| oldest * k as f64 / (STEPS - 1) as f64;
        Self((0..STEPS).map(|k| (age(k), 0.0)).collect())
    }

    fn add(&mut self, model: &dyn Predictor, cohort: &Cohort, mut rows: EncodedRows) {
        let horizons = cohort.least.len();
        for (age, sum) in &mut self.0 {
            // No horizon is followed further than it ever is.
            let input = |least: &f64| cohort.scale.apply(Some(age.exp_m1().max(*least)));
            rows.set_ages(&cohort.least.iter().map(input).collect::<Vec<_>>());
            let values = model.predict(&rows).values;
            *sum += known(&rows, horizons)
                .map(|row| values[row * horizons])
                .sum::<f64>();
        }
    }

    /// The youngest age at which predictions are what was seen, if there is one.
    fn age(&self, labels: f64) -> Option<f64> {
        self.0.windows(2).find_map(|pair| {
            let [(young, low), (old, high)] =
                [pair[0], pair[1]].map(|(age, sum)| (age, sum - labels));
            let between = low * high <= 0.0 && low != high;
            between.then(|| young + (old - young) * low / (low - high))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ltv_core::{
        Day, Horizons,
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
    /// it; every third has no label yet. How a model sees them, and the age that it would meet them at.
    fn look(model: &Line, mean: f64, spread: f64) -> (Seen, Option<f64>) {
        let mut rows = EncodedRows::default();
        for row in 0..600 {
            let input = SCALE.apply(Some(f64::from(row) / 600.0));
            rows.numbers.extend([7.0, input, input]);
            let around = if row % 2 == 0 { spread } else { -spread };
            let label = if row % 3 == 0 {
                f64::NAN
            } else {
                mean + around
            };
            rows.labels.extend([label, f64::NAN]);
            rows.rows += 1;
        }
        let (mut seen, mut tried) = (Seen::default(), Tried::new(&cohort()));
        seen.add(model, &cohort(), &rows);
        tried.add(model, &cohort(), rows);
        let age = tried.age(seen.labels);
        (seen, age)
    }

    /// The mean of `ln(1 + t)` over a year is `2 ln 2 - 1`.
    const MIDDLE: f64 = 2.0 * std::f64::consts::LN_2 - 1.0;

    #[test]
    fn a_trend_that_holds_is_not_contradicted() {
        let (seen, _) = look(&Line::new(1.0, 1.0), 1.0 + MIDDLE, 0.5);
        assert_eq!((seen.rows, seen.positive), (400, 400));
        assert!((seen.ages / 400.0 - MIDDLE).abs() < 1e-3);
        assert!(!seen.contradicts() && !Seen::default().contradicts());
    }

    #[test]
    fn chance_is_no_evidence() {
        let contradicts = |mean, spread| look(&Line::new(1.0, 1.0), mean, spread).0.contradicts();
        assert!(contradicts(1.7, 0.5));
        assert!(!contradicts(1.7, 20.0), "{}", "labels vary");
        // All labels are zero, and none of them varies: too few payers to say so.
        assert!(!contradicts(0.0, 0.0));
    }

    /// A line that the fresh cohorts meet at `ln(1 + years) = 0.7`.
    #[test]
    fn what_is_left_to_today_is_followed_from_where_they_stand() {
        for (level, slope) in [(1.0, 1.0), (3.0, -1.0)] {
            let (seen, age) = look(&Line::new(level, slope), level + slope * 0.7, 0.1);
            assert!((age.unwrap() - 0.7).abs() < 1e-6, "{age:?}");
            let expected = (0.7 - MIDDLE).exp_m1();
            assert!((seen.left(age.unwrap()) - expected).abs() < 2e-3);
        }
    }

    #[test]
    fn where_no_age_is_right_there_is_none() {
        for mean in [9.0, 0.2] {
            assert_eq!(look(&Line::new(1.0, 1.0), mean, 0.1).1, None);
        }
    }
}
