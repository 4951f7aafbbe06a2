//! Intervals from some of the rows, where all would not fit.

use super::{Work, file::Stretch};
use crate::{
    bootstrap::{self, Bootstrap, Replicate},
    error::EvalError,
    measure::measure,
    metric::{Metric, Values},
    sample::{Ranking, Sample},
    scope::Place,
    tally::Tally,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Rows of a scope drawn at random without replacement, the same for all sets of predictions.
pub(crate) struct Drawn<'a> {
    bootstrap: &'a Bootstrap,
    stream: String,
    /// Their places, ascending.
    places: Vec<u64>,
    sample: Sample,
    /// Share of all rows.
    share: f64,
}

impl<'a> Drawn<'a> {
    pub(crate) fn new(
        work: &Work<'_>,
        labels: &Stretch,
        bootstrap: &'a Bootstrap,
        place: &Place,
    ) -> Result<Self, EvalError> {
        let stream = format!("{}/drawn", place.stream);
        let seed = ltv_core::seed::derive(bootstrap.seed, &stream);
        let places = draw(labels.len(), work.limits.drawn as u64, seed);
        Ok(Self {
            bootstrap,
            sample: Sample::new(pick(work, labels, &places)?),
            share: places.len() as f64 / labels.len() as f64,
            places,
            stream,
        })
    }

    /// How many.
    pub(crate) fn rows(&self) -> u64 {
        self.places.len() as u64
    }

    /// Resamples of one set, as they would be around the values of all rows.
    pub(crate) fn replicates(
        &self,
        work: &Work<'_>,
        predictions: &Stretch,
        all: &Values,
    ) -> Result<Vec<Replicate>, EvalError> {
        let predictions = pick(work, predictions, &self.places)?;
        let ranking = Ranking::new(&self.sample, &predictions);
        let mut tally = Tally::default();
        let once = vec![1; self.sample.rows()];
        let own = measure(&tally.fill(&self.sample, &ranking, &once));
        let (bootstrap, stream) = (self.bootstrap, &self.stream);
        let resamples =
            bootstrap::replicates(&self.sample, &ranking, bootstrap, stream, work.progress);
        let around = |resample: Replicate| around(all, &own, &resample, self.share);
        Ok(resamples.into_iter().map(around).collect())
    }
}

/// Moves a resample of the drawn rows, whose own values are `own`, to the values of `all`.
fn around(all: &Values, own: &Values, resample: &Replicate, share: f64) -> Replicate {
    let mut moved = Metric::ALL.map(|metric| {
        let (Ok(all), Ok(own)) = (all.get(metric), own.get(metric)) else {
            return f64::NAN;
        };
        let scale = match metric {
            Metric::BiasSe => share,
            _ => share.sqrt(),
        };
        let (low, high) = metric.range();
        let value = all + scale * (resample[metric as usize] - own);
        // Not clamp and not min: NaN must stay.
        if value < low {
            low
        } else if value > high {
            high
        } else {
            value
        }
    });
    moved[Metric::AMBE as usize] = moved[Metric::Bias as usize].abs();
    moved
}

/// `count` of `rows` places, ascending, each set of them as likely as any other (Knuth's
/// algorithm S).
fn draw(rows: u64, count: u64, seed: u64) -> Vec<u64> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut left = count.min(rows);
    let mut places = Vec::with_capacity(left as usize);
    for row in 0..rows {
        if random.random_range(0..rows - row) < left {
            places.push(row);
            left -= 1;
        }
    }
    places
}

/// The values in these places of a column.
fn pick(work: &Work<'_>, column: &Stretch, places: &[u64]) -> Result<Vec<f64>, EvalError> {
    let mut picked = Vec::with_capacity(places.len());
    let (mut reader, mut block) = (column.reader(work.limits.buffer), vec![]);
    let mut start = 0;
    for &place in places {
        while place >= start + block.len() as u64 {
            start += block.len() as u64;
            reader.block(work.limits.buffer / 8, &mut block)?;
        }
        picked.push(block[(place - start) as usize]);
    }
    Ok(picked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_as_likely() {
        let mut counts = [0; 20];
        for seed in 0..4000 {
            let places = draw(20, 5, seed);
            assert!(places.len() == 5 && places.is_sorted_by(|a, b| a < b));
            places.iter().for_each(|&place| counts[place as usize] += 1);
        }
        // 1000 each, standard deviation 27.
        assert!(counts.iter().all(|n| (880..1120).contains(n)), "{counts:?}");
        assert_eq!(draw(3, 9, 1), [0, 1, 2]);
    }
}
