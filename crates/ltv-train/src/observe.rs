//! What a training tells whoever watches: where its time goes, and what it measures of itself. Clocks
//! are looked at here and nowhere else in this crate; what they say enters no result.

use ltv_core::progress::{Progress, Stretch, Waited};
use ltv_data::stream::EncodedStream;
use ltv_model::bundle::Validation;
use ltv_nn::{Rates, graph::Term};
use std::time::Instant;

/// Steps from one record of losses and rates to the next.
pub const RECORD_STEPS: u64 = 10;

/// Where the time of an epoch goes: until rows are read, encoded and shuffled, where the thread that
/// does it is the slower one,
const ROWS: &str = "waiting for rows";
/// inputs and targets of a step,
pub(crate) const BATCH: &str = "making batches";
/// forward and backward over the network,
pub(crate) const PASS: &str = "forward and backward";
/// the optimiser,
pub(crate) const UPDATE: &str = "update of the weights";
/// looking at the validation rows,
pub(crate) const VALIDATION: &str = "validation";
/// writing checkpoints.
pub(crate) const CHECKPOINT: &str = "checkpoints";

/// One training, as seen by whoever watches it.
pub(crate) struct Observer<'a> {
    progress: &'a dyn Progress,
    /// Names of the values of a step: the total and each term of the loss, two rates, a speed.
    names: Vec<String>,
    /// Rows learned from since then.
    rows: (u64, Instant),
}

/// Names before those of the terms, and after them.
const TOTAL: &str = "loss/total";
const RATES: [&str; 2] = ["rate/layers", "rate/embeddings"];
const SPEED: &str = "speed/rows_per_second";

impl<'a> Observer<'a> {
    /// Of a training whose loss has these terms.
    pub(crate) fn new(progress: &'a dyn Progress, terms: &[Term]) -> Self {
        let terms = terms.iter().map(|term| format!("loss/{}", term.name));
        let names = std::iter::once(TOTAL.to_owned()).chain(terms);
        let names = names.chain(RATES.map(String::from));
        Self {
            progress,
            names: names.chain([SPEED.to_owned()]).collect(),
            rows: (0, Instant::now()),
        }
    }

    /// The steps from number `step` on come next; `last` is the look that came before them, if any.
    pub(crate) fn begins(&mut self, step: u64, last: Option<&Validation>) {
        self.progress.begin(step);
        // Taken back with all that came at this step or later, but not taken again.
        if let Some(look) = last.filter(|look| look.step == step) {
            self.looked(look);
        }
        self.rows = (0, Instant::now());
    }

    /// An epoch begins.
    pub(crate) fn epoch(&mut self, number: u32, rows: u64) {
        self.progress.start(&format!("epoch {number}"), Some(rows));
        self.rows = (0, Instant::now());
    }

    /// The rows of an epoch, whose waiting times are told.
    pub(crate) fn waited(&self, rows: EncodedStream) -> Waited<'a, EncodedStream> {
        Waited::new(rows, self.progress, ROWS)
    }

    /// So many rows have come.
    pub(crate) fn came(&self, rows: usize) {
        self.progress.advance(rows as u64);
    }

    /// A stretch of time that begins now.
    pub(crate) fn stretch(&self) -> Stretch<'a> {
        Stretch::new(self.progress)
    }

    /// A step was made: number `step`, the first is 0, on so many rows. Losses are those before it.
    pub(crate) fn stepped(
        &mut self,
        (step, rows): (u64, usize),
        (total, terms): (f64, &[f64]),
        rates: Rates,
    ) {
        self.rows.0 += rows as u64;
        if !step.is_multiple_of(RECORD_STEPS) {
            return;
        }
        let (rows, since) = std::mem::replace(&mut self.rows, (0, Instant::now()));
        let speed = rows as f64 / since.elapsed().as_secs_f64().max(1e-9);
        let values = std::iter::once(total).chain(terms.iter().copied());
        let values = values.chain([rates.dense, rates.tables, speed]);
        let named = self.names.iter().map(String::as_str).zip(values);
        self.progress.measure(step, &named.collect::<Vec<_>>());
    }

    /// The validation rows were looked at. Its time is none of the next steps'.
    pub(crate) fn looked(&mut self, look: &Validation) {
        let values = [
            ("validation/likelihood", look.likelihood),
            ("validation/training_loss", look.training_loss),
        ];
        self.progress.measure(look.step, &values);
        self.rows = (0, Instant::now());
    }

    /// What is to be said of the epoch so far.
    pub(crate) fn says(&self, text: &str) {
        self.progress.note(text);
    }

    /// The epoch is over.
    pub(crate) fn ends(&self) {
        self.progress.finish();
    }
}
