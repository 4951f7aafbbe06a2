//! How a store is reached: the environment, under the names that the tools of AWS use.

use crate::{
    FilesError,
    error::Problem,
    explain::{explain, innermost},
};
use object_store::{
    RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey},
};
use std::time::Duration;

/// How often a request is made, the first time included, unless `AWS_MAX_ATTEMPTS` says otherwise.
const ATTEMPTS: usize = 8;
/// No new attempt is made after this long.
const PATIENCE: Duration = Duration::from_secs(60);
/// For a role's credentials to come.
const CREDENTIALS_PATIENCE: Duration = Duration::from_secs(20);

/// Variables that mean nothing without each other.
const PAIRS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"),
    (
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    ),
];
/// Variables that become parts of headers.
const HEADERS: [&str; 4] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
];
const ENDPOINTS: [&str; 3] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];

/// Whether this can stand behind `https://` in a server's address: a host, perhaps a port and a path.
fn is_host(rest: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '\\');
    let host = rest.split('/').next().unwrap_or_default();
    // The colons of an IPv6 address are in brackets.
    let after = host.rfind(']').map_or(0, |end| end + 1);
    let (name, port) = match host[after..].split_once(':') {
        Some((name, port)) => (&host[..after + name.len()], Some(port)),
        None => (host, None),
    };
    !name.is_empty() && rest.chars().all(plain) && port.is_none_or(|p| p.parse::<u16>().is_ok())
}

/// The variables whose names start with `AWS_`; empty ones count as not set.
pub(crate) struct Settings(Vec<(String, String)>);

impl Settings {
    pub(crate) fn from_env() -> Self {
        let all = std::env::vars_os().filter_map(|(name, value)| {
            let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
            Some((name, value))
        });
        Self::new(all)
    }

    fn new(all: impl Iterator<Item = (String, String)>) -> Self {
        Self(
            all.filter(|(name, value)| name.starts_with("AWS_") && !value.is_empty())
                .collect(),
        )
    }

    fn get(&self, name: &str) -> Option<&str> {
        let mut all = self.0.iter();
        all.find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    fn is_on(&self, name: &str) -> bool {
        let on = ["1", "true", "on", "yes", "y"];
        let value = self.get(name).unwrap_or_default();
        on.contains(&value.to_ascii_lowercase().as_str())
    }

    /// A client of a bucket, with credentials that could be found; `url` is for messages.
    pub(crate) async fn connect(&self, bucket: &str, url: &str) -> Result<AmazonS3, FilesError> {
        let refuse = |problem| FilesError::remote(url, problem);
        self.check().map_err(refuse)?;
        let retry = RetryConfig {
            max_retries: self.attempts().map_err(refuse)? - 1,
            retry_timeout: PATIENCE,
            ..RetryConfig::default()
        };
        let mut builder = AmazonS3Builder::new();
        for (name, value) in &self.0 {
            if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
                builder = builder.with_config(key, value);
            }
        }
        let store = builder.with_bucket_name(bucket).with_retry(retry).build();
        let store = store.map_err(|e| refuse(Problem::Settings(self.build_problem(&e))))?;
        if !self.is_on("AWS_SKIP_SIGNATURE") {
            self.find_credentials(&store).await.map_err(refuse)?;
        }
        Ok(store)
    }

    /// What can be said without asking anybody.
    fn check(&self) -> Result<(), Problem> {
        for (one, other) in PAIRS {
            if self.get(one).is_some() != self.get(other).is_some() {
                let what = format!("only one of {one} and {other} is set: set both, or neither");
                return Err(Problem::Settings(what));
            }
        }
        for name in HEADERS {
            let value = self.get(name).unwrap_or_default();
            if !value.bytes().all(|b| b.is_ascii_graphic()) {
                let what =
                    format!("{name} holds a blank, a line break or another sign that none has");
                return Err(Problem::Settings(format!("{what}: correct it")));
            }
        }
        if self.get("AWS_ENDPOINT").is_some() && self.get("AWS_ENDPOINT_URL").is_some() {
            let what = "AWS_ENDPOINT and AWS_ENDPOINT_URL are both set: leave out the first";
            return Err(Problem::Settings(what.into()));
        }
        for name in ENDPOINTS {
            if let Some(endpoint) = self.get(name) {
                self.check_endpoint(name, endpoint)?;
            }
        }
        self.check_sources()
    }

