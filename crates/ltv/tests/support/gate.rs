//! A gate before a store: it lets requests through, writes down what they are, and answers some of them itself.

use super::store::Store;
use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

/// What becomes of a request, such as `PUT /lake/x?partNumber=1`: the code of a refusal, or `None` to let it through.
type Rule = dyn Fn(&str) -> Option<&'static str> + Send + Sync;

/// A running gate. It ends with the test's process.
pub(crate) struct Gate {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Gate {
    pub(crate) fn start(
        store: &Store,
        rule: impl Fn(&str) -> Option<&'static str> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, behind) = (listener.local_addr().unwrap().port(), store.port());
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (known, rule): (_, Arc<Rule>) = (seen.clone(), Arc::new(rule));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (known, rule) = (known.clone(), rule.clone());
                // A client that was killed has no use for an answer.
                thread::spawn(move || pass(client?, behind, &known, rule.as_ref()));
            }
        });
        Self { port, seen }
    }

    /// What was asked since the last call.
    pub(crate) fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// Sends the binary's requests through this gate.
    pub(crate) fn before(&self, mut command: Command) -> Command {
        command.env(
            "AWS_ENDPOINT_URL",
            format!("http://127.0.0.1:{}", self.port),
        );
        command
    }
}

/// One request of a connection, and its answer.
fn pass(
    mut client: TcpStream,
    behind: u16,
    seen: &Mutex<Vec<String>>,
    rule: &Rule,
) -> io::Result<()> {
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).map_err(io::Error::other)?;
    let (first, headers) = head.split_once("\r\n").unwrap_or_default();
    let length = headers.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is = name.eq_ignore_ascii_case("content-length");
        is.then(|| value.trim().parse::<usize>().ok()).flatten()
    });
    let mut body = vec![0; length.unwrap_or(0)];
    client.read_exact(&mut body)?;
    let asked = first.trim_end_matches(" HTTP/1.1");
    seen.lock().unwrap().push(asked.to_owned());
    if let Some(code) = rule(asked) {
        let body = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 403 Forbidden\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        return client.write_all(answer.as_bytes());
    }
    let mut server = TcpStream::connect(("127.0.0.1", behind))?;
    server.write_all(format!("{first}\r\nConnection: close\r\n{headers}").as_bytes())?;
    server.write_all(&body)?;
    io::copy(&mut server, &mut client)?;
    Ok(())
}
