//! Users are looked up over HTTP, and new ones predicted for.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use ltv_serve::Fallback;
use serde_json::{Value, json};
use std::sync::Arc;
use support::{Adder, DAYS, MODEL, Running, Shop, config, number, status};

/// What a user is known by, from the numbers that were published.
fn horizons(id: i64) -> Value {
    let horizon = |(i, days): (usize, &u32)| {
        let value = |c: usize| number(id, 1.0, 5 * i + c);
        json!({"days": days, "ltv": value(0), "p10": value(1), "p50": value(2), "p90": value(3),
            "positive": value(4)})
    };
    DAYS.iter().enumerate().map(horizon).collect()
}

fn found(id: i64) -> Value {
    json!({"user_id": id, "found": true, "status": status(id), "horizons": horizons(id)})
}

#[tokio::test]
async fn one_user() {
    let shop = Shop::with(&[7, -4, 12]);
    let version = shop.put("2024-04-02", &[7, -4, 12], 1.0);
    let server = Running::of(shop.store.clone());
    for id in [7, -4] {
        let mut expected = found(id);
        expected["version"] = json!(version);
        expected["as_of"] = json!("2024-04-02");
        expected["model_id"] = json!(MODEL);
        let reply = server.get(&format!("/v1/ltv/{id}")).await;
        assert_eq!(reply.ok(), expected);
        assert_eq!(reply.header("cache-control"), "no-store");
    }
    let (kind, detail) = server.get("/v1/ltv/8").await.problem(404);
    assert_eq!(kind, "unknown-user");
    assert!(detail.contains(&version), "{detail}");
    for wrong in ["seven", "7.0", "9223372036854775808", "%20"] {
        let (kind, detail) = server.get(&format!("/v1/ltv/{wrong}")).await.problem(400);
        assert_eq!(kind, "bad-request");
        assert!(detail.contains("whole numbers of 64 bits"), "{detail}");
    }
    server.get("/v1/ltv/%FF").await.problem(400);
}