    fn check_endpoint(&self, name: &str, endpoint: &str) -> Result<(), Problem> {
        let settings = |what: String| Err(Problem::Settings(what));
        if endpoint.contains('@') {
            return settings(
                "a user or a password in the server's address: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead".into(),
            );
        }
        let lower = endpoint.to_ascii_lowercase();
        let rest = lower.strip_prefix("https://");
        let rest = rest.or_else(|| lower.strip_prefix("http://"));
        if !rest.is_some_and(is_host) {
            return settings(format!(
                "{name} is not the address of a server: write it as https://host:port, for example https://minio.example.com:9000"
            ));
        }
        if lower.starts_with("http://") && !self.is_on("AWS_ALLOW_HTTP") {
            return settings(format!(
                "{name} starts with http://, so that anybody on the way could read along: use https://, or set AWS_ALLOW_HTTP=true where that is meant"
            ));
        }
        Ok(())
    }

    /// Credentials of a machine's role must not stand in for those that were meant.
    fn check_sources(&self) -> Result<(), Problem> {
        let elsewhere = [
            "AWS_ACCESS_KEY_ID",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        ];
        let found = elsewhere.iter().any(|name| self.get(name).is_some());
        let why = match () {
            () if found || self.is_on("AWS_SKIP_SIGNATURE") => return Ok(()),
            () if self.get("AWS_PROFILE").is_some() => "AWS_PROFILE names a profile",
            () if self.is_on("AWS_EC2_METADATA_DISABLED") => "AWS_EC2_METADATA_DISABLED is set",
            () => return Ok(()),
        };
        Err(Problem::NoCredentials(why.into()))
    }

    fn attempts(&self) -> Result<usize, Problem> {
        let Some(text) = self.get("AWS_MAX_ATTEMPTS") else {
            return Ok(ATTEMPTS);
        };
        let attempts = text.parse().ok().filter(|n| (1..=100).contains(n));
        let wrong = "AWS_MAX_ATTEMPTS is not a number from 1 to 100: correct it or leave it out";
        attempts.ok_or_else(|| Problem::Settings(wrong.into()))
    }

