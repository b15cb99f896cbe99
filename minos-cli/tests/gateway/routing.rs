//! Which service gets what, and what it is told.

use crate::kit::*;
use minos_cli::gateway::{Gateway, GatewayConfig};
use std::time::Duration;
use tokio::sync::watch;

const QUIET: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread")]
async fn a_request_gets_to_its_service_and_the_answer_back() {
    let upstream = Upstream::echo().await;
    let gateway = gateway(&service(&[&upstream], "\"GET /foos/{uuid}\", \"POST /foos\", \"PUT /foos/{uuid}\"")).await;
    let got = ask(gateway.addr(), "POST", "/foos?x=1&y=%20", &[("content-type", "application/json")], "{\"a\":1}").await;
    let told = got.json();
    assert_eq!((got.status, told["uri"].as_str(), told["body"].as_str()), (200, Some("/foos?x=1&y=%20"), Some("{\"a\":1}")));
    assert_eq!(header(&told, "content-length").as_deref(), Some("7"));
    assert_eq!(header(&told, "host").unwrap(), upstream.addr.to_string());
    assert_eq!(header(&told, "x-forwarded-for").as_deref(), Some("127.0.0.1"));
    assert_eq!(header(&told, "x-forwarded-host").as_deref(), Some("shop.example"));
    assert_eq!(header(&told, "x-correlation-id").as_deref(), got.header("x-correlation-id"));
    assert!(header(&told, "traceparent").unwrap().starts_with("00-"));
    let got = ask(gateway.addr(), "HEAD", "/foos/1", &[], "").await;
    assert_eq!((got.status, got.body.len(), upstream.asked()), (200, 0, 2));
    assert!(got.header("content-length").unwrap().parse::<usize>().unwrap() > 0, "as GET would say");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_route_names_is_not_reached() {
    let upstream = Upstream::echo().await;
    let gateway = gateway(&service(&[&upstream], "\"GET /foos/{uuid}\", \"/files/{*rest}\"")).await;
    let addr = gateway.addr();
    let status = async |line: &str| {
        let bytes = format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        raw(addr, bytes.as_bytes(), QUIET).await.split(' ').nth(1).unwrap_or("none").to_owned()
    };
    for (line, expected) in [
        ("GET /foos/1", "200"),
        ("GET /foos/a%2Fb", "200"),
        ("GET /files/a/b", "200"),
        ("GET /foos", "404"),
        ("GET /foos/", "404"),
        ("GET //foos/1", "404"),
        ("GET /foos//1", "404"),
        ("GET /FOOS/1", "404"),
        ("GET /foos/1/", "404"),
        ("GET /foos%2F1", "404"),
        ("GET /%66oos/1", "404"),
        ("GET /admin", "404"),
        ("GET /foos/..", "400"),
        ("GET /foos/../admin", "400"),
        ("GET /foos/%2e%2e", "400"),
        ("GET /foos/%2e%2e%2fadmin", "400"),
        ("GET /foos/%252e%252e%252fadmin", "400"),
        ("GET /foos/..%5cadmin", "400"),
        ("GET /foos/..;/admin", "400"),
        ("GET /files/../admin", "400"),
        ("GET /files/%2e%2e/admin", "400"),
        ("GET /foos/a%00b", "400"),
        ("GET /foos/a%0d%0aX-Evil:1", "400"),
        ("DELETE /foos/1", "405"),
        ("TRACE /files/x", "405"),
        ("CONNECT evil:80", "404"),
        ("GET http://evil/foos/1", "200"),
        ("GET http://evil/admin", "404"),
        ("OPTIONS *", "404"),
        ("OPTIONS /foos/1", "204"),
    ] {
        assert_eq!(status(line).await, expected, "{line}");
    }
    assert_eq!(upstream.asked(), 4, "nothing else");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_goes_on_as_it_came() {
    let upstream = Upstream::echo().await;
    let gateway = gateway(&service(&[&upstream], "\"GET /foos/{uuid}\"")).await;
    for path in ["/foos/a%2Fb", "/foos/%C3%BC", "/foos/%7e?x=%2F..%2F", "/foos/a+b", "/foos/x?", "/foos/100%25"] {
        let told = get(gateway.addr(), path).await.json();
        assert_eq!(told["uri"], path);
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_changes_is_followed() {
    let (one, two) = (Upstream::echo().await, Upstream::echo().await);
    let (tell, directories) = watch::channel(directory("1", vec![told("foo", &one, &[("GET", "/foos")])]));
    let admin = "[admin]\naddr = \"127.0.0.1:0\"\ntoken = \"0123456789abcdef\"";
    let config = with_port(GatewayConfig::parse(admin).unwrap());
    let gateway = Gateway::new(config).directory(directories).start().await.unwrap();
    assert_eq!((get(gateway.addr(), "/foos").await.status, get(gateway.addr(), "/bars").await.status), (200, 404));
    // Another service claims what the first one has.
    let claims = [("GET", "/foos"), ("GET", "/bars")];
    tell.send_replace(directory("2", vec![told("bar", &two, &claims), told("foo", &one, &[("GET", "/foos")])]));
    wait_for(|| gateway.routes().len() == 2).await;
    assert_eq!((get(gateway.addr(), "/foos").await.status, get(gateway.addr(), "/bars").await.status), (200, 200));
    assert_eq!((one.asked(), two.asked()), (2, 1), "who has a route keeps it");
    let operator = [("authorization", "Bearer 0123456789abcdef")];
    let conflicts = ask(gateway.admin_addr().unwrap(), "GET", "/conflicts", &operator, "").await.json();
    assert_eq!(conflicts, serde_json::json!([{ "route": "GET /foos", "service": "bar", "kept_by": "foo" }]));
    // Who told has gone: what was told last still holds.
    drop(tell);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(get(gateway.addr(), "/bars").await.status, 200);
    gateway.stop().await;
}

async fn wait_for(what: impl Fn() -> bool) {
    for _ in 0..200 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it did not come");
}
