//! A server as people start and end it: what it answers, what it says, and how it ends.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "support/redis.rs"]
mod redis;
mod support;

use arrow::{
    array::{Array, RecordBatch},
    datatypes::DataType,
    util::display::array_value_to_string,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use redis::Redis;
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    thread::{self, sleep},
    time::Duration,
};
use support::{Workspace, text};

/// A server of the real binary on a free port.
struct Server {
    child: Child,
    lines: BufReader<ChildStderr>,
    address: String,
}

impl Server {
    fn start(at: &Workspace, flags: &str) -> Self {
        Self::of("store", at, flags)
    }

    fn of(store: &str, at: &Workspace, flags: &str) -> Self {
        let line = format!("serve --store {store} --listen 127.0.0.1:0 --log-format json {flags}");
        let mut command = at.ltv(&line);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        let (_, rest) = first.split_once("http://").unwrap();
        let address = rest.split(' ').next().unwrap().to_owned();
        Self {
            child,
            lines,
            address,
        }
    }

    /// Status and body of a request.
    fn get(&self, path: &str, headers: &str) -> (u16, String) {
        self.ask("GET", path, headers, "")
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let body = body.to_string();
        let length = format!("content-length: {}\r\n", body.len());
        let (status, answer) = self.ask("POST", path, &length, &body);
        (status, serde_json::from_str(&answer).unwrap())
    }

    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (
            head.split(' ').nth(1).unwrap().parse().unwrap(),
            body.into(),
        )
    }

    fn signal(&self, signal: &str) {
        let mut kill = Command::new("kill");
        kill.args([signal, &self.child.id().to_string()]);
        assert!(kill.status().unwrap().success());
    }

    /// Ends it as an init system does; how it ended, and all that it said.
    fn end(mut self) -> (ExitStatus, String, String) {
        self.signal("-TERM");
        let (mut said, mut printed) = (String::new(), String::new());
        self.lines.read_to_string(&mut said).unwrap();
        let mut out = self.child.stdout.take().unwrap();
        out.read_to_string(&mut printed).unwrap();
        (self.child.wait().unwrap(), said, printed)
    }
}

/// The numbers of horizons in single precision, however many digits a document spells them out with.
fn singles(horizons: &Value) -> Vec<f32> {
    let names = ["days", "ltv", "p10", "p50", "p90", "positive"];
    let all = horizons.as_array().unwrap().iter();
    all.flat_map(|horizon| names.map(|name| horizon[name].as_f64().unwrap() as f32))
        .collect()
}

#[test]
fn a_server_answers_for_what_is_published_and_ends_when_asked() {
    let at = Workspace::new();
    scored(&at);
    // It may start first.
    let server = Server::start(&at, "--log-requests all --refresh 0.05");
    assert_eq!(server.get("/readyz", "").0, 503);
    at.ok("publish snapshot --store store --quiet");
    let live = loop {
        match server.get("/v1/model", "") {
            (200, model) => break serde_json::from_str::<Value>(&model).unwrap(),
            (status, _) => assert_eq!(status, 503),
        }
    };
    assert_eq!(live["as_of"], "2024-04-01");
    let user = (0..600).find(|id| server.get(&format!("/v1/ltv/{id}"), "").0 == 200);
    let user = user.unwrap();
    let (_, served) = server.get(&format!("/v1/ltv/{user}"), "x-request-id: mine\r\n");
    let served: Value = serde_json::from_str(&served).unwrap();
    let looked_up = at.ok(&format!("get {user} --store store --json"));
    let looked_up: Value = serde_json::from_str(&looked_up).unwrap();
    assert_eq!(served["version"], looked_up["version"]);
    let looked_up = &looked_up["results"][0];
    assert_eq!(
        singles(&served["horizons"]),
        singles(&looked_up["horizons"])
    );
    let (status, said, printed) = server.end();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(printed.contains("has stopped"), "{printed}");
    let lines: Vec<Value> = said
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let is_mine = |line: &&Value| line["request_id"] == "mine";
    let mine = lines.iter().find(is_mine).unwrap();
    assert_eq!(
        (&mine["event"], &mine["status"]),
        (&"request".into(), &200.into())
    );
    assert_eq!(mine["route"], "/v1/ltv/{user_id}");
}

