//! All rows of both sides, sorted by user, and what becomes of each user.

use super::{
    ConversionOptions, Reason, Scratch, Sources, Unusable,
    contact::Contact,
    currency::Currency,
    key::{self, Origin},
    rules::{Conversion, Predicted, Rules, Scale, Values, Verdict},
    scores,
    sorting::Sorting,
    write::Spool,
};
use crate::ScoreError;
use ltv_core::{Error, labels::LabelHistogram, progress::Progress};
use std::{collections::BTreeMap, path::Path};

/// Sides of a user's rows, in the order in which they come.
pub(super) const NOW: u8 = 0;
pub(super) const BEFORE: u8 = 1;
const TABLE: u8 = 2;

/// All that is known of users, being sorted.
pub(super) struct Rows<'a> {
    options: &'a ConversionOptions,
    numbers: bool,
    scratch: Scratch,
    sorting: Sorting,
    /// Predictions of wanted users, of either snapshot.
    predicted: [LabelHistogram; 2],
    pub(super) unusable: Unusable,
}

impl<'a> Rows<'a> {
    /// Reads everything.
    pub(super) fn read(
        options: &'a ConversionOptions,
        scratch: Scratch,
        sources: &Sources,
        progress: &dyn Progress,
    ) -> Result<Self, ScoreError> {
        let mut rows = Self {
            options,
            numbers: sources.numbers,
            sorting: Sorting::new(&scratch),
            scratch,
            predicted: Default::default(),
            unusable: Unusable::default(),
        };
        rows.scores(sources, NOW, progress)?;
        rows.scores(sources, BEFORE, progress)?;
        rows.users(sources, progress)?;
        Ok(rows)
    }

    fn scores(
        &mut self,
        sources: &Sources,
        side: u8,
        progress: &dyn Progress,
    ) -> Result<(), ScoreError> {
        let Some(of) = sources.side(side) else {
            return Ok(());
        };
        progress.start("reading scores", Some(of.manifest.rows));
        let (horizon, status) = (sources.horizon, &self.options.status);
        let wanted = scores::Wanted { horizon, status };
        let predicted = &mut self.predicted[usize::from(side)];
        let (place, sorting) = ((&of.place, &of.manifest), &mut self.sorting);
        scores::read(place, &wanted, progress, &mut |score, file, row| {
            if score.wanted {
                predicted.add(score.value);
            }
            let mut value = score.value.to_le_bytes().to_vec();
            value.push(u8::from(score.wanted));
            let origin = Origin { side, file, row };
            sorting.add(&key::key(&score.user, origin), &value)
        })
    }

    fn users(&mut self, sources: &Sources, progress: &dyn Progress) -> Result<(), ScoreError> {
        progress.start("reading users", None);
        let (sorting, unusable) = (&mut self.sorting, &mut self.unusable);
        let columns = (&self.options.columns, self.numbers);
        let table = &sources.table;
        table.read(columns, unusable, progress, &mut |listed, file, row| {
            let value = serde_json::to_vec(&listed.contact).map_err(ScoreError::internal)?;
            let side = TABLE;
            let origin = Origin { side, file, row };
            sorting.add(&key::key(&listed.user, origin), &value)
        })
    }

    /// How predictions of a side become values.
    pub(super) fn scale(&self, side: u8, currency: Currency) -> Scale {
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
    pub(super) fn judge(
        self,
        rules: &Rules<'_>,
        sources: &Sources,
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
            group.add(origin, value, sources)?;
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
    fn add(&mut self, origin: Origin, value: &[u8], sources: &Sources) -> Result<(), ScoreError> {
        if origin.side == TABLE {
            if let Some((first, _)) = &self.contact {
                let path = |origin: Origin| sources.table.path(origin.file);
                let (path, other) = (path(origin), path(*first).display());
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
        let slot = match origin.side {
            NOW => &mut self.now,
            _ => &mut self.before,
        };
        if slot.is_some() {
            let folder = sources.side(origin.side).map(|side| side.place.name());
            let folder = folder.unwrap_or(Path::new("snapshot"));
            let hint = "two of the scored datasets share users: make datasets of different users, and score again";
            return Err(Error::artefact(folder, "names a user twice", hint).into());
        }
        *slot = predicted;
        Ok(())
    }
}

/// What became of users.
pub(super) struct Judged {
    pub(super) spool: Spool,
    pub(super) left_out: BTreeMap<Reason, u64>,
    pub(super) not_scored: u64,
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
