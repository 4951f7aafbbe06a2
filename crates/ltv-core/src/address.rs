//! Paths that are written as addresses, `scheme://`: names of things that are not on this machine.

use crate::{Error, Result};
use std::path::Path;

/// The scheme of an address, and what follows `://`; `None` for a path of this machine.
pub fn parts(path: &Path) -> Option<(&str, &str)> {
    let (scheme, rest) = path.to_str()?.split_once("://")?;
    let starts = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    (starts && scheme.chars().all(letters)).then_some((scheme, rest))
}

/// Whether a path is written as an address, of a kind that is supported or not.
pub fn is_address(path: impl AsRef<Path>) -> bool {
    parts(path.as_ref()).is_some()
}

/// An address without what may be a credential, for messages: no user before the host, also where a
/// password has a slash in it, and no query.
pub fn shown((scheme, rest): (&str, &str)) -> String {
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let host = rest.split('/').next().unwrap_or_default();
    let port = host.split_once(':').map(|(_, port)| port.parse::<u16>());
    if !host.contains('@') && !matches!(port, Some(Err(_))) {
        return format!("{scheme}://{rest}");
    }
    let (_, rest) = rest.rsplit_once('@').unwrap_or(("", "..."));
    format!("{scheme}://{rest}")
}

/// What messages call a path: an address without what may be a credential.
pub(crate) fn named(path: &Path) -> String {
    match parts(path) {
        Some(address) => shown(address),
        None => path.display().to_string(),
    }
}

/// Refuses to write where only this machine can be written to.
///
/// # Errors
/// When `path` is an address.
pub fn check_output(path: &Path) -> Result<()> {
    let Some(address) = parts(path) else {
        return Ok(());
    };
    let problem = "this result is not written to object stores, only datasets and snapshots are";
    let hint = "give a path of this machine, and upload what comes of it";
    Err(Error::artefact(shown(address), problem, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_paths() {
        for text in [
            "data", "/data/s3", "./s3:/x", "C:\\data", "1s://x", "://x", "a b://x",
        ] {
            assert!(!is_address(text), "{text}");
            assert!(check_output(Path::new(text)).is_ok(), "{text}");
        }
        for text in [
            "s3://lake",
            "s3://lake/a@b",
            "gs://x/y",
            "http://h:80/x",
            "file:///x",
        ] {
            assert!(is_address(text), "{text}");
            assert_eq!(parts(Path::new(text)).map(shown).as_deref(), Some(text));
        }
    }

    #[test]
    fn credentials_are_not_shown() {
        for (text, expected) in [
            ("s3://key:secret@lake/a", "s3://lake/a"),
            ("s3://key:sec/secret@lake/a", "s3://lake/a"),
            ("s3://key:secret/lake", "s3://..."),
            ("https://h/lake?sig=secret", "https://h/lake"),
            ("https://h#secret", "https://h"),
        ] {
            assert_eq!(parts(Path::new(text)).map(shown).as_deref(), Some(expected));
            let error = check_output(Path::new(text)).map_err(|e| e.to_string());
            assert!(error.is_err_and(|e| e.starts_with(expected) && !e.contains("secret")));
        }
    }
}
