//! Snapshots go live in real servers, come back, and are refused.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use super::{
    server::{Cluster, Server},
    *,
};
use crate::{
    Erase, Publication,
    behaviour::{self, ids, value},
    testing::{numbers, put},
};
use proptest::test_runner::{Config, TestRunner};
use std::{
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread::{scope, sleep},
    time::Instant,
};

fn open(server: &Server) -> Redis {
    Redis::open(&server.address()).unwrap()
}

fn keys(server: &Server, pattern: &str) -> Vec<String> {
    let mut keys: Vec<String> = server.run(&["KEYS", pattern]);
    keys.sort();
    keys
}

fn day(store: &Redis, day: u32, users: i64) -> Result<Publication, OnlineError> {
    let all: Vec<i64> = (0..users).collect();
    put(
        store,
        &format!("2024-01-{day:02}"),
        &[numbers(&all, f64::from(day))],
    )
}

/// The message of an error that must be the user's.
fn message(result: Result<impl Sized, OnlineError>) -> String {
    let error = result.err().expect("it fails");
    assert_eq!(error.fault(), ltv_core::Fault::User, "{error}");
    error.to_string()
}

#[test]
fn a_store_like_others() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let at = |prefix: &str| Redis::open(&format!("{}?prefix={prefix}", server.address())).unwrap();
    behaviour::a_snapshot_is_found_as_it_was(&at("a"));
    behaviour::versions_change_places_and_come_back(&at("b"));
    assert_eq!(keys(&server, "b:*:version").len(), 2);
    behaviour::what_cannot_be_published_leaves_the_old_version_live(&at("c"));
    behaviour::drafts_vanish(&at("c")).unwrap();
    // One bucket, its description, the pointer and the list: drafts leave nothing behind.
    assert_eq!(keys(&server, "c:*").len(), 4);
    behaviour::texts_are_ids_too(&at("d"));
    behaviour::readers_follow(&at("e"), &at("e"));
    behaviour::values_alone(&at("g"));
    behaviour::the_version_before_is_known(&at("h"), &at("h"));
    // It may have run out.
    let store = at("h");
    put(&store, "2024-01-04", &[numbers(&[1], 1.0)]).unwrap();
    let before = store.previous().unwrap().unwrap();
    let document = format!("h:{}:version", before.id);
    assert_eq!(server.run::<i64>(&["DEL", &document]), 1);
    assert_eq!(store.previous().unwrap(), None);
}

#[test]
fn a_cluster_is_a_store_like_others() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let at = |prefix: &str| Redis::open(&format!("{}&prefix={prefix}", cluster.address())).unwrap();
    behaviour::a_snapshot_is_found_as_it_was(&at("a"));
    behaviour::versions_change_places_and_come_back(&at("b"));
    behaviour::what_cannot_be_published_leaves_the_old_version_live(&at("c"));
    behaviour::texts_are_ids_too(&at("d"));
    behaviour::readers_follow(&at("e"), &at("e"));
    behaviour::values_alone(&at("g"));
    behaviour::the_version_before_is_known(&at("h"), &at("h"));
    let many: Vec<i64> = (0..5000).collect();
    behaviour::everybody_is_found(&at("f"), "2024-01-01", &many);
    // The buckets of one batch are on all servers.
    for server in &cluster.servers {
        let there = keys(server, "f:2024-01-01-*").len();
        assert!(there > 10, "{there} of 79 buckets");
    }
    let plain = Redis::open(&cluster.servers[0].address());
    let plain = plain.and_then(|store| day(&store, 1, 1000));
    let error = message(plain);
    assert!(error.contains("add 'cluster=true'"), "{error}");
}

#[test]
fn everybody_is_found() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let store = open(&server);
    let published = std::cell::Cell::new(0);
    let ids = proptest::collection::hash_set(proptest::prelude::any::<i64>(), 0..300);
    let mut runner = TestRunner::new(Config::with_cases(16));
    runner
        .run(&ids, |ids| {
            published.set(published.get() + 1);
            let ids: Vec<i64> = ids.into_iter().collect();
            behaviour::everybody_is_found(&store, &format!("2024-01-{:02}", published.get()), &ids);
            Ok(())
        })
        .unwrap();
}

