//! What the console shows (docs/formats/http.md): what is live, what was before, how far values have moved between
//! the two, and what is asked.

use crate::{api::Source, problem::Problem, shared::Shared, traffic::Seen};
use ltv_eval::drift::{Psi, Reading};
use ltv_online::{
    Version,
    value::Detail,
    version::{Segment, Spread},
};
use serde::Serialize;
use std::time::{Instant, SystemTime};
use utoipa::ToSchema;

/// Seconds after which a version is old: a night was missed, and half of the next day is gone.
const OLD: u64 = 36 * 60 * 60;
/// Parts of equal size of the users of the version before, whose shares are compared.
const PARTS: u64 = 10;

/// What is live, what was before, and what is asked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Overview {
    server: ServerState,
    /// Seconds after which a version counts as old.
    old_seconds: u64,
    /// What is live; absent before anything is published.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    live: Option<Published>,
    /// The version before, while it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    before: Option<Published>,
    /// Whether there may be a version before which cannot be read now.
    before_unreadable: bool,
    /// How far values have moved since the version before: of horizons that both have.
    shift: Vec<Shift>,
    traffic: Seen,
}

/// The server.
#[derive(Debug, Serialize, ToSchema)]
struct ServerState {
    /// Version of the program.
    program: &'static str,
    /// Seconds since it started.
    uptime_seconds: u64,
    /// Where predictions are read.
    store: String,
    /// Seconds since the store could be read; absent while it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    failing_seconds: Option<u64>,
    /// Requests at work, this one among them.
    running: i64,
    /// Users who were looked up and found, since the start.
    found: u64,
    /// Users who were looked up and not found.
    unknown: u64,
    /// What is answered of users who are not known: `none`, `mean` or `status:NAME`.
    fallback: String,
    /// The model that predicts on demand, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    on_demand: Option<String>,
}

/// A version and how its values are spread.
#[derive(Debug, Serialize, ToSchema)]
struct Published {
    #[serde(flatten)]
    source: Source,
    /// When it was published, in UTC.
    #[schema(format = DateTime)]
    published: String,
    /// Seconds since then.
    age_seconds: u64,
    /// How values were decoded from predicted distributions.
    decoding: String,
    /// How much of each user was published: `everything`, or `values` alone.
    #[schema(value_type = String)]
    detail: Detail,
    /// Whether a longer horizon is never worth less than a shorter one.
    monotone: bool,
    /// Users.
    rows: u64,
    /// Users by status, most first.
    statuses: Vec<StatusMeans>,
    /// One for each horizon.
    horizons: Vec<HorizonSpread>,
}

/// Users of a status.
#[derive(Debug, Serialize, ToSchema)]
struct StatusMeans {
    /// The status.
    status: String,
    /// Users in it.
    rows: u64,
    /// Mean value of each horizon.
    means: Vec<f64>,
}

/// How the values of a horizon are spread. Quantiles are upper ends of bins: exact to a fifth.
#[derive(Debug, Serialize, ToSchema)]
struct HorizonSpread {
    /// Days.
    days: u32,
    /// Mean value; null of no users.
    mean: Option<f64>,
    /// Users whose value is exactly zero.
    zeros: u64,
    /// The largest value.
    largest: f64,
    /// A tenth of users are at or below it.
    p10: f64,
    /// Half of users are.
    p50: f64,
    /// Nine tenths are.
    p90: f64,
    /// 99 of 100 are.
    p99: f64,
    /// Ends of the bins of values above zero, one more than there are bins, each by the same factor above the one before.
    edges: Vec<f64>,
    /// Users in each bin: above an end, up to the next. The first bin has all smaller values too.
    counts: Vec<u64>,
}

/// How far the values of a horizon have moved.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
struct Shift {
    /// Days.
    days: u32,
    /// Population stability index of all users' values, in about tenths of the version before.
    psi: f64,
    /// What it would be by chance alone.
    noise: f64,
    /// The usual words for it: `stable`, `moved` from 0.1 on, `changed` above 0.25.
    #[schema(value_type = String)]
    reading: Reading,
}

