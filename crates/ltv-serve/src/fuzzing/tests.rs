//! What fuzzing has kept.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::grpc::{BatchGetRequest, Id, UserId as GrpcId};
use prost::Message;

#[path = "../../../../fuzz/replay.rs"]
mod replay;

fn message() -> Vec<u8> {
    let id = |id| GrpcId { id: Some(id) };
    let user_ids = vec![
        id(Id::Number(-7)),
        id(Id::Text("7".into())),
        GrpcId { id: None },
    ];
    BatchGetRequest { user_ids }.encode_to_vec()
}

#[test]
fn requests_are_answered() {
    let seed = |kind: u8, bytes: &[u8]| [&[kind], bytes].concat();
    let seeds = [
        seed(0, br#"{"user_ids":[7,"8","a\u00e9",-9223372036854775808]}"#),
        seed(4, br#"{"user_ids":[7,"user-a"]}"#),
        seed(
            1,
            br#"{"features":{"channel":"ads","cnt_d0":1.5,"paid":null}}"#,
        ),
        seed(2, b"4711"),
        seed(6, b"user%2Fa%20b"),
        seed(3, &message()),
    ];
    replay::replay("requests", &seeds, requests);
}

#[test]
fn connections_end_in_answers() {
    const BODY: &str = r#"{"user_ids":[7,"8"]}"#;
    let get = "GET /v1/ltv/7 HTTP/1.1\r\nHost: a\r\nX-Request-Id: x-1\r\n";
    let traced = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n";
    let post = format!(
        "POST /v1/ltv:batch HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let chunked = format!(
        "POST /v1/ltv:batch HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{BODY}\r\n0\r\n\r\n",
        BODY.len()
    );
    // A preface, empty settings, and a window update.
    let mut second = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    second.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    second.extend([0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 1, 0, 0]);
    // GET / of the static table, which ends its stream.
    second.extend([0, 0, 4, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41]);
    let seeds = [
        format!("{get}{traced}{get}\r\n").into_bytes(),
        post.into_bytes(),
        chunked.into_bytes(),
        b"GET /metrics HTTP/1.0\r\n\r\n".to_vec(),
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        second,
    ];
    replay::replay("connection", &seeds, connection);
}

#[test]
fn nobody_is_known_who_has_no_token() {
    let seed = |file: &str, header: &str| {
        let length = u16::try_from(file.len()).unwrap().to_le_bytes();
        [&length, file.as_bytes(), header.as_bytes()].concat()
    };
    // By `printf %s secret | b3sum`.
    let line = "a:blake3:5fbf08af2b116ab8f7f3c14b8ec01a46ce23d290e2ebc7a752d0982d54c054f2";
    let known = tokens::fuzzing::client(line, &HeaderValue::from_static("Bearer secret"));
    assert_eq!(known.unwrap().as_deref(), Some("a"));
    let (_, other) = tokens::create("b").unwrap();
    let seeds = [
        seed(line, "Bearer secret"),
        seed(&format!("# two\n{line}\n{other}\n"), "bearer  secret "),
        seed("a:blake3:", "Basic c2VjcmV0"),
    ];
    replay::replay("access", &seeds, access);
}
