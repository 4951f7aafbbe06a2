//! Opening a dataset: its manifest and the Parquet files the manifest names, checked against each
//! other before a row is read. Several datasets of different users, its shards, open as one.

mod file;
mod portion;
mod shards;

pub use file::DatasetFile;
pub use portion::{Portion, Run};
pub use shards::{first_manifest, shard_folders};

use crate::stream::StreamError;
use arrow::datatypes::{DataType, Schema};
use file::Schemas;
use ltv_core::{
    Day, Error,
    manifest::{DatasetManifest, FeatureKind, FileEntry},
};
use ltv_files::{Entry, FilesError, Input, Place, Stores, open_each};
use shards::Shard;
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A dataset on disk, ready to be read. Cheap to clone and to share.
#[derive(Debug, Clone)]
pub struct Dataset {
    folder: PathBuf,
    manifest: Arc<DatasetManifest>,
    files: Arc<[Arc<DatasetFile>]>,
    /// Set where this is a view of the past.
    known_on: Option<Day>,
}

impl Dataset {
    /// Reads the manifest in `folder`, which may be an address `s3://bucket/prefix`, and the footer of
    /// every file it names. No row is read. Where `folder` holds not a dataset but folders of datasets, these are [opened as
    /// one](Dataset::open_all).
    ///
    /// # Errors
    /// When the folder is no dataset; when the manifest names a file twice; when a file is missing, cut short, has another number of
    /// rows than the manifest says, or lacks a column or has it in an unusable type. For shards, see
    /// [`Dataset::open_all`].
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, StreamError> {
        Self::open_all(&[folder])
    }

    /// Opens the datasets in `folders` (see [`shard_folders`]) as one dataset of all their users, in
    /// the order given. Its manifest names the files of all and adds up what is counted; nothing
    /// is written.
    ///
    /// # Errors
    /// As [`Dataset::open`]; when the manifests differ in anything but files and counts; when two
    /// shards hold the same user, as far as their footers tell: a file that is in both, or a
    /// user who is the smallest or the largest of a row group in both.
    pub fn open_all(folders: &[impl AsRef<Path>]) -> Result<Self, StreamError> {
        let stores = Stores::default();
        let found = folders.iter().map(|f| shards::shards(&stores, f.as_ref()));
        let found = found.collect::<Result<Vec<_>, _>>()?;
        let found = found.into_iter().flatten().map(Self::described);
        let found = found.collect::<Result<Vec<_>, _>>()?;
        // Of all shards, so that many objects are opened side by side.
        let files = found.iter().flat_map(entries);
        let mut inputs = open_each(files.collect::<Result<_, _>>()?);
        let mut schemas = Schemas::default();
        let shards = found.into_iter();
        let shards = shards.map(|(place, m)| Self::opened(&place, m, &mut inputs, &mut schemas));
        let shards = shards.collect::<Result<Vec<_>, _>>()?;
        shards::union(shards, shards::name(folders))
    }

    /// A shard's place and its manifest.
    fn described(shard: Shard) -> Result<(Place, DatasetManifest), StreamError> {
        let manifest = shard.manifest.as_deref();
        let manifest = DatasetManifest::parse(shard.place.name(), manifest)?;
        check_names(shard.place.name(), &manifest)?;
        Ok((shard.place, manifest))
    }

    /// A shard, whose files are the next of `inputs`.
    fn opened(
        place: &Place,
        manifest: DatasetManifest,
        inputs: &mut dyn Iterator<Item = Result<Input, FilesError>>,
        schemas: &mut Schemas,
    ) -> Result<Self, StreamError> {
        let open = |(entry, input): (&FileEntry, Result<Input, FilesError>)| {
            let path = place.file(&entry.path);
            let file = DatasetFile::new(&input?, path, (entry, &manifest), schemas)?;
            Ok(Arc::new(file))
        };
        let files = manifest.files.iter().zip(inputs).map(open);
        let files = files.collect::<Result<Vec<_>, StreamError>>()?;
        let found = files.iter().map(|file| file.rows()).sum();
        let folder = place.name().to_path_buf();
        if found != manifest.rows {
            return Err(StreamError::Rows {
                path: folder,
                expected: manifest.rows,
                found,
            });
        }
        Ok(Self {
            folder,
            manifest: Arc::new(manifest),
            files: files.into(),
            known_on: None,
        })
    }

