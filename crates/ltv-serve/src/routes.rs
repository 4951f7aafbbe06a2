//! The routes, and what each reads and answers.

use crate::{
    api::{
        Batch, BatchRequest, Health, Id, Lookup, Model, Movement, Object, PredictRequest,
        Prediction,
    },
    assets,
    desk::Permit,
    grpc,
    guard::guard,
    metrics, openapi,
    overview::Overview,
    problem::{Kind, Problem},
    shared::Shared,
};
use axum::{
    Router,
    body::Bytes,
    extract::{
        DefaultBodyLimit, FromRequestParts, Path, State,
        rejection::{BytesRejection, PathRejection},
    },
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderValue, StatusCode, header, request::Parts};
use ltv_online::UserId;
use serde::{Serialize, de::DeserializeOwned};
use std::sync::Arc;
use tokio::task::spawn_blocking;
use utoipa_axum::{router::OpenApiRouter, routes};

/// All of them, as metrics and log name them.
pub(crate) const ROUTES: &[&str] = &[
    "/v1/ltv/{user_id}",
    "/v1/ltv/{user_id}/movement",
    "/v1/ltv:batch",
    "/v1/predict",
    "/v1/model",
    "/v1/overview",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/docs/{file}",
    "/",
    "/console/{file}",
    grpc::PATH,
];

/// Those that everybody may ask, and that always find room.
pub(crate) const OPEN: &[&str] = &[
    "/healthz",
    "/readyz",
    "/docs",
    "/docs/{file}",
    "/",
    "/console/{file}",
];

/// The routes of a server.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let described = OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(user))
        .routes(routes!(movement))
        .routes(routes!(users))
        .routes(routes!(predict))
        .routes(routes!(model))
        .routes(routes!(overview))
        .routes(routes!(healthy))
        .routes(routes!(ready))
        .routes(routes!(counted));
    let (router, document) = described.split_for_parts();
    // The model, and with it what it reads, may be another tomorrow.
    let described = move |State(shared): State<Arc<Shared>>| async move {
        let mut document = document.clone();
        openapi::complete(&mut document, &shared);
        written(&document)
    };
    router
        .route("/openapi.json", get(described))
        .route("/", get(assets::file))
        .route("/console/{file}", get(assets::file))
        .route("/docs", get(assets::file))
        .route("/docs/{file}", get(assets::file))
        .route(grpc::PATH, post(grpc::batch_get))
        .fallback(|| async { Problem::new(Kind::NoRoute, "GET /docs says what there is") })
        .method_not_allowed_fallback(|| async {
            Problem::new(Kind::Method, "the header Allow names those that it takes")
        })
        .layer(middleware::from_fn_with_state(shared.clone(), guard))
        .layer(DefaultBodyLimit::max(shared.config.limits.body))
        .with_state(shared)
}

/// What is known of one user
#[utoipa::path(
    get,
    path = "/v1/ltv/{user_id}",
    tag = "users",
    params((
        "user_id" = String,
        Path,
        min_length = 1,
        max_length = 511,
        description = "The user's id, 1 to 511 bytes; where the store's ids are numbers, the text of one. '/' in it is written as %2F"
    )),
    responses((status = 200, description = "What is known", body = Lookup))
)]
async fn user(
    State(shared): State<Arc<Shared>>,
    user_id: Result<Path<String>, PathRejection>,
    Allowed(permit): Allowed,
) -> Result<Response, Problem> {
    let user = shared.desk.user(asked(user_id)?, permit);
    written(&user.await?)
}

/// What is known of one user, beside what was in the version before
#[utoipa::path(
    get,
    path = "/v1/ltv/{user_id}/movement",
    tag = "users",
    params(("user_id" = String, Path, description = "The user's id; '/' in it is written as %2F")),
    responses((status = 200, description = "What is known, and was", body = Movement))
)]
async fn movement(
    State(shared): State<Arc<Shared>>,
    user_id: Result<Path<String>, PathRejection>,
    Allowed(permit): Allowed,
) -> Result<Response, Problem> {
    let movement = shared.desk.movement(asked(user_id)?, permit);
    written(&movement.await?)
}

/// The user whom a path names.
fn asked(path: Result<Path<String>, PathRejection>) -> Result<UserId, Problem> {
    let Path(id) = path.map_err(|e| Problem::new(Kind::BadRequest, e.body_text()))?;
    Ok(UserId::Text(id))
}

