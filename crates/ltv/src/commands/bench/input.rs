//! Training from Parquet beside training on rows in memory.

use super::{super::Context, Options, network::Training, options::median, scratch_folder};
use crate::{
    exit::Failure,
    report::{Facts, Report, count},
    signals::stop_if_asked,
};
use ltv_core::{
    Horizons,
    config::{Part, Split},
    encoding::Encoding,
};
use ltv_data::{
    Dataset,
    random::RandomDataset,
    split::Rows,
    stream::{EncodedCache, Shuffle, StreamOptions, stream},
};
use ltv_model::yardstick::Sizes;
use serde::Serialize;
use std::{path::Path, sync::Arc, time::Instant};

/// What was measured. Rates are rows per second.
#[derive(Debug, Serialize)]
struct Measured {
    threads: usize,
    rows: u64,
    bytes: u64,
    /// Median over the epochs.
    in_memory: f64,
    /// Of each epoch, in order.
    from_parquet: Vec<f64>,
    /// Of each epoch: the rate from Parquet over that in memory just before.
    ratios: Vec<f64>,
    median_ratio: f64,
    /// An epoch that nobody trains on, read from Parquet.
    input_alone: Alone,
    /// The same, read from the cache.
    cache_alone: Option<Alone>,
    cache_bytes: Option<u64>,
    options: Options,
}

/// Reading and encoding, without training.
#[derive(Debug, Serialize)]
struct Alone {
    rows_per_second: f64,
    /// Processor time, where the system tells.
    cpu_seconds_per_row: Option<f64>,
}

/// The yardstick's rows on disk.
struct OnDisk {
    dataset: Dataset,
    encoding: Arc<Encoding>,
    horizons: Horizons,
    batch: usize,
    seed: u64,
    threads: usize,
}

/// Measures and reports.
pub(super) fn run(
    options: Options,
    scratch: Option<&Path>,
    context: &Context,
) -> Result<Report, Failure> {
    let folder = scratch_folder(scratch)?;
    let say = |line: &str| context.progress.say(line);
    let (disk, sizes) = OnDisk::write(&options, folder.path(), context)?;
    say("reading without training");
    let alone = disk.drain(None)?;
    let cache = match options.cache {
        true => Some(EncodedCache::in_folder(folder.path())?),
        false => None,
    };
    let mut training = Training::new(&options, &sizes, context)?;
    let mut rates: Vec<[f64; 2]> = vec![];
    for epoch in 0..options.epochs {
        say(&format!("epoch {} of {}", epoch + 1, options.epochs));
        let memory = in_memory(&mut training, &options);
        let from_disk = disk.epoch(epoch, cache.as_ref(), |rows| training.step(rows))?;
        rates.push([memory, from_disk]);
    }
    let cached = cache.as_ref().map(|cache| disk.drain(Some(cache)));
    let ratios: Vec<f64> = rates.iter().map(|[memory, disk]| disk / memory).collect();
    let measured = Measured {
        threads: context.threads,
        rows: disk.dataset.rows(),
        bytes: disk.dataset.manifest().files.iter().map(|f| f.bytes).sum(),
        in_memory: median(rates.iter().map(|r| r[0]).collect()),
        from_parquet: rates.iter().map(|r| r[1]).collect(),
        median_ratio: median(ratios.clone()),
        ratios,
        input_alone: alone,
        cache_alone: cached.transpose()?,
        cache_bytes: cache.as_ref().map(EncodedCache::bytes),
        options,
    };
    Report::new(text(&measured), &measured)
}

impl OnDisk {
    fn write(
        options: &Options,
        folder: &Path,
        context: &Context,
    ) -> Result<(Self, Sizes), Failure> {
        let sizes = options.sizes();
        let horizons = (1..=options.horizons).map(|t| 30 * t).collect();
        let horizons = Horizons::new(horizons)?;
        let text = (options.fields - options.numeric) as usize;
        let words = std::iter::repeat_n(options.cells - 2, text);
        let many = std::iter::repeat_n(options.large_cells - 2, options.large_fields as usize);
        let last = |t: &ltv_model::buckets::Buckets| t.flat().last().map(|b| b.left + b.width);
        let limits = sizes.spec().horizons.iter().filter_map(last).collect();
        let random = RandomDataset {
            rows: options.rows.into(),
            categories: words.chain(many).collect(),
            numbers: options.numeric as usize,
            horizons: horizons.clone(),
            limits,
            seed: context.seed,
        };
        random.write(folder, &context.progress)?;
        let encoding = random.encoding(options.cells - 2);
        let fields = encoding.field_cells();
        let disk = Self {
            dataset: Dataset::open(folder)?,
            encoding: Arc::new(encoding),
            horizons,
            batch: options.batch as usize,
            seed: context.seed,
            threads: StreamOptions::threads_for(context.threads),
        };
        Ok((disk, Sizes { fields, ..sizes }))
    }