impl Overview {
    /// As it is now. It asks the store, which may block.
    pub(crate) fn now(shared: &Shared) -> Result<Self, Problem> {
        let (now, today) = (Instant::now(), SystemTime::now());
        let server = ServerState::new(shared, now);
        let live = shared.store.live();
        // A store that is known to fail is not waited for.
        let before = match server.failing_seconds {
            None => shared.store.previous().map_err(|_| ()),
            Some(_) => Err(()),
        };
        let before_unreadable = before.is_err();
        // Another version may have gone live in between.
        let other = |before: &Version| live.as_ref().is_some_and(|live| live.id != before.id);
        let before = before.ok().flatten().filter(|before| other(before));
        let shift = match (&live, &before) {
            (Some(live), Some(before)) => shifts(before, live),
            _ => vec![],
        };
        let published = |version: &Version| Published::new(version, today);
        Ok(Self {
            server,
            old_seconds: OLD,
            live: live.as_deref().map(published),
            before: before.as_deref().map(published),
            before_unreadable,
            shift,
            traffic: shared.metrics.traffic(now),
        })
    }
}

impl ServerState {
    fn new(shared: &Shared, now: Instant) -> Self {
        let metrics = &shared.metrics;
        let [found, unknown] = metrics.found();
        Self {
            program: env!("CARGO_PKG_VERSION"),
            uptime_seconds: metrics.uptime(now).as_secs(),
            store: shared.store.name(),
            failing_seconds: metrics.failing(now).map(|time| time.as_secs()),
            running: metrics.at_work(),
            found,
            unknown,
            fallback: shared.config.fallback.to_string(),
            on_demand: shared.desk.on_demand().map(|model| model.model_id),
        }
    }
}

impl Published {
    fn new(version: &Version, now: SystemTime) -> Self {
        let columns = version.detail.columns().len();
        let values = |segment: &Segment| segment.means.iter().copied().step_by(columns).collect();
        let mut statuses: Vec<StatusMeans> = version
            .segments
            .iter()
            .map(|(status, segment)| StatusMeans {
                status: status.clone(),
                rows: segment.rows,
                means: values(segment),
            })
            .collect();
        statuses.sort_by_key(|status| std::cmp::Reverse(status.rows));
        let spreads = version.horizons.days().iter().zip(&version.spread);
        let means = version.means(None);
        let mean = |i: usize| means.as_ref().map(|means| means[i * columns]);
        let horizons = spreads.enumerate();
        Self {
            source: version.into(),
            published: version.published.clone(),
            age_seconds: version.age(now),
            decoding: version.decoding.clone(),
            detail: version.detail,
            monotone: version.monotone,
            rows: version.rows,
            horizons: horizons
                .map(|(i, (&days, spread))| HorizonSpread::new(days, mean(i), spread))
                .collect(),
            statuses,
        }
    }
}

impl HorizonSpread {
    fn new(days: u32, mean: Option<f64>, spread: &Spread) -> Self {
        let (first, last) = (spread.bins.keys().next(), spread.bins.keys().last());
        let bins: Vec<u32> = match (first, last) {
            (Some(&first), Some(&last)) => (first..=last).collect(),
            _ => vec![],
        };
        let factor = Spread::edge(1) / Spread::edge(0);
        let start = bins.first().map(|&bin| Spread::edge(bin) / factor);
        let ends = bins.iter().map(|&bin| Spread::edge(bin));
        let users = bins.iter().map(|bin| spread.bins.get(bin).copied());
        Self {
            days,
            mean,
            zeros: spread.zeros,
            largest: spread.largest,
            p10: spread.quantile(0.1),
            p50: spread.quantile(0.5),
            p90: spread.quantile(0.9),
            p99: spread.quantile(0.99),
            edges: start.into_iter().chain(ends).collect(),
            counts: users.map(Option::unwrap_or_default).collect(),
        }
    }
}

/// How far the values of each horizon that both have moved.
fn shifts(before: &Version, now: &Version) -> Vec<Shift> {
    let days = now.horizons.days().iter();
    days.filter_map(|&days| shift(days, spread_of(before, days)?, spread_of(now, days)?))
        .collect()
}

fn spread_of(version: &Version, days: u32) -> Option<&Spread> {
    let mut horizons = version.horizons.days().iter();
    let place = horizons.position(|&other| other == days)?;
    version.spread.get(place)
}

