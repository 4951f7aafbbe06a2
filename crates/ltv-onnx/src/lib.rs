//! A model's scoring graph as ONNX: from the columns of a dataset to the columns of a snapshot, so that
//! ONNX Runtime, Triton or a JVM can serve a bundle without any code of ours.
//!
//! | module | holds |
//! |---|---|
//! | `inputs` | the encoding: bins by binary search, vocabularies, scaled numbers, ages of cohorts |
//! | `network` | the engine's operations, one by one |
//! | `decode` | distributions to values, quantiles and P(value > 0), in order across horizons |
//! | `search` | binary search in many tables at once |
//! | `graph` | a graph under construction |
//! | `proto` | the messages of ONNX |
//! | [`error`] | what can go wrong, and whose fault it is |
//!
//! The network runs in single precision and everything around it in double, as in `ltv score`
//! (docs/decisions/0024-onnx.md; the file's layout is in docs/formats/onnx.md).

mod decode;
pub mod error;
mod graph;
mod inputs;
mod network;
mod proto;
mod search;

pub use error::OnnxError;
pub use inputs::{Column, ColumnKind};

use graph::{FEATURES, Graph};
use ltv_core::{config::Label, predictor::Predictor};
use ltv_model::Model;
use prost::Message;
use proto::{Element, ModelProto, OperatorSetIdProto, StringStringEntryProto};

/// How the metadata says what a file is.
pub const FORMAT: &str = "ltv-onnx";
/// The version of its layout.
pub const VERSION: u32 = 1;
/// Who wrote it, in the file's own field.
const PRODUCER: &str = "ltv";
/// Version of the file format; of the operators; of those for features. What ONNX 1.12 brought together:
/// everything since reads it.
const IR_VERSION: i64 = 8;
const OPERATORS: i64 = 17;
const FEATURE_OPERATORS: i64 = 3;

/// A scoring graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    /// The file.
    pub bytes: Vec<u8>,
    /// The columns that it reads, in order.
    pub inputs: Vec<Column>,
    /// The columns that it gives, in order; all numbers in double precision.
    pub outputs: Vec<String>,
    /// What stands for a missing category.
    pub missing_text: String,
}

/// Writes the scoring graph of a model, with the model's decoding. The same model gives the same bytes.
///
/// # Errors
/// When ONNX cannot say what the model does, two of its columns would be one, or it is too large.
pub fn export(model: &Model) -> Result<Export, OnnxError> {
    let document = model.document();
    let mut g = Graph::default();
    let (columns, inputs) = inputs::build(&mut g, &document.encoding)?;
    let mut nodes = network::build(&mut g, model.network().steps(), &inputs)?;
    let outputs = decode::build(&mut g, &mut nodes, model.decoder(), &document.horizons)?;
    for output in &outputs {
        if let Some(column) = columns.iter().find(|c| c.name == output.name) {
            return Err(OnnxError::Column {
                column: column.name.clone(),
                first: column.kind.name(),
                second: "an output",
            });
        }
        g.output(&output.name, Element::Double, output.about, output.value);
    }
    let missing_text = inputs::missing_text(&document.encoding);
    let file = ModelProto {
        ir_version: IR_VERSION,
        producer_name: PRODUCER.to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(g.finish("ltv")),
        opset_import: operators(),
        metadata_props: metadata(model, &missing_text),
    };
    let size = file.encoded_len();
    if size > OnnxError::MOST_BYTES {
        return Err(OnnxError::TooLarge { bytes: size });
    }
    Ok(Export {
        bytes: file.encode_to_vec(),
        inputs: columns,
        outputs: outputs.into_iter().map(|o| o.name).collect(),
        missing_text,
    })
}

/// Whether a file that begins so was written here.
pub fn is_export(start: &[u8]) -> bool {
    // Field 1, its number below 128; field 2, three letters.
    matches!(start, [8, 0..128, 18, 3, b'l', b't', b'v', ..])
}

fn operators() -> Vec<OperatorSetIdProto> {
    let set = |domain: &str, version| OperatorSetIdProto {
        domain: domain.to_owned(),
        version,
    };
    vec![set("", OPERATORS), set(FEATURES, FEATURE_OPERATORS)]
}

fn metadata(model: &Model, missing_text: &str) -> Vec<StringStringEntryProto> {
    let document = model.document();
    let days: Vec<String> = document
        .horizons
        .days()
        .iter()
        .map(u32::to_string)
        .collect();
    let label = match document.label {
        Label::ActiveDays => "active_days",
        Label::Value => "value",
    };
    let entry = |(key, value): (&str, String)| StringStringEntryProto {
        key: key.to_owned(),
        value,
    };
    let entries = [
        ("format", FORMAT.to_owned()),
        ("version", VERSION.to_string()),
        ("model_id", model.model_id().to_owned()),
        ("decoding", model.decoding().to_string()),
        ("horizons", days.join(",")),
        ("label", label.to_owned()),
        ("window_days", document.window_days.to_string()),
        ("as_of", document.as_of.to_string()),
        ("monotone", model.decoder().order().is_some().to_string()),
        ("missing_text", missing_text.to_owned()),
    ];
    entries.map(entry).into()
}