    /// The dataset as it was known on an earlier day, to train on: whatever reads its rows sees a
    /// user only once the window was over, a label only once its horizon was (on or before `day`),
    /// and the status of that day. The features of a whole window do not change later, so that a
    /// model is trained on the same rows as on a dataset made as of `day` from the same events and
    /// user table.
    ///
    /// Two things differ from such a dataset, neither of which a training looks at: it has rows also for
    /// users whose window was not over, which are left out here because their features would hold
    /// what came later; and a user without any event by then has status `no_events`, which is known
    /// here only of those without an event to this day. The as-of day of the manifest and of its
    /// configuration is `day`; its counts are still those of all rows, so this is no dataset to score.
    ///
    /// # Errors
    /// When `day` is later than the dataset's own as-of day.
    pub fn as_known_on(&self, day: Day) -> Result<Self, StreamError> {
        let as_of = self.manifest.as_of;
        if day > as_of {
            let path = self.folder.clone();
            return Err(StreamError::Later { path, day, as_of });
        }
        let mut manifest = DatasetManifest::clone(&self.manifest);
        manifest.as_of = day;
        manifest.config.dataset.as_of = day;
        Ok(Self {
            manifest: Arc::new(manifest),
            known_on: Some(day),
            ..self.clone()
        })
    }

    /// The day of [`Dataset::as_known_on`], where this is such a view.
    pub fn known_on(&self) -> Option<Day> {
        self.known_on
    }

    /// Compares every file's content with its checksum in the manifest: reads all bytes.
    ///
    /// # Errors
    /// Names the first file that is not the one that was written.
    pub fn verify(&self) -> Result<(), StreamError> {
        for (file, entry) in self.files.iter().zip(&self.manifest.files) {
            let found = file.checksum()?;
            if found != entry.blake3 {
                let (path, expected) = (file.path().to_path_buf(), entry.blake3.clone());
                return Err(StreamError::Checksum {
                    path,
                    expected,
                    found,
                });
            }
        }
        Ok(())
    }

    /// BLAKE3 checksum, in hexadecimal, of its manifest without the names of its files, whose checksums are
    /// in it: the same for the same rows made in the same way, wherever they lie.
    ///
    /// # Errors
    /// When the manifest cannot be written down, which is a defect.
    pub fn fingerprint(&self) -> Result<String, StreamError> {
        let folder = self.folder.display().to_string();
        let mut manifest = DatasetManifest::clone(&self.manifest);
        manifest.files.iter_mut().for_each(|file| file.path.clear());
        let bytes = serde_json::to_vec(&manifest).map_err(|e| StreamError::internal(&folder, e))?;
        Ok(blake3::hash(&bytes).to_hex().to_string())
    }

    /// Its folder, for messages; words for a dataset of several folders.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its manifest.
    pub fn manifest(&self) -> &DatasetManifest {
        &self.manifest
    }

    /// Its files, in the order of the manifest.
    pub fn files(&self) -> &[Arc<DatasetFile>] {
        &self.files
    }

    /// Users in all files.
    pub fn rows(&self) -> u64 {
        self.manifest.rows
    }
}

/// The files of a manifest, at its place.
fn entries(
    (place, manifest): &(Place, DatasetManifest),
) -> impl Iterator<Item = Result<Entry, FilesError>> {
    let files = manifest.files.iter();
    files.map(|file| place.entry(&file.path, file.bytes))
}

/// A file that is named twice would hold its users twice.
fn check_names(folder: &Path, manifest: &DatasetManifest) -> Result<(), StreamError> {
    let mut seen = HashSet::new();
    match manifest.files.iter().find(|f| !seen.insert(&f.path)) {
        Some(file) => {
            let problem = format!("the manifest names '{}' twice", file.path);
            let hint = "make the dataset again with 'ltv features'";
            Err(Error::artefact(folder, problem, hint).into())
        }
        None => Ok(()),
    }
}

