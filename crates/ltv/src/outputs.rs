//! Files to write: one that is there is replaced only by another of its kind, so that a slip of the
//! keyboard never costs a model or an event log.

use crate::exit::Failure;
use ltv_core::Error;
use ltv_score::conversions::{Exported, is_conversions};
use serde_json::Value;
use std::{
    fs::{self, File},
    io::Read,
    path::Path,
};

/// Headers longer than this are none (the limit of the safetensors library).
const LONGEST: u64 = 100_000_000;

/// What a file is to hold.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Bundle,
    Checkpoint,
    Evaluation,
    Roi,
    Diff,
    Conversions,
    Onnx,
    Page,
}

/// How a page of ours begins, near enough the start.
const PAGE: &str = "<meta name=\"generator\" content=\"ltv\">";

/// Bytes in which it is looked for: they hold no letter that could be cut.
const LOOK: usize = 400;

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Bundle => "a model bundle",
            Self::Checkpoint => "a checkpoint",
            Self::Evaluation => "an evaluation",
            Self::Roi => "a document of 'ltv roi'",
            Self::Diff => "a comparison of snapshots",
            Self::Conversions => "a file of conversions",
            Self::Onnx => "a model that 'ltv export' wrote",
            Self::Page => "a report page",
        }
    }

    fn format(self) -> &'static str {
        match self {
            Self::Bundle => ltv_model::bundle::FORMAT.name,
            Self::Checkpoint => ltv_train::checkpoint::FORMAT.name,
            Self::Evaluation => ltv_eval::report::FORMAT,
            Self::Roi => ltv_eval::roi::document::FORMAT,
            Self::Diff => ltv_score::Diff::FORMAT,
            Self::Conversions => Exported::FORMAT,
            Self::Onnx => ltv_onnx::FORMAT,
            Self::Page => PAGE,
        }
    }
}

/// Asked before the work, so that it does not end with a refusal: whether `path` may be written.
///
/// # Errors
/// When it is a folder, or a file of another kind that is not empty.
pub(crate) fn check(path: &Path, kind: Kind) -> Result<(), Failure> {
    let Ok(metadata) = fs::metadata(path) else {
        return Ok(());
    };
    if metadata.is_dir() {
        let problem = "is a folder; give the name of a file to write";
        return Err(Failure::user(format!("{}: {problem}", path.display())));
    }
    if !metadata.is_file() {
        let problem = "is no file but a device or a pipe; give the name of a file to write";
        return Err(Failure::user(format!("{}: {problem}", path.display())));
    }
    if metadata.len() == 0 || format(path)?.is_some_and(|f| f == kind.format()) {
        return Ok(());
    }
    let (path, kind) = (path.display(), kind.name());
    Err(Failure::user(format!(
        "{path}: is there and is not {kind}, so it is not replaced; give another name, or delete it"
    )))
}

/// Whether two files to write are one, by whatever way they are named.
pub(crate) fn same(a: &Path, b: &Path) -> bool {
    let whole = |path: &Path| {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
        let folder = fs::canonicalize(folder.unwrap_or(Path::new("."))).ok();
        let there = fs::canonicalize(path).ok();
        there.or_else(|| Some(folder?.join(path.file_name()?)))
    };
    a == b || whole(a).is_some_and(|a| whole(b) == Some(a))
}

/// The format that a file says it has, if it is one of ours.
fn format(path: &Path) -> Result<Option<String>, Failure> {
    if let Some(header) = header(path)? {
        return Ok(header["__metadata__"]["format"].as_str().map(String::from));
    }
    let mut start = vec![];
    let file = File::open(path).map_err(|e| Error::io(path, "read", e))?;
    file.take(LOOK as u64)
        .read_to_end(&mut start)
        .map_err(|e| Error::io(path, "read", e))?;
    if ltv_onnx::is_export(&start) {
        return Ok(Some(ltv_onnx::FORMAT.to_owned()));
    }
    if is_conversions(&start) {
        return Ok(Some(Exported::FORMAT.to_owned()));
    }
    let text = fs::read_to_string(path).unwrap_or_default();
    if text
        .get(..LOOK.min(text.len()))
        .is_some_and(|start| start.contains(PAGE))
    {
        return Ok(Some(PAGE.to_owned()));
    }
    let document: Option<Value> = serde_json::from_str(&text).ok();
    Ok(document.and_then(|d| d["format"].as_str().map(String::from)))
}

