//! A store with users, a server on a free port, and a client.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, not all of which use all of them"
)]

use arrow::{
    array::{ArrayRef, Float64Array, Int64Array, StringArray},
    record_batch::RecordBatch,
};
use axum::body::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use ltv_core::{
    Horizons,
    manifest::{FileEntry, SnapshotManifest},
    progress::Silent,
};
use ltv_online::{
    Answer, Draft, Embedded, OnlineError, Store, UserId, Version, publish,
    publish::columns,
    value::{Detail, Distribution, Horizon},
};
use ltv_serve::{
    Config, Drained, Log, OnDemand, Server, log,
    on_demand::{Feature, FeatureKind, OnDemandModel, PredictError, Predicted},
};
use serde_json::{Map, Value};
use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::oneshot,
};

pub const DAYS: [u32; 2] = [30, 90];
pub const MODEL: &str = "0f3a9c51d2e84b67";

/// A folder with a store in it.
pub struct Shop {
    pub folder: TempDir,
    pub store: Arc<Embedded>,
}

/// Number `column` of user `id` in the version with this `scale`.
pub fn number(id: i64, scale: f64, column: usize) -> f32 {
    (id.unsigned_abs() as f64 * scale + column as f64) as f32
}

pub fn status(id: i64) -> &'static str {
    if id % 2 == 0 { "active" } else { "observing" }
}

impl Shop {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Embedded::open(folder.path().join("store")).unwrap());
        Self { folder, store }
    }

    /// With users whose ids are these numbers.
    pub fn with(ids: &[i64]) -> Self {
        let shop = Self::new();
        shop.put("2024-04-01", ids, 1.0);
        shop
    }

    pub fn put(&self, as_of: &str, ids: &[i64], scale: f64) -> String {
        put(&*self.store, as_of, ids, scale)
    }

    /// With the texts of the same numbers for ids, after a letter.
    pub fn put_texts(&self, as_of: &str, ids: &[i64]) -> String {
        let texts = ids.iter().map(|id| format!("u{id}"));
        let column: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        put_as(&*self.store, as_of, ids, (column, 1.0), Detail::Everything)
    }

    /// With values alone.
    pub fn put_values(&self, as_of: &str, ids: &[i64]) -> String {
        let column: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
        put_as(&*self.store, as_of, ids, (column, 1.0), Detail::Values)
    }
}

/// Publishes users with these numbers for ids; the version.
pub fn put(store: &dyn Store, as_of: &str, ids: &[i64], scale: f64) -> String {
    let column: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
    put_as(store, as_of, ids, (column, scale), Detail::Everything)
}

fn put_as(
    store: &dyn Store,
    as_of: &str,
    ids: &[i64],
    (column, scale): (ArrayRef, f64),
    detail: Detail,
) -> String {
    let statuses = StringArray::from_iter_values(ids.iter().map(|&id| status(id)));
    let mut all: Vec<(String, ArrayRef)> = vec![
        ("user_id".into(), column),
        ("status".into(), Arc::new(statuses)),
    ];
    let names = columns(&horizons(), Detail::Everything);
    for (c, name) in names.into_iter().skip(2).enumerate() {
        let values = ids.iter().map(|&id| f64::from(number(id, scale, c)));
        let values = Float64Array::from_iter_values(values);
        all.push((name, Arc::new(values)));
    }
    let batch = RecordBatch::try_from_iter(all).unwrap();
    let manifest = manifest(as_of, ids.len() as u64);
    let published = publish(
        (&manifest, format!("{manifest:?} {scale}").as_bytes()),
        detail,
        &mut |sink| sink(&batch, Path::new("part-00000.parquet"), 0),
        store,
        &Silent,
    );
    published.unwrap().version.id
}

fn horizons() -> Horizons {
    Horizons::new(DAYS.to_vec()).unwrap()
}

fn manifest(as_of: &str, rows: u64) -> SnapshotManifest {
    SnapshotManifest {
        format: SnapshotManifest::FORMAT.into(),
        version: SnapshotManifest::VERSION,
        as_of: as_of.parse().unwrap(),
        model_id: MODEL.into(),
        model_blake3: None,
        input: None,
        horizons: horizons(),
        decoding: "expectation".into(),
        rows,
        dropped: Default::default(),
        projected: 0,
        order_violations: 0,
        monotone: true,
        totals: vec![0.0; 2],
        files: vec![FileEntry {
            path: "part-00000.parquet".into(),
            rows,
            bytes: 1,
            blake3: as_of.into(),
        }],
    }
}

