//! Where a store in Redis is, in one line: `redis://user@host:port/db?prefix=ltv&cluster=true&ttl=3d`.

use crate::OnlineError;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use std::time::Duration;

/// Longest prefix of keys, in bytes.
const LONGEST: usize = 64;

/// Where a store is, and how it is kept.
#[derive(Debug, Clone)]
pub(super) struct Address {
    /// The server, or one of a cluster's.
    pub(super) server: ConnectionInfo,
    /// What messages call it: everything but who and with which password.
    pub(super) shown: String,
    /// What all keys begin with.
    pub(super) prefix: String,
    /// Whether the server is one of a cluster's.
    pub(super) cluster: bool,
    /// How long a version lives; for ever where there is none.
    pub(super) ttl: Option<Duration>,
}

impl Address {
    /// Reads an address. Who is asked for by `variable`, where the address does not say: `LTV_REDIS_USER` and
    /// `LTV_REDIS_PASSWORD`.
    pub(super) fn parse(
        address: &str,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, OnlineError> {
        let (url, options) = address.split_once('?').unwrap_or((address, ""));
        let wrong = |problem: String, hint| OnlineError::Address {
            address: without_password(address),
            problem,
            hint,
        };
        if !url.starts_with("redis://") && !url.starts_with("rediss://") {
            let problem = "it begins with neither redis:// nor rediss://".to_owned();
            return Err(wrong(problem, SHAPE));
        }
        // Only what is wrong: the rest may hold a password.
        let unread = |error: redis::RedisError| {
            wrong(error.detail().unwrap_or("not an address").into(), SHAPE)
        };
        let mut server = url.into_connection_info().map_err(unread)?;
        let mut login = server.redis_settings().clone();
        if login.username().is_none()
            && let Some(user) = variable("LTV_REDIS_USER")
        {
            login = login.set_username(user);
        }
        if login.password().is_none()
            && let Some(password) = variable("LTV_REDIS_PASSWORD")
        {
            login = login.set_password(password);
        }
        server = server.set_redis_settings(login);
        let mut found = Self {
            shown: shown(&server),
            server,
            prefix: "ltv".into(),
            cluster: false,
            ttl: None,
        };
        for option in options.split('&').filter(|option| !option.is_empty()) {
            found.set(option).map_err(|p| wrong(p, OPTIONS))?;
        }
        if found.cluster && found.server.redis_settings().db() != 0 {
            let problem = "a cluster has no database but 0".to_owned();
            return Err(wrong(problem, "leave the number after the port out"));
        }
        if found.prefix != "ltv" {
            found.shown += &format!("?prefix={}", found.prefix);
        }
        Ok(found)
    }

    /// Sets one option; what is wrong with it.
    fn set(&mut self, option: &str) -> Result<(), String> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let refused = |wanted: &str| format!("{name} = '{value}' is not {wanted}");
        match name {
            "prefix" if is_prefix(value) => self.prefix = value.into(),
            "prefix" => {
                return Err(refused(
                    "1 to 64 letters, digits, dots, hyphens, underscores or colons",
                ));
            }
            "cluster" => {
                let parsed = value.parse();
                self.cluster = parsed.map_err(|_| refused("true or false"))?;
            }
            "ttl" => {
                let ttl = duration(value);
                self.ttl = Some(ttl.ok_or_else(|| refused("a time such as 90m, 36h or 3d"))?);
            }
            _ => return Err(format!("there is no option '{name}'")),
        }
        Ok(())
    }
}

const SHAPE: &str = "write redis://host:port or, with TLS, rediss://host:port; LTV_REDIS_USER and LTV_REDIS_PASSWORD say who";
const OPTIONS: &str = "options after '?', joined by '&', are prefix, cluster and ttl";

/// No braces: they would put all keys of a cluster on one server.
fn is_prefix(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
    (1..=LONGEST).contains(&text.len()) && text.chars().all(fits)
}

