//! Values of a snapshot as conversions for ad platforms, in the formats that these document.
//!
//! ```text
//!   snapshot (and that of the first upload)  --\                 judged,       without        written,
//!                                               sorted by user --> may be sent --> duplicates --> read back
//!   user table, addresses and numbers hashed --/
//! ```
//!
//! Rows are sorted outside memory, so that it does not grow with them, and come out in the order of users whatever
//! memory there is.

pub mod check;
mod contact;
mod currency;
mod google;
mod identify;
mod key;
mod meta;
mod options;
mod platform;
mod rules;
mod scores;
mod sorting;
mod table;
#[cfg(test)]
mod tests;
mod write;

pub use check::{Checked, check_conversions};
pub use contact::Unusable;
pub use options::{Columns, ConversionOptions, is_conversions};
pub use platform::{Platform, Reason};
pub use sorting::Scratch;

use crate::ScoreError;
use contact::Contact;
use currency::Currency;
use key::Origin;
use ltv_core::{
    Day, Error,
    labels::LabelHistogram,
    manifest::{MANIFEST, SnapshotManifest},
    progress::Progress,
};
use ltv_files::{Place, Stores};
use rules::{Conversion, Predicted, Rules, Scale, Values, Verdict};
use serde::{Deserialize, Serialize};
use sorting::Sorting;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use table::Table;
use write::Spool;

/// Sides of a user's rows, in the order in which they come.
const NOW: u8 = 0;
const BEFORE: u8 = 1;
const TABLE: u8 = 2;

/// What was written, and what was left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exported {
    /// Always `ltv-conversions`.
    pub format: String,
    /// Version of the layout: 1.
    pub version: u32,
    /// For whom.
    pub platform: Platform,
    /// Name of the conversion, or of the event.
    pub name: String,
    /// Day on which it can be sent.
    pub as_of: Day,
    /// As-of date of the snapshot.
    pub snapshot_as_of: Day,
    /// The model that predicted.
    pub model_id: String,
    /// Days that values are of.
    pub horizon: u32,
    /// Code of the currency.
    pub currency: String,
    /// Largest value sent, where one was asked for.
    pub cap: Option<f64>,
    /// Users of the snapshot: those sent, and those left out.
    pub users: u64,
    /// Values sent.
    pub rows: u64,
    /// Their sum.
    pub total: f64,
    /// Users of the snapshot who were left out, by the first reason that applies.
    pub left_out: BTreeMap<Reason, u64>,
    /// Users of the table who are not in the snapshot.
    pub not_scored: u64,
    /// Identifiers of the table that could not be used.
    pub unusable: Unusable,
    /// What the platform asks for beyond each row, and the file does not have.
    pub warnings: Vec<String>,
}

impl Exported {
    /// Value of `format`.
    pub const FORMAT: &'static str = "ltv-conversions";
    /// Version this program writes.
    pub const VERSION: u32 = 1;
}

/// Writes the values of the snapshot in `snapshot`, of users whom the Parquet files in `users` know, to `out`.
///
/// # Errors
/// When an option is wrong; when the snapshot or a file of the table is not what it should be, or names a user twice;
/// when nothing is left to send; when files cannot be written.
pub fn conversions(
    snapshot: &Path,
    users: &[PathBuf],
    out: &Path,
    options: &ConversionOptions,
    progress: &dyn Progress,
) -> Result<Exported, ScoreError> {
    let options = &options.for_platform();
    let platform = options.check()?;
    let stores = Stores::default();
    let now = Side::open(&stores, snapshot)?;
    let before = options
        .since
        .as_ref()
        .map(|since| Side::open(&stores, since));
    let before = before.transpose()?;
    let horizon = now.horizon(options.horizon)?;
    let as_of = options.as_of.unwrap_or(now.manifest.as_of);
    check_days(&now, before.as_ref(), horizon, as_of)?;
    let table = Table::find(users)?;
    let mut rows = Rows::new(options, options.room(out), (&now, before.as_ref()))?;
    rows.scores(&now, NOW, horizon, progress)?;
    if let Some(before) = &before {
        rows.scores(before, BEFORE, horizon, progress)?;
    }
    rows.users(&table, progress)?;
    let currency = Currency::parse(&options.currency)?;
    let scale = |side: u8| rows.scale(side, currency);
    let rules = Rules {
        options,
        platform,
        currency,
        as_of,
        scale: scale(NOW),
        first: before
            .as_ref()
            .map(|side| (side.manifest.as_of, scale(BEFORE))),
    };
    let (unusable, cap) = (rows.unusable, rules.scale.cap);
    let folders = (
        now.place.name(),
        before.as_ref().map_or(Path::new(""), |b| b.place.name()),
    );
    let judged = rows.judge(&rules, (folders, &table), progress)?;
    let Judged {
        spool,
        mut left_out,
        not_scored,
    } = judged;
    let written = spool.write(&rules, out, progress)?;
    if written.duplicates > 0 {
        left_out.insert(Reason::Duplicate, written.duplicates);
    }
    let sum = written.rows + left_out.values().sum::<u64>();
    if sum != now.manifest.rows {
        let problem = format!("{sum} users of {} were looked at", now.manifest.rows);
        return Err(ScoreError::internal(problem));
    }
    if written.rows == 0 {
        return Err(ScoreError::NothingToSend {
            platform: platform.name(),
            left_out: told(&left_out),
        });
    }
    let exported = Exported {
        format: Exported::FORMAT.to_owned(),
        version: Exported::VERSION,
        platform,
        name: options.name.trim().to_owned(),
        as_of,
        snapshot_as_of: now.manifest.as_of,
        model_id: now.manifest.model_id,
        horizon,
        currency: currency.code.to_owned(),
        cap,
        users: now.manifest.rows,
        rows: written.rows,
        total: written.total,
        left_out,
        not_scored,
        unusable,
        warnings: written.warnings,
    };
    written.file.commit()?;
    Ok(exported)
}

