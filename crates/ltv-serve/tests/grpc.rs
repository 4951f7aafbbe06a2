//! Look-ups over gRPC, on the port of HTTP, by the client of another program and by the published `.proto` file.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use axum::body::Bytes;
use http::uri::PathAndQuery;
use ltv_serve::grpc::{BatchGetRequest, BatchGetResponse, Horizon, Id, PATH, User, UserId};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Value, json};
use support::{MODEL, Running, Shop, config, number};
use tonic::{Code, Status, client::Grpc, transport::Channel};
use tonic_prost::ProstCodec;

fn ids(ids: impl IntoIterator<Item = Id>) -> BatchGetRequest {
    let ids = ids.into_iter().map(|id| UserId { id: Some(id) });
    BatchGetRequest {
        user_ids: ids.collect(),
    }
}

async fn call(
    server: &Running,
    path: &'static str,
    token: Option<&str>,
    request: BatchGetRequest,
) -> Result<BatchGetResponse, Status> {
    let channel = Channel::from_shared(format!("http://{}", server.address)).unwrap();
    let mut client = Grpc::new(channel.connect().await.unwrap());
    client.ready().await.unwrap();
    let mut request = tonic::Request::new(request);
    if let Some(token) = token {
        let header = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", header);
    }
    let codec = ProstCodec::<BatchGetRequest, BatchGetResponse>::default();
    let path = PathAndQuery::from_static(path);
    Ok(client.unary(request, path, codec).await?.into_inner())
}

#[tokio::test]
async fn many_users_in_their_order() {
    let shop = Shop::with(&[7, 2]);
    let mut config = config();
    config.fallback = "status:active".parse().unwrap();
    let server = Running::with(config, shop.store.clone(), None);
    let asked = ids([Id::Text("7".into()), Id::Number(8), Id::Number(2)]);
    let answer = call(&server, PATH, None, asked).await.unwrap();
    assert_eq!((&*answer.as_of, &*answer.model_id), ("2024-04-01", MODEL));
    assert_eq!(answer.version, shop.store.live_id());
    let [seven, eight, two] = &answer.results[..] else {
        panic!("three users were asked for");
    };
    assert!(seven.found && !eight.found && two.found);
    assert_eq!((&*seven.status, &*two.status), ("observing", "active"));
    let second = Horizon {
        days: 90,
        ltv: number(7, 1.0, 5),
        p10: Some(number(7, 1.0, 6)),
        p50: Some(number(7, 1.0, 7)),
        p90: Some(number(7, 1.0, 8)),
        positive: Some(number(7, 1.0, 9)),
    };
    assert_eq!(seven.horizons[1], second);
    // The only active user is 2.
    assert_eq!(
        (&*eight.fallback, &eight.horizons),
        ("status:active", &two.horizons)
    );
    assert!(eight.status.is_empty() && two.fallback.is_empty());
}

trait LiveId {
    fn live_id(&self) -> String;
}

impl<S: ltv_online::Store> LiveId for S {
    fn live_id(&self) -> String {
        self.live().unwrap().id.clone()
    }
}

#[tokio::test]
async fn refusals_are_statuses_of_grpc() {
    let shop = Shop::with(&[7]);
    let path = shop.folder.path().join("tokens");
    let (token, line) = ltv_serve::tokens::create("caller").unwrap();
    std::fs::write(&path, line).unwrap();
    let mut config = config();
    config.tokens = Some(path);
    config.limits.batch = 2;
    config.limits.body = 1 << 10;
    let server = Running::with(config, shop.store.clone(), None);
    let seven = || ids([Id::Number(7)]);
    let refused = async |path, token, request| {
        let status = call(&server, path, token, request).await.unwrap_err();
        (status.code(), status.message().to_owned())
    };
    let token = Some(token.as_str());
    assert!(call(&server, PATH, token, seven()).await.unwrap().results[0].found);
    assert_eq!(refused(PATH, None, seven()).await.0, Code::Unauthenticated);
    let elsewhere = refused("/ltv.v1.Lookup/Other", token, seven()).await;
    assert_eq!(elsewhere.0, Code::Unimplemented);
    let three = ids([1, 2, 3].map(Id::Number));
    let (code, message) = refused(PATH, token, three).await;
    assert!(
        code == Code::InvalidArgument && message.contains("3 users"),
        "{message}"
    );
    let wrong = ids([Id::Number(7), Id::Text("seven".into())]);
    let (code, message) = refused(PATH, token, wrong).await;
    assert!(
        code == Code::InvalidArgument && message.contains("user_ids[1]"),
        "{message}"
    );
    let empty = BatchGetRequest {
        user_ids: vec![UserId { id: None }],
    };
    let (code, message) = refused(PATH, token, empty).await;
    assert!(
        code == Code::InvalidArgument && message.contains("user_ids[0]"),
        "{message}"
    );
    let long = ids([Id::Text("x".repeat(2000))]);
    assert_eq!(refused(PATH, token, long).await.0, Code::OutOfRange);
    // The log says of them what it says of requests of HTTP.
    for part in [
        "status: 401",
        "status: 400",
        "status: 413",
        "bad-request",
        "too-large",
    ] {
        assert!(server.log.has(part), "{part}: {}", server.log.all());
    }
}

/// The messages as another program has them, which knows only the file.
fn described(name: &str) -> prost_reflect::MessageDescriptor {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");
    let files = protox::compile(["ltv.proto"], [folder]).unwrap();
    let pool = DescriptorPool::from_file_descriptor_set(files).unwrap();
    let service = pool.get_service_by_name("ltv.v1.Lookup").unwrap();
    let method = service.methods().next().unwrap();
    assert_eq!(PATH, format!("/{}/{}", service.full_name(), method.name()));
    let messages = [method.input(), method.output()];
    let [found] = messages
        .map(|m| (m.name() == name).then_some(m))
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    found
}

#[test]
fn messages_are_those_of_the_file() {
    let request = ids([Id::Number(-7), Id::Text("u7".into())]);
    let bytes = Bytes::from(request.encode_to_vec());
    let read = DynamicMessage::decode(described("BatchGetRequest"), bytes).unwrap();
    let expected = json!({"userIds": [{"number": "-7"}, {"text": "u7"}]});
    assert_eq!(serde_json::to_value(&read).unwrap(), expected);
    let response = BatchGetResponse {
        version: "v".into(),
        as_of: "2024-04-01".into(),
        model_id: "m".into(),
        results: vec![User {
            found: true,
            status: "active".into(),
            fallback: "mean".into(),
            horizons: vec![Horizon {
                days: 30,
                ltv: 1.0,
                p10: Some(2.0),
                p50: Some(3.0),
                p90: Some(4.0),
                positive: Some(0.5),
            }],
        }],
    };
    let bytes = Bytes::from(response.encode_to_vec());
    let read = DynamicMessage::decode(described("BatchGetResponse"), bytes).unwrap();
    let horizon =
        json!({"days": 30, "ltv": 1.0, "p10": 2.0, "p50": 3.0, "p90": 4.0, "positive": 0.5});
    let user =
        json!({"found": true, "status": "active", "fallback": "mean", "horizons": [horizon]});
    let expected = json!({"version": "v", "asOf": "2024-04-01", "modelId": "m", "results": [user]});
    let value: Value = serde_json::to_value(&read).unwrap();
    assert_eq!(value, expected);
}
