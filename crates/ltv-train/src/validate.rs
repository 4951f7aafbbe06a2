//! The likelihood of validation rows.

use crate::TrainError;
use ltv_model::{heads::LikelihoodTerm, odmn::HorizonColumns, spec::Spec, targets};
use ltv_nn::{Batch, Graph, Trainer};

/// Sums the negative log-likelihood of labels over rows, horizon by horizon.
#[derive(Debug, Clone, Default)]
pub(crate) struct Likelihood {
    /// Sum and number of mature rows of each horizon.
    horizons: Vec<(f64, u64)>,
}

impl Likelihood {
    /// Adds a batch of rows of weight one, given the values of its loss terms, which are means over
    /// the rows that take part.
    fn add(&mut self, batch: &Batch<f32>, parts: &[Parts], values: &[f64]) {
        self.horizons.resize(parts.len(), (0.0, 0));
        for (horizon, sum) in parts.iter().zip(&mut self.horizons) {
            let taking_part = |c: usize| {
                let column = &batch.classes[c * batch.rows..(c + 1) * batch.rows];
                column.iter().filter(|&&k| k >= 0).count() as u64
            };
            for &(term, column) in &horizon.terms {
                sum.0 += taking_part(column) as f64 * values[term];
            }
            sum.1 += taking_part(horizon.mature);
        }
    }

    /// Mean over mature rows, summed over horizons; horizons without any are left out.
    fn value(&self) -> f64 {
        let known = self.horizons.iter().filter(|h| h.1 > 0);
        known.map(|(sum, n)| sum / *n as f64).sum()
    }
}

/// What the network says is the likelihood of a horizon's label.
struct Parts {
    /// Class column in which every row with a label takes part.
    mature: usize,
    /// Place of each loss term among all, and the class column whose rows it is a mean over.
    terms: Vec<(usize, usize)>,
}

impl Parts {
    /// Finds the terms that `columns` name. One that is not there is a defect of the network: counted
    /// as zero, it would silently change which weights are the best.
    fn find(graph: &Graph<f32>, columns: &HorizonColumns) -> Self {
        let terms = graph.terms();
        let find = |part: &LikelihoodTerm| {
            let Some(term) = terms.iter().position(|t| t.name == part.term) else {
                unreachable!("the network has no loss term '{}'", part.term)
            };
            (term, part.column)
        };
        Self {
            mature: columns.mature,
            terms: columns.likelihood.iter().map(find).collect(),
        }
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
    let find = |c| Parts::find(trainer.graph(), c);
    let parts: Vec<Parts> = columns.iter().map(find).collect();
    for block in rows {
        let block = block?;
        let mut batch = targets::inputs(spec, trainer.graph().shape(), &block);
        targets::targets(spec, columns, &block, &mut batch);
        let values = trainer.losses(&batch);
        total.add(&batch, &parts, &values);
    }
    Ok(total.value())
}
