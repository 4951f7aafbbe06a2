//! The curves of the decoding `matched`: what the best weights expect of the latest users, and the
//! latest labels.

use crate::{
    TrainError,
    recent::{LatestAges, Recent},
};
use ltv_core::{Horizons, encoding::Encoding, predictor::Predictor, progress::Progress};
use ltv_model::{
    Bundle, Decoding, Model,
    bundle::Document,
    matching::{self, Population},
};
use rayon::ThreadPool;

/// Days of registration that are looked at: of each horizon, the latest two years that are mature.
const DAYS: u32 = 730;
/// Users that are looked at, about.
const MOST_ROWS: u64 = 200_000;
/// Fewer labels above zero than this say too little of how values are spread: all users' are taken.
const LEAST_LABELS: usize = 200;

/// Days of registration in which labels are looked for, until enough are found.
const LOOKS: [u32; 2] = [DAYS, u32::MAX];

/// The bundle with its curves. Memory: sums on a fixed grid, and [`MOST_ROWS`] labels a horizon.
pub(crate) fn matched(
    bundle: Bundle,
    recent: Recent<'_>,
    latest: &LatestAges,
    pool: &ThreadPool,
    progress: &dyn Progress,
) -> Result<Bundle, TrainError> {
    let document = &bundle.document;
    let passes = LOOKS.len() * document.horizons.len() + 1;
    let stage = "match values to the distribution of labels";
    progress.start(stage, Some(passes as u64 * recent.units()));
    let mut horizons = vec![];
    for &days in document.horizons.days() {
        horizons.push(labelled(recent, days, progress)?);
    }
    let mut raw = bundle.clone();
    raw.document.recalibration = None;
    let model = Model::new(raw, Decoding::Expectation)?;
    let read = (document.horizons.clone(), document.encoding.clone());
    recent.each((DAYS, MOST_ROWS), read, progress, |mut rows| {
        latest.set(&mut rows);
        let values = pool.install(|| model.predict(&rows).values);
        for row in values.chunks_exact(horizons.len()) {
            let each = horizons.iter_mut().zip(row);
            each.for_each(|(population, &value)| population.expect(value));
        }
    })?;
    progress.finish();
    let document = Document {
        matching: matching::matching(&horizons),
        ..bundle.document
    };
    Ok(Bundle::new(document, bundle.weights)?)
}

/// The labels of the latest users whose horizon is mature, or of all of them.
fn labelled(
    recent: Recent<'_>,
    days: u32,
    progress: &dyn Progress,
) -> Result<Population, TrainError> {
    let mut population = Population::default();
    for last in LOOKS {
        if population.positive() >= LEAST_LABELS {
            progress.advance(recent.units());
            continue;
        }
        population = Population::default();
        let read = (Horizons::new(vec![days])?, Encoding::default());
        recent.each((last, MOST_ROWS), read, progress, |rows| {
            rows.labels.iter().for_each(|label| population.see(*label));
        })?;
    }
    Ok(population)
}
