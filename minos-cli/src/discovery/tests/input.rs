//! What nobody may say to a registry, and who may say anything.

use super::kit::{Living, asks, registry, settings, until};
use crate::discovery::{RegistrySettings, start};
use minos::discovery::{Discovery, DiscoveryError, Registry, client};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test]
async fn what_cannot_be_is_refused_with_a_sentence() {
    let server = registry().await;
    let client = client().unwrap();
    let put = async |path: &str, body: String| {
        let answer =
            client.put(format!("{}{path}", server.url())).body(body).header("content-type", "application/json").send().await.unwrap();
        let status = answer.status().as_u16();
        let problem: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default();
        (status, problem["detail"].as_str().unwrap_or_default().to_owned())
    };
    let good = json!({ "url": "http://10.0.0.7:80", "endpoints": [{ "method": "GET", "path": "/a/{b}" }] });
    let with = |key: &str, value: Value| {
        let mut said = good.clone();
        said[key] = value;
        said.to_string()
    };
    let order = "/services/order/instances/a";
    for (path, body, status, told) in [
        (order, String::new(), 422, "not of the expected form"),
        (order, "{".to_owned(), 400, "no JSON"),
        (order, "[]".to_owned(), 422, "not of the expected form"),
        (order, "{}".to_owned(), 422, "missing field `url`"),
        (order, with("url", json!("ftp://10.0.0.7")), 422, "has to begin with `http://`"),
        (order, with("url", json!("http://me:pw@10.0.0.7")), 422, "do not belong into it"),
        (order, with("url", json!("http://169.254.169.254/latest/meta-data")), 422, "it ends behind host and port"),
        (order, with("url", json!("http://169.254.169.254")), 422, "no service can be reached"),
        (order, with("url", json!("http://0.0.0.0:80")), 422, "no service can be reached"),
        (order, with("admin", json!("http://169.254.169.254")), 422, "no service can be reached"),
        (order, with("admin", json!("http://me:pw@10.0.0.7")), 422, "do not belong into it"),
        (order, with("admin", json!("http://10.0.0.7:9090/dead-letters")), 422, "it ends behind host and port"),
        (order, with("url", json!(5)), 422, "not of the expected form"),
        (order, with("endpoints", json!([{ "method": "GET", "path": "a" }])), 422, "it begins with `/`"),
        (order, with("endpoints", json!([{ "method": "GET", "path": "/../a" }])), 422, "none of its parts"),
        (order, with("endpoints", json!([{ "method": "get", "path": "/a" }])), 422, "no HTTP method"),
        (order, with("endpoints", json!(vec![json!({ "method": "GET", "path": "/a" }); 2001])), 422, "at most 2000 endpoints"),
        (order, with("url", json!("x".repeat(2_000_000))), 413, "larger than"),
        ("/services/or%07der/instances/a", good.to_string(), 422, "or\\u{7}der"),
        ("/services/a%2Fb/instances/a", good.to_string(), 422, "the service \"a/b\" is none"),
        ("/services/order/instances/..%2F..", good.to_string(), 422, "the instance \"../..\" is none"),
        ("/services/order/instances/%ff", good.to_string(), 400, "not UTF-8"),
    ] {
        let (got, detail) = put(path, body.clone()).await;
        assert_eq!(got, status, "{path} {body:.200}: {detail}");
        assert!(detail.contains(told) && !detail.contains("pw@"), "{path} {body:.200}: {detail}");
    }
    assert_eq!(put(order, with("of_a_later_version", json!(true))).await.0, 200, "what it does not know is no mistake");
    assert_eq!(put(order, good.to_string()).await.0, 200);
    let wait = client.get(format!("{}/directory?wait=forever", server.url())).send().await.unwrap();
    assert_eq!(wait.status().as_u16(), 422);
    server.stop().await;
}

#[tokio::test]
async fn there_are_no_more_than_there_may_be() {
    let server = start(RegistrySettings { max_instances: 2, ..settings() }).await.unwrap();
    let (registry, living) = (asks(&server.url()), [Living::new().await, Living::new().await, Living::new().await]);
    for (n, living) in living[..2].iter().enumerate() {
        registry.announce(living.instance("order", &n.to_string())).await.unwrap();
    }
    let error = registry.announce(living[2].instance("order", "more")).await.unwrap_err();
    assert!(matches!(&error, DiscoveryError::Refused { why, .. } if why.contains("422: there are 2 instances already")), "{error}");
    server.stop().await;
}

