//! A port, its connections, and how they end.

use crate::{Config, Log, OnDemand, ServeError, background, routes::router, shared::Shared};
use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
};
use ltv_online::Store;
use std::{
    future::Future,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::{Builder, Runtime},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// What a connection has to be encrypted and to send its first request.
const FIRST: Duration = Duration::from_secs(10);
/// What it may be silent between requests: longer than proxies keep connections, so that it is they who close one.
const IDLE: Duration = Duration::from_secs(75);
/// Threads that wait for the store or the model.
const WAITING: usize = 64;
/// What to wait for when the operating system has no more connections.
const SCARCE: Duration = Duration::from_millis(100);

/// A server that listens.
pub struct Server {
    runtime: Runtime,
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// How a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every request that had begun was answered.
    All,
    /// So many connections were cut.
    Cut(usize),
}

impl Server {
    /// Listens; connections wait until [`Server::run`]. Users are looked up in `store`, which need not hold
    /// anything yet; `model` predicts for those whom it does not know.
    ///
    /// # Errors
    /// When a setting is out of its range, everybody could ask, tokens or certificate cannot be used, or the address
    /// cannot be listened on.
    pub fn bind(
        config: Config,
        store: Arc<dyn Store>,
        model: Option<Arc<dyn OnDemand>>,
        log: Arc<dyn Log>,
    ) -> Result<Self, ServeError> {
        let address = config.address;
        let threads = config.threads;
        let shared = Arc::new(Shared::new(config, store, model, log)?);
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .max_blocking_threads(WAITING)
            .thread_name("ltv-serve")
            .enable_all()
            .build()
            .map_err(ServeError::internal)?;
        let _inside = runtime.enter();
        let refuse = |source| ServeError::Listen { address, source };
        let listener = listen(address).map_err(refuse)?;
        let address = listener.local_addr().map_err(refuse)?;
        drop(_inside);
        Ok(Self {
            runtime,
            listener,
            address,
            shared,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` comes; then accepts no more, and returns when all requests that had begun are answered,
    /// [`Config::drain`] is over, or `hurry` comes.
    pub fn run(self, stop: impl Future<Output = ()>, hurry: impl Future<Output = ()>) -> Drained {
        let Self {
            runtime,
            listener,
            shared,
            ..
        } = self;
        let drained = runtime.block_on(async {
            tokio::spawn(background::follow(shared.clone()));
            tokio::spawn(background::reload(shared.clone()));
            tokio::spawn(background::sample(shared.clone()));
            let running = GracefulShutdown::new();
            let seats = shared.config.limits.connections;
            let room = Arc::new(Semaphore::new(seats));
            let accepting = accept(&listener, &shared, &room, &running);
            tokio::select! {
                () = stop => {}
                () = accepting => {}
            }
            shared.stop();
            drop(listener);
            match drain(running, shared.config.drain, hurry).await {
                true => Drained::All,
                false => Drained::Cut(seats - room.available_permits()),
            }
        });
        // Whatever still waits for the store waits for nobody.
        runtime.shutdown_background();
        drained
    }
}

/// Comes when the process is asked to stop: by Ctrl-C or, where there is one, by SIGTERM. Where signals cannot be
/// heard, never.
pub async fn signalled() {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = interrupted => {}
        () = terminated() => {}
    }
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signals) => drop(signals.recv().await),
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A server that starts again need not wait for the connections of the one before.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Takes connections, each of which runs beside the others.
async fn accept(
    listener: &TcpListener,
    shared: &Arc<Shared>,
    room: &Arc<Semaphore>,
    running: &GracefulShutdown,
) {
    let router = router(shared.clone());
    let mut scarce = false;
    loop {
        // It is never closed.
        let Ok(seat) = room.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                scarce = false;
                let connection = Connection {
                    shared: shared.clone(),
                    router: router.clone(),
                    seat,
                };
                tokio::spawn(connection.run(stream, running.watcher()));
            }
            Err(error) if lost(&error) => {}
            Err(error) => {
                if !scarce {
                    let warning = format!("connections cannot be taken: {error}");
                    shared.log.warning(&warning);
                }
                scarce = true;
                sleep(SCARCE).await;
            }
        }
    }
}

/// Whether it was only this connection that failed.
fn lost(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted | Kind::ConnectionReset | Kind::ConnectionRefused
    )
}

/// Waits for what has begun; whether all of it came to its end.
async fn drain(
    running: GracefulShutdown,
    patience: Duration,
    hurry: impl Future<Output = ()>,
) -> bool {
    let ended = async { timeout(patience, running.shutdown()).await.is_ok() };
    tokio::select! {
        all = ended => all,
        () = hurry => false,
    }
}

/// One connection.
struct Connection {
    shared: Arc<Shared>,
    router: Router,
    seat: OwnedSemaphorePermit,
}

impl Connection {
    /// Runs to its end. What goes wrong with it is its client's affair.
    async fn run(self, stream: TcpStream, watcher: Watcher) {
        // Answers are small: none waits for more to send.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.shared.tls else {
            return self.serve(stream, watcher).await;
        };
        let encrypted = timeout(FIRST, tls.acceptor().accept(stream)).await;
        if let Ok(Ok(stream)) = encrypted {
            self.serve(stream, watcher).await;
        }
    }

    async fn serve<S>(self, stream: S, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { router, seat, .. } = self;
        let begun = Arc::new(AtomicBool::new(false));
        let asked = begun.clone();
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            asked.store(true, Ordering::Relaxed);
            tower::Service::call(&mut router.clone(), request)
        });
        let builder = protocols();
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(watcher.watch(connection));
        tokio::select! {
            _ = &mut connection => {}
            // A connection that says nothing holds a seat.
            () = sleep(FIRST) => {
                if begun.load(Ordering::Relaxed) {
                    let _ = connection.await;
                }
            }
        }
        drop(seat);
    }
}

/// What is fuzzed of a connection.
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex, split};

    /// Bytes that wait on either side: more than any input, and than its answers.
    const ROOM: usize = 1 << 24;

    /// All that comes back over a connection over which `data` is sent, and then no more.
    pub(crate) async fn serve(shared: Arc<Shared>, router: Router, data: &[u8]) -> Vec<u8> {
        let (client, server) = duplex(ROOM);
        let room = Arc::new(Semaphore::new(1));
        let seat = room.acquire_owned().await.expect("it is not closed");
        let connection = Connection {
            shared,
            router,
            seat,
        };
        let running = GracefulShutdown::new();
        let (mut reader, mut writer) = split(client);
        let mut sent = vec![];
        let ask = async {
            // A server that has heard enough ends the connection before.
            let _ = writer.write_all(data).await;
            let _ = writer.shutdown().await;
            let _ = reader.read_to_end(&mut sent).await;
        };
        tokio::join!(ask, connection.serve(server, running.watcher()));
        sent
    }

    /// The statuses of the answers of HTTP/1 in what came back.
    pub(crate) fn answers(sent: &[u8]) -> Vec<u16> {
        let text = String::from_utf8_lossy(sent);
        let heads = text.split("HTTP/1.").skip(1);
        heads
            .filter_map(|head| head.get(2..5)?.parse().ok())
            .collect()
    }
}

/// HTTP/1.1 and HTTP/2, whichever a client speaks.
fn protocols() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(IDLE)
        .keep_alive_timeout(FIRST);
    builder
}
