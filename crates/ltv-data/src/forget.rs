//! Users vanish from artefacts of Parquet files: what is common to datasets and snapshots, and datasets.
//!
//! ```text
//!   look: read every file's ids --> whole files are linked, others written anew --> manifest --> in its place
//!   afterwards: everything is read again from disk
//! ```
//!
//! Files are never changed in place. The new folder is made beside the old one and takes its place in one step, which is
//! then removed: a kill anywhere leaves one or the other, whole, and a second call removes what the first had not. Memory
//! depends on the number of threads and the size of a row group alone.

mod dataset;
mod error;
mod users;

pub use dataset::{DataFolder, data_folders};
pub use error::ForgetError;
pub use users::Users;

use crate::part::PartFile;
use arrow::{
    array::{BooleanArray, RecordBatch},
    compute::filter_record_batch,
    datatypes::Schema,
};
use ltv_core::{
    Error,
    address::is_address,
    artefact::{self, AtomicFolder},
    manifest::{FileEntry, MANIFEST},
    progress::Progress,
};
use ltv_files::{Part, Place, Stores};
use parquet::file::properties::WriterProperties;
use rayon::prelude::*;
use serde::Serialize;
use std::{
    fs,
    path::{Path, PathBuf},
};
use users::Ids;

/// A kind of artefact that users may have to vanish from: what its manifest says of its files.
pub trait Artefact: Sized + Sync {
    /// What has to be known of a file's rows to describe the artefact without some of them.
    type Seen: Default + Send;
    /// What people call it.
    const KIND: &'static str;
    /// How many users it has at least.
    const LEAST: u64;

    /// Reads its manifest.
    ///
    /// # Errors
    /// When there is none, or it is of another kind.
    fn read(folder: &Path) -> ltv_core::Result<Self>;

    /// The first entry of the folder that is no part of it.
    ///
    /// # Errors
    /// When it cannot be listed.
    fn stranger(folder: &Path) -> ltv_core::Result<Option<String>>;

    /// Its files.
    fn files(&self) -> &[FileEntry];

    /// The columns that [`Artefact::see`] looks at.
    fn columns(&self) -> Vec<String>;

    /// Looks at rows of a file; `stays`: who does.
    ///
    /// # Errors
    /// When a column is not what it should be.
    fn see(
        &self,
        rows: (&RecordBatch, &Path),
        stays: &BooleanArray,
        seen: &mut Self::Seen,
    ) -> Result<(), ForgetError>;

    /// The same of fewer users: of these files, and `removed` rows less.
    fn without(self, files: Vec<FileEntry>, removed: u64, seen: Vec<Self::Seen>) -> Self;

    /// Writes its manifest.
    ///
    /// # Errors
    /// When the disk is full.
    fn write(&self, folder: &Path) -> ltv_core::Result<()>;

    /// How its files are written.
    fn properties(schema: &Schema) -> WriterProperties;
}

/// What became of an artefact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Forgotten {
    /// Its folder.
    pub path: PathBuf,
    /// What it is.
    pub kind: &'static str,
    /// BLAKE3 checksum of the manifest that it had, in hexadecimal.
    pub before: String,
    /// The same of the one it has; the same where none of the users was there, and after a rehearsal.
    pub after: String,
    /// Rows that it had.
    pub rows_before: u64,
    /// Rows that it has; after a rehearsal, would have.
    pub rows: u64,
    /// Names of the files that held some of the users, and were written anew or, holding nobody else, left out.
    pub rewritten: Vec<String>,
    /// Rows of each user that were removed, in the order in which users were given.
    pub removed: Vec<u64>,
    /// What was read again when all was done; none after a rehearsal.
    pub proof: Option<Proof>,
}

/// What was read again from disk, each byte. It is what the manifest says, and none of the users was among it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// Parquet files.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// What is to be done with an artefact: nothing is changed yet.
pub struct Plan<'a, A: Artefact> {
    users: &'a Users,
    folder: PathBuf,
    artefact: A,
    before: String,
    /// Of each file, rows of each user.
    found: Vec<Vec<u64>>,
    seen: Vec<A::Seen>,
    /// Held until it is done; none of a rehearsal.
    work: Option<AtomicFolder>,
}

