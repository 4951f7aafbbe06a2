//! Training what is missing, and judging everything on the same users.

use crate::{
    LabError,
    config::{CompareConfig, Contestant},
    judged::Judged,
    run::Run,
    train::Bench,
};
use ltv_core::{
    Error,
    address::is_address,
    artefact::{self, create_folder, is_partial},
    progress::Progress,
};
use ltv_data::Dataset;
use ltv_eval::{
    Bootstrap, Metric,
    comparison::{self, Comparison, ComparisonInput, Expectation, SourceError},
};
use std::{cell::OnceCell, path::Path, time::Duration};

/// What belongs to one call rather than to the comparison.
pub struct Call<'a> {
    /// Folder of the results; runs that are there already are used again.
    pub out: &'a Path,
    /// Worker threads, at least 1. Does not change results.
    pub threads: usize,
    /// Decides the resamples of the bootstrap.
    pub seed: u64,
    /// Time since some moment, to say how long trainings take.
    pub clock: &'a dyn Fn() -> Duration,
    /// Told how far it has come.
    pub progress: &'a dyn Progress,
}

/// What came out.
#[derive(Debug)]
pub struct Outcome {
    /// Every metric of every contestant.
    pub comparison: Comparison,
    /// The runs of every contestant, one for each seed, in the order of the configuration.
    pub runs: Vec<Vec<Run>>,
    /// Where each contestant of `comparison` is found.
    pub rows: Vec<Row>,
    /// The users that all were judged on.
    pub judged: Judged,
    /// How many runs were trained now; the others were there.
    pub trained: usize,
}

/// Compares the models of `config`. A call that is killed loses at most the training since the last
/// checkpoint: the next one goes on from there and gives the same bytes.
///
/// Memory: labels, and one column of predictions for each horizon and decoding, 8 bytes for each
/// judged user; models that are trained in memory say so.
///
/// # Errors
/// When the configuration, a dataset or a stored run cannot be used, or a training fails.
pub fn compare(config: &CompareConfig, call: &Call<'_>) -> Result<Outcome, LabError> {
    let train = Dataset::open(&config.data)?;
    let test = config.test.as_ref().map(Dataset::open).transpose()?;
    let contestants = contestants(config, call, &train)?;
    check_output(call.out, "a comparison", |name| {
        name == "runs" || name == DOCUMENT || name == TABLES
    })?;
    let judged = Judged::read(&train, test.as_ref(), &config.split, call.progress)?;
    judge_all(config, call, &contestants, (&train, judged))
}

/// The contestants, after a look at everything that can be said before the first training.
pub(crate) fn contestants(
    config: &CompareConfig,
    call: &Call<'_>,
    train: &Dataset,
) -> Result<Vec<Contestant>, LabError> {
    let contestants = config.contestants(train.manifest().horizons.days())?;
    check_events(config, &contestants)?;
    check_expectations(config, &contestants)?;
    bootstrap(config, call).check()?;
    Ok(contestants)
}

/// Trains what is missing, judges all of it and writes the comparison.
pub(crate) fn judge_all(
    config: &CompareConfig,
    call: &Call<'_>,
    contestants: &[Contestant],
    (train, judged): (&Dataset, Judged),
) -> Result<Outcome, LabError> {
    let runs = call.out.join("runs");
    create_folder(&runs)?;
    sweep(call.out);
    sweep(&runs);
    let bench = Bench {
        train,
        judged: &judged,
        events: &config.events,
        split: &config.split,
        log: &OnceCell::new(),
        runs: &runs,
        threads: call.threads,
        clock: call.clock,
        progress: call.progress,
    };
    let (runs, trained) = all_runs(&bench, contestants)?;
    let rows = rows(&runs);
    let comparison = judge(config, call, &judged, (contestants, &runs, &rows))?;
    let text = comparison.to_json()? + "\n";
    artefact::write(call.out.join(DOCUMENT), text.as_bytes())?;
    artefact::write(call.out.join(TABLES), comparison.markdown().as_bytes())?;
    Ok(Outcome {
        comparison,
        runs,
        rows,
        judged,
        trained,
    })
}

/// The comparison as JSON, in the folder of the results.
pub const DOCUMENT: &str = "comparison.json";
/// Its tables as Markdown.
pub const TABLES: &str = "comparison.md";
/// Where a report page goes unless told otherwise.
pub const REPORT: &str = "report.html";

fn bootstrap(config: &CompareConfig, call: &Call<'_>) -> Bootstrap {
    Bootstrap {
        replicates: config.bootstrap,
        seed: call.seed,
    }
}

