//! Why a request is not answered, as RFC 9457 has it, or as a status of gRPC.
//!
//! A handler returns a [`Problem`]; it travels with the response as an extension to the guard, which knows the request's
//! id and in what form the request wants it.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use std::sync::Arc;
use tonic::Code;
use utoipa::ToSchema;

/// What kinds there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    BadRequest,
    NoToken,
    UnknownUser,
    NoModel,
    NoRoute,
    Method,
    TooLarge,
    Features,
    Busy,
    Time,
    NotReady,
    NoStore,
    Failed,
}

impl Kind {
    /// Status, and what programs and people call it.
    fn facts(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::BadRequest => (
                S::BAD_REQUEST,
                "bad-request",
                "The request cannot be understood",
            ),
            Self::NoToken => (S::UNAUTHORIZED, "no-token", "A token is needed"),
            Self::UnknownUser => (S::NOT_FOUND, "unknown-user", "The user is not known"),
            Self::NoModel => (S::NOT_FOUND, "no-model", "Nothing predicts on demand here"),
            Self::NoRoute => (S::NOT_FOUND, "no-route", "There is nothing at this path"),
            Self::Method => (
                S::METHOD_NOT_ALLOWED,
                "method",
                "This path takes another method",
            ),
            Self::TooLarge => (
                S::PAYLOAD_TOO_LARGE,
                "too-large",
                "The request is too large",
            ),
            Self::Features => (
                S::UNPROCESSABLE_ENTITY,
                "features",
                "These are no features of a user",
            ),
            Self::Busy => (S::SERVICE_UNAVAILABLE, "busy", "Too many requests at once"),
            Self::Time => (
                S::SERVICE_UNAVAILABLE,
                "time",
                "The request took longer than it may",
            ),
            Self::NotReady => (
                S::SERVICE_UNAVAILABLE,
                "not-ready",
                "Nothing is published yet",
            ),
            Self::NoStore => (
                S::SERVICE_UNAVAILABLE,
                "no-store",
                "The store cannot be read at the moment",
            ),
            Self::Failed => (S::INTERNAL_SERVER_ERROR, "failed", "The server failed"),
        }
    }

    fn code(self) -> Code {
        match self {
            Self::BadRequest | Self::Features | Self::TooLarge => Code::InvalidArgument,
            Self::NoToken => Code::Unauthenticated,
            Self::UnknownUser => Code::NotFound,
            Self::NoModel | Self::NoRoute | Self::Method => Code::Unimplemented,
            Self::Busy | Self::NotReady | Self::NoStore => Code::Unavailable,
            Self::Time => Code::DeadlineExceeded,
            Self::Failed => Code::Internal,
        }
    }
}

/// Why a request is not answered.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    /// What is written into the log and not told.
    failure: Option<Arc<str>>,
}

/// Why a request is not answered (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemDocument<'a> {
    /// What kind of problem it is, for programs.
    #[serde(rename = "type")]
    #[schema(example = "urn:ltv:problem:unknown-user")]
    kind: String,
    /// The kind in words.
    title: &'static str,
    /// Status of the response.
    #[schema(example = 404)]
    status: u16,
    /// What is wrong with this request, and what to do.
    detail: &'a str,
    /// The request's id, which is in the server's log too.
    request_id: &'a str,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            failure: None,
        }
    }

    /// A failure of ours: whoever asked is told only that there was one.
    pub(crate) fn failed(failure: impl ToString) -> Self {
        let detail = "the server's log says why, under this request's id";
        Self {
            failure: Some(failure.to_string().into()),
            ..Self::new(Kind::Failed, detail)
        }
    }

    /// A store that cannot be read for now: why is for the log.
    pub(crate) fn no_store(failure: impl ToString) -> Self {
        let detail = "nobody can be looked up until it can; try again";
        Self {
            failure: Some(failure.to_string().into()),
            ..Self::new(Kind::NoStore, detail)
        }
    }

    /// Its name.
    pub(crate) fn slug(&self) -> &'static str {
        self.kind.facts().1
    }

    pub(crate) fn failure(&self) -> Option<Arc<str>> {
        self.failure.clone()
    }

    /// As a status of gRPC.
    pub(crate) fn status(&self) -> tonic::Status {
        tonic::Status::new(self.kind.code(), self.detail.clone())
    }

    /// The response that says it, to a request of HTTP.
    pub(crate) fn response(&self, request_id: &str) -> Response {
        let (status, slug, title) = self.kind.facts();
        let document = ProblemDocument {
            kind: format!("urn:ltv:problem:{slug}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            request_id,
        };
        // Texts and a number: there is nothing in it that JSON lacks.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (status, body).into_response();
        let mut set = |name: HeaderName, value| {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        };
        set(header::CONTENT_TYPE, "application/problem+json");
        match self.kind {
            Kind::NoToken => set(header::WWW_AUTHENTICATE, "Bearer realm=\"ltv\""),
            Kind::Busy | Kind::Time | Kind::NotReady => set(header::RETRY_AFTER, "1"),
            _ => {}
        }
        response
    }
}

/// A response without a body yet: the guard writes it.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.kind.facts().0;
        response.extensions_mut().insert(self);
        response
    }
}

/// The status of HTTP that means what one of gRPC means.
pub(crate) fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        // What tonic says of a message that is too large.
        Code::OutOfRange => StatusCode::PAYLOAD_TOO_LARGE,
        Code::Unavailable | Code::DeadlineExceeded => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
