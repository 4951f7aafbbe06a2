//! From a dataset and a model to a snapshot: every row of the dataset exactly once, or nothing.
//!
//! ```text
//!   portions of the dataset      threads, each: read, encode, predict, write
//!   (row groups)            -->  part-00000.parquet, part-00001.parquet, ...  -->  manifest
//! ```
//!
//! Memory depends on the number of threads and on the size of a row group, not on the size of the
//! dataset. Why it is made so: docs/decisions/0023-scoring-in-parts.md.

use crate::{
    ScoreError,
    model::{check_fit, pool},
    output::Output,
    part::{Made, PAST_HORIZON, Task},
};
use ltv_core::{
    manifest::{SnapshotInput, SnapshotManifest},
    predictor::Predictor,
    progress::Progress,
};
use ltv_data::{Dataset, dataset::Portion, encoding::Encoder};
use ltv_eval::Sum;
use std::{
    collections::BTreeMap,
    panic::resume_unwind,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Parts of a snapshot that is neither small nor large.
const PARTS: u64 = 16;
/// Users in a part of a small snapshot.
const LEAST: u64 = 65_536;
/// Users in a part of a large one.
const MOST: u64 = 1_000_000;

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
    /// Parts that are made side by side, and threads of the pool that the model predicts in, at least 1.
    /// The bytes of the snapshot do not depend on it.
    pub threads: usize,
    /// How the model decodes `ltv_<N>`, for the manifest.
    pub decoding: String,
    /// Whether the model guarantees order across horizons; a breach is then an error.
    pub monotone: bool,
    /// Most users in a part, at least 1, but for row groups of the dataset that are larger: none is cut.
    /// When `None`, a sixteenth of all, from 65,536 to 1,000,000.
    pub file_rows: Option<u64>,
    /// What happens to users who are older than the longest horizon.
    pub past_horizon: PastHorizon,
    /// Days of the observation window that the model was trained on; not checked when `None`.
    pub expected_window: Option<u32>,
    /// BLAKE3 checksum of the model's content, for the manifest.
    pub model_blake3: Option<String>,
    /// Folder of this machine for parts on their way to an object store, one for each thread; the system's folder
    /// for temporary files when `None`. Not used where `out` is a folder.
    pub scratch: Option<PathBuf>,
}

impl Default for ScoreOptions {
    /// One thread.
    fn default() -> Self {
        Self {
            threads: 1,
            decoding: "expectation".to_owned(),
            monotone: true,
            file_rows: None,
            past_horizon: PastHorizon::Keep,
            expected_window: None,
            model_blake3: None,
            scratch: None,
        }
    }
}

impl ScoreOptions {
    fn check(&self) -> Result<(), ScoreError> {
        match self.file_rows {
            Some(0) => Err(ltv_core::Error::config("file_rows", "must be at least 1").into()),
            _ => Ok(()),
        }
    }

    fn file_rows(&self, users: u64) -> u64 {
        let usual = (users / PARTS).clamp(LEAST, MOST);
        self.file_rows.unwrap_or(usual)
    }

    /// All that decides the bytes of a part, in words.
    fn purpose(&self, dataset: &Dataset, fingerprint: &str, model: &dyn Predictor) -> String {
        let lines = [
            ("program", env!("CARGO_PKG_VERSION").to_owned()),
            ("dataset", fingerprint.to_owned()),
            ("model", model.model_id().to_owned()),
            (
                "model_blake3",
                self.model_blake3.clone().unwrap_or_default(),
            ),
            ("decoding", self.decoding.clone()),
            ("monotone", self.monotone.to_string()),
            ("past_horizon", format!("{:?}", self.past_horizon)),
            ("file_rows", self.file_rows(dataset.rows()).to_string()),
        ];
        let lines = lines.map(|(name, value)| format!("{name} = {value}\n"));
        lines.concat()
    }
}

/// Scores every user of `dataset` and commits the snapshot to `out`, a folder or an address `s3://bucket/prefix`.
///
/// The parts are made in a hidden folder beside `out`, which then takes its place; those of an address are
/// uploaded below it one by one, and its manifest last. Whatever fails,
/// `out` is as it was. Parts that were finished before a run failed or was killed stay there, and the
/// next run with the same dataset, model and options makes only those that are missing. The same
/// dataset, model and options give the same bytes, in one run or in several, with any number of threads; in an object
/// store, files have other names, which tell their content.
/// See [`SnapshotManifest`] for the layout.
///
/// # Errors
/// When model and dataset do not fit each other; when `out` holds anything but a snapshot, or another
/// process is making it; when a file cannot be read or written, or is not strictly ordered by user. As a
/// defect: a prediction that is negative, not finite or, with `monotone`, out of order, and rows that
/// went missing.
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
    let portions = dataset.portions(options.file_rows(dataset.rows()));
    let fingerprint = dataset.fingerprint()?;
    let purpose = options.purpose(dataset, &fingerprint, model);
    let scratch = options.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let (output, found) = Output::begin(out, (&purpose, &scratch), portions.len())?;
    progress.start("score", Some(dataset.rows()));
    let there = found.iter().flatten().count();
    if there > 0 {
        progress.note(&format!("{there} of {} files were there", found.len()));
    }
    let task = Task {
        dataset,
        model,
        encoder: Encoder::new(Arc::new(model.encoding().clone())),
        options,
        threads: options.threads.min(portions.len()),
        pool,
        progress,
        folder: output.path(),
    };
    let made = make_all(&task, &output, &portions, found)?;
    progress.finish();
    check_users(dataset, &portions, &made)?;
    let manifest = manifest(&task, fingerprint, made)?;
    output.commit(&manifest, progress)?;
    Ok(manifest)
}

