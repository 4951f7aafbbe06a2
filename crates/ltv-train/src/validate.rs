//! The likelihood of validation rows.

use crate::TrainError;
use ltv_model::{odmn::HorizonColumns, spec::Spec, targets};
use ltv_nn::{Batch, Trainer};

/// Sums the negative log-likelihood of labels over rows, horizon by horizon.
#[derive(Debug, Clone, Default)]
pub(crate) struct Likelihood {
    /// Sum and number of mature rows of each horizon.
    horizons: Vec<(f64, u64)>,
}

impl Likelihood {
    /// Adds a batch of rows of weight one, whose loss terms are known. Which of them are the
    /// likelihood of a label, as means over the rows that take part, the network tells.
    fn add(&mut self, batch: &Batch<f32>, columns: &[HorizonColumns], term: impl Fn(&str) -> f64) {
        self.horizons.resize(columns.len(), (0.0, 0));
        for (column, sum) in columns.iter().zip(&mut self.horizons) {
            let taking_part = |c: usize| {
                let column = &batch.classes[c * batch.rows..(c + 1) * batch.rows];
                column.iter().filter(|&&k| k >= 0).count() as u64
            };
            for part in &column.likelihood {
                sum.0 += taking_part(part.column) as f64 * term(&part.term);
            }
            sum.1 += taking_part(column.mature);
        }
    }

    /// Mean over mature rows, summed over horizons; horizons without any are left out.
    fn value(&self) -> f64 {
        let known = self.horizons.iter().filter(|h| h.1 > 0);
        known.map(|(sum, n)| sum / *n as f64).sum()
    }
}

/// Mean negative log-likelihood of the labels of a stream of rows (of their buckets, or of the
/// values, as the head predicts them), summed over horizons.
pub(crate) fn likelihood(
    trainer: &mut Trainer<f32>,
    spec: &Spec,
    columns: &[HorizonColumns],
    rows: ltv_data::stream::EncodedStream,
) -> Result<f64, TrainError> {
    let mut total = Likelihood::default();
    let names: Vec<String> = trainer
        .graph()
        .terms()
        .iter()
        .map(|t| t.name.clone())
        .collect();
    for block in rows {
        let block = block?;
        let mut batch = targets::inputs(spec, trainer.graph().shape(), &block);
        targets::targets(spec, columns, &block, &mut batch);
        let values = trainer.losses(&batch);
        let term = |name: &str| {
            names
                .iter()
                .position(|n| n == name)
                .map_or(0.0, |i| values[i])
        };
        total.add(&batch, columns, term);
    }
    Ok(total.value())
}
