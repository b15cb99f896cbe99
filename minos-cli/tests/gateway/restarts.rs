//! Services of Minos that are restarted one after the other, under load.

use crate::kit::*;
use minos::prelude::*;
use serde_json::json;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

#[query(GET "/things/{id}")]
async fn thing(Path(id): Path<u64>) -> Result<u64> {
    Ok(id)
}

#[derive(Deserialize)]
struct MakeThing {
    n: u64,
}

#[command(POST "/things")]
async fn make_thing(input: MakeThing) -> Result<u64> {
    Ok(input.n)
}

async fn instance(addr: SocketAddr) -> minos::Running {
    let text = format!("[service]\nname = \"things\"\n[http]\naddr = \"{addr}\"\n[store]\nurl = \"memory:\"\n[log]\nlevel = \"error\"");
    Service::from_toml(&text).unwrap().module(module_path!()).start().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rolling_restart_costs_nobody_a_request() {
    let any = "127.0.0.1:0".parse().unwrap();
    let mut instances = [Some(instance(any).await), Some(instance(any).await)];
    let addrs: Vec<SocketAddr> = instances.iter().flatten().map(minos::Running::addr).collect();
    let text = format!(
        "[services.things]\nurls = [\"http://{}\", \"http://{}\"]\nroutes = [\"GET /things/{{id}}\", \"POST /things\"]",
        addrs[0], addrs[1]
    );
    let gateway = gateway(&text).await;
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut clients = Vec::new();
    for n in 0..24_u64 {
        let (addr, over, done) = (gateway.addr(), over.clone(), done.clone());
        clients.push(tokio::spawn(async move {
            let (mut client, mut failed) = (Client::new(addr), Vec::new());
            while !over.load(SeqCst) {
                let asked = if n % 2 == 0 {
                    request("GET", &format!("/things/{n}"), &[], "")
                } else {
                    request("POST", "/things", &[], json!({ "n": n }).to_string())
                };
                match client.send(asked).await {
                    Ok(got) if got.status == 200 && got.json() == n => drop(done.fetch_add(1, SeqCst)),
                    other => failed.push(format!("{other:?}")),
                }
            }
            failed
        }));
    }
    for round in 0..8 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let which = round % 2;
        instances[which].take().unwrap().stop().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        instances[which] = Some(instance(addrs[which]).await);
    }
    over.store(true, SeqCst);
    let mut failed = Vec::new();
    for client in clients {
        failed.extend(client.await.unwrap());
    }
    assert!(failed.is_empty(), "{} of {}: {:#?}", failed.len(), done.load(SeqCst), &failed[..failed.len().min(5)]);
    assert!(done.load(SeqCst) > 500, "there was load: {}", done.load(SeqCst));
    gateway.stop().await;
    for instance in instances.into_iter().flatten() {
        instance.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_told_to_stop_answers_what_it_has_begun() {
    let upstream = Upstream::new(async |request| {
        tokio::time::sleep(Duration::from_millis(300)).await;
        echo(request).await
    })
    .await;
    let gateway = gateway(&service(&[&upstream], "\"GET /foos\"")).await;
    let addr = gateway.addr();
    let asking = tokio::spawn(async move { get(addr, "/foos").await.status });
    while upstream.asked() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    gateway.stop().await;
    assert_eq!(asking.await.unwrap(), 200);
    assert!(tokio::net::TcpStream::connect(addr).await.is_err(), "and takes nothing new");
}