/// A store that answers look-ups only while its gate is open.
pub struct Gated {
    inner: Arc<dyn Store>,
    open: Mutex<bool>,
    changed: Condvar,
    pub waiting: AtomicUsize,
    pub failing: Mutex<Option<String>>,
}

impl Gated {
    pub fn new(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            open: Mutex::new(false),
            changed: Condvar::new(),
            waiting: AtomicUsize::new(0),
            failing: Mutex::new(None),
        })
    }

    pub fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }

    /// Returns when so many look-ups wait.
    pub async fn waiting(&self, many: usize) {
        until(|| self.waiting.load(Ordering::SeqCst) >= many).await;
    }
}

/// Returns when it is true; a test that waits in vain fails.
pub async fn until(mut is: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited half a minute in vain");
}

impl Store for Gated {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn live(&self) -> Option<Arc<Version>> {
        self.inner.live()
    }

    fn previous(&self) -> Result<Option<Arc<Version>>, OnlineError> {
        self.inner.previous()
    }

    fn refresh(&self) -> Result<bool, OnlineError> {
        match &*self.failing.lock().unwrap() {
            Some(problem) => Err(OnlineError::Store {
                store: self.name(),
                what: "read",
                problem: problem.clone(),
                hint: "try again",
            }),
            None => self.inner.refresh(),
        }
    }

    fn get(&self, users: &[UserId]) -> Result<Answer, OnlineError> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut open = self.open.lock().unwrap();
        while !*open {
            open = self.changed.wait(open).unwrap();
        }
        self.inner.get(users)
    }

    fn kept(&self) -> Result<Vec<Arc<Version>>, OnlineError> {
        self.inner.kept()
    }

    fn begin(&self, id: &str, users: u64) -> Result<Box<dyn Draft + '_>, OnlineError> {
        self.inner.begin(id, users)
    }

    fn has(&self, id: &str) -> Result<bool, OnlineError> {
        self.inner.has(id)
    }

    fn peek(&self, id: &str, users: &[UserId]) -> Result<Answer, OnlineError> {
        self.inner.peek(id, users)
    }

    fn go_live(&self, id: &str) -> Result<(), OnlineError> {
        self.inner.go_live(id)
    }

    fn roll_back(&self) -> Result<Arc<Version>, OnlineError> {
        self.inner.roll_back()
    }
}

/// Predicts the sum of two features for the first horizon, and twice that for the second.
pub struct Adder;

impl OnDemand for Adder {
    fn describe(&self) -> OnDemandModel {
        let feature = |name: &str, kind, required| Feature {
            name: name.into(),
            kind,
            required,
        };
        OnDemandModel {
            model_id: "adder".into(),
            horizons: DAYS.to_vec(),
            features: vec![
                feature("events_d0", FeatureKind::Number, true),
                feature("events_d1", FeatureKind::Integer, false),
                feature("channel", FeatureKind::Category, false),
                feature("reg_day", FeatureKind::Date, false),
            ],
        }
    }

    fn refresh(&self) -> Result<bool, String> {
        Ok(false)
    }

    fn predict(&self, features: &Map<String, Value>) -> Result<Predicted, PredictError> {
        if features.get("channel").and_then(Value::as_str) == Some("broken") {
            return Err(PredictError::Failed {
                problem: "the adder broke on a secret".into(),
            });
        }
        let required = features.get("events_d0").and_then(Value::as_f64);
        let required = required.ok_or_else(|| PredictError::Features {
            problem: "events_d0: a number is needed".into(),
        })?;
        let other = features.get("events_d1").and_then(Value::as_f64);
        let sum = (required + other.unwrap_or(0.0)) as f32;
        let distribution = Distribution {
            p10: 0.0,
            p50: sum,
            p90: sum * 3.0,
            positive: 0.5,
        };
        let horizon = |(i, days): (usize, u32)| Horizon {
            days,
            ltv: sum * (i + 1) as f32,
            distribution: Some(distribution),
        };
        Ok(Predicted {
            model_id: "adder".into(),
            horizons: DAYS.into_iter().enumerate().map(horizon).collect(),
        })
    }
}

