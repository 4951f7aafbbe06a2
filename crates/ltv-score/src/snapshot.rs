//! From a dataset and a model to a snapshot: every user exactly once, or nothing.
//!
//! ```text
//!   reading and encoding  -->  predicting       -->  writing
//!   (a thread)                 (a pool)              (a thread)
//! ```
//!
//! Memory depends on `batch_rows` and on the size of a row group, not on the size of the dataset.

use crate::{
    ScoreError,
    batch::Rows,
    model::{at_least_one, check_fit, pool},
    output::{self, Parts},
    users::UserOrder,
};
use arrow::{array::BooleanArray, record_batch::RecordBatch};
use ltv_core::{
    encoding::EncodedRows,
    manifest::{FileEntry, SnapshotManifest},
    predictor::{Predictions, Predictor},
    progress::{Progress, Stretch},
};
use ltv_data::{
    Dataset,
    stream::{StreamOptions, stream_with_raw},
};
use ltv_eval::Sum;
use rayon::ThreadPool;
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

/// Batches that wait for the writer.
const WAITING: usize = 2;

/// What happens to users who are older than the longest horizon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PastHorizon {
    /// They are scored like everybody else, with this model and under this as-of date.
    #[default]
    Keep,
    /// They get no row, and are counted in [`SnapshotManifest::dropped`].
    Drop,
}

/// How to score, as opposed to what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScoreOptions {
    /// Rows predicted at a time, at least 1.
    pub batch_rows: usize,
    /// Threads of the pool that the model predicts in, at least 1; reading and writing have one
    /// each beside it. The bytes of the snapshot do not depend on it.
    pub threads: usize,
    /// How the model decodes `ltv_<N>`, for the manifest.
    pub decoding: String,
    /// Whether the model guarantees order across horizons; a breach is then an error.
    pub monotone: bool,
    /// Most rows of a file, at least 1.
    pub file_rows: usize,
    /// What happens to users who are older than the longest horizon.
    pub past_horizon: PastHorizon,
    /// Days of the observation window that the model was trained on; not checked when `None`.
    pub expected_window: Option<u32>,
}

impl Default for ScoreOptions {
    /// One thread, 16,384 rows at a time, 2,000,000 rows in a file.
    fn default() -> Self {
        Self {
            batch_rows: 16_384,
            threads: 1,
            decoding: "expectation".to_owned(),
            monotone: true,
            file_rows: 2_000_000,
            past_horizon: PastHorizon::Keep,
            expected_window: None,
        }
    }
}

impl ScoreOptions {
    fn check(&self) -> Result<(), ScoreError> {
        at_least_one("batch_rows", self.batch_rows)?;
        at_least_one("file_rows", self.file_rows)
    }
}

/// Scores every user of `dataset` and commits the snapshot to the folder `out`.
///
/// The files are made in a hidden folder beside `out`, which then takes its place; whatever fails,
/// `out` is as it was. The same dataset, model and options give the same bytes, for any number of
/// threads. See [`SnapshotManifest`] for the layout.
///
/// # Errors
/// When model and dataset do not fit each other; when `out` holds anything but a snapshot; when a
/// file cannot be read or written, or is not strictly ordered by user. As a defect: a prediction
/// that is negative, not finite or, with `monotone`, out of order, and rows that went missing.
pub fn score(
    dataset: &Dataset,
    model: &dyn Predictor,
    out: &Path,
    options: &ScoreOptions,
    progress: &dyn Progress,
) -> Result<SnapshotManifest, ScoreError> {
    options.check()?;
    check_fit(dataset, model, options.expected_window)?;
    let pool = pool(options.threads)?;
    let folder = output::begin(out)?;
    let parts = Parts::new(folder.path().to_path_buf(), options.file_rows);
    let mut run = Run::new(dataset, model, options);
    progress.start("score", Some(dataset.rows()));
    let files = thread::scope(|scope| {
        let (sender, receiver) = sync_channel(WAITING);
        let writer = scope.spawn(move || write(parts, &receiver));
        let scored = run.stream(&pool, progress, &sender);
        drop(sender);
        let written = writer.join();
        scored?;
        written.map_err(|_| ScoreError::internal("the writing thread panicked"))?
    })?;
    progress.finish();
    let manifest = run.manifest(files)?;
    output::commit(folder, &manifest)?;
    Ok(manifest)
}

fn write(mut parts: Parts, batches: &Receiver<RecordBatch>) -> Result<Vec<FileEntry>, ScoreError> {
    for batch in batches {
        parts.add(&batch)?;
    }
    parts.finish()
}

/// One dataset under one model, and what was counted on the way.
struct Run<'a> {
    dataset: &'a Dataset,
    model: &'a dyn Predictor,
    options: &'a ScoreOptions,
    dropped: u64,
    projected: u64,
    order_violations: u64,
    totals: Vec<Sum>,
}

impl<'a> Run<'a> {
    fn new(dataset: &'a Dataset, model: &'a dyn Predictor, options: &'a ScoreOptions) -> Self {
        Self {
            dataset,
            model,
            options,
            dropped: 0,
            projected: 0,
            order_violations: 0,
            totals: vec![Sum::default(); model.horizons().len()],
        }
    }

