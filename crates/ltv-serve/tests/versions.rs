//! Versions change while requests are answered.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use axum::body::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use ltv_online::{Embedded, Store as _};
use serde_json::Value;
use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use support::{Gated, Running, Shop, config, number, put, until};
use tokio::net::TcpStream;

const USERS: [i64; 3] = [1, 2, 3];
const FOLDER: &str = "LTV_SERVE_TEST_STORE";
const PUBLISHED: &str = "LTV_SERVE_TEST_VERSIONS";

fn day(day: usize) -> String {
    format!("2024-03-{:02}", day + 1)
}

/// Publishes for a test, in a process of its own, as it is where servers run: an LMDB file is open at most once in a
/// process. Its arguments come from the environment, and without them it does nothing.
#[test]
#[ignore = "run by other tests"]
fn publisher() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let days = std::env::var(PUBLISHED).unwrap().parse::<usize>().unwrap();
    let store = Arc::new(Embedded::open(folder).unwrap());
    // New ones, so that old ones are removed under the server, and switches between two.
    for i in 1..=days {
        let before = store.live();
        let id = put(&*store, &day(i), &USERS, (i + 1) as f64);
        for _ in 0..5 {
            if let Some(before) = &before {
                store.go_live(&before.id).unwrap();
            }
            store.go_live(&id).unwrap();
        }
    }
}

/// Publishes so many versions in another process.
async fn publish(shop: &Shop, versions: usize) {
    let mut publisher = Command::new(std::env::current_exe().unwrap());
    publisher
        .args(["publisher", "--exact", "--ignored"])
        .env(FOLDER, shop.folder.path().join("store"))
        .env(PUBLISHED, versions.to_string());
    let ran = tokio::task::spawn_blocking(move || publisher.output());
    let ran = ran.await.unwrap().unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stdout)
    );
}

/// Asks over one connection until it is told to stop; how often, and in how many versions.
async fn ask(address: std::net::SocketAddr, done: Arc<AtomicBool>) -> (usize, usize) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let (mut asked, mut versions) = (0, std::collections::BTreeSet::new());
    while !done.load(Ordering::SeqCst) {
        let body = Bytes::from_static(br#"{"user_ids": [1, 2, 3]}"#);
        let request = Request::post("/v1/ltv:batch").header("host", "test");
        let response = sender.send_request(request.body(Full::new(body)).unwrap());
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let answer: Value = serde_json::from_slice(&body).unwrap();
        // All of one version, whose numbers are multiples of its day.
        let scale = answer["as_of"].as_str().unwrap()[8..].parse().unwrap();
        for (id, result) in USERS.iter().zip(answer["results"].as_array().unwrap()) {
            let expected = number(*id, scale, 0);
            assert_eq!(result["horizons"][0]["ltv"], Value::from(expected));
        }
        versions.insert(answer["version"].as_str().unwrap().to_owned());
        asked += 1;
    }
    (asked, versions.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_hundreds_of_versions_change() {
    let shop = Shop::new();
    shop.put(&day(0), &USERS, 1.0);
    let mut config = config();
    config.refresh = std::time::Duration::from_millis(10);
    let server = Running::with(config, shop.store.clone(), None);
    let done = Arc::new(AtomicBool::new(false));
    let asking: Vec<_> = (0..4)
        .map(|_| tokio::spawn(ask(server.address, done.clone())))
        .collect();
    publish(&shop, 30).await;
    until(|| shop.store.live().unwrap().as_of.to_string() == day(30)).await;
    done.store(true, Ordering::SeqCst);
    let (mut asked, mut versions) = (0, 0);
    for task in asking {
        let (times, seen) = task.await.unwrap();
        asked += times;
        versions += seen;
    }
    assert!(
        asked > 100 && versions > 20,
        "{asked} requests, {versions} versions"
    );
    let metrics = server.get("/metrics").await;
    let line = format!("ltv_lookups_total{{result=\"found\"}} {}\n", asked * 3);
    assert!(metrics.text().contains(&line), "{line}{}", metrics.text());
}

#[tokio::test]
async fn a_server_is_ready_once_something_is_published() {
    let shop = Shop::new();
    let server = Running::of(shop.store.clone());
    assert_eq!(server.get("/healthz").await.status, 200);
    for path in ["/readyz", "/v1/ltv/1", "/v1/model"] {
        let reply = server.get(path).await;
        let (kind, detail) = reply.problem(503);
        assert!(
            kind == "not-ready" && detail.contains("ltv publish"),
            "{path}: {detail}"
        );
        assert_eq!(reply.header("retry-after"), "1");
    }
    let metrics = server.get("/metrics").await;
    assert!(!metrics.text().contains("ltv_version_info"));
    publish(&shop, 1).await;
    until(|| server.log.has("is live here, with 3 users")).await;
    assert_eq!(server.get("/readyz").await.status, 200);
    server.get("/v1/ltv/1").await.ok();
}

/// A store that cannot say what is live leaves the server with what it had.
#[tokio::test]
async fn a_store_that_fails_is_warned_of_and_answers_go_on() {
    let shop = Shop::with(&USERS);
    let gated = Gated::new(shop.store.clone());
    gated.open();
    let server = Running::of(gated.clone());
    *gated.failing.lock().unwrap() = Some("the disk is gone".into());
    until(|| server.log.has("the disk is gone")).await;
    let live = shop.store.live().unwrap().id.clone();
    assert!(
        server
            .log
            .has(&format!("answers go on from version {live}"))
    );
    let failures = async || {
        let metrics = server.get("/metrics").await;
        let line = metrics.text().lines().find_map(|line| {
            let number = line.strip_prefix("ltv_refresh_failures_total ")?;
            number.parse::<u64>().ok()
        });
        line.unwrap()
    };
    while failures().await < 3 {
        tokio::task::yield_now().await;
    }
    // One failure is one line, however long it lasts.
    assert_eq!(server.log.all().matches("the disk is gone").count(), 1);
    server.get("/v1/ltv/1").await.ok();
    assert_eq!(server.get("/readyz").await.status, 200);
    *gated.failing.lock().unwrap() = None;
    until(|| server.log.has("the store can be read again")).await;
}