/// A dataset, a model and its snapshot.
fn scored(at: &Workspace) {
    at.ok("simulate --users 600 --quiet --out sim");
    at.ok(
        "features --preset simulator --events sim/events --users sim/users --quiet \
           --as-of 2024-04-01 --out data",
    );
    at.ok("train --data data --epochs 1 --quiet --out model.ltv");
    at.ok("score --model model.ltv --data data --quiet --out snapshot");
}

/// The values of a row of a dataset, as whoever asks for a prediction writes them.
fn features(batch: &RecordBatch, row: usize, wanted: &[String]) -> Value {
    let value = |name: &String| {
        let column = batch.column_by_name(name).unwrap();
        let text = array_value_to_string(column, row).unwrap();
        let value = match column.data_type() {
            _ if column.is_null(row) => Value::Null,
            DataType::Utf8 | DataType::Date32 => text.into(),
            _ => text.parse::<f64>().unwrap().into(),
        };
        (name.clone(), value)
    };
    json!({ "features": wanted.iter().map(value).collect::<serde_json::Map<_, _>>() })
}

/// The first file of a dataset.
fn rows(at: &Workspace, folder: &str) -> RecordBatch {
    let name = at.names().into_iter().find(|name| {
        name.starts_with(folder) && name.extension().is_some_and(|kind| kind == "parquet")
    });
    let file = fs::File::open(at.path(name.unwrap().to_str().unwrap())).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    reader.build().unwrap().next().unwrap().unwrap()
}

/// What is predicted from a user's features is what `ltv score` published of the same user, and a model that takes
/// the place of another predicts from then on.
#[test]
fn new_users_are_predicted_for_as_the_scorer_does() {
    let at = Workspace::new();
    scored(&at);
    at.ok("publish snapshot --store store --quiet");
    let server = Server::start(&at, "--model model.ltv");
    let model: Value = serde_json::from_str(&server.get("/v1/model", "").1).unwrap();
    let wanted = model["on_demand"]["features"].as_array().unwrap();
    let wanted = wanted
        .iter()
        .map(|f| f["name"].as_str().unwrap().to_owned());
    let wanted: Vec<String> = wanted.collect();
    let batch = rows(&at, "data");
    for row in [0, 7, 50] {
        let user = array_value_to_string(batch.column_by_name("user_id").unwrap(), row).unwrap();
        let (_, published) = server.get(&format!("/v1/ltv/{user}"), "");
        let published: Value = serde_json::from_str(&published).unwrap();
        let (status, predicted) = server.post("/v1/predict", &features(&batch, row, &wanted));
        assert_eq!(status, 200, "{predicted}");
        assert_eq!(predicted["model_id"], published["model_id"]);
        // One row and many go different ways through the network.
        let [found, expected] = [&predicted, &published].map(|of| singles(&of["horizons"]));
        for (found, expected) in found.iter().zip(&expected) {
            let most = 1e-4 * expected.abs() + 1e-5;
            assert!((found - expected).abs() <= most, "{found} {expected}");
        }
    }
    for (features, part) in [
        (json!({ "events": 1 }), "'events' is no feature"),
        (json!({ &wanted[0]: [1] }), "[1] is not"),
    ] {
        let (status, problem) = server.post("/v1/predict", &json!({ "features": features }));
        let detail = problem["detail"].as_str().unwrap();
        assert!(status == 422 && detail.contains(part), "{status} {detail}");
    }
    at.ok("train --data data --epochs 1 --seed 9 --quiet --out other.ltv");
    fs::write(at.path("model.ltv"), "no bundle").unwrap();
    fs::rename(at.path("other.ltv"), at.path("model.ltv")).unwrap();
    let asked = features(&batch, 0, &wanted);
    let before = &model["on_demand"]["model_id"];
    while server.post("/v1/predict", &asked).1["model_id"] == *before {}
    server.end();
}

