//! What is counted, in the text format of OpenMetrics, which Prometheus reads.

use ltv_online::Store;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::Histogram,
        info::Info,
    },
    registry::{Registry, Unit},
};
use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// Content type of the text.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper edges of the bins of times, in seconds.
const TIMES: [f64; 14] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: &'static str,
    method: &'static str,
    status: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: &'static str,
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
    times: Family<Route, Histogram>,
    running: Gauge,
    looked_up: [Counter; 2],
    changes: Counter,
    refresh_failures: Counter,
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
        let histogram: fn() -> Histogram = || Histogram::new(TIMES);
        let times = Family::<Route, Histogram>::new_with_constructor(histogram);
        let lookups = Family::<Looked, Counter>::default();
        let looked_up =
            ["found", "unknown"].map(|result| lookups.get_or_create(&Looked { result }).clone());
        let metrics = Self {
            requests: Family::default(),
            times: times.clone(),
            running: Gauge::default(),
            looked_up,
            changes: Counter::default(),
            refresh_failures: Counter::default(),
            reload_failures: Family::default(),
            registry: Registry::default(),
        };
        let words = "Requests that were answered";
        registry.register("http_requests", words, metrics.requests.clone());
        let words = "Time from a request's head to its answer's";
        let unit = Unit::Seconds;
        registry.register_with_unit("http_request_duration", words, unit, times);
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
        let times = self.times.get_or_create(&Route { route });
        times.observe(time.as_secs_f64());
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
    }

    /// A changed file could not be used.
    pub(crate) fn reload_failed(&self, what: &'static str) {
        let failures = self.reload_failures.get_or_create(&Reloaded { what });
        failures.inc();
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
