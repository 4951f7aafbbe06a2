//! From a snapshot to a version that is live.

use crate::{
    Draft, OnlineError, Prediction, Store, UserId, Version,
    user::{LONGEST, UserKind, id_in, kind_of},
    value::Detail,
    version::Segment,
};
use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array},
    datatypes::Float64Type,
    record_batch::RecordBatch,
};
use ltv_core::{Horizons, manifest::SnapshotManifest, progress::Progress};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Users who are looked up before a version goes live.
const SPOTS: usize = 1000;

/// What was published.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Publication {
    /// What is live now.
    pub version: Version,
    /// Whether it had been loaded before.
    pub was_there: bool,
    /// The version that was live.
    pub before: Option<String>,
}

/// Takes a record batch of a snapshot, the file it is from, and the row of it that it begins with, from 0.
pub type Sink<'a> = &'a mut dyn FnMut(&RecordBatch, &Path, u64) -> Result<(), OnlineError>;
/// Where the rows of a snapshot come from: hands all record batches on.
pub type Source<'a> = &'a mut dyn FnMut(Sink<'_>) -> Result<(), OnlineError>;

/// Publishes the snapshot with this manifest, whose bytes are `document`: loads it beside the live version, reads it
/// back, looks some users up, and puts it live in one step. A snapshot that has been loaded before is only
/// put live.
///
/// # Errors
/// When the rows are not those of the manifest, a row cannot be published, or the store cannot be read or
/// written; what was live then still is.
pub fn publish(
    (manifest, document): (&SnapshotManifest, &[u8]),
    detail: Detail,
    rows: Source<'_>,
    store: &dyn Store,
    progress: &dyn Progress,
) -> Result<Publication, OnlineError> {
    let _hold = store.hold()?;
    // What is live may be damaged; then it is only replaced.
    let _ = store.refresh();
    let draft = Version::draft(manifest, document, detail);
    refuse_forgotten(store, &draft)?;
    let before = store.live().map(|version| version.id.clone());
    let was_there = store.has(&draft.id)?;
    let id = draft.id.clone();
    if !was_there {
        progress.start("publish", Some(manifest.rows));
        let spots = load(manifest.rows, draft, rows, store, progress)?;
        progress.finish();
        check(store, &id, &spots)?;
    }
    store.go_live(&id)?;
    let live = store.live();
    let version = live.ok_or_else(|| OnlineError::internal("nothing is live after publishing"))?;
    Ok(Publication {
        version: (*version).clone(),
        was_there,
        before: before.filter(|before| *before != id),
    })
}

/// A snapshot some of whose users were forgotten in the store does not bring them back.
fn refuse_forgotten(store: &dyn Store, draft: &Version) -> Result<(), OnlineError> {
    // What is there may be damaged; then it is only replaced.
    let kept = store.kept().unwrap_or_default();
    let same = |version: &&Arc<Version>| version.snapshot == draft.snapshot;
    let forgotten = kept.iter().filter(same).map(|version| version.forgotten);
    match forgotten.max() {
        Some(count) if count > 0 => Err(OnlineError::Forgotten {
            store: store.name(),
            count,
        }),
        _ => Ok(()),
    }
}

/// Puts the version before live again; its description.
///
/// # Errors
/// As [`Store::roll_back`]; when another process is publishing.
pub fn roll_back(store: &dyn Store) -> Result<Arc<Version>, OnlineError> {
    let _hold = store.hold()?;
    store.roll_back()
}

/// Some users with what was loaded of them.
pub(crate) type Spots = Vec<(UserId, Prediction)>;

fn load(
    expected: u64,
    draft: Version,
    rows: Source<'_>,
    store: &dyn Store,
    progress: &dyn Progress,
) -> Result<Spots, OnlineError> {
    let id = draft.id.clone();
    let mut loading = Loading::new(store.begin(&id, expected)?, draft);
    rows(&mut |batch, path, first| {
        loading.add(batch, path, first)?;
        progress.advance(batch.num_rows() as u64);
        Ok(())
    })?;
    loading.finish(expected, store)
}

/// A version that rows are added to.
pub(crate) struct Loading<'a> {
    draft: Box<dyn Draft + 'a>,
    version: Version,
    /// Sums of numbers, by status.
    sums: Vec<(u64, Vec<f64>)>,
    /// Of the ids, once there was one.
    kind: Option<UserKind>,
    spots: Spots,
    random: ChaCha8Rng,
    /// Of a key and a value.
    bytes: (Vec<u8>, Vec<u8>),
}

