//! Addresses of places in an object store.

use crate::{FilesError, error::Problem};
use ltv_core::address::{parts, shown};
use object_store::path::Path as Key;
use std::path::Path;

/// The parts of `s3://bucket/prefix`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) bucket: String,
    /// Without a slash at either end; empty for the whole bucket.
    pub(crate) prefix: Key,
}

/// The address that a path is, if it is one.
///
/// # Errors
/// When it is one that cannot be used. Whatever of it may be a credential is not repeated.
pub(crate) fn parse(path: &Path) -> Result<Option<Address>, FilesError> {
    let Some((scheme, rest)) = parts(path) else {
        return Ok(None);
    };
    let shown = shown((scheme, rest));
    let refuse = |problem| FilesError::remote(&shown, problem);
    if scheme != "s3" {
        return Err(refuse(Problem::Scheme));
    }
    let wrong = |why| refuse(Problem::Address(why));
    if rest.contains(['?', '#']) {
        return Err(wrong("an address with a query or a fragment"));
    }
    if shown.len() != path.as_os_str().len() {
        return Err(wrong("an address with a user or a password"));
    }
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if !(3..=255).contains(&bucket.len()) || !bucket.chars().all(letters) {
        return Err(wrong("not the name of a bucket"));
    }
    let prefix = Key::parse(prefix.trim_end_matches('/'));
    Ok(Some(Address {
        bucket: bucket.to_owned(),
        prefix: prefix.map_err(|_| wrong("an empty, '.' or '..' part of a prefix"))?,
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn read(text: &str) -> Option<(String, String)> {
        let address = parse(Path::new(text)).unwrap()?;
        Some((address.bucket, address.prefix.to_string()))
    }

    fn refusal(text: &str) -> String {
        parse(Path::new(text)).unwrap_err().to_string()
    }

    #[test]
    fn bucket_and_prefix() {
        let is = |text, bucket: &str, prefix: &str| {
            assert_eq!(read(text), Some((bucket.into(), prefix.into())), "{text}");
        };
        is("s3://lake", "lake", "");
        is("s3://lake/", "lake", "");
        is("s3://lake/a/b c/", "lake", "a/b c");
        is("s3://lake/day=2024-01-01/a@b", "lake", "day=2024-01-01/a@b");
    }

    #[test]
    fn paths_are_no_addresses() {
        for text in [
            "data", "/data/s3", "./s3:/x", "C:\\data", "1s://x", "://x", "a b://x",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn other_stores_are_refused_with_what_there_is() {
        for text in [
            "gs://lake/x",
            "az://lake/x",
            "http://h:80/x",
            "file:///x",
            "S3://lake",
        ] {
            let error = refusal(text);
            assert!(error.starts_with(text), "{error}");
            assert!(error.contains("s3://bucket/prefix"), "{error}");
        }
    }

    #[test]
    fn what_is_no_bucket_is_refused() {
        for (text, part) in [
            ("s3://", "name of a bucket"),
            ("s3:///data", "name of a bucket"),
            ("s3://my bucket/data", "name of a bucket"),
            ("s3://lake/a//b", "part of a prefix"),
            ("s3://lake/../b", "part of a prefix"),
        ] {
            let error = refusal(text);
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn credentials_in_an_address_are_not_repeated() {
        for text in [
            "s3://KEY:SECRET@lake/data",
            "s3://lake/data?X-Amz-Signature=SECRET",
            "s3://lake/data#SECRET",
            "https://KEY:SECRET@host/lake",
            "https://host/lake?sig=SECRET",
        ] {
            let error = refusal(text);
            assert!(
                !error.contains("SECRET") && !error.contains("KEY:"),
                "{error}"
            );
        }
    }
}