#[tokio::test]
async fn only_who_shows_the_token_is_let_in() {
    let server = start(RegistrySettings { token: "the token".into(), ..settings() }).await.unwrap();
    let with = |token: &str| Registry::new(&server.url(), token.into(), Duration::from_secs(5)).unwrap();
    let living = Living::new().await;
    let order = living.instance("order", "a");
    for wrong in ["", "x", "the toke", "the tokens", "The token"] {
        let registry = with(wrong);
        for error in [
            registry.announce(order.clone()).await.unwrap_err(),
            registry.withdraw(order.clone()).await.unwrap_err(),
            registry.directory(None).await.unwrap_err(),
        ] {
            assert!(matches!(&error, DiscoveryError::Refused { why, .. } if why.starts_with("it answers 401: ")), "{wrong:?}: {error}");
        }
    }
    let client = client().unwrap();
    assert_eq!(client.get(format!("{}/services", server.url())).send().await.unwrap().status().as_u16(), 401);
    let basic = client.get(format!("{}/services", server.url())).header("authorization", "Basic the token").send().await.unwrap();
    assert_eq!(basic.status().as_u16(), 401);
    for scheme in ["bearer", "BEARER"] {
        let request = client.get(format!("{}/services", server.url())).header("authorization", format!("{scheme} the token"));
        assert_eq!(request.send().await.unwrap().status().as_u16(), 200, "{scheme}");
    }
    let registry = with("the token");
    registry.announce(order).await.unwrap();
    until(&registry, "order", &["a"]).await;
    server.stop().await;
}

#[tokio::test]
async fn without_a_token_it_is_for_this_machine_only() {
    let open = RegistrySettings { addr: ([0, 0, 0, 0], 0).into(), ..settings() };
    let error = start(open).await.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("without a token") && error.contains("MINOS_REGISTRY_TOKEN"), "{error}");
}

#[tokio::test]
async fn without_a_token_it_is_asked_under_a_name_of_this_machine() {
    let server = registry().await;
    let (client, living) = (client().unwrap(), Living::new().await);
    let said = json!({ "url": format!("http://{}", living.addr) }).to_string();
    let ask = async |host: &str, method: &str, path: &str| {
        let request = client.request(method.parse().unwrap(), format!("{}{path}", server.url())).header("host", host);
        let request = request.header("content-type", "application/json").body(if method == "PUT" { said.clone() } else { String::new() });
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let instance = "/services/z/instances/b";
    for (method, path) in [("PUT", instance), ("DELETE", instance), ("GET", "/directory"), ("GET", "/services")] {
        let (status, told) = ask("evil.example:7070", method, path).await;
        assert_eq!(status, 403, "{method} {path}: {told}");
        assert!(told.contains("ask at 127.0.0.1 or localhost") && told.contains("MINOS_REGISTRY_TOKEN"), "{told}");
        assert!(ask("localhost:7070", method, path).await.0 < 300, "{method} {path}");
    }
    for path in ["/health", "/health/ready", "/metrics"] {
        assert_eq!(ask("probe.example", "GET", path).await.0, 200, "{path}");
    }
    server.stop().await;
    let closed = start(RegistrySettings { token: "the token".into(), ..settings() }).await.unwrap();
    let named = client.get(format!("{}/services", closed.url())).header("host", "registry.example").bearer_auth("the token");
    assert_eq!(named.send().await.unwrap().status().as_u16(), 200, "who shows the token is no page from elsewhere");
    closed.stop().await;
}

#[tokio::test]
async fn what_nobody_may_say_is_not_listened_to() {
    let server = start(RegistrySettings { token: "the token".into(), ..settings() }).await.unwrap();
    let mut stream = TcpStream::connect(server.addr()).await.unwrap();
    let head = "PUT /services/order/instances/a HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\nauthorization: Bearer x\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    // No body: its end would be waited for.
    let mut answer = [0; 1024];
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut answer)).await.expect("it waits for what it refuses").unwrap();
    let told = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(told.starts_with("HTTP/1.1 401 ") && told.contains("MINOS_DISCOVERY_TOKEN"), "{told}");
    server.stop().await;
}