impl<'a, A: Artefact> Plan<'a, A> {
    /// Looks for `users` in the artefact in `folder`: reads all of it. Without `rehearse`, nobody else can make it anew by a
    /// run that may be resumed until the plan is carried out or dropped, and what such a run left behind is removed.
    ///
    /// # Errors
    /// When `folder` holds none, or something that is no part of it; nobody would be left and somebody has to be; a user's id cannot be one of its; a file is a link or
    /// not the one that was written.
    pub fn make(
        folder: &Path,
        users: &'a Users,
        rehearse: bool,
        progress: &dyn Progress,
    ) -> Result<Self, ForgetError> {
        if is_address(folder) {
            return Err(ForgetError::Remote(folder.to_path_buf()));
        }
        // Before anything is made beside what is none.
        A::read(folder)?;
        let work = match rehearse {
            true => None,
            false => Some(AtomicFolder::alone(folder)?),
        };
        let artefact = A::read(folder)?;
        check(folder, &artefact)?;
        let before = artefact::checksum(folder.join(MANIFEST))?;
        let rows = artefact.files().iter().map(|file| file.rows).sum();
        progress.start("look", Some(rows));
        let place = Stores::default().place(folder)?;
        let looked = artefact.files().par_iter();
        let looked = looked.map(|entry| look(&artefact, &place, entry, (users, progress)));
        let looked = looked.collect::<Result<Vec<_>, ForgetError>>()?;
        progress.finish();
        let (found, seen) = looked.into_iter().unzip();
        let plan = Self {
            users,
            folder: folder.to_path_buf(),
            artefact,
            before,
            found,
            seen,
            work,
        };
        match plan.rehearsed().rows < A::LEAST {
            true => Err(ForgetError::Nobody(plan.folder)),
            false => Ok(plan),
        }
    }

    /// What it would come to.
    pub fn rehearsed(&self) -> Forgotten {
        let sum = |user: usize| self.found.iter().map(|file| file[user]).sum();
        let removed: Vec<u64> = (0..self.users.len()).map(sum).collect();
        let files = self.artefact.files();
        let holding = files.iter().zip(&self.found);
        let holding = holding.filter(|(_, found)| found.iter().any(|&rows| rows > 0));
        let rows_before = files.iter().map(|file| file.rows).sum::<u64>();
        Forgotten {
            path: self.folder.clone(),
            kind: A::KIND,
            before: self.before.clone(),
            after: self.before.clone(),
            rows_before,
            rows: rows_before - removed.iter().sum::<u64>(),
            rewritten: holding.map(|(file, _)| file.path.clone()).collect(),
            removed,
            proof: None,
        }
    }

    /// Puts the artefact without the users in its place, where they are in it, and then reads it again, whole.
    ///
    /// # Errors
    /// When it was replaced meanwhile, or cannot be written: it is then as it was. When
    /// the old files cannot be removed. As a defect: when somebody is still found.
    pub fn carry_out(self, progress: &dyn Progress) -> Result<Forgotten, ForgetError> {
        let mut done = self.rehearsed();
        let Self {
            users,
            folder,
            artefact,
            before,
            found,
            seen,
            work,
        } = self;
        if let (Some(work), true) = (work, done.rows < done.rows_before) {
            let place = Stores::default().place(&folder)?;
            let files = artefact.files().iter().zip(&found);
            let kept = files.map(|(entry, found)| {
                progress.start("rewrite", Some(entry.rows));
                keep::<A>(
                    (&place, &folder),
                    entry,
                    (found, users),
                    work.path(),
                    progress,
                )
            });
            let kept = kept.collect::<Result<Vec<_>, ForgetError>>()?;
            progress.finish();
            let removed = done.rows_before - done.rows;
            let kept = kept.into_iter().flatten().collect();
            artefact.without(kept, removed, seen).write(work.path())?;
            if artefact::checksum(folder.join(MANIFEST))? != before {
                return Err(ForgetError::Replaced(folder));
            }
            work.commit_for_good()?;
        }
        done.after = artefact::checksum(folder.join(MANIFEST))?;
        done.proof = Some(prove::<A>(&folder, users, progress)?);
        Ok(done)
    }
}

