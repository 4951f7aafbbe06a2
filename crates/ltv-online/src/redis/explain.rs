//! What a server's refusal means, and what to do.

use crate::OnlineError;
use redis::RedisError;

/// Part of an error's text or code, and what to do. The first that fits is taken.
const HINTS: &[(&str, &str)] = &[
    (
        "Connection refused",
        "nobody listens there: start the server, or mend host and port",
    ),
    (
        "failed to lookup address",
        "no host has this name: mend it in the address",
    ),
    (
        "certificate",
        "the server's certificate is not trusted here: SSL_CERT_FILE names a file with those to trust",
    ),
    (
        "corrupt message",
        "it does not speak TLS: write redis:// instead of rediss://, or mend the port",
    ),
    ("NOAUTH", LOGIN),
    ("WRONGPASS", LOGIN),
    ("AuthenticationFailed", LOGIN),
    (
        "NoPerm",
        "this user may not do that: let its ACL allow what docs/formats/store-redis.md names",
    ),
    (
        "OOM",
        "the server is full: raise its maxmemory, or make room; while one version is loaded, it and two older ones are there",
    ),
    (
        "ReadOnly",
        "this is a replica: give the address of the server that takes writes",
    ),
    (
        "ClusterConnectionNotFound",
        "no cluster is there: look at 'redis-cli cluster nodes', or leave 'cluster=true' out of the address",
    ),
    ("Moved", CLUSTER),
    ("CrossSlot", CLUSTER),
    (
        "ClusterDown",
        "some slots of the cluster have no server: look at 'redis-cli cluster info'",
    ),
    (
        "BusyLoading",
        "the server has just started and still reads its data: try again later",
    ),
    (
        "MISCONF",
        "the server cannot save to its disk and takes no writes: look at its log",
    ),
    (
        "WRONGTYPE",
        "something else has a key of this name: give the store a prefix of its own, '?prefix=...'",
    ),
    (
        "unknown command",
        "the server is too old, or the command is switched off: Redis 6 or Valkey is needed",
    ),
];

const LOGIN: &str = "give the right user and password: LTV_REDIS_USER and LTV_REDIS_PASSWORD, or user:password@ in the address";
const CLUSTER: &str = "the server is part of a cluster: add 'cluster=true' to the address";
const SLOW: &str = "the server is overloaded, paused or behind a firewall, or does not speak TLS where rediss:// asks for it";
const CUT_OFF: &str = "the server ended or closed the connection, or speaks TLS where redis:// does not: look at its log";

/// An error of `store` in words; `what` was tried.
pub(super) fn explain(store: &str, what: &'static str, error: &RedisError) -> OnlineError {
    let text = error.to_string();
    let known = HINTS.iter().find(|(part, _)| text.contains(part));
    let hint = match known {
        Some((_, hint)) => hint,
        None if error.is_timeout() || text.contains("timed out") => SLOW,
        None if error.is_connection_dropped() => CUT_OFF,
        None => "look at the server's log",
    };
    let problem = match error.is_timeout() {
        // "Resource temporarily unavailable".
        true => "no answer in time".to_owned(),
        false => text.trim_end_matches('.').to_owned(),
    };
    OnlineError::Store {
        store: store.to_owned(),
        what,
        problem,
        hint,
    }
}
