//! What a server says of itself. It tells a [`Log`]; whoever implements it decides what is written, and where.
//! No id or value of a user is ever told.

use std::time::Duration;

/// Told what happens, from any thread. It is called while requests wait: it must be quick.
pub trait Log: Send + Sync {
    /// A request was answered.
    fn request(&self, request: &Request<'_>);
    /// Something that is worth a line: a version went live, tokens were read again.
    fn note(&self, message: &str);
    /// Something failed, and the server goes on.
    fn warning(&self, message: &str);
}

/// One request that was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Request<'a> {
    /// Its id: that of the header `X-Request-Id`, or one of ours.
    pub id: &'a str,
    /// Its method.
    pub method: &'static str,
    /// The route, with names in place of values: `/v1/ltv/{user_id}`.
    pub route: &'static str,
    /// Status of the answer; of gRPC, the status of HTTP that means the same.
    pub status: u16,
    /// From its head to the head of its answer.
    pub time: Duration,
    /// The name of the token that came with it.
    pub client: Option<&'a str>,
    /// Why it was refused or failed, in a word: `unknown-user`.
    pub problem: Option<&'static str>,
    /// What happened, in words that are not for whoever asked.
    pub failure: Option<&'a str>,
}

/// Writes nothing down.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Log for Silent {
    fn request(&self, _: &Request<'_>) {}
    fn note(&self, _: &str) {}
    fn warning(&self, _: &str) {}
}
