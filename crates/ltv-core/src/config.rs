//! Every option of every command. A configuration is read once, checked once at the edge, and
//! valid by type from then on.

mod auto;
mod balance;
mod features;
mod model;
mod represent;
mod split;
mod train;

pub use auto::{Auto, batch_for, dropout_for};
pub use balance::{Balance, ClassFactor, ClassFactors, has_value};
pub use features::{
    Aggregate, DatasetOptions, EventColumns, FeatureConfig, Holidays, Label, Measure, Sequence,
    UserColumns,
};
pub use model::{Cut, HeadKind, ModelConfig, Mono};
pub use represent::{Backbone, Cross, DayEncoder};
pub use split::{Mature, Part, Split};
pub use train::{EncodingOptions, FitOptions, Schedule, TrainConfig, WarmStart};

use crate::{Error, Result};
use serde::de::DeserializeOwned;
use std::path::Path;

/// Reads a TOML configuration file. Unknown keys are errors.
///
/// # Errors
/// When the file is missing, is not TOML, or has a key or a type that the configuration lacks.
pub fn read_toml<T: DeserializeOwned>(path: impl AsRef<Path>) -> Result<T> {
    let path = path.as_ref();
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, "read", e))?;
    parse_toml(path, &text)
}

/// A TOML configuration that has been read from `path`. Unknown keys are errors.
///
/// # Errors
/// When it is not TOML, or has a key or a type that the configuration lacks.
pub fn parse_toml<T: DeserializeOwned>(path: impl AsRef<Path>, text: &str) -> Result<T> {
    toml::from_str(text).map_err(|e| Error::ConfigFile {
        path: path.as_ref().to_path_buf(),
        problem: e.to_string().trim_end().to_string(),
    })
}

/// Lays the values of `over` over those of `base`, table by table.
pub fn merge(base: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(over)) => merge(inner, over),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}