/// Reasons and numbers, in words.
fn told(left_out: &BTreeMap<Reason, u64>) -> String {
    let told = left_out
        .iter()
        .map(|(reason, users)| format!("{users} {}", reason.words()));
    let told: Vec<String> = told.collect();
    match told.is_empty() {
        true => "no user in the snapshot".to_owned(),
        false => told.join(", "),
    }
}

/// A snapshot.
struct Side {
    place: Place,
    manifest: SnapshotManifest,
}

impl Side {
    fn open(stores: &Stores, path: &Path) -> Result<Self, ScoreError> {
        let place = stores.place(path)?;
        let manifest = SnapshotManifest::parse(place.name(), place.read(MANIFEST)?.as_deref())?;
        Ok(Self { place, manifest })
    }

    /// The horizon asked for, or the longest.
    fn horizon(&self, asked: Option<u32>) -> Result<u32, ScoreError> {
        let known = self.manifest.horizons.days();
        let missing = |days: u32| ScoreError::Horizon {
            what: "snapshot",
            days,
            known: known.to_vec(),
        };
        let days = asked.or(known.last().copied()).unwrap_or_default();
        known
            .contains(&days)
            .then_some(days)
            .ok_or_else(|| missing(days))
    }
}

fn check_days(
    now: &Side,
    before: Option<&Side>,
    horizon: u32,
    as_of: Day,
) -> Result<(), ScoreError> {
    if as_of < now.manifest.as_of {
        let problem = format!(
            "{as_of} is before {}, the snapshot's; give that day or a later one",
            now.manifest.as_of
        );
        return Err(Error::config("as_of", problem).into());
    }
    let Some(before) = before else { return Ok(()) };
    before.horizon(Some(horizon))?;
    if before.manifest.as_of >= as_of {
        let (first, name) = (before.manifest.as_of, before.place.name().display());
        let problem = format!(
            "{name} is of {first}, which is not before {as_of}; give the snapshot of the first upload"
        );
        return Err(Error::config("since", problem).into());
    }
    Ok(())
}

/// All that is known of users, being sorted.
struct Rows<'a> {
    options: &'a ConversionOptions,
    numbers: bool,
    scratch: Scratch,
    sorting: Sorting,
    /// Predictions of wanted users, of either snapshot.
    predicted: [LabelHistogram; 2],
    unusable: Unusable,
}

impl<'a> Rows<'a> {
    fn new(
        options: &'a ConversionOptions,
        scratch: Scratch,
        (now, before): (&Side, Option<&Side>),
    ) -> Result<Self, ScoreError> {
        let numbers = scores::numbers(&now.place, &now.manifest)?;
        if let Some(before) = before
            && scores::numbers(&before.place, &before.manifest)? != numbers
        {
            let problem = "its user ids are of another type than the snapshot's";
            let hint = "give the snapshot of the first upload";
            return Err(Error::artefact(before.place.name(), problem, hint).into());
        }
        Ok(Self {
            options,
            numbers,
            sorting: Sorting::new(&scratch),
            scratch,
            predicted: Default::default(),
            unusable: Unusable::default(),
        })
    }

    fn scores(
        &mut self,
        of: &Side,
        side: u8,
        horizon: u32,
        progress: &dyn Progress,
    ) -> Result<(), ScoreError> {
        progress.start("reading scores", Some(of.manifest.rows));
        let status = &self.options.status;
        let wanted = scores::Wanted { horizon, status };
        let (sorting, predicted) = (&mut self.sorting, &mut self.predicted[usize::from(side)]);
        scores::read(
            (&of.place, &of.manifest),
            &wanted,
            progress,
            &mut |score, file, row| {
                if score.wanted {
                    predicted.add(score.value);
                }
                let mut value = score.value.to_le_bytes().to_vec();
                value.push(u8::from(score.wanted));
                sorting.add(&key::key(&score.user, Origin { side, file, row }), &value)
            },
        )
    }

