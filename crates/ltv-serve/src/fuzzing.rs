//! What is fuzzed here (fuzz/README.md): what comes over the network, and the file of tokens, as bytes that may be
//! anything. A target panics where a promise is broken.

use crate::{
    Config, ServeError, guard,
    log::Silent,
    routes::router,
    server::fuzzing::{answers, serve},
    shared::Shared,
    tokens,
};
use axum::{Router, body::Body};
use http::{HeaderValue, Request, StatusCode, header};
use ltv_core::Horizons;
use ltv_online::{
    Answer, Draft, OnlineError, Prediction, Store, UserId, UserKind, Version, value::Detail,
};
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;

/// Answers of the largest size that is looked at.
const MOST: usize = 64 << 20;

/// A body, a path or a message of gRPC to each of the routes that read one: answered, and never with a failure of
/// ours.
///
/// ```text
/// route and store (1)   what it is sent
/// ```
pub fn requests(data: &[u8]) {
    let Some((&kind, bytes)) = data.split_first() else {
        return;
    };
    let Some(request) = request(kind % 4, bytes) else {
        return;
    };
    let grpc = kind % 4 == 3;
    let router = &routers()[usize::from(kind / 4) % 2];
    let (status, headers, body) = runtime().block_on(async {
        let answered = router.clone().oneshot(request).await;
        let answered = answered.unwrap_or_else(|never| match never {});
        let (head, body) = answered.into_parts();
        let body = axum::body::to_bytes(body, MOST).await;
        (head.status, head.headers, body.expect("it can be read"))
    });
    assert!(headers.contains_key("x-request-id"));
    if grpc {
        // A message that is none is a failure to gRPC, which says so.
        assert_eq!(status, StatusCode::OK);
        return;
    }
    assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{body:?}");
    let answer: Value = serde_json::from_slice(&body).expect("it is JSON");
    if status == StatusCode::OK && kind % 4 == 0 {
        let asked: Value = serde_json::from_slice(bytes).expect("it was understood");
        let count = |value: &Value| value.as_array().map(Vec::len);
        assert_eq!(count(&answer["results"]), count(&asked["user_ids"]));
    }
    if status != StatusCode::OK {
        assert_eq!(answer["status"], status.as_u16());
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
    }
}

fn request(kind: u8, bytes: &[u8]) -> Option<Request<Body>> {
    let post = |path: &str, kind: &'static str, body: Vec<u8>| {
        let request = Request::post(path).header(header::CONTENT_TYPE, kind);
        request.body(Body::from(body)).ok()
    };
    match kind {
        0 => post("/v1/ltv:batch", "application/json", bytes.to_vec()),
        1 => post("/v1/predict", "application/json", bytes.to_vec()),
        2 => {
            let path = format!("/v1/ltv/{}", str::from_utf8(bytes).ok()?);
            Request::get(path).body(Body::empty()).ok()
        }
        _ => {
            let length = u32::try_from(bytes.len()).ok()?.to_be_bytes();
            let message = [&[0], &length[..], bytes].concat();
            post(crate::grpc::PATH, "application/grpc", message)
        }
    }
}

/// All that a client sends over one connection, of HTTP/1.1 or HTTP/2, before it ends it: what is answered are
/// answers, and none is a failure of ours.
pub fn connection(data: &[u8]) {
    let shared = shared(UserKind::Number);
    let sent = runtime().block_on(serve(shared.clone(), routers()[0].clone(), data));
    for status in answers(&sent) {
        assert_ne!(status, 500, "{:?}", String::from_utf8_lossy(&sent));
    }
    // Whatever was asked, nobody is at work any more once it is answered.
    let most = shared.config.limits.requests;
    assert!(shared.room.available_permits() <= most);
}

/// The file of tokens, a header `Authorization` and an id of a request.
///
/// ```text
/// length of the file (2)   file   header
/// ```
pub fn access(data: &[u8]) {
    let [a, b, rest @ ..] = data else {
        return;
    };
    let length = usize::from(u16::from_le_bytes([*a, *b]));
    let (file, header) = rest.split_at(length.min(rest.len()));
    let Ok(value) = HeaderValue::from_bytes(header) else {
        return;
    };
    let id = guard::fuzzing::id(&value);
    assert!((1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()));
    let Ok(text) = str::from_utf8(file) else {
        return;
    };
    match tokens::fuzzing::client(text, &value) {
        Ok(None) => {}
        Ok(Some(name)) => assert!(text.contains(&*name)),
        Err(error) => quiet(&error, text),
    }
}

