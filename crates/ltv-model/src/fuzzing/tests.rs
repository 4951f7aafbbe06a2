//! What fuzzing has kept.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::bundle::tests::wholes;

#[path = "../../../../fuzz/replay.rs"]
mod replay;

fn files() -> Vec<Vec<u8>> {
    wholes().iter().map(|(_, bytes)| bytes.clone()).collect()
}

#[test]
fn bundles_are_refused_or_predict() {
    let files = files();
    for file in &files {
        assert_eq!(forge(FORMAT, file).as_ref(), Some(file));
    }
    replay::replay("bundle", &files, bundle);
}

#[test]
fn files_of_tensors_are_refused_or_come_back() {
    let checkpoint = |values: &[f32]| {
        let format = Format {
            name: "ltv-checkpoint",
            version: 1,
            what: "checkpoint",
        };
        let tensor = |name: &str| Tensor {
            name: name.into(),
            shape: vec![values.len()],
            values,
        };
        let list = [tensor("weights.dense"), tensor("best.dense")];
        tensors::encode(format, "{\"epoch\":3}", &list).unwrap().0
    };
    let seeds = [checkpoint(&[1.5, -0.0]), checkpoint(&[])];
    replay::replay("tensors", &seeds, tensors);
}
