//! A real server with the S3 API, for as long as a test runs: s3s-fs, which checks signatures and keeps
//! a bucket as a folder.
#![allow(dead_code, reason = "each test program uses its own part")]

use super::support::{Workspace, text, walk};
use std::{
    collections::BTreeMap,
    env, fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::Duration,
};
use tempfile::TempDir;

/// What no message may hold.
pub(crate) const KEY: &str = "LTVTESTACCESSKEY";
pub(crate) const SECRET: &str = "ltv/test+secret";

/// The installed server: that of `LTV_S3_SERVER`, or where `.ci/run` puts it.
fn program() -> Option<PathBuf> {
    let installed = || {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?;
        Some(target.join("s3s-fs/bin/s3s-fs"))
    };
    if let Some(named) = env::var_os("LTV_S3_SERVER").map(PathBuf::from) {
        assert!(named.is_file(), "LTV_S3_SERVER names no file: {named:?}");
        return Some(named);
    }
    installed().filter(|path| path.is_file())
}

/// A running server; dropped, it is stopped and its buckets are gone.
pub(crate) struct Store {
    root: TempDir,
    port: u16,
    server: Child,
}

impl Drop for Store {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Store {
    /// A server with one empty bucket, `lake`; `None`, and says so, where none is installed.
    #[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
    pub(crate) fn start() -> Option<Self> {
        let Some(program) = program() else {
            println!(
                "skipped: no S3 server; '.ci/run tools' installs one, LTV_S3_SERVER may name it"
            );
            return None;
        };
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("lake")).unwrap();
        let port = free_port();
        let server = Command::new(program)
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .args(["--access-key", KEY, "--secret-key", SECRET])
            .arg(root.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut store = Self { root, port, server };
        store.wait();
        Some(store)
    }

    fn wait(&mut self) {
        for _ in 0..1000 {
            assert!(
                self.server.try_wait().unwrap().is_none(),
                "the server ended"
            );
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            sleep(Duration::from_millis(10));
        }
        unreachable!("the server does not listen");
    }

    /// Where an object of the bucket is kept.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("lake").join(name)
    }

    /// Copies a file, or a folder with all in it, into the bucket.
    pub(crate) fn upload(&self, at: &Workspace, from: &str, to: &str) {
        for (name, bytes) in at.files(from) {
            let path = match name.as_os_str().is_empty() {
                true => self.path(to),
                false => self.path(to).join(name),
            };
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }

    /// Every object below `prefix`, with its content.
    pub(crate) fn objects(&self, prefix: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        if self.path(prefix).exists() {
            walk(&self.path(prefix), Path::new(""), &mut found);
        }
        let files = found.into_iter();
        files
            .filter_map(|(name, bytes)| Some((name, bytes?)))
            .collect()
    }

    /// Where the server keeps what is no object: uploads that were not finished, for example.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The binary with credentials and the server's address in its environment, and few attempts.
    pub(crate) fn ltv(&self, at: &Workspace, line: &str) -> Command {
        let mut command = bare(at, line);
        command
            .env(
                "AWS_ENDPOINT_URL",
                format!("http://127.0.0.1:{}", self.port),
            )
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET);
        command
    }

    /// Runs what must work and gives its standard output.
    pub(crate) fn ok(&self, at: &Workspace, line: &str) -> String {
        let output = self.ltv(at, line).output().unwrap();
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "ltv {line}\n{errors}");
        assert!(
            !errors.contains(SECRET) && !errors.contains(KEY),
            "{errors}"
        );
        text(&output.stdout)
    }

    /// Runs what must fail through the user's fault and gives the one error.
    pub(crate) fn error(&self, at: &Workspace, line: &str) -> String {
        refusal(&self.ltv(at, line).output().unwrap())
    }
}

/// The binary in an environment that knows nothing of any store.
pub(crate) fn bare(at: &Workspace, line: &str) -> Command {
    let mut command = at.ltv(line);
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command
        .env("AWS_MAX_ATTEMPTS", "2")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("NO_PROXY", "127.0.0.1");
    command
}

/// The one line of an error that the user can put right, which holds no credential.
pub(crate) fn refusal(output: &Output) -> String {
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert_eq!(errors.trim_end().lines().count(), 1, "{errors}");
    for secret in [KEY, SECRET] {
        assert!(!errors.contains(secret), "{errors}");
    }
    errors
}