    /// Rows per second of one pass over the training rows, of which `each` batch is given.
    fn epoch(
        &self,
        epoch: u32,
        cache: Option<&EncodedCache>,
        mut each: impl FnMut(&ltv_core::encoding::EncodedRows),
    ) -> Result<f64, Failure> {
        let options = StreamOptions {
            rows: Rows::Part(Part::Train),
            split: Split::default(),
            horizons: Some(self.horizons.clone()),
            batch_rows: self.batch,
            shuffle: Some(Shuffle::new(self.seed, epoch.into())),
            threads: self.threads,
            cache: cache.cloned(),
            ..StreamOptions::scoring(self.encoding.clone())
        };
        let (began, mut rows) = (Instant::now(), 0);
        for batch in stream(&self.dataset, options)? {
            stop_if_asked();
            let batch = batch?;
            rows += batch.rows;
            each(&batch);
        }
        Ok(rows as f64 / began.elapsed().as_secs_f64())
    }

    /// One pass without training.
    fn drain(&self, cache: Option<&EncodedCache>) -> Result<Alone, Failure> {
        let (before, mut rows) = (cpu_seconds(), 0);
        let rows_per_second = self.epoch(0, cache, |batch| rows += batch.rows)?;
        let spent = cpu_seconds()
            .zip(before)
            .map(|(after, before)| after - before);
        Ok(Alone {
            rows_per_second,
            cpu_seconds_per_row: spent.map(|spent| spent / (rows.max(1) as f64)),
        })
    }
}

/// Rows per second over as many rows as an epoch has.
fn in_memory(training: &mut Training, options: &Options) -> f64 {
    let (began, steps) = (Instant::now(), options.batches());
    for i in 0..steps as usize {
        stop_if_asked();
        training.step_in_memory(i);
    }
    (steps * u64::from(options.batch)) as f64 / began.elapsed().as_secs_f64()
}

/// Processor time of this program so far, user and system together; `None` where there is no
/// `/proc`. Linux counts it there in hundredths of a second.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program, in brackets, may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / 100.0)
}

fn text(m: &Measured) -> String {
    let mut facts = Facts::default();
    let each = |values: &[f64], show: &dyn Fn(f64) -> String| {
        values
            .iter()
            .map(|&x| show(x))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let rate = |x: f64| count(x as u64);
    facts.add("in memory", format!("{} rows/s", rate(m.in_memory)));
    let epochs = each(&m.from_parquet, &rate);
    facts.add("from Parquet", format!("{epochs} rows/s, epoch by epoch"));
    let ratios = each(&m.ratios, &|x| format!("{x:.2}"));
    facts.add("ratio", format!("{:.2} ({ratios})", m.median_ratio));
    let alone = |alone: &Alone| {
        let cpu = alone.cpu_seconds_per_row;
        let cpu = cpu.map(|s| format!(", {:.2} us of CPU a row", 1e6 * s));
        let rate = rate(alone.rows_per_second);
        format!("{rate} rows/s{}", cpu.unwrap_or_default())
    };
    facts.add("input alone", alone(&m.input_alone));
    if let Some(cached) = &m.cache_alone {
        facts.add("cache alone", alone(cached));
    }
    let (rows, bytes) = (count(m.rows), count(m.bytes));
    facts.add("files", format!("{rows} rows in {bytes} bytes"));
    if let Some(cached) = m.cache_bytes {
        // Training rows alone.
        facts.add("cache", format!("{} bytes", count(cached)));
    }
    facts.text(&format!(
        "training from Parquet, batch {}, threads {}",
        m.options.batch, m.threads
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_known_and_grows() {
        let Some(before) = cpu_seconds() else {
            return;
        };
        let began = Instant::now();
        let mut x = 1_u64;
        while began.elapsed().as_millis() < 60 {
            x = std::hint::black_box(x.wrapping_mul(3));
        }
        assert!(cpu_seconds().is_some_and(|after| after >= before));
    }
}
