//! What a model's predictions owe to each feature: permutation importance (Breiman, Machine
//! Learning 2001, section 10), for any [`Predictor`].
//!
//! A feature's values change hands among users at random, everything else stays; what the
//! predictions then lose is what the feature was worth to them. A sequence moves as a whole, all its
//! days together, and so do the cells and numbers of a feature. Features that tell the same share
//! their importance: where either could replace the other, both look small.

use crate::{
    ScoreError,
    model::{at_least_one, check_fit, pool},
};
use ltv_core::{
    config::Split,
    encoding::{EncodedRows, Encoding},
    manifest::FeatureEntry,
    predictor::Predictor,
    progress::Progress,
    seed,
};
use ltv_data::{
    Dataset,
    split::Rows,
    stream::{StreamOptions, stream},
};
use ltv_eval::Metric;
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How importance is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportanceOptions {
    /// The split that `rows` refers to; not looked at for [`Rows::All`].
    pub split: Split,
    /// Which rows.
    pub rows: Rows,
    /// Rows used at most, at least 1: a random sample where there are more. They are held in memory,
    /// encoded, some 4 bytes for each of a row's columns, twice.
    pub most_rows: usize,
    /// Random orders tried for each feature, at least 1.
    pub repeats: u32,
    /// Decides the sample and the orders.
    pub seed: u64,
    /// Threads to predict with, at least 1. Does not change the result.
    pub threads: usize,
}

/// What a feature is worth to the predictions of one horizon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Importance {
    /// The feature, by its name in the dataset's manifest.
    pub feature: String,
    /// The horizon in days.
    pub horizon: u32,
    /// [`Metric::NormGini`] with the feature minus that without: what its ranking owes to it. Mean
    /// over the random orders; none where the metric has no value.
    pub rank: Option<f64>,
    /// Sample standard deviation of `rank` over the random orders; none with fewer than two.
    pub rank_sd: Option<f64>,
    /// [`Metric::NRMSE`] without the feature minus that with it: what its size owes to it.
    pub error: Option<f64>,
    /// Sample standard deviation of `error`.
    pub error_sd: Option<f64>,
}

/// Measures every feature that the model reads, for every horizon that it predicts; by feature, in
/// the order of the dataset's manifest, then by horizon.
///
/// # Errors
/// When the model does not fit the dataset, nobody has a mature label, or a file cannot be read.
pub fn importance(
    dataset: &Dataset,
    model: &dyn Predictor,
    options: &ImportanceOptions,
    progress: &dyn Progress,
) -> Result<Vec<Importance>, ScoreError> {
    at_least_one("repeats", options.repeats as usize)?;
    at_least_one("most_rows", options.most_rows)?;
    check_fit(dataset, model, None)?;
    let pool = pool(options.threads)?;
    progress.start("draw a sample", Some(dataset.rows()));
    let rows = sample(dataset, model, options, progress)?;
    progress.finish();
    let groups = groups(&dataset.manifest().features, model.encoding());
    let tries = groups.len() as u64 * u64::from(options.repeats);
    progress.start("permute features", Some(tries));
    let whole = pool.install(|| Marks::of(model, &rows))?;
    let mut found = vec![];
    for group in &groups {
        let mut losses = vec![];
        for repeat in 0..options.repeats {
            let stream = format!("importance/{}/{repeat}", group.name);
            let permuted = group.permuted(&rows, seed::derive(options.seed, &stream));
            losses.push(
                pool.install(|| Marks::of(model, &permuted))?
                    .against(&whole),
            );
            progress.advance(1);
        }
        for (t, &horizon) in model.horizons().days().iter().enumerate() {
            let of = |k: usize| -> Vec<Option<f64>> { losses.iter().map(|l| l[t][k]).collect() };
            let ((rank, rank_sd), (error, error_sd)) = (spread(&of(0)), spread(&of(1)));
            found.push(Importance {
                feature: group.name.clone(),
                horizon,
                rank,
                rank_sd,
                error,
                error_sd,
            });
        }
    }
    progress.finish();
    Ok(found)
}

