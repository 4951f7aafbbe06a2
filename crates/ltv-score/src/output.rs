//! Where a snapshot is made, part by part: what is known of finished ones is written down beside them, and a run that
//! is started again goes on with those.

mod local;
mod remote;

use crate::{ScoreError, part::Made};
use arrow::datatypes::{DataType, Schema};
use local::Local;
pub(crate) use local::check_output;
use ltv_core::{manifest::SnapshotManifest, progress::Progress};
use ltv_data::part::{PartError, PartFile};
use ltv_files::{Site, Stores};
use parquet::file::properties::WriterProperties;
use remote::Remote;
use std::path::Path;

/// A snapshot under construction.
pub(crate) enum Output {
    /// In a folder of this machine.
    Local(Local),
    /// Below a prefix of a bucket.
    Remote(Box<Remote>),
}

impl Output {
    /// Starts the snapshot that will be at `out`, which must be replaceable, or goes on with one for the
    /// same purpose; with what is known of the parts that are there, of so many. Parts of an output in an object
    /// store are made in `scratch`.
    pub(crate) fn begin(
        out: &Path,
        (purpose, scratch): (&str, &Path),
        parts: usize,
    ) -> Result<(Self, Vec<Option<Made>>), ScoreError> {
        match Site::at(&Stores::default().place(out)?)? {
            None => {
                let (local, made) = Local::begin(out, purpose, parts)?;
                Ok((Self::Local(local), made))
            }
            Some(site) => {
                let (remote, made) = Remote::begin(out, site, (purpose, scratch), parts)?;
                Ok((Self::Remote(Box::new(remote)), made))
            }
        }
    }

    /// The folder of this machine where parts are made.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Local(local) => local.path(),
            Self::Remote(remote) => remote.path(),
        }
    }

    /// What the time of [`keep`](Self::keep) goes into.
    pub(crate) fn work(&self) -> &'static str {
        match self {
            Self::Local(_) => "writing",
            Self::Remote(_) => "uploading",
        }
    }

    /// Takes a part that was made, and writes down what is known of it, so that no run has to make it again;
    /// what the manifest will say of it.
    pub(crate) fn keep(&self, number: usize, made: Made) -> Result<Made, ScoreError> {
        match self {
            Self::Local(local) => local.keep(number, &made).map(|()| made),
            Self::Remote(remote) => remote.keep(number, made),
        }
    }

    /// Puts the snapshot in the place of the old one.
    pub(crate) fn commit(
        self,
        manifest: &SnapshotManifest,
        progress: &dyn Progress,
    ) -> Result<(), ScoreError> {
        match self {
            Self::Local(local) => local.commit(manifest),
            Self::Remote(remote) => remote.commit(manifest, progress),
        }
    }
}

/// The name of a part's record: `part-00000.json` for part 0, and so on.
fn record_name(number: usize) -> String {
    let name = Path::new(&PartFile::name(number)).with_extension("json");
    name.display().to_string()
}

/// As all artefacts are written, but for predictions, no two of which are equal: looking each up in a
/// dictionary takes longer than all the rest.
pub(crate) fn properties(schema: &Schema) -> WriterProperties {
    let mut properties = PartFile::properties().into_builder();
    for field in schema.fields() {
        if *field.data_type() == DataType::Float64 {
            let column = field.name().as_str().into();
            properties = properties.set_column_dictionary_enabled(column, false);
        }
    }
    properties.build()
}

impl From<PartError> for ScoreError {
    fn from(error: PartError) -> Self {
        match error {
            PartError::Core(error) => error.into(),
            PartError::Write { path, source } => Self::Write { path, source },
        }
    }
}
