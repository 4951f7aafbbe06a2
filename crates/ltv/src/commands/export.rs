//! `ltv export`: a bundle's scoring graph for other programs.

use super::Context;
use crate::{
    cli::Common,
    exit::Failure,
    options::Overlay,
    outputs::{self, Kind},
    report::{Facts, Report, count},
};
use clap::Args;
use ltv_core::{artefact, predictor::Predictor};
use ltv_model::{Decoding, Model};
use ltv_onnx::{Column, ColumnKind, Export};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Export a model's scoring graph as ONNX, to be served without ltv
#[derive(Debug, Args)]
#[command(after_help = "Example:
  ltv export --model model.ltv --onnx model.onnx")]
pub(crate) struct Flags {
    /// The bundle
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// File to write: from the columns of a dataset to those of a snapshot
    #[arg(long, value_name = "FILE")]
    onnx: PathBuf,
    /// expectation, matched, argmax, median or quantile:P [default: expectation]
    #[arg(long, value_name = "NAME")]
    decoding: Option<Decoding>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options of the configuration file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    decoding: Decoding,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            decoding: Decoding::Expectation,
        }
    }
}

/// What was written.
#[derive(Serialize)]
struct Written<'a> {
    model_id: &'a str,
    decoding: String,
    bytes: usize,
    numbers: Vec<&'a str>,
    texts: Vec<&'a str>,
    days: Vec<&'a str>,
    missing_text: &'a str,
    outputs: &'a [String],
}

/// Exports and says what was written.
pub(crate) fn run(flags: &Flags, _: &Context) -> Result<Report, Failure> {
    let mut options = Overlay::default().file(flags.common.config.as_deref())?;
    options.set("decoding", flags.decoding)?;
    let options: Options = options.resolve()?;
    outputs::check(&flags.onnx, Kind::Onnx)?;
    let model = Model::new(super::bundle(&flags.model)?, options.decoding)?;
    let export = ltv_onnx::export(&model)?;
    artefact::write(&flags.onnx, &export.bytes)?;
    let written = written(&model, &export);
    let title = format!("{}: scoring graph as ONNX", flags.onnx.display());
    Report::new(text(&title, &written), &written)
}

fn written<'a>(model: &'a Model, export: &'a Export) -> Written<'a> {
    let of = |kind| {
        let columns = export
            .inputs
            .iter()
            .filter(move |c: &&Column| c.kind == kind);
        columns.map(|c| c.name.as_str()).collect()
    };
    Written {
        model_id: model.model_id(),
        decoding: model.decoding().to_string(),
        bytes: export.bytes.len(),
        numbers: of(ColumnKind::Number),
        texts: of(ColumnKind::Text),
        days: of(ColumnKind::Day),
        missing_text: &export.missing_text,
        outputs: &export.outputs,
    }
}

fn text(title: &str, written: &Written<'_>) -> String {
    let mut facts = Facts::default();
    facts.add("model", written.model_id);
    facts.add("decoding", &written.decoding);
    facts.add("bytes", count(written.bytes as u64));
    let mut columns = |name: &str, kind: &str, list: &[&str]| match list {
        [] => {}
        [one] => facts.add(name, format!("{one}, {kind}")),
        [first, .., last] => {
            let many = format!("{} columns, {first} to {last}, {kind}", list.len());
            facts.add(name, many);
        }
    };
    columns("numbers", "float64, NaN where missing", &written.numbers);
    let missing = match written.missing_text {
        "" => "string, empty where missing".to_owned(),
        text => format!("string, '{text}' where missing"),
    };
    columns("texts", &missing, &written.texts);
    columns("days", "int64, days since 1970-01-01", &written.days);
    facts.add("outputs", written.outputs.join(", "));
    facts.text(title)
}