/// The rows to work on: all of them, or a sample in which each has the same chance (Vitter's
/// reservoir).
fn sample(
    dataset: &Dataset,
    model: &dyn Predictor,
    options: &ImportanceOptions,
    progress: &dyn Progress,
) -> Result<EncodedRows, ScoreError> {
    let stream_options = StreamOptions {
        rows: options.rows,
        split: options.split.clone(),
        horizons: Some(model.horizons().clone()),
        ..StreamOptions::scoring(Arc::new(model.encoding().clone()))
    };
    let mut rng = ChaCha8Rng::seed_from_u64(seed::derive(options.seed, "importance/sample"));
    let mut kept = EncodedRows::default();
    let mut seen = 0;
    for block in stream(dataset, stream_options)?.told(progress) {
        let block = block?;
        for row in 0..block.rows {
            let known = labels(&block, row, model.horizons().len());
            if known.iter().all(|y| y.is_nan()) {
                continue;
            }
            seen += 1;
            if kept.rows < options.most_rows {
                kept.push(&block, row);
            } else {
                let place = rng.random_range(0..seen);
                if place < options.most_rows {
                    kept.replace(place, &block, row);
                }
            }
        }
    }
    match kept.rows {
        0 => Err(ScoreError::Nobody {
            path: dataset.folder().to_path_buf(),
            rows: dataset.rows(),
            wanted: "users with a mature label".into(),
        }),
        _ => Ok(kept),
    }
}

fn labels(rows: &EncodedRows, row: usize, horizons: usize) -> &[f64] {
    &rows.labels[row * horizons..(row + 1) * horizons]
}

/// Where a feature's values lie in encoded rows.
struct Group {
    name: String,
    cells: Vec<usize>,
    numbers: Vec<usize>,
    plain: Vec<usize>,
}

/// The features that the model reads.
fn groups(features: &[FeatureEntry], encoding: &Encoding) -> Vec<Group> {
    let mut groups: Vec<Group> = features
        .iter()
        .map(|f| Group {
            name: f.name.clone(),
            cells: vec![],
            numbers: vec![],
            plain: vec![],
        })
        .collect();
    let of = |column: &String| features.iter().position(|f| f.columns.contains(column));
    let (mut cell, mut number) = (0, 0);
    for feature in &encoding.features {
        for column in &feature.columns {
            let group = of(column).map(|i| &mut groups[i]);
            if let Some(group) = group {
                group.cells.push(cell);
                group
                    .numbers
                    .extend(feature.scale.is_some().then_some(number));
            }
            cell += 1;
            number += usize::from(feature.scale.is_some());
        }
    }
    for (i, column) in encoding.plain.iter().enumerate() {
        if let Some(group) = of(column) {
            groups[group].plain.push(i);
        }
    }
    groups.retain(|g| !g.cells.is_empty() || !g.plain.is_empty());
    groups
}

impl Group {
    /// The rows with this feature's values in a random order.
    fn permuted(&self, rows: &EncodedRows, seed_: u64) -> EncodedRows {
        let mut order: Vec<usize> = (0..rows.rows).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed_));
        let mut out = rows.clone();
        deal(&mut out.cells, &rows.cells, &self.cells, &order);
        deal(&mut out.numbers, &rows.numbers, &self.numbers, &order);
        deal(&mut out.plain, &rows.plain, &self.plain, &order);
        out
    }
}

/// Gives row `i` the values that row `order[i]` has in these columns.
fn deal<T: Copy>(out: &mut [T], from: &[T], columns: &[usize], order: &[usize]) {
    let width = from.len() / order.len();
    for (to, &row) in order.iter().enumerate() {
        for &column in columns {
            out[to * width + column] = from[row * width + column];
        }
    }
}

/// How good predictions are, horizon by horizon: rank, then error.
struct Marks(Vec<[Option<f64>; 2]>);

