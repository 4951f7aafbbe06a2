//! How widely expectations are spread, from what the best weights say of the validation rows.

use crate::{TrainError, recent::LatestAges};
use ltv_core::{encoding::EncodedRows, predictor::Predictor, progress::Progress};
use ltv_data::stream::EncodedStream;
use ltv_model::{
    Bundle, Decoding, Model,
    recalibration::{self, Sums},
};
use rayon::ThreadPool;

/// The bundle with its recalibration. Memory: sums on fixed grids, however many rows there are.
pub(crate) fn recalibrated(
    mut bundle: Bundle,
    (rows, latest): (EncodedStream, &LatestAges),
    pool: &ThreadPool,
    progress: &dyn Progress,
) -> Result<Bundle, TrainError> {
    let validation = bundle.document.record.validation_rows;
    progress.start("recalibrate", Some(validation));
    let model = Model::new(bundle.clone(), Decoding::Expectation)?;
    let mut sums = vec![Sums::default(); bundle.document.horizons.len()];
    for block in rows {
        let block = block?;
        progress.advance(block.rows as u64);
        pool.install(|| add(&model, block, latest, &mut sums));
    }
    progress.finish();
    bundle.document.recalibration = recalibration::recalibrated(&sums);
    Ok(Bundle::new(bundle.document, bundle.weights)?)
}

/// Adds a block: what is expected of its users, and what would be if they were the latest.
fn add(model: &Model, mut block: EncodedRows, latest: &LatestAges, sums: &mut [Sums]) {
    let then = model.predict(&block).values;
    let now = latest.matter().then(|| {
        latest.set(&mut block);
        model.predict(&block).values
    });
    let now = now.as_ref().unwrap_or(&then);
    let horizons = sums.len();
    for (i, label) in block.labels.iter().enumerate() {
        sums[i % horizons].add(then[i], now[i], *label);
    }
}
