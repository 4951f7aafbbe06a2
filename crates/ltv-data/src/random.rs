//! A random dataset of a given shape, to measure on.
//!
//! Categories are text, as a warehouse has them, all equally likely and of words of their own in every
//! column; numbers and labels are uniform. Nothing can be learnt from it: the simulator makes data that
//! say something.

use crate::{
    part::{PartError, PartFile},
    stream::StreamError,
};
use arrow::{
    array::{ArrayRef, Date32Array, Float64Array, Int64Array, StringArray},
    datatypes::{DataType, Field, Schema, SchemaRef},
    record_batch::RecordBatch,
};
use ltv_core::{
    Day, Fault, Horizons,
    config::{DatasetOptions, FeatureConfig, Label},
    encoding::{Cells, Encoding, FeatureEncoding},
    manifest::{DatasetManifest, FeatureEntry, FeatureKind, FileEntry},
    progress::Progress,
    seed,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{path::Path, sync::Arc};

/// Rows made at a time, which bounds the memory.
const BATCH_ROWS: u64 = 8192;
/// Rows of a file.
const FILE_ROWS: u64 = 1 << 20;
/// Days on which users registered.
const DAYS: i32 = 365;
/// Days of the observation window.
const WINDOW: u32 = 7;

/// What a random dataset looks like.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomDataset {
    /// Users.
    pub rows: u64,
    /// Distinct values of each categorical column, each at least 1.
    pub categories: Vec<u32>,
    /// Numeric columns, uniform in [0, 100).
    pub numbers: usize,
    /// Horizons; all labels are mature.
    pub horizons: Horizons,
    /// Labels of a horizon are uniform in `[0, this)`.
    pub limits: Vec<f64>,
    /// Decides all values.
    pub seed: u64,
}

/// Why a random dataset could not be written.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum RandomError {
    /// A Parquet file could not be written.
    Part(#[from] PartError),
    /// A folder or the manifest could not be written.
    Core(#[from] ltv_core::Error),
    /// Arrow refused what was made.
    Stream(#[from] StreamError),
}

impl RandomError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Part(_) => Fault::User,
            Self::Core(e) => e.fault(),
            Self::Stream(e) => e.fault(),
        }
    }
}

impl RandomDataset {
    /// The encoding in which every value has a cell of its own: a categorical column has two cells
    /// more than it has values. Numbers, if any, are cut into `bins` bins.
    pub fn encoding(&self, bins: u32) -> Encoding {
        let words = |(column, &count): (usize, &u32)| FeatureEncoding {
            name: category(column),
            columns: vec![category(column)],
            cells: Cells::Vocabulary {
                values: (0..count).map(|value| word(column, value)).collect(),
            },
            scale: None,
        };
        let edge = |i: u32| 100.0 * f64::from(i) / f64::from(bins.max(1));
        let bins = |column: usize| FeatureEncoding {
            name: number(column),
            columns: vec![number(column)],
            cells: Cells::Bins {
                edges: (1..bins).map(edge).collect(),
            },
            scale: None,
        };
        let categories = self.categories.iter().enumerate().map(words);
        Encoding {
            features: categories.chain((0..self.numbers).map(bins)).collect(),
            ..Encoding::default()
        }
    }