/// Keeps what it is told.
#[derive(Default)]
pub struct Notebook {
    pub requests: Mutex<Vec<String>>,
    pub notes: Mutex<Vec<String>>,
}

impl Notebook {
    pub fn has(&self, part: &str) -> bool {
        let (requests, notes) = (self.requests.lock().unwrap(), self.notes.lock().unwrap());
        requests
            .iter()
            .chain(notes.iter())
            .any(|l| l.contains(part))
    }

    pub fn all(&self) -> String {
        let (requests, notes) = (self.requests.lock().unwrap(), self.notes.lock().unwrap());
        [requests.join("\n"), notes.join("\n")].join("\n")
    }
}

impl Log for Notebook {
    fn request(&self, request: &log::Request<'_>) {
        let line = format!("{request:?}");
        self.requests.lock().unwrap().push(line);
    }

    fn note(&self, message: &str) {
        self.notes.lock().unwrap().push(message.into());
    }

    fn warning(&self, message: &str) {
        self.notes
            .lock()
            .unwrap()
            .push(format!("warning: {message}"));
    }
}

/// A server at work.
pub struct Running {
    pub address: SocketAddr,
    pub log: Arc<Notebook>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Drained>>,
}

pub fn config() -> Config {
    let mut config = Config::new("127.0.0.1:0".parse().unwrap());
    config.refresh = Duration::from_millis(20);
    config
}

impl Running {
    pub fn of(store: Arc<dyn Store>) -> Self {
        Self::with(config(), store, None)
    }

    pub fn with(config: Config, store: Arc<dyn Store>, model: Option<Arc<dyn OnDemand>>) -> Self {
        let log = Arc::new(Notebook::default());
        let server = Server::bind(config, store, model, log.clone()).unwrap();
        let address = server.address();
        let (stop, stopped) = oneshot::channel::<()>();
        let stopping = async { drop(stopped.await) };
        let run = move || server.run(stopping, std::future::pending());
        Self {
            address,
            log,
            stop: Some(stop),
            thread: Some(std::thread::spawn(run)),
        }
    }

    /// Asks it to stop, and does not wait.
    pub fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until it has ended.
    pub async fn ended(mut self) -> Drained {
        self.stop();
        let thread = self.thread.take().unwrap();
        let joined = tokio::task::spawn_blocking(|| thread.join());
        joined.await.unwrap().unwrap()
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], "").await
    }

    pub async fn post(&self, path: &str, body: &str) -> Reply {
        self.ask("POST", path, &[], body).await
    }

    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let stream = TcpStream::connect(self.address).await.unwrap();
        ask(stream, method, path, headers, body).await.unwrap()
    }
}

/// It ends by itself: a client that runs on the thread of the test has to close its connections first.
impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What a server answered.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    /// The body, which must be JSON and say so.
    pub fn json(&self) -> Value {
        let kind = self.header("content-type");
        assert!(kind.ends_with("json"), "{kind}: {}", self.text());
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The body of one that was answered.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        self.json()
    }

    /// The kind and the detail of a problem with this status.
    pub fn problem(&self, status: u16) -> (String, String) {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        let value = self.json();
        assert_eq!(value["status"], status);
        assert_eq!(value["request_id"], self.header("x-request-id"));
        let text = |key: &str| value[key].as_str().unwrap().to_owned();
        let kind = text("type");
        let kind = kind.strip_prefix("urn:ltv:problem:").unwrap();
        (kind.to_owned(), text("detail"))
    }

    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

/// One request over a connection of its own.
pub async fn ask<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Reply, hyper::Error> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path);
    request = request.header("host", "test");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = Full::new(Bytes::from(body.to_owned()));
    let response = sender.send_request(request.body(body).unwrap()).await?;
    let (parts, body) = response.into_parts();
    Ok(Reply {
        status: parts.status,
        headers: parts.headers,
        body: body.collect().await?.to_bytes(),
    })
}