/// Every name in an expected order is a row of the tables.
fn check_expectations(config: &CompareConfig, contestants: &[Contestant]) -> Result<(), LabError> {
    let rows: Vec<String> = contestants.iter().flat_map(Contestant::rows).collect();
    let mut seen = std::collections::BTreeSet::new();
    if let Some(name) = rows.iter().find(|name| !seen.insert(*name)) {
        let problem = format!("two rows of the tables would be called '{name}'");
        return Err(Error::config("models", problem).into());
    }
    for expect in &config.expect {
        if expect.order.len() < 2 || expect.metrics.is_empty() {
            let problem = "give an order of two names or more, and at least one metric";
            return Err(Error::config(format!("expect '{}'", expect.name), problem).into());
        }
        if let Some(name) = expect.order.iter().find(|n| !rows.contains(n)) {
            let problem = format!("'{name}' is not among the contestants: {rows:?}");
            return Err(Error::config(format!("expect '{}'", expect.name), problem).into());
        }
    }
    Ok(())
}

/// Said before the first training rather than after the tenth.
fn check_events(config: &CompareConfig, contestants: &[Contestant]) -> Result<(), LabError> {
    let needs = |c: &&Contestant| c.needs_events();
    match contestants.iter().find(needs) {
        Some(contestant) if config.events.is_empty() => {
            Err(LabError::NoEvents.of(&contestant.name))
        }
        Some(_) => match config.events.iter().find(|path| is_gone(path)) {
            Some(path) => {
                let missing = std::io::ErrorKind::NotFound.into();
                Err(Error::io(path, "read", missing).into())
            }
            None => Ok(()),
        },
        None => Ok(()),
    }
}

/// Whether an event log is not there, as far as this machine can tell.
fn is_gone(path: &Path) -> bool {
    !is_address(path) && !path.exists()
}

/// Removes what a killed call has left; what cannot be removed does no harm.
pub(crate) fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if is_partial(&entry.file_name()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Only a folder of results, a new one or an empty one is written to. `ours` knows names of what is
/// written there, report pages aside.
pub(crate) fn check_output(
    out: &Path,
    what: &str,
    ours: impl Fn(&str) -> bool,
) -> Result<(), LabError> {
    let Ok(entries) = std::fs::read_dir(out) else {
        return Ok(());
    };
    for entry in entries {
        let name = entry.map_err(|e| Error::io(out, "list", e))?.file_name();
        let page = Path::new(&name).extension().is_some_and(|e| e == "html");
        if !(page || is_partial(&name) || name.to_str().is_some_and(&ours)) {
            let problem = format!("holds '{}', which is no part of {what}", name.display());
            return Err(Error::Artefact {
                path: out.to_path_buf(),
                problem,
                hint: "give a new folder, an empty one or that of an earlier call to go on with",
            }
            .into());
        }
    }
    Ok(())
}

/// The runs of all contestants, and how many had to be trained.
fn all_runs(
    bench: &Bench<'_>,
    contestants: &[Contestant],
) -> Result<(Vec<Vec<Run>>, usize), LabError> {
    let total: usize = contestants.iter().map(|c| c.seeds.len()).sum();
    let (mut done, mut trained) = (0, 0);
    let mut runs = vec![];
    for contestant in contestants {
        let mut own = vec![];
        for &seed in &contestant.seeds {
            done += 1;
            let stored = bench.stored(contestant, seed)?;
            let run = match stored {
                Some(run) => run,
                None => {
                    trained += 1;
                    let label = format!("{}, seed {seed} ({done} of {total})", contestant.name);
                    let bench = Bench {
                        progress: &Labelled {
                            label,
                            inner: bench.progress,
                        },
                        ..*bench
                    };
                    bench
                        .run(contestant, seed)
                        .map_err(|e| e.of(&contestant.name))?
                }
            };
            own.push(run);
        }
        runs.push(own);
    }
    Ok((runs, trained))
}

/// Says of every stage whose it is.
pub(crate) struct Labelled<'a> {
    pub(crate) label: String,
    pub(crate) inner: &'a dyn Progress,
}

