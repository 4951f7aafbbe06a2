//! Where a dataset is made: a hidden folder that takes the place of a folder, or a prefix of a bucket, to which
//! finished files are uploaded one by one.

use crate::{DataError, Result};
use ltv_core::{
    artefact::{AtomicFolder, to_json},
    manifest::{DatasetManifest, FileEntry, MANIFEST},
    progress::Progress,
};
use ltv_files::{Publication, Site, Stores};
use std::path::{Path, PathBuf};

/// A dataset under construction. Dropped without a commit, it leaves nothing behind.
pub(super) enum Target {
    Local(AtomicFolder),
    Remote {
        out: PathBuf,
        publication: Box<Publication>,
    },
}

impl Target {
    /// Looks at what is at `out`, which must hold a dataset or nothing; what there is to know of it in an object
    /// store. Writes nothing.
    pub(super) fn look(out: &Path) -> Result<Option<Site>> {
        let Some(mut site) = Site::at(&Stores::default().place(out)?)? else {
            check_output(out)?;
            return Ok(None);
        };
        let old = site
            .manifest()
            .map(|bytes| DatasetManifest::parse(out, Some(bytes)));
        let old = old.transpose()?.map(|old| old.files).unwrap_or_default();
        match site.stranger(&old) {
            Some(entry) => Err(in_use(out, entry)),
            None => Ok(Some(site)),
        }
    }

    /// Starts the dataset that will be at `out`, at which has been [looked](Self::look). Files of one in an object
    /// store are made in `scratch`.
    pub(super) fn create(out: &Path, site: Option<Site>, scratch: &Path) -> Result<Self> {
        let Some(site) = site else {
            return Ok(Self::Local(AtomicFolder::create(out)?));
        };
        let publication = site.begin("a dataset\n", scratch)?;
        Ok(Self::Remote {
            out: out.to_path_buf(),
            publication: Box::new(publication),
        })
    }

    /// The folder of this machine where files are made.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Local(folder) => folder.path(),
            Self::Remote { publication, .. } => publication.path(),
        }
    }

    /// A folder of this machine for scratch files.
    pub(super) fn scratch(&self) -> &Path {
        match self {
            Self::Local(folder) => folder.scratch(),
            Self::Remote { publication, .. } => publication.scratch(),
        }
    }

    /// Takes a file that was made; its line in the manifest.
    pub(super) fn keep(&self, file: FileEntry) -> Result<FileEntry> {
        match self {
            Self::Local(_) => Ok(file),
            Self::Remote { publication, .. } => Ok(publication.add(file)?),
        }
    }

    /// Puts the dataset in the place of the old one.
    pub(super) fn commit(self, manifest: &DatasetManifest, progress: &dyn Progress) -> Result<()> {
        match self {
            Self::Local(folder) => {
                manifest.write(folder.path())?;
                // Whatever arrived there in the meantime is not ours to remove.
                check_output(folder.target())?;
                Ok(folder.commit()?)
            }
            Self::Remote { out, publication } => {
                let bytes = to_json(out.join(MANIFEST), manifest)?;
                Ok(publication.commit(bytes, &manifest.files, progress)?)
            }
        }
    }
}

/// A folder that is not empty must be a dataset and nothing else: only datasets are replaced.
fn check_output(out: &Path) -> Result<()> {
    match DatasetManifest::stranger(out)? {
        Some(entry) => Err(in_use(out, entry)),
        None => Ok(()),
    }
}

fn in_use(out: &Path, entry: String) -> DataError {
    DataError::OutputInUse {
        path: out.to_path_buf(),
        entry,
    }
}
