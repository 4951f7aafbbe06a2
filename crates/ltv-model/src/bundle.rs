//! A trained model in one file: safetensors, its weights as tensors and everything else as one
//! JSON document in the header's metadata.
//!
//! Metadata keys: `format` = `ltv-bundle`, `version`, `document` (JSON) and `blake3`, the checksum
//! of the document and of every tensor's name, shape and bytes in order. The first 16 digits of the
//! checksum are the model id: the same id, the same predictions.

use crate::{error::ModelError, odmn, spec::Spec};
use ltv_core::{
    Day, Horizons, artefact,
    baseline::Baselines,
    config::{Label, TrainConfig},
    encoding::Encoding,
};
use ltv_nn::{Layout, trainer::Weights};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, path::Path};

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
    /// Steps made until the best weights.
    pub steps: u64,
    /// Validations, in order.
    pub validations: Vec<Validation>,
}

/// One look at the validation rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// Steps made.
    pub step: u64,
    /// Mean negative log-likelihood of the true buckets, summed over horizons: what stops the
    /// training.
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
    /// The model id; empty until saved or loaded.
    pub id: String,
}

const FORMAT: &str = "ltv-bundle";
const VERSION: u32 = 1;
const AGAIN: &str = "train or copy the model again";

impl Bundle {
    /// Wraps a finished training.
    pub fn new(document: Document, weights: Weights<f32>) -> Self {
        let mut bundle = Self {
            document,
            weights,
            id: String::new(),
        };
        let layout = bundle.layout();
        let text = serde_json::to_string(&bundle.document).unwrap_or_default();
        bundle.id = short(&digest(&text, &bundle.tensors(&layout)));
        bundle
    }

    fn layout(&self) -> Layout {
        odmn::training::<f32>(&self.document.spec)
            .graph
            .layout()
            .clone()
    }

    /// Name, shape and little-endian bytes of every parameter, in order of declaration.
    fn tensors(&self, layout: &Layout) -> Vec<(String, Vec<usize>, Vec<u8>)> {
        let tensor = |p: &ltv_nn::Param| {
            let bytes = self
                .weights
                .of(p)
                .iter()
                .flat_map(|w| w.to_le_bytes())
                .collect();
            (p.name.clone(), vec![p.rows, p.cols], bytes)
        };
        layout.params.iter().map(tensor).collect()
    }

    /// Writes the bundle, whole or not at all, and returns the model id.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<String, ModelError> {
        let path = path.as_ref();
        let failed = |problem: String| ModelError::Bundle {
            path: path.to_path_buf(),
            problem,
            hint: "this is a defect: please report it",
        };
        let text = serde_json::to_string(&self.document).map_err(|e| failed(e.to_string()))?;
        let tensors = self.tensors(&self.layout());
        let checksum = digest(&text, &tensors);
        let metadata = HashMap::from([
            ("format".to_string(), FORMAT.to_string()),
            ("version".to_string(), VERSION.to_string()),
            ("document".to_string(), text),
            ("blake3".to_string(), checksum.clone()),
        ]);
        let mut views = vec![];
        for (name, shape, bytes) in &tensors {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
            views.push((name.clone(), view.map_err(|e| failed(e.to_string()))?));
        }
        let bytes = safetensors::serialize(views, Some(metadata));
        let bytes = bytes.map_err(|e| failed(e.to_string()))?;
        artefact::write(path, &sorted_header(&bytes).unwrap_or(bytes))?;
        Ok(short(&checksum))
    }

    /// Reads a bundle and checks it against its checksum.
    ///
    /// # Errors
    /// When the file is missing, is not a bundle, is damaged, or of a newer version.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|e| ltv_core::Error::io(path, "read", e))?;
        let failed = |problem: String, hint: &'static str| ModelError::Bundle {
            path: path.to_path_buf(),
            problem,
            hint,
        };
        let not_one = |e: safetensors::SafeTensorError| {
            failed(
                format!("not a model bundle, or a damaged one ({e})"),
                "give a file that 'ltv train' wrote",
            )
        };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(not_one)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let get = |key: &str| metadata.get(key).cloned().unwrap_or_default();
        if get("format") != FORMAT {
            let problem = "a safetensors file, but not a model bundle".to_string();
            return Err(failed(problem, "give a file that 'ltv train' wrote"));
        }
        let version = get("version");
        if version.parse::<u32>().map_or(true, |v| v > VERSION) {
            let problem = format!("written as version {version}, newest known is {VERSION}");
            return Err(failed(problem, "update ltv to read it"));
        }
        let file = SafeTensors::deserialize(&bytes).map_err(not_one)?;
        let document: Document = serde_json::from_str(&get("document"))
            .map_err(|e| failed(format!("its document cannot be read ({e})"), AGAIN))?;
        let mut bundle = Self {
            document,
            weights: Weights::default(),
            id: String::new(),
        };
        let layout = bundle.layout();
        bundle.weights.dense = vec![0.0; layout.dense];
        bundle.weights.tables = vec![0.0; layout.table];
        for param in &layout.params {
            let tensor = file
                .tensor(&param.name)
                .map_err(|_| failed(format!("tensor '{}' is missing", param.name), AGAIN))?;
            if tensor.dtype() != Dtype::F32 || tensor.shape() != [param.rows, param.cols] {
                let problem = format!("tensor '{}' has another shape or type", param.name);
                return Err(failed(problem, AGAIN));
            }
            let (words, _) = tensor.data().as_chunks::<4>();
            let out = bundle.weights.of_mut(param);
            out.iter_mut()
                .zip(words)
                .for_each(|(w, b)| *w = f32::from_le_bytes(*b));
        }
        let checksum = digest(&get("document"), &bundle.tensors(&layout));
        if checksum != get("blake3") {
            return Err(failed(
                "its checksum does not match: it is damaged".into(),
                AGAIN,
            ));
        }
        bundle.id = short(&checksum);
        Ok(bundle)
    }
}

fn short(checksum: &str) -> String {
    checksum.chars().take(16).collect()
}

fn digest(document: &str, tensors: &[(String, Vec<usize>, Vec<u8>)]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(document.as_bytes());
    for (name, shape, bytes) in tensors {
        hasher.update(format!("\n{name} {shape:?}\n").as_bytes());
        hasher.update(bytes);
    }
    hasher.finalize().to_hex().to_string()
}

/// The writer keeps metadata in a hash map, whose order changes from run to run; a bundle's bytes
/// must not. Rewrites the JSON header with sorted keys: an 8-byte length, the header padded with
/// spaces to a multiple of 8, and the data, as the format defines.
fn sorted_header(bytes: &[u8]) -> Option<Vec<u8>> {
    let length = usize::try_from(u64::from_le_bytes(*bytes.first_chunk()?)).ok()?;
    let header = bytes.get(8..8 + length)?;
    // serde_json's map is sorted.
    let value: serde_json::Value = serde_json::from_slice(header).ok()?;
    let mut text = serde_json::to_vec(&value).ok()?;
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut out = (text.len() as u64).to_le_bytes().to_vec();
    out.extend(text);
    out.extend(bytes.get(8 + length..)?);
    Some(out)
}