impl Progress for Labelled<'_> {
    fn start(&self, stage: &str, total: Option<u64>) {
        self.inner.start(&format!("{}: {stage}", self.label), total);
    }
    fn advance(&self, n: u64) {
        self.inner.advance(n);
    }
    fn note(&self, text: &str) {
        self.inner.note(text);
    }
    fn spend(&self, part: &'static str, time: Duration) {
        self.inner.spend(part, time);
    }
    fn begin(&self, step: u64) {
        self.inner.begin(step);
    }
    fn measure(&self, step: u64, values: &[(&str, f64)]) {
        self.inner.measure(step, values);
    }
    fn finish(&self) {
        self.inner.finish();
    }
}

/// A row of the tables: a contestant and one of its sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its place among the contestants of the configuration.
    pub contestant: usize,
    /// Its place among the sets of the contestant's runs.
    pub set: usize,
}

/// Contestant by contestant, set by set.
fn rows(runs: &[Vec<Run>]) -> Vec<Row> {
    let of = |(contestant, runs): (usize, &Vec<Run>)| {
        let sets = runs.first().map_or(0, |run| run.record.sets.len());
        (0..sets).map(move |set| Row { contestant, set })
    };
    runs.iter().enumerate().flat_map(of).collect()
}

impl Outcome {
    /// What the first run of a row predicts, row-major `[users, horizons]`; none where it lacks a
    /// horizon.
    ///
    /// # Errors
    /// When the run cannot be read.
    pub fn predictions(&self, row: usize) -> Result<Option<Vec<f64>>, LabError> {
        let Row { contestant, set } = self.rows[row];
        let run = &self.runs[contestant][0];
        let (horizons, users) = (self.judged.horizons.days(), self.judged.len());
        if run.record.sets[set].horizons != horizons {
            return Ok(None);
        }
        let mut all = vec![0.0; users * horizons.len()];
        for (t, &days) in horizons.iter().enumerate() {
            let column = run.column(set, days)?;
            let cells = all.iter_mut().skip(t).step_by(horizons.len());
            cells.zip(column).for_each(|(cell, value)| *cell = value);
        }
        Ok(Some(all))
    }

    /// What every run of a row predicts for a horizon, in the order of the judged users.
    ///
    /// # Errors
    /// When a run cannot be read.
    pub(crate) fn columns(&self, row: usize, horizon: u32) -> Result<Vec<Vec<f64>>, LabError> {
        let Row { contestant, set } = self.rows[row];
        let runs = self.runs[contestant].iter();
        runs.map(|run| run.column(set, horizon)).collect()
    }

    /// Name of the row of a contestant and set.
    pub(crate) fn row_name(&self, contestant: usize, set: usize) -> Option<&str> {
        let row = self
            .rows
            .iter()
            .position(|r| *r == Row { contestant, set })?;
        Some(&self.comparison.contestants[row].name)
    }
}

fn judge(
    config: &CompareConfig,
    call: &Call<'_>,
    judged: &Judged,
    (contestants, runs, rows): (&[Contestant], &[Vec<Run>], &[Row]),
) -> Result<Comparison, LabError> {
    let name = |row: &Row| {
        let contestant = &contestants[row.contestant];
        let set = &runs[row.contestant][0].record.sets[row.set];
        comparison::Contestant {
            name: format!("{}{}", contestant.name, set.suffix),
            runs: contestant
                .seeds
                .iter()
                .map(|s| format!("seed {s}"))
                .collect(),
            horizons: Some(set.horizons.clone()),
            metrics: metrics(contestant, &set.decoding),
            tables: contestant.tables.clone(),
        }
    };
    let named: Vec<_> = rows.iter().map(name).collect();
    let expect: Vec<Expectation> = config.expectations();
    let input = ComparisonInput {
        horizons: &judged.horizons,
        labels: &judged.labels,
        contestants: &named,
        bootstrap: bootstrap(config, call),
        expect: &expect,
    };
    let source = |row: usize, run: usize, t: usize| {
        let Row { contestant, set } = rows[row];
        let horizon = judged.horizons.days()[t];
        runs[contestant][run]
            .column(set, horizon)
            .map_err(SourceError::new)
    };
    let found = comparison::compare_with_progress(&input, &source, call.progress);
    Ok(found?)
}

/// The metrics that a set is meant for, where not all: a median is no estimate of a mean.
fn metrics(contestant: &Contestant, decoding: &str) -> Option<Vec<Metric>> {
    match (&contestant.metrics[..], decoding) {
        ([], "median") => Some(vec![Metric::NMAE, Metric::MutualGini, Metric::PredGini]),
        ([], "matched") => Some(vec![Metric::MutualGini, Metric::PredGini, Metric::NormGini]),
        ([], _) => None,
        (some, _) => Some(some.to_vec()),
    }
}
