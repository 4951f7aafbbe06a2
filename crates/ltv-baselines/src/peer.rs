//! A fitted peer: its prediction, and its file.
//!
//! The file is one JSON object `{"format", "version", "blake3", "document"}` (docs/formats/peer.md).
//! The checksum is that of the document's bytes as they stand in the file, and is verified before
//! anything in the document is believed. Its first 16 digits are the model id.

mod check;
mod model;
#[cfg(test)]
mod tests;

pub use crate::forest::Groups;
pub(crate) use check::sound_edges;
pub use model::{Fitted, Part, Spread, Two};

use crate::{config::PeerConfig, error::BaselineError, rows::Frame};
use ltv_core::{
    Day, Horizons, artefact,
    baseline::Baselines,
    config::{Label, Split},
    encoding::{EncodedRows, Encoding},
    predictor::{Predictions, Predictor},
};
use model::Ready;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::path::Path;

/// Everything about a peer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Horizons, ascending.
    pub horizons: Horizons,
    /// Observation window of its training dataset, in days.
    pub window_days: u32,
    /// What its labels count.
    pub label: Label,
    /// As-of date of its training dataset.
    pub as_of: Day,
    /// Who of the dataset trained and validated.
    pub split: Split,
    /// Fitted feature encoding.
    pub encoding: Encoding,
    /// The configuration it was fitted with.
    pub config: PeerConfig,
    /// How the fit went.
    pub record: Record,
    /// What the simple rules it is compared with need from the training rows.
    pub baselines: Baselines,
    /// What was fitted.
    pub model: Fitted,
}

/// How a fit went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The seed.
    pub seed: u64,
    /// Training rows.
    pub train_rows: u64,
    /// Validation rows.
    pub validation_rows: u64,
    /// Each model made of trees, in order of horizon, group and stage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageRecord>,
}

/// What a model made of trees is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The value, on all users.
    Value,
    /// P(value > 0), on all users.
    Positive,
    /// The value of users above 0, on them alone.
    Amount,
}

/// How one model made of trees was fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageRecord {
    /// The horizon in days.
    pub horizon: u32,
    /// What the model is for.
    pub stage: Stage,
    /// Its group of users, where there are groups; `all` stands in for a small one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Rows it was fitted on.
    pub train_rows: u64,
    /// Rows that stopped it and chose its setting.
    pub validation_rows: u64,
    /// The setting chosen, where there was a choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setting: Option<crate::config::Setting>,
    /// Rounds kept; 0 for a constant: all labels were the same, or nothing could stop it.
    pub rounds: u32,
    /// Best validation loss, of its own objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// What it was chosen by, the smaller the better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

/// A fitted peer, ready to predict.
#[derive(Debug)]
pub struct Peer {
    document: Document,
    text: String,
    checksum: String,
    ready: Ready,
}

/// How its file says what it is.
pub const FORMAT: &str = "ltv-peer";
/// The newest version that this program knows, and the one it writes.
pub const VERSION: u32 = 1;

const AGAIN: &str = "fit or copy the peer again";

/// What a file holds, before its document is read.
#[derive(Deserialize)]
struct Envelope<'a> {
    format: String,
    version: u32,
    blake3: String,
    #[serde(borrow)]
    document: &'a RawValue,
}

/// Only what tells files of this kind, whatever else a newer version may hold.
#[derive(Deserialize)]
struct Kind {
    format: String,
    version: u32,
}

impl Peer {
    /// Wraps a finished fit.
    ///
    /// # Errors
    /// When the document contradicts itself, which is a defect, or its trees need a library that
    /// this build does not have.
    pub fn new(document: Document) -> Result<Self, BaselineError> {
        let text = serde_json::to_string(&document).map_err(BaselineError::internal)?;
        check::document(&document).map_err(BaselineError::internal)?;
        Ok(Self {
            checksum: blake3::hash(text.as_bytes()).to_hex().to_string(),
            text,
            ready: Ready::new(&document)?,
            document,
        })
    }

