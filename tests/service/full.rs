//! A disk that is full, and has space again.

use crate::{
    common::{
        config,
        disk::Disk,
        get, not_run, post,
        process::{self, Process},
        until,
    },
    setup::open,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_commands_loses_nothing_and_needs_nobody_when_there_is_space_again() {
    let directory = tempfile::tempdir().unwrap();
    let disk = match Disk::mount(&directory.path().join("disk"), "2m") {
        Ok(disk) => disk,
        Err(why) => return not_run(&format!("a full disk, since {why}")),
    };
    let url = format!("sqlite://{}", directory.path().join("disk/test.db").display());
    let service = || Process::start(disk.run(&process::service(directory.path(), "service::app::account", &config("test", &url))));
    let mut process = service();
    let addr = process.addr().await;
    let id = open(addr).await;
    let (account, deposits) = (format!("/accounts/{id}"), format!("/accounts/{id}/deposits"));
    let mut acknowledged = 0;
    let deposit = async |addr| post(addr, &deposits, r#"{"amount":1}"#).await;
    for _ in 0..20 {
        assert_eq!(deposit(addr).await.status, 200);
        acknowledged += 1;
    }

    disk.fill();
    let mut refused = 0;
    // What the file system had given before may hold some more.
    for _ in 0..500 {
        let answer = deposit(addr).await;
        if answer.status == 200 {
            assert_eq!(refused, 0, "there was space again, and nobody gave it");
            acknowledged += 1;
            continue;
        }
        assert!(answer.status == 503 && answer.head.contains("retry-after") && !answer.body.contains("disk"), "{answer:?}");
        assert_eq!(answer.json()["title"], "unavailable");
        refused += 1;
        if refused == 20 {
            break;
        }
    }
    assert_eq!(refused, 20, "the disk was not full");
    until("it is not ready", async || get(addr, "/health/ready").await.status == 503).await;
    process.says("the store is full: free some space on the disk of").await;
    assert_eq!(get(addr, "/health").await.status, 200, "it is alive");
    assert_eq!(get(addr, &account).await.json()["balance"], acknowledged, "it still answers questions");

    disk.free();
    until("it is ready by itself", async || get(addr, "/health/ready").await.status == 200).await;
    assert_eq!(deposit(addr).await.status, 200);
    acknowledged += 1;
    assert_eq!(get(addr, &account).await.json()["balance"], acknowledged);
    let handled = async |addr| get(addr, &format!("/statements/{id}")).await.json()["lines"].as_array().map(Vec::len);
    until("all events are handled", async || handled(addr).await == Some(acknowledged + 1)).await;

    // A start on a full disk tells it, or does without; with space again, everything is there.
    disk.fill();
    process.signal("TERM");
    assert_eq!(process.ended().await.code(), Some(0), "{:#?}", process.lines());
    disk.free();
    let process = service();
    let addr = process.addr().await;
    assert_eq!(get(addr, &account).await.json()["balance"], acknowledged);
    assert_eq!(handled(addr).await, Some(acknowledged + 1), "and nothing was handled twice");
    let events: Vec<_> = get(addr, &format!("/statements/{id}")).await.json()["lines"].as_array().unwrap().clone();
    assert!(events.iter().skip(1).zip(2..).all(|(line, version)| line == &format!("{version}: MoneyDeposited 1")), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_on_a_full_disk_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let disk = match Disk::mount(&directory.path().join("disk"), "1m") {
        Ok(disk) => disk,
        Err(why) => return not_run(&format!("the start on a full disk, since {why}")),
    };
    let url = format!("sqlite://{}", directory.path().join("disk/test.db").display());
    let service = || Process::start(disk.run(&process::service(directory.path(), "service::app::account", &config("test", &url))));
    disk.fill();
    let told = service().failure().await;
    assert!(told.starts_with("error: `test` cannot start: the store is full: free some space on the disk of /"), "{told}");
    disk.free();
    let process = service();
    open(process.addr().await).await;
}
