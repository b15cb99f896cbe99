//! Services on every store.

use crate::common::{config, get, not_run, post, send, until};
use minos::{Running, prelude::*};
use std::{net::SocketAddr, path::Path};

/// A store of a test's own, and what is left of it when the service has stopped.
pub struct Place {
    pub url: String,
    _directory: Option<tempfile::TempDir>,
}

/// One of each kind, those first that are here.
pub fn places(test: &str) -> Vec<Place> {
    let mut places = vec![Place { url: "memory:".to_owned(), _directory: None }];
    let directory = tempfile::tempdir().unwrap();
    places.push(Place { url: sqlite(directory.path()), _directory: Some(directory) });
    if cfg!(feature = "postgres") {
        match std::env::var("MINOS_TEST_POSTGRES_URL") {
            Ok(url) => {
                places.push(Place { url: database(&url), _directory: None });
            }
            Err(_) => {
                assert!(std::env::var_os("CI").is_none(), "`MINOS_TEST_POSTGRES_URL` is not set: CI has to run `{test}` on it");
                not_run(&format!("`{test}` on PostgreSQL: `scripts/services up` starts one, `scripts/services env` names it"));
            }
        }
    }
    places
}

/// A new database on this server: tables of the user's are in no schema of Minos'.
#[cfg(feature = "postgres")]
fn database(url: &str) -> String {
    let name = format!("views_{}", Uuid::now_v7().simple());
    let (url, name) = (url.to_owned(), name);
    let make = async move {
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.execute(&format!("CREATE DATABASE {name}"), &[]).await.unwrap();
        drop(client);
        connection.await.unwrap().unwrap();
        let (head, rest) = url.rsplit_once('/').unwrap();
        let parameters = rest.split_once('?').map_or(String::new(), |(_, parameters)| format!("?{parameters}"));
        format!("{head}/{name}{parameters}")
    };
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(make);
    std::thread::scope(|scope| scope.spawn(run).join().unwrap())
}

#[cfg(not(feature = "postgres"))]
fn database(_: &str) -> String {
    unreachable!("there is no PostgreSQL in this build")
}

/// Those that have SQL.
pub fn databases(test: &str) -> Vec<Place> {
    places(test).into_iter().filter(|place| place.url != "memory:").collect()
}

fn sqlite(directory: &Path) -> String {
    format!("sqlite://{}", directory.join("views.db").display())
}

pub async fn start(place: &Place) -> (Running, SocketAddr) {
    start_module(place, "bank").await
}

pub async fn start_module(place: &Place, module: &str) -> (Running, SocketAddr) {
    let running = service(place, module).start().await.unwrap();
    let addr = running.addr();
    (running, addr)
}

pub fn service(place: &Place, module: &str) -> Service {
    Service::from_toml(&config("views", &place.url)).unwrap().module(format!("views::{module}"))
}

pub async fn open(addr: SocketAddr, owner: &str, cents: i64) -> String {
    let answer = post(addr, "/accounts", &format!(r#"{{"owner":"{owner}","cents":{cents}}}"#)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json().as_str().unwrap().to_owned()
}

pub async fn change(addr: SocketAddr, account: &str, cents: i64) {
    let answer = send(addr, "PUT", &format!("/accounts/{account}/cents"), "", &cents.to_string()).await.unwrap();
    assert_eq!(answer.status, 204, "{answer:?}");
}

/// The owners and cents of all balances.
pub async fn balances(addr: SocketAddr) -> Vec<(String, i64)> {
    let all = get(addr, "/balances").await.json();
    all.as_array().unwrap().iter().map(|one| (one["owner"].as_str().unwrap().to_owned(), one["cents"].as_i64().unwrap())).collect()
}

/// Waits until the balances are these.
pub async fn until_balances(addr: SocketAddr, wanted: &[(&str, i64)]) {
    let wanted: Vec<_> = wanted.iter().map(|(owner, cents)| ((*owner).to_owned(), *cents)).collect();
    until(&format!("{wanted:?}"), async || balances(addr).await == wanted).await;
}

/// Waits until the read model shows all that was answered before: of an event that comes behind it, it is known where it is in the log.
pub async fn until_shown(addr: SocketAddr, accounts: &str) {
    let answer = post(addr, accounts, r#"{"owner":"last","cents":0}"#).await;
    let account = answer.json().as_str().unwrap().to_owned();
    let shown = send(addr, "PUT", &format!("{accounts}/{account}/shown"), "", "1").await.unwrap();
    assert!(shown.status == 204 && !shown.head.contains("minos-not-shown-in"), "{shown:?}");
}
