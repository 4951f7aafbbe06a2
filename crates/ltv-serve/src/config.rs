//! What a server is told.

use crate::ServeError;
use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

/// What a server is told. Checked when it starts ([`crate::Server::bind`]).
///
/// | setting | default | range |
/// |---|---|---|
/// | `address` | | any; port 0: one that is free |
/// | `tokens` | none | a file, see [`crate::tokens`] |
/// | `open` | `false` | whether everybody may ask, also from other machines |
/// | `tls` | none | two PEM files |
/// | `fallback` | `none` | `none`, `mean`, `status:NAME` |
/// | `refresh` | 1 s | 10 ms to 1 h |
/// | `drain` | 30 s | 0 to 1 h |
/// | `threads` | 2 | 1 to 1024 |
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub address: SocketAddr,
    /// The file with the hashes of tokens. Without one, only a loopback address may be listened on.
    pub tokens: Option<PathBuf>,
    /// Listens without tokens on any address.
    pub open: bool,
    /// Certificate and key; without them, connections are not encrypted.
    pub tls: Option<TlsFiles>,
    /// What a request may take.
    pub limits: Limits,
    /// What is said of users who are not known.
    pub fallback: Fallback,
    /// How often the store is asked whether another version is live.
    pub refresh: Duration,
    /// What running requests have to come to their end, once the server is to stop.
    pub drain: Duration,
    /// Threads for connections; look-ups run on others.
    pub threads: usize,
}

/// A certificate and its key, as PEM files. They are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, followed by those that it is signed with, without the root.
    pub certificate: PathBuf,
    /// Its private key: PKCS #8, PKCS #1 or SEC1.
    pub key: PathBuf,
}

/// What requests may take.
///
/// | limit | default | range | past it |
/// |---|---|---|---|
/// | `body` | 1 MiB | 1 KiB to 1 GiB | 413 |
/// | `batch` | 1000 | 1 to 1 million | 413 |
/// | `requests` | 512 | 1 to 65,536 | 503, with `Retry-After` |
/// | `connections` | 4096 | 1 to 1 million | they wait |
/// | `time` | 10 s | 1 ms to 1 h | 503, with `Retry-After` |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body.
    pub body: usize,
    /// Users of a batch.
    pub batch: usize,
    /// Requests at work at a time, in all connections.
    pub requests: usize,
    /// Connections at a time.
    pub connections: usize,
    /// Time of a request, from its head to its answer.
    pub time: Duration,
}

/// What is said of a user who is not in the live version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Fallback {
    /// That there is none: status 404.
    #[default]
    None,
    /// Means over all users.
    Mean,
    /// Means over the users of a status.
    Status(String),
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 1 << 20,
            batch: 1000,
            requests: 512,
            connections: 4096,
            time: Duration::from_secs(10),
        }
    }
}

impl Config {
    /// The defaults, listening on `address`.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            tokens: None,
            open: false,
            tls: None,
            limits: Limits::default(),
            fallback: Fallback::None,
            refresh: Duration::from_secs(1),
            drain: Duration::from_secs(30),
            threads: 2,
        }
    }

    /// Refuses settings outside of their ranges, and a port that everybody may reach and ask.
    pub(crate) fn check(&self) -> Result<(), ServeError> {
        let hour = Duration::from_secs(3600);
        let limits = &self.limits;
        within("limits.body", limits.body, 1 << 10, 1 << 30)?;
        within("limits.batch", limits.batch, 1, 1_000_000)?;
        within("limits.requests", limits.requests, 1, 1 << 16)?;
        within("limits.connections", limits.connections, 1, 1_000_000)?;
        lasting("limits.time", limits.time, Duration::from_millis(1), hour)?;
        lasting("refresh", self.refresh, Duration::from_millis(10), hour)?;
        lasting("drain", self.drain, Duration::ZERO, hour)?;
        within("threads", self.threads, 1, 1024)?;
        match self.tokens.is_none() && !self.open && !self.address.ip().is_loopback() {
            true => Err(ServeError::Open {
                address: self.address,
            }),
            false => Ok(()),
        }
    }
}

fn within(key: &'static str, value: usize, least: usize, most: usize) -> Result<(), ServeError> {
    match (least..=most).contains(&value) {
        true => Ok(()),
        false => Err(ServeError::setting(
            key,
            format!("{value}, where {least} to {most} are possible"),
        )),
    }
}

fn lasting(
    key: &'static str,
    value: Duration,
    least: Duration,
    most: Duration,
) -> Result<(), ServeError> {
    match (least..=most).contains(&value) {
        true => Ok(()),
        false => Err(ServeError::setting(
            key,
            format!("{value:?}, where {least:?} to {most:?} are possible"),
        )),
    }
}

/// As it is written in configuration and answers.
impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => write!(f, "none"),
            Self::Mean => write!(f, "mean"),
            Self::Status(status) => write!(f, "status:{status}"),
        }
    }
}

impl FromStr for Fallback {
    type Err = ServeError;

    fn from_str(text: &str) -> Result<Self, ServeError> {
        match text.split_once(':') {
            None if text == "none" => Ok(Self::None),
            None if text == "mean" => Ok(Self::Mean),
            Some(("status", status)) if !status.is_empty() => Ok(Self::Status(status.into())),
            _ => Err(ServeError::setting(
                "fallback",
                format!("'{text}' is none of 'none', 'mean' and 'status:NAME'"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn on(address: &str) -> Config {
        Config::new(address.parse().unwrap())
    }

    #[test]
    fn what_everybody_reaches_needs_tokens() {
        for address in ["127.0.0.1:0", "127.8.0.1:80", "[::1]:0"] {
            on(address).check().unwrap();
        }
        for address in ["0.0.0.0:0", "[::]:8080", "10.0.0.1:80"] {
            let mut config = on(address);
            let error = config.check().unwrap_err().to_string();
            assert!(
                error.contains(address) && error.contains("--tokens"),
                "{error}"
            );
            config.open = true;
            config.check().unwrap();
            config.open = false;
            config.tokens = Some("tokens".into());
            config.check().unwrap();
        }
    }

    #[test]
    fn settings_have_ranges() {
        type Change = fn(&mut Config);
        let wrong: [(&str, Change); 8] = [
            ("limits.body", |c| c.limits.body = 0),
            ("limits.batch", |c| c.limits.batch = 1_000_001),
            ("limits.requests", |c| c.limits.requests = 0),
            ("limits.connections", |c| c.limits.connections = 0),
            ("limits.time", |c| c.limits.time = Duration::ZERO),
            ("refresh", |c| c.refresh = Duration::ZERO),
            ("drain", |c| c.drain = Duration::from_secs(3601)),
            ("threads", |c| c.threads = 0),
        ];
        for (key, change) in wrong {
            let mut config = on("127.0.0.1:0");
            change(&mut config);
            let error = config.check().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{key}: ")), "{error}");
        }
    }

    #[test]
    fn fallbacks_are_written_as_they_are_read() {
        for text in ["none", "mean", "status:no_events"] {
            assert_eq!(text.parse::<Fallback>().unwrap().to_string(), text);
        }
        for wrong in ["", "median", "status", "status:", "mean:x"] {
            let error = wrong.parse::<Fallback>().unwrap_err().to_string();
            assert!(error.contains(&format!("'{wrong}'")), "{error}");
        }
    }
}
