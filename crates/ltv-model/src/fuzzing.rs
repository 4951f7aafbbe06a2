//! What is fuzzed here (fuzz/README.md): files of models, from bytes that may be anything. A target panics where a
//! promise is broken.

use crate::{
    Bundle, Decoding, Model,
    bundle::FORMAT,
    tensors::{self, Format, Tensor},
};
use ltv_core::{
    encoding::{EncodedRows, Encoding},
    predictor::{Predictions, Predictor},
};
use safetensors::{Dtype, SafeTensors};
use std::path::Path;

/// Rows that are predicted with every model that is read.
const ROWS: usize = 3;
/// Weights beyond this come of no training. With them sums overflow, and a prediction may be no number: whoever scores or
/// publishes refuses such a value.
const LARGEST: f32 = 1e3;

/// A model bundle: refused, or a model that predicts, and that is the same when it is written and read again. The file
/// is tried as it is and, because no fuzzer finds a checksum, with the checksum that fits it.
pub fn bundle(data: &[u8]) {
    read(data);
    if let Some(forged) = forge(FORMAT, data) {
        read(&forged);
    }
}

fn read(data: &[u8]) {
    let Ok(bundle) = Bundle::decode(Path::new("made.ltv"), data) else {
        return;
    };
    let (written, checksum) = bundle.encode().expect("it can be written");
    let again = Bundle::decode(Path::new("made.ltv"), &written).expect("it can be read again");
    assert_eq!(again.document, bundle.document);
    assert_eq!(again.weights, bundle.weights);
    assert_eq!(again.blake3, checksum);
    let decodings = [
        Decoding::Argmax,
        Decoding::Expectation,
        Decoding::Quantile(0.5),
        Decoding::Matched,
    ];
    for decoding in decodings {
        if let Ok(model) = Model::new(bundle.clone(), decoding) {
            let found = model.predict(&rows(model.encoding()));
            let weights = &bundle.weights;
            let mut weights = weights.dense.iter().chain(&weights.tables);
            if weights.all(|weight| weight.abs() <= LARGEST) {
                sound(&found, &bundle);
            }
        }
    }
}

/// Rows of missing values, of zeros and ones, and of what is far out.
fn rows(encoding: &Encoding) -> EncodedRows {
    let (fields, numbers) = (encoding.fields(), encoding.numbers());
    let cells = (0..ROWS as u32).flat_map(|row| vec![row; fields]);
    let values = [0.0, 1.0, -1e3].into_iter();
    EncodedRows {
        rows: ROWS,
        cells: cells.collect(),
        numbers: values.flat_map(|value| vec![value; numbers]).collect(),
        ..EncodedRows::default()
    }
}

fn sound(found: &Predictions, bundle: &Bundle) {
    let horizons = bundle.document.horizons.len();
    assert_eq!(found.values.len(), ROWS * horizons);
    for row in found.values.chunks(horizons) {
        assert!(row.iter().all(|v| v.is_finite() && *v >= 0.0), "{row:?}");
        if bundle.document.spec.model.monotone {
            assert!(row.windows(2).all(|w| w[0] <= w[1]), "{row:?}");
        }
    }
}

/// Files of tensors, as checkpoints are too: refused, or what is read is written and read again as it was.
pub fn tensors(data: &[u8]) {
    const CHECKPOINT: Format = Format {
        name: "ltv-checkpoint",
        version: 1,
        what: "checkpoint",
    };
    for format in [FORMAT, CHECKPOINT] {
        for file in [Some(data.to_vec()), forge(format, data)] {
            let Some(file) = file else { continue };
            let Ok(content) = tensors::decode(format, &file) else {
                continue;
            };
            assert_eq!(content.checksum.len(), 64);
            assert!(content.values() <= file.len() / 4);
            let again = forge(format, &file).expect("it can be written");
            let again = tensors::decode(format, &again).expect("it can be read again");
            assert_eq!(again.checksum, content.checksum);
            assert_eq!(again.document, content.document);
        }
    }
}

/// The same file with the checksum that fits it; none of what is no such file.
fn forge(format: Format, data: &[u8]) -> Option<Vec<u8>> {
    let (_, header) = SafeTensors::read_metadata(data).ok()?;
    let document = header.metadata().as_ref()?.get("document")?;
    let file = SafeTensors::deserialize(data).ok()?;
    let mut found = vec![];
    for (name, view) in file.iter().filter(|(_, view)| view.dtype() == Dtype::F32) {
        let (words, _) = view.data().as_chunks();
        let values: Vec<f32> = words.iter().map(|word| f32::from_le_bytes(*word)).collect();
        found.push((name.to_owned(), view.shape().to_vec(), values));
    }
    let list: Vec<Tensor<'_>> = found
        .iter()
        .map(|(name, shape, values)| Tensor {
            name: name.clone(),
            shape: shape.clone(),
            values,
        })
        .collect();
    Some(tensors::encode(format, document, &list).ok()?.0)
}

#[cfg(test)]
mod tests;
