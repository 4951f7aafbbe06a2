//! What the server says of itself: the OpenAPI document against what is answered, its page, and metrics.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};
use support::{Adder, Reply, Running, Shop, config};

async fn document(server: &Running) -> Value {
    server.get("/openapi.json").await.ok()
}

/// Whether `value` is what the document says of `schema`; what is wrong with it.
fn mistakes(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut root = schema.clone();
    root["components"] = document["components"].clone();
    let validator = jsonschema::draft202012::new(&root).unwrap();
    let errors = validator.iter_errors(value);
    errors
        .map(|e| format!("{e} at {}", e.instance_path()))
        .collect()
}

/// Holds an answer to what the document says of its route and status.
fn check(document: &Value, path: &str, method: &str, reply: &Reply) {
    let status = reply.status.as_u16().to_string();
    let described = &document["paths"][path][method]["responses"][&status];
    let content = described["content"].as_object();
    let content = content.unwrap_or_else(|| panic!("{method} {path}: {status} is not described"));
    let (kind, body) = content.iter().next().unwrap();
    let sent = reply.header("content-type");
    assert!(
        sent.starts_with(kind.as_str()),
        "{path}: {sent}, not {kind}"
    );
    let value = match kind.ends_with("json") {
        true => reply.json(),
        false => Value::from(reply.text()),
    };
    let mistakes = mistakes(document, &body["schema"], &value);
    assert!(mistakes.is_empty(), "{path}: {mistakes:?} in {value}");
}

/// Good and bad requests to every route.
const ASKED: &[(&str, &str, &str, &str)] = &[
    ("get", "/v1/ltv/{user_id}", "/v1/ltv/2", ""),
    ("get", "/v1/ltv/{user_id}", "/v1/ltv/77", ""),
    ("get", "/v1/ltv/{user_id}", "/v1/ltv/none", ""),
    (
        "get",
        "/v1/ltv/{user_id}/movement",
        "/v1/ltv/2/movement",
        "",
    ),
    (
        "get",
        "/v1/ltv/{user_id}/movement",
        "/v1/ltv/77/movement",
        "",
    ),
    ("get", "/v1/overview", "/v1/overview", ""),
    (
        "post",
        "/v1/ltv:batch",
        "/v1/ltv:batch",
        r#"{"user_ids": [2, "77", 9007199254740993]}"#,
    ),
    ("post", "/v1/ltv:batch", "/v1/ltv:batch", "nonsense"),
    (
        "post",
        "/v1/predict",
        "/v1/predict",
        r#"{"features": {"events_d0": 1.5, "channel": null}}"#,
    ),
    ("post", "/v1/predict", "/v1/predict", r#"{"features": {}}"#),
    ("get", "/v1/model", "/v1/model", ""),
    ("get", "/healthz", "/healthz", ""),
    ("get", "/readyz", "/readyz", ""),
    ("get", "/metrics", "/metrics", ""),
];

#[tokio::test]
async fn every_route_answers_as_the_document_says() {
    let shop = Shop::with(&[2, 9_007_199_254_740_993]);
    shop.put("2024-04-01", &[2, 4, 9_007_199_254_740_993], 1.5);
    let server = Running::with(config(), shop.store.clone(), Some(Arc::new(Adder)));
    let document = document(&server).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    for (method, route, path, body) in ASKED {
        let reply = server.ask(&method.to_uppercase(), path, &[], body).await;
        check(&document, route, method, &reply);
        if let (200, Value::Object(body)) = (reply.status.as_u16(), parsed(body)) {
            let content = &document["paths"][route][method]["requestBody"]["content"];
            let schema = &content["application/json"]["schema"];
            assert_eq!(mistakes(&document, schema, &body.into()), [""; 0]);
        }
    }
    shop.put_values("2024-04-02", &[2]);
    let reply = server.get("/v1/ltv/2").await;
    assert_eq!(reply.ok()["horizons"][0].as_object().unwrap().len(), 2);
    check(&document, "/v1/ltv/{user_id}", "get", &reply);
    let described = document["paths"].as_object().unwrap();
    for (path, item) in described {
        for method in item.as_object().unwrap().keys() {
            let asked = ASKED.iter().any(|a| (a.0, a.1) == (method, path));
            assert!(asked, "{method} {path} is not asked here");
        }
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// The check itself finds what is wrong.
#[tokio::test]
async fn the_document_refuses_what_is_not_answered() {
    let shop = Shop::with(&[2]);
    let server = Running::with(config(), shop.store.clone(), Some(Arc::new(Adder)));
    let document = document(&server).await;
    let schema = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let mut answer = server.get("/v1/ltv/2").await.ok();
    assert_eq!(mistakes(&document, &schema("Lookup"), &answer), [""; 0]);
    answer["horizons"][0]["ltv"] = json!("much");
    assert_eq!(mistakes(&document, &schema("Lookup"), &answer).len(), 1);
    for (features, right) in [
        (json!({"events_d0": 1.5}), true),
        (
            json!({"events_d0": 1, "events_d1": 2, "channel": "web"}),
            true,
        ),
        (json!({"events_d1": 2}), false),
        (json!({"events_d0": 1, "events_d1": 2.5}), false),
        (json!({"events_d0": 1, "other": 2}), false),
    ] {
        let found = mistakes(&document, &schema("Features"), &features);
        assert_eq!(found.is_empty(), right, "{features}: {found:?}");
    }
}

#[tokio::test]
async fn the_document_says_what_a_server_has() {
    let shop = Shop::with(&[2]);
    let mut config = config();
    let (token, line) = ltv_serve::tokens::create("reader").unwrap();
    let path = shop.folder.path().join("tokens");
    std::fs::write(&path, line).unwrap();
    config.tokens = Some(path);
    let server = Running::with(config, shop.store.clone(), None);
    let header = format!("Bearer {token}");
    let headers = [("authorization", header.as_str())];
    let document = server.ask("GET", "/openapi.json", &headers, "").await.ok();
    assert!(document["paths"].get("/v1/predict").is_none());
    let of = |path: &str| document["paths"][path]["get"]["security"].clone();
    assert_eq!(of("/v1/model"), json!([{"token": []}]));
    assert_eq!(of("/healthz"), Value::Null);
    let scheme = &document["components"]["securitySchemes"]["token"];
    assert_eq!(
        (&scheme["type"], &scheme["scheme"]),
        (&json!("http"), &json!("bearer"))
    );
}

/// Pages load nothing from elsewhere, and may not.
#[tokio::test]
async fn pages_need_no_network() {
    let shop = Shop::with(&[2]);
    let server = Running::of(shop.store.clone());
    for (page, folder, files) in [("/docs", "/docs/", 2), ("/", "/console/", 6)] {
        let (mut open, mut seen) = (vec![page.to_owned()], vec![]);
        while let Some(path) = open.pop().filter(|path| !seen.contains(path)) {
            let file = server.get(&path).await;
            assert_eq!(file.status, 200, "{path}");
            let policy = file.header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'; script-src 'self';"));
            // A name of XML, which nobody asks for.
            let text = file.text().replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("://"), "{path}");
            let parts = text
                .split(['"', '\''])
                .filter(|part| part.starts_with(folder));
            open.extend(parts.map(str::to_owned).filter(|part| !seen.contains(part)));
            seen.push(path);
            open.sort();
            open.dedup();
        }
        assert_eq!(seen.len(), files + 1, "{seen:?}");
    }
}

/// Samples of the text by name and labels.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let (body, end) = text.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(end, "# EOF");
    let mut types = BTreeMap::new();
    let mut samples = BTreeMap::new();
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.split(' ');
            let (what, name) = (words.next().unwrap(), words.next().unwrap());
            assert!(["HELP", "TYPE", "UNIT"].contains(&what), "{line}");
            if what == "TYPE" {
                let twice = types.insert(name.to_owned(), words.next().unwrap().to_owned());
                assert_eq!(twice, None, "{line}");
            }
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap();
        let family = name.split('{').next().unwrap();
        let known = types.keys().any(|of| family.starts_with(of.as_str()));
        assert!(known, "no type of {line}");
        let twice = samples.insert(name.to_owned(), value.parse().unwrap());
        assert_eq!(twice, None, "{line}");
    }
    samples
}

