//! The curves of the decoding `matched`, from what the best weights say of the validation rows.

use crate::TrainError;
use ltv_core::progress::Progress;
use ltv_data::stream::EncodedStream;
use ltv_model::{Bundle, Decoding, Model, bundle::Document};
use rayon::ThreadPool;

/// The bundle with its curves. Labels are not looked at: immature rows serve as well. Memory: sums on
/// fixed grids, however many rows there are.
pub(crate) fn matched(
    bundle: Bundle,
    rows: EncodedStream,
    pool: &ThreadPool,
    progress: &dyn Progress,
) -> Result<Bundle, TrainError> {
    progress.start("match values to the distribution of labels", None);
    let model = Model::new(bundle.clone(), Decoding::Expectation)?;
    let mut reference = model.nobody();
    for block in rows {
        let block = block?;
        pool.install(|| model.refer(&block, &mut reference));
        progress.advance(block.rows as u64);
    }
    progress.finish();
    let document = Document {
        matching: reference.matching(),
        ..bundle.document
    };
    Ok(Bundle::new(document, bundle.weights)?)
}
