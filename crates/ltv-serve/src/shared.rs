//! What all requests of a server share.

use crate::{
    Config, Log, OnDemand, ServeError, desk::Desk, guard::Ids, metrics::Metrics, tls::Tls,
    tokens::Tokens,
};
use ltv_online::Store;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::sync::Semaphore;

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) desk: Desk,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) tokens: Option<Tokens>,
    pub(crate) tls: Option<Tls>,
    /// One permit for each request at work.
    pub(crate) room: Arc<Semaphore>,
    pub(crate) ids: Ids,
    stopping: AtomicBool,
}

impl Shared {
    pub(crate) fn new(
        config: Config,
        store: Arc<dyn Store>,
        model: Option<Arc<dyn OnDemand>>,
        log: Arc<dyn Log>,
    ) -> Result<Self, ServeError> {
        config.check()?;
        let tokens = config.tokens.as_deref().map(Tokens::open).transpose()?;
        let tls = config.tls.as_ref().map(Tls::open).transpose()?;
        let metrics = Arc::new(Metrics::new(store.clone()));
        let fallback = config.fallback.clone();
        Ok(Self {
            desk: Desk::new(store.clone(), model, fallback, metrics.clone()),
            room: Arc::new(Semaphore::new(config.limits.requests)),
            ids: Ids::new(config.address),
            stopping: AtomicBool::new(false),
            config,
            store,
            log,
            metrics,
            tokens,
            tls,
        })
    }

    /// From now on the server is not ready.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// Whether it is about to end.
    pub(crate) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}
