//! Two registries on one PostgreSQL.

use super::kit::{Living, asks, ids, settings, until};
use crate::discovery::{RegistryServer, RegistrySettings, start};
use minos::discovery::Discovery;
use std::{
    io::Write,
    time::{Duration, SystemTime},
};

/// Two of them, if there is a PostgreSQL here.
async fn two(ttl: Duration) -> Option<[RegistryServer; 2]> {
    let Ok(url) = std::env::var("MINOS_TEST_POSTGRES_URL") else {
        assert!(std::env::var_os("CI").is_none(), "CI has to have a PostgreSQL");
        let _ = writeln!(std::io::stderr(), "\nNOT RUN: two registries, because MINOS_TEST_POSTGRES_URL is not set\n");
        return None;
    };
    let database = database(&url).await;
    let settings = RegistrySettings { store: database, ttl, ..settings() };
    Some([start(settings.clone()).await.unwrap(), start(settings).await.unwrap()])
}

/// A database of the test's own.
async fn database(url: &str) -> String {
    let name = format!("registry_{}", SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos());
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(&format!("create database {name}")).await.unwrap();
    let (server, query) = url.split_once('?').map_or((url, String::new()), |(server, query)| (server, format!("?{query}")));
    let (server, _) = server.rsplit_once('/').unwrap();
    format!("{server}/{name}{query}")
}

#[tokio::test]
async fn what_one_has_heard_the_other_knows() {
    let Some([one, other]) = two(Duration::from_secs(15)).await else { return };
    let (a, b) = (asks(&one.url()), asks(&other.url()));
    let living = Living::new().await;
    a.announce(living.instance("order", "x")).await.unwrap();
    until(&a, "order", &["x"]).await;
    until(&b, "order", &["x"]).await;
    b.withdraw(living.instance("order", "x")).await.unwrap();
    assert!(until(&a, "order", &[]).await < Duration::from_secs(4));
    a.announce(living.instance("order", "x")).await.unwrap();
    until(&b, "order", &["x"]).await;
    living.dies().await;
    assert!(until(&b, "order", &[]).await < Duration::from_secs(4), "each looks itself");
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn who_is_heard_of_at_one_is_kept_by_both_and_goes_on_when_that_one_ends() {
    let Some([one, other]) = two(Duration::from_secs(2)).await else { return };
    let both = minos::discovery::Registry::new(&format!("{},{}", one.url(), other.url()), "".into(), Duration::from_millis(400)).unwrap();
    let (b, living) = (asks(&other.url()), Living::new().await);
    both.announce(living.instance("order", "x")).await.unwrap();
    until(&b, "order", &["x"]).await;
    for _ in 0..15 {
        both.announce(living.instance("order", "x")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert_eq!(ids(&b, "order").await, ["x"], "it was heard of elsewhere");
    }
    one.stop().await;
    for _ in 0..10 {
        both.announce(living.instance("order", "x")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert_eq!(ids(&both, "order").await, ["x"]);
    }
    until(&b, "order", &[]).await;
    other.stop().await;
}
