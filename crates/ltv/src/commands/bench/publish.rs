//! Made-up predictions into a store, and users looked up in it.

use super::{
    super::{Context, publish::open},
    options::{Options, latencies, median},
};
use crate::{
    exit::Failure,
    report::{Facts, Report, count},
    signals::stop_if_asked,
};
use arrow::{
    array::{ArrayRef, Float64Array, Int64Array, StringArray},
    record_batch::RecordBatch,
};
use ltv_core::{
    Horizons,
    address::is_address,
    manifest::SnapshotManifest,
    progress::{Progress, Silent},
};
use ltv_online::{
    Embedded, OnlineError, Store, UserId, Version,
    publish::{columns, publish},
    value::Detail,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::{collections::BTreeMap, path::Path, sync::Arc, time::Instant};

const DAYS: [u32; 4] = [30, 90, 180, 365];
/// Rows of a record batch.
const BATCH: u64 = 8192;
/// Users of a batch of look-ups.
const TOGETHER: usize = 100;
/// Switches between two versions.
const SWITCHES: usize = 21;
/// Odd: so that no two users get the same id.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// What was measured.
#[derive(Debug, Serialize)]
struct Measured {
    users: u32,
    detail: Detail,
    seconds: f64,
    users_per_second: f64,
    /// Length of the file; none where the store is not a folder.
    bytes: Option<u64>,
    bytes_per_user: Option<f64>,
    /// Another version live in place of one: median.
    switch_seconds: f64,
    one_user: Latency,
    hundred_users: Latency,
}

/// How long a look-up takes.
#[derive(Debug, Serialize)]
struct Latency {
    p50_seconds: f64,
    p99_seconds: f64,
    p999_seconds: f64,
}

impl Latency {
    fn measure(
        seconds: f64,
        mut call: impl FnMut() -> Result<(), OnlineError>,
    ) -> Result<Self, OnlineError> {
        let took = latencies(seconds, |_| call())?;
        let at = |p: f64| took[((took.len() as f64 * p) as usize).min(took.len() - 1)];
        Ok(Self {
            p50_seconds: at(0.5),
            p99_seconds: at(0.99),
            p999_seconds: at(0.999),
        })
    }

    fn text(&self) -> String {
        let [p50, p99, p999] = [self.p50_seconds, self.p99_seconds, self.p999_seconds];
        let [p50, p99, p999] = [p50, p99, p999].map(|s| 1e6 * s);
        format!("p50 {p50:.1} us, p99 {p99:.1} us, p99.9 {p999:.1} us")
    }
}

/// Publishes and looks up.
pub(super) fn run(
    options: &Options,
    detail: Detail,
    path: &Path,
    context: &Context,
) -> Result<Report, Failure> {
    let store = &*open(Some(path))?;
    let before = put(store, "2024-01-01", 1, detail, &Silent)?;
    let began = Instant::now();
    let users = u64::from(options.users);
    let version = put(store, "2024-01-02", users, detail, &context.progress)?;
    let seconds = began.elapsed().as_secs_f64();
    context.progress.finish();
    let mut switches = vec![];
    for i in 0..SWITCHES {
        let to = if i % 2 == 0 { &before.id } else { &version.id };
        let began = Instant::now();
        store.go_live(to)?;
        switches.push(began.elapsed().as_secs_f64());
    }
    store.go_live(&version.id)?;
    let mut random = ChaCha8Rng::seed_from_u64(context.seed);
    let mut user = || UserId::Number(id(random.random_range(0..users)));
    let one_user = Latency::measure(options.seconds, || store.get(&[user()]).map(|_| ()))?;
    let hundred_users = Latency::measure(options.seconds, || {
        let users: Vec<UserId> = (0..TOGETHER).map(|_| user()).collect();
        store.get(&users).map(|_| ())
    })?;
    // A store in Redis has no file of its own.
    let bytes = match is_address(path) {
        true => None,
        false => Some(Embedded::open(path)?.bytes(&version.id)?),
    };
    let measured = Measured {
        users: options.users,
        detail,
        seconds,
        users_per_second: users as f64 / seconds,
        bytes,
        bytes_per_user: bytes.map(|bytes| bytes as f64 / users as f64),
        switch_seconds: median(switches),
        one_user,
        hundred_users,
    };
    Report::new(text(&measured), &measured)
}

fn text(m: &Measured) -> String {
    let mut facts = Facts::default();
    let rate = count(m.users_per_second as u64);
    facts.add("published", format!("{rate} users/s, {:.1} s", m.seconds));
    if let (Some(bytes), Some(each)) = (m.bytes, m.bytes_per_user) {
        let size = format!("{} bytes, {each:.1} a user", count(bytes));
        facts.add("size", size);
    }
    facts.add("switch", format!("{:.2} ms", 1e3 * m.switch_seconds));
    facts.add("one user", m.one_user.text());
    facts.add(format!("{TOGETHER} users"), m.hundred_users.text());
    facts.text(&format!("publishing {} users", count(u64::from(m.users))))
}

/// The id of the `i`-th user: in no order, and never the same twice.
fn id(i: u64) -> i64 {
    i.wrapping_mul(STEP) as i64
}

/// Publishes so many users, half of whose quantiles are zero.
fn put(
    store: &dyn Store,
    as_of: &str,
    users: u64,
    detail: Detail,
    progress: &dyn Progress,
) -> Result<Version, Failure> {
    let horizons = Horizons::new(DAYS.to_vec())?;
    let manifest = SnapshotManifest {
        format: SnapshotManifest::FORMAT.into(),
        version: SnapshotManifest::VERSION,
        as_of: as_of.parse().map_err(Failure::internal)?,
        model_id: "made-up".into(),
        model_blake3: None,
        input: None,
        horizons,
        decoding: "expectation".into(),
        rows: users,
        dropped: BTreeMap::new(),
        projected: 0,
        order_violations: 0,
        monotone: true,
        totals: vec![0.0; DAYS.len()],
        files: vec![],
    };
    let mut random = ChaCha8Rng::seed_from_u64(users);
    let mut rows = |sink: ltv_online::publish::Sink<'_>| {
        for first in (0..users).step_by(BATCH as usize) {
            stop_if_asked();
            let rows = first..users.min(first + BATCH);
            let batch = batch(rows, &manifest.horizons, &mut random);
            sink(
                &batch.map_err(OnlineError::internal)?,
                Path::new("made up"),
                first,
            )?;
        }
        Ok(())
    };
    let document = format!("{users}");
    let found = publish(
        (&manifest, document.as_bytes()),
        detail,
        &mut rows,
        store,
        progress,
    )?;
    Ok(found.version)
}

fn batch(
    rows: std::ops::Range<u64>,
    horizons: &Horizons,
    random: &mut ChaCha8Rng,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let n = (rows.end - rows.start) as usize;
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.map(id)));
    let statuses: ArrayRef = Arc::new(StringArray::from(vec!["active"; n]));
    let mut all = vec![ids, statuses];
    let names = columns(horizons, Detail::Everything);
    for name in &names[2..] {
        let zeros = if name.contains("_p") { 0.5 } else { 0.0 };
        let value = |_| match random.random::<f64>() < zeros {
            true => 0.0,
            false => 100.0 * random.random::<f64>(),
        };
        all.push(Arc::new(Float64Array::from_iter_values((0..n).map(value))));
    }
    RecordBatch::try_from_iter(names.into_iter().zip(all))
}
