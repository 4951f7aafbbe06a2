//! What fuzzing has kept.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

#[path = "../../../../fuzz/replay.rs"]
mod replay;

#[test]
fn values_are_refused_or_come_back() {
    let seed = |numbers: &[f32]| {
        let prediction = Prediction {
            status: 2,
            numbers: numbers.to_vec(),
        };
        let mut bytes = vec![];
        prediction.encode(b"user", &mut bytes);
        [&[numbers.len() as u8, 4], &b"user"[..], &bytes].concat()
    };
    let seeds = [seed(&[]), seed(&[0.0, 1.5, 1e30]), seed(&[0.5; 20])];
    replay::replay("value", &seeds, value);
}

#[test]
fn documents_are_refused_or_come_back() {
    let mut seeds = redis::seeds();
    seeds.push(b"redis://me:hunter2@host:6379/1?prefix=a&ttl=3d".to_vec());
    replay::replay("documents", &seeds, documents);
}

#[test]
fn a_damaged_store_is_refused() {
    let version = serde_json::to_vec(&made()).unwrap();
    let pointer = crate::pointer::Pointer::new(&made().id, None);
    let pointer = serde_json::to_vec(&pointer).unwrap();
    let whole = |file: u8, bytes: &[u8]| [&[file, 0, 0, 0], bytes].concat();
    let seeds = [
        whole(0, &pointer),
        whole(1, &version),
        whole(2, b"af13  data.mdb\n"),
        vec![3, 1, 255, 7],
        vec![3, 2, 24, 0, 1, 1],
    ];
    replay::replay("store", &seeds, store);
}