/// `None` where either side has no users.
fn shift(days: u32, before: &Spread, now: &Spread) -> Option<Shift> {
    let ends = ends(before);
    let psi = Psi::new(&counts(before, &ends), &counts(now, &ends))?;
    Some(Shift {
        days,
        psi: psi.value,
        noise: psi.noise,
        reading: psi.reading(),
    })
}

/// Values of a spread in ascending order: zeros, which are `None`, and bins, with their users.
fn groups(spread: &Spread) -> impl Iterator<Item = (Option<u32>, u64)> + '_ {
    let bins = spread.bins.iter();
    let bins = bins.map(|(&bin, &users)| (Some(bin), users));
    std::iter::once((None, spread.zeros)).chain(bins)
}

/// Ends of parts but the last: the groups in which each tenth of users ends, each once.
fn ends(spread: &Spread) -> Vec<Option<u32>> {
    let users: u64 = groups(spread).map(|(_, users)| users).sum();
    let (mut ends, mut below, mut part) = (vec![], 0, 1);
    for (group, count) in groups(spread) {
        below += count;
        let ended = part;
        while part < PARTS && below * PARTS >= part * users {
            part += 1;
        }
        if part > ended {
            ends.push(group);
        }
    }
    ends
}

/// Users in each part.
fn counts(spread: &Spread, ends: &[Option<u32>]) -> Vec<u64> {
    let mut counts = vec![0; ends.len() + 1];
    for (group, users) in groups(spread) {
        counts[ends.partition_point(|&end| end < group)] += users;
    }
    counts
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn spread(zeros: u64, bins: &[(u32, u64)]) -> Spread {
        Spread {
            zeros,
            largest: 1e3,
            bins: bins.iter().copied().collect(),
        }
    }

    /// By hand: a half and a half become a quarter and three quarters, which is (1/4) ln 3.
    #[test]
    fn shifts_are_those_of_shares() {
        let before = spread(5, &[(40, 5)]);
        let shifted = shift(30, &before, &spread(10, &[(40, 30)])).unwrap();
        assert!((shifted.psi - 0.25 * 3f64.ln()).abs() < 1e-12);
        assert_eq!((shifted.days, shifted.reading), (30, Reading::Changed));
        let same = shift(30, &before, &spread(50, &[(40, 50)])).unwrap();
        assert_eq!((same.psi, same.reading), (0.0, Reading::Stable));
        assert_eq!(shift(30, &before, &Spread::default()), None);
        assert_eq!(shift(30, &Spread::default(), &before), None);
    }

    /// However fine the bins, tenths are compared: a move within a tenth is none.
    #[test]
    fn parts_are_tenths_of_the_version_before() {
        let hundred: Vec<(u32, u64)> = (1..=100).map(|bin| (bin, 1)).collect();
        let before = spread(0, &hundred);
        let tenths: Vec<Option<u32>> = (1..10).map(|k| Some(10 * k)).collect();
        assert_eq!(ends(&before), tenths);
        assert_eq!(counts(&before, &ends(&before)), [10; 10]);
        let within: Vec<(u32, u64)> = (1..=10).map(|k| (10 * k - 5, 10)).collect();
        assert_eq!(shift(30, &before, &spread(0, &within)).unwrap().psi, 0.0);
        // Many zeros take several tenths, and are one part.
        let zeros = spread(55, &[(7, 45)]);
        assert_eq!(ends(&zeros), [None, Some(7)]);
    }

    #[test]
    fn bins_lie_side_by_side() {
        let shown = HorizonSpread::new(30, Some(1.0), &spread(3, &[(4, 7), (6, 9)]));
        assert_eq!((shown.zeros, &shown.counts[..]), (3, &[7, 0, 9][..]));
        // Four bins double, and the first ends at 0.001.
        let double = 2f64.powf(0.25);
        let ends = [3, 4, 5, 6].map(|bin| 1e-3 * double.powi(bin));
        for (ours, end) in shown.edges.iter().zip(ends) {
            assert!((ours / end - 1.0).abs() < 1e-12, "{ours} {end}");
        }
        assert_eq!(shown.edges.len(), 4);
        let none = HorizonSpread::new(30, None, &Spread::default());
        assert_eq!((none.edges.len(), none.counts.len()), (0, 0));
    }
}