#[tokio::test]
async fn many_users_in_their_order() {
    let large = 9_007_199_254_740_993;
    let shop = Shop::with(&[7, -4, large]);
    let server = Running::of(shop.store.clone());
    let body = format!(r#"{{"user_ids": [-4, 8, "7", {large}, "-4", "{large}"]}}"#);
    let reply = server.post("/v1/ltv:batch", &body).await.ok();
    let unknown = json!({"user_id": 8, "found": false, "horizons": []});
    let results = reply["results"].as_array().unwrap();
    assert_eq!(results.len(), 6);
    let expected = [found(-4), unknown, found(7)];
    assert_eq!(results[..3], expected);
    assert_eq!(results[4], found(-4));
    for beyond in [&results[3], &results[5]] {
        let id = json!("9007199254740993");
        assert_eq!((&beyond["user_id"], &beyond["found"]), (&id, &json!(true)));
    }
    assert_eq!(
        (&reply["as_of"], &reply["model_id"]),
        (&json!("2024-04-01"), &json!(MODEL))
    );
    let none = server.post("/v1/ltv:batch", r#"{"user_ids": []}"#).await;
    assert_eq!(none.ok()["results"], json!([]));
    for (body, expected) in [
        (r#"{"user_ids": [7, "seven"]}"#, "user_ids[1]: 'seven'"),
        (r#"{"user_ids": [7.5]}"#, "a whole number of 64 bits"),
        (r#"{"user_ids": 7}"#, "line 1 column 14"),
        (r#"{"ids": [7]}"#, "unknown field `ids`"),
        ("{", "body: EOF"),
        ("", "body: EOF"),
    ] {
        let reply = server.post("/v1/ltv:batch", body).await;
        let (kind, detail) = reply.problem(400);
        assert!(
            kind == "bad-request" && detail.contains(expected),
            "{detail}"
        );
    }
}

#[tokio::test]
async fn ids_that_are_text() {
    let shop = Shop::new();
    shop.put_texts("2024-04-01", &[7]);
    let server = Running::of(shop.store.clone());
    assert_eq!(server.get("/v1/ltv/u7").await.ok()["user_id"], "u7");
    // Every character can be asked for.
    for unknown in ["u8", "a%2Fb%20c", "%C3%A4", "7"] {
        let reply = server.get(&format!("/v1/ltv/{unknown}")).await;
        assert_eq!(reply.problem(404).0, "unknown-user");
    }
    let reply = server
        .post("/v1/ltv:batch", r#"{"user_ids": [7, "u7"]}"#)
        .await;
    let results = &reply.ok()["results"];
    assert_eq!(
        (&results[0]["user_id"], &results[0]["found"]),
        (&json!("7"), &json!(false))
    );
    assert_eq!(results[1]["found"], true);
    server
        .get(&format!("/v1/ltv/{}", "x".repeat(512)))
        .await
        .problem(400);
}

/// Values alone are all that is said where no more was published.
#[tokio::test]
async fn versions_with_values_alone() {
    let shop = Shop::new();
    shop.put_values("2024-04-01", &[7]);
    let mut config = config();
    config.fallback = Fallback::Mean;
    let server = Running::with(config, shop.store.clone(), None);
    let horizons = json!([{"days": 30, "ltv": 7.0}, {"days": 90, "ltv": 12.0}]);
    assert_eq!(server.get("/v1/ltv/7").await.ok()["horizons"], horizons);
    assert_eq!(server.get("/v1/ltv/8").await.ok()["horizons"], horizons);
    assert_eq!(server.get("/v1/model").await.ok()["detail"], "values");
}

/// Means by hand.
#[tokio::test]
async fn who_is_not_known_gets_means_where_that_is_wanted() {
    let shop = Shop::with(&[2, 4, 9]);
    let ask = async |fallback: &str, path: &str| {
        let mut config = config();
        config.fallback = fallback.parse().unwrap();
        let server = Running::with(config, shop.store.clone(), None);
        server.get(path).await
    };
    // (2 + 4 + 9) / 3 users, and (2 + 4) / 2 active ones; columns add 0 to 9.
    for (fallback, mean) in [
        ("mean", 5.0),
        ("status:active", 3.0),
        ("status:observing", 9.0),
    ] {
        let reply = ask(fallback, "/v1/ltv/8").await.ok();
        assert_eq!(
            (&reply["user_id"], &reply["found"]),
            (&json!(8), &json!(false))
        );
        assert_eq!(
            (&reply["fallback"], reply.get("status")),
            (&json!(fallback), None)
        );
        let second = &reply["horizons"][1];
        assert_eq!(second["days"], 90);
        assert_eq!(
            (&second["ltv"], &second["positive"]),
            (&json!(mean + 5.0), &json!(mean + 9.0))
        );
        // Whoever is known is not meant.
        let reply = ask(fallback, "/v1/ltv/9").await.ok();
        assert_eq!(
            (&reply["horizons"], reply.get("fallback")),
            (&horizons(9), None)
        );
    }
    ask("none", "/v1/ltv/8").await.problem(404);
    // Nobody has that status.
    ask("status:no_events", "/v1/ltv/8").await.problem(404);
}

#[tokio::test]
async fn new_users_are_predicted_for() {
    let shop = Shop::with(&[2]);
    let server = Running::with(config(), shop.store.clone(), Some(Arc::new(Adder)));
    let body = r#"{"features": {"events_d0": 2, "events_d1": 0.5}}"#;
    let reply = server.post("/v1/predict", body).await.ok();
    let expected = json!({"model_id": "adder", "horizons": [
        {"days": 30, "ltv": 2.5, "p10": 0.0, "p50": 2.5, "p90": 7.5, "positive": 0.5},
        {"days": 90, "ltv": 5.0, "p10": 0.0, "p50": 2.5, "p90": 7.5, "positive": 0.5},
    ]});
    assert_eq!(reply, expected);
    let reply = server.post("/v1/predict", r#"{"features": {}}"#).await;
    let (kind, detail) = reply.problem(422);
    assert_eq!(
        (&*kind, &*detail),
        ("features", "events_d0: a number is needed")
    );
    server
        .post("/v1/predict", r#"{"events_d0": 2}"#)
        .await
        .problem(400);
    // What broke is for the log and not for whoever asked.
    let body = r#"{"features": {"channel": "broken"}}"#;
    let reply = server.post("/v1/predict", body).await;
    let (kind, detail) = reply.problem(500);
    assert!(kind == "failed" && !detail.contains("secret"), "{detail}");
    assert!(server.log.has("the adder broke on a secret"));
    assert!(server.log.has(reply.header("x-request-id")));
    let without = Running::of(shop.store.clone());
    let reply = without.post("/v1/predict", r#"{"features": {}}"#).await;
    assert_eq!(reply.problem(404).0, "no-model");
}

#[tokio::test]
async fn what_is_live() {
    let shop = Shop::with(&[2, 4, 9]);
    let mut config = config();
    config.fallback = Fallback::Mean;
    let server = Running::with(config, shop.store.clone(), Some(Arc::new(Adder)));
    let reply = server.get("/v1/model").await.ok();
    let expected = [
        ("as_of", json!("2024-04-01")),
        ("model_id", json!(MODEL)),
        ("horizons", json!(DAYS)),
        ("decoding", json!("expectation")),
        ("detail", json!("everything")),
        ("monotone", json!(true)),
        ("rows", json!(3)),
        ("users", json!("number")),
        ("statuses", json!({"active": 2, "observing": 1})),
        ("fallback", json!("mean")),
    ];
    for (key, value) in expected {
        assert_eq!(reply[key], value, "{key}");
    }
    let features = &reply["on_demand"]["features"];
    let first = json!({"name": "events_d0", "kind": "number", "required": true});
    assert_eq!(
        (features.as_array().unwrap().len(), &features[0]),
        (4, &first)
    );
}

#[tokio::test]
async fn what_there_is_not() {
    let shop = Shop::with(&[2]);
    let server = Running::of(shop.store.clone());
    for path in [
        "/v1/ltv/",
        "/v2/model",
        "/v1/ltv/a/b",
        "/docs/nothing",
        "/console/nothing",
    ] {
        assert_eq!(server.get(path).await.problem(404).0, "no-route", "{path}");
    }
    let reply = server.post("/v1/ltv/2", "").await;
    assert_eq!(reply.problem(405).0, "method");
    assert_eq!(reply.header("allow"), "GET,HEAD");
    let reply = server.get("/v1/ltv:batch").await;
    reply.problem(405);
    assert_eq!(reply.header("allow"), "POST");
}

/// Requests can be followed, and users cannot.
#[tokio::test]
async fn the_log_knows_requests_and_no_users() {
    let shop = Shop::with(&[424_242]);
    let server = Running::with(config(), shop.store.clone(), Some(Arc::new(Adder)));
    let reply = server
        .ask("GET", "/v1/ltv/424242", &[("x-request-id", "trace-1")], "")
        .await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("x-request-id")),
        (200, "trace-1")
    );
    let own = server.get("/v1/ltv/535353").await;
    server.get("/v1/ltv/text-of-a-user").await.problem(400);
    let batch = r#"{"user_ids": [424242, "wrong-user"]}"#;
    server.post("/v1/ltv:batch", batch).await.problem(400);
    let features = r#"{"features": {"events_d0": 777777}}"#;
    server.post("/v1/predict", features).await.ok();
    let log = server.log.all();
    assert!(
        server.log.has("trace-1") && server.log.has(own.header("x-request-id")),
        "{log}"
    );
    assert!(
        log.contains("route: \"/v1/ltv/{user_id}\"") && log.contains("unknown-user"),
        "{log}"
    );
    for secret in ["424242", "535353", "text-of-a-user", "wrong-user", "777777"] {
        assert!(!log.contains(secret), "{log}");
    }
}