#[test]
fn users_vanish() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let at = |more: &str| Redis::open(&format!("{}?prefix={more}", server.address())).unwrap();
    behaviour::users_vanish(&at("a"));
    // One version of five buckets, its description, the pointer and the list.
    assert_eq!(keys(&server, "a:*").len(), 8);
    behaviour::a_status_goes_with_its_last_user(&at("b"));

    // What runs out still does; what killed publishers left, and what ran out before its users did, goes.
    day(&at("c&ttl=1d"), 1, 100).unwrap();
    for killed in ["2024-01-05-x", "2024-01-06-x"] {
        server.run::<()>(&["HSET", "c:versions", killed, "2"]);
        server.run::<()>(&["HSET", &format!("c:{killed}:1"), "4", "x"]);
    }
    let user = [UserId::Number(4)];
    crate::forget(&at("c"), &user, false, &ltv_core::progress::Silent).unwrap();
    let there = keys(&server, "c:*");
    assert_eq!(there.len(), 5, "{there:?}");
    for key in there.iter().filter(|key| *key != "c:versions") {
        let left: i64 = server.run(&["TTL", key]);
        let wanted = if key.ends_with(['0', '1']) { 25 } else { 24 };
        let wanted = wanted * 3600 - 60..=wanted * 3600;
        assert!(wanted.contains(&left), "{key}: {left}");
    }
    // Somebody publishes meanwhile.
    let store = at("c");
    server.run::<()>(&["SET", "c:publishing", "somebody"]);
    let error = message(crate::forget(
        &store,
        &user,
        false,
        &ltv_core::progress::Silent,
    ));
    assert!(error.contains("somebody else is publishing"), "{error}");
    assert!(message(store.switch("2024-01-09-x", "y")).contains("run this again"));
}

#[test]
fn users_vanish_from_a_cluster() {
    if let Some(cluster) = Cluster::start() {
        behaviour::users_vanish(&Redis::open(&cluster.address()).unwrap());
    }
}

/// The page for readers in other languages is followed by hand.
#[test]
fn the_layout_is_as_documented() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let store = open(&server);
    let published = day(&store, 1, 1000).unwrap().version;
    let pointer: String = server.run(&["GET", "ltv:live"]);
    let id = &published.id;
    assert_eq!(
        pointer,
        format!(r#"{{"format":"ltv-store","version":1,"live":"{id}","previous":null}}"#)
    );
    let document: String = server.run(&["GET", &format!("ltv:{id}:version")]);
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["buckets"], 16);
    assert_eq!(document["rows"], 1000);
    // zlib.crc32(b'17') % 16 in Python.
    let bytes: Vec<u8> = server.run(&["HGET", &format!("ltv:{id}:2"), "17"]);
    let mut key = vec![];
    UserId::Number(17).key(&mut key);
    let seventeen = Prediction::decode(&key, &bytes, 10).unwrap();
    assert_eq!(seventeen.numbers[0], 17.0);
    let encoding: String = server.run(&["OBJECT", "ENCODING", &format!("ltv:{id}:2")]);
    assert!(
        ["listpack", "ziplist"].contains(&encoding.as_str()),
        "{encoding}"
    );
    let sizes: u64 = (0..16)
        .map(|b| server.run::<u64>(&["HLEN", &format!("ltv:{id}:{b}")]))
        .sum();
    assert_eq!(sizes, 1000);
    // Nothing runs out by itself.
    for key in keys(&server, "*") {
        assert_eq!(server.run::<i64>(&["TTL", &key]), -1, "{key}");
    }
}

