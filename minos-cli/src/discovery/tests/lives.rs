//! Instances that die, hang and come back, and the registry's own end and beginning.

use super::kit::{Living, asks, ids, registry, settings, until};
use crate::discovery::{RegistrySettings, start};
use minos::{
    config::DiscoveryConfig,
    discovery::{Discovery, Services, client},
};
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tokio::{net::TcpListener, time::Instant};

#[tokio::test]
async fn who_dies_without_a_word_is_gone_in_seconds() {
    let server = registry().await;
    let registry = asks(&server.url());
    let (dying, living) = (Living::new().await, Living::new().await);
    for (living, id) in [(&dying, "dying"), (&living, "living")] {
        registry.announce(living.instance("order", id)).await.unwrap();
    }
    until(&registry, "order", &["dying", "living"]).await;
    let last = dying.instance("order", "dying");
    dying.dies().await;
    let took = until(&registry, "order", &["living"]).await;
    assert!(took < Duration::from_secs(3), "{took:?}");
    // Its last word came late, and changes nothing.
    registry.announce(last).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(ids(&registry, "order").await, ["living"]);
    server.stop().await;
}

#[tokio::test]
async fn who_says_that_it_is_not_ready_is_out_until_it_is() {
    let server = registry().await;
    let registry = asks(&server.url());
    let living = Living::new().await;
    living.is_ready(false);
    registry.announce(living.instance("order", "a")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(ids(&registry, "order").await.is_empty());
    let seen: Value =
        serde_json::from_str(&client().unwrap().get(format!("{}/services", server.url())).send().await.unwrap().text().await.unwrap())
            .unwrap();
    assert_eq!((&seen[0]["service"], &seen[0]["handed_out"]), (&"order".into(), &false.into()), "{seen}");
    assert_eq!(seen[0]["why"], "it answers 503 when asked whether it is ready");
    living.is_ready(true);
    until(&registry, "order", &["a"]).await;
    living.is_ready(false);
    assert!(until(&registry, "order", &[]).await < Duration::from_secs(3));
    server.stop().await;
}

#[tokio::test]
async fn who_hangs_is_gone_in_seconds() {
    let server = registry().await;
    let registry = asks(&server.url());
    let living = Living::new().await;
    registry.announce(living.instance("order", "a")).await.unwrap();
    until(&registry, "order", &["a"]).await;
    let addr = living.dies().await;
    // Somebody accepts there, or at least the system does, and nobody answers.
    let _silent = TcpListener::bind(addr).await.unwrap();
    let took = until(&registry, "order", &[]).await;
    assert!(took > Duration::from_secs(1) && took < Duration::from_secs(5), "{took:?}");
    server.stop().await;
}

#[tokio::test]
async fn who_is_not_heard_of_is_forgotten_though_it_answers() {
    let server = start(RegistrySettings { ttl: Duration::from_secs(1), ..settings() }).await.unwrap();
    let registry = minos::discovery::Registry::new(&server.url(), "".into(), Duration::from_millis(300)).unwrap();
    let living = Living::new().await;
    registry.announce(living.instance("order", "a")).await.unwrap();
    until(&registry, "order", &["a"]).await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        registry.announce(living.instance("order", "a")).await.unwrap();
        assert_eq!(ids(&registry, "order").await, ["a"]);
    }
    until(&registry, "order", &[]).await;
    server.stop().await;
}

#[tokio::test]
async fn what_a_restarted_registry_knew_it_still_knows() {
    let directory = tempfile::tempdir().unwrap();
    let settings = RegistrySettings { store: format!("sqlite://{}", directory.path().join("d.db").display()), ..settings() };
    let server = start(settings.clone()).await.unwrap();
    let (living, gone) = (Living::new().await, Living::new().await);
    let registry = asks(&server.url());
    registry.announce(living.instance("order", "living")).await.unwrap();
    registry.announce(gone.instance("order", "gone")).await.unwrap();
    registry.announce(gone.instance("stock", "withdrawn")).await.unwrap();
    until(&registry, "order", &["living"]).await;
    registry.withdraw(gone.instance("stock", "withdrawn")).await.unwrap();
    registry.announce(gone.instance("order", "gone")).await.unwrap();
    until(&registry, "order", &["gone", "living"]).await;
    server.stop().await;
    gone.dies().await;
    let server = start(settings).await.unwrap();
    let registry = asks(&server.url());
    until(&registry, "order", &["living"]).await;
    let listing = registry.directory(None).await.unwrap();
    assert!(listing.warming, "others may have come meanwhile");
    assert_eq!(listing.directory.instances.len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_registry_that_comes_back_empty_takes_nothing_away() {
    let server = start(RegistrySettings { ttl: Duration::from_secs(3), ..settings() }).await.unwrap();
    let (addr, living) = (server.addr(), Living::new().await);
    let registry = asks(&server.url());
    registry.announce(living.instance("order", "a")).await.unwrap();
    until(&registry, "order", &["a"]).await;
    let services = Services::open(&DiscoveryConfig::at(server.url())).unwrap();
    let mut known = services.watch();
    known.wait_for(|known| known.instances.len() == 1).await.unwrap();
    server.stop().await;
    let server = start(RegistrySettings { addr, ttl: Duration::from_secs(3), ..settings() }).await.unwrap();
    let end = Instant::now() + Duration::from_secs(6);
    while Instant::now() < end {
        assert_eq!(services.instances("order").await.len(), 1, "neither while it is warming nor behind that");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(services.failing(), None, "it does answer");
    server.stop().await;
}

#[tokio::test]
async fn who_waits_for_news_is_not_kept_at_the_end() {
    let server = registry().await;
    let registry = Arc::new(asks(&server.url()));
    let known = registry.directory(None).await.unwrap().directory.revision;
    let waiting = tokio::spawn({
        let registry = registry.clone();
        async move { registry.directory(Some(&known)).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let began = Instant::now();
    server.stop().await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(waiting.await.unwrap().is_ok());
}
