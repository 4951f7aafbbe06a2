//! Everything needed to go on after a kill, in one file (docs/formats/checkpoint.md): the loop's
//! position as a JSON document, and eight vectors as tensors ([`ltv_model::tensors`]).

use crate::TrainError;
use ltv_core::artefact::{self, AtomicFile};
use ltv_model::{
    bundle::Validation,
    tensors::{self, Format, Tensor, Unusable},
};
use ltv_nn::trainer::{State, Weights};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Where the loop stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// What is trained: a fingerprint of configuration, seed and dataset.
    pub fingerprint: String,
    /// Epochs finished.
    pub epoch: u32,
    /// Batches of the current epoch done.
    pub batches: u64,
    /// Steps made in all.
    pub steps: u64,
    /// Sum of training losses since the last validation, and their number.
    pub loss: (f64, u64),
    /// Validations so far.
    pub validations: Vec<Validation>,
    /// The best likelihood so far and its step.
    pub best: Option<(f64, u64)>,
    /// Validations since the best.
    pub waited: u32,
}

/// How its file says what it is.
pub const FORMAT: Format = Format {
    name: "ltv-checkpoint",
    version: 1,
    what: "checkpoint",
};
const AFRESH: &str = "delete it to train from the start";

fn unusable(path: &Path, problem: impl ToString, hint: &'static str) -> TrainError {
    TrainError::Checkpoint {
        path: path.to_path_buf(),
        problem: problem.to_string(),
        hint,
    }
}

/// Asks whether a checkpoint can be written, so that training does not end where it would be.
pub(crate) fn probe(path: &Path) -> Result<(), TrainError> {
    if path.is_dir() {
        let hint = "give the name of a file to write";
        return Err(unusable(path, "is a folder", hint));
    }
    drop(AtomicFile::create(path)?);
    Ok(())
}

/// Writes a checkpoint, whole or not at all.
pub(crate) fn save(
    path: &Path,
    position: &Position,
    state: &State<f32>,
    best: &Weights<f32>,
) -> Result<(), TrainError> {
    let document = serde_json::to_string(position).map_err(TrainError::internal)?;
    let groups = [
        ("weights", &state.weights),
        ("first", &state.first),
        ("second", &state.second),
        ("best", best),
    ];
    let vectors = groups.iter().flat_map(|(group, weights)| {
        let both = [("dense", &weights.dense), ("tables", &weights.tables)];
        both.map(|(kind, values)| Tensor {
            name: format!("{group}.{kind}"),
            shape: vec![values.len()],
            values,
        })
    });
    let vectors: Vec<Tensor<'_>> = vectors.collect();
    let file = tensors::encode(FORMAT, &document, &vectors).map_err(TrainError::internal)?;
    Ok(artefact::write(path, &file.0)?)
}

/// Reads a checkpoint of the training with this fingerprint into `state` and `best`; `None` when
/// there is no such file yet.
pub(crate) fn load(
    path: &Path,
    fingerprint: &str,
    state: &mut State<f32>,
    best: &mut Weights<f32>,
) -> Result<Option<Position>, TrainError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(ltv_core::Error::io(path, "read", e).into()),
    };
    let failed = |e: Unusable| {
        let hint = match &e {
            Unusable::Foreign { .. } => "give another name, or delete it to train from the start",
            Unusable::Version { .. } => "update ltv to go on from it",
            _ => AFRESH,
        };
        unusable(path, e, hint)
    };
    let content = tensors::decode(FORMAT, &bytes).map_err(failed)?;
    let position: Position = serde_json::from_str(&content.document)
        .map_err(|e| unusable(path, format!("its position cannot be read ({e})"), AFRESH))?;
    if position.fingerprint != fingerprint {
        let problem = "of another run: made with another dataset, configuration or seed";
        let hint = "give the same again, or delete it to train from the start";
        return Err(unusable(path, problem, hint));
    }
    let groups = [
        ("weights", &mut state.weights),
        ("first", &mut state.first),
        ("second", &mut state.second),
        ("best", best),
    ];
    for (group, out) in groups {
        for (kind, out) in [("dense", &mut out.dense), ("tables", &mut out.tables)] {
            let (name, shape) = (format!("{group}.{kind}"), [out.len()]);
            content.read(&name, &shape, out).map_err(failed)?;
        }
    }
    state.steps = position.steps;
    Ok(Some(position))
}