    async fn find_credentials(&self, store: &AmazonS3) -> Result<(), Problem> {
        let asked = store.credentials().get_credential();
        let asked = tokio::time::timeout(CREDENTIALS_PATIENCE, asked).await;
        match asked {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Problem::NoCredentials(self.role_problem(&error))),
            Err(_) => Err(Problem::NoCredentials("nobody gave any in time".into())),
        }
    }

    /// Why no role gave credentials.
    fn role_problem(&self, error: &object_store::Error) -> String {
        let from = match () {
            () if self.get("AWS_WEB_IDENTITY_TOKEN_FILE").is_some() => "the web identity's",
            () if self.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").is_some()
                || self.get("AWS_CONTAINER_CREDENTIALS_FULL_URI").is_some() =>
            {
                "the container's"
            }
            () => "the instance's",
        };
        let why = match explain("", error) {
            FilesError::Remote {
                problem: Problem::Unreachable(why) | Problem::Refused(why),
                ..
            } => why,
            _ => "refused".into(),
        };
        format!("none in the environment, and {from} role gave none: {why}")
    }

    /// What the builder did not like; it names variables, and values only of those that hold no
    /// credential.
    fn build_problem(&self, error: &object_store::Error) -> String {
        let why = self.without_secrets(innermost(error));
        format!("the environment's settings for object stores are not usable ({why}): correct them")
    }

    /// `text`, should it hold a credential after all.
    fn without_secrets(&self, mut text: String) -> String {
        let names = [
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_ACCESS_KEY_ID",
        ];
        for secret in names.iter().filter_map(|name| self.get(name)) {
            text = text.replace(secret, "***");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::runtime::wait;

    fn settings(vars: &[(&str, &str)]) -> Settings {
        let owned = vars.iter().map(|(n, v)| (n.to_string(), v.to_string()));
        Settings::new(owned)
    }

    const KEYS: [(&str, &str); 2] = [
        ("AWS_ACCESS_KEY_ID", "HUSHKEY"),
        ("AWS_SECRET_ACCESS_KEY", "HUSH"),
    ];

    fn connect(vars: &[(&str, &str)]) -> Result<AmazonS3, String> {
        let settings = settings(vars);
        let work = async move { settings.connect("lake", "s3://lake/data").await };
        let connected = wait(work).map_err(|e| e.to_string());
        if let Err(error) = &connected {
            assert!(error.starts_with("s3://lake/data: "), "{error}");
            assert!(!error.contains("HUSH"), "{error}");
        }
        connected
    }

    #[test]
    fn keys_are_enough() {
        connect(&KEYS).unwrap();
        let with = |more: &[(&str, &str)]| connect(&[&KEYS, more].concat());
        with(&[("AWS_PROFILE", "work"), ("AWS_SESSION_TOKEN", "")]).unwrap();
        with(&[("AWS_ENDPOINT_URL", "https://localhost")]).unwrap();
        with(&[
            ("AWS_ENDPOINT_URL", "http://localhost"),
            ("AWS_ALLOW_HTTP", "true"),
        ])
        .unwrap();
        connect(&[("AWS_SKIP_SIGNATURE", "true"), ("AWS_PROFILE", "work")]).unwrap();
    }

    #[test]
    fn hosts() {
        for good in [
            "h",
            "h:9000",
            "h/path",
            "[::1]",
            "[::1]:9000",
            "127.0.0.1:9000/",
        ] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", ":1", "h:", "h:x", "[::1]:x", "/h", "h\\x"] {
            assert!(!is_host(bad), "{bad}");
        }
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let refused = |vars: &[(&str, &str)], part: &str| {
            let error = connect(vars).unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        refused(&KEYS[..1], "set both");
        refused(&KEYS[1..], "set both");
        let with = |more| [KEYS[0], KEYS[1], more];
        refused(
            &with(("AWS_ENDPOINT_URL", "http://localhost")),
            "AWS_ALLOW_HTTP=true",
        );
        refused(
            &with(("AWS_ENDPOINT_URL_S3", "http://localhost")),
            "AWS_ENDPOINT_URL_S3",
        );
        refused(
            &with(("AWS_ENDPOINT_URL", "https://u:HUSH@h")),
            "a password",
        );
        for endpoint in [
            "127.0.0.1:9000",
            "localhost",
            "http:127.0.0.1:1",
            "http://",
            "https://:9000",
            "https://h:99999",
            "https://h ",
            "https://a b",
            "https://h/?x=1",
        ] {
            let what = "not the address of a server";
            refused(&with(("AWS_ENDPOINT_URL", endpoint)), what);
        }
        refused(
            &with(("AWS_SESSION_TOKEN", "HUSH\nHUSH")),
            "AWS_SESSION_TOKEN",
        );
        refused(&with(("AWS_REGION", "eu west")), "AWS_REGION");
        refused(&with(("AWS_WEB_IDENTITY_TOKEN_FILE", "/x")), "AWS_ROLE_ARN");
        let both = [
            ("AWS_ENDPOINT", "https://a"),
            ("AWS_ENDPOINT_URL", "https://b"),
        ];
        refused(&[&KEYS[..], &both].concat(), "leave out the first");
        refused(&with(("AWS_MAX_ATTEMPTS", "0")), "1 to 100");
        refused(&with(("AWS_MAX_ATTEMPTS", "many")), "1 to 100");
        refused(&with(("AWS_CHECKSUM_ALGORITHM", "md0")), "not usable");
    }

    #[test]
    fn a_role_does_not_stand_in_for_a_profile() {
        for name in ["AWS_PROFILE", "AWS_EC2_METADATA_DISABLED"] {
            let error = connect(&[(name, "true")]).unwrap_err();
            assert!(
                error.contains("no credentials") && error.contains(name),
                "{error}"
            );
            assert!(error.contains("export-credentials --format env"), "{error}");
        }
    }

    #[test]
    fn a_role_that_gives_no_credentials_is_named() {
        let file = "/nowhere/token";
        let error = connect(&[
            ("AWS_WEB_IDENTITY_TOKEN_FILE", file),
            ("AWS_ROLE_ARN", "arn:aws:iam::1:role/x"),
        ]);
        let error = error.unwrap_err();
        assert!(
            error.contains("the web identity's role gave none"),
            "{error}"
        );
        assert!(error.contains(file), "{error}");
    }
}
