//! One pass over the training rows: cells, scales, label distributions, the trivial baseline.

use super::{ages::Ages, numbers::NumberSummary, words::WordCounts};
use crate::{
    dataset::Dataset,
    split::{self, News},
    stream::{StreamError, columns, reader, worker},
};
use arrow::{
    array::{Array, Float64Array},
    compute::filter_record_batch,
    record_batch::RecordBatch,
};
use ltv_core::{
    Horizons,
    baseline::{BaselineHorizon, Baselines},
    config::{EncodingOptions, Part, Split, has_value},
    encoding::{Cells, Encoding, FeatureEncoding},
    labels::LabelHistogram,
    manifest::{DatasetManifest, FeatureEntry, FeatureKind},
    progress::{Progress, Silent},
};
use rayon::prelude::*;
use std::sync::Arc;

/// How encodings are fitted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EncodingPlan {
    /// How features become cells.
    pub cells: EncodingOptions,
    /// Whether numeric features also become scaled network inputs.
    pub numbers: bool,
    /// Whether the day of registration becomes one, where users did not all register on one day.
    pub cohort: bool,
    /// The horizons to fit for, among the dataset's; all of them when `None`.
    pub horizons: Option<Horizons>,
    /// Training rows that are to be counted.
    pub news: Option<Arc<News>>,
}

/// Distinct categories counted at once: a feature's count is too low by at most `2 rows / this`,
/// and exact below it.
fn tracked_categories(cells: &EncodingOptions) -> usize {
    cells.max_categories.saturating_mul(16).max(1 << 18)
}

/// What one pass over a dataset learns.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// Raw values to cells.
    pub encoding: Encoding,
    /// The horizons of `labels` and `baselines`.
    pub horizons: Horizons,
    /// Distribution of the mature training labels, one for each horizon.
    pub labels: Vec<LabelHistogram>,
    /// The simplest predictions.
    pub baselines: Baselines,
    /// Users of the training part; mature in the sense of [`Split::mature`].
    pub train_rows: u64,
    /// Users of the training part without and with value ([`has_value`]).
    pub classes: [u64; 2],
    /// Users of the training part among [`EncodingPlan::news`]; all of them without.
    pub news_rows: u64,
    /// Users of the validation part.
    pub validation_rows: u64,
    /// Users of the test part.
    pub test_rows: u64,
}

/// Fits the encoding of a dataset to the training rows of `split`, in one pass and in memory
/// that does not grow with the rows. The same files give the same bytes, whatever the number of
/// threads.
///
/// # Errors
/// When split or options are out of range, a file cannot be read, a label is impossible, or no user is
/// left to train on.
pub fn fit(dataset: &Dataset, split: &Split, how: &EncodingPlan) -> Result<Fitted, StreamError> {
    fit_with_progress(dataset, split, how, &Silent)
}

/// As [`fit`], within a stage whose units are the rows of the dataset.
///
/// # Errors
/// As [`fit`].
pub fn fit_with_progress(
    dataset: &Dataset,
    split: &Split,
    how: &EncodingPlan,
    progress: &dyn Progress,
) -> Result<Fitted, StreamError> {
    how.cells.check()?;
    split.check()?;
    let horizons = how
        .horizons
        .as_ref()
        .unwrap_or(&dataset.manifest().horizons)
        .clone();
    let entries = &dataset.manifest().features;
    let columns = entries.iter().flat_map(|f| f.columns.clone());
    let plan = reader::Plan::new(dataset, columns, Some(&horizons), Some(split))?.numbered();
    let mut pass = Pass::new(dataset.manifest(), horizons, how);
    let source = dataset.clone();
    let chunks = worker::spawn(worker::PREFETCH, move |send| {
        let order = reader::row_groups(&source);
        reader::read(&source, &plan, &order, &mut |chunk| Ok(send.offer(chunk)))
    });
    for chunk in chunks {
        let chunk = chunk?;
        pass.add(&chunk, split)?;
        progress.advance(chunk.rows);
    }
    pass.finish(dataset, split)
}