impl Marks {
    fn of(model: &dyn Predictor, rows: &EncodedRows) -> Result<Self, ScoreError> {
        let values = model.predict(rows).values;
        let width = model.horizons().len();
        let column = |all: &[f64], t: usize| -> Vec<f64> {
            all.iter().skip(t).step_by(width).copied().collect()
        };
        let marks = (0..width).map(|t| {
            let name = format!("ltv_{}", model.horizons().days()[t]);
            let scores = ltv_eval::score(&name, &column(&rows.labels, t), &column(&values, t))?;
            Ok([Metric::NormGini, Metric::NRMSE].map(|metric| scores.value(metric)))
        });
        Ok(Self(marks.collect::<Result<_, ScoreError>>()?))
    }

    /// What these lose against `whole`: rank lost, error gained.
    fn against(&self, whole: &Self) -> Vec<[Option<f64>; 2]> {
        let pairs = self.0.iter().zip(&whole.0);
        pairs
            .map(|(ours, whole)| {
                let change = |k: usize| Some(ours[k]? - whole[k]?);
                [change(0).map(|x| -x), change(1)]
            })
            .collect()
    }
}

/// Mean and sample standard deviation, where every value is there.
fn spread(values: &[Option<f64>]) -> (Option<f64>, Option<f64>) {
    let Some(values) = values.iter().copied().collect::<Option<Vec<f64>>>() else {
        return (None, None);
    };
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
    let sd = (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt());
    (Some(mean), sd)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::testing::{Fake, dataset};
    use ltv_core::progress::Silent;

    fn options() -> ImportanceOptions {
        ImportanceOptions {
            split: Split::default(),
            rows: Rows::Mature,
            most_rows: 1000,
            repeats: 3,
            seed: 5,
            threads: 1,
        }
    }

    /// A model that looks at the channel alone owes nothing to the days.
    #[test]
    fn what_the_model_does_not_read_is_worth_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let dataset = dataset(folder.path(), &[(0..300).collect()]);
        let model = Fake::with(|rows, out| {
            let channels = rows.cells.chunks(2).map(|cells| f64::from(cells[1]));
            out.values = channels.flat_map(|c| [c, 2.0 * c]).collect();
        });
        let found = importance(&dataset, &model, &options(), &Silent).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|i| (i.feature.as_str(), i.horizon))
            .collect();
        let expected = [
            ("active_days", 30),
            ("active_days", 90),
            ("channel", 30),
            ("channel", 90),
        ];
        assert_eq!(names, expected);
        for days in &found[..2] {
            let nothing = (Some(0.0), Some(0.0), Some(0.0), Some(0.0));
            assert_eq!(
                (days.rank, days.rank_sd, days.error, days.error_sd),
                nothing
            );
        }
        for channel in &found[2..] {
            assert!(channel.rank.unwrap().abs() > 0.0 && channel.error_sd.unwrap() > 0.0);
        }
    }

    #[test]
    fn a_sample_is_as_large_as_asked_for_and_stays_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let dataset = dataset(folder.path(), &[(0..300).collect()]);
        let small = ImportanceOptions {
            most_rows: 40,
            ..options()
        };
        let one = sample(&dataset, &Fake::new(), &small, &Silent).unwrap();
        assert_eq!((one.rows, one.cells.len(), one.labels.len()), (40, 80, 80));
        let again = sample(&dataset, &Fake::new(), &small, &Silent).unwrap();
        assert_eq!(format!("{one:?}"), format!("{again:?}"));
        let all = sample(&dataset, &Fake::new(), &options(), &Silent).unwrap();
        assert!(all.rows > 40 && all.rows < 1000);
    }

    #[test]
    fn values_change_hands_within_a_feature_only() {
        let rows = EncodedRows {
            rows: 50,
            cells: (0..100).collect(),
            labels: vec![0.0; 50],
            ..EncodedRows::default()
        };
        let group = Group {
            name: "a".into(),
            cells: vec![1],
            numbers: vec![],
            plain: vec![],
        };
        let permuted = group.permuted(&rows, 1);
        let column = |rows: &EncodedRows, k: usize| -> Vec<u32> {
            rows.cells.iter().skip(k).step_by(2).copied().collect()
        };
        assert_eq!(column(&permuted, 0), column(&rows, 0));
        let mut moved = column(&permuted, 1);
        assert_ne!(moved, column(&rows, 1));
        moved.sort_unstable();
        assert_eq!(moved, column(&rows, 1));
    }
}
