//! Where a training stands, from the header of its checkpoint: a safetensors file, like a bundle.

use crate::{
    exit::Failure,
    report::{Facts, Report, count},
};
use ltv_core::Error;
use serde_json::{Value, json};
use std::{fs::File, io::Read, path::Path};

/// Whether it is that of a checkpoint, of any version.
pub(super) fn is_one(header: &Value) -> bool {
    let format = header["__metadata__"]["format"].as_str();
    format.is_some_and(|f| f.starts_with(ltv_train::checkpoint::FORMAT.name))
}

/// What a checkpoint holds, on less than a screen.
pub(super) fn report(path: &Path, header: &Value) -> Result<Report, Failure> {
    let metadata = &header["__metadata__"];
    let format = metadata["format"].as_str().unwrap_or_default();
    let position: Value = metadata["document"]
        .as_str()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    check_size(path, header)?;
    let mut facts = Facts::default();
    facts.add("format", format);
    for key in ["epoch", "batches", "steps"] {
        if let Some(n) = position[key].as_u64() {
            let name = match key {
                "epoch" => "epochs finished",
                "batches" => "batches of the next",
                _ => "steps",
            };
            facts.add(name, count(n));
        }
    }
    if let Some(validations) = position["validations"].as_array() {
        facts.add("validations", validations.len());
    }
    if let (Some(loss), Some(step)) = (position["best"][0].as_f64(), position["best"][1].as_u64()) {
        let best = format!("{loss:.4} at step {}", count(step));
        facts.add("best validation loss", best);
    }
    let title = format!(
        "{}: a checkpoint of a training that is not finished",
        path.display()
    );
    let next = "next: the same 'ltv train' again with --checkpoint and --resume; a checkpoint is not a \
                model\n";
    let json = json!({ "kind": "checkpoint", "format": format, "position": position });
    Report::new(facts.text(&title) + next, &json)
}

/// The file ends where its last tensor does.
fn check_size(path: &Path, header: &Value) -> Result<(), Failure> {
    let failed = |e| Error::io(path, "read", e);
    let mut file = File::open(path).map_err(failed)?;
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let tensors = header.as_object().into_iter().flatten();
    let ends = tensors.filter_map(|(_, tensor)| tensor["data_offsets"][1].as_u64());
    let expected = u64::from_le_bytes(length)
        .saturating_add(8)
        .saturating_add(ends.max().unwrap_or(0));
    if size == expected {
        return Ok(());
    }
    let problem = format!("a checkpoint of {size} bytes that should have {expected}");
    Err(Error::artefact(path, problem, "delete it and train from the start").into())
}
