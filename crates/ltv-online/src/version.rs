//! What is known of a published snapshot: kept with the data, so that whoever reads one reads the other.

use crate::{OnlineError, user::UserKind, value::Detail};
use chrono::{DateTime, SecondsFormat, Utc};
use ltv_core::{Day, Horizons, manifest::SnapshotManifest};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::SystemTime};

/// Values below this count as small in a [`Spread`]; its bins above are of equal ratio.
const LEAST: f64 = 1e-3;
/// Bins for each doubling.
const PER_DOUBLING: f64 = 4.0;
/// The last bin takes all larger values.
const BINS: usize = 240;

/// Describes a version: one snapshot in one store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Always `ltv-version`.
    pub format: String,
    /// Version of the layout; this program writes 1.
    pub version: u32,
    /// Names the version: the as-of date and the start of the snapshot's checksum; then `-values` where values alone were
    /// published, and `-forgot-1`, `-forgot-2`, ... once users were forgotten.
    pub id: String,
    /// As-of date of the predictions.
    pub as_of: Day,
    /// The model.
    pub model_id: String,
    /// Horizons.
    pub horizons: Horizons,
    /// How `ltv_<N>` was decoded.
    pub decoding: String,
    /// Whether the order across horizons is guaranteed.
    pub monotone: bool,
    /// How much of the snapshot was published.
    pub detail: Detail,
    /// Users.
    pub rows: u64,
    /// Users of the snapshot who were forgotten since it was published.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub forgotten: u64,
    /// Of what kind their ids are; of an empty snapshot, numbers.
    pub users: UserKind,
    /// When it was published, in UTC, to the second.
    pub published: String,
    /// BLAKE3 checksum of the snapshot's manifest, in hexadecimal.
    pub snapshot: String,
    /// Checksum of all users and their bytes, in hexadecimal. In a folder: BLAKE3 of keys and values in the order of keys. In
    /// Redis, which knows no order: the sum of each user's BLAKE3, which is the same in any order. So those of two stores differ.
    pub content: String,
    /// Statuses of users, by number.
    pub statuses: Vec<String>,
    /// Users and means by status: what is to be expected of somebody of whom nothing else is known.
    pub segments: BTreeMap<String, Segment>,
    /// How the values of each horizon are spread.
    pub spread: Vec<Spread>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Users of one status.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// How many.
    pub rows: u64,
    /// Means of the numbers of a [`crate::Prediction`].
    pub means: Vec<f64>,
}

/// How the values of a horizon are spread: counts in bins of equal ratio.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Users whose value is exactly zero.
    pub zeros: u64,
    /// The largest value.
    pub largest: f64,
    /// Users by bin; bins without one are absent. Bin 0 ends at 0.001, and four bins double.
    pub bins: BTreeMap<u32, u64>,
}

/// The sum, where it can be counted.
fn total(mut counts: impl Iterator<Item = u64>) -> Option<u64> {
    counts.try_fold(0, u64::checked_add)
}

impl Segment {
    /// Whether it has means of so many numbers that predictions can have.
    fn is_sound(&self, numbers: usize) -> bool {
        let number = |mean: &f64| (0.0..=f64::from(f32::MAX)).contains(mean);
        self.means.len() == numbers && self.means.iter().all(number)
    }
}

impl Spread {
    /// Whether its users can be counted, and its largest value is one.
    fn is_sound(&self) -> bool {
        let bins = self.bins.values().copied();
        self.largest >= 0.0 && total(bins.chain([self.zeros])).is_some()
    }

    /// Counts one value, zero or more.
    pub(crate) fn add(&mut self, value: f64) {
        self.largest = self.largest.max(value);
        if value == 0.0 {
            self.zeros += 1;
            return;
        }
        let bin = (PER_DOUBLING * (value / LEAST).log2()).ceil();
        *self
            .bins
            .entry(bin.clamp(0.0, BINS as f64) as u32)
            .or_default() += 1;
    }

    /// Where a bin ends.
    pub fn edge(bin: u32) -> f64 {
        LEAST * 2f64.powf(f64::from(bin) / PER_DOUBLING)
    }

    /// The value below or at which a share `p` of users is, to a fifth of itself; 0 of nobody.
    pub fn quantile(&self, p: f64) -> f64 {
        let users = self.zeros + self.bins.values().sum::<u64>();
        let rank = (p * users as f64).ceil().max(1.0) as u64;
        let mut below = self.zeros;
        if below >= rank || users == 0 {
            return 0.0;
        }
        for (&bin, &count) in &self.bins {
            below += count;
            if below >= rank {
                return Self::edge(bin).min(self.largest);
            }
        }
        self.largest
    }
}

impl Version {
    /// Value of `format`.
    pub const FORMAT: &'static str = "ltv-version";
    /// Version this program writes and reads.
    pub const VERSION: u32 = 1;

