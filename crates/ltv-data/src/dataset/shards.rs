//! Several datasets of different users as one.

use super::{Dataset, DatasetFile, is_text};
use crate::stream::{ShardDifference, StreamError};
use arrow::datatypes::{DataType, Schema};
use bytes::Bytes;
use ltv_core::{
    Error,
    artefact::parse_json,
    manifest::{DatasetManifest, FileEntry, Head, MANIFEST, add_counts},
};
use ltv_files::{FilesError, Place, Stores, read_each};
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

/// The folders of datasets that `folder` stands for: itself where it is one, else the folders in it,
/// by name. Files beside these are not looked at, nor are folders whose names start with a dot.
/// Addresses `s3://bucket/prefix` are folders, too.
///
/// # Errors
/// When some of the folders in it are datasets and some are not, or a manifest cannot be read.
pub fn shard_folders(folder: &Path) -> Result<Vec<PathBuf>, StreamError> {
    let shards = shards(&Stores::default(), folder)?;
    let names = shards.iter().map(|s| s.place.name().to_path_buf());
    Ok(names.collect())
}

/// The manifest of the dataset in `folder`, or of its first shard; `None` where there is no dataset.
///
/// # Errors
/// As [`shard_folders`]; when it is no manifest that can be read.
pub fn first_manifest(folder: &Path) -> Result<Option<DatasetManifest>, StreamError> {
    let shards = shards(&Stores::default(), folder)?;
    let first = shards.first().filter(|shard| shard.manifest.is_some());
    let parse = |s: &Shard| DatasetManifest::parse(s.place.name(), s.manifest.as_deref());
    Ok(first.map(parse).transpose()?)
}

/// Where a shard is, and its manifest, if it has one.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) place: Place,
    pub(super) manifest: Option<Bytes>,
}

/// The shards in `folder`, as [`shard_folders`].
pub(super) fn shards(stores: &Stores, folder: &Path) -> Result<Vec<Shard>, StreamError> {
    let place = stores.place(folder)?;
    let manifest = place.read(MANIFEST)?;
    let itself = |place| {
        vec![Shard {
            place,
            manifest: None,
        }]
    };
    if manifest.is_some() {
        return Ok(vec![Shard { place, manifest }]);
    }
    let inner = match place.folders() {
        Ok(inner) => inner,
        // Whatever cannot be listed is no folder of shards; opening it says what is wrong with it.
        Err(FilesError::Local { .. }) => return Ok(itself(place)),
        Err(other) => return Err(other.into()),
    };
    let manifests = read_each(&inner, MANIFEST)?;
    let shards = inner.into_iter().zip(manifests);
    let shards: Vec<_> = shards
        .map(|(place, manifest)| Shard { place, manifest })
        .collect();
    let kinds = shards.iter().map(Shard::is_dataset);
    let kinds = kinds.collect::<Result<Vec<bool>, _>>()?;
    match kinds.iter().position(|&is| !is) {
        _ if !kinds.contains(&true) => Ok(itself(place)),
        None => Ok(shards),
        Some(odd) => {
            let odd = shards[odd].place.name().file_name();
            let odd = odd.unwrap_or_default().display();
            let problem = format!("it holds datasets, but '{odd}' in it is none");
            let hint = "give the folder of one dataset, or one that holds shards alone";
            Err(Error::artefact(folder, problem, hint).into())
        }
    }
}

impl Shard {
    fn is_dataset(&self) -> Result<bool, StreamError> {
        let Some(manifest) = &self.manifest else {
            return Ok(false);
        };
        let head: Head = parse_json(self.place.file(MANIFEST), manifest)?;
        Ok(head.format == DatasetManifest::FORMAT)
    }
}

/// What messages call the dataset in `folders`.
pub(super) fn name(folders: &[impl AsRef<Path>]) -> PathBuf {
    match folders {
        [] => PathBuf::new(),
        [one] => one.as_ref().to_path_buf(),
        [first, more @ ..] => {
            format!("{} and {} more", first.as_ref().display(), more.len()).into()
        }
    }
}

