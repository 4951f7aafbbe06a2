//! One part of a snapshot: the scores of a portion of the dataset, in a file of their own.

use crate::{
    PastHorizon, ScoreError, ScoreOptions,
    batch::Rows,
    output,
    users::{UserId, Users},
};
use arrow::{array::BooleanArray, record_batch::RecordBatch};
use ltv_core::{
    encoding::EncodedRows,
    manifest::FileEntry,
    predictor::{Predictions, Predictor},
    progress::Progress,
};
use ltv_data::{
    Dataset,
    dataset::Portion,
    encoding::Encoder,
    part::PartFile,
    stream::{Piece, read_portion},
};
use ltv_eval::Sum;
use rayon::ThreadPool;
use serde::{Deserialize, Serialize};
use std::{path::Path, time::Instant};

/// The reason in [`ltv_core::manifest::SnapshotManifest::dropped`] for users older than the longest
/// horizon.
pub const PAST_HORIZON: &str = "past_horizon";

/// What is to be known of a part once it is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Made {
    /// Its file; none where nobody got a row.
    pub(crate) file: Option<FileEntry>,
    /// Users who got no row.
    pub(crate) dropped: u64,
    /// Users whose predictions the projection had to touch.
    pub(crate) projected: u64,
    /// Users with a shorter horizon above a longer one.
    pub(crate) order_violations: u64,
    /// Sum of the predictions for each horizon.
    pub(crate) totals: Vec<f64>,
    /// The first and the last user of the portion.
    pub(crate) users: Option<(UserId, UserId)>,
}

impl Made {
    /// Users of the portion.
    pub(crate) fn rows(&self) -> u64 {
        self.dropped + self.file.as_ref().map_or(0, |file| file.rows)
    }
}

/// What all parts share.
pub(crate) struct Task<'a> {
    pub(crate) dataset: &'a Dataset,
    pub(crate) model: &'a dyn Predictor,
    pub(crate) encoder: Encoder,
    pub(crate) options: &'a ScoreOptions,
    pub(crate) pool: ThreadPool,
    /// Parts that are made side by side.
    pub(crate) threads: usize,
    pub(crate) progress: &'a dyn Progress,
    /// Where files are made.
    pub(crate) folder: &'a Path,
}

impl Task<'_> {
    /// Scores a portion into the file of its number.
    pub(crate) fn make(&self, number: usize, portion: &Portion) -> Result<Made, ScoreError> {
        let mut part = Part::new(self, number);
        let read = |piece| part.add(piece);
        read_portion(self.dataset, &self.encoder, portion, read)?;
        part.finish()
    }

    /// Tells the share of one thread of `work`'s time: as many work side by side.
    pub(crate) fn timed<T>(&self, what: &'static str, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let made = work();
        let threads = u32::try_from(self.threads).unwrap_or(u32::MAX).max(1);
        self.progress.spend(what, began.elapsed() / threads);
        made
    }
}

/// A part at work.
struct Part<'a> {
    task: &'a Task<'a>,
    name: String,
    /// The dataset's file that is read, by its position.
    source: usize,
    file: Option<PartFile>,
    tally: Tally<'a>,
}

impl<'a> Part<'a> {
    fn new(task: &'a Task<'a>, number: usize) -> Self {
        Self {
            task,
            name: PartFile::name(number),
            source: usize::MAX,
            file: None,
            tally: Tally::new(task.model, task.options.monotone),
        }
    }

    fn add(&mut self, piece: Piece) -> Result<(), ScoreError> {
        let task = self.task;
        let piece_rows = piece.users.num_rows() as u64;
        let path = task.dataset.files()[piece.file].path();
        let rows = Rows::of(&piece.users, &path.display().to_string())
            .map_err(|e| e.offset_by(piece.first_row))?;
        if piece.file != self.source {
            self.source = piece.file;
            self.tally.forget_last();
        }
        self.tally.follow(&rows.users, path, piece.first_row)?;
        let (encoded, rows) = self.wanted(piece.rows, rows)?;
        if !rows.is_empty() {
            let predict = || task.pool.install(|| rows.predict(task.model, &encoded));
            let predictions = task.timed("predicting", predict)?;
            self.tally.count(&rows, &predictions)?;
            let as_of = task.dataset.manifest().as_of;
            let scored = rows.scored(task.model, &predictions, as_of)?;
            task.timed("writing", || {
                write(&mut self.file, task.folder, &self.name, &scored)
            })?;
        }
        task.progress.advance(piece_rows);
        Ok(())
    }

