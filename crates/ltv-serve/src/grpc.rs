//! Look-ups over gRPC: the messages of `proto/ltv.proto` as types, and the one method, on the port of HTTP.

use crate::{
    api,
    desk::Permit,
    problem::{Kind, Problem},
    routes::check_batch,
    shared::Shared,
};
use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use ltv_online::UserId as OnlineId;
use prost::{Message, Oneof};
use std::{error::Error as _, pin::Pin, sync::Arc};
use tonic::server::{Grpc, UnaryService};
use tonic_prost::ProstCodec;

/// The path of the method.
pub const PATH: &str = "/ltv.v1.Lookup/BatchGet";

/// Asks for many users.
#[derive(Clone, PartialEq, Message)]
pub struct BatchGetRequest {
    /// Whom to look up, in any order.
    #[prost(message, repeated, tag = "1")]
    pub user_ids: Vec<UserId>,
}

/// An id.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct UserId {
    /// The id; `None` is refused.
    #[prost(oneof = "Id", tags = "1, 2")]
    pub id: Option<Id>,
}

/// Both forms are taken, whatever the store's ids are.
#[derive(Clone, PartialEq, Eq, Oneof)]
pub enum Id {
    /// A number.
    #[prost(int64, tag = "1")]
    Number(i64),
    /// Text.
    #[prost(string, tag = "2")]
    Text(String),
}

/// What is known of them, all of one version.
#[derive(Clone, PartialEq, Message)]
pub struct BatchGetResponse {
    /// The version.
    #[prost(string, tag = "1")]
    pub version: String,
    /// As-of date of its predictions, YYYY-MM-DD.
    #[prost(string, tag = "2")]
    pub as_of: String,
    /// The model that made them.
    #[prost(string, tag = "3")]
    pub model_id: String,
    /// One for each id, in their order.
    #[prost(message, repeated, tag = "4")]
    pub results: Vec<User>,
}

/// What is known of one.
#[derive(Clone, PartialEq, Message)]
pub struct User {
    /// Whether the user is in the version.
    #[prost(bool, tag = "1")]
    pub found: bool,
    /// The user's status; empty of users who were not found.
    #[prost(string, tag = "2")]
    pub status: String,
    /// Whose means stand in for a user who was not found; otherwise empty.
    #[prost(string, tag = "3")]
    pub fallback: String,
    /// One for each horizon; none where nothing is known.
    #[prost(message, repeated, tag = "4")]
    pub horizons: Vec<Horizon>,
}

/// What is predicted for one horizon. Of versions with values alone, nothing else is known.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Horizon {
    /// Days.
    #[prost(uint32, tag = "1")]
    pub days: u32,
    /// Predicted value, in units of the label.
    #[prost(float, tag = "2")]
    pub ltv: f32,
    /// A quantile of its distribution.
    #[prost(float, optional, tag = "3")]
    pub p10: Option<f32>,
    /// The median.
    #[prost(float, optional, tag = "4")]
    pub p50: Option<f32>,
    /// The ninth decile.
    #[prost(float, optional, tag = "5")]
    pub p90: Option<f32>,
    /// P(value > 0).
    #[prost(float, optional, tag = "6")]
    pub positive: Option<f32>,
}

impl From<api::Batch> for BatchGetResponse {
    fn from(batch: api::Batch) -> Self {
        Self {
            version: batch.source.version,
            as_of: batch.source.as_of.to_string(),
            model_id: batch.source.model_id,
            results: batch.results.into_iter().map(User::from).collect(),
        }
    }
}

impl From<api::User> for User {
    fn from(user: api::User) -> Self {
        let horizons = user.horizons.iter().map(|h| Horizon {
            days: h.days,
            ltv: h.ltv,
            p10: h.p10,
            p50: h.p50,
            p90: h.p90,
            positive: h.positive,
        });
        Self {
            found: user.found,
            status: user.status.unwrap_or_default(),
            fallback: user.fallback.unwrap_or_default(),
            horizons: horizons.collect(),
        }
    }
}

/// The method, as a route of HTTP.
pub(crate) async fn batch_get(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let most = shared.config.limits.body;
    let codec = ProstCodec::<BatchGetResponse, BatchGetRequest>::default();
    let mut grpc = Grpc::new(codec).max_decoding_message_size(most);
    let mut response = grpc.unary(BatchGet(shared), request).await.map(Body::new);
    // For the guard, which writes it out and tells it to the log.
    if let Some(problem) = carried(&response) {
        response.extensions_mut().insert(problem);
    }
    response
}

/// A problem as a status that carries it to the end of a call.
fn carrying(problem: Problem) -> tonic::Status {
    let mut status = problem.status();
    status.set_source(Arc::new(problem));
    status
}

fn carried(response: &Response) -> Option<Problem> {
    let status = response.extensions().get::<tonic::Status>()?;
    status.source()?.downcast_ref().cloned()
}

struct BatchGet(Arc<Shared>);

impl UnaryService<BatchGetRequest> for BatchGet {
    type Response = BatchGetResponse;
    type Future = Pin<
        Box<dyn Future<Output = Result<tonic::Response<BatchGetResponse>, tonic::Status>> + Send>,
    >;

    fn call(&mut self, request: tonic::Request<BatchGetRequest>) -> Self::Future {
        let shared = self.0.clone();
        Box::pin(async move {
            let answer = answer(&shared, request).await;
            answer.map(tonic::Response::new).map_err(carrying)
        })
    }
}

async fn answer(
    shared: &Shared,
    request: tonic::Request<BatchGetRequest>,
) -> Result<BatchGetResponse, Problem> {
    let permit = request.extensions().get::<Permit>().cloned();
    let permit = permit.ok_or_else(|| Problem::failed("a request came past the guard"))?;
    let ids = request.into_inner().user_ids;
    check_batch(ids.len(), shared)?;
    let ids = ids.into_iter().enumerate().map(|(i, id)| match id.id {
        Some(Id::Number(id)) => Ok(OnlineId::Number(id)),
        Some(Id::Text(id)) => Ok(OnlineId::Text(id)),
        None => Err(Problem::new(
            Kind::BadRequest,
            format!("user_ids[{i}]: is neither a number nor text"),
        )),
    });
    let ids = ids.collect::<Result<Vec<_>, _>>()?;
    Ok(shared.desk.users(ids, permit).await?.into())
}
