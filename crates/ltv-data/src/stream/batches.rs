//! From row groups to batches of a given size, in order or shuffled.

use super::{
    StreamError, reader,
    told::{Batches, Outlet},
};
use crate::{dataset::Dataset, encoding::Encoder, split::Rows};
use arrow::{compute::concat_batches, record_batch::RecordBatch};
use ltv_core::{
    Error, Horizons,
    config::{ClassFactors, Split},
    encoding::{EncodedRows, Encoding},
    manifest::FeatureKind,
    seed,
};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use std::{ops::ControlFlow, sync::Arc};

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
    /// Whether raw batches of [`stream_with_raw`] hold the manifest's `keep` columns.
    pub keep: bool,
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
            keep: false,
        }
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

/// Encoded batches with their raw columns; see [`stream_with_raw`].
pub type RawStream = Batches<(EncodedRows, RecordBatch)>;

/// Encoded batches of a dataset. Reading starts at once, on its own thread, four batches ahead;
/// dropping the stream stops it.
///
/// # Errors
/// At once when options are out of range. As an item, after which the stream ends, when a file
/// cannot be read, lacks a column, or holds an impossible label.
pub fn stream(dataset: &Dataset, options: StreamOptions) -> Result<EncodedStream, StreamError> {
    let plan = plan(dataset, &options, vec![])?;
    let dataset = dataset.clone();
    let rows = dataset.rows();
    Ok(Batches::spawn(rows, move |out| {
        let mut rng = options.shuffle.map(|s| s.rng());
        let mut order = reader::row_groups(&dataset);
        if let Some(rng) = &mut rng {
            order.shuffle(rng);
        }
        let block_rows = options
            .shuffle
            .map_or(options.batch_rows, |s| s.buffer_rows);
        let mut batcher = Batcher::new(&options, block_rows, rng, out);
        reader::read(&dataset, &plan, &order, &mut |chunk| {
            let flow = batcher.add(&chunk, &plan.horizons);
            out.done(&chunk);
            flow
        })?;
        batcher.finish();
        Ok(())
    }))
}

/// Encoded batches in the order of the files, each with a record batch of the same rows that
/// holds `user_id`, `reg_day`, `status`, the categorical features and, with `keep`, the kept
/// columns.
///
/// # Errors
/// As [`stream`]; also at once when a shuffle is asked for.
pub fn stream_with_raw(
    dataset: &Dataset,
    options: StreamOptions,
) -> Result<RawStream, StreamError> {
    stream_with_columns(dataset, options, &[])
}

/// As [`stream_with_raw`]; the record batches also hold the dataset columns named in `extra`,
/// after the others and each once.
///
/// # Errors
/// As [`stream_with_raw`]; as the first item when the dataset lacks a column of `extra`.
pub fn stream_with_columns(
    dataset: &Dataset,
    options: StreamOptions,
    extra: &[String],
) -> Result<RawStream, StreamError> {
    if options.draws.is_some() {
        let problem = "raw columns are streamed once for each row: leave draws out";
        return Err(Error::config("stream.draws", problem).into());
    }
    if options.shuffle.is_some() {
        let problem = "raw columns are streamed in the order of the files: leave shuffle out";
        return Err(Error::config("stream.shuffle", problem).into());
    }
    let raw = raw_columns(dataset, options.keep, extra);
    let plan = plan(dataset, &options, raw.clone())?;
    let dataset = dataset.clone();
    let rows = dataset.rows();
    Ok(Batches::spawn(rows, move |out| {
        let encoder = Encoder::new(options.encoding.clone());
        let mut pending = Pending {
            batches: vec![],
            rows: 0,
            columns: raw,
        };
        let order = reader::row_groups(&dataset);
        reader::read(&dataset, &plan, &order, &mut |chunk| {
            let selected = reader::select(&chunk, options.rows, &options.split, &plan.horizons)?;
            let flow = pending.push(selected, &options, &encoder, out);
            out.done(&chunk);
            flow
        })?;
        pending.flush(&options, &encoder, out).map(|_| ())
    }))
}

fn plan(
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

fn raw_columns(dataset: &Dataset, keep: bool, extra: &[String]) -> Vec<String> {
    let manifest = dataset.manifest();
    let mut columns: Vec<String> = ["user_id", "reg_day", "status"].map(String::from).into();
    let categorical = manifest
        .features
        .iter()
        .filter(|f| f.kind == FeatureKind::Categorical);
    columns.extend(categorical.flat_map(|f| f.columns.iter().cloned()));
    if keep {
        columns.extend(manifest.keep.iter().cloned());
    }
    columns.extend(extra.iter().cloned());
    // A kept column may be a feature as well.
    let mut seen = std::collections::HashSet::new();
    columns.retain(|c| seen.insert(c.clone()));
    columns
}

/// Collects encoded rows into blocks, permutes them, cuts batches.
struct Batcher<'a> {
    options: &'a StreamOptions,
    encoder: Encoder,
    rng: Option<ChaCha8Rng>,
    block_rows: usize,
    block: EncodedRows,
    batch: EncodedRows,
    out: &'a Outlet<'a, EncodedRows>,
}

impl<'a> Batcher<'a> {
    fn new(
        options: &'a StreamOptions,
        block_rows: usize,
        rng: Option<ChaCha8Rng>,
        out: &'a Outlet<'a, EncodedRows>,
    ) -> Self {
        let encoder = Encoder::new(options.encoding.clone());
        let (block, batch) = (EncodedRows::default(), EncodedRows::default());
        Self {
            options,
            encoder,
            rng,
            block_rows,
            block,
            batch,
            out,
        }
    }