    /// Of the snapshot with this manifest, whose bytes are `document`, before anybody is counted.
    pub(crate) fn draft(manifest: &SnapshotManifest, document: &[u8], detail: Detail) -> Self {
        let snapshot = blake3::hash(document).to_hex().to_string();
        let now: DateTime<Utc> = SystemTime::now().into();
        Self {
            format: Self::FORMAT.into(),
            version: Self::VERSION,
            id: format!("{}-{}{}", manifest.as_of, &snapshot[..16], detail.suffix()),
            as_of: manifest.as_of,
            model_id: manifest.model_id.clone(),
            horizons: manifest.horizons.clone(),
            decoding: manifest.decoding.clone(),
            monotone: manifest.monotone,
            detail,
            rows: 0,
            forgotten: 0,
            users: UserKind::Number,
            published: now.to_rfc3339_opts(SecondsFormat::Secs, true),
            snapshot,
            content: String::new(),
            statuses: vec![],
            segments: BTreeMap::new(),
            spread: vec![Spread::default(); manifest.horizons.len()],
        }
    }

    /// The same snapshot without so many more of its users, before anybody is counted.
    pub(crate) fn without(&self, id: String, users: u64) -> Self {
        Self {
            id,
            rows: 0,
            forgotten: self.forgotten + users,
            content: String::new(),
            statuses: vec![],
            segments: BTreeMap::new(),
            spread: vec![Spread::default(); self.horizons.len()],
            ..self.clone()
        }
    }

    /// Numbers of a user.
    pub fn width(&self) -> usize {
        self.horizons.len() * self.detail.columns().len()
    }

    /// Seconds since it was published, at `now`; 0 where clocks disagree.
    pub fn age(&self, now: SystemTime) -> u64 {
        let now: DateTime<Utc> = now.into();
        let published = DateTime::parse_from_rfc3339(&self.published);
        let seconds = published.map_or(0, |then| now.signed_duration_since(then).num_seconds());
        u64::try_from(seconds).unwrap_or(0)
    }

    /// The status that a number stands for.
    pub fn status(&self, number: u8) -> &str {
        let status = self.statuses.get(usize::from(number));
        status.map_or("unknown", String::as_str)
    }

    /// What is to be expected of a user who is not known: means over the users of a status, or over all
    /// where `status` is `None`; `None` where there are none.
    pub fn expected(&self, status: Option<&str>) -> Option<Vec<f32>> {
        let means = self.means(status)?;
        Some(means.into_iter().map(|mean| mean as f32).collect())
    }

    /// Means of the numbers of a [`crate::Prediction`], as [`Version::expected`] rounds them.
    pub fn means(&self, status: Option<&str>) -> Option<Vec<f64>> {
        let wanted = |name: &String| status.is_none_or(|status| name == status);
        let segments = self.segments.iter().filter(|(name, _)| wanted(name));
        let segments: Vec<&Segment> = segments.map(|(_, segment)| segment).collect();
        let rows: u64 = segments.iter().map(|s| s.rows).sum();
        let mean = |i: usize| {
            let sums = segments.iter().map(|s| s.rows as f64 * s.means[i]);
            sums.sum::<f64>() / rows as f64
        };
        (rows > 0).then(|| (0..self.width()).map(mean).collect())
    }

    /// Refuses one that says of itself what cannot be, or that is not the one with this id.
    pub(crate) fn check(self, id: &str, place: &str) -> Result<Self, OnlineError> {
        let numbers = self.width();
        let whole = self.id == id
            && self.spread.len() == self.horizons.len()
            && self.spread.iter().all(Spread::is_sound)
            && self.segments.values().all(|s| s.is_sound(numbers))
            && total(self.segments.values().map(|s| s.rows)) == Some(self.rows);
        match whole {
            true => Ok(self),
            false => Err(OnlineError::Check {
                store: place.to_owned(),
                problem: format!("version {id} contradicts itself"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against sorting.
        #[test]
        fn quantiles(mut values in prop::collection::vec(prop_oneof![Just(0.0), 0.01f64..1e6], 1..50)) {
            let mut spread = Spread::default();
            values.iter().for_each(|&value| spread.add(value));
            values.sort_by(f64::total_cmp);
            for p in [0.01, 0.5, 0.9, 1.0] {
                let rank = ((p * values.len() as f64).ceil() as usize).max(1);
                let (exact, ours) = (values[rank - 1], spread.quantile(p));
                prop_assert!(exact <= ours * (1.0 + 1e-12) && ours <= exact * 1.19, "{exact} {ours}");
            }
        }
    }

    #[test]
    fn quantiles_of_nobody_and_of_extremes() {
        assert_eq!(Spread::default().quantile(0.5), 0.0);
        let mut spread = Spread::default();
        [1e-9, 1e300]
            .into_iter()
            .for_each(|value| spread.add(value));
        assert_eq!(spread.quantile(0.5), LEAST);
        assert!(spread.quantile(1.0) > 1e14);
    }
}
