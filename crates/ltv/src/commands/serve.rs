//! `ltv serve`: a store, and a model for users whom it does not know, over HTTP and gRPC.

mod model;

use super::{Context, publish::store_at};
use crate::{
    cli::Common,
    exit::Failure,
    log::{self, Entry, Event, Format, Level},
    options::Overlay,
    report::Report,
};
use clap::{Args, ValueEnum};
use ltv_model::Decoding;
use ltv_online::{Embedded, Store};
use ltv_serve::{
    Config, Drained, Limits, Log, OnDemand, Server, TlsFiles, log::Request, signalled, tokens,
};
use model::Live;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

/// Answer for a store over HTTP and gRPC
///
/// Users are looked up by id, alone or in batches, and new ones are predicted for from their features; /docs shows
/// what can be asked. A new version answers as soon as its file has been read and found whole, and no request fails for it.
/// Ends with Ctrl-C or SIGTERM, once what has begun is answered.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ltv serve --store store --model model.ltv
  ltv serve --new-token bidder >> tokens
  ltv serve --store store --listen 0.0.0.0:8443 --tokens tokens --tls-cert cert.pem --tls-key key.pem")]
pub(crate) struct Flags {
    /// Folder of the store, or redis://host:port; nothing need be published yet
    #[arg(long, value_name = "STORE")]
    store: Option<PathBuf>,
    /// Bundle that predicts for users whom no store knows; read again when it is replaced
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// How its values are decoded: expectation, matched, argmax, median or quantile:P [default: expectation]
    #[arg(long, value_name = "NAME")]
    decoding: Option<Decoding>,
    /// Address and port; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// What is said of unknown users: none, mean or status:NAME [default: none]
    #[arg(long, value_name = "WHAT")]
    fallback: Option<String>,
    /// Seconds between looks at the store for another version [default: 1]
    #[arg(long, value_name = "SECONDS")]
    refresh: Option<f64>,
    /// Seconds that running requests have, once the server is to stop [default: 30]
    #[arg(long, value_name = "SECONDS")]
    drain: Option<f64>,
    /// Which requests get a line in the log [default: failed]
    #[arg(long, value_enum, value_name = "WHICH")]
    log_requests: Option<Logged>,
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    limits: Limited,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Who may ask.
#[derive(Debug, Args)]
#[command(next_help_heading = "Access")]
struct Access {
    /// File of tokens; without one only this machine may ask
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// Make a token and print its line for the file; the token itself is shown once
    #[arg(long, value_name = "NAME")]
    new_token: Option<String>,
    /// Let everybody ask who reaches the address
    #[arg(long)]
    no_auth: bool,
    /// Certificate, with those that it is signed with, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

/// What requests may take.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
struct Limited {
    /// Bytes of a body [default: 1048576]
    #[arg(long, value_name = "BYTES")]
    max_body: Option<usize>,
    /// Users of a batch [default: 1000]
    #[arg(long, value_name = "N")]
    max_batch: Option<usize>,
    /// Requests at work at a time; others are told to come again [default: 512]
    #[arg(long, value_name = "N")]
    max_requests: Option<usize>,
    /// Connections at a time; others wait [default: 4096]
    #[arg(long, value_name = "N")]
    max_connections: Option<usize>,
    /// Seconds that a request may take [default: 10]
    #[arg(long, value_name = "SECONDS")]
    max_seconds: Option<f64>,
}

/// Which requests get a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
enum Logged {
    /// Every one
    All,
    /// Those that the server could not answer: status 500 and above
    #[default]
    Failed,
    /// Not one
    None,
}

/// Options of the configuration file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    store: Option<PathBuf>,
    model: Option<PathBuf>,
    decoding: Decoding,
    listen: SocketAddr,
    tokens: Option<PathBuf>,
    no_auth: bool,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    fallback: String,
    refresh: f64,
    drain: f64,
    max_body: usize,
    max_batch: usize,
    max_requests: usize,
    max_connections: usize,
    max_seconds: f64,
    log_requests: Logged,
}

impl Default for Options {
    fn default() -> Self {
        let config = Config::new(SocketAddr::from(([127, 0, 0, 1], 8080)));
        Self {
            store: None,
            model: None,
            decoding: Decoding::Expectation,
            listen: config.address,
            tokens: None,
            no_auth: config.open,
            tls_cert: None,
            tls_key: None,
            fallback: config.fallback.to_string(),
            refresh: config.refresh.as_secs_f64(),
            drain: config.drain.as_secs_f64(),
            max_body: config.limits.body,
            max_batch: config.limits.batch,
            max_requests: config.limits.requests,
            max_connections: config.limits.connections,
            max_seconds: config.limits.time.as_secs_f64(),
            log_requests: Logged::default(),
        }
    }
}

impl Options {
    fn of(flags: Flags) -> Result<Self, Failure> {
        let file = flags.common.config.as_deref();
        let mut options = Overlay::over(&Self::default())?.file(file)?;
        options.set("store", flags.store)?;
        options.set("model", flags.model)?;
        options.set("decoding", flags.decoding)?;
        options.set("listen", flags.listen)?;
        options.set("fallback", flags.fallback)?;
        options.set("refresh", flags.refresh)?;
        options.set("drain", flags.drain)?;
        options.set("log_requests", flags.log_requests)?;
        options.set("tokens", flags.access.tokens)?;
        options.set("no_auth", flags.access.no_auth.then_some(true))?;
        options.set("tls_cert", flags.access.tls_cert)?;
        options.set("tls_key", flags.access.tls_key)?;
        options.set("max_body", flags.limits.max_body)?;
        options.set("max_batch", flags.limits.max_batch)?;
        options.set("max_requests", flags.limits.max_requests)?;
        options.set("max_connections", flags.limits.max_connections)?;
        options.set("max_seconds", flags.limits.max_seconds)?;
        options.resolve()
    }