    /// Sends the scores of all users, in the order of the dataset, until nobody wants more.
    fn stream(
        &mut self,
        pool: &ThreadPool,
        progress: &dyn Progress,
        out: &SyncSender<RecordBatch>,
    ) -> Result<(), ScoreError> {
        let stream = StreamOptions {
            batch_rows: self.options.batch_rows,
            ..StreamOptions::scoring(Arc::new(self.model.encoding().clone()))
        };
        let mut order = UserOrder::new(self.dataset);
        for item in stream_with_raw(self.dataset, stream)?.told(progress) {
            let (encoded, raw) = item?;
            let rows = Rows::of(&raw, "").map_err(|e| order.place(e))?;
            order.follow(&rows.users)?;
            let (encoded, rows) = self.wanted(encoded, rows)?;
            if !rows.is_empty() {
                let predictions = Stretch::of(progress, "predicting", || {
                    pool.install(|| rows.predict(self.model, &encoded))
                })?;
                self.count(&rows, &predictions)?;
                let as_of = self.dataset.manifest().as_of;
                let scored = rows.scored(self.model, &predictions, as_of)?;
                // A writer that is gone has failed, and says why itself.
                let sent = Stretch::of(progress, "waiting for the writer", || out.send(scored));
                if sent.is_err() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The rows that get a score.
    fn wanted(
        &mut self,
        encoded: EncodedRows,
        rows: Rows,
    ) -> Result<(EncodedRows, Rows), ScoreError> {
        let stays = |status: Option<&str>| status != Some(PAST_HORIZON);
        let mask: Vec<bool> = rows.status.iter().map(stays).collect();
        let dropped = mask.iter().filter(|&&stays| !stays).count();
        if self.options.past_horizon == PastHorizon::Keep || dropped == 0 {
            return Ok((encoded, rows));
        }
        self.dropped += dropped as u64;
        let encoded = filter_encoded(&encoded, &mask);
        Ok((encoded, rows.filter(&BooleanArray::from(mask))?))
    }

    fn count(&mut self, rows: &Rows, predictions: &Predictions) -> Result<(), ScoreError> {
        let horizons = self.model.horizons();
        for (row, values) in predictions.values.chunks_exact(horizons.len()).enumerate() {
            for (total, &value) in self.totals.iter_mut().zip(values) {
                total.add(value);
            }
            let Some(t) = values.windows(2).position(|w| w[0] > w[1]) else {
                continue;
            };
            self.order_violations += 1;
            if self.options.monotone {
                return Err(ScoreError::Order {
                    model_id: self.model.model_id().to_owned(),
                    user: rows.users.name(row),
                    shorter: horizons.days()[t],
                    longer: horizons.days()[t + 1],
                });
            }
        }
        self.projected += predictions.projected.iter().filter(|&&p| p).count() as u64;
        Ok(())
    }

    /// Users left out, by reason.
    fn dropped(&self) -> BTreeMap<String, u64> {
        let reason = (PAST_HORIZON.to_owned(), self.dropped);
        BTreeMap::from_iter((self.dropped > 0).then_some(reason))
    }

    /// The manifest, once every row of the dataset is accounted for.
    fn manifest(self, files: Vec<FileEntry>) -> Result<SnapshotManifest, ScoreError> {
        let rows = files.iter().map(|f| f.rows).sum();
        if rows + self.dropped != self.dataset.rows() {
            return Err(ScoreError::Rows {
                path: self.dataset.folder().to_path_buf(),
                expected: self.dataset.rows(),
                found: rows + self.dropped,
            });
        }
        Ok(SnapshotManifest {
            format: SnapshotManifest::FORMAT.into(),
            version: SnapshotManifest::VERSION,
            as_of: self.dataset.manifest().as_of,
            model_id: self.model.model_id().to_owned(),
            horizons: self.model.horizons().clone(),
            decoding: self.options.decoding.clone(),
            rows,
            dropped: self.dropped(),
            projected: self.projected,
            order_violations: self.order_violations,
            monotone: self.options.monotone,
            totals: self.totals.iter().map(|total| total.value()).collect(),
            files,
        })
    }
}

/// The reason in [`SnapshotManifest::dropped`] for users older than the longest horizon.
pub const PAST_HORIZON: &str = "past_horizon";

/// The rows where `mask` is true.
fn filter_encoded(encoded: &EncodedRows, mask: &[bool]) -> EncodedRows {
    fn pick<T: Copy>(values: &[T], mask: &[bool]) -> Vec<T> {
        let width = values.len() / mask.len().max(1);
        let kept = (0..mask.len()).filter(|&row| mask[row]);
        kept.flat_map(|row| &values[row * width..(row + 1) * width])
            .copied()
            .collect()
    }
    EncodedRows {
        rows: mask.iter().filter(|&&kept| kept).count(),
        cells: pick(&encoded.cells, mask),
        numbers: pick(&encoded.numbers, mask),
        plain: pick(&encoded.plain, mask),
        labels: pick(&encoded.labels, mask),
    }
}
