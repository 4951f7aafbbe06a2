//! What is asked and how long it takes: counts by route since the start, and samples of them from which the last
//! minutes are told. What Prometheus reads and what the console shows are the same counts.

use crate::{grpc, routes::ROUTES};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet},
    metrics::MetricType,
    registry::Unit,
};
use serde::Serialize;
use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use utoipa::ToSchema;

/// Upper edges of the bins of times, in seconds; a last bin takes what is longer.
const TIMES: [f64; 14] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];
const BINS: usize = TIMES.len() + 1;
/// How often counts are sampled.
pub(crate) const STEP: Duration = Duration::from_secs(5);
/// Samples that are kept: five minutes and their beginning.
const KEPT: usize = 61;
/// Samples that go back a minute.
const MINUTE: usize = 12;
/// Routes that answer about users: what servers are for.
const USERS: [&str; 4] = [
    "/v1/ltv/{user_id}",
    "/v1/ltv:batch",
    "/v1/predict",
    grpc::PATH,
];

/// Counts of a route at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    bins: [u64; BINS],
    refused: u64,
    failed: u64,
}

impl Counts {
    fn requests(&self) -> u64 {
        self.bins.iter().sum()
    }

    fn each(&self, other: &Self, apply: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            bins: std::array::from_fn(|i| apply(self.bins[i], other.bins[i])),
            refused: apply(self.refused, other.refused),
            failed: apply(self.failed, other.failed),
        }
    }

    /// What came after `before`.
    fn since(&self, before: &Self) -> Self {
        self.each(before, u64::saturating_sub)
    }

    /// The time that a share `p` of requests took at most, in seconds, as Prometheus has it: as if those of a
    /// bin were spread evenly over it, and those of the last took its beginning. None of no requests.
    fn quantile(&self, p: f64) -> Option<f64> {
        let rank = p * self.requests() as f64;
        let (mut below, mut from) = (0.0, 0.0);
        for (&count, &to) in self.bins.iter().zip(&TIMES) {
            let count = count as f64;
            if count > 0.0 && below + count >= rank {
                return Some(from + (to - from) * ((rank - below) / count));
            }
            below += count;
            from = to;
        }
        (self.requests() > 0).then_some(from)
    }
}

/// A route's counts, as they grow.
#[derive(Debug, Default)]
struct Growing {
    bins: [AtomicU64; BINS],
    nanoseconds: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

impl Growing {
    fn now(&self) -> Counts {
        Counts {
            bins: std::array::from_fn(|i| self.bins[i].load(Relaxed)),
            refused: self.refused.load(Relaxed),
            failed: self.failed.load(Relaxed),
        }
    }
}

/// Counts of all routes at one time.
#[derive(Debug)]
struct Sample {
    at: Instant,
    counts: Vec<Counts>,
}

/// What is asked.
#[derive(Debug)]
pub(crate) struct Traffic {
    /// In the order of [`names`].
    routes: Vec<Growing>,
    started: Instant,
    samples: Mutex<VecDeque<Sample>>,
}

/// Routes, and what stands for all others.
fn names() -> impl Iterator<Item = &'static str> {
    ROUTES.iter().copied().chain(["other"])
}

impl Traffic {
    /// Of a server that starts at `now`.
    pub(crate) fn new(now: Instant) -> Self {
        let traffic = Self {
            routes: names().map(|_| Growing::default()).collect(),
            started: now,
            samples: Mutex::default(),
        };
        traffic.sample(now);
        traffic
    }

    /// A request was answered.
    pub(crate) fn answered(&self, route: &str, status: u16, time: Duration) {
        let place = ROUTES.iter().position(|name| *name == route);
        let of = &self.routes[place.unwrap_or(ROUTES.len())];
        let seconds = time.as_secs_f64();
        let bin = TIMES.partition_point(|&edge| edge < seconds);
        of.bins[bin].fetch_add(1, Relaxed);
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        of.nanoseconds.fetch_add(nanoseconds, Relaxed);
        match status {
            401 | 413 | 503 => _ = of.refused.fetch_add(1, Relaxed),
            500.. => _ = of.failed.fetch_add(1, Relaxed),
            _ => {}
        }
    }