    fn users(&mut self, table: &Table, progress: &dyn Progress) -> Result<(), ScoreError> {
        progress.start("reading users", None);
        let (sorting, unusable) = (&mut self.sorting, &mut self.unusable);
        let columns = (&self.options.columns, self.numbers);
        table.read(columns, unusable, progress, &mut |listed, file, row| {
            let value = serde_json::to_vec(&listed.contact).map_err(ScoreError::internal)?;
            let side = TABLE;
            sorting.add(&key::key(&listed.user, Origin { side, file, row }), &value)
        })
    }

    /// How predictions of a side become values.
    fn scale(&self, side: u8, currency: Currency) -> Scale {
        let factor = self.options.scale;
        let predicted = &self.predicted[usize::from(side)];
        let cap = self.options.cap.filter(|_| predicted.count() > 0);
        let cap = cap.map(|share| currency.round(factor * predicted.quantile(share)));
        Scale {
            factor,
            cap,
            currency,
        }
    }

    /// What becomes of all users, in their order.
    fn judge(
        self,
        rules: &Rules<'_>,
        names: ((&Path, &Path), &Table),
        progress: &dyn Progress,
    ) -> Result<Judged, ScoreError> {
        progress.start("judging", None);
        let mut judged = Judged {
            spool: Spool::new(&self.scratch)?,
            left_out: BTreeMap::new(),
            not_scored: 0,
        };
        let mut sorted = self.sorting.sorted()?;
        let mut group = Group::default();
        while let Some((key, value)) = sorted.next()? {
            let split = key::split(key).ok_or_else(|| ScoreError::internal("a key of no user"))?;
            let (user, origin) = split;
            if user != group.user {
                judged.user(rules, self.numbers, &group)?;
                group = Group {
                    user: user.to_vec(),
                    ..Group::default()
                };
                progress.advance(1);
            }
            group.add(origin, value, names)?;
        }
        judged.user(rules, self.numbers, &group)?;
        Ok(judged)
    }
}

/// All rows of a user.
#[derive(Default)]
struct Group {
    user: Vec<u8>,
    now: Option<Predicted>,
    before: Option<Predicted>,
    contact: Option<(Origin, Contact)>,
}

impl Group {
    fn add(
        &mut self,
        origin: Origin,
        value: &[u8],
        ((now, before), table): ((&Path, &Path), &Table),
    ) -> Result<(), ScoreError> {
        if origin.side == TABLE {
            if let Some((first, _)) = &self.contact {
                let (path, other) = (table.path(origin.file), table.path(first.file).display());
                let problem = format!(
                    "row {} is of the user of row {} of {other}",
                    origin.row, first.row
                );
                let hint = "a user table has one row for each user: keep the one to be sent";
                return Err(Error::artefact(path, problem, hint).into());
            }
            let contact = serde_json::from_slice(value).map_err(ScoreError::internal)?;
            self.contact = Some((origin, contact));
            return Ok(());
        }
        let predicted = value.split_first_chunk().map(|(number, wanted)| Predicted {
            value: f64::from_le_bytes(*number),
            wanted: wanted == [1],
        });
        let (slot, folder) = match origin.side {
            NOW => (&mut self.now, now),
            _ => (&mut self.before, before),
        };
        if slot.is_some() {
            let hint = "two of the scored datasets share users: make datasets of different users, and score again";
            return Err(Error::artefact(folder, "names a user twice", hint).into());
        }
        *slot = predicted;
        Ok(())
    }
}

/// What became of users.
struct Judged {
    spool: Spool,
    left_out: BTreeMap<Reason, u64>,
    not_scored: u64,
}

impl Judged {
    /// What becomes of a user; nothing of none.
    fn user(&mut self, rules: &Rules<'_>, numbers: bool, group: &Group) -> Result<(), ScoreError> {
        let contact = group.contact.as_ref().map(|(_, contact)| contact);
        let Some(now) = group.now else {
            // Of a user whom the first snapshot alone has, nothing is to be sent either.
            self.not_scored += u64::from(contact.is_some());
            return Ok(());
        };
        let values = Values {
            now,
            before: group.before,
        };
        let verdict = rules.judge(&values, contact);
        let (Verdict::Leave(reason) | Verdict::Known(reason)) = verdict else {
            return self.keep(rules, numbers, group, verdict, true);
        };
        *self.left_out.entry(reason).or_default() += 1;
        match verdict {
            Verdict::Known(_) => self.keep(rules, numbers, group, verdict, false),
            _ => Ok(()),
        }
    }

    fn keep(
        &mut self,
        rules: &Rules<'_>,
        numbers: bool,
        group: &Group,
        verdict: Verdict,
        sent: bool,
    ) -> Result<(), ScoreError> {
        let contact = group.contact.as_ref().map(|(_, contact)| contact.clone());
        let (contact, name) = (contact.unwrap_or_default(), key::name(&group.user, numbers));
        let name = name.ok_or_else(|| ScoreError::internal("a key of no user"))?;
        let (time, value) = match verdict {
            Verdict::Send { time, value } => (time, value),
            _ => (contact.time.unwrap_or_default(), 0.0),
        };
        let id = rules.id(&name, &contact);
        let conversion = Conversion {
            seq: 0,
            id,
            time,
            value,
            contact,
        };
        self.spool.add(rules, conversion, sent)
    }
}
