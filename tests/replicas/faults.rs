//! One fault after the other, under load.

use crate::{
    cluster::{Clients, Cluster},
    common::{self, until},
    invariants,
};
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

/// Waits until clients are answered again; how long that took.
async fn answered_again(clients: &Clients) -> Duration {
    let (since, before) = (Instant::now(), clients.answered.load(Ordering::Relaxed));
    until("clients are answered again", async || clients.answered.load(Ordering::Relaxed) > before + 10).await;
    since.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn fifty_kills_of_processes() {
    const KILLS: usize = 50;
    let Some(mut cluster) = Cluster::start("fifty_kills_of_processes", 2).await else { return };
    let clients = Clients::start(&cluster, 8);
    for kill in 0..KILLS {
        pause(100 + (kill as u64 * 97) % 500).await;
        let n = kill % cluster.len();
        cluster.kill(n);
        answered_again(&clients).await;
        cluster.begin(n);
        // Every tenth time both are down for a moment.
        if kill % 10 == 9 {
            cluster.kill(1 - n);
            cluster.begin(1 - n);
        }
        cluster.answers(n).await;
    }
    let acknowledged = clients.stop().await;
    cluster.answers(0).await;
    cluster.answers(1).await;
    assert!(acknowledged.len() > KILLS * 10, "there was no load: {}", acknowledged.len());
    invariants::hold(&cluster, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn f22_postgres_restarts_under_load() {
    let Some(cluster) = Cluster::start("f22_postgres_restarts_under_load", 2).await else { return };
    let clients = Clients::start(&cluster, 8);
    for how in ["fast", "immediate", "kill"].repeat(3) {
        answered_again(&clients).await;
        pause(300).await;
        cluster.servers.run(&["stop", "postgres", how]);
        until("readiness says so", async || common::get(cluster.addr(0), "/health/ready").await.status == 503).await;
        cluster.servers.run(&["start", "postgres"]);
        let took = answered_again(&clients).await;
        assert!(took < Duration::from_secs(5), "after `{how}` it took {took:?} until clients were answered");
    }
    until("both are ready", async || {
        common::get(cluster.addr(0), "/health/ready").await.status == 200
            && common::get(cluster.addr(1), "/health/ready").await.status == 200
    })
    .await;
    let acknowledged = clients.stop().await;
    invariants::hold(&cluster, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn f26_kafka_restarts_under_load() {
    let Some(cluster) = Cluster::start("f26_kafka_restarts_under_load", 2).await else { return };
    let clients = Clients::start(&cluster, 4);
    for how in ["fast", "kill"].repeat(2) {
        pause(500).await;
        cluster.servers.run(&["stop", "kafka", how]);
        // Commands go on: they are acknowledged by the store.
        let took = answered_again(&clients).await;
        assert!(took < Duration::from_secs(2), "without the broker it took {took:?} until clients were answered");
        until("it is told that the broker is down", async || {
            let ready = common::get(cluster.addr(0), "/health/ready").await;
            assert_eq!(ready.status, 200, "the service is ready without the broker: {ready:?}");
            ready.json()["parts"]["broker"]["works"] == false
        })
        .await;
        cluster.servers.run(&["start", "kafka"]);
    }
    let acknowledged = clients.stop().await;
    invariants::hold(&cluster, &acknowledged).await;
}

/// F17 and F28: a process that stands still is a zombie when it goes on, as the one that relays and as a member of the group.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn f28_a_process_stands_still_beyond_its_lease() {
    let Some(cluster) = Cluster::start("f28_a_process_stands_still_beyond_its_lease", 2).await else { return };
    let clients = Clients::start(&cluster, 4);
    let leads = async |n: usize| common::get(cluster.addr(n), "/metrics").await.body.contains("minos_relay_leads{service=\"orders\"} 1");
    for _ in 0..2 {
        pause(1000).await;
        let leader = usize::from(!leads(0).await);
        cluster.process(leader).signal("STOP");
        until("the other one takes over", async || leads(1 - leader).await).await;
        // Longer than the session of the group, too.
        pause(8000).await;
        cluster.process(leader).signal("CONT");
        until("the zombie has noticed", async || !leads(leader).await).await;
    }
    let acknowledged = clients.stop().await;
    invariants::hold(&cluster, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn one_of_two_is_gone_and_the_other_takes_over() {
    let Some(mut cluster) = Cluster::start("one_of_two_is_gone_and_the_other_takes_over", 2).await else { return };
    let clients = Clients::start(&cluster, 4);
    pause(2000).await;
    cluster.kill(0);
    let killed = Instant::now();
    let acknowledged = clients.stop().await;
    // What was under way is handled by the other one, as soon as it has the relay and the partitions.
    invariants::hold(&cluster, &acknowledged).await;
    assert!(killed.elapsed() < Duration::from_secs(10), "it took {:?}", killed.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn answers_come_back_to_whoever_asked() {
    let Some(cluster) = Cluster::start("answers_come_back_to_whoever_asked", 2).await else { return };
    let order = common::post(cluster.addr(0), "/orders", r#"{"item":"x"}"#).await.json().as_str().unwrap().to_owned();
    let path = format!("/orders/{order}/rank");
    let asked: Vec<_> = (0..40)
        .map(|n| {
            let (addr, path) = (cluster.addr(n % 2), path.clone());
            tokio::spawn(async move { common::get(addr, &path).await })
        })
        .collect();
    for answer in asked {
        let answer = answer.await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, "1"), "{answer:?}");
    }
}

/// Where the database is not the limit: handlers that wait for something else, eight at once in each process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn two_processes_handle_more_than_one() {
    const CHORES: usize = 3000;
    let mut took = Vec::new();
    for replicas in [1, 2] {
        let Some(cluster) = Cluster::start("two_processes_handle_more_than_one", replicas).await else { return };
        // The work is there before it is measured.
        let store = cluster.store().await;
        for _ in 0..CHORES / 300 {
            assert_eq!(common::post(cluster.addr(0), "/chores", "300").await.status, 204);
        }
        let since = Instant::now();
        let done = invariants::count(&store, "chore").await;
        invariants::reaches(&store, "chore", CHORES).await;
        took.push(since.elapsed().as_secs_f64() / (CHORES - done) as f64);
        store.close().await;
    }
    let speedup = took[0] / took[1];
    eprintln!("two processes handle {speedup:.2} times as much as one");
    assert!(speedup > 1.5, "{speedup}");
}