    fn counts(&self) -> Vec<Counts> {
        self.routes.iter().map(Growing::now).collect()
    }

    /// Keeps what was counted up to `now`. To be called every [`STEP`].
    pub(crate) fn sample(&self, now: Instant) {
        let counts = self.counts();
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() == KEPT {
            samples.pop_front();
        }
        samples.push_back(Sample { at: now, counts });
    }

    /// How long the server has run.
    pub(crate) fn uptime(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// What was asked, up to `now`.
    pub(crate) fn seen(&self, now: Instant) -> Seen {
        let counts = self.counts();
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let began = &samples[samples.len().saturating_sub(MINUTE)];
        let window = now.saturating_duration_since(began.at);
        let uptime = self.uptime(now);
        let routes = names().zip(&counts).zip(&began.counts);
        let routes = routes.map(|((route, now), before)| RouteSeen {
            route,
            recent: Load::new(&now.since(before), window),
            total: Load::new(now, uptime),
        });
        let pairs = samples.iter().zip(samples.iter().skip(1));
        Seen {
            window_seconds: window.as_secs_f64(),
            routes: routes.filter(|seen| seen.total.requests > 0).collect(),
            step_seconds: STEP.as_secs(),
            history: pairs.map(|(from, to)| step(from, to)).collect(),
        }
    }
}

/// What was asked about users between two samples.
fn step(from: &Sample, to: &Sample) -> Load {
    let pairs = names().zip(to.counts.iter().zip(&from.counts));
    let about = pairs.filter(|(route, _)| USERS.contains(route));
    let counts = about.fold(Counts::default(), |sum, (_, (to, from))| {
        sum.each(&to.since(from), |a, b| a + b)
    });
    Load::new(&counts, to.at.saturating_duration_since(from.at))
}

/// What is asked, and how long it takes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Seen {
    /// Seconds that `recent` reaches back: about a minute, less right after the start.
    window_seconds: f64,
    /// Those that were asked since the start.
    routes: Vec<RouteSeen>,
    /// Seconds of a step of the history.
    step_seconds: u64,
    /// Requests about users in the last five minutes, step by step, oldest first.
    history: Vec<Load>,
}

/// What is asked of a route.
#[derive(Debug, Serialize, ToSchema)]
struct RouteSeen {
    /// The route, with names in place of values; `other` stands for all that there is not.
    route: &'static str,
    /// In the last minute.
    recent: Load,
    /// Since the start.
    total: Load,
}

/// Requests of some time.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
struct Load {
    /// Requests.
    requests: u64,
    /// Requests per second.
    per_second: f64,
    /// Those that were turned away: status 401, 413 or 503.
    refused: u64,
    /// Those that failed: any other status from 500 on.
    failed: u64,
    /// Seconds that half of them took at most; null of none. Taken from bins, the last of which begins at 5.
    p50: Option<f64>,
    /// Seconds that 99 of 100 took at most.
    p99: Option<f64>,
    /// Seconds that 999 of 1000 took at most.
    p999: Option<f64>,
}

