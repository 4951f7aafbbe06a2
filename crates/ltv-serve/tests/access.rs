//! Who may ask, and over which connections.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use ltv_serve::{Config, Server, TlsFiles, log::Silent, tokens};
use rcgen::generate_simple_self_signed;
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer};
use std::{fs, path::Path, sync::Arc};
use support::{Reply, Running, Shop, ask, config, until};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

async fn as_client(server: &Running, token: &str, path: &str) -> Reply {
    let header = bearer(token);
    server
        .ask("GET", path, &[("authorization", &header)], "")
        .await
}

#[tokio::test]
async fn a_token_opens_what_is_not_open_to_all() {
    let shop = Shop::with(&[2]);
    let path = shop.folder.path().join("tokens");
    let (token, line) = tokens::create("bidder").unwrap();
    fs::write(&path, line).unwrap();
    let mut config = config();
    config.tokens = Some(path);
    let server = Running::with(config, shop.store.clone(), None);
    for open in [
        "/healthz",
        "/readyz",
        "/docs",
        "/docs/page.js",
        "/",
        "/console/console.js",
    ] {
        assert_eq!(server.get(open).await.status, 200, "{open}");
    }
    for closed in [
        "/v1/ltv/2",
        "/v1/ltv/2/movement",
        "/v1/model",
        "/v1/overview",
        "/metrics",
        "/openapi.json",
        "/nothing",
    ] {
        let reply = server.get(closed).await;
        assert_eq!(reply.problem(401).0, "no-token", "{closed}");
        assert_eq!(reply.header("www-authenticate"), "Bearer realm=\"ltv\"");
        as_client(&server, "ltv_wrong", closed).await.problem(401);
        let reply = as_client(&server, &token, closed).await;
        assert_eq!(
            reply.status,
            if closed == "/nothing" { 404 } else { 200 },
            "{closed}"
        );
    }
    assert!(server.log.has("client: Some(\"bidder\")") && !server.log.has(&token[4..]));
}

#[tokio::test]
async fn tokens_come_and_go_while_the_server_runs() {
    let shop = Shop::with(&[2]);
    let path = shop.folder.path().join("tokens");
    let (old, first) = tokens::create("old").unwrap();
    let (new, second) = tokens::create("new").unwrap();
    fs::write(&path, &first).unwrap();
    let mut config = config();
    config.tokens = Some(path.clone());
    let server = Running::with(config, shop.store.clone(), None);
    as_client(&server, &old, "/v1/model").await.ok();
    as_client(&server, &new, "/v1/model").await.problem(401);
    fs::write(&path, format!("{second}\n")).unwrap();
    until(|| server.log.has("1 tokens are valid from now on")).await;
    as_client(&server, &old, "/v1/model").await.problem(401);
    as_client(&server, &new, "/v1/model").await.ok();
    fs::write(&path, "nonsense").unwrap();
    until(|| server.log.has("warning: ")).await;
    as_client(&server, &new, "/v1/model").await.ok();
    let metrics = as_client(&server, &new, "/metrics").await;
    let line = "ltv_reload_failures_total{what=\"tokens\"} 1\n";
    assert!(metrics.text().contains(line), "{}", metrics.text());
}

#[test]
fn a_server_that_everybody_could_ask_does_not_start() {
    let shop = Shop::with(&[2]);
    let bind = |change: &dyn Fn(&mut Config)| {
        let mut config = Config::new("0.0.0.0:0".parse().unwrap());
        change(&mut config);
        Server::bind(config, shop.store.clone(), None, Arc::new(Silent)).map(|s| s.address())
    };
    let refused = |change: &dyn Fn(&mut Config)| bind(change).unwrap_err().to_string();
    let error = refused(&|_| {});
    assert!(
        error.contains("--tokens") && error.contains("--no-auth"),
        "{error}"
    );
    bind(&|config| config.open = true).unwrap();
    let missing = shop.folder.path().join("missing");
    let error = refused(&|config| config.tokens = Some(missing.clone()));
    assert!(
        error.contains("missing") && error.contains("check the path"),
        "{error}"
    );
    let files = TlsFiles {
        certificate: missing.clone(),
        key: missing.clone(),
    };
    let error = refused(&|config| {
        config.open = true;
        config.tls = Some(files.clone());
    });
    assert!(
        error.contains("missing") && error.contains("check the path"),
        "{error}"
    );
    let taken = bind(&|config| config.open = true);
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let error = refused(&|config| config.address = occupied.local_addr().unwrap());
    assert!(
        taken.is_ok() && error.contains("cannot listen there"),
        "{error}"
    );
}

/// Writes a new certificate and its key; the certificate.
fn certify(files: &TlsFiles) -> CertificateDer<'static> {
    let made = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(&files.certificate, made.cert.pem()).unwrap();
    fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

fn files(folder: &Path) -> TlsFiles {
    TlsFiles {
        certificate: folder.join("cert.pem"),
        key: folder.join("key.pem"),
    }
}

async fn encrypted(
    server: &Running,
    trusted: &CertificateDer<'static>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TcpStream::connect(server.address).await?;
    let name = "localhost".try_into().unwrap();
    TlsConnector::from(Arc::new(client))
        .connect(name, stream)
        .await
}

#[tokio::test]
async fn connections_are_encrypted_with_the_latest_certificate() {
    let shop = Shop::with(&[2]);
    let files = files(shop.folder.path());
    let first = certify(&files);
    let mut config = config();
    config.tls = Some(files.clone());
    let server = Running::with(config, shop.store.clone(), None);
    let stream = encrypted(&server, &first).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let reply = ask(stream, "GET", "/v1/ltv/2", &[], "").await.unwrap();
    assert_eq!(reply.ok()["found"], true);
    // Nobody is answered who does not encrypt.
    let plain = TcpStream::connect(server.address).await.unwrap();
    assert!(ask(plain, "GET", "/healthz", &[], "").await.is_err());
    let second = certify(&files);
    until(|| server.log.has("new connections get this certificate")).await;
    let stream = encrypted(&server, &second).await.unwrap();
    ask(stream, "GET", "/v1/ltv/2", &[], "").await.unwrap().ok();
    assert!(encrypted(&server, &first).await.is_err());
}