    /// Writes the dataset into `folder`, which must be there: files of about a million rows. Tells
    /// `progress` of the rows.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(
        &self,
        folder: &Path,
        progress: &dyn Progress,
    ) -> Result<DatasetManifest, RandomError> {
        progress.start("write random rows", Some(self.rows));
        let words: Vec<Vec<String>> = (self.categories.iter().enumerate())
            .map(|(column, &count)| (0..count).map(|value| word(column, value)).collect())
            .collect();
        let mut rng = ChaCha8Rng::seed_from_u64(seed::derive(self.seed, "random dataset"));
        let (mut files, mut user) = (vec![], 0);
        for first in (0..self.rows).step_by(FILE_ROWS as usize) {
            let end = self.rows.min(first + FILE_ROWS);
            let (name, schema) = (PartFile::name(files.len()), self.schema());
            let mut part = PartFile::create(folder, name, schema, PartFile::properties())?;
            while user < end {
                let users = user..end.min(user + BATCH_ROWS);
                progress.advance(users.end - users.start);
                user = users.end;
                part.add(&self.batch(users, &words, &mut rng)?)?;
            }
            files.push(part.finish()?);
        }
        progress.finish();
        let manifest = self.manifest(files);
        manifest.write(folder)?;
        Ok(manifest)
    }

    fn schema(&self) -> SchemaRef {
        let field = |name: String, kind: DataType| Field::new(name, kind, true);
        let mut fields = vec![
            field("user_id".into(), DataType::Int64),
            field("reg_day".into(), DataType::Date32),
            field("status".into(), DataType::Utf8),
        ];
        let categories = 0..self.categories.len();
        fields.extend(categories.map(|i| field(category(i), DataType::Utf8)));
        fields.extend((0..self.numbers).map(|i| field(number(i), DataType::Float64)));
        let labels = self.horizons.columns().into_iter();
        fields.extend(labels.map(|name| field(name, DataType::Float64)));
        Arc::new(Schema::new(fields))
    }

    fn batch(
        &self,
        users: std::ops::Range<u64>,
        words: &[Vec<String>],
        rng: &mut ChaCha8Rng,
    ) -> Result<RecordBatch, StreamError> {
        let n = (users.end - users.start) as usize;
        let ids: Int64Array = users.map(|user| user as i64).collect();
        let days: Date32Array = (0..n).map(|_| Some(rng.random_range(0..DAYS))).collect();
        let status = StringArray::from(vec!["active"; n]);
        let mut columns: Vec<ArrayRef> = vec![Arc::new(ids), Arc::new(days), Arc::new(status)];
        for words in words {
            let one = |_| Some(&*words[rng.random_range(0..words.len())]);
            columns.push(Arc::new((0..n).map(one).collect::<StringArray>()));
        }
        let limits = vec![100.0; self.numbers].into_iter();
        for limit in limits.chain(self.limits.iter().copied()) {
            let one = |_| Some(rng.random::<f64>() * limit);
            columns.push(Arc::new((0..n).map(one).collect::<Float64Array>()));
        }
        RecordBatch::try_new(self.schema(), columns)
            .map_err(|e| StreamError::internal("a random dataset", e))
    }

    fn manifest(&self, files: Vec<FileEntry>) -> DatasetManifest {
        let entry = |name: String, kind| FeatureEntry {
            columns: vec![name.clone()],
            name,
            kind,
        };
        let categories = 0..self.categories.len();
        let categories = categories.map(|i| entry(category(i), FeatureKind::Categorical));
        let numbers = (0..self.numbers).map(|i| entry(number(i), FeatureKind::Numeric));
        // Every horizon of every user is over.
        let as_of = Day(DAYS + (WINDOW + self.horizons.longest()) as i32);
        let dataset = DatasetOptions {
            as_of,
            window_days: WINDOW,
            horizons: self.horizons.clone(),
            label: Label::Value,
            registered_from: None,
            registered_before: None,
        };
        let features = categories.chain(numbers).collect();
        DatasetManifest {
            statuses: [("active".to_owned(), self.rows)].into(),
            ..DatasetManifest::new(FeatureConfig::bare(dataset), features, files)
        }
    }
}

fn category(column: usize) -> String {
    format!("category_{column:02}")
}

fn number(column: usize) -> String {
    format!("number_{column:02}")
}

/// Sorts as its value does.
fn word(column: usize, value: u32) -> String {
    format!("value {column:02}/{value:08}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::{
        Dataset,
        stream::{StreamOptions, stream},
    };
    use ltv_core::progress::Silent;

    #[test]
    fn every_value_has_a_cell_of_its_own_and_every_label_is_within_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let random = RandomDataset {
            rows: 20_000,
            categories: vec![5, 300],
            numbers: 1,
            horizons: Horizons::new(vec![30, 60]).unwrap(),
            limits: vec![10.0, 20.0],
            seed: 4,
        };
        random.write(folder.path(), &Silent).unwrap();
        let dataset = Dataset::open(folder.path()).unwrap();
        let encoding = random.encoding(16);
        encoding.check().unwrap();
        assert_eq!(encoding.field_cells(), [7, 302, 18]);
        let options = StreamOptions {
            horizons: Some(random.horizons.clone()),
            ..StreamOptions::scoring(Arc::new(encoding))
        };
        let mut seen = [vec![0; 7], vec![0; 302], vec![0; 18]];
        for rows in stream(&dataset, options).unwrap() {
            let rows = rows.unwrap();
            for cells in rows.cells.chunks(3) {
                cells
                    .iter()
                    .zip(&mut seen)
                    .for_each(|(&c, n)| n[c as usize] += 1);
            }
            let within = |y: &[f64]| (0.0..10.0).contains(&y[0]) && (0.0..20.0).contains(&y[1]);
            assert!(rows.labels.chunks(2).all(within));
        }
        for counts in &seen {
            // None missing, unseen or zero; every value about as often as any other.
            assert_eq!(counts[..2], [0, 0]);
            let mean = 20_000 / (counts.len() - 2);
            assert!(
                counts[2..].iter().all(|n| (mean / 3..mean * 3).contains(n)),
                "{counts:?}"
            );
        }
    }
}
