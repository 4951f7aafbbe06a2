//! A trained model in one file: its weights as tensors and everything else as one JSON document
//! ([`crate::tensors`]).
//!
//! The first 16 digits of the checksum are the model id: the same id, the same predictions.

mod check;
#[cfg(test)]
pub(crate) mod tests;

use crate::{
    error::ModelError,
    matching::Matching,
    odmn,
    recalibration::Recalibration,
    spec::Spec,
    tensors::{self, Format, Tensor, Unusable},
};
use ltv_core::{
    Day, Horizons, artefact,
    baseline::Baselines,
    config::{Label, TrainConfig},
    encoding::Encoding,
};
use ltv_nn::{Layout, trainer::Weights};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Everything about a model but its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// Horizons, ascending.
    pub horizons: Horizons,
    /// Observation window of its training dataset, in days.
    pub window_days: u32,
    /// What its labels count.
    pub label: Label,
    /// As-of date of its training dataset.
    pub as_of: Day,
    /// Fitted feature encoding.
    pub encoding: Encoding,
    /// The network, with fitted buckets.
    pub spec: Spec,
    /// The configuration it was trained with.
    pub config: TrainConfig,
    /// How the training went.
    pub record: Record,
    /// What the simple rules it is compared with need from the training rows.
    pub baselines: Baselines,
    /// For each horizon, what the decoding `expectation` does to an expectation; none where nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recalibration: Option<Vec<Recalibration>>,
    /// Curves of the decoding `matched`; none in files from before there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matching: Option<Matching>,
}

/// How a training went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The seed.
    pub seed: u64,
    /// Training rows.
    pub train_rows: u64,
    /// Validation rows.
    pub validation_rows: u64,
    /// Rows of a step; 0 in models saved before it was kept.
    #[serde(default)]
    pub batch: usize,
    /// Steps made until the best weights.
    pub steps: u64,
    /// Validations, in order.
    pub validations: Vec<Validation>,
    /// Id of the model that it went on from, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
}

/// One look at the validation rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// Steps made.
    pub step: u64,
    /// Mean negative log-likelihood of the true buckets (of the true values, for log-normals), summed
    /// over horizons: what stops the training. Comparable between models of one head only.
    pub likelihood: f64,
    /// Mean training loss since the last look.
    pub training_loss: f64,
}

/// A trained model.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// Everything but the weights.
    pub document: Document,
    /// The weights of the training graph.
    pub weights: Weights<f32>,
    /// The model id.
    pub id: String,
    /// BLAKE3 checksum of its content, in hexadecimal, of which the id is the start.
    pub blake3: String,
}

/// How its file says what it is.
pub const FORMAT: Format = Format {
    name: "ltv-bundle",
    version: 1,
    what: "model bundle",
};
const AGAIN: &str = "train or copy the model again";

impl Bundle {
    /// Wraps a finished training.
    ///
    /// # Errors
    /// When the weights are not those of the document's network, which is a defect.
    pub fn new(document: Document, weights: Weights<f32>) -> Result<Self, ModelError> {
        let mut bundle = Self {
            document,
            weights,
            id: String::new(),
            blake3: String::new(),
        };
        bundle.blake3 = bundle.encode()?.1;
        bundle.id = short(&bundle.blake3);
        Ok(bundle)
    }

    fn layout(&self) -> Layout {
        odmn::training::<f32>(&self.document.spec)
            .graph
            .layout()
            .clone()
    }

    /// The bytes of its file.
    ///
    /// # Errors
    /// When they cannot be made, which is a defect.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelError> {
        Ok(self.encode()?.0)
    }

    /// The file's bytes and the checksum.
    pub(crate) fn encode(&self) -> Result<(Vec<u8>, String), ModelError> {
        let text = serde_json::to_string(&self.document).map_err(ModelError::internal)?;
        let layout = self.layout();
        let tensor = |p: &ltv_nn::Param| Tensor {
            name: p.name.clone(),
            shape: vec![p.rows, p.cols],
            values: self.weights.of(p),
        };
        let list: Vec<_> = layout.params.iter().map(tensor).collect();
        tensors::encode(FORMAT, &text, &list).map_err(ModelError::internal)
    }

    /// Writes the bundle, whole or not at all, and returns the model id.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<String, ModelError> {
        let (bytes, checksum) = self.encode()?;
        artefact::write(path, &bytes)?;
        Ok(short(&checksum))
    }

    /// Reads a bundle. Its checksum is verified before anything in it is believed, and its document
    /// before a network is built from it.
    ///
    /// # Errors
    /// When the file is missing, is not a bundle, is damaged, inconsistent or of a newer version.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|e| ltv_core::Error::io(path, "read", e))?;
        Self::decode(path, &bytes)
    }

    /// The bundle that a file at `path` holds, whose bytes these are; `path` is named in errors.
    ///
    /// # Errors
    /// As [`Bundle::load`].
    pub fn decode(path: &Path, bytes: &[u8]) -> Result<Self, ModelError> {
        let failed = |problem: String, hint: &'static str| ModelError::Bundle {
            path: path.to_path_buf(),
            problem,
            hint,
        };
        let unusable = |e: Unusable| {
            let hint = match &e {
                Unusable::Foreign { .. } => "give a file that 'ltv train' wrote",
                Unusable::Version { .. } => "update ltv to read it",
                _ => AGAIN,
            };
            failed(e.to_string(), hint)
        };
        let content = tensors::decode(FORMAT, bytes).map_err(unusable)?;
        let inconsistent = |problem: String| {
            let problem = format!("its document is not that of a model ({problem})");
            failed(problem, AGAIN)
        };
        let document: Document =
            serde_json::from_str(&content.document).map_err(|e| inconsistent(e.to_string()))?;
        check::document(&document, &content).map_err(inconsistent)?;
        let mut bundle = Self {
            document,
            weights: Weights::default(),
            id: short(&content.checksum),
            blake3: content.checksum.clone(),
        };
        let layout = bundle.layout();
        if layout.params.len() != content.count() {
            let (needed, found) = (layout.params.len(), content.count());
            let problem = format!("{found} tensors, but the network has {needed}");
            return Err(inconsistent(problem));
        }
        bundle.weights.dense = vec![0.0; layout.dense];
        bundle.weights.tables = vec![0.0; layout.table];
        for param in &layout.params {
            let out = bundle.weights.of_mut(param);
            let shape = [param.rows, param.cols];
            content.read(&param.name, &shape, out).map_err(unusable)?;
            if !out.iter().all(|w| w.is_finite()) {
                let problem = format!("'{}' has a weight that is not finite", param.name);
                return Err(inconsistent(problem));
            }
        }
        Ok(bundle)
    }
}

fn short(checksum: &str) -> String {
    checksum.chars().take(16).collect()
}
