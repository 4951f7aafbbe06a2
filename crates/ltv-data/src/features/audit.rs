//! What must come out of a part, counted without the query engine.

use crate::hash::mix;
use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    datatypes::{Int32Type, Int64Type},
};
use ltv_core::config::FeatureConfig;
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    hash::{BuildHasherDefault, Hasher},
};

/// Independent counts of one part.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    /// Users that must come out.
    pub(crate) users: u64,
    /// Their events in the window: what `n_events` must add up to.
    pub(crate) window_events: u64,
    /// Users and events left out, by reason (see `DatasetManifest::dropped`).
    pub(crate) dropped: BTreeMap<String, u64>,
}

/// A user.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Key<'a> {
    Number(i64),
    Text(&'a str),
}

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(n) => write!(f, "{n}"),
            Self::Text(t) => f.write_str(t),
        }
    }
}

/// Spreads users over a map faster than a hash that withstands chosen ids does: ids could be chosen
/// to meet in one part anyhow.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, x: u64) {
        self.0 = mix(self.0.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ x);
    }

    fn write_i64(&mut self, x: i64) {
        self.write_u64(x as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[derive(Default)]
struct Known {
    in_table: bool,
    registration: Option<i32>,
    first_day: Option<i32>,
    /// The registration day of a user who must come out.
    chosen: Option<i32>,
}

/// The users of a part. Events of a user mostly follow each other, so that the last one found is
/// tried first.
#[derive(Default)]
struct People<'a> {
    places: HashMap<Key<'a>, usize, BuildHasherDefault<Spread>>,
    known: Vec<Known>,
    last: Option<(Key<'a>, usize)>,
}

impl<'a> People<'a> {
    fn find(&mut self, key: Key<'a>) -> &mut Known {
        let place = match self.last {
            Some((last, place)) if last == key => place,
            _ => *self.places.entry(key).or_insert_with(|| {
                self.known.push(Known::default());
                self.known.len() - 1
            }),
        };
        self.last = Some((key, place));
        &mut self.known[place]
    }
}

/// Counts a part.
///
/// # Errors
/// The user, when one is in the user table twice.
pub(crate) fn expect(
    events: &[RecordBatch],
    users: &[RecordBatch],
    config: &FeatureConfig,
) -> Result<Expected, String> {
    let mut people = People::default();
    for batch in users {
        let days = batch
            .column_by_name("reg_day")
            .map(|c| c.as_primitive::<Int32Type>());
        for (row, key) in keys(batch.column(0)).enumerate() {
            let user = people.find(key);
            if std::mem::replace(&mut user.in_table, true) {
                return Err(key.to_string());
            }
            user.registration = days.filter(|d| d.is_valid(row)).map(|d| d.value(row));
        }
    }
    for batch in events {
        for (key, &day) in keys(batch.column(0)).zip(event_days(batch)) {
            let user = people.find(key);
            user.first_day = Some(user.first_day.map_or(day, |first| first.min(day)));
        }
    }
    let mut expected = Expected::default();
    for user in &mut people.known {
        match registration(user, config) {
            Ok(day) => {
                user.chosen = Some(day);
                expected.users += 1;
            }
            Err(reason) => *expected.dropped.entry(reason.into()).or_default() += 1,
        }
    }
    let window = config.dataset.window_days as i32;
    let mut before = 0;
    for batch in events {
        for (key, &day) in keys(batch.column(0)).zip(event_days(batch)) {
            let Some(first) = people.find(key).chosen else {
                continue;
            };
            before += u64::from(day < first);
            expected.window_events += u64::from((first..first + window).contains(&day));
        }
    }
    if before > 0 {
        let reason = "events_before_registration".to_string();
        expected.dropped.insert(reason, before);
    }
    Ok(expected)
}

/// The user's registration day, or why the user is left out.
fn registration(user: &Known, config: &FeatureConfig) -> Result<i32, &'static str> {
    let dataset = &config.dataset;
    let Some(day) = user.registration.or(user.first_day) else {
        return Err("users_without_registration");
    };
    if day >= dataset.as_of.0 {
        return Err("users_later");
    }
    if dataset.registered_from.is_some_and(|from| day < from.0)
        || dataset
            .registered_before
            .is_some_and(|before| day >= before.0)
    {
        return Err("users_filtered");
    }
    Ok(day)
}

fn event_days(batch: &RecordBatch) -> &[i32] {
    batch.column(1).as_primitive::<Int32Type>().values()
}

/// The users of a column of ids.
pub(crate) fn keys(column: &ArrayRef) -> Box<dyn Iterator<Item = Key<'_>> + '_> {
    match column.as_primitive_opt::<Int64Type>() {
        Some(ids) => Box::new(ids.values().iter().map(|&id| Key::Number(id))),
        None => {
            let names = column.as_string::<i32>();
            Box::new((0..names.len()).map(|i| Key::Text(names.value(i))))
        }
    }
}