/// Makes all parts that were not found, on as many threads as wanted.
fn make_all(
    task: &Task<'_>,
    output: &Output,
    portions: &[Portion],
    found: Vec<Option<Made>>,
) -> Result<Vec<Made>, ScoreError> {
    let missing: Vec<usize> = (0..found.len()).filter(|&i| found[i].is_none()).collect();
    task.progress
        .advance(found.iter().flatten().map(Made::rows).sum());
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
    let work = || {
        let mut made = vec![];
        while let Some(&part) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
            // Parts before one that failed are still made: the first failure is the one to tell.
            if part > failed.load(Ordering::Relaxed) {
                break;
            }
            let outcome = make(task, output, part, &portions[part]);
            if outcome.is_err() {
                failed.fetch_min(part, Ordering::Relaxed);
            }
            made.push((part, outcome));
        }
        made
    };
    let mut made: Vec<(usize, Result<Made, ScoreError>)> = thread::scope(|scope| {
        let threads = (0..task.threads).map(|_| scope.spawn(work));
        let threads: Vec<_> = threads.collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined
            .flat_map(|made| made.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    let known = found.into_iter().enumerate();
    made.extend(known.filter_map(|(part, made)| Some((part, Ok(made?)))));
    made.sort_by_key(|(part, _)| *part);
    made.into_iter().map(|(_, made)| made).collect()
}

fn make(
    task: &Task<'_>,
    output: &Output,
    part: usize,
    portion: &Portion,
) -> Result<Made, ScoreError> {
    let made = task.make(part, portion)?;
    task.timed(output.work(), || output.keep(part, made))
}

/// Within a file, users rise from portion to portion too. The files of a dataset hold different users by their
/// construction, a hash of the id; those of its shards as far as their footers told when it was opened.
fn check_users(dataset: &Dataset, portions: &[Portion], made: &[Made]) -> Result<(), ScoreError> {
    let all: Vec<_> = portions.iter().zip(made).collect();
    for pair in all.windows(2) {
        let ((before, one), (after, other)) = (pair[0], pair[1]);
        let (Some(ended), Some(begun)) = (before.runs.last(), after.runs.first()) else {
            continue;
        };
        let (Some((_, last)), Some((first, _))) = (&one.users, &other.users) else {
            continue;
        };
        if ended.file == begun.file && last >= first {
            return Err(ScoreError::Users {
                path: dataset.files()[begun.file].path().to_owned(),
                row: begun.first_row + 1,
                user: first.to_string(),
                previous: last.to_string(),
            });
        }
    }
    Ok(())
}

/// The manifest, once every row of the dataset is accounted for.
fn manifest(
    task: &Task<'_>,
    fingerprint: String,
    made: Vec<Made>,
) -> Result<SnapshotManifest, ScoreError> {
    let (dataset, options) = (task.dataset, task.options);
    let found = made.iter().map(Made::rows).sum();
    if found != dataset.rows() {
        return Err(ScoreError::Rows {
            path: dataset.folder().to_path_buf(),
            expected: dataset.rows(),
            found,
        });
    }
    let sum = |of: fn(&Made) -> u64| made.iter().map(of).sum();
    let dropped: u64 = sum(|made| made.dropped);
    let reason = (PAST_HORIZON.to_owned(), dropped);
    let total = |t: usize| {
        made.iter()
            .map(|made| made.totals[t])
            .collect::<Sum>()
            .value()
    };
    Ok(SnapshotManifest {
        format: SnapshotManifest::FORMAT.into(),
        version: SnapshotManifest::VERSION,
        as_of: dataset.manifest().as_of,
        model_id: task.model.model_id().to_owned(),
        model_blake3: options.model_blake3.clone(),
        input: Some(SnapshotInput {
            blake3: fingerprint,
            rows: dataset.rows(),
            events: dataset.manifest().events,
        }),
        horizons: task.model.horizons().clone(),
        decoding: options.decoding.clone(),
        rows: found - dropped,
        dropped: BTreeMap::from_iter((dropped > 0).then_some(reason)),
        projected: sum(|made| made.projected),
        order_violations: sum(|made| made.order_violations),
        monotone: options.monotone,
        totals: (0..task.model.horizons().len()).map(total).collect(),
        files: made.into_iter().filter_map(|made| made.file).collect(),
    })
}
