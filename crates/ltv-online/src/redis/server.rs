//! Real servers, for as long as a test runs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use redis::{Client, Cmd, Connection, FromRedisValue, cmd};
use std::{
    env, fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    thread::sleep,
    time::Duration,
};
use tempfile::TempDir;

/// Slots of a cluster.
const SLOTS: u16 = 16384;

/// The installed server: that of `LTV_REDIS_SERVER`, or of the path.
fn program() -> Option<PathBuf> {
    if let Some(named) = env::var_os("LTV_REDIS_SERVER").map(PathBuf::from) {
        assert!(named.is_file(), "LTV_REDIS_SERVER names no file: {named:?}");
        return Some(named);
    }
    let path = env::var_os("PATH")?;
    let names = ["redis-server", "valkey-server"];
    env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|file| file.is_file())
}

/// A port that nobody listens on, low enough for a cluster's second port, 10000 above; no two are the same.
fn free_port() -> u16 {
    static GIVEN: Mutex<Vec<u16>> = Mutex::new(vec![]);
    let mut given = GIVEN.lock().unwrap();
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        // Those that the system gives on its own are mostly too high.
        let port = port % 20_000 + 20_000;
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if !given.contains(&port) && free(port) && free(port + 10_000) {
            given.push(port);
            return port;
        }
    }
}

/// A running server; dropped, it is stopped and its data are gone.
pub(crate) struct Server {
    pub(crate) port: u16,
    child: Child,
    folder: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// A server with these options; `None`, and says so, where none is installed.
    #[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
    pub(crate) fn start(options: &[&str]) -> Option<Self> {
        let Some(program) = program() else {
            println!(
                "skipped: no redis-server; '.ci/run tools' installs one, LTV_REDIS_SERVER may name it"
            );
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        Some(Self::start_in(&program, folder, free_port(), options))
    }

    fn start_in(program: &Path, folder: TempDir, port: u16, options: &[&str]) -> Self {
        let child = run(program, folder.path(), port, options);
        let mut server = Self {
            port,
            child,
            folder,
        };
        server.wait();
        server
    }

    /// A server that speaks nothing but TLS, and the certificate of the authority that vouches for it; `None`, and
    /// says so, where it or what makes certificates is not installed.
    #[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
    pub(crate) fn start_tls() -> Option<(Self, PathBuf)> {
        let program = program()?;
        let folder = tempfile::tempdir().unwrap();
        if !certificates(folder.path()) {
            println!("skipped: no openssl to make certificates with");
            return None;
        }
        let port = free_port();
        let port_option = port.to_string();
        let options = [
            "--port",
            "0",
            "--tls-port",
            &port_option,
            "--tls-cert-file",
            "server.pem",
            "--tls-key-file",
            "server.key",
            "--tls-auth-clients",
            "no",
        ];
        let authority = folder.path().join("authority.pem");
        let server = Self::start_in(&program, folder, port, &options);
        Some((server, authority))
    }

    fn wait(&mut self) {
        for _ in 0..1000 {
            if let Some(status) = self.child.try_wait().unwrap() {
                let log = fs::read_to_string(self.folder.path().join("log"));
                panic!("the server ended, {status}: {log:?}");
            }
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            sleep(Duration::from_millis(10));
        }
        panic!("the server does not answer");
    }

    /// Stops it and starts it again, empty.
    pub(crate) fn restart(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.child = run(&program().unwrap(), self.folder.path(), self.port, &[]);
        self.wait();
    }

    pub(crate) fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn connection(&self) -> Connection {
        Client::open(self.address())
            .unwrap()
            .get_connection()
            .unwrap()
    }

    /// Runs one command.
    pub(crate) fn run<T: FromRedisValue>(&self, words: &[&str]) -> T {
        command(words).query(&mut self.connection()).unwrap()
    }
}

fn command(words: &[&str]) -> Cmd {
    let mut command = cmd(words[0]);
    command.arg(&words[1..]);
    command
}

/// Makes an authority, and a certificate of this machine that it vouches for; false where nothing can.
fn certificates(folder: &Path) -> bool {
    let made = |name: &str, rest: &[&str]| {
        let [key, certificate] = [format!("{name}.key"), format!("{name}.pem")];
        Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"])
            .args(["-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-keyout", &key, "-out", &certificate])
            .args(["-subj", &format!("/CN={name}")])
            .args(rest)
            .current_dir(folder)
            .output()
            .is_ok_and(|output| output.status.success())
    };
    let signed = ["-CA", "authority.pem", "-CAkey", "authority.key"];
    let host = ["-addext", "subjectAltName=IP:127.0.0.1"];
    let leaf = ["-addext", "basicConstraints=critical,CA:FALSE"];
    made("authority", &[]) && made("server", &[signed.as_slice(), &host, &leaf].concat())
}

fn run(program: &Path, folder: &Path, port: u16, options: &[&str]) -> Child {
    Command::new(program)
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .args(["--logfile", "log", "--port", &port.to_string(), "--dir"])
        .arg(folder)
        .args(options)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// A cluster of three servers, each with a third of the slots.
pub(crate) struct Cluster {
    pub(crate) servers: Vec<Server>,
}

impl Cluster {
    /// `None`, and says so, where no server is installed.
    pub(crate) fn start() -> Option<Self> {
        let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "5000"];
        let servers: Option<Vec<Server>> = (0..3).map(|_| Server::start(&options)).collect();
        let servers = servers?;
        for (i, server) in servers.iter().enumerate() {
            let third = SLOTS / 3 + 1;
            let first = i as u16 * third;
            let slots = first..(first + third).min(SLOTS);
            let mut add = cmd("CLUSTER");
            add.arg("ADDSLOTS").arg(slots.collect::<Vec<u16>>());
            add.exec(&mut server.connection()).unwrap();
            let port = servers[0].port.to_string();
            server.run::<()>(&["CLUSTER", "MEET", "127.0.0.1", &port]);
        }
        let cluster = Self { servers };
        cluster.wait();
        Some(cluster)
    }

    fn wait(&self) {
        for _ in 0..1000 {
            let ready = |server: &Server| {
                let info: String = server.run(&["CLUSTER", "INFO"]);
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            };
            if self.servers.iter().all(ready) {
                return;
            }
            sleep(Duration::from_millis(20));
        }
        panic!("the servers do not find each other");
    }

    pub(crate) fn address(&self) -> String {
        format!("{}?cluster=true", self.servers[0].address())
    }
}