/// The state of one pass.
struct Pass {
    features: Vec<(FeatureEntry, Summary)>,
    horizons: Horizons,
    labels: Vec<LabelHistogram>,
    sums: Vec<Sums>,
    /// The column of the trivial sort, and whether the dataset has it.
    signal: (&'static str, bool),
    /// Rows by part: train, validation, test.
    rows: [u64; 3],
    /// Training rows without and with value.
    classes: [u64; 2],
    cells: EncodingOptions,
    /// Ages of the training rows at the as-of date, where they are asked for.
    ages: Option<Ages>,
    /// Training rows that are counted apart, and how many they are.
    news: (Option<Arc<News>>, u64),
}

/// Sums over the training rows whose label of one horizon is mature.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    rows: u64,
    label: f64,
    signal: f64,
}

enum Summary {
    /// One for each column, merged at the end.
    Numbers(Vec<NumberSummary>),
    Words(WordCounts),
}

impl Pass {
    fn new(manifest: &DatasetManifest, horizons: Horizons, how: &EncodingPlan) -> Self {
        let entries = &manifest.features;
        let summary = |entry: &FeatureEntry| match entry.kind {
            FeatureKind::Categorical => {
                Summary::Words(WordCounts::new(tracked_categories(&how.cells)))
            }
            FeatureKind::Numeric | FeatureKind::Sequence => {
                let one = |_| NumberSummary::new(how.cells.max_bins, how.numbers);
                Summary::Numbers(entry.columns.iter().map(one).collect())
            }
        };
        let n = horizons.len();
        let signal = Baselines::signal_of(manifest.label);
        let is_signal =
            |e: &FeatureEntry| e.kind == FeatureKind::Numeric && e.columns == [signal.to_string()];
        Self {
            features: entries.iter().map(|e| (e.clone(), summary(e))).collect(),
            labels: vec![LabelHistogram::default(); horizons.len()],
            sums: vec![Sums::default(); horizons.len()],
            signal: (signal, entries.iter().any(is_signal)),
            horizons,
            rows: [0; 3],
            classes: [0; 2],
            cells: how.cells.clone(),
            ages: how.cohort.then(|| Ages::new(manifest.as_of, n)),
            news: (how.news.clone(), 0),
        }
    }

    fn add(&mut self, chunk: &reader::Chunk, split: &Split) -> Result<(), StreamError> {
        let place = &*chunk.place;
        let parts = split::parts(&chunk.batch, split, &self.horizons, place)
            .map_err(|e| e.offset_by(chunk.first_row))?;
        for (rows, part) in self
            .rows
            .iter_mut()
            .zip([Part::Train, Part::Validation, Part::Test])
        {
            *rows += parts.iter().filter(|&&p| p == Some(part)).count() as u64;
        }
        let batch = filter_record_batch(&chunk.batch, &split::mask(&parts, Part::Train))
            .map_err(|e| StreamError::internal(place, e))?;
        // Every column has its own state and sees the rows in order: the number of threads
        // cannot change the result.
        self.features
            .par_iter_mut()
            .try_for_each(|(entry, s)| s.add(entry, &batch, place))?;
        self.news.1 += match &self.news.0 {
            Some(news) => news.mask(&batch, place)?.true_count() as u64,
            None => batch.num_rows() as u64,
        };
        if let Some(ages) = &mut self.ages {
            ages.add(&batch, &self.horizons, place)?;
        }
        self.add_labels(&batch, place)
    }