impl Load {
    fn new(counts: &Counts, time: Duration) -> Self {
        let requests = counts.requests();
        Self {
            requests,
            per_second: match time.is_zero() {
                true => 0.0,
                false => requests as f64 / time.as_secs_f64(),
            },
            refused: counts.refused,
            failed: counts.failed,
            p50: counts.quantile(0.5),
            p99: counts.quantile(0.99),
            p999: counts.quantile(0.999),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: &'static str,
}

/// The times of [`Traffic`] as histograms, for Prometheus.
#[derive(Debug)]
pub(crate) struct Times(pub(crate) Arc<Traffic>);

impl Collector for Times {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        let words = "Time from a request's head to its answer's.";
        let (name, unit) = ("http_request_duration", Unit::Seconds);
        let kind = MetricType::Histogram;
        let mut family = to.encode_descriptor(name, words, Some(&unit), kind)?;
        for (route, growing) in names().zip(&self.0.routes) {
            let counts = growing.now();
            if counts.requests() == 0 {
                continue;
            }
            let edges = TIMES.into_iter().chain([f64::INFINITY]);
            let bins: Vec<(f64, u64)> = edges.zip(counts.bins).collect();
            let sum = Duration::from_nanos(growing.nanoseconds.load(Relaxed));
            let (sum, count) = (sum.as_secs_f64(), counts.requests());
            family
                .encode_family(&Route { route })?
                .encode_histogram::<NoLabelSet>(sum, count, &bins, None)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    proptest! {
        /// Against sorting: the quantile lies in the bin of the time of its rank.
        #[test]
        fn quantiles(mut times in prop::collection::vec(1u64..4_000_000, 1..60), p in 0.01f64..1.0) {
            let now = Instant::now();
            let traffic = Traffic::new(now);
            times.iter().for_each(|&time| traffic.answered("/v1/model", 200, micros(time)));
            times.sort_unstable();
            let rank = ((p * times.len() as f64).ceil() as usize).max(1);
            let exact = micros(times[rank - 1]).as_secs_f64();
            let to = TIMES.into_iter().find(|&edge| exact <= edge).unwrap();
            let from = TIMES.into_iter().rev().find(|&edge| edge < exact).unwrap_or(0.0);
            let place = ROUTES.iter().position(|route| *route == "/v1/model").unwrap();
            let ours = traffic.counts()[place].quantile(p).unwrap();
            prop_assert!((from..=to).contains(&ours), "{from} {ours} {to}");
        }
    }

    #[test]
    fn times_of_nobody_and_beyond_the_last_edge() {
        assert_eq!(Counts::default().quantile(0.5), None);
        let traffic = Traffic::new(Instant::now());
        traffic.answered("no route", 404, Duration::from_secs(60));
        assert_eq!(traffic.counts()[ROUTES.len()].quantile(0.5), Some(5.0));
        // By hand: four in a bin from 1 ms to 2 ms, the middle of which is the second's end.
        let four = Counts {
            bins: std::array::from_fn(|i| if i == 4 { 4 } else { 0 }),
            ..Counts::default()
        };
        assert!((four.quantile(0.5).unwrap() - 0.0015).abs() < 1e-12);
    }

    /// Ten a step: what is recent is a minute's, and the history ends with the last step.
    #[test]
    fn the_last_minute_and_the_steps_before() {
        let start = Instant::now();
        let traffic = Traffic::new(start);
        let (user, mut now) = (USERS[0], start);
        for step in 0..100 {
            let time = micros(if step < 80 { 150 } else { 40_000 });
            (0..10).for_each(|_| traffic.answered(user, 200, time));
            traffic.answered("/healthz", 200, time);
            now += STEP;
            traffic.sample(now);
        }
        traffic.answered(user, 503, micros(10));
        traffic.answered(user, 500, micros(10));
        let seen = traffic.seen(now + STEP);
        assert_eq!(seen.window_seconds, 60.0);
        let [route, _] = &seen.routes[..] else {
            unreachable!("two routes were asked")
        };
        assert_eq!(route.route, user);
        let (recent, total) = (&route.recent, &route.total);
        // Eleven steps that were sampled, and two requests that were not.
        assert_eq!(
            (recent.requests, recent.refused, recent.failed),
            (112, 1, 1)
        );
        assert_eq!(recent.per_second, 112.0 / 60.0);
        assert_eq!((total.requests, total.per_second), (1002, 1002.0 / 505.0));
        assert!(recent.p50.unwrap() > 0.025 && total.p50.unwrap() < 0.001);
        assert_eq!(seen.history.len(), KEPT - 1);
        assert!(seen.history.iter().all(|step| step.per_second == 2.0));
        let slow = seen.history.iter().filter(|step| step.p99 > Some(0.025));
        assert_eq!(slow.count(), 20);
    }
}
