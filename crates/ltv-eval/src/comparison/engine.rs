//! The loop over contestants, runs and horizons.

use super::{
    crossing::CrossingCount,
    document::{Comparison, ContestantResult, EntryResult, FORMAT, HorizonComparison, VERSION},
    entry::Entry,
    error::CompareError,
    input::{ComparisonInput, Contestant, Source},
    ranking::rankings,
    standing::tables,
};
use crate::{
    bootstrap::{Bootstrap, replicates, stream},
    error::EvalError,
    evaluate::check_predictions,
    measure::measure,
    metric::Metric,
    sample::{Ranking, Sample},
    tally::Tally,
};
use ltv_core::progress::{Progress, Silent};

/// Compares every contestant with every other on every horizon that both predict.
///
/// Rows with an immature label count for order violations only. Memory is about 35 bytes a row and
/// horizon for the labels, 60 bytes a row for the column at hand and 40 more for each thread, and
/// 170 bytes for each contestant, horizon and resample.
///
/// # Errors
/// When the input does not fit together, a column cannot be read, or a prediction is negative,
/// infinite or missing; the message names contestant, run, column and row. A metric that is not
/// defined on the data is no error: it is null with a reason.
pub fn compare(
    input: &ComparisonInput<'_>,
    source: &dyn Source,
) -> Result<Comparison, CompareError> {
    compare_with_progress(input, source, &Silent)
}

/// As [`compare`], as a stage whose units are columns: of each contestant, run and horizon.
///
/// # Errors
/// As [`compare`].
pub fn compare_with_progress(
    input: &ComparisonInput<'_>,
    source: &dyn Source,
    progress: &dyn Progress,
) -> Result<Comparison, CompareError> {
    let rows = input.check()?;
    let columns = |c: &Contestant| c.runs.len() * c.positions(input.horizons).len();
    let columns: usize = input.contestants.iter().map(columns).sum();
    progress.start("measure", Some(columns as u64));
    let mut panels: Vec<Panel> = (0..input.horizons.len())
        .map(|t| Panel::new(input, t, rows))
        .collect();
    let mut contestants = Vec::with_capacity(input.contestants.len());
    for (c, contestant) in input.contestants.iter().enumerate() {
        let reader = Reader {
            input,
            source,
            c,
            rows,
        };
        let positions = contestant.positions(input.horizons);
        let mut crossings = CrossingCount::default();
        for run in 0..contestant.runs.len() {
            for &t in &positions {
                let column = reader.column(run, t)?;
                panels[t].add(c, &column, &input.bootstrap, progress);
                crossings.add(column);
                progress.advance(1);
            }
            crossings.end_run();
        }
        let days: Vec<u32> = positions
            .iter()
            .map(|&t| input.horizons.days()[t])
            .collect();
        let order = crossings.shares(&days, rows, contestant.runs.len());
        contestants.push(ContestantResult::new(contestant, days, order));
    }
    let results = panels.iter().map(|panel| panel.result(input, rows));
    let results = results.collect();
    progress.finish();
    Ok(Comparison {
        format: FORMAT.to_owned(),
        version: VERSION,
        rows: rows as u64,
        horizons: input.horizons.days().to_vec(),
        bootstrap: input.bootstrap,
        contestants,
        results,
    })
}

/// Reads the columns of one contestant.
struct Reader<'a> {
    input: &'a ComparisonInput<'a>,
    source: &'a dyn Source,
    c: usize,
    rows: usize,
}

impl Reader<'_> {
    fn column(&self, run: usize, t: usize) -> Result<Vec<f64>, CompareError> {
        let contestant = &self.input.contestants[self.c];
        let column = self.input.horizons.columns().swap_remove(t);
        let values = self.source.column(self.c, run, t);
        let values = values.map_err(|source| CompareError::Source {
            contestant: contestant.name.clone(),
            run: contestant.runs[run].clone(),
            column: column.clone(),
            source,
        })?;
        let set = set_name(contestant, run);
        if values.len() != self.rows {
            return Err(EvalError::Shape {
                what: format!("predictions '{set}', column {column}"),
                expected: self.rows,
                found: values.len(),
            }
            .into());
        }
        check_predictions(&set, &values, &[column])?;
        Ok(values)
    }
}

/// How messages name a run.
fn set_name(contestant: &Contestant, run: usize) -> String {
    match contestant.runs.len() {
        1 => contestant.name.clone(),
        _ => format!("{}, run {}", contestant.name, contestant.runs[run]),
    }
}

/// One horizon: its labels, and what is known of everybody so far.
pub(crate) struct Panel {
    horizon: u32,
    mature: Vec<u32>,
    sample: Sample,
    entries: Vec<Option<Entry>>,
}

impl Panel {
    fn new(input: &ComparisonInput<'_>, t: usize, rows: usize) -> Self {
        let label = |row: u32| input.labels[row as usize * input.horizons.len() + t];
        let mature: Vec<u32> = (0..rows as u32)
            .filter(|&row| !label(row).is_nan())
            .collect();
        let sample = Sample::new(mature.iter().map(|&row| label(row)).collect());
        Self {
            horizon: input.horizons.days()[t],
            mature,
            sample,
            entries: input.contestants.iter().map(|_| None).collect(),
        }
    }

    /// Adds a run of a contestant. The columns come one after the other and all threads share the
    /// resamples of one: threads with a column each would multiply the memory.
    fn add(&mut self, c: usize, column: &[f64], bootstrap: &Bootstrap, progress: &dyn Progress) {
        let predictions: Vec<f64> = self
            .mature
            .iter()
            .map(|&row| column[row as usize])
            .collect();
        let ranking = Ranking::new(&self.sample, &predictions);
        drop(predictions);
        let once = vec![1; self.sample.rows()];
        let mut tally = Tally::default();
        let values = measure(&tally.fill(&self.sample, &ranking, &once));
        let stream = stream(self.horizon);
        let resamples = replicates(&self.sample, &ranking, bootstrap, &stream, progress);
        self.entries[c]
            .get_or_insert_default()
            .add(values, resamples);
    }

    /// What is known of a contestant, if it predicts this horizon.
    pub(crate) fn entry(&self, c: usize) -> Option<&Entry> {
        self.entries.get(c)?.as_ref()
    }

    /// Those who predict this horizon.
    pub(crate) fn members(&self) -> impl Iterator<Item = usize> {
        (0..self.entries.len()).filter(|&c| self.entries[c].is_some())
    }

    fn result(&self, input: &ComparisonInput<'_>, rows: usize) -> HorizonComparison {
        let entries = self.members().filter_map(|c| {
            let entry = self.entry(c)?;
            Some(EntryResult {
                contestant: input.contestants[c].name.clone(),
                metrics: Metric::ALL.map(|metric| entry.result(metric)).to_vec(),
            })
        });
        HorizonComparison {
            horizon: self.horizon,
            rows: self.mature.len() as u64,
            positives: self.sample.positives() as u64,
            immature: (rows - self.mature.len()) as u64,
            entries: entries.collect(),
            tables: tables(input.contestants, self),
            rankings: rankings(input.contestants, input.expect, self),
        }
    }
}