/// Where rows are from: a file, and the row of it that a batch begins with.
#[derive(Clone, Copy)]
struct Origin<'a> {
    path: &'a Path,
    first: u64,
}

impl Origin<'_> {
    fn wrong(self, row: usize, problem: impl Into<String>) -> OnlineError {
        OnlineError::Row {
            path: PathBuf::from(self.path),
            row: self.first + row as u64 + 1,
            problem: problem.into(),
        }
    }
}

impl<'a> Loading<'a> {
    pub(crate) fn new(draft: Box<dyn Draft + 'a>, version: Version) -> Self {
        Self {
            draft,
            version,
            sums: vec![],
            kind: None,
            spots: vec![],
            random: ChaCha8Rng::seed_from_u64(0),
            bytes: (vec![], vec![]),
        }
    }

    /// Ids are of this kind, even if nobody comes.
    pub(crate) fn of_kind(self, kind: UserKind) -> Self {
        let kind = Some(kind);
        Self { kind, ..self }
    }

    fn add(&mut self, batch: &RecordBatch, path: &Path, first: u64) -> Result<(), OnlineError> {
        let origin = Origin { path, first };
        let columns = Columns::of(batch, &self.version, origin)?;
        let kind = kind_of(columns.ids);
        let kind = kind.ok_or_else(|| origin.wrong(0, "user_id is neither Int64 nor text"))?;
        if *self.kind.get_or_insert(kind) != kind {
            return Err(origin.wrong(0, "user_id is of another type than in the files before"));
        }
        for row in 0..batch.num_rows() {
            let (user, status, numbers) = columns.row(row, origin)?;
            self.add_row(user, status, numbers, || {
                origin.wrong(row, "more than 255 statuses")
            })?;
        }
        Ok(())
    }

    pub(crate) fn add_row(
        &mut self,
        user: UserId,
        status: &str,
        numbers: Vec<f32>,
        too_many: impl Fn() -> OnlineError,
    ) -> Result<(), OnlineError> {
        let status = self.status(status).ok_or_else(too_many)?;
        let (count, sums) = &mut self.sums[usize::from(status)];
        *count += 1;
        for (sum, &number) in sums.iter_mut().zip(&numbers) {
            *sum += f64::from(number);
        }
        let values = numbers.iter().step_by(self.version.detail.columns().len());
        for (spread, &value) in self.version.spread.iter_mut().zip(values) {
            spread.add(f64::from(value));
        }
        let prediction = Prediction { status, numbers };
        let (key, value) = &mut self.bytes;
        user.key(key);
        prediction.encode(key, value);
        self.draft.add(&user, value)?;
        self.version.rows += 1;
        self.remember(user, prediction);
        Ok(())
    }

    /// The number of a status, a new one if there is none; `None` past the last.
    fn status(&mut self, name: &str) -> Option<u8> {
        let known = self.version.statuses.iter().position(|known| known == name);
        let number = known.unwrap_or(self.version.statuses.len());
        if known.is_none() {
            self.version.statuses.push(name.to_owned());
            let zeros = vec![0.0; self.version.width()];
            self.sums.push((0, zeros));
        }
        u8::try_from(number).ok().filter(|&number| number < u8::MAX)
    }

    /// Keeps a random sample of all users so far.
    fn remember(&mut self, user: UserId, prediction: Prediction) {
        if self.spots.len() < SPOTS {
            self.spots.push((user, prediction));
            return;
        }
        let at = self.random.random_range(0..self.version.rows) as usize;
        if let Some(spot) = self.spots.get_mut(at) {
            *spot = (user, prediction);
        }
    }

