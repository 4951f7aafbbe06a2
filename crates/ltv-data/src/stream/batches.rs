//! From row groups to batches of a given size, in order or shuffled.

use super::{
    EncodedCache, StreamError, batcher::Batcher, groups::Groups, reader, reader::CHUNK_ROWS,
    told::Batches, worker,
};
use crate::{
    dataset::Dataset,
    encoding::Lookups,
    split::{News, Rows},
};
use ltv_core::{
    Error, Horizons,
    config::{ClassFactors, Split},
    encoding::{EncodedRows, Encoding},
    seed,
};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// What a stream yields.
#[derive(Debug, Clone)]
pub struct StreamOptions {
    /// How features become cells.
    pub encoding: Arc<Encoding>,
    /// Which rows.
    pub rows: Rows,
    /// The split that `rows` refers to; not looked at for [`Rows::All`].
    pub split: Split,
    /// Horizons whose labels are wanted, among the dataset's; `None` when scoring. A part of the
    /// split is judged by these, or by the dataset's when `None`.
    pub horizons: Option<Horizons>,
    /// Rows of a batch, at least 1; only the last batch has fewer.
    pub batch_rows: usize,
    /// Order of the rows; that of the files when `None`.
    pub shuffle: Option<Shuffle>,
    /// How often each row is drawn in an epoch, by its class; once when `None`. Chances come from the
    /// seed of the shuffle, so that without one only whole copies are made.
    pub draws: Option<ClassFactors>,
    /// Which rows of a part of the split; all of them when `None`.
    pub news: Option<Arc<News>>,
    /// Whether raw batches of [`super::stream_with_raw`] hold the manifest's `keep` columns.
    pub keep: bool,
    /// Threads that read and encode row groups side by side, at least 1. Changes neither rows nor
    /// their order; [`stream`] alone looks at it.
    pub threads: usize,
    /// Where encoded rows are kept for the next pass over them; [`stream`] alone looks at it.
    pub cache: Option<EncodedCache>,
}

impl StreamOptions {
    /// All rows in order, without labels, in batches of 8192: what scoring wants.
    pub fn scoring(encoding: Arc<Encoding>) -> Self {
        Self {
            encoding,
            rows: Rows::All,
            split: Split::default(),
            horizons: None,
            batch_rows: 8192,
            shuffle: None,
            draws: None,
            news: None,
            keep: false,
            threads: 1,
            cache: None,
        }
    }

    /// How many threads read and encode fast enough for so many threads that train. One keeps up with
    /// more than eight of them where text is numbered in the files, and with about eight where it is
    /// not.
    pub fn threads_for(training: usize) -> usize {
        training.div_ceil(8).clamp(1, 8)
    }

    /// Chunks that each thread makes ahead of their use. Where rows are shuffled, all threads together
    /// make about one block ahead: they fill it while the block before is trained on.
    fn chunks_ahead(&self) -> usize {
        let shuffled = self.shuffle.map(|s| s.buffer_rows.div_ceil(CHUNK_ROWS));
        let all = shuffled.unwrap_or(worker::PREFETCH);
        all.div_ceil(self.threads.max(1))
    }
}

/// Order of an epoch: row groups in a random order, then all rows of a block in a random order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shuffle {
    /// The run's seed.
    pub seed: u64,
    /// Every epoch has its own order.
    pub epoch: u64,
    /// Rows of a block, at least 1. They are held in memory, encoded.
    pub buffer_rows: usize,
}

impl Shuffle {
    /// Default of `buffer_rows`.
    pub const BUFFER_ROWS: usize = 262_144;

    /// The order of one epoch, with blocks of [`Shuffle::BUFFER_ROWS`].
    pub fn new(seed: u64, epoch: u64) -> Self {
        Self {
            seed,
            epoch,
            buffer_rows: Self::BUFFER_ROWS,
        }
    }

    fn rng(&self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(seed::derive(self.seed, &format!("shuffle/{}", self.epoch)))
    }
}

/// Encoded batches; see [`stream`].
pub type EncodedStream = Batches<EncodedRows>;

/// Encoded batches of a dataset. Reading starts at once, on threads of its own; dropping the stream
/// stops them.
///
/// # Errors
/// At once when options are out of range. As an item, after which the stream ends, when a file
/// cannot be read, lacks a column, or holds an impossible label.
pub fn stream(dataset: &Dataset, options: StreamOptions) -> Result<EncodedStream, StreamError> {
    let plan = plan(dataset, &options, vec![])?.numbered();
    let mut rng = options.shuffle.map(|s| s.rng());
    let mut order = reader::row_groups(dataset);
    if let Some(rng) = &mut rng {
        order.shuffle(rng);
    }
    let groups = Arc::new(Groups::new(dataset, plan, &options)?);
    Ok(Batches::spawn(dataset.rows(), move |out| {
        let mut lookups = Lookups::default();
        let (threads, ahead) = (options.threads, options.chunks_ahead());
        let chunks = worker::in_turn(&order, threads, ahead, move |group, sink| {
            groups.read(group, &mut lookups, &mut |rows| sink((rows, 0)))?;
            // Nobody listens any more, or the group is read.
            let _ = sink((EncodedRows::default(), groups.rows(group)));
            Ok(())
        });
        let mut batcher = Batcher::new(&options, rng, out);
        for chunk in chunks {
            let (rows, read) = chunk?;
            if batcher.add(&rows).is_break() {
                return Ok(());
            }
            out.done(read);
        }
        batcher.finish();
        Ok(())
    }))
}

/// What is read for `options`, and for the columns `raw` beside.
pub(super) fn plan(
    dataset: &Dataset,
    options: &StreamOptions,
    raw: Vec<String>,
) -> Result<reader::Plan, StreamError> {
    if options.batch_rows == 0 {
        return Err(Error::config("stream.batch_rows", "must be at least 1").into());
    }
    if options.shuffle.is_some_and(|s| s.buffer_rows == 0) {
        return Err(Error::config("stream.buffer_rows", "must be at least 1").into());
    }
    let split = (options.rows != Rows::All).then_some(&options.split);
    reader::Plan::new(
        dataset,
        options.encoding.columns().chain(raw),
        options.horizons.as_ref(),
        split,
    )
}