    /// The rows that get a score.
    fn wanted(
        &mut self,
        encoded: EncodedRows,
        rows: Rows,
    ) -> Result<(EncodedRows, Rows), ScoreError> {
        self.tally
            .wanted(self.task.options.past_horizon, encoded, rows)
    }

    fn finish(self) -> Result<Made, ScoreError> {
        let file = match self.file {
            Some(file) => Some(self.task.timed("writing", || file.finish())?),
            None => None,
        };
        Ok(self.tally.finish(file))
    }
}

/// What is counted of a part, and checked, while its rows come.
pub(crate) struct Tally<'a> {
    model: &'a dyn Predictor,
    /// Whether the model guarantees order across horizons.
    monotone: bool,
    totals: Vec<Sum>,
    made: Made,
    /// The last user, of the same file.
    last: Option<Users>,
}

impl<'a> Tally<'a> {
    pub(crate) fn new(model: &'a dyn Predictor, monotone: bool) -> Self {
        Self {
            model,
            monotone,
            totals: vec![Sum::default(); model.horizons().len()],
            made: Made {
                file: None,
                dropped: 0,
                projected: 0,
                order_violations: 0,
                totals: vec![],
                users: None,
            },
            last: None,
        }
    }

    /// The next rows are of another file.
    fn forget_last(&mut self) {
        self.last = None;
    }

    /// Checks that users rise within a file.
    pub(crate) fn follow(
        &mut self,
        users: &Users,
        path: &Path,
        first_row: u64,
    ) -> Result<(), ScoreError> {
        if let Some((row, previous)) = users.disorder(self.last.as_ref()) {
            return Err(ScoreError::Users {
                path: path.to_owned(),
                row: first_row + row as u64 + 1,
                user: users.name(row),
                previous,
            });
        }
        let Some(last) = users.len().checked_sub(1) else {
            return Ok(());
        };
        let first = match self.made.users.take() {
            Some((first, _)) => first,
            None => users.id(0),
        };
        self.made.users = Some((first, users.id(last)));
        self.last = Some(users.only(last));
        Ok(())
    }

    /// The rows that get a score; the others are counted.
    pub(crate) fn wanted(
        &mut self,
        past_horizon: PastHorizon,
        encoded: EncodedRows,
        rows: Rows,
    ) -> Result<(EncodedRows, Rows), ScoreError> {
        let stays = |status: Option<&str>| status != Some(PAST_HORIZON);
        let mask: Vec<bool> = rows.status.iter().map(stays).collect();
        let dropped = mask.iter().filter(|&&stays| !stays).count();
        if past_horizon == PastHorizon::Keep || dropped == 0 {
            return Ok((encoded, rows));
        }
        self.made.dropped += dropped as u64;
        let encoded = filter_encoded(&encoded, &mask);
        Ok((encoded, rows.filter(&BooleanArray::from(mask))?))
    }

    /// Adds up predictions, and checks their order.
    pub(crate) fn count(
        &mut self,
        rows: &Rows,
        predictions: &Predictions,
    ) -> Result<(), ScoreError> {
        let model = self.model;
        let horizons = model.horizons();
        for (row, values) in predictions.values.chunks_exact(horizons.len()).enumerate() {
            for (total, &value) in self.totals.iter_mut().zip(values) {
                total.add(value);
            }
            let Some(t) = values.windows(2).position(|w| w[0] > w[1]) else {
                continue;
            };
            self.made.order_violations += 1;
            if self.monotone {
                return Err(ScoreError::Order {
                    model_id: model.model_id().to_owned(),
                    user: rows.users.name(row),
                    shorter: horizons.days()[t],
                    longer: horizons.days()[t + 1],
                });
            }
        }
        self.made.projected += predictions.projected.iter().filter(|&&p| p).count() as u64;
        Ok(())
    }

    /// What is known of the part, whose file this is.
    pub(crate) fn finish(self, file: Option<FileEntry>) -> Made {
        let totals = self.totals.iter().map(|total| total.value()).collect();
        Made {
            file,
            totals,
            ..self.made
        }
    }
}

/// Adds rows to the file, which begins with the first of them.
pub(crate) fn write(
    file: &mut Option<PartFile>,
    folder: &Path,
    name: &str,
    batch: &RecordBatch,
) -> Result<(), ScoreError> {
    let mut open = match file.take() {
        Some(open) => open,
        None => {
            let properties = output::properties(&batch.schema());
            PartFile::create(folder, name.to_owned(), batch.schema(), properties)?
        }
    };
    open.add(batch)?;
    *file = Some(open);
    Ok(())
}

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
