//! From what a client of the store says to what its user needs to know. Answers are never repeated:
//! some servers put parts of the signed request into them.

use crate::{FilesError, error::Problem};
use object_store::client::HttpError;
use std::error::Error;

/// Codes for credentials that are wrong, as opposed to right ones that may not do something.
const CREDENTIALS: &[&str] = &[
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "TokenRefreshRequired",
    "InvalidClientTokenId",
    // Of an account that has no such store; some servers say so of a key that they do not know.
    "NotSignedUp",
];

/// What happened to the object or prefix `url`.
pub(crate) fn explain(url: &str, error: &object_store::Error) -> FilesError {
    FilesError::remote(url, problem(error))
}

/// What happened when the object `url` was written or removed.
pub(crate) fn explain_write(url: &str, error: &object_store::Error) -> FilesError {
    let problem = match problem(error) {
        Problem::Denied(code) => Problem::WriteDenied(code),
        // Of an upload that somebody ended, for example.
        Problem::Missing => {
            let text = error.to_string();
            Problem::Refused(code(&text).unwrap_or_else(|| "not found".into()))
        }
        other => other,
    };
    FilesError::remote(url, problem)
}

/// Whether the store does not know conditions on what it is to write.
pub(crate) fn knows_no_conditions(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotImplemented { .. })
        || code(&error.to_string()).is_some_and(|code| code == "NotImplemented")
}

fn problem(error: &object_store::Error) -> Problem {
    use object_store::Error as E;
    let text = error.to_string();
    let code = code(&text);
    let named = || code.clone().or_else(|| status(&text)).unwrap_or_default();
    match (code.as_deref(), error) {
        (Some("NoSuchBucket"), _) => Problem::NoBucket,
        (Some("AuthorizationHeaderMalformed" | "PermanentRedirect"), _) => Problem::Region,
        (Some(code), _) if CREDENTIALS.contains(&code) => Problem::Credentials(code.into()),
        (Some("RequestTimeTooSkewed"), _) => Problem::Clock,
        (Some("AccessDenied"), _) | (_, E::PermissionDenied { .. }) => Problem::Denied(named()),
        (_, E::Unauthenticated { .. }) => Problem::Credentials(named()),
        (_, E::NotFound { .. }) => Problem::Missing,
        (_, E::InvalidPath { source }) => Problem::Key(source.to_string()),
        (_, E::Precondition { .. } | E::AlreadyExists { .. }) => Problem::Replaced,
        _ if text.contains("Received redirect") => Problem::Region,
        (Some(code), _) => Problem::Refused(code.into()),
        _ => match (status(&text), is_transport(error)) {
            (Some(status), _) => Problem::Refused(status),
            (None, true) => Problem::Unreachable(innermost(error)),
            (None, false) => Problem::Refused(innermost(error)),
        },
    }
}

/// The code in an answer of the S3 API, or in what the client says of one object of many.
fn code(text: &str) -> Option<String> {
    let one_of_many = || text.strip_suffix(')')?.rsplit_once("(code: ");
    let (code, _) = match text.split_once("<Code>") {
        Some((_, rest)) => rest.split_once("</Code>")?,
        None => (one_of_many()?.1, ""),
    };
    let plain = code.len() <= 64 && code.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
    plain.then(|| code.to_owned())
}

/// The status of an answer that was no success.
fn status(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("status code: ")?;
    let number = rest.get(..3)?;
    let plain = number.chars().all(|c| c.is_ascii_digit());
    plain.then(|| format!("status {number}"))
}

/// An error and what it was caused by, down to the last.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let (mut all, mut next) = (vec![], Some(error));
    while let Some(error) = next {
        all.push(error);
        next = error.source();
    }
    all
}

/// Whether no answer came.
pub(crate) fn is_transport(error: &object_store::Error) -> bool {
    chain(error).iter().any(|e| e.is::<HttpError>())
}