    fn add_labels(&mut self, batch: &RecordBatch, place: &str) -> Result<(), StreamError> {
        let signal = match self.signal {
            (name, true) => Some(columns::number(batch, name, place)?),
            (_, false) => None,
        };
        let mut known = vec![f64::NAN; batch.num_rows()];
        for (t, name) in self.horizons.columns().iter().enumerate() {
            let labels = columns::number(batch, name, place)?;
            let sums = &mut self.sums[t];
            for row in (0..labels.len()).filter(|&i| labels.is_valid(i)) {
                known[row] = labels.value(row);
                self.labels[t].add(labels.value(row));
                sums.rows += 1;
                sums.label += labels.value(row);
                sums.signal += signal.as_ref().map_or(0.0, |s| number(s, row));
            }
        }
        // The last one written is that of the longest mature horizon.
        for label in known {
            self.classes[usize::from(has_value(&[label]))] += 1;
        }
        Ok(())
    }

    fn finish(self, dataset: &Dataset, split: &Split) -> Result<Fitted, StreamError> {
        let [train_rows, validation_rows, test_rows] = self.rows;
        if train_rows == 0 {
            let path = dataset.folder().to_path_buf();
            let days = match split.mature {
                ltv_core::config::Mature::Shortest => self.horizons.shortest(),
                ltv_core::config::Mature::Longest => self.horizons.longest(),
            };
            let days = days + dataset.manifest().window_days;
            return Err(StreamError::NoTrainingRows {
                path,
                rows: dataset.rows(),
                days,
            });
        }
        let cells = self.cells;
        let features = self
            .features
            .into_par_iter()
            .map(|(e, s)| s.encoding(e, &cells))
            .collect();
        let horizons = self.horizons.days().iter().zip(&self.sums);
        let baselines = Baselines {
            signal: self.signal.0.into(),
            horizons: horizons.map(|(&days, sums)| sums.means(days)).collect(),
        };
        Ok(Fitted {
            encoding: Encoding {
                features,
                cohort: self.ages.and_then(|ages| ages.cohort()),
                plain: vec![],
            },
            horizons: self.horizons,
            labels: self.labels,
            baselines,
            train_rows,
            news_rows: self.news.1,
            classes: self.classes,
            validation_rows,
            test_rows,
        })
    }
}

/// The number in a row; 0 where it is missing.
fn number(column: &Float64Array, row: usize) -> f64 {
    let value = Some(column.value(row));
    value
        .filter(|x| column.is_valid(row) && x.is_finite())
        .unwrap_or(0.0)
}

impl Sums {
    fn means(&self, days: u32) -> BaselineHorizon {
        let mean = |x: f64| x / self.rows.max(1) as f64;
        BaselineHorizon {
            days,
            label_mean: mean(self.label),
            signal_mean: mean(self.signal),
        }
    }
}

impl Summary {
    fn add(
        &mut self,
        entry: &FeatureEntry,
        batch: &RecordBatch,
        place: &str,
    ) -> Result<(), StreamError> {
        match self {
            Self::Numbers(summaries) => {
                let each = summaries.par_iter_mut().zip(&entry.columns);
                each.try_for_each(|(summary, column)| {
                    summary.add(&columns::number(batch, column, place)?);
                    Ok(())
                })
            }
            Self::Words(counts) => entry.columns.iter().try_for_each(|column| {
                counts.add(&columns::words(batch, column, place)?);
                Ok(())
            }),
        }
    }

    fn encoding(self, entry: FeatureEntry, options: &EncodingOptions) -> FeatureEncoding {
        let (cells, scale) = match self {
            Self::Numbers(summaries) => {
                let merged = summaries.into_iter().reduce(NumberSummary::merged);
                let mut all = merged.unwrap_or_else(|| NumberSummary::new(options.max_bins, false));
                let edges = all.edges();
                (Cells::Bins { edges }, all.scale())
            }
            Self::Words(counts) => {
                let (rows, most) = (options.min_category_rows, options.max_categories);
                (
                    Cells::Vocabulary {
                        values: counts.vocabulary(rows, most),
                    },
                    None,
                )
            }
        };
        FeatureEncoding {
            name: entry.name,
            columns: entry.columns,
            cells,
            scale,
        }
    }
}