#[test]
fn versions_run_out() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let store = Redis::open(&format!("{}?ttl=3d", server.address())).unwrap();
    let first = day(&store, 1, 100).unwrap().version;
    let ttl = |key: &str| server.run::<i64>(&["TTL", key]);
    let document = |id: &str| format!("ltv:{id}:version");
    let days = 3 * 24 * 3600;
    let close = |left: i64, to: i64| (to - 100..=to).contains(&left);
    assert!(close(ttl(&document(&first.id)), days));
    assert!(close(ttl("ltv:live"), days));
    for bucket in 0..2 {
        let left = ttl(&format!("ltv:{}:{bucket}", first.id));
        assert!(close(left, days + 3600), "{left}");
    }
    // What is left of the version before is left of the pointer that goes back to it.
    server.run::<()>(&["EXPIRE", &document(&first.id), "7000"]);
    let second = day(&store, 2, 100).unwrap().version;
    assert!(close(ttl("ltv:live"), days));
    assert_eq!(store.roll_back().unwrap().id, first.id);
    assert!(close(ttl("ltv:live"), 7000));
    // Put live again, it runs out when it would have.
    server.run::<()>(&["EXPIRE", &document(&second.id), "5000"]);
    assert!(day(&store, 2, 100).unwrap().was_there);
    assert!(close(ttl("ltv:live"), 5000));
    // When it has, nobody is taken for unknown, and nothing is answered.
    server.run::<()>(&["DEL", &document(&second.id), "ltv:live"]);
    let known = store.get(&ids(1..2)).unwrap().predictions;
    assert!(known[0].is_some());
    let error = message(store.get(&ids(-1..0)));
    assert!(error.contains("nothing is published"), "{error}");
    assert!(store.live().is_none());
    let error = message(store.roll_back());
    assert!(error.contains("no version before"), "{error}");
}

/// A reader that has slept through two publications answers from what is live then.
#[test]
fn a_reader_is_never_too_late() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let store = open(&server);
    day(&store, 1, 100).unwrap();
    let reader = open(&server);
    day(&store, 2, 100).unwrap();
    assert_eq!(value(&reader), 1.0);
    day(&store, 3, 100).unwrap();
    assert_eq!(value(&reader), 3.0);
    let missing = reader.get(&ids(500..501)).unwrap();
    assert_eq!(missing.version.as_of.to_string(), "2024-01-03");
    assert_eq!(missing.predictions, [None]);
    // Removed by hand under its feet.
    let id = &missing.version.id;
    server.run::<()>(&["DEL", &format!("ltv:{id}:version"), &format!("ltv:{id}:0")]);
    let error = message(reader.get(&ids(0..100)));
    assert!(
        error.contains(&format!("version {id} is not there")),
        "{error}"
    );
}

#[test]
fn a_damaged_store_is_noticed() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let store = open(&server);
    let id = day(&store, 1, 10).unwrap().version.id;
    server.run::<()>(&["HSET", &format!("ltv:{id}:0"), "7", "no prediction"]);
    let error = message(store.get(&ids(7..8)));
    assert!(error.contains("a damaged value"), "{error}");
    for (wrong, part) in [
        ("{", "EOF"),
        (r#"{"format":"ltv-store","version":2}"#, "newest known is 1"),
        (r#"{"format":"mine","version":1}"#, "it is a 'mine'"),
    ] {
        server.run::<()>(&["SET", "ltv:live", wrong]);
        let error = message(store.refresh());
        assert!(
            error.contains("ltv:live") && error.contains(part),
            "{error}"
        );
    }
    server.run::<()>(&["DEL", "ltv:live"]);
    server.run::<()>(&["LPUSH", "ltv:live", "mine"]);
    let error = message(Redis::open(&server.address()));
    assert!(error.contains("prefix of its own"), "{error}");
}

#[test]
fn one_publishes_at_a_time() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let (store, other) = (open(&server), open(&server));
    let draft = store.begin("2024-01-01-first", 10).unwrap();
    let error = message(day(&other, 1, 10));
    assert!(error.contains("somebody else is publishing"), "{error}");
    assert!(error.contains("ltv:publishing"), "{error}");
    drop(draft);
    let published = day(&other, 1, 10).unwrap().version;
    let error = message(store.begin(&published.id, 10).map(drop));
    assert!(error.contains("is there already"), "{error}");
    // Whoever loses its lock stops, and leaves alone what the other has.
    let mut draft = store.begin("2024-01-02-slow", 10).unwrap();
    draft.add(&UserId::Number(1), b"value").unwrap();
    server.run::<()>(&["SET", "ltv:publishing", "another"]);
    let error = message(draft.finish(published).map(drop));
    assert!(error.contains("the lock was lost"), "{error}");
    assert_eq!(server.run::<String>(&["GET", "ltv:publishing"]), "another");
    assert_eq!(value(&other), 1.0);
    server.run::<()>(&["DEL", "ltv:publishing"]);
    day(&other, 3, 10).unwrap();
    assert_eq!(keys(&server, "ltv:2024-01-02*"), Vec::<String>::new());
}