/// A folder is replaced as a whole: nothing else may be in it, and no file elsewhere.
fn check<A: Artefact>(folder: &Path, artefact: &A) -> Result<(), ForgetError> {
    if let Some(entry) = A::stranger(folder)? {
        let problem = format!("holds '{entry}', which is not part of it");
        let hint = "it may hold users, too: see what it is, and move it away";
        return Err(Error::artefact(folder, problem, hint).into());
    }
    for entry in artefact.files() {
        let path = folder.join(&entry.path);
        let kind = fs::symlink_metadata(&path).map_err(|e| Error::io(&path, "read", e))?;
        if kind.is_symlink() || Path::new(&entry.path).components().count() != 1 {
            let problem = "is a link, or in another folder";
            let hint = "give the folder that its files are in";
            return Err(Error::artefact(path, problem, hint).into());
        }
    }
    Ok(())
}

/// Rows of each user in a file, and what is to be known of its rows.
fn look<A: Artefact>(
    artefact: &A,
    place: &Place,
    entry: &FileEntry,
    (users, progress): (&Users, &dyn Progress),
) -> Result<(Vec<u64>, A::Seen), ForgetError> {
    let part = Part::open_whole(place, entry)?;
    let mut columns = artefact.columns();
    columns.push("user_id".to_owned());
    let (mut found, mut seen) = (vec![0; users.len()], A::Seen::default());
    part.each(&columns, &mut |batch, _| {
        let stays = users.stays(&Ids::of(batch, part.path())?, part.path(), &mut found)?;
        artefact.see((batch, part.path()), &stays, &mut seen)?;
        progress.advance(batch.num_rows() as u64);
        Ok::<_, ForgetError>(())
    })?;
    Ok((found, seen))
}

/// A file of the new artefact: the old one itself where none of the users is in it, and none where nobody else is.
fn keep<A: Artefact>(
    (place, folder): (&Place, &Path),
    entry: &FileEntry,
    (found, users): (&[u64], &Users),
    new: &Path,
    progress: &dyn Progress,
) -> Result<Option<FileEntry>, ForgetError> {
    let removed: u64 = found.iter().sum();
    if removed == 0 {
        let (from, to) = (folder.join(&entry.path), new.join(&entry.path));
        // Not every file system has links.
        if fs::hard_link(&from, &to).is_err() {
            fs::copy(&from, &to).map_err(|e| Error::io(&to, "write", e))?;
        }
        return Ok(Some(entry.clone()));
    }
    if removed == entry.rows {
        return Ok(None);
    }
    let part = Part::open(place, entry)?;
    let schema = part.schema().clone();
    let columns: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
    let properties = A::properties(&schema);
    let mut file = PartFile::create(new, entry.path.clone(), schema.into(), properties)?;
    let mut again = vec![0; found.len()];
    part.each(&columns, &mut |batch, _| {
        let stays = users.stays(&Ids::of(batch, part.path())?, part.path(), &mut again)?;
        let kept = filter_record_batch(batch, &stays).map_err(ForgetError::internal)?;
        file.add(&kept)?;
        progress.advance(batch.num_rows() as u64);
        Ok::<_, ForgetError>(())
    })?;
    let written = file.finish()?;
    match written.rows + removed == entry.rows {
        true => Ok(Some(written)),
        false => Err(ForgetError::internal("a file was read twice, and differs")),
    }
}

/// Reads everything again that is in the folder now.
fn prove<A: Artefact>(
    folder: &Path,
    users: &Users,
    progress: &dyn Progress,
) -> Result<Proof, ForgetError> {
    let artefact = A::read(folder)?;
    check(folder, &artefact)?;
    let place = Stores::default().place(folder)?;
    let rows = artefact.files().iter().map(|file| file.rows).sum();
    progress.start("prove", Some(rows));
    let clean = artefact.files().par_iter().map(|entry| {
        let part = Part::open_whole(&place, entry)?;
        let mut found = vec![0; users.len()];
        part.each(&["user_id".to_owned()], &mut |batch, _| {
            users.stays(&Ids::of(batch, part.path())?, part.path(), &mut found)?;
            progress.advance(batch.num_rows() as u64);
            Ok::<_, ForgetError>(())
        })?;
        match found.iter().sum::<u64>() {
            0 => Ok(()),
            n => Err(ForgetError::internal(format!(
                "{}: {n} rows are still there",
                part.path().display()
            ))),
        }
    });
    clean.collect::<Result<(), ForgetError>>()?;
    progress.finish();
    Ok(Proof {
        files: artefact.files().len() as u64,
        rows,
        bytes: artefact.files().iter().map(|file| file.bytes).sum(),
    })
}