/// What a column must hold.
#[derive(Clone, Copy)]
enum Expected {
    User,
    Date,
    Text,
    Number,
    Anything,
}

impl Expected {
    fn accepts(self, found: &DataType) -> bool {
        let text = is_text(found);
        match self {
            Self::User => text || *found == DataType::Int64,
            Self::Date => *found == DataType::Date32,
            Self::Text => text,
            Self::Number => *found == DataType::Float64,
            Self::Anything => true,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::User => "Int64 or Utf8",
            Self::Date => "Date32",
            Self::Text => "Utf8",
            Self::Number => "Float64",
            Self::Anything => "a column",
        }
    }
}

/// Text in any of Arrow's layouts: which one a reader chooses depends on the writer.
pub(crate) fn is_text(found: &DataType) -> bool {
    match found {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}

fn check_schema(
    schema: &Schema,
    manifest: &DatasetManifest,
    path: &Path,
) -> Result<(), StreamError> {
    let place = || path.display().to_string();
    for (column, expected) in expected_columns(manifest) {
        let Ok(field) = schema.field_with_name(&column) else {
            let hint = "the manifest names it: make the dataset again with 'ltv features'";
            return Err(StreamError::MissingColumn {
                place: place(),
                column,
                hint,
            });
        };
        if !expected.accepts(field.data_type()) {
            let found = field.data_type().to_string();
            let expected = expected.words();
            return Err(StreamError::ColumnType {
                place: place(),
                column,
                found,
                expected,
            });
        }
    }
    Ok(())
}

fn expected_columns(manifest: &DatasetManifest) -> Vec<(String, Expected)> {
    let mut columns: Vec<(String, Expected)> = vec![
        ("user_id".into(), Expected::User),
        ("reg_day".into(), Expected::Date),
        ("status".into(), Expected::Text),
    ];
    for feature in &manifest.features {
        let expected = match feature.kind {
            FeatureKind::Categorical => Expected::Text,
            FeatureKind::Numeric | FeatureKind::Sequence => Expected::Number,
        };
        columns.extend(feature.columns.iter().map(|c| (c.clone(), expected)));
    }
    columns.extend(
        manifest
            .keep
            .iter()
            .map(|c| (c.clone(), Expected::Anything)),
    );
    columns.extend(
        manifest
            .horizons
            .columns()
            .into_iter()
            .map(|c| (c, Expected::Number)),
    );
    columns
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::{
        encoding::{EncodingPlan, fit},
        testing::{batch, rows, write, write_rows},
    };
    use arrow::{
        array::{ArrayRef, Float64Array, Int64Array, StringArray},
        record_batch::RecordBatch,
    };
    use ltv_core::config::Split;
    use std::fs;

    /// A dataset of two files with one column of the second replaced; the error of opening it.
    fn with_column(name: &str, column: Option<ArrayRef>) -> Result<Dataset, StreamError> {
        let folder = tempfile::tempdir().unwrap();
        let plain = batch(&rows(40));
        let fields = plain.schema();
        let columns = fields
            .fields()
            .iter()
            .zip(plain.columns())
            .filter_map(|(f, c)| {
                let kept = if f.name() == name {
                    column.clone()
                } else {
                    Some(c.clone())
                };
                kept.map(|c| (f.name().clone(), c, true))
            });
        let odd = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        write(folder.path(), &[plain, odd], 16);
        let dataset = Dataset::open(folder.path())?;
        fit(&dataset, &Split::default(), &EncodingPlan::default())?;
        Ok(dataset)
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = with_column("cnt_d1", None).unwrap_err().to_string();
        assert!(
            error.contains("part-00001") && error.contains("no column 'cnt_d1'"),
            "{error}"
        );
        let text: ArrayRef = Arc::new(StringArray::from(vec!["x"; 40]));
        let error = with_column("cnt_d1", Some(text)).unwrap_err().to_string();
        assert!(
            error.contains("column 'cnt_d1' is Utf8, not Float64"),
            "{error}"
        );
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1; 40]));
        let error = with_column("ltv_90", Some(ids)).unwrap_err().to_string();
        assert!(error.contains("'ltv_90' is Int64"), "{error}");
        let mut null = vec![Some(5); 40];
        null[33] = None;
        let error = with_column("user_id", Some(Arc::new(Int64Array::from(null)))).unwrap_err();
        assert!(
            error.to_string().contains("'user_id' is null in row 34"),
            "{error}"
        );
    }

    #[test]
    fn impossible_labels_are_refused() {
        for bad in [f64::NAN, f64::INFINITY, -0.5] {
            let mut labels = vec![Some(1.0), None];
            labels.resize(40, Some(0.0));
            labels[37] = Some(bad);
            let labels: ArrayRef = Arc::new(Float64Array::from(labels));
            let error = with_column("ltv_30", Some(labels)).unwrap_err();
            let StreamError::Label {
                place, column, row, ..
            } = &error
            else {
                unreachable!()
            };
            assert!(place.ends_with("part-00001.parquet"));
            assert_eq!((column.as_str(), *row), ("ltv_30", 38));
        }
    }

    #[test]
    fn other_text_layouts_are_read() {
        let plain = batch(&rows(40));
        let view = arrow::compute::cast(
            plain.column_by_name("channel").unwrap(),
            &DataType::Utf8View,
        );
        with_column("channel", Some(view.unwrap())).unwrap();
    }

    #[test]
    fn files_that_do_not_fit_the_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let error = Dataset::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("ltv features"), "{error}");
        write_rows(folder.path(), &rows(100), 60, 20);
        let dataset = Dataset::open(folder.path()).unwrap();
        dataset.verify().unwrap();
        assert_eq!(dataset.files()[0].row_groups(), [20, 20, 20]);

        let mut twice = dataset.manifest().clone();
        twice.files[1] = twice.files[0].clone();
        twice.rows = 120;
        twice.write(folder.path()).unwrap();
        let error = Dataset::open(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("names 'part-00000.parquet' twice"),
            "{error}"
        );
        dataset.manifest().write(folder.path()).unwrap();

        let second = folder.path().join("part-00001.parquet");
        let whole = fs::read(&second).unwrap();
        fs::write(&second, &whole[..whole.len() / 2]).unwrap();
        let error = Dataset::open(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("part-00001") && error.contains("the manifest says"),
            "{error}"
        );
        fs::copy(folder.path().join("part-00000.parquet"), &second).unwrap();
        let error = Dataset::open(folder.path()).unwrap_err();
        assert!(
            matches!(
                error,
                StreamError::Rows {
                    expected: 40,
                    found: 60,
                    ..
                }
            ),
            "{error}"
        );
        assert!(matches!(
            dataset.verify(),
            Err(StreamError::Checksum { .. })
        ));
        fs::remove_file(&second).unwrap();
        let error = Dataset::open(folder.path()).unwrap_err();
        assert!(matches!(error, StreamError::File { .. }), "{error}");
    }

    #[test]
    fn damage_inside_a_file_ends_the_stream_with_an_error() {
        let folder = tempfile::tempdir().unwrap();
        write_rows(folder.path(), &rows(5000), 5000, 5000);
        let path = folder.path().join("part-00000.parquet");
        let mut bytes = fs::read(&path).unwrap();
        // The footer stays whole; the pages do not.
        let end = bytes.len() / 3;
        bytes[4..end].iter_mut().for_each(|b| *b = 0xff);
        fs::write(&path, bytes).unwrap();
        let dataset = Dataset::open(folder.path()).unwrap();
        let error = fit(&dataset, &Split::default(), &EncodingPlan::default()).unwrap_err();
        assert!(matches!(error, StreamError::Parquet { .. }), "{error}");
    }
}