/// A minute or more, and ten years at most.
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return None,
    };
    let seconds = number.parse::<u64>().ok()?.checked_mul(seconds)?;
    let range = 60..=10 * 366 * 24 * 3600;
    range
        .contains(&seconds)
        .then(|| Duration::from_secs(seconds))
}

fn shown(server: &ConnectionInfo) -> String {
    let bracketed = |host: &str| match host.contains(':') {
        true => format!("[{host}]"),
        false => host.to_owned(),
    };
    let place = match server.addr() {
        ConnectionAddr::Tcp(host, port) => format!("redis://{}:{port}", bracketed(host)),
        ConnectionAddr::TcpTls { host, port, .. } => {
            format!("rediss://{}:{port}", bracketed(host))
        }
        other => other.to_string(),
    };
    match server.redis_settings().db() {
        0 => place,
        db => format!("{place}/{db}"),
    }
}

/// What is safe to show of an address that may be anything.
fn without_password(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    match scheme {
        "" => rest.to_owned(),
        scheme => format!("{scheme}://{rest}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn parse(address: &str) -> Result<Address, OnlineError> {
        Address::parse(address, |_| None)
    }

    #[test]
    fn an_address_says_everything() {
        let address = parse("rediss://me:p%40ss@db.example:7000/2?prefix=bids:v2&ttl=3d").unwrap();
        let login = address.server.redis_settings();
        assert_eq!(
            (login.username(), login.password()),
            (Some("me"), Some("p@ss"))
        );
        assert_eq!(address.shown, "rediss://db.example:7000/2?prefix=bids:v2");
        assert_eq!(address.ttl, Some(Duration::from_secs(3 * 24 * 3600)));
        assert!(!address.cluster);
        let plain = parse("redis://[::1]?cluster=true").unwrap();
        assert_eq!(plain.shown, "redis://[::1]:6379");
        assert!(plain.cluster && plain.ttl.is_none() && plain.prefix == "ltv");
    }

    #[test]
    fn who_comes_from_variables_where_the_address_does_not_say() {
        let variable = |name: &str| Some(format!("<{name}>"));
        let login = |address: &str| {
            let address = Address::parse(address, variable).unwrap();
            assert!(!address.shown.contains("secret"), "{}", address.shown);
            let login = address.server.redis_settings();
            let owned = |text: Option<&str>| text.unwrap().to_owned();
            (owned(login.username()), owned(login.password()))
        };
        let (user, password) = login("redis://host");
        assert_eq!(user, "<LTV_REDIS_USER>");
        assert_eq!(password, "<LTV_REDIS_PASSWORD>");
        let (user, password) = login("redis://me:secret@host");
        assert_eq!((user.as_str(), password.as_str()), ("me", "secret"));
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_password() {
        for (address, part) in [
            ("host:6379", "begins with neither"),
            ("http://me:secret@host", "begins with neither"),
            ("redis://me:secret@", "redis://host:port"),
            ("redis://me:secret@host:port", "redis://host:port"),
            ("redis://me:sec@ret@host/x", "redis://host:port"),
            (
                "redis://:secret@host?prefix={a}",
                "prefix = '{a}' is not 1 to 64",
            ),
            ("redis://:secret@host?prefix=", "prefix = '' is not"),
            (
                "redis://host?cluster=yes",
                "cluster = 'yes' is not true or false",
            ),
            ("redis://host?ttl=3", "ttl = '3' is not a time"),
            ("redis://host?ttl=0d", "ttl = '0d'"),
            ("redis://host?ttl=9999999999999999999d", "not a time"),
            ("redis://host?ttl=é", "not a time"),
            ("redis://host?tls=true", "no option 'tls'"),
            ("redis://host/3?cluster=true", "no database but 0"),
        ] {
            let error = parse(address).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(part), "{address}: {text}");
            assert!(!text.contains("sec"), "{text}");
            assert_eq!(error.fault(), ltv_core::Fault::User);
        }
    }
}
