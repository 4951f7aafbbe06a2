//! Everything needed to go on after a kill, in one file: safetensors, with the loop's position as
//! a JSON document in its metadata.

use crate::TrainError;
use ltv_core::artefact;
use ltv_model::bundle::Validation;
use ltv_nn::trainer::{State, Weights};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, path::Path};

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

const FORMAT: &str = "ltv-checkpoint-1";
const HINT: &str = "delete it and train from the start";

/// Writes a checkpoint, whole or not at all.
pub(crate) fn save(
    path: &Path,
    position: &Position,
    state: &State<f32>,
    best: &Weights<f32>,
) -> Result<(), TrainError> {
    let failed = |problem: String| TrainError::Checkpoint {
        path: path.to_path_buf(),
        problem,
        hint: "this is a defect: please report it",
    };
    let document = serde_json::to_string(position).map_err(|e| failed(e.to_string()))?;
    let metadata = HashMap::from([
        ("format".to_string(), FORMAT.to_string()),
        ("document".to_string(), document),
    ]);
    let bytes: Vec<(String, Vec<u8>)> = vectors(state, best)
        .into_iter()
        .map(|(name, v)| {
            (
                name.to_string(),
                v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            )
        })
        .collect();
    let mut views = vec![];
    for (name, bytes) in &bytes {
        let view = TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes);
        views.push((name.clone(), view.map_err(|e| failed(e.to_string()))?));
    }
    let file = safetensors::serialize(views, Some(metadata));
    artefact::write(path, &file.map_err(|e| failed(e.to_string()))?)?;
    Ok(())
}

fn vectors<'a>(state: &'a State<f32>, best: &'a Weights<f32>) -> Vec<(&'static str, &'a Vec<f32>)> {
    vec![
        ("weights.dense", &state.weights.dense),
        ("weights.tables", &state.weights.tables),
        ("first.dense", &state.first.dense),
        ("first.tables", &state.first.tables),
        ("second.dense", &state.second.dense),
        ("second.tables", &state.second.tables),
        ("best.dense", &best.dense),
        ("best.tables", &best.tables),
    ]
}

/// Reads a checkpoint of the training with this fingerprint into `state` and `best`; `None` when
/// there is no such file yet.
pub(crate) fn load(
    path: &Path,
    fingerprint: &str,
    state: &mut State<f32>,
    best: &mut Weights<f32>,
) -> Result<Option<Position>, TrainError> {
    let failed = |problem: String| TrainError::Checkpoint {
        path: path.to_path_buf(),
        problem,
        hint: HINT,
    };
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(ltv_core::Error::io(path, "read", e).into()),
    };
    let damaged = |e| failed(format!("not a checkpoint, or a damaged one ({e})"));
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    if metadata.get("format").map(String::as_str) != Some(FORMAT) {
        return Err(failed("not a checkpoint of this version".into()));
    }
    let document = metadata.get("document").cloned().unwrap_or_default();
    let position: Position =
        serde_json::from_str(&document).map_err(|e| failed(format!("unreadable ({e})")))?;
    if position.fingerprint != fingerprint {
        let problem = "made with another dataset, configuration or seed".to_string();
        return Err(failed(problem));
    }
    let file = SafeTensors::deserialize(&bytes).map_err(damaged)?;
    let (weights, first, second) = (&mut state.weights, &mut state.first, &mut state.second);
    let groups = [
        ("weights", weights),
        ("first", first),
        ("second", second),
        ("best", best),
    ];
    for (group, out) in groups {
        for (kind, out) in [("dense", &mut out.dense), ("tables", &mut out.tables)] {
            let name = format!("{group}.{kind}");
            let tensor = file.tensor(&name).map_err(damaged)?;
            let (words, _) = tensor.data().as_chunks::<4>();
            if words.len() != out.len() {
                return Err(failed(format!("'{name}' has another length")));
            }
            out.iter_mut()
                .zip(words)
                .for_each(|(w, b)| *w = f32::from_le_bytes(*b));
        }
    }
    state.steps = position.steps;
    Ok(Some(position))
}