/// What is at the bottom of an error: the layers above repeat it, and addresses with it.
pub(crate) fn innermost(error: &object_store::Error) -> String {
    let last = chain(error).last().map(|e| e.to_string());
    let last = last.unwrap_or_default();
    last.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use object_store::{Error as E, path::Path as Key};

    /// As the client has it: the answer in the message of the cause.
    fn answer(status: &str, code: &str) -> Box<dyn Error + Send + Sync> {
        format!(
            "Error performing GET http://h/lake/x in 1ms - Server returned non-2xx status code: \
             {status}: <?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>m</Message>\
             <StringToSign>x-amz-security-token:HUSH</StringToSign></Error>"
        )
        .into()
    }

    fn generic(source: Box<dyn Error + Send + Sync>) -> E {
        E::Generic {
            store: "S3",
            source,
        }
    }

    fn missing(code: &str) -> E {
        let (path, source) = ("x".into(), answer("404 Not Found", code));
        E::NotFound { path, source }
    }

    fn denied(code: &str) -> E {
        let (path, source) = ("x".into(), answer("403 Forbidden", code));
        E::PermissionDenied { path, source }
    }

    #[test]
    fn what_may_not_be_written_says_what_it_takes() {
        let said = |error: &E| explain_write("s3://lake/x", error).to_string();
        for error in [
            denied("AccessDenied"),
            generic("DeleteObjects request failed for key x: HUSH (code: AccessDenied)".into()),
        ] {
            let text = said(&error);
            assert!(
                text.contains("s3:PutObject") && text.contains("(AccessDenied)"),
                "{text}"
            );
            assert!(!text.contains("HUSH"), "{text}");
        }
        let text = said(&missing("NoSuchUpload"));
        assert!(
            text.contains("NoSuchUpload") && text.contains("run again later"),
            "{text}"
        );
        assert!(said(&missing("NoSuchBucket")).contains("no such bucket"));
        let there = E::AlreadyExists {
            path: "x".into(),
            source: answer("412 Precondition Failed", "PreconditionFailed"),
        };
        assert!(said(&there).contains("replaced while it was in use"));
        assert!(knows_no_conditions(&generic(answer(
            "501 Not Implemented",
            "NotImplemented"
        ))));
        assert!(!knows_no_conditions(&there));
    }

    #[test]
    fn codes_decide() {
        let s = String::from;
        for (error, expected) in [
            (missing("NoSuchKey"), Problem::Missing),
            (missing("NoSuchBucket"), Problem::NoBucket),
            (
                generic(answer("404 Not Found", "NoSuchBucket")),
                Problem::NoBucket,
            ),
            (denied("AccessDenied"), Problem::Denied(s("AccessDenied"))),
            (
                generic(answer("403 Forbidden", "AccessDenied")),
                Problem::Denied(s("AccessDenied")),
            ),
            (
                denied("ExpiredToken"),
                Problem::Credentials(s("ExpiredToken")),
            ),
            (
                denied("SignatureDoesNotMatch"),
                Problem::Credentials(s("SignatureDoesNotMatch")),
            ),
            (
                generic(answer("400 Bad", "AuthorizationHeaderMalformed")),
                Problem::Region,
            ),
            (denied("RequestTimeTooSkewed"), Problem::Clock),
            (
                denied("NotSignedUp"),
                Problem::Credentials(s("NotSignedUp")),
            ),
            (
                generic(answer("503 Busy", "SlowDown")),
                Problem::Refused(s("SlowDown")),
            ),
            (
                generic(answer("502 Bad", "<b>")),
                Problem::Refused(s("status 502")),
            ),
            (
                generic("Received redirect without LOCATION".into()),
                Problem::Region,
            ),
            (
                Key::parse("lake//x").map_err(E::from).unwrap_err(),
                Problem::Key("Path \"lake//x\" contained empty path segment".into()),
            ),
        ] {
            assert_eq!(problem(&error), expected);
            let text = explain("s3://lake/x", &error).to_string();
            assert!(
                text.starts_with("s3://lake/x: ") && !text.contains("HUSH"),
                "{text}"
            );
        }
    }
}
