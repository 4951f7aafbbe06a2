//! What is counted, in the text format of OpenMetrics, which Prometheus reads.

use crate::traffic::{Seen, Times, Traffic};
use ltv_online::Store;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
        info::Info,
    },
    registry::{Registry, Unit},
};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

/// Content type of the text.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: &'static str,
    method: &'static str,
    status: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Looked {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reloaded {
    what: &'static str,
}

/// What a server counts.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    traffic: Arc<Traffic>,
    running: Gauge,
    looked_up: [Counter; 2],
    changes: Counter,
    refresh_failures: Counter,
    failing_since: Mutex<Option<Instant>>,
    reload_failures: Family<Reloaded, Counter>,
}

/// One request that is at work, until it is dropped.
pub(crate) struct Running<'a>(&'a Gauge);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        let mut registry = Registry::with_prefix("ltv");
        let lookups = Family::<Looked, Counter>::default();
        let looked_up =
            ["found", "unknown"].map(|result| lookups.get_or_create(&Looked { result }).clone());
        let metrics = Self {
            requests: Family::default(),
            traffic: Arc::new(Traffic::new(Instant::now())),
            running: Gauge::default(),
            looked_up,
            changes: Counter::default(),
            refresh_failures: Counter::default(),
            failing_since: Mutex::default(),
            reload_failures: Family::default(),
            registry: Registry::default(),
        };
        let words = "Requests that were answered";
        registry.register("http_requests", words, metrics.requests.clone());
        let words = "Requests at work";
        registry.register("http_requests_running", words, metrics.running.clone());
        let words = "Users who were looked up, and whether they were found";
        registry.register("lookups", words, lookups);
        let words = "Times that another version went live here";
        registry.register("version_changes", words, metrics.changes.clone());
        let words = "Times that the store could not say which version is live";
        let failures = metrics.refresh_failures.clone();
        registry.register("refresh_failures", words, failures);
        let words = "Times that changed tokens or a changed certificate could not be used";
        let failures = metrics.reload_failures.clone();
        registry.register("reload_failures", words, failures);
        let times = Times(metrics.traffic.clone());
        registry.register_collector(Box::new(times));
        registry.register_collector(Box::new(Live(store)));
        Self {
            registry,
            ..metrics
        }
    }

    /// A request is at work.
    pub(crate) fn running(&self) -> Running<'_> {
        self.running.inc();
        Running(&self.running)
    }

    /// A request was answered.
    pub(crate) fn answered(
        &self,
        route: &'static str,
        method: &'static str,
        status: u16,
        time: Duration,
    ) {
        let labels = Answered {
            route,
            method,
            status: status.into(),
        };
        self.requests.get_or_create(&labels).inc();
        self.traffic.answered(route, status, time);
    }

    /// Users were looked up, of whom some were found.
    pub(crate) fn looked_up(&self, users: usize, found: usize) {
        let [yes, no] = &self.looked_up;
        yes.inc_by(found as u64);
        no.inc_by((users - found) as u64);
    }

    /// Another version is live.
    pub(crate) fn changed(&self) {
        self.changes.inc();
    }

    /// The store could not be asked which version is live.
    pub(crate) fn refresh_failed(&self) {
        self.refresh_failures.inc();
        self.since().get_or_insert_with(Instant::now);
    }

    /// The store could be asked which version is live.
    pub(crate) fn refreshed(&self) {
        *self.since() = None;
    }

    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        let since = self.failing_since.lock();
        since.unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the store has failed to say which version is live; none while it does not.
    pub(crate) fn failing(&self, now: Instant) -> Option<Duration> {
        let since = *self.since();
        since.map(|since| now.saturating_duration_since(since))
    }

    /// A changed file could not be used.
    pub(crate) fn reload_failed(&self, what: &'static str) {
        let failures = self.reload_failures.get_or_create(&Reloaded { what });
        failures.inc();
    }

    /// How long the server has run.
    pub(crate) fn uptime(&self, now: Instant) -> Duration {
        self.traffic.uptime(now)
    }

    /// Requests at work.
    pub(crate) fn at_work(&self) -> i64 {
        self.running.get()
    }

    /// Users who were looked up: those who were found, and others.
    pub(crate) fn found(&self) -> [u64; 2] {
        self.looked_up.each_ref().map(Counter::get)
    }

    /// What was asked, up to `now`.
    pub(crate) fn traffic(&self, now: Instant) -> Seen {
        self.traffic.seen(now)
    }

    /// Keeps what was counted so far, for whoever asks about the last minutes.
    pub(crate) fn sample(&self) {
        self.traffic.sample(Instant::now());
    }

    /// All of it.
    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }
}

/// What is live when somebody looks.
struct Live(Arc<dyn Store>);

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Live({})", self.0.name())
    }
}

impl Collector for Live {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(version) = self.0.live() else {
            return Ok(());
        };
        let info = Info::new(vec![
            ("version", version.id.clone()),
            ("as_of", version.as_of.to_string()),
            ("model_id", version.model_id.clone()),
        ]);
        let words = "The version that is live.";
        info.encode(to.encode_descriptor("version", words, None, info.metric_type())?)?;
        let mut gauge = |name, words, unit: Option<&Unit>, value: u64| {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            gauge.encode(to.encode_descriptor(name, words, unit, gauge.metric_type())?)
        };
        let (words, age) = ("Since it was published.", version.age(SystemTime::now()));
        gauge("version_age", words, Some(&Unit::Seconds), age)?;
        gauge("version_users", "Users in it.", None, version.rows)
    }
}
