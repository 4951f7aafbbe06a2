//! `ltv bench metrics`: how fast predictions are judged, on random data.

use super::{Flags, options::within};
use crate::{
    commands::{
        Context,
        evaluate::{MEMORY, scratch},
    },
    exit::Failure,
    options::Overlay,
    report::{Facts, Report, count},
};
use clap::Args;
use ltv_core::{Horizons, progress::Progress, seed};
use ltv_eval::{
    Bootstrap, EvalInput, Evaluation, Metric, NamedPredictions, Spill, SpillOptions,
    spill::{Block, SpillInput},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf, time::Instant};

/// Rows made at a time.
const BLOCK: u64 = 1 << 16;

/// Flags of this measurement alone.
#[derive(Debug, Args)]
#[command(next_help_heading = "Metrics")]
pub(super) struct MetricsFlags {
    /// Sets of predictions, 1 to 16 [default: 1]
    #[arg(long, value_name = "N")]
    sets: Option<u32>,
    /// Resamples for intervals, 20 or more; 0 for none [default: 200]
    #[arg(long, value_name = "N")]
    bootstrap: Option<u32>,
    /// MiB that rows may take, as in 'ltv evaluate' [default: 512]
    #[arg(long, value_name = "MIB")]
    memory: Option<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    rows: u64,
    sets: u32,
    bootstrap: u32,
    memory: u32,
    scratch: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rows: 1_000_000,
            sets: 1,
            bootstrap: 200,
            memory: MEMORY,
            scratch: None,
        }
    }
}

impl Options {
    fn resolve(flags: &Flags) -> Result<Self, Failure> {
        let mut options = Overlay::default().file(flags.common.config.as_deref())?;
        options.set("rows", flags.bench.rows)?;
        options.set("sets", flags.metrics.sets)?;
        options.set("bootstrap", flags.metrics.bootstrap)?;
        options.set("memory", flags.metrics.memory)?;
        options.set("scratch", flags.scratch.as_ref())?;
        let options: Self = options.resolve()?;
        within("rows", options.rows, 1..=1 << 32)?;
        within("sets", options.sets, 1..=16)?;
        within("memory", options.memory, 1..=1 << 24)?;
        Ok(options)
    }

    fn names(&self) -> Vec<String> {
        (1..=self.sets).map(|set| format!("set {set}")).collect()
    }
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Measured {
    what: &'static str,
    threads: usize,
    rows_per_second: f64,
    seconds: f64,
    in_memory: bool,
    bytes_on_disk: u64,
    /// Of the first set.
    metrics: BTreeMap<&'static str, Option<f64>>,
    options: Options,
}

/// Measures and reports.
pub(super) fn run(flags: &Flags, context: &Context) -> Result<Report, Failure> {
    let options = Options::resolve(flags)?;
    let place = SpillOptions {
        folder: options.scratch.clone().unwrap_or_else(|| scratch(&[])),
        memory: u64::from(options.memory) << 20,
    };
    let judge = Judge {
        horizons: Horizons::new(vec![365])?,
        bootstrap: (options.bootstrap > 0).then_some(Bootstrap {
            replicates: options.bootstrap,
            seed: context.seed,
        }),
        options: &options,
        context,
    };
    let in_memory = options.rows <= place.rows_in_memory(1, options.sets as usize, 0);
    let (evaluation, seconds, bytes_on_disk) = match in_memory {
        true => judge.in_memory()?,
        false => judge.through_files(place)?,
    };
    let scores = &evaluation.results[0].overall.scores[0];
    let measured = Measured {
        what: "metrics",
        threads: context.threads,
        rows_per_second: options.rows as f64 / seconds,
        seconds,
        in_memory,
        bytes_on_disk,
        metrics: scores
            .metrics
            .iter()
            .map(|s| (s.metric.name(), s.value))
            .collect(),
        options,
    };
    Report::new(text(&measured), &measured)
}

fn text(m: &Measured) -> String {
    let mut facts = Facts::default();
    let rate = count(m.rows_per_second as u64);
    facts.add("rows/s", format!("{rate} ({:.1} s)", m.seconds));
    let gigabytes = m.bytes_on_disk as f64 / f64::from(1 << 30);
    let through = match m.in_memory {
        true => "memory".to_owned(),
        false => format!("scratch files, {gigabytes:.2} GiB of rows"),
    };
    facts.add("through", through);
    let gini = m.metrics.get(Metric::NormGini.name()).copied().flatten();
    let gini = gini.map_or("-".to_owned(), |g| format!("{g:.4}"));
    facts.add("NormGini", gini);
    facts.text(&format!(
        "metrics of {} rows, sets {}, resamples {}, threads {}",
        count(m.options.rows),
        m.options.sets,
        m.options.bootstrap,
        m.threads
    ))
}

/// Makes random data and judges them. Making them is not measured.
struct Judge<'a> {
    horizons: Horizons,
    bootstrap: Option<Bootstrap>,
    options: &'a Options,
    context: &'a Context,
}

