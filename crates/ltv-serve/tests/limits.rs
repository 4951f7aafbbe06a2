//! What requests may take, and how a server ends.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use ltv_serve::{Drained, Server, log::Silent};
use std::{sync::Arc, time::Duration};
use support::{Gated, Running, Shop, config, until};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
};

#[tokio::test]
async fn bodies_and_batches_that_are_too_large() {
    let shop = Shop::with(&[2]);
    let mut config = config();
    config.limits.body = 1 << 10;
    config.limits.batch = 3;
    let server = Running::with(config, shop.store.clone(), None);
    let batch = |ids: &str| format!(r#"{{"user_ids": [{ids}]}}"#);
    let reply = server.post("/v1/ltv:batch", &batch("1, 2, 3")).await;
    assert_eq!(reply.ok()["results"].as_array().unwrap().len(), 3);
    let reply = server.post("/v1/ltv:batch", &batch("1, 2, 3, 4")).await;
    let (kind, detail) = reply.problem(413);
    assert!(
        kind == "too-large" && detail.contains("4 users"),
        "{detail}"
    );
    let padded = batch(&format!("1{}", " ".repeat(1 << 10)));
    let reply = server.post("/v1/ltv:batch", &padded).await;
    assert_eq!(reply.problem(413).0, "too-large");
}

/// What is over the limit is refused at once; what is below waits for the store, and the room is free after it.
#[tokio::test]
async fn too_many_requests_at_once() {
    let shop = Shop::with(&[2]);
    let gated = Gated::new(shop.store.clone());
    let mut config = config();
    config.limits.requests = 2;
    let server = Arc::new(Running::with(config, gated.clone(), None));
    let asking: Vec<_> = (0..2)
        .map(|_| {
            let server = server.clone();
            tokio::spawn(async move { server.get("/v1/ltv/2").await })
        })
        .collect();
    gated.waiting(2).await;
    let reply = server.get("/v1/ltv/2").await;
    assert_eq!(reply.problem(503).0, "busy");
    assert_eq!(reply.header("retry-after"), "1");
    // Whoever watches the server is always answered.
    assert_eq!(server.get("/readyz").await.status, 200);
    gated.open();
    for reply in asking {
        reply.await.unwrap().ok();
    }
    server.get("/v1/ltv/2").await.ok();
}

/// A look-up that nobody waits for any more still takes its room.
#[tokio::test]
async fn requests_that_take_too_long() {
    let shop = Shop::with(&[2]);
    let gated = Gated::new(shop.store.clone());
    let mut config = config();
    config.limits.time = Duration::from_millis(50);
    config.limits.requests = 1;
    let server = Running::with(config, gated.clone(), None);
    let reply = server.get("/v1/ltv/2").await;
    let (kind, detail) = reply.problem(503);
    assert!(kind == "time" && detail.contains("50ms"), "{detail}");
    assert_eq!(server.get("/v1/model").await.problem(503).0, "busy");
    gated.open();
    let mut status = 0;
    for _ in 0..500 {
        status = server.get("/v1/model").await.status.as_u16();
        if status == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(status, 200);
}

#[tokio::test]
async fn what_has_begun_is_answered_before_the_end() {
    let shop = Shop::with(&[2]);
    let gated = Gated::new(shop.store.clone());
    let mut server = Running::of(gated.clone());
    let address = server.address;
    // A connection that has been answered and is kept does not hold the end up.
    let mut idle = TcpStream::connect(address).await.unwrap();
    let request = b"GET /healthz HTTP/1.1\r\nhost: test\r\n\r\n";
    idle.write_all(request).await.unwrap();
    let mut answer = [0; 12];
    idle.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let slow = TcpStream::connect(address).await.unwrap();
    let slow = support::ask(slow, "GET", "/v1/ltv/2", &[], "");
    let slow = tokio::spawn(slow);
    gated.waiting(1).await;
    server.stop();
    // Nobody new is let in.
    let mut open = true;
    for _ in 0..500 {
        open = TcpStream::connect(address).await.is_ok();
        if !open {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!open && !slow.is_finished());
    gated.open();
    slow.await.unwrap().unwrap().ok();
    assert_eq!(server.ended().await, Drained::All);
}

#[tokio::test]
async fn what_does_not_end_is_cut() {
    let shop = Shop::with(&[2]);
    let gated = Gated::new(shop.store.clone());
    let mut config = config();
    config.drain = Duration::from_millis(50);
    let server = Running::with(config, gated.clone(), None);
    let stream = TcpStream::connect(server.address).await.unwrap();
    let slow = tokio::spawn(support::ask(stream, "GET", "/v1/ltv/2", &[], ""));
    gated.waiting(1).await;
    assert_eq!(server.ended().await, Drained::Cut(1));
    assert!(slow.await.unwrap().is_err());
    gated.open();
}

/// As of a second Ctrl-C.
#[tokio::test]
async fn whoever_is_in_a_hurry_does_not_wait() {
    let shop = Shop::with(&[2]);
    let gated = Gated::new(shop.store.clone());
    let server = Server::bind(config(), gated.clone(), None, Arc::new(Silent)).unwrap();
    let address = server.address();
    let (stop, stopped) = oneshot::channel::<()>();
    let (hurry, hurried) = oneshot::channel::<()>();
    let run = || server.run(async { drop(stopped.await) }, async { drop(hurried.await) });
    let ended = tokio::task::spawn_blocking(run);
    let stream = TcpStream::connect(address).await.unwrap();
    let slow = tokio::spawn(support::ask(stream, "GET", "/v1/ltv/2", &[], ""));
    gated.waiting(1).await;
    drop(stop);
    drop(hurry);
    assert_eq!(ended.await.unwrap(), Drained::Cut(1));
    assert!(slow.await.unwrap().is_err());
    gated.open();
}

#[tokio::test]
async fn connections_wait_for_a_seat() {
    let shop = Shop::with(&[2]);
    let mut config = config();
    config.limits.connections = 1;
    let server = Running::with(config, shop.store.clone(), None);
    let first = TcpStream::connect(server.address).await.unwrap();
    let mut second = TcpStream::connect(server.address).await.unwrap();
    let request = b"GET /healthz HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
    second.write_all(request).await.unwrap();
    let mut answer = String::new();
    let wait = Duration::from_millis(100);
    let early = tokio::time::timeout(wait, second.read_to_string(&mut answer)).await;
    assert!(early.is_err() && answer.is_empty(), "{answer}");
    drop(first);
    second.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    until(|| server.log.has("/healthz")).await;
}
