//! A real Redis or Valkey, for as long as a test runs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use crate::support::Workspace;
use std::{
    env, fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

/// The installed server: that of `LTV_REDIS_SERVER`, or of the path.
fn program() -> Option<PathBuf> {
    if let Some(named) = env::var_os("LTV_REDIS_SERVER") {
        return Some(named.into());
    }
    let path = env::var_os("PATH")?;
    let names = ["redis-server", "valkey-server"];
    env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|file| file.is_file())
}

/// A running server, which keeps what it is told on disk; dropped, it is stopped.
pub(crate) struct Redis {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    child: Child,
}

impl Redis {
    /// `None`, and says so, where none is installed.
    #[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
    pub(crate) fn start(at: &Workspace) -> Option<Self> {
        let Some(program) = program() else {
            println!(
                "skipped: no redis-server; '.ci/run tools' installs one, LTV_REDIS_SERVER may name it"
            );
            return None;
        };
        let folder = at.path("redis");
        fs::create_dir_all(&folder).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let child = run(&program, &folder, port);
        let redis = Self {
            program,
            folder,
            port,
            child,
        };
        redis.wait();
        Some(redis)
    }

    pub(crate) fn address(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// As a machine does that fails.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Lets everybody wait for so many milliseconds.
    pub(crate) fn pause(&self, millis: u32) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(stream, "CLIENT PAUSE {millis}\r\n").unwrap();
        let mut answer = [0; 3];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"+OK");
    }

    /// Starts it again, with what it had.
    pub(crate) fn again(&mut self) {
        self.child = run(&self.program, &self.folder, self.port);
        self.wait();
    }

    /// Of a server that is not running, removes all that it had.
    pub(crate) fn forget(&self) {
        fs::remove_dir_all(&self.folder).unwrap();
        fs::create_dir(&self.folder).unwrap();
    }

    /// Until it answers, having read what it had.
    fn wait(&self) {
        let pong = || -> std::io::Result<bool> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.write_all(b"PING\r\n")?;
            let mut answer = [0; 5];
            stream.read_exact(&mut answer)?;
            Ok(&answer == b"+PONG")
        };
        for _ in 0..1000 {
            if pong().unwrap_or(false) {
                return;
            }
            sleep(Duration::from_millis(10));
        }
        panic!("redis does not answer");
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(program: &Path, folder: &Path, port: u16) -> Child {
    Command::new(program)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
        .arg(folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}