/// All rows of `shards` under the name `folder`.
pub(super) fn union(shards: Vec<Dataset>, folder: PathBuf) -> Result<Dataset, StreamError> {
    let (first, more) = match shards.as_slice() {
        [] => {
            let hint = "give one that 'ltv features' made";
            return Err(Error::artefact(folder, "no folder of a dataset", hint).into());
        }
        [first, more @ ..] => (first, more),
    };
    if more.is_empty() {
        return Ok(first.clone());
    }
    for other in more {
        check_same(first, other)?;
    }
    check_users(&shards)?;
    let mut manifest = DatasetManifest::clone(&first.manifest);
    manifest.files = shards.iter().flat_map(|s| entries(s, &folder)).collect();
    for other in more {
        let other = &other.manifest;
        manifest.rows += other.rows;
        manifest.events += other.events;
        add_counts(&mut manifest.dropped, &other.dropped);
        add_counts(&mut manifest.statuses, &other.statuses);
    }
    let files = shards.iter().flat_map(|s| s.files.iter().cloned());
    Ok(Dataset {
        folder,
        manifest: manifest.into(),
        files: files.collect(),
        known_on: None,
    })
}

/// The files of a shard, named from `folder` where they are in it.
fn entries(shard: &Dataset, folder: &Path) -> Vec<FileEntry> {
    let place = shard.folder.strip_prefix(folder).unwrap_or(&shard.folder);
    let named = |entry: &FileEntry| FileEntry {
        path: place.join(&entry.path).display().to_string(),
        ..entry.clone()
    };
    shard.manifest.files.iter().map(named).collect()
}

/// Fails on the first thing in which two shards differ.
fn check_same(first: &Dataset, other: &Dataset) -> Result<(), StreamError> {
    let differs = |(key, expected, found)| {
        Box::new(ShardDifference {
            path: other.folder.clone(),
            other: first.folder.clone(),
            key,
            found,
            expected,
        })
    };
    let found = difference("", &agreed(&first.manifest)?, &agreed(&other.manifest)?);
    if let Some(found) = found {
        return Err(differs(found).into());
    }
    let schemas = (first.files.first(), other.files.first());
    if let (Some(ours), Some(theirs)) = schemas
        && let Some(found) = other_type(ours.schema(), theirs.schema())
    {
        return Err(differs(found).into());
    }
    Ok(())
}

/// What a manifest says that shards must agree on: all but its counts and files.
fn agreed(manifest: &DatasetManifest) -> Result<Value, StreamError> {
    let same = DatasetManifest {
        rows: 0,
        events: 0,
        dropped: BTreeMap::new(),
        statuses: BTreeMap::new(),
        files: vec![],
        ..manifest.clone()
    };
    serde_json::to_value(same).map_err(|e| StreamError::internal("a manifest", e))
}

/// The first place, below `at`, in which two documents differ, and what is there in both.
fn difference(at: &str, a: &Value, b: &Value) -> Option<(String, String, String)> {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) if x.keys().eq(y.keys()) => {
            let dot = if at.is_empty() { "" } else { "." };
            x.iter()
                .find_map(|(key, a)| difference(&format!("{at}{dot}{key}"), a, &y[key]))
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            let mut pairs = x.iter().zip(y).enumerate();
            pairs.find_map(|(i, (a, b))| difference(&format!("{at}[{i}]"), a, b))
        }
        _ => (a != b).then(|| (at.to_owned(), a.to_string(), b.to_string())),
    }
}

/// The first column that is of another type, and the two types.
fn other_type(ours: &Schema, theirs: &Schema) -> Option<(String, String, String)> {
    let plain = |found: &DataType| match is_text(found) {
        true => "text".to_owned(),
        false => found.to_string(),
    };
    ours.fields().iter().find_map(|field| {
        let other = theirs.field_with_name(field.name()).ok()?;
        let (a, b) = (plain(field.data_type()), plain(other.data_type()));
        (a != b).then(|| (format!("type of column '{}'", field.name()), a, b))
    })
}