    pub(crate) fn finish(mut self, expected: u64, store: &dyn Store) -> Result<Spots, OnlineError> {
        let found = self.version.rows;
        if found != expected {
            return Err(OnlineError::Check {
                store: store.name(),
                problem: format!("the snapshot says {expected} users, and {found} came"),
            });
        }
        self.version.users = self.kind.unwrap_or(UserKind::Number);
        for (name, (rows, sums)) in self.version.statuses.iter().zip(&self.sums) {
            let means = sums.iter().map(|sum| sum / *rows as f64).collect();
            let segment = Segment { rows: *rows, means };
            self.version.segments.insert(name.clone(), segment);
        }
        self.draft.finish(self.version)?;
        Ok(self.spots)
    }
}

/// The columns of a snapshot.
struct Columns<'a> {
    ids: &'a ArrayRef,
    statuses: &'a ArrayRef,
    /// Those of a [`Prediction`], in order.
    numbers: Vec<(String, &'a Float64Array)>,
}

impl<'a> Columns<'a> {
    fn of(
        batch: &'a RecordBatch,
        version: &Version,
        origin: Origin<'_>,
    ) -> Result<Self, OnlineError> {
        let missing = |name: &str| origin.wrong(0, format!("no column '{name}' of the right type"));
        let column = |name: &str| batch.column_by_name(name).ok_or_else(|| missing(name));
        let mut numbers = vec![];
        for name in number_columns(&version.horizons, version.detail) {
            let column = column(&name)?.as_primitive_opt::<Float64Type>();
            let column = column.ok_or_else(|| missing(&name))?;
            numbers.push((name, column));
        }
        let (ids, statuses) = (column("user_id")?, column("status")?);
        match statuses.as_string_opt::<i32>() {
            Some(_) => Ok(Self {
                ids,
                statuses,
                numbers,
            }),
            None => Err(missing("status")),
        }
    }

    fn row(
        &self,
        row: usize,
        origin: Origin<'_>,
    ) -> Result<(UserId, &'a str, Vec<f32>), OnlineError> {
        let wrong = |problem: String| origin.wrong(row, problem);
        let user = id_in(self.ids, row).ok_or_else(|| wrong("user_id is null".into()))?;
        if let UserId::Text(id) = &user
            && !(1..=LONGEST).contains(&id.len())
        {
            let problem = format!("a user_id of {} bytes, where 1 to {LONGEST} fit", id.len());
            return Err(wrong(problem));
        }
        let mut numbers = Vec::with_capacity(self.numbers.len());
        for (name, column) in &self.numbers {
            let value = column.value(row);
            let rounded = value as f32;
            if column.is_null(row) || value < 0.0 || !rounded.is_finite() {
                return Err(wrong(format!(
                    "{name} = {value:?} cannot be looked up online"
                )));
            }
            numbers.push(rounded);
        }
        Ok((user, self.statuses.as_string::<i32>().value(row), numbers))
    }
}

/// The columns of a snapshot that are published.
pub fn columns(horizons: &Horizons, detail: Detail) -> Vec<String> {
    let words = ["user_id", "status"].map(String::from);
    let numbers = number_columns(horizons, detail);
    words.into_iter().chain(numbers).collect()
}

/// Those that hold numbers, in the order of a [`Prediction`].
pub(crate) fn number_columns(horizons: &Horizons, detail: Detail) -> Vec<String> {
    let parts = |value: String| {
        detail
            .columns()
            .iter()
            .map(move |part| format!("{value}{part}"))
    };
    horizons.columns().into_iter().flat_map(parts).collect()
}

/// Looks the sample up in what was loaded.
pub(crate) fn check(store: &dyn Store, id: &str, spots: &Spots) -> Result<(), OnlineError> {
    let users: Vec<UserId> = spots.iter().map(|(user, _)| user.clone()).collect();
    let found = store.peek(id, &users)?.predictions;
    for ((user, loaded), found) in spots.iter().zip(&found) {
        if found.as_ref() != Some(loaded) {
            return Err(OnlineError::Check {
                store: store.name(),
                problem: format!("user {user} is not found as loaded"),
            });
        }
    }
    Ok(())
}
