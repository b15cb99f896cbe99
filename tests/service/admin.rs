//! The operator's API.

use crate::{
    common::{get, post, raw, send, until},
    http2::{connect, try_send_to},
    setup::{Bug, Calls, service_with},
};
use std::sync::atomic::Ordering;

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_lists_shows_replays_and_discards() {
    let bug = Bug::default();
    let with_admin = |config: &str| format!("{config}\n[admin]\naddr = \"127.0.0.1:0\"");
    let running = service_with("memory:", "trouble", &Calls::default(), with_admin).with(bug.clone()).start().await.unwrap();
    let (addr, admin) = (running.addr(), running.admin_addr().unwrap());
    assert_eq!(get(admin, "/dead-letters").await.body, "[]");
    post(addr, "/jobs", r#"{"mood":"blocks"}"#).await;
    post(addr, "/jobs", r#"{"mood":"refuses"}"#).await;
    until("both are put aside", async || get(admin, "/dead-letters").await.json().as_array().unwrap().len() == 2).await;
    let list = get(admin, "/dead-letters").await.json();
    let of = |cause: &str| list.as_array().unwrap().iter().find(|letter| letter["cause"] == cause).unwrap()["id"].clone();
    let (blocked, refused) = (of("a bug"), of("never"));
    assert_eq!(get(admin, "/dead-letters?limit=1").await.json().as_array().unwrap().len(), 1);
    let letter = get(admin, &format!("/dead-letters/{blocked}")).await.json();
    assert_eq!((&letter["topic"], &letter["content"], &letter["attempts"]), (&"Job".into(), &r#"{"mood":"blocks"}"#.into(), &1.into()));
    assert_eq!(letter["headers"]["name"], "JobCreated");

    let metrics = get(addr, "/metrics").await;
    assert!(metrics.head.contains("application/openmetrics-text"), "{metrics:?}");
    for line in
        [r#"minos_parked_keys{service="test"} 2"#, r#"minos_dead_letters_total{service="test"} 2"#, r#"route="/jobs",status="200"} 2"#]
    {
        assert!(metrics.body.contains(line), "{line} is not in {}", metrics.body);
    }

    let replay = format!("/dead-letters/{blocked}/replay");
    assert_eq!(send(admin, "PUT", &replay, "", "").await.unwrap().status, 422, "the bug is still there");
    bug.fixed.store(true, Ordering::SeqCst);
    assert_eq!(send(admin, "PUT", &replay, "", "").await.unwrap().json()["handled"], 1);
    assert_eq!(send(admin, "PUT", &replay, "", "").await.unwrap().status, 404);
    let discarded = format!("/dead-letters/{refused}");
    assert_eq!(send(admin, "DELETE", &discarded, "", "").await.unwrap().json()["discarded"], 1);
    assert_eq!(get(admin, &discarded).await.status, 404);
    assert_eq!(get(admin, "/dead-letters").await.body, "[]");
    assert_eq!(post(admin, &replay, "").await.status, 405, "what a page of another site could send");
    assert_eq!(get(addr, "/dead-letters").await.status, 404, "it is not where the public is");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_at_this_machine_is_not_open_to_pages_from_elsewhere() {
    let with_admin = |config: &str| format!("{config}\n[admin]\naddr = \"127.0.0.1:0\"");
    let running = service_with("memory:", "trouble", &Calls::default(), with_admin).start().await.unwrap();
    let (addr, admin) = (running.addr(), running.admin_addr().unwrap());
    let ask = async |addr, line: &str, hosts: &[&str]| {
        let hosts: String = hosts.iter().map(|host| format!("host: {host}\r\n")).collect();
        raw(addr, format!("{line}\r\n{hosts}connection: close\r\n\r\n").as_bytes()).await.unwrap()
    };
    for host in ["127.0.0.1:9090", "localhost", "LOCALHOST:1", "[::1]:9090"] {
        assert_eq!(ask(admin, "GET /overview HTTP/1.1", &[host]).await.status, 200, "{host}");
    }
    // A page whose name was made to lead here. What it asks is of its own site, so no browser asks before.
    for (line, hosts) in [
        ("GET /overview HTTP/1.1", &["evil.example:9090"][..]),
        ("GET /dead-letters HTTP/1.1", &["localhost.evil.example"]),
        ("PUT /dead-letters/1/replay HTTP/1.1", &["evil.example:9090"]),
        ("DELETE /dead-letters/1 HTTP/1.1", &["10.0.0.7:9090"]),
        ("GET /overview HTTP/1.1", &[""]),
        ("GET /overview HTTP/1.1", &["localhost", "evil.example"]),
        ("GET http://evil.example/overview HTTP/1.1", &["localhost"]),
        ("GET /overview HTTP/1.0", &["evil.example"]),
        ("GET /overview HTTP/1.0", &[]),
    ] {
        let answer = ask(admin, line, hosts).await;
        assert_eq!(answer.status, 403, "{line} {hosts:?}: {answer:?}");
        assert!(answer.detail().contains("ask at 127.0.0.1 or localhost") && answer.detail().contains("`[auth]`"), "{answer:?}");
    }
    assert_eq!(ask(admin, "GET /overview HTTP/1.0", &["localhost"]).await.status, 200);
    let mut client = connect(admin).await;
    for (host, status) in [("evil.example:9090", 403), ("localhost:9090", 200), ("[::1]:9090", 200)] {
        assert_eq!(try_send_to(&mut client, host, "GET", "/overview", "").await.unwrap().0, status, "{host} of HTTP/2");
    }
    drop(client);
    for path in ["/health", "/health/ready", "/metrics", "/console"] {
        assert_eq!(
            ask(admin, &format!("GET {path} HTTP/1.1"), &["evil.example"]).await.status,
            200,
            "{path} tells nothing of what is stored"
        );
    }
    let own = ask(addr, "GET /nothing HTTP/1.1", &["shop.example"]).await;
    assert_eq!(own.status, 404, "whoever stands in front of a service may have any name");
    running.stop().await;
}
