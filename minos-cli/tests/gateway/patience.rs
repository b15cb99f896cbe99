//! Requests that wait for services that are being started again: `upstream.patience`.

use crate::kit::*;
use minos_cli::gateway::{Gateway, GatewayConfig, RunningGateway};
use minos_runtime::discovery::Directory;
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::watch, time::sleep};

const ROUTES: &[(&str, &str)] = &[("GET", "/foos/{id}"), ("POST", "/foos")];
/// So long nobody is there.
const AWAY: Duration = Duration::from_millis(400);

/// What waits long.
const PATIENT: &str = "[upstream]\npatience = \"10s\"";

async fn patient(patience: &str) -> (RunningGateway, watch::Sender<Arc<Directory>>) {
    let (told, directory) = watch::channel(Arc::default());
    let config = GatewayConfig::parse(patience).unwrap();
    (Gateway::new(with_port(config)).directory(directory).start().await.unwrap(), told)
}

async fn post(addr: SocketAddr) -> Got {
    ask(addr, "POST", "/foos", &[], "a body").await
}

#[tokio::test]
async fn a_request_waits_until_services_are_told() {
    let (gateway, told) = patient(PATIENT).await;
    let begun = Instant::now();
    let asking = tokio::spawn(post(gateway.addr()));
    assert_eq!(get(gateway.addr(), "/health").await.status, 200);
    assert!(begun.elapsed() < AWAY, "what the gateway answers itself waits for nobody");
    sleep(AWAY).await;
    let upstream = Upstream::echo().await;
    told.send_replace(directory("1", vec![told_by(&upstream)]));
    let got = asking.await.unwrap();
    assert_eq!((got.status, &got.json()["body"]), (200, &"a body".into()), "{got:?}");
    assert!(begun.elapsed() >= AWAY);
}

#[tokio::test]
async fn it_waits_for_an_instance_that_comes_back_and_for_one_in_its_place() {
    let (gateway, told) = patient(PATIENT).await;
    let addr = gateway.addr();
    let before = Upstream::echo().await;
    let place = before.addr;
    told.send_replace(directory("1", vec![told_by(&before)]));
    assert_eq!(post(addr).await.status, 200);
    before.kill().await;
    // Nobody has told that it has gone.
    let asking = tokio::spawn(post(addr));
    sleep(AWAY).await;
    assert!(!asking.is_finished());
    let again = Upstream::on(place, echo).await;
    let got = asking.await.unwrap();
    assert_eq!((got.status, &got.json()["body"]), (200, &"a body".into()));
    assert_eq!(again.asked(), 1, "once, though it was tried more often");
    again.kill().await;
    let asking = tokio::spawn(post(addr));
    sleep(AWAY).await;
    let elsewhere = Upstream::echo().await;
    told.send_replace(directory("2", vec![told_by(&elsewhere)]));
    assert_eq!((asking.await.unwrap().status, elsewhere.asked()), (200, 1));
}

#[tokio::test]
async fn patience_has_an_end_and_there_is_none_unless_it_is_said() {
    for (patience, waited) in [("[upstream]\npatience = \"400ms\"", AWAY), ("", Duration::ZERO)] {
        let (gateway, told) = patient(patience).await;
        let begun = Instant::now();
        let got = post(gateway.addr()).await;
        // Who does not wait does not know that there will be somebody.
        let expected = if waited.is_zero() { (404, None) } else { (503, Some("1")) };
        assert_eq!((got.status, got.header("retry-after")), expected, "{patience}");
        assert!(begun.elapsed() >= waited && begun.elapsed() < waited + Duration::from_secs(5), "{patience}");
        let upstream = Upstream::echo().await;
        told.send_replace(directory("1", vec![told_by(&upstream)]));
        while gateway.routes().is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(get(gateway.addr(), "/bars").await.status, 404, "what nobody has is not waited for");
        upstream.kill().await;
        let begun = Instant::now();
        let got = post(gateway.addr()).await;
        assert!(got.status == 503 && got.header("retry-after").is_some(), "{patience}: {got:?}");
        assert!(begun.elapsed() >= waited && begun.elapsed() < waited + Duration::from_secs(5), "{patience}");
    }
}

fn told_by(upstream: &Upstream) -> minos_runtime::discovery::Instance {
    told("foo", upstream, ROUTES)
}