/// The JSON header of a safetensors file; `None` when the file is no such thing.
pub(crate) fn header(path: &Path) -> Result<Option<Value>, Failure> {
    let failed = |e| Error::io(path, "read", e);
    let mut file = File::open(path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    let mut length = [0; 8];
    if size < 8 {
        return Ok(None);
    }
    file.read_exact(&mut length).map_err(failed)?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST.min(size - 8) {
        return Ok(None);
    }
    let mut text = vec![];
    file.take(length).read_to_end(&mut text).map_err(failed)?;
    Ok(serde_json::from_slice(&text).ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn one_file_has_many_names() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("in")).unwrap();
        assert!(same(&at("new"), &at("./new")) && same(&at("new"), &at("in/../new")));
        assert!(!same(&at("new"), &at("in/new")) && !same(&at("none/new"), &at("new")));
        fs::write(at("there"), "").unwrap();
        assert!(same(&at("there"), &at("in/../there")));
        assert!(same(Path::new("a"), Path::new("./a")) && !same(Path::new("a"), Path::new("b")));
    }

    #[test]
    fn only_the_same_kind_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str, text: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let json = br#"{"__metadata__":{"format":"ltv-bundle"}}"#;
        let bundle = [&(json.len() as u64).to_le_bytes()[..], json].concat();
        let bundle = at("model.ltv", &bundle);
        let evaluation = at("eval.json", br#"{"format": "ltv-evaluation"}"#);
        let log = at("events.parquet", b"PAR1 and much more");
        let page = at("report.html", format!("<!doctype html>\n{PAGE}").as_bytes());
        #[cfg(unix)]
        {
            let socket = folder.path().join("socket");
            let _bound = std::os::unix::net::UnixListener::bind(&socket).unwrap();
            assert!(check(&socket, Kind::Evaluation).is_err());
        }
        let onnx = at("model.onnx", b"\x08\x08\x12\x03ltv\x1a\x050.1.0");
        let foreign = at("torch.onnx", b"\x08\x08\x12\x07pytorch");
        check(&onnx, Kind::Onnx).unwrap();
        assert!(check(&foreign, Kind::Onnx).is_err());
        let csv = at(
            "google.csv",
            b"Google Click ID,Conversion Name,Conversion Time,Conversion Value,Conversion Currency,Order ID\n",
        );
        let table = at("users.csv", b"user_id,gclid\n");
        check(&csv, Kind::Conversions).unwrap();
        assert!(check(&table, Kind::Conversions).is_err());
        let other = at("index.html", b"<!doctype html>\n<title>mine</title>");
        check(&page, Kind::Page).unwrap();
        assert!(check(&other, Kind::Page).is_err());
        check(&bundle, Kind::Bundle).unwrap();
        check(&evaluation, Kind::Evaluation).unwrap();
        check(&at("empty", b""), Kind::Checkpoint).unwrap();
        check(&folder.path().join("new"), Kind::Bundle).unwrap();
        assert!(check(&bundle, Kind::Checkpoint).is_err());
        assert!(check(&bundle, Kind::Evaluation).is_err());
        for kind in [Kind::Bundle, Kind::Checkpoint, Kind::Evaluation] {
            assert!(check(&log, kind).is_err(), "{kind:?}");
            assert!(check(folder.path(), kind).is_err(), "{kind:?}");
        }
    }
}