    pub(crate) fn from_parts(
        frame: Frame,
        config: PeerConfig,
        record: Record,
        baselines: Baselines,
        model: Fitted,
    ) -> Result<Self, BaselineError> {
        Self::new(Document {
            horizons: frame.horizons,
            window_days: frame.window_days,
            label: frame.label,
            as_of: frame.as_of,
            split: frame.split,
            encoding: frame.encoding,
            config,
            record,
            baselines,
            model,
        })
    }

    /// Everything about the peer.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// The content of its file.
    pub fn bytes(&self) -> String {
        let (sum, text) = (&self.checksum, &self.text);
        format!(
            "{{\"format\":\"{FORMAT}\",\"version\":{VERSION},\"blake3\":\"{sum}\",\"document\":{text}}}\n"
        )
    }

    /// Writes the peer, whole or not at all, and returns the model id.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<String, BaselineError> {
        artefact::write(path, self.bytes().as_bytes())?;
        Ok(self.model_id().to_string())
    }

    /// Reads a peer. Its checksum is verified before anything in it is believed, and its document
    /// before anything is predicted with it. A model made of trees is handed to XGBoost's own
    /// reader, which is trusted with files whose checksum was made on purpose.
    ///
    /// # Errors
    /// When the file is missing, is not a peer, is damaged, inconsistent or of a newer version, or
    /// needs XGBoost in a build without.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, BaselineError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|e| ltv_core::Error::io(path, "read", e))?;
        Self::parse(path, &bytes)
    }

    /// The peer that a file at `path` holds, whose bytes these are; `path` is named in errors.
    ///
    /// # Errors
    /// As [`Peer::load`].
    pub fn parse(path: impl AsRef<Path>, bytes: &[u8]) -> Result<Self, BaselineError> {
        let path = path.as_ref();
        let failed = |(problem, hint): Refusal| BaselineError::File {
            path: path.to_path_buf(),
            problem,
            hint,
        };
        let (document, text, checksum) = decode(bytes).map_err(failed)?;
        let ready = Ready::new(&document).map_err(|e| match e {
            BaselineError::Xgboost { .. } => failed((e.to_string(), AGAIN)),
            other => other,
        })?;
        Ok(Self {
            document,
            text,
            checksum,
            ready,
        })
    }
}

/// What is wrong with a file, and what to do.
type Refusal = (String, &'static str);

fn decode(bytes: &[u8]) -> Result<(Document, String, String), Refusal> {
    const FOREIGN: &str = "give a file that a fit of a peer wrote";
    let foreign = |e: serde_json::Error| (format!("not a peer, or a damaged one ({e})"), FOREIGN);
    let kind: Kind = serde_json::from_slice(bytes).map_err(foreign)?;
    if kind.format != FORMAT {
        let problem = format!("not a peer: its format is '{}'", kind.format);
        return Err((problem, FOREIGN));
    }
    if !(1..=VERSION).contains(&kind.version) {
        let problem = format!(
            "written as version {}, newest known is {VERSION}",
            kind.version
        );
        return Err((problem, "update ltv to read it"));
    }
    let envelope: Envelope<'_> = serde_json::from_slice(bytes).map_err(foreign)?;
    let text = envelope.document.get();
    let found = blake3::hash(text.as_bytes()).to_hex().to_string();
    if found != envelope.blake3 {
        return Err(("its checksum does not match: it is damaged".into(), AGAIN));
    }
    let inconsistent = |problem: String| {
        let problem = format!("its document is not that of a peer ({problem})");
        (problem, AGAIN)
    };
    let document: Document = serde_json::from_str(text).map_err(|e| inconsistent(e.to_string()))?;
    check::document(&document).map_err(inconsistent)?;
    debug_assert_eq!(
        (envelope.format.as_str(), envelope.version),
        (FORMAT, kind.version)
    );
    Ok((document, text.to_string(), found))
}

impl Predictor for Peer {
    fn model_id(&self) -> &str {
        &self.checksum[..16]
    }

    fn horizons(&self) -> &Horizons {
        &self.document.horizons
    }

    fn encoding(&self) -> &Encoding {
        &self.document.encoding
    }

    fn predict(&self, rows: &EncodedRows) -> Predictions {
        self.ready.predict(&self.document, rows)
    }
}