/// Redis goes away and comes back, with what it had and with nothing: nobody is told a wrong value, nobody is taken
/// for unknown who is not, and the server needs no hand.
#[test]
fn redis_may_go_and_come_back() {
    let at = Workspace::new();
    let Some(mut redis) = Redis::start(&at) else {
        return;
    };
    scored(&at);
    let store = redis.address();
    at.ok(&format!("publish snapshot --store {store} --quiet"));
    let server = Server::of(&store, &at, "--refresh 0.05");
    let user = (0..600).find(|id| server.get(&format!("/v1/ltv/{id}"), "").0 == 200);
    let path = format!("/v1/ltv/{}", user.unwrap());
    let (_, right) = server.get(&path, "");
    // Stopped and gone on with while Redis is waited for, which cuts the wait short.
    redis.pause(400);
    let answer = thread::scope(|threads| {
        let asked = threads.spawn(|| server.get(&path, ""));
        sleep(Duration::from_millis(100));
        server.signal("-STOP");
        server.signal("-CONT");
        asked.join().unwrap()
    });
    assert_eq!(answer, (200, right.clone()));
    redis.kill();
    let (status, problem) = server.get(&path, "");
    assert!(
        status == 503 && problem.contains("urn:ltv:problem:no-store"),
        "{status} {problem}"
    );
    while server
        .get("/metrics", "")
        .1
        .contains("ltv_refresh_failures_total 0\n")
    {}
    redis.again();
    assert_eq!(server.get(&path, ""), (200, right.clone()));
    redis.kill();
    redis.forget();
    redis.again();
    // Whether the server has noticed or not, there is nothing to answer from.
    let (status, problem) = server.get(&path, "");
    assert_eq!(status, 503, "{problem}");
    at.ok(&format!("publish snapshot --store {store} --quiet"));
    while server.get("/readyz", "").0 != 200 {}
    let [found, expected]: [Value; 2] =
        [&server.get(&path, "").1, &right].map(|text| serde_json::from_str(text).unwrap());
    assert_eq!(found["horizons"], expected["horizons"]);
    let (_, said, _) = server.end();
    assert!(said.contains("the store can be read again"), "{said}");
}

#[test]
fn a_token_is_made_and_wanted() {
    let at = Workspace::new();
    let made = at.run("serve --new-token bidder");
    assert!(made.status.success());
    fs::write(at.path("tokens"), &made.stdout).unwrap();
    let token = text(&made.stderr).lines().next().unwrap().to_owned();
    assert!(!text(&made.stdout).contains(&token));
    let server = Server::start(&at, "--tokens tokens");
    let header = format!("authorization: Bearer {token}\r\n");
    assert_eq!(server.get("/v1/model", "").0, 401);
    assert_eq!(server.get("/v1/model", &header).0, 503);
    let (status, said, _) = server.end();
    assert!(status.success() && !said.contains(&token), "{said}");
}

#[test]
fn what_cannot_be_served_is_said() {
    let at = Workspace::new();
    fs::write(at.path("tokens"), "bidder").unwrap();
    for (flags, part) in [
        ("", "--store DIR"),
        ("--store s3://bucket/store", "give a folder"),
        ("--store store --model tokens", "tokens"),
        ("--store store --listen 0.0.0.0:0", "--no-auth"),
        ("--store store --fallback median", "'median' is none of"),
        ("--store store --refresh=-1", "refresh: -1"),
        ("--store store --max-batch 0", "limits.batch: 0"),
        ("--store store --tokens tokens", "tokens: line 1"),
        ("--store store --tls-cert a.pem --tls-key b.pem", "a.pem"),
        ("--new-token a:b", "'a:b' cannot name a token"),
    ] {
        let error = at.error(&format!("serve {flags}"));
        assert!(error.contains(part), "{flags}: {error}");
    }
}
