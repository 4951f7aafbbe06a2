//! One pass over the training rows: cells, scales, label distributions, the trivial baseline.

use super::{numbers::NumberSummary, words::WordCounts};
use crate::{
    dataset::Dataset,
    split,
    stream::{StreamError, columns, reader, worker},
};
use arrow::{
    array::{Array, Float64Array},
    compute::filter_record_batch,
    record_batch::RecordBatch,
};
use ltv_core::{
    Error, Horizons,
    config::{Part, Split},
    encoding::{Cells, Encoding, FeatureEncoding},
    labels::LabelHistogram,
    manifest::{FeatureEntry, FeatureKind},
};
use rayon::prelude::*;

/// How encodings are fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodingOptions {
    /// Bins of a numeric feature besides those for missing and zero, `2..=1024`. A value of at
    /// least `1 / max_bins` of the non-zero rows has a bin of its own.
    pub max_bins: usize,
    /// Training rows a category needs for a cell of its own.
    pub min_category_rows: u64,
    /// Most categories of a feature; the most frequent stay.
    pub max_categories: usize,
    /// Whether numeric features also become scaled network inputs.
    pub numbers: bool,
    /// The horizons to fit for, among the dataset's; all of them when `None`.
    pub horizons: Option<Horizons>,
}

impl Default for EncodingOptions {
    fn default() -> Self {
        Self {
            max_bins: 32,
            min_category_rows: 50,
            max_categories: 10_000,
            numbers: false,
            horizons: None,
        }
    }
}

impl EncodingOptions {
    /// Checks the ranges.
    ///
    /// # Errors
    /// Names the option and its range.
    pub fn check(&self) -> Result<(), Error> {
        if !(2..=1024).contains(&self.max_bins) {
            let problem = format!("{} is not between 2 and 1024", self.max_bins);
            return Err(Error::config("encoding.max_bins", problem));
        }
        if !(1..=1_000_000).contains(&self.max_categories) {
            let problem = format!("{} is not between 1 and 1000000", self.max_categories);
            return Err(Error::config("encoding.max_categories", problem));
        }
        Ok(())
    }

    /// Distinct categories counted at once: a feature's count is too low by at most
    /// `2 rows / this`, and exact below it.
    fn tracked_categories(&self) -> usize {
        (16 * self.max_categories).max(1 << 18)
    }
}

/// What one pass over a dataset learns.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// Raw values to cells.
    pub encoding: Encoding,
    /// The horizons of `labels` and `means`.
    pub horizons: Horizons,
    /// Distribution of the mature training labels, one for each horizon.
    pub labels: Vec<LabelHistogram>,
    /// What the trivial baseline needs, one for each horizon.
    pub means: Vec<HorizonMeans>,
    /// Users of the training part; mature in the sense of [`Split::mature`].
    pub train_rows: u64,
    /// Users of the validation part.
    pub validation_rows: u64,
    /// Users of the test part.
    pub test_rows: u64,
}

/// Means over the training rows whose label of one horizon is mature; 0 when there are none.
///
/// The trivial baseline is `label / active_days` times a user's own `active_days` (or the same
/// with `value_sum`).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct HorizonMeans {
    /// Those rows.
    pub rows: u64,
    /// Mean label.
    pub label: f64,
    /// Mean of the feature `active_days`, missing read as 0; `None` without such a feature.
    pub active_days: Option<f64>,
    /// Mean of the feature `value_sum`, missing read as 0; `None` without such a feature.
    pub value_sum: Option<f64>,
}

/// Fits the encoding of a dataset to the training rows of `split`, in one pass and in memory
/// that does not grow with the rows. The same files give the same bytes, whatever the number of
/// threads.
///
/// # Errors
/// When options are out of range, a file cannot be read, a label is impossible, or no user is
/// left to train on.
pub fn fit(
    dataset: &Dataset,
    split: &Split,
    options: &EncodingOptions,
) -> Result<Fitted, StreamError> {
    options.check()?;
    split.check()?;
    let entries = &dataset.manifest().features;
    let horizons = options
        .horizons
        .as_ref()
        .unwrap_or(&dataset.manifest().horizons)
        .clone();
    let columns = entries.iter().flat_map(|f| f.columns.clone());
    let plan = reader::Plan::new(dataset, columns, Some(&horizons), Some(split))?;
    let mut pass = Pass::new(entries, horizons, options);
    let source = dataset.clone();
    let chunks = worker::spawn(worker::PREFETCH, move |send| {
        let order = reader::row_groups(&source);
        reader::read(&source, &plan, &order, &mut |chunk| Ok(send.offer(chunk)))
    });
    for chunk in chunks {
        pass.add(&chunk?, split)?;
    }
    pass.finish(dataset, split)
}