    fn config(self, threads: usize) -> Result<Config, Failure> {
        let tls = match (self.tls_cert, self.tls_key) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
            (None, None) => None,
            _ => {
                let message = "tls_cert, tls_key: a certificate and its key go together";
                return Err(Failure::user(message));
            }
        };
        Ok(Config {
            tokens: self.tokens,
            open: self.no_auth,
            tls,
            limits: Limits {
                body: self.max_body,
                batch: self.max_batch,
                requests: self.max_requests,
                connections: self.max_connections,
                time: seconds("max_seconds", self.max_seconds)?,
            },
            fallback: self.fallback.parse()?,
            refresh: seconds("refresh", self.refresh)?,
            drain: seconds("drain", self.drain)?,
            threads,
            ..Config::new(self.listen)
        })
    }
}

fn seconds(key: &str, value: f64) -> Result<Duration, Failure> {
    let refuse = |_| Failure::user(format!("{key}: {value} is no number of seconds"));
    Duration::try_from_secs_f64(value).map_err(refuse)
}

/// Answers until it is told to stop.
pub(crate) fn run(flags: Flags, context: &Context) -> Result<Report, Failure> {
    if let Some(name) = &flags.access.new_token {
        return new_token(name);
    }
    let quiet = flags.common.quiet;
    let options = Options::of(flags)?;
    // A server stays for long: a version of a folder answers only when its file is the one that was written.
    let store: Arc<dyn Store> = store_at(options.store.as_deref(), |folder| {
        Embedded::open_checked(folder)
    })?
    .into();
    let decoding = options.decoding;
    let model = options
        .model
        .as_deref()
        .map(|path| Live::open(path, decoding));
    let model = model
        .transpose()?
        .map(|live| Arc::new(live) as Arc<dyn OnDemand>);
    let lines = Lines {
        logged: options.log_requests,
        quiet,
    };
    let config = options.config(context.threads)?;
    let scheme = if config.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let plain = config.tls.is_none() && !config.address.ip().is_loopback();
    let server = Server::bind(config, store.clone(), model, Arc::new(lines))?;
    let address = format!("{scheme}://{}", server.address());
    if plain {
        let warning = "connections are not encrypted: give --tls-cert and --tls-key, or see that a proxy encrypts them";
        context.progress.warn(warning);
    }
    let live = match store.live() {
        Some(version) => format!("version {}", version.id),
        None => "nothing yet: publish a snapshot with 'ltv publish'".to_owned(),
    };
    context
        .progress
        .say(&format!("{address} answers from {live}"));
    let cut = match server.run(signalled(), signalled()) {
        Drained::All => 0,
        Drained::Cut(connections) => connections,
    };
    if cut > 0 {
        let warning = format!("{cut} connections were cut before they were answered");
        context.progress.warn(&warning);
    }
    let text = format!("{address} has stopped");
    Report::new(text, &json!({ "address": address, "cut": cut }))
}