/// Fails on the first file that holds a user of another shard, as far as footers tell.
fn check_users(shards: &[Dataset]) -> Result<(), StreamError> {
    let mut seen: HashMap<&[u8], (usize, &DatasetFile)> = HashMap::new();
    for (index, shard) in shards.iter().enumerate() {
        for (file, entry) in shard.files.iter().zip(&shard.manifest.files) {
            if file.rows() == 0 {
                continue;
            }
            let users = file.outermost().iter().map(Vec::as_slice);
            for known in users.chain([entry.blake3.as_bytes()]) {
                match seen.get(known) {
                    Some((other, with)) if *other != index => {
                        return Err(StreamError::SharedUsers {
                            path: file.path().to_path_buf(),
                            other: with.path().to_path_buf(),
                        });
                    }
                    _ => drop(seen.insert(known, (index, file))),
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::{
        encoding::{EncodingPlan, fit},
        testing::{Row, batch, rows, write, write_rows},
    };
    use arrow::{
        array::{ArrayRef, Int64Array, StringArray},
        record_batch::RecordBatch,
    };
    use ltv_core::{Day, config::Split};
    use std::{fs, sync::Arc};

    /// A folder with shards, each of the rows of its users.
    fn shards(parts: &[&[Row]]) -> tempfile::TempDir {
        let at = tempfile::tempdir().unwrap();
        for (i, part) in parts.iter().enumerate() {
            let folder = at.path().join(format!("shard-{i}"));
            fs::create_dir(&folder).unwrap();
            write_rows(&folder, part, 70, 30);
        }
        at
    }

    fn edit(folder: &Path, change: impl FnOnce(&mut DatasetManifest)) {
        let mut manifest = DatasetManifest::read(folder).unwrap();
        change(&mut manifest);
        manifest.write(folder).unwrap();
    }

    fn refusal(folder: &Path) -> String {
        Dataset::open(folder).unwrap_err().to_string()
    }

    #[test]
    fn shards_are_read_like_one_dataset_of_all_rows() {
        let all = rows(300);
        let at = shards(&[&all[..100], &all[100..210], &all[210..]]);
        fs::write(at.path().join("ledger.jsonl"), "{}").unwrap();
        fs::create_dir(at.path().join(".ltv-work-x")).unwrap();
        for i in 0..3 {
            edit(&at.path().join(format!("shard-{i}")), |m| {
                m.events = 10;
                m.statuses = BTreeMap::from([("active".into(), 5), (format!("only-{i}"), 1)]);
            });
        }
        let union = Dataset::open(at.path()).unwrap();
        union.verify().unwrap();
        let manifest = union.manifest();
        assert_eq!(
            (union.rows(), manifest.rows, manifest.events),
            (300, 300, 30)
        );
        assert_eq!(manifest.statuses["active"], 15);
        assert_eq!(manifest.statuses["only-2"], 1);
        let names: Vec<_> = manifest.files.iter().map(|f| f.path.as_str()).collect();
        assert_eq!(
            names[..2],
            ["shard-0/part-00000.parquet", "shard-0/part-00001.parquet"]
        );
        let single = tempfile::tempdir().unwrap();
        let cuts = [
            (0, 70),
            (70, 100),
            (100, 170),
            (170, 210),
            (210, 280),
            (280, 300),
        ];
        let files: Vec<_> = cuts.iter().map(|&(a, b)| batch(&all[a..b])).collect();
        write(single.path(), &files, 30);
        let single = Dataset::open(single.path()).unwrap();
        let fitted = |data| fit(data, &Split::default(), &EncodingPlan::default()).unwrap();
        assert_eq!(fitted(&union), fitted(&single));
    }

    #[test]
    fn folders_may_be_given_one_by_one() {
        let all = rows(200);
        let at = shards(&[&all[..100], &all[100..]]);
        let one = |i: usize| at.path().join(format!("shard-{i}"));
        let union = Dataset::open_all(&[one(1), one(0)]).unwrap();
        assert_eq!(union.rows(), 200);
        assert_eq!(union.files()[0].path(), one(1).join("part-00000.parquet"));
        assert!(
            union
                .folder()
                .to_string_lossy()
                .ends_with("shard-1 and 1 more")
        );
        let error = Dataset::open_all(&[] as &[PathBuf])
            .unwrap_err()
            .to_string();
        assert!(error.contains("no folder of a dataset"), "{error}");
    }

    #[test]
    fn shards_that_differ_are_refused() {
        let all = rows(100);
        let at = shards(&[&all[..50], &all[50..]]);
        let second = at.path().join("shard-1");
        let whole = DatasetManifest::read(&second).unwrap();
        type Change = fn(&mut DatasetManifest);
        let cases: [(Change, &str); 4] = [
            (
                |m| m.as_of = Day(201),
                "as_of is \"1970-07-21\", but \"1970-07-20\" in ",
            ),
            (
                |m| m.features[1].name = "n".into(),
                "features[1].name is \"n\", but \"cnt\" in ",
            ),
            (
                |m| m.config.holidays.simulator = true,
                "config.holidays.simulator is true, but false",
            ),
            (|m| drop(m.keep.pop()), "keep is [], but [\"cost\"] in "),
        ];
        for (change, expected) in cases {
            edit(&second, change);
            let error = refusal(at.path());
            assert!(
                error.contains("shard-1: ") && error.contains(expected),
                "{error}"
            );
            whole.write(&second).unwrap();
        }
        Dataset::open(at.path()).unwrap();
        let text: ArrayRef = Arc::new(
            (0..50)
                .map(|i| Some(format!("u{i}")))
                .collect::<StringArray>(),
        );
        replace_users(&second, &all[50..], text);
        let error = refusal(at.path());
        assert!(
            error.contains("type of column 'user_id' is text, but Int64 in "),
            "{error}"
        );
    }

    /// Writes rows again with other users.
    fn replace_users(folder: &Path, rows: &[Row], users: ArrayRef) {
        let plain = batch(rows);
        let mut columns = plain.columns().to_vec();
        columns[0] = users;
        let names = plain.schema();
        let named = names.fields().iter().zip(columns);
        let named = named.map(|(f, c)| (f.name().clone(), c, true));
        write(
            folder,
            &[RecordBatch::try_from_iter_with_nullable(named).unwrap()],
            30,
        );
    }

    #[test]
    fn a_user_in_two_shards_is_noticed() {
        let all = rows(100);
        // The same users in other files: one of them is the smallest of both.
        let at = shards(&[&all[..50], &all[..40]]);
        let error = refusal(at.path());
        assert!(
            error.contains("shard-1/part-00000.parquet: it holds users that are also in ")
                && error.contains("shard-0/part-00000.parquet"),
            "{error}"
        );
        // Users of which only the largest of a row group is in both.
        let at = shards(&[&all[..50], &all[50..]]);
        let users = (0..50).map(|i| if i == 29 { 49 } else { -100 + i });
        let users: ArrayRef = Arc::new(users.collect::<Int64Array>());
        replace_users(&at.path().join("shard-1"), &all[50..], users);
        assert!(refusal(at.path()).contains("also in"));
        let same = at.path().join("shard-0");
        let error = Dataset::open_all(&[&same, &same]).unwrap_err();
        assert!(matches!(error, StreamError::SharedUsers { .. }), "{error}");
    }

    #[test]
    fn a_folder_of_other_things_is_no_dataset() {
        let at = shards(&[&rows(50)]);
        fs::create_dir(at.path().join("notes")).unwrap();
        let error = refusal(at.path());
        assert!(error.contains("but 'notes' in it is none"), "{error}");
        fs::remove_dir_all(at.path().join("shard-0")).unwrap();
        let error = refusal(at.path());
        assert!(error.contains("has no manifest.json"), "{error}");
        let error = refusal(&at.path().join("nowhere"));
        assert!(error.contains("has no manifest.json"), "{error}");
    }
}