/// What is known of many users, all of one version
#[utoipa::path(
    post,
    path = "/v1/ltv:batch",
    tag = "users",
    request_body = BatchRequest,
    responses((status = 200, description = "What is known, in the order of the ids", body = Batch))
)]
async fn users(
    State(shared): State<Arc<Shared>>,
    Allowed(permit): Allowed,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let BatchRequest { user_ids } = read(body)?;
    check_batch(user_ids.len(), &shared)?;
    let ids = user_ids.into_iter().map(|Id(id)| id).collect();
    written(&shared.desk.users(ids, permit).await?)
}

/// A prediction for a new user, by the model and not from the store
#[utoipa::path(
    post,
    path = "/v1/predict",
    tag = "users",
    request_body = PredictRequest,
    responses((status = 200, description = "What is predicted", body = Prediction))
)]
async fn predict(
    State(shared): State<Arc<Shared>>,
    Allowed(permit): Allowed,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let PredictRequest { features } = read(body)?;
    written(&shared.desk.predict(features, permit).await?)
}

/// What is live: version, model, horizons, users
#[utoipa::path(
    get,
    path = "/v1/model",
    tag = "server",
    responses((status = 200, description = "What is live", body = Model))
)]
async fn model(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    written(&shared.desk.model()?)
}

/// What the console shows: what is live and was before, how values are spread and have moved, what is asked
#[utoipa::path(
    get,
    path = "/v1/overview",
    tag = "server",
    responses((status = 200, description = "What is live, was before, and is asked", body = Overview))
)]
async fn overview(
    State(shared): State<Arc<Shared>>,
    Allowed(permit): Allowed,
) -> Result<Response, Problem> {
    let overview = spawn_blocking(move || {
        let overview = Overview::now(&shared);
        drop(permit);
        overview
    });
    written(&overview.await.map_err(Problem::failed)??)
}

/// Whether the server runs
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "server",
    responses((status = 200, description = "It does", body = Health))
)]
async fn healthy() -> Result<Response, Problem> {
    written(&Health { status: "ok" })
}

/// Whether the server answers: something is published, and it is not about to end
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "server",
    responses((status = 200, description = "It does", body = Health))
)]
async fn ready(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    shared.desk.live()?;
    match shared.stopping() {
        true => Err(Problem::new(Kind::NotReady, "the server is about to end")),
        false => written(&Health { status: "ok" }),
    }
}

/// What is counted, for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "server",
    responses((
        status = 200,
        description = "Text of OpenMetrics",
        body = String,
        content_type = "application/openmetrics-text"
    ))
)]
async fn counted(State(shared): State<Arc<Shared>>) -> Result<Response, Problem> {
    let text = shared.metrics.text().map_err(Problem::failed)?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

/// Leave to be at work, which the guard puts beside a request.
struct Allowed(Permit);

impl<S: Sync> FromRequestParts<S> for Allowed {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let permit = parts.extensions.get::<Permit>().cloned();
        let forgotten = || Problem::failed("a request came past the guard");
        permit.map(Self).ok_or_else(forgotten)
    }
}

/// Refuses batches that are too large.
pub(crate) fn check_batch(users: usize, shared: &Shared) -> Result<(), Problem> {
    let most = shared.config.limits.batch;
    match users > most {
        true => {
            let detail = format!("{users} users, where a batch has {most} at most");
            Err(Problem::new(Kind::TooLarge, detail))
        }
        false => Ok(()),
    }
}

fn read<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Problem> {
    let body = body.map_err(|refused| {
        let kind = match refused.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Kind::TooLarge,
            _ => Kind::BadRequest,
        };
        Problem::new(kind, refused.body_text())
    })?;
    let read = serde_json::from_slice(&body).map(|Object(read)| read);
    read.map_err(|e| Problem::new(Kind::BadRequest, format!("body: {e}")))
}

fn written(answer: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_vec(answer).map_err(Problem::failed)?;
    Ok(json(body.into()))
}

fn json(body: Bytes) -> Response {
    let mut response = Response::new(body.into());
    let kind = HeaderValue::from_static("application/json");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind);
    // What is said of a user is true until another version is live, and nobody else's concern.
    let store = HeaderValue::from_static("no-store");
    headers.insert(header::CACHE_CONTROL, store);
    response
}