    fn add(
        &mut self,
        chunk: &reader::Chunk,
        horizons: &Horizons,
    ) -> Result<ControlFlow<()>, StreamError> {
        let options = self.options;
        let selected = reader::select(chunk, options.rows, &options.split, horizons)?;
        let place = &*chunk.place;
        let encoded = self
            .encoder
            .encode_at(&selected, options.horizons.as_ref(), place)?;
        if let Some(draws) = options.draws {
            return Ok(self.draw(&encoded, &draws));
        }
        let mut start = 0;
        while start < encoded.rows {
            let end = encoded.rows.min(start + self.block_rows - self.block.rows);
            append(&mut self.block, &encoded, start..end);
            start = end;
            if self.block.rows == self.block_rows && self.cut_block().is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Adds every row as often as its class says.
    fn draw(&mut self, encoded: &EncodedRows, draws: &ClassFactors) -> ControlFlow<()> {
        let horizons = encoded.labels.len().checked_div(encoded.rows).unwrap_or(0);
        for row in 0..encoded.rows {
            let labels = &encoded.labels[row * horizons..(row + 1) * horizons];
            // No chance without a generator: only the whole part is drawn.
            let chance = self.rng.as_mut().map_or(1.0, |rng| rng.random());
            for _ in 0..draws.of(labels).draws(chance) {
                append(&mut self.block, encoded, row..row + 1);
                if self.block.rows == self.block_rows {
                    self.cut_block()?;
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Empties the block into batches.
    fn cut_block(&mut self) -> ControlFlow<()> {
        let block = std::mem::take(&mut self.block);
        if let Some(rng) = &mut self.rng {
            let mut order: Vec<u32> = (0..block.rows as u32).collect();
            order.shuffle(rng);
            for row in order {
                let row = row as usize;
                append(&mut self.batch, &block, row..row + 1);
                self.send_if_full()?;
            }
        } else {
            // Without a shuffle a block is as long as a batch.
            append(&mut self.batch, &block, 0..block.rows);
            self.send_if_full()?;
        }
        // Its memory serves the next block.
        self.block = emptied(block);
        ControlFlow::Continue(())
    }

    fn send_if_full(&mut self) -> ControlFlow<()> {
        if self.batch.rows < self.options.batch_rows {
            return ControlFlow::Continue(());
        }
        let fresh = EncodedRows {
            rows: 0,
            cells: Vec::with_capacity(self.batch.cells.len()),
            numbers: Vec::with_capacity(self.batch.numbers.len()),
            plain: Vec::with_capacity(self.batch.plain.len()),
            labels: Vec::with_capacity(self.batch.labels.len()),
        };
        self.out.offer(std::mem::replace(&mut self.batch, fresh))
    }

    fn finish(mut self) {
        if self.cut_block().is_continue() && self.batch.rows > 0 {
            // The last batch: whether it is still wanted makes no difference.
            let _ = self.out.offer(std::mem::take(&mut self.batch));
        }
    }
}

fn emptied(mut rows: EncodedRows) -> EncodedRows {
    rows.rows = 0;
    rows.cells.clear();
    rows.numbers.clear();
    rows.plain.clear();
    rows.labels.clear();
    rows
}

/// Copies a range of rows of `from` to the end of `to`.
fn append(to: &mut EncodedRows, from: &EncodedRows, rows: std::ops::Range<usize>) {
    let span = |len: usize| {
        let width = len.checked_div(from.rows).unwrap_or(0);
        rows.start * width..rows.end * width
    };
    to.cells
        .extend_from_slice(&from.cells[span(from.cells.len())]);
    to.numbers
        .extend_from_slice(&from.numbers[span(from.numbers.len())]);
    to.plain
        .extend_from_slice(&from.plain[span(from.plain.len())]);
    to.labels
        .extend_from_slice(&from.labels[span(from.labels.len())]);
    to.rows += rows.len();
}

/// Raw rows that wait until they fill a batch.
struct Pending {
    batches: Vec<RecordBatch>,
    rows: usize,
    columns: Vec<String>,
}

impl Pending {
    fn push(
        &mut self,
        mut batch: RecordBatch,
        options: &StreamOptions,
        encoder: &Encoder,
        out: &Outlet<'_, (EncodedRows, RecordBatch)>,
    ) -> Result<ControlFlow<()>, StreamError> {
        while batch.num_rows() > 0 {
            let fits = batch.num_rows().min(options.batch_rows - self.rows);
            self.batches.push(batch.slice(0, fits));
            self.rows += fits;
            batch = batch.slice(fits, batch.num_rows() - fits);
            if self.rows == options.batch_rows && self.flush(options, encoder, out)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn flush(
        &mut self,
        options: &StreamOptions,
        encoder: &Encoder,
        out: &Outlet<'_, (EncodedRows, RecordBatch)>,
    ) -> Result<ControlFlow<()>, StreamError> {
        let Some(first) = self.batches.first() else {
            return Ok(ControlFlow::Continue(()));
        };
        let place = "a batch of several chunks";
        let internal = |e| StreamError::internal(place, e);
        let whole = concat_batches(&first.schema(), &self.batches).map_err(internal)?;
        self.batches.clear();
        self.rows = 0;
        let encoded = encoder.encode_at(&whole, options.horizons.as_ref(), place)?;
        let index = |c: &String| whole.schema().index_of(c).map_err(internal);
        let indices = self
            .columns
            .iter()
            .map(index)
            .collect::<Result<Vec<_>, _>>()?;
        let raw = whole.project(&indices).map_err(internal)?;
        Ok(out.offer((encoded, raw)))
    }
}
