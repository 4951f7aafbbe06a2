//! What is fuzzed here (fuzz/README.md): files of peers, from bytes that may be anything. A target panics where a
//! promise is broken.

use crate::peer::{FORMAT, Peer, VERSION};
use ltv_core::{
    encoding::{EncodedRows, Encoding},
    predictor::Predictor,
};

/// A document of a peer, in a file whose checksum fits it: refused, or a peer that predicts, and that is the same
/// when it is written and read again. Peers made of trees are refused by a build without the library that reads
/// them, as builds that fuzz are.
pub fn peer(data: &[u8]) {
    // The file as it is; then, because no fuzzer finds a checksum, the bytes as a document.
    read(data);
    if let Ok(text) = str::from_utf8(data) {
        read(file(text).as_bytes());
    }
}

/// The file around a document.
fn file(document: &str) -> String {
    let sum = blake3::hash(document.as_bytes()).to_hex();
    format!(
        "{{\"format\":\"{FORMAT}\",\"version\":{VERSION},\"blake3\":\"{sum}\",\"document\":{document}}}\n"
    )
}

fn read(data: &[u8]) {
    let Ok(peer) = Peer::parse("made.json", data) else {
        return;
    };
    let written = peer.bytes();
    let again = Peer::parse("made.json", written.as_bytes()).expect("it can be read again");
    assert_eq!(again.document(), peer.document());
    assert_eq!(again.model_id(), peer.model_id());
    let rows = rows(peer.encoding());
    let found = peer.predict(&rows);
    assert_eq!(found.values.len(), rows.rows * peer.horizons().len());
    let numbers = found.values.iter().chain(&found.quantiles);
    let sound = |v: &f64| v.is_finite() && *v >= 0.0;
    assert!(numbers.clone().all(sound), "{found:?}");
    let shares = |p: &f64| (0.0..=1.0).contains(p);
    assert!(found.positive.iter().all(shares), "{found:?}");
}

/// Rows of missing values, of ordinary ones, and of what is far out.
fn rows(encoding: &Encoding) -> EncodedRows {
    let values = [f64::NAN, 0.0, 3.0, -1e300];
    let (fields, numbers) = (encoding.fields(), encoding.numbers());
    let cells = (0..values.len() as u32).flat_map(|row| vec![row; fields]);
    let plain = values.iter().flat_map(|&v| vec![v; encoding.plain.len()]);
    EncodedRows {
        rows: values.len(),
        cells: cells.collect(),
        numbers: vec![0.5; values.len() * numbers],
        plain: plain.collect(),
        ..EncodedRows::default()
    }
}

#[cfg(test)]
mod tests;
