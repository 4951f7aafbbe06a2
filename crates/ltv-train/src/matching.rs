//! The curves of the decoding `matched`: what the best weights expect of the latest users, and the
//! latest labels.

use crate::{TrainError, today::Today};
use ltv_core::{
    Day, Horizons,
    config::{Mature, Part, Split},
    encoding::{EncodedRows, Encoding},
    predictor::Predictor,
    progress::Progress,
};
use ltv_data::{
    Dataset,
    split::Rows,
    stream::{StreamOptions, stream},
};
use ltv_model::{
    Bundle, Decoding, Model,
    bundle::Document,
    matching::{self, Population},
};
use rayon::ThreadPool;
use std::sync::Arc;

/// Days of registration that are looked at: of each horizon, the latest two years that are mature.
const LATEST_DAYS: u32 = 730;
/// Users that are looked at, about.
const MOST_ROWS: u64 = 200_000;

/// The bundle with its curves. Memory: sums on a fixed grid, and [`MOST_ROWS`] labels a horizon.
pub(crate) fn matched(
    bundle: Bundle,
    (dataset, split): (&Dataset, &Split),
    today: &Today,
    pool: &ThreadPool,
    progress: &dyn Progress,
) -> Result<Bundle, TrainError> {
    progress.start("match values to the distribution of labels", None);
    let document = &bundle.document;
    let mut horizons = vec![];
    for &days in document.horizons.days() {
        let mut population = Population::default();
        let latest = Latest::new(document, Horizons::new(vec![days])?, Encoding::default());
        latest.each(dataset, split, |rows| {
            rows.labels.iter().for_each(|label| population.see(*label));
        })?;
        horizons.push(population);
    }
    let mut raw = bundle.clone();
    raw.document.recalibration = None;
    let model = Model::new(raw, Decoding::Expectation)?;
    let encoding = document.encoding.clone();
    let latest = Latest::new(document, document.horizons.clone(), encoding);
    latest.each(dataset, split, |mut rows| {
        progress.advance(rows.rows as u64);
        today.set(&mut rows);
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

/// The users of the last [`LATEST_DAYS`] whose shortest horizon is mature.
struct Latest {
    from: Day,
    horizons: Horizons,
    encoding: Arc<Encoding>,
}

impl Latest {
    fn new(document: &Document, horizons: Horizons, encoding: Encoding) -> Self {
        let passed = document.window_days + horizons.shortest() + LATEST_DAYS;
        Self {
            from: Day((i64::from(document.as_of.0) - i64::from(passed)) as i32),
            horizons,
            encoding: Arc::new(encoding),
        }
    }

    /// Hands over their rows; those of all users where there are none of the latest.
    fn each(
        &self,
        dataset: &Dataset,
        split: &Split,
        mut each: impl FnMut(EncodedRows),
    ) -> Result<(), TrainError> {
        let mut rows = 0;
        let latest = split.registered_from.max(Some(self.from));
        for registered_from in [latest, split.registered_from] {
            for part in [Part::Validation, Part::Train] {
                let options = StreamOptions {
                    rows: Rows::Part(part),
                    split: Split {
                        registered_from,
                        mature: Mature::Shortest,
                        ..split.clone()
                    },
                    horizons: Some(self.horizons.clone()),
                    ..StreamOptions::scoring(self.encoding.clone())
                };
                for block in stream(dataset, options)? {
                    let block = block?;
                    rows += block.rows as u64;
                    each(block);
                    if rows >= MOST_ROWS {
                        return Ok(());
                    }
                }
            }
            if rows > 0 {
                break;
            }
        }
        Ok(())
    }
}
