//! A model file of any kind, ready to predict.

use crate::LabError;
use ltv_baselines::Peer;
use ltv_core::{
    Day, Error,
    baseline::Baselines,
    config::{HeadKind, Label, Split},
    predictor::Predictor,
};
use ltv_model::{Bundle, Decoding, Model, bundle::Document};
use std::{fs::File, io::Read, path::Path};

/// A model, and what whoever judges it must know.
pub struct Opened {
    /// Ready to predict.
    pub predictor: Box<dyn Predictor>,
    /// What it is, in a word: `odmn`, `ziln`, `two stage`.
    pub name: String,
    /// As-of date of its training dataset.
    pub as_of: Day,
    /// Observation window in days.
    pub window_days: u32,
    /// What its labels count.
    pub label: Label,
    /// Who trained and validated it.
    pub split: Split,
    /// What the simple rules need from its training rows.
    pub baselines: Baselines,
    /// Everything about it, where it is a network.
    pub network: Option<Document>,
}

/// Opens a bundle or a peer. `decoding` is how a network's values are decoded.
///
/// # Errors
/// When the file is missing, is neither, or is damaged.
pub fn open(path: &Path, decoding: Decoding) -> Result<Opened, LabError> {
    if path.is_dir() {
        return Err(LabError::NoModel {
            path: path.to_path_buf(),
            problem: "is a folder",
        });
    }
    if is_json(path)? {
        let peer = Peer::load(path)?;
        let document = peer.document().clone();
        return Ok(Opened {
            name: document.config.kind().replace('_', " "),
            as_of: document.as_of,
            window_days: document.window_days,
            label: document.label,
            split: document.split,
            baselines: document.baselines,
            network: None,
            predictor: Box::new(peer),
        });
    }
    let model = Model::new(Bundle::load(path)?, decoding)?;
    let document = model.document().clone();
    let head = match document.spec.model.head {
        HeadKind::Mdme => "odmn",
        HeadKind::Ziln => "ziln",
        HeadKind::Mixture => "mixture",
    };
    Ok(Opened {
        name: head.to_owned(),
        as_of: document.as_of,
        window_days: document.window_days,
        label: document.label,
        split: document.config.split.clone(),
        baselines: document.baselines.clone(),
        network: Some(document),
        predictor: Box::new(model),
    })
}

fn is_json(path: &Path) -> Result<bool, LabError> {
    let mut start = vec![];
    File::open(path)
        .and_then(|file| file.take(8).read_to_end(&mut start))
        .map_err(|e| Error::io(path, "read", e))?;
    Ok(is_peer(&start))
}

/// Whether a model's file that starts so, with 8 bytes at least where it has as many, is a peer's: peers are JSON
/// documents, and the header of a bundle starts with its length.
pub fn is_peer(start: &[u8]) -> bool {
    // A header of 123 bytes would start with a brace as well; then the next seven bytes tell.
    start.first() == Some(&b'{') && start.get(1..8) != Some(&[0; 7])
}