fn new_token(name: &str) -> Result<Report, Failure> {
    let (token, line) = tokens::create(name)?;
    log::write(&format!(
        "{token}\nThis is the token of '{name}', shown this once."
    ));
    let document = json!({ "name": name, "line": line });
    Report::new(line, &document)
}

/// Writes what the server says on standard error.
struct Lines {
    logged: Logged,
    quiet: bool,
}

impl Log for Lines {
    fn request(&self, request: &Request<'_>) {
        let failed = request.status >= 500;
        let wanted = match self.logged {
            Logged::All => true,
            Logged::Failed => failed,
            Logged::None => false,
        };
        if !wanted || (self.quiet && !failed) {
            return;
        }
        match Format::chosen() {
            Format::Json => log::write(&entry(request).json()),
            Format::Text => log::write(&text(request)),
        }
    }

    fn note(&self, message: &str) {
        match Format::chosen() {
            _ if self.quiet => {}
            Format::Json => log::write(&Entry::saying(Event::Note, message).json()),
            Format::Text => log::write(message),
        }
    }

    fn warning(&self, message: &str) {
        match Format::chosen() {
            Format::Json => log::write(&Entry::saying(Event::Warning, message).json()),
            Format::Text => log::write(&format!("warning: {message}")),
        }
    }
}

fn entry<'a>(request: &Request<'a>) -> Entry<'a> {
    let mut entry = Entry::new(Event::Request);
    if request.status >= 500 {
        entry.level = Level::Warning;
    }
    entry.message = request.failure;
    // To the microsecond.
    entry.seconds = Some((request.time.as_secs_f64() * 1e6).round() / 1e6);
    entry.request = Some(log::Answered {
        request_id: request.id,
        method: request.method,
        route: request.route,
        status: request.status,
        client: request.client,
        problem: request.problem,
    });
    entry
}

fn text(request: &Request<'_>) -> String {
    let (method, route, status) = (request.method, request.route, request.status);
    let millis = request.time.as_secs_f64() * 1e3;
    let mut line = format!("{method} {route} {status} in {millis:.2} ms");
    let parts = [request.client, request.problem, request.failure];
    for part in parts.into_iter().flatten() {
        line.push_str(", ");
        line.push_str(part);
    }
    format!("{line} (request {})", request.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_guide_lists_every_option_and_its_default() {
        let guide = include_str!("../../../../docs/guide/online.md");
        let rows = guide.lines().filter_map(|l| l.strip_prefix("| `"));
        let stated: BTreeMap<&str, &str> = rows
            .filter_map(|row| {
                let (key, rest) = row.split_once("` | ")?;
                Some((key, rest.split_once(" |")?.0.trim_matches('`')))
            })
            .collect();
        let defaults = serde_json::to_value(Options::default()).expect("it is JSON");
        let defaults = defaults.as_object().expect("it is a table");
        let expected = defaults.iter().map(|(key, value)| {
            let text = match value {
                serde_json::Value::Null => "none".to_owned(),
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string().trim_end_matches(".0").to_owned(),
            };
            (key.as_str(), text)
        });
        let expected: BTreeMap<&str, String> = expected.collect();
        let stated = stated.into_iter().map(|(key, text)| (key, text.to_owned()));
        assert_eq!(stated.collect::<BTreeMap<_, _>>(), expected);
    }

    #[test]
    fn a_request_is_one_line() {
        let request = Request {
            id: "trace-1",
            method: "GET",
            route: "/v1/ltv/{user_id}",
            status: 500,
            time: Duration::from_micros(1250),
            client: Some("bidder"),
            problem: Some("failed"),
            failure: Some("the disk is gone"),
        };
        let line = "GET /v1/ltv/{user_id} 500 in 1.25 ms, bidder, failed, the disk is gone (request trace-1)";
        assert_eq!(text(&request), line);
        let mut entry = entry(&request);
        entry.time = "now".into();
        let json = r#"{"time":"now","level":"warning","event":"request","seconds":0.00125,"message":"the disk is gone","request_id":"trace-1","method":"GET","route":"/v1/ltv/{user_id}","status":500,"client":"bidder","problem":"failed"}"#;
        assert_eq!(entry.json(), json);
    }
}
