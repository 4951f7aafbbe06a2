//! What goes on beside requests: which version is live, whether tokens, certificate or model have changed, and how many
//! requests there were.

use crate::{shared::Shared, traffic::STEP};
use std::{sync::Arc, time::Duration};
use tokio::{
    task::spawn_blocking,
    time::{MissedTickBehavior, interval},
};

/// How often files are looked at.
const FILES: Duration = Duration::from_millis(500);

/// Asks the store again and again which version is live.
pub(crate) async fn follow(shared: Arc<Shared>) {
    let mut ticks = interval(shared.config.refresh);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failure = None;
    loop {
        ticks.tick().await;
        let asked = shared.clone();
        failure = spawn_blocking(move || refresh(&asked, failure))
            .await
            .unwrap_or_else(|e| Some(e.to_string()));
    }
}

/// Asks once. What failed, which is warned of when it was not what failed `before`.
fn refresh(shared: &Shared, before: Option<String>) -> Option<String> {
    match shared.store.refresh() {
        Ok(changed) => {
            shared.metrics.refreshed();
            if changed {
                shared.metrics.changed();
            }
            if let (true, Some(version)) = (changed, shared.store.live()) {
                let (id, rows) = (&version.id, version.rows);
                let note = format!("version {id} is live here, with {rows} users");
                shared.log.note(&note);
            }
            if before.is_some() {
                shared.log.note("the store can be read again");
            }
            None
        }
        Err(error) => {
            shared.metrics.refresh_failed();
            let failure = error.to_string();
            if before.as_ref() != Some(&failure) {
                let on = match shared.store.live() {
                    Some(version) => format!("answers go on from version {}", version.id),
                    None => "there is nothing to answer from yet".to_owned(),
                };
                shared.log.warning(&format!("{failure}; {on}"));
            }
            Some(failure)
        }
    }
}

/// Keeps counts of requests again and again, from which the last minutes are told.
pub(crate) async fn sample(shared: Arc<Shared>) {
    let mut ticks = interval(STEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first comes at once, and there is a sample of the start.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        shared.metrics.sample();
    }
}

/// Reads tokens, certificate and model again when they have changed.
pub(crate) async fn reload(shared: Arc<Shared>) {
    let mut ticks = interval(FILES);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let asked = shared.clone();
        let looked = spawn_blocking(move || {
            let log = &*asked.log;
            if asked.tokens.as_ref().is_some_and(|t| !t.reload(log)) {
                asked.metrics.reload_failed("tokens");
            }
            if !asked.desk.reload(log) {
                asked.metrics.reload_failed("model");
            }
            if asked.tls.as_ref().is_some_and(|t| !t.reload(log)) {
                asked.metrics.reload_failed("certificate");
            }
        });
        if let Err(error) = looked.await {
            shared
                .log
                .warning(&format!("files were not looked at: {error}"));
        }
    }
}