/// Runs a test of this program that is ignored otherwise, as a process of its own.
fn child(test: &str, address: &str) -> Command {
    let mut child = Command::new(env::current_exe().unwrap());
    child
        .args(["--exact", &format!("redis::tests::{test}"), "--ignored"])
        .env("LTV_TEST_STORE", address)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    child
}

#[test]
#[ignore = "the process that is killed below"]
fn child_publishes() {
    let store = Redis::open(&env::var("LTV_TEST_STORE").unwrap()).unwrap();
    day(&store, 2, 400_000).unwrap();
}

fn wait_for(child: &mut Child, mut ready: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !ready() {
        assert!(child.try_wait().unwrap().is_none(), "the process ended");
        assert!(begin.elapsed() < Duration::from_secs(120), "nothing came");
        sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_killed_publisher_leaves_the_old_version_live() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let store = open(&server);
    day(&store, 1, 100).unwrap();
    let mut child = child("child_publishes", &server.address()).spawn().unwrap();
    wait_for(&mut child, || server.run::<u64>(&["DBSIZE"]) > 1000);
    child.kill().unwrap();
    child.wait().unwrap();
    let drafted = keys(&server, "ltv:2024-01-02*");
    assert!(drafted.len() > 900 && !drafted.iter().any(|key| key.ends_with(":version")));
    // What is left runs out by itself.
    for key in &drafted[..10] {
        let left: i64 = server.run(&["TTL", key]);
        assert!((1..=24 * 3600).contains(&left), "{key} {left}");
    }
    assert!(!store.refresh().unwrap());
    assert_eq!(value(&store), 1.0);
    let error = message(day(&store, 3, 100));
    assert!(error.contains("was killed"), "{error}");
    server.run::<()>(&["DEL", "ltv:publishing"]);
    day(&store, 3, 100).unwrap();
    assert_eq!(value(&store), 3.0);
    assert_eq!(keys(&server, "ltv:2024-01-02*"), Vec::<String>::new());
}

#[test]
fn a_full_server_leaves_the_old_version_live() {
    let Some(server) = Server::start(&["--maxmemory", "4mb"]) else {
        return;
    };
    let store = open(&server);
    day(&store, 1, 1000).unwrap();
    let before = keys(&server, "*");
    let error = message(day(&store, 2, 200_000));
    assert!(error.contains("raise its maxmemory"), "{error}");
    assert_eq!(keys(&server, "*"), before);
    assert_eq!(value(&store), 1.0);
}

#[test]
fn only_those_who_may_get_in() {
    let Some(server) = Server::start(&["--requirepass", "right"]) else {
        return;
    };
    let place = format!("127.0.0.1:{}", server.port);
    for login in ["", ":wrong@", "me:wrong@"] {
        let error = message(Redis::open(&format!("redis://{login}{place}")));
        assert!(error.contains("LTV_REDIS_PASSWORD"), "{error}");
        assert!(
            error.contains(&place) && !error.contains("wrong@"),
            "{error}"
        );
    }
    let store = Redis::open(&format!("redis://:right@{place}")).unwrap();
    day(&store, 1, 100).unwrap();
    assert_eq!(store.name(), format!("redis://{place}"));
    let allow = "redis://:right@".to_owned() + &place;
    let mut admin = redis::Client::open(allow)
        .unwrap()
        .get_connection()
        .unwrap();
    let words = [
        "SETUSER", "bidder", "on", ">pass", "~ltv:*", "+get", "+hget", "+exists",
    ];
    cmd("ACL").arg(&words).exec(&mut admin).unwrap();
    let reader = Redis::open(&format!("redis://bidder:pass@{place}")).unwrap();
    assert_eq!(value(&reader), 1.0);
    assert_eq!(reader.get(&ids(-1..0)).unwrap().predictions, [None]);
    let error = message(day(&reader, 2, 100));
    assert!(error.contains("ACL"), "{error}");
    let page = include_str!("../../../../docs/formats/store-redis.md");
    let commands = page.lines().find(|line| line.starts_with("- Commands: "));
    let commands = commands.unwrap().split("; both").next().unwrap();
    let commands = commands.split('`').skip(1).step_by(2);
    let allowed: Vec<String> = commands
        .map(|name| format!("+{}", name.to_lowercase()))
        .collect();
    assert!(allowed.contains(&"+eval".to_owned()), "{allowed:?}");
    let words = ["SETUSER", "nightly", "on", ">pass", "~ltv:*"];
    cmd("ACL")
        .arg(&words)
        .arg(&allowed)
        .exec(&mut admin)
        .unwrap();
    let nightly = |options| Redis::open(&format!("redis://nightly:pass@{place}{options}")).unwrap();
    for number in 3..6 {
        day(&nightly(""), number, 100).unwrap();
    }
    let running_out = nightly("?ttl=3d");
    day(&running_out, 6, 100).unwrap();
    running_out.roll_back().unwrap();
    assert_eq!(value(&running_out), 5.0);
}

#[test]
fn what_servers_refuse_is_put_in_words() {
    let Some(mut server) = Server::start(&[]) else {
        return;
    };
    let error = message(Redis::open(&format!("{}?cluster=true", server.address())));
    assert!(error.contains("leave 'cluster=true' out"), "{error}");
    let error = message(Redis::open("redis://no-such-host.invalid"));
    assert!(error.contains("no host has this name"), "{error}");
    let error = message(Redis::open("redis://127.0.0.1:1"));
    assert!(error.contains("nobody listens there"), "{error}");
    let error = message(Redis::open("redis://127.0.0.1:1?cluster=true"));
    assert!(error.contains("nobody listens there"), "{error}");
    // A replica answers, and takes nothing.
    let store = open(&server);
    day(&store, 1, 100).unwrap();
    server.run::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    assert_eq!(value(&store), 1.0);
    let error = message(day(&store, 2, 100));
    assert!(error.contains("this is a replica"), "{error}");
    server.run::<()>(&["REPLICAOF", "NO", "ONE"]);
    // Paused for a minute, it is waited for, but not as long.
    server.run::<()>(&["CLIENT", "PAUSE", "60000"]);
    let error = message(store.get(&ids(1..2)));
    assert!(error.contains("no answer in time"), "{error}");
    // Started again, it has lost everything, and connections that lie idle have been cut off.
    server.restart();
    assert!(store.refresh().unwrap());
    assert!(store.live().is_none());
    day(&store, 2, 100).unwrap();
    assert_eq!(value(&store), 2.0);
}

/// Threads that read while versions change get answers of one version each.
#[test]
fn answers_are_of_one_version() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let store = open(&server);
    day(&store, 1, 1000).unwrap();
    let reader = open(&server);
    let done = AtomicBool::new(false);
    scope(|threads| {
        threads.spawn(|| {
            for number in 2..12 {
                day(&store, number, 1000).unwrap();
                reader.refresh().unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        for _ in 0..3 {
            threads.spawn(|| {
                let users = ids(0..300);
                while !done.load(Ordering::Relaxed) {
                    let answer = reader.get(&users).unwrap();
                    let day: f32 = answer.version.as_of.to_string()[8..].parse().unwrap();
                    for (id, found) in answer.predictions.iter().enumerate() {
                        let expected = if id % 3 == 0 { 0.0 } else { id as f32 * day };
                        assert_eq!(found.as_ref().unwrap().numbers[0], expected);
                    }
                }
            });
        }
    });
    assert_eq!(value(&reader), 11.0);
}

#[test]
#[ignore = "the process that trusts the certificate below"]
fn child_speaks_tls() {
    let store = Redis::open(&env::var("LTV_TEST_STORE").unwrap()).unwrap();
    day(&store, 1, 100).unwrap();
    assert_eq!(value(&store), 1.0);
}

#[test]
fn connections_may_be_encrypted() {
    let Some((server, authority)) = Server::start_tls() else {
        return;
    };
    let place = format!("rediss://127.0.0.1:{}", server.port);
    let error = message(Redis::open(&place));
    assert!(error.contains("SSL_CERT_FILE"), "{error}");
    let error = message(Redis::open(&place.replace("rediss", "redis")));
    assert!(error.contains("speaks TLS"), "{error}");
    let mut trusting = child("child_speaks_tls", &place);
    let output = trusting.env("SSL_CERT_FILE", authority).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}
