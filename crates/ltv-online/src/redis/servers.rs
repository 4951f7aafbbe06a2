//! Connections to the server or cluster of a store.

use super::{address::Address, explain::explain};
use crate::OnlineError;
use redis::{
    Client, Cmd, Connection, ErrorKind, FromRedisValue, RedisError, RedisResult,
    cluster::{ClusterClient, ClusterConnection, cluster_pipe},
};
use std::{
    error::Error,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How long a connection may take to come about.
const CONNECTING: Duration = Duration::from_secs(5);
/// How long a look-up may take.
const LOOKING: Duration = Duration::from_secs(2);
/// How long a step of publishing may take.
const PUBLISHING: Duration = Duration::from_secs(60);
/// Connections that are kept for the next look-up.
const IDLE: usize = 64;
/// Signals that a look-up outlives.
const SIGNALS: u32 = 8;

/// One connection: to a server, or to all of a cluster.
pub(super) enum Link {
    One(Box<Connection>),
    Cluster(Box<ClusterConnection>),
}

impl Link {
    /// Runs one command.
    pub(super) fn run<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::One(connection) => command.query(&mut **connection),
            Self::Cluster(connection) => command.query(&mut **connection),
        }
    }

    /// Runs commands, sent all at once; answers are in their order. In a cluster, each server gets its own.
    pub(super) fn run_all<T: FromRedisValue>(
        &mut self,
        commands: impl IntoIterator<Item = Cmd>,
    ) -> RedisResult<Vec<T>> {
        let commands = commands.into_iter();
        match self {
            Self::One(connection) => {
                let mut pipe = redis::Pipeline::with_capacity(commands.size_hint().0);
                commands.for_each(|command| _ = pipe.add_command(command));
                match pipe.is_empty() {
                    true => Ok(vec![]),
                    false => pipe.query(&mut **connection),
                }
            }
            Self::Cluster(connection) => {
                let mut pipe = cluster_pipe();
                commands.for_each(|command| _ = pipe.add_command(command));
                match pipe.cmd_iter().next() {
                    None => Ok(vec![]),
                    Some(_) => pipe.query(connection),
                }
            }
        }
    }

    fn wait(&self, patience: Duration) -> RedisResult<()> {
        match self {
            Self::One(connection) => {
                connection.set_read_timeout(Some(patience))?;
                connection.set_write_timeout(Some(patience))
            }
            Self::Cluster(connection) => {
                connection.set_read_timeout(Some(patience))?;
                connection.set_write_timeout(Some(patience))
            }
        }
    }
}

enum Servers {
    One(Box<Client>),
    Cluster(Box<ClusterClient>),
}

/// Connections, each used by one thread at a time and kept for the next: a look-up waits for nobody else's.
pub(super) struct Links {
    name: String,
    servers: Servers,
    idle: Mutex<Vec<Link>>,
}

impl Links {
    /// To the servers at an address; connects to none yet.
    pub(super) fn new(address: &Address) -> Result<Self, OnlineError> {
        let server = address.server.clone();
        // Of several that might be linked, one is to be named, unless the program has; redis would end it otherwise.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let failed = |e| explain(&address.shown, "use the address", &e);
        let servers = match address.cluster {
            true => {
                let builder = ClusterClient::builder([server]);
                let builder = builder.connection_timeout(CONNECTING);
                let builder = builder.response_timeout(LOOKING).retries(3);
                Servers::Cluster(Box::new(builder.build().map_err(failed)?))
            }
            false => Servers::One(Box::new(Client::open(server).map_err(failed)?)),
        };
        Ok(Self {
            name: address.shown.clone(),
            servers,
            idle: Mutex::default(),
        })
    }

    /// What messages call the servers.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn connect(&self, patience: Duration) -> RedisResult<Link> {
        let link = match &self.servers {
            Servers::One(client) => {
                let connection = client.get_connection_with_timeout(CONNECTING)?;
                Link::One(Box::new(connection))
            }
            Servers::Cluster(client) => Link::Cluster(Box::new(client.get_connection()?)),
        };
        link.wait(patience)?;
        Ok(link)
    }

    /// A connection for a publisher.
    pub(super) fn publisher(&self) -> Result<Link, OnlineError> {
        let link = self.connect(PUBLISHING);
        link.map_err(|e| self.explain("connect", &e))
    }

    /// Runs what may be run twice: a connection that has lain idle may have been cut off meanwhile, and one that a signal came
    /// to has lost its place; both are replaced.
    pub(super) fn with<T>(
        &self,
        what: &'static str,
        run: impl Fn(&mut Link) -> RedisResult<T>,
    ) -> Result<T, OnlineError> {
        let idle = self.idle().pop();
        if let Some(mut link) = idle {
            match run(&mut link) {
                Ok(value) => {
                    self.keep(link);
                    return Ok(value);
                }
                // The others are as old.
                Err(error) if is_cut_off(&error) => self.idle().clear(),
                Err(error) if is_interrupted(&error) => {}
                Err(error) => return Err(self.explain(what, &error)),
            }
        }
        let mut signals = 0;
        loop {
            let connected = self.connect(LOOKING);
            let mut link = connected.map_err(|e| self.explain("connect", &e))?;
            match run(&mut link) {
                Ok(value) => {
                    self.keep(link);
                    return Ok(value);
                }
                Err(error) if signals < SIGNALS && is_interrupted(&error) => signals += 1,
                Err(error) => return Err(self.explain(what, &error)),
            }
        }
    }

    /// An error in words.
    pub(super) fn explain(&self, what: &'static str, error: &RedisError) -> OnlineError {
        explain(&self.name, what, error)
    }

    /// Keeps a connection on which nothing is left to read.
    fn keep(&self, link: Link) {
        let mut idle = self.idle();
        if idle.len() < IDLE {
            idle.push(link);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Link>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a signal came while an answer was waited for. Those with a time limit are not gone on with by the system: a
/// server that is told to stop would fail one of the requests that it has begun.
fn is_interrupted(error: &RedisError) -> bool {
    let shared = error.source();
    let shared = shared.and_then(|e| e.downcast_ref::<Arc<dyn Error + Send + Sync>>());
    let inner = shared.and_then(|e| e.downcast_ref::<io::Error>());
    inner.is_some_and(|e| e.kind() == io::ErrorKind::Interrupted)
}

fn is_cut_off(error: &RedisError) -> bool {
    error.is_connection_dropped() || error.kind() == ErrorKind::ClusterConnectionNotFound
}