/// The state of one pass.
struct Pass {
    features: Vec<(FeatureEntry, Summary)>,
    horizons: Horizons,
    labels: Vec<LabelHistogram>,
    sums: Vec<HorizonMeans>,
    means_of: [Option<String>; 2],
    /// Rows by part: train, validation, test.
    rows: [u64; 3],
    options: EncodingOptions,
}

enum Summary {
    Numbers(NumberSummary),
    Words(WordCounts),
}

impl Pass {
    fn new(entries: &[FeatureEntry], horizons: Horizons, options: &EncodingOptions) -> Self {
        let summary = |entry: &FeatureEntry| match entry.kind {
            FeatureKind::Categorical => {
                Summary::Words(WordCounts::new(options.tracked_categories()))
            }
            FeatureKind::Numeric | FeatureKind::Sequence => {
                Summary::Numbers(NumberSummary::new(options.max_bins, options.numbers))
            }
        };
        let has = |name: &str| {
            let found = |e: &&FeatureEntry| {
                e.kind == FeatureKind::Numeric && e.columns == [name.to_string()]
            };
            entries.iter().find(found).map(|_| name.to_string())
        };
        Self {
            features: entries.iter().map(|e| (e.clone(), summary(e))).collect(),
            labels: vec![LabelHistogram::default(); horizons.len()],
            sums: vec![HorizonMeans::default(); horizons.len()],
            means_of: [has("active_days"), has("value_sum")],
            horizons,
            rows: [0; 3],
            options: options.clone(),
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
        // Every feature has its own state and sees the rows in order: the number of threads
        // cannot change the result.
        self.features
            .par_iter_mut()
            .try_for_each(|(entry, s)| s.add(entry, &batch, place))?;
        self.add_labels(&batch, place)
    }

    fn add_labels(&mut self, batch: &RecordBatch, place: &str) -> Result<(), StreamError> {
        let column = |name: &Option<String>| match name {
            Some(name) => columns::number(batch, name, place).map(Some),
            None => Ok(None),
        };
        let [active, value] = [column(&self.means_of[0])?, column(&self.means_of[1])?];
        for (t, name) in self.horizons.columns().iter().enumerate() {
            let labels = columns::number(batch, name, place)?;
            let sums = &mut self.sums[t];
            for row in (0..labels.len()).filter(|&i| labels.is_valid(i)) {
                self.labels[t].add(labels.value(row));
                sums.rows += 1;
                sums.label += labels.value(row);
                add_to(&mut sums.active_days, &active, row);
                add_to(&mut sums.value_sum, &value, row);
            }
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
        let options = self.options;
        let features = self
            .features
            .into_par_iter()
            .map(|(e, s)| s.encoding(e, &options))
            .collect();
        Ok(Fitted {
            encoding: Encoding { features },
            horizons: self.horizons,
            labels: self.labels,
            means: self.sums.into_iter().map(HorizonMeans::from_sums).collect(),
            train_rows,
            validation_rows,
            test_rows,
        })
    }
}

/// Adds a row's value to a running sum; a missing value counts as 0.
fn add_to(sum: &mut Option<f64>, column: &Option<Float64Array>, row: usize) {
    if let Some(column) = column {
        let value = Some(column.value(row)).filter(|x| column.is_valid(row) && x.is_finite());
        *sum = Some(sum.unwrap_or(0.0) + value.unwrap_or(0.0));
    }
}

impl HorizonMeans {
    fn from_sums(sums: Self) -> Self {
        let mean = |x: f64| x / sums.rows.max(1) as f64;
        Self {
            rows: sums.rows,
            label: mean(sums.label),
            active_days: sums.active_days.map(mean),
            value_sum: sums.value_sum.map(mean),
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
        for column in &entry.columns {
            match self {
                Self::Numbers(summary) => summary.add(&columns::number(batch, column, place)?),
                Self::Words(counts) => counts.add(&columns::text(batch, column, place)?),
            }
        }
        Ok(())
    }

    fn encoding(self, entry: FeatureEntry, options: &EncodingOptions) -> FeatureEncoding {
        let (cells, scale) = match self {
            Self::Numbers(mut summary) => (
                Cells::Bins {
                    edges: summary.edges(),
                },
                summary.scale(),
            ),
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