/// What is said of a file of tokens tells nothing that may be one.
fn quiet(error: &ServeError, text: &str) {
    let said = error.to_string();
    let told = |word: &&str| word.len() > 64 && said.contains(*word);
    assert!(!text.split([':', '\n']).any(|word| told(&word)), "{said}");
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = Builder::new_current_thread();
        let built = builder.enable_all().max_blocking_threads(1).build();
        built.expect("a runtime")
    })
}

fn routers() -> &'static [Router; 2] {
    static ROUTERS: OnceLock<[Router; 2]> = OnceLock::new();
    ROUTERS.get_or_init(|| [UserKind::Number, UserKind::Text].map(|kind| router(shared(kind))))
}

fn shared(kind: UserKind) -> Arc<Shared> {
    let address = "127.0.0.1:0".parse().expect("an address");
    let store = Arc::new(Shelf(Arc::new(version(kind))));
    let made = Shared::new(Config::new(address), store, None, Arc::new(Silent));
    Arc::new(made.expect("a server's parts"))
}

fn version(users: UserKind) -> Version {
    Version {
        format: Version::FORMAT.into(),
        version: Version::VERSION,
        id: "2024-04-01-5d0bc2a9e1f34b67".into(),
        as_of: ltv_core::Day(19_814),
        model_id: "0f3a9c51d2e84b67".into(),
        horizons: Horizons::default(),
        decoding: "expectation".into(),
        monotone: true,
        detail: Detail::Values,
        rows: 1 << 63,
        forgotten: 0,
        users,
        published: "2024-04-01T03:00:00Z".into(),
        snapshot: String::new(),
        content: String::new(),
        statuses: vec!["active".into()],
        segments: Default::default(),
        spread: vec![],
    }
}

/// A store in which everybody is whose key has an even number of set bits.
struct Shelf(Arc<Version>);

impl Shelf {
    fn none<T>(&self) -> Result<T, OnlineError> {
        Err(OnlineError::Empty { store: self.name() })
    }
}

impl Store for Shelf {
    fn name(&self) -> String {
        "shelf".into()
    }

    fn live(&self) -> Option<Arc<Version>> {
        Some(self.0.clone())
    }

    fn previous(&self) -> Result<Option<Arc<Version>>, OnlineError> {
        Ok(Some(self.0.clone()))
    }

    fn kept(&self) -> Result<Vec<Arc<Version>>, OnlineError> {
        Ok(vec![self.0.clone(); 2])
    }

    fn refresh(&self) -> Result<bool, OnlineError> {
        Ok(false)
    }

    fn get(&self, users: &[UserId]) -> Result<Answer, OnlineError> {
        let one = |user: &UserId| {
            let mut key = vec![];
            user.clone().of_kind(self.0.users)?.key(&mut key);
            let ones: u32 = key.iter().map(|byte| byte.count_ones()).sum();
            Ok(ones.is_multiple_of(2).then(|| Prediction {
                status: 0,
                numbers: vec![1.5; self.0.width()],
            }))
        };
        let predictions = users.iter().map(one).collect::<Result<_, OnlineError>>()?;
        Ok(Answer {
            version: self.0.clone(),
            predictions,
        })
    }

    fn begin(&self, _: &str, _: u64) -> Result<Box<dyn Draft + '_>, OnlineError> {
        self.none()
    }

    fn has(&self, _: &str) -> Result<bool, OnlineError> {
        Ok(false)
    }

    fn peek(&self, _: &str, users: &[UserId]) -> Result<Answer, OnlineError> {
        self.get(users)
    }

    fn go_live(&self, _: &str) -> Result<(), OnlineError> {
        self.none()
    }

    fn roll_back(&self) -> Result<Arc<Version>, OnlineError> {
        self.none()
    }
}

#[cfg(test)]
mod tests;
