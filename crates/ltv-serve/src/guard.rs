//! What stands before every route: a request gets an id, shows a token, finds room, has a time, and is counted and
//! told to the log when it is answered.

use crate::{
    desk::Permit,
    log,
    problem::{Kind, Problem, http_status},
    routes::{OPEN, ROUTES},
    shared::Shared,
};
use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, Method, header};
use std::{
    net::SocketAddr,
    process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};
use tokio::time::timeout;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of the longest id of a request that is taken over.
const LONGEST: usize = 128;

/// Stands before every route.
pub(crate) async fn guard(
    State(shared): State<Arc<Shared>>,
    mut request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let facts = Facts::of(&request, &shared.ids);
    let running = shared.metrics.running();
    let client = client(&shared, &request, facts.route);
    let admitted = client.as_ref().map_err(Problem::clone);
    let permit = admitted.and_then(|_| permit(&shared, facts.route));
    let answered = match &permit {
        Ok(permit) => {
            if let Some(permit) = permit {
                request.extensions_mut().insert(permit.clone());
            }
            let answer = timeout(shared.config.limits.time, next.run(request)).await;
            answer.unwrap_or_else(|_| late(&shared).into_response())
        }
        Err(problem) => problem.clone().into_response(),
    };
    drop(running);
    let client = client.ok().flatten();
    finish(&shared, &facts, client.as_deref(), began, answered)
}

fn late(shared: &Shared) -> Problem {
    let detail = format!(
        "requests have {:?}; ask for less or later",
        shared.config.limits.time
    );
    Problem::new(Kind::Time, detail)
}

/// What is known of a request before it is answered.
struct Facts {
    id: String,
    route: &'static str,
    method: &'static str,
    grpc: bool,
}

impl Facts {
    fn of(request: &Request, ids: &Ids) -> Self {
        let path = request.extensions().get::<MatchedPath>();
        let path = path.map_or("", MatchedPath::as_str);
        let route = ROUTES.iter().find(|route| **route == path);
        let kind = request.headers().get(header::CONTENT_TYPE);
        Self {
            id: ids.of(request.headers().get(REQUEST_ID)),
            route: route.unwrap_or(&"other"),
            method: name(request.method()),
            grpc: kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")),
        }
    }
}

/// There are as many as there are of these, whatever methods are made up.
fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

/// Who asks, where somebody has to be known.
fn client(shared: &Shared, request: &Request, route: &str) -> Result<Option<Arc<str>>, Problem> {
    let Some(tokens) = shared.tokens.as_ref().filter(|_| !OPEN.contains(&route)) else {
        return Ok(None);
    };
    let client = tokens.client(request.headers().get(header::AUTHORIZATION));
    let detail = "send 'Authorization: Bearer TOKEN' with a token that is valid here";
    let none = || Problem::new(Kind::NoToken, detail);
    client.ok_or_else(none).map(Some)
}

/// Leave to be at work, where the route needs any.
fn permit(shared: &Shared, route: &str) -> Result<Option<Permit>, Problem> {
    if OPEN.contains(&route) {
        return Ok(None);
    }
    let permit = shared.room.clone().try_acquire_owned();
    let busy = |_| {
        let most = shared.config.limits.requests;
        let detail = format!("{most} requests are at work; try again");
        Problem::new(Kind::Busy, detail)
    };
    Ok(Some(Arc::new(permit.map_err(busy)?)))
}

/// Writes a problem out, and says that the request is answered.
fn finish(
    shared: &Shared,
    facts: &Facts,
    client: Option<&str>,
    began: Instant,
    answered: Response,
) -> Response {
    let problem = answered.extensions().get::<Problem>().cloned();
    let mut response = match &problem {
        None => answered,
        Some(problem) if facts.grpc => problem.status().into_http::<Body>(),
        Some(problem) => {
            let mut written = problem.response(&facts.id);
            // A route that takes another method names those that it takes.
            if let Some(allowed) = answered.headers().get(header::ALLOW) {
                let headers = written.headers_mut();
                headers.insert(header::ALLOW, allowed.clone());
            }
            written
        }
    };
    if let Ok(id) = HeaderValue::from_str(&facts.id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let (status, time) = (meaning(&response), began.elapsed());
    let (route, method) = (facts.route, facts.method);
    shared.metrics.answered(route, method, status, time);
    let failure = problem.as_ref().and_then(Problem::failure);
    shared.log.request(&log::Request {
        id: &facts.id,
        method,
        route,
        status,
        time,
        client,
        problem: problem.as_ref().map(Problem::slug),
        failure: failure.as_deref(),
    });
    response
}

/// A response's status; where gRPC says in a header of its own that a request failed, what that means.
fn meaning(response: &Response) -> u16 {
    match tonic::Status::from_header_map(response.headers()) {
        Some(status) => http_status(status.code()).as_u16(),
        None => response.status().as_u16(),
    }
}

/// Gives requests their ids: those that they came with, or the start of a server and a number.
#[derive(Debug)]
pub(crate) struct Ids {
    server: String,
    next: AtomicU64,
}

impl Ids {
    /// Of the server that starts now on an address. Two servers that start at the same moment differ in it or in
    /// their process.
    pub(crate) fn new(address: SocketAddr) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let start = format!("{address} {} {now:?}", process::id());
        let hash = blake3::hash(start.as_bytes()).to_hex();
        Self {
            server: hash[..12].to_owned(),
            next: AtomicU64::new(1),
        }
    }

    fn of(&self, header: Option<&HeaderValue>) -> String {
        let given = header.and_then(|id| id.to_str().ok()).filter(|id| fits(id));
        given.map_or_else(
            || {
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                format!("{}-{number:x}", self.server)
            },
            str::to_owned,
        )
    }
}

/// What is fuzzed of ids.
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing {
    use super::*;

    /// The id of a request that came with this one.
    pub(crate) fn id(given: &HeaderValue) -> String {
        Ids::new(SocketAddr::from(([127, 0, 0, 1], 80))).of(Some(given))
    }
}

/// Whether it can stand in a log as it is.
fn fits(id: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:/+=".contains(c);
    (1..=LONGEST).contains(&id.len()) && id.chars().all(plain)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn requests_keep_ids_that_can_stand_in_a_log() {
        let ids = Ids::new("127.0.0.1:80".parse().unwrap());
        let of = |text: &str| ids.of(Some(&HeaderValue::from_str(text).unwrap()));
        for kept in ["7", "4bf92f35-77b3.4da6_a", &"x".repeat(LONGEST)] {
            assert_eq!(of(kept), kept);
        }
        let mut made = vec![ids.of(None)];
        for replaced in ["", "a b", "\"}", "ä", &"x".repeat(LONGEST + 1)] {
            made.push(of(replaced));
        }
        assert!(made.iter().all(|id| fits(id)));
        made.dedup();
        assert_eq!(made.len(), 6);
    }
}