#[tokio::test]
async fn metrics_count_what_was_asked() {
    let shop = Shop::with(&[2, 4]);
    let version = shop.put("2024-04-03", &[2, 4, 6], 1.0);
    let server = Running::of(shop.store.clone());
    for path in [
        "/v1/ltv/2",
        "/v1/ltv/4",
        "/v1/ltv/5",
        "/v1/nothing",
        "/v1/else",
    ] {
        server.get(path).await;
    }
    server
        .post("/v1/ltv:batch", r#"{"user_ids": [2, 4, 5, 7]}"#)
        .await
        .ok();
    server.ask("BREW", "/healthz", &[], "").await.problem(405);
    let reply = server.get("/metrics").await;
    assert!(
        reply
            .header("content-type")
            .starts_with("application/openmetrics-text")
    );
    let samples = samples(reply.text());
    let requests = |route: &str, method: &str, status: &str| {
        let labels = format!("route=\"{route}\",method=\"{method}\",status=\"{status}\"");
        samples
            .get(&format!("ltv_http_requests_total{{{labels}}}"))
            .copied()
    };
    let user = "/v1/ltv/{user_id}";
    assert_eq!(requests(user, "GET", "200"), Some(2.0));
    assert_eq!(requests(user, "GET", "404"), Some(1.0));
    assert_eq!(requests("other", "GET", "404"), Some(2.0));
    assert_eq!(requests("/v1/ltv:batch", "POST", "200"), Some(1.0));
    assert_eq!(requests("/healthz", "OTHER", "405"), Some(1.0));
    let count = format!("ltv_http_request_duration_seconds_count{{route=\"{user}\"}}");
    assert_eq!(samples[&count], 3.0);
    let last = format!("ltv_http_request_duration_seconds_bucket{{le=\"+Inf\",route=\"{user}\"}}");
    assert_eq!(samples[&last], 3.0);
    assert_eq!(samples["ltv_lookups_total{result=\"found\"}"], 4.0);
    assert_eq!(samples["ltv_lookups_total{result=\"unknown\"}"], 3.0);
    assert_eq!(samples["ltv_version_users"], 3.0);
    // The scrape itself.
    assert_eq!(samples["ltv_http_requests_running"], 1.0);
    let age = samples["ltv_version_age_seconds"];
    assert!((0.0..3600.0).contains(&age), "{age}");
    let info = samples
        .keys()
        .find(|name| name.starts_with("ltv_version_info{"))
        .unwrap();
    assert!(info.contains(&format!("version=\"{version}\"")), "{info}");
}
