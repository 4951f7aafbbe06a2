//! A folder to work in, the real binary, and tables to feed it with.
#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "each test program uses its own part; a test that cannot be set up must fail"
)]

use arrow::{
    array::{ArrayRef, Date32Array, Float64Array, Int64Array, StringArray},
    record_batch::RecordBatch,
};
use parquet::arrow::ArrowWriter;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};
use tempfile::TempDir;

/// A temporary folder in which the binary runs, so that messages show short relative paths.
pub(crate) struct Workspace {
    folder: TempDir,
}

impl Workspace {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The binary, ready to run in the folder.
    pub(crate) fn ltv(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ltv"));
        command
            .current_dir(self.folder.path())
            .args(line.split_whitespace());
        command
    }

    pub(crate) fn run(&self, line: &str) -> Output {
        self.ltv(line).output().unwrap()
    }

    /// Runs what must work and gives its standard output.
    pub(crate) fn ok(&self, line: &str) -> String {
        let output = self.run(line);
        let (code, errors) = (output.status.code(), text(&output.stderr));
        assert_eq!(code, Some(0), "ltv {line}\n{errors}");
        text(&output.stdout)
    }

    /// Runs what must fail through the user's fault and gives the one error.
    pub(crate) fn error(&self, line: &str) -> String {
        let output = self.run(line);
        let errors = text(&output.stderr);
        assert_eq!(
            (output.status.code(), text(&output.stdout).as_str()),
            (Some(2), ""),
            "ltv {line}\n{errors}"
        );
        errors
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn parquet(&self, name: &str, columns: &[(&str, ArrayRef)]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_parquet(&path, columns);
    }

    /// Every file below `name` with its content, but for the clock and versions in no file at all.
    pub(crate) fn files(&self, name: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        walk(&self.path(name), Path::new(""), &mut found);
        let files = found.into_iter();
        files
            .filter_map(|(name, bytes)| Some((name, bytes?)))
            .collect()
    }

    /// The same of a folder of runs, but for their records, which hold how long things took.
    pub(crate) fn results(&self, name: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = self.files(name);
        files.retain(|path, _| !path.ends_with("run.json"));
        files
    }

    /// Names of all files below the folder.
    pub(crate) fn names(&self) -> Vec<PathBuf> {
        self.files("").into_keys().collect()
    }

    /// Every file and folder, hidden ones and empty ones too: what a failed command must leave as
    /// it was.
    pub(crate) fn everything(&self) -> Everything {
        let mut found = BTreeMap::new();
        walk(self.folder.path(), Path::new(""), &mut found);
        found
    }
}

/// Where pictures of pages are kept.
pub(crate) fn screenshots() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let folder = target.join("report");
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Files with their bytes, folders with none.
pub(crate) type Everything = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// What is at `relative` below `base`, and below it.
pub(crate) fn walk(base: &Path, relative: &Path, found: &mut Everything) {
    let path = base.join(relative);
    if path.is_file() {
        let bytes = fs::read(path).unwrap();
        found.insert(relative.to_path_buf(), Some(bytes));
        return;
    }
    found.insert(relative.to_path_buf(), None);
    for entry in fs::read_dir(path).unwrap() {
        walk(base, &relative.join(entry.unwrap().file_name()), found);
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(crate) fn write_parquet(path: &Path, columns: &[(&str, ArrayRef)]) {
    let nullable = columns.iter().map(|(n, a)| (*n, a.clone(), true));
    let batch = RecordBatch::try_from_iter_with_nullable(nullable).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

pub(crate) fn ints(values: impl IntoIterator<Item = impl Into<Option<i64>>>) -> ArrayRef {
    Arc::new(values.into_iter().map(Into::into).collect::<Int64Array>())
}

pub(crate) fn floats(values: impl IntoIterator<Item = impl Into<Option<f64>>>) -> ArrayRef {
    Arc::new(values.into_iter().map(Into::into).collect::<Float64Array>())
}

pub(crate) fn words<'a>(values: impl IntoIterator<Item = impl Into<Option<&'a str>>>) -> ArrayRef {
    let values: Vec<Option<&str>> = values.into_iter().map(Into::into).collect();
    Arc::new(StringArray::from(values))
}

/// Days since 1970-01-01, as dates.
pub(crate) fn dates(values: impl IntoIterator<Item = impl Into<Option<i32>>>) -> ArrayRef {
    Arc::new(values.into_iter().map(Into::into).collect::<Date32Array>())
}
