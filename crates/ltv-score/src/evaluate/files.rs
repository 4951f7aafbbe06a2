//! The way through scratch files, for more rows than memory should hold.

use super::{Breakdown, Coder, Collected, EvaluateOptions, Evidence};
use crate::ScoreError;
use ltv_core::{labels::LabelHistogram, progress::Progress};
use ltv_eval::{
    Evaluation, Spill, Spilled,
    spill::{Block, Codes, SpillInput},
};
use rayon::ThreadPool;

impl Collected {
    /// Moves the rows in memory to scratch files when they are too many, or others went there.
    pub(super) fn make_room(&mut self, options: &EvaluateOptions) -> Result<(), ScoreError> {
        let (Some(place), rows) = (&options.spill, self.labels.len() / self.horizons.len()) else {
            return Ok(());
        };
        if rows == 0 {
            return Ok(());
        }
        let codes = self.segments.len() + 1;
        if self.spill.is_none() {
            let sets = usize::from(!self.values.is_empty())
                + usize::from(!self.medians.is_empty())
                + 2 * usize::from(self.baselines.is_some());
            if rows as u64 <= place.rows_in_memory(self.horizons.len(), sets, codes) {
                return Ok(());
            }
        }
        let sets = self.sets(options);
        let spill = match &mut self.spill {
            Some(spill) => spill,
            none => {
                let names = sets.iter().map(|set| set.name.clone()).collect();
                none.insert(Spill::new(&self.horizons, names, codes, place.clone())?)
            }
        };
        let mut codes: Vec<Vec<u32>> = self.segments.iter_mut().map(Coder::take).collect();
        codes.push(self.months.take());
        spill.add(&Block {
            labels: &self.labels,
            predictions: &sets.iter().map(|set| &*set.values).collect::<Vec<_>>(),
            codes: &codes.iter().map(|codes| &**codes).collect::<Vec<_>>(),
        })?;
        // Its capacity is that of all rows that memory holds.
        self.labels = vec![];
        Ok(())
    }

    /// Measures rows in files; none when nobody has a label.
    pub(super) fn measure_files(
        &mut self,
        spill: Spill,
        options: &EvaluateOptions,
        (pool, progress): (&ThreadPool, &dyn Progress),
    ) -> Result<Option<(Evaluation, Evidence)>, ScoreError> {
        let spilled = spill.finish()?;
        if (0..self.horizons.len()).all(|t| spilled.mature(t) == 0) {
            return Ok(None);
        }
        let mut columns: Vec<Codes> = self.segments.drain(..).map(Coder::meaning).collect();
        columns.push(std::mem::take(&mut self.months).meaning());
        let evidence = self.evidence_of(&spilled, &columns)?;
        columns.pop();
        progress.start("measure from files", None);
        let gigabytes = spilled.bytes() as f64 / f64::from(1 << 30);
        progress.note(&format!("{gigabytes:.2} GiB of rows in scratch files"));
        let input = SpillInput {
            segments: &columns,
            bootstrap: options.bootstrap,
            reference: options.reference.as_deref(),
        };
        let evaluation = pool.install(|| spilled.evaluate(&input, progress))?;
        progress.finish();
        Ok(Some((evaluation, evidence)))
    }

    /// What a report shows beside metrics; the last of `columns` are the registration months, which
    /// come first in it.
    fn evidence_of(
        &mut self,
        spilled: &Spilled,
        columns: &[Codes],
    ) -> Result<Evidence, ScoreError> {
        let width = self.horizons.len();
        let months = columns.len() - 1;
        let order: Vec<usize> = std::iter::once(months).chain(0..months).collect();
        let empty = |&c: &usize| {
            let sizes = (width, spilled.sets().len());
            Breakdown::empty(&columns[c].name, &columns[c].labels, c == months, sizes)
        };
        let mut breakdowns: Vec<Breakdown> = order.iter().map(empty).collect();
        let mut labels = vec![LabelHistogram::default(); width];
        for (t, histogram) in labels.iter_mut().enumerate() {
            spilled.read(t, |block| {
                for (row, &label) in block.labels.iter().enumerate() {
                    histogram.add(label);
                    for (totals, &c) in breakdowns.iter_mut().zip(&order) {
                        let code = columns[c].meaning[block.codes[c][row] as usize];
                        let predicted = block.predictions.iter().map(|set| set[row]);
                        totals.add(t, code, label, predicted);
                    }
                }
            })?;
        }
        let breakdowns = breakdowns.into_iter().map(Breakdown::finish).collect();
        Ok(std::mem::take(&mut self.tally).finish(labels, breakdowns))
    }
}
