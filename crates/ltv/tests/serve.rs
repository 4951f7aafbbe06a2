//! A server as people start and end it: what it answers, what it says, and how it ends.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
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
        let line = format!("serve --store store --listen 127.0.0.1:0 --log-format json {flags}");
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
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n"
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

    /// Ends it as an init system does; how it ended, and all that it said.
    fn end(mut self) -> (ExitStatus, String, String) {
        let mut kill = Command::new("kill");
        kill.args(["-TERM", &self.child.id().to_string()]);
        assert!(kill.status().unwrap().success());
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
    at.ok("simulate --users 600 --quiet --out sim");
    at.ok(
        "features --preset simulator --events sim/events --users sim/users --quiet \
           --as-of 2024-04-01 --out data",
    );
    at.ok("train --data data --epochs 1 --quiet --out model.ltv");
    at.ok("score --model model.ltv --data data --quiet --out snapshot");
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