impl Judge<'_> {
    fn in_memory(&self) -> Result<(Evaluation, f64, u64), Failure> {
        let (mut labels, mut sets) = (vec![], vec![vec![]; self.options.sets as usize]);
        self.blocks(|block| {
            let (first, others) = block.split_at(1);
            labels.extend_from_slice(&first[0]);
            for (set, values) in sets.iter_mut().zip(others) {
                set.extend_from_slice(values);
            }
            Ok(())
        })?;
        let named = self.options.names().into_iter().zip(sets);
        let predictions: Vec<NamedPredictions> = named
            .map(|(name, values)| NamedPredictions { name, values })
            .collect();
        let began = Instant::now();
        let evaluation = ltv_eval::evaluate(&EvalInput {
            horizons: &self.horizons,
            labels: &labels,
            predictions: &predictions,
            segments: &[],
            bootstrap: self.bootstrap,
            reference: None,
        })?;
        Ok((evaluation, began.elapsed().as_secs_f64(), 0))
    }

    fn through_files(&self, place: SpillOptions) -> Result<(Evaluation, f64, u64), Failure> {
        let progress = &self.context.progress;
        let mut spill = Spill::new(&self.horizons, self.options.names(), 0, place)?;
        let mut writing = 0.0;
        progress.start("make and write rows", Some(self.options.rows));
        self.blocks(|block| {
            let began = Instant::now();
            let predictions: Vec<&[f64]> = block[1..].iter().map(|set| &**set).collect();
            spill.add(&Block {
                labels: &block[0],
                predictions: &predictions,
                codes: &[],
            })?;
            writing += began.elapsed().as_secs_f64();
            progress.advance(block[0].len() as u64);
            Ok(())
        })?;
        progress.start("measure from files", None);
        let began = Instant::now();
        let spilled = spill.finish()?;
        let input = SpillInput {
            segments: &[],
            bootstrap: self.bootstrap,
            reference: None,
        };
        let evaluation = spilled.evaluate(&input, progress)?;
        let seconds = writing + began.elapsed().as_secs_f64();
        progress.finish();
        Ok((evaluation, seconds, spilled.bytes()))
    }

    /// Labels and sets of predictions, block by block.
    fn blocks(
        &self,
        mut each: impl FnMut(&[Vec<f64>]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let rows = self.options.rows;
        for start in (0..rows).step_by(BLOCK as usize) {
            let count = BLOCK.min(rows - start) as usize;
            let seed = seed::derive(self.context.seed, &format!("bench metrics/{start}"));
            let labels = labels(count, seed);
            let sets = (1..=u64::from(self.options.sets)).into_par_iter();
            let sets = sets.map(|set| guesses(&labels, seed.wrapping_add(set)));
            let mut block: Vec<Vec<f64>> = sets.collect();
            block.insert(0, labels);
            each(&block)?;
        }
        Ok(())
    }
}

/// Seven in ten are worth nothing, the others a long-tailed number of cents.
fn labels(rows: usize, seed: u64) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut label = || {
        let (some, size): (f64, f64) = (random.random(), random.random());
        let value = (20.0 / (1.0 - size).powf(0.7)).round() / 100.0;
        if some < 0.7 { 0.0 } else { value }
    };
    (0..rows).map(|_| label()).collect()
}

/// Predictions that know something, hardly two of them equal.
fn guesses(labels: &[f64], seed: u64) -> Vec<f64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut guess = |label: &f64| {
        let (noise, share): (f64, f64) = (random.random(), random.random());
        0.3 / (1.0 - noise).sqrt() + 0.4 * share * label
    };
    labels.iter().map(&mut guess).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_mostly_zero_and_guesses_hardly_equal() {
        let labels = labels(10_000, 3);
        let zeros = labels.iter().filter(|&&y| y == 0.0).count();
        assert!((6800..7200).contains(&zeros), "{zeros}");
        let mut guesses = guesses(&labels, 4);
        guesses.sort_by(f64::total_cmp);
        guesses.dedup();
        assert!(guesses.len() > 9990, "{}", guesses.len());
    }
}
