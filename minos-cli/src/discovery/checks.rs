//! The loops of the registry: asking instances, removing who is late, and reading what others of the same store have heard.

use super::server::Shared;
use minos::discovery::{Readiness, readiness};
use reqwest::Client;
use std::{sync::Arc, time::Duration};
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};

/// How often it is looked who is to be asked.
const LOOK: Duration = Duration::from_millis(50);
/// How many are asked at once.
const AT_ONCE: usize = 256;
/// How often it is looked who is late.
const SWEEP: Duration = Duration::from_millis(250);
/// How often a shared store is read.
const READ: Duration = Duration::from_secs(1);
/// For how long what was read from it tells who is heard of.
const READ_COUNTS: Duration = Duration::from_secs(3);

/// Asks instances whether they are ready. Nothing is asked but that, at the address that was announced, and nobody is followed to another place.
pub(super) async fn check(shared: Arc<Shared>, client: Client, patience: Duration) {
    let (places, mut asked) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    loop {
        while asked.try_join_next().is_some() {}
        for (name, url) in shared.register().due(places.available_permits(), Instant::now()) {
            let Ok(place) = places.clone().try_acquire_owned() else { break };
            let (shared, client) = (shared.clone(), client.clone());
            asked.spawn(async move {
                let answer: Readiness = readiness(&client, &url, patience).await;
                shared.register().checked(&name, &url, answer, Instant::now());
                shared.published.changed();
                drop(place);
            });
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Removes who was not heard of for too long.
pub(super) async fn sweep(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let now = Instant::now();
        if shared.is_shared && now.duration_since(shared.read_at()) > READ_COUNTS {
            // Others may have heard of anybody.
            shared.register().excuse(now);
            continue;
        }
        let expired = shared.register().sweep(SWEEP, now);
        if expired.is_empty() {
            continue;
        }
        shared.published.changed();
        for (name, version) in expired {
            tracing::warn!(instance = %name, "was not heard of, and is forgotten");
            // A version that only this process has written is not known here, and nobody else has heard of it then.
            if let Err(error) = shared.records.expire(&name, version.filter(|_| shared.is_shared)).await {
                tracing::warn!(instance = %name, %error, "its record could not be removed; it is after the next start");
            }
        }
    }
}

/// Reads what others of the same store have heard.
pub(super) async fn read(shared: Arc<Shared>) {
    let mut failing = false;
    loop {
        tokio::time::sleep(READ).await;
        match tokio::time::timeout(READ_COUNTS, shared.read()).await {
            Ok(Ok(())) => {
                if std::mem::take(&mut failing) {
                    tracing::info!("the store answers again");
                }
            }
            Ok(Err(error)) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::error!(%error, "what others have heard is not known; nobody is forgotten meanwhile");
                }
            }
            Err(_) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::error!("the store does not answer in time; nobody is forgotten meanwhile");
                }
            }
        }
    }
}
