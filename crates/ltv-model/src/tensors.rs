//! What bundles and checkpoints share: one JSON document and named `f32` tensors in one
//! [safetensors](https://github.com/huggingface/safetensors) file, with a checksum over both.
//!
//! The header's metadata has the keys `format`, `version`, `document` and `blake3`, the checksum of
//! the document and of every tensor's name, shape and bytes, in order of name. It is verified
//! before anything in the file is believed.

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use std::collections::HashMap;

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// The value of the key `format`.
    pub name: &'static str,
    /// The newest version that this program knows, and the one it writes.
    pub version: u32,
    /// What people call it.
    pub what: &'static str,
}

/// A tensor to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor<'a> {
    /// Its name, unique in the file.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// As many values as the shape says.
    pub values: &'a [f32],
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// Not such a file at all, or one with a broken header.
    #[error("not a {what}, or a damaged one ({reason})")]
    Foreign {
        /// What it should be.
        what: &'static str,
        /// What the reader says.
        reason: String,
    },
    /// Written by a newer program.
    #[error("written as version {version}, newest known is {newest}")]
    Version {
        /// The version found.
        version: String,
        /// The newest known.
        newest: u32,
    },
    /// The content is not what was written.
    #[error("its checksum does not match: it is damaged")]
    Damaged,
    /// A tensor that is not there, or of another shape or type.
    #[error("tensor '{0}' is missing, or has another shape or type")]
    Tensor(String),
}

/// The content of a file whose checksum matched.
#[derive(Debug)]
pub struct Content<'a> {
    /// The document, as it was written.
    pub document: String,
    /// The checksum, in hexadecimal.
    pub checksum: String,
    tensors: Vec<Found<'a>>,
}

#[derive(Debug)]
struct Found<'a> {
    name: String,
    shape: Vec<usize>,
    bytes: &'a [u8],
}

/// The file's bytes, and its checksum. The same content always gives the same bytes.
///
/// # Errors
/// When a shape does not fit its values, which is a defect of the caller.
pub fn encode(
    format: Format,
    document: &str,
    tensors: &[Tensor<'_>],
) -> Result<(Vec<u8>, String), safetensors::SafeTensorError> {
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|t| to_bytes(t.values)).collect();
    let found = tensors.iter().zip(&bytes).map(|(t, bytes)| Found {
        name: t.name.clone(),
        shape: t.shape.clone(),
        bytes,
    });
    let mut found: Vec<Found<'_>> = found.collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let checksum = digest(document, &found);
    let metadata = HashMap::from([
        ("format".to_string(), format.name.to_string()),
        ("version".to_string(), format.version.to_string()),
        ("document".to_string(), document.to_string()),
        ("blake3".to_string(), checksum.clone()),
    ]);
    let mut views = vec![];
    for tensor in &found {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), tensor.bytes)?;
        views.push((tensor.name.as_str(), view));
    }
    let file = safetensors::serialize(views, Some(metadata))?;
    Ok((sorted_header(&file).unwrap_or(file), checksum))
}

/// Takes a file apart and verifies its checksum.
///
/// # Errors
/// When it is another kind of file, of a newer version, or damaged.
pub fn decode(format: Format, bytes: &[u8]) -> Result<Content<'_>, Unusable> {
    let foreign = |reason: String| Unusable::Foreign {
        what: format.what,
        reason,
    };
    let broken = |e: safetensors::SafeTensorError| foreign(e.to_string());
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let mut metadata = header.metadata().clone().unwrap_or_default();
    let mut take = |key: &str| metadata.remove(key).unwrap_or_default();
    if take("format") != format.name {
        return Err(foreign("its format is another".into()));
    }
    let version = take("version");
    let known = 1..=format.version;
    if !version.parse().is_ok_and(|v| known.contains(&v)) {
        let newest = format.version;
        return Err(Unusable::Version { version, newest });
    }
    let (document, checksum) = (take("document"), take("blake3"));
    let file = SafeTensors::deserialize(bytes).map_err(broken)?;
    let mut tensors = vec![];
    for (name, view) in file.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(Unusable::Tensor(name.to_string()));
        }
        tensors.push(Found {
            name: name.to_string(),
            shape: view.shape().to_vec(),
            bytes: view.data(),
        });
    }
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    if digest(&document, &tensors) != checksum {
        return Err(Unusable::Damaged);
    }
    Ok(Content {
        document,
        checksum,
        tensors,
    })
}

impl Content<'_> {
    /// Number of tensors.
    pub fn count(&self) -> usize {
        self.tensors.len()
    }

    /// Number of values in all tensors.
    pub fn values(&self) -> usize {
        self.tensors.iter().map(|t| t.bytes.len() / 4).sum()
    }

    /// Copies a tensor's values.
    ///
    /// # Errors
    /// When there is none of this name and shape.
    pub fn read(&self, name: &str, shape: &[usize], out: &mut [f32]) -> Result<(), Unusable> {
        let wrong = || Unusable::Tensor(name.to_string());
        let at = self.tensors.binary_search_by(|t| t.name.as_str().cmp(name));
        let tensor = &self.tensors[at.map_err(|_| wrong())?];
        let (words, _) = tensor.bytes.as_chunks::<4>();
        if tensor.shape != shape || words.len() != out.len() {
            return Err(wrong());
        }
        for (value, word) in out.iter_mut().zip(words) {
            *value = f32::from_le_bytes(*word);
        }
        Ok(())
    }
}

fn to_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn digest(document: &str, tensors: &[Found<'_>]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(document.as_bytes());
    for tensor in tensors {
        hasher.update(format!("\n{} {:?}\n", tensor.name, tensor.shape).as_bytes());
        hasher.update(tensor.bytes);
    }
    hasher.finalize().to_hex().to_string()
}

/// The writer keeps metadata in a hash map, whose order changes from run to run; a file's bytes
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
