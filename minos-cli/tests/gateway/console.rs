//! What an operator asks of services through the gateway: with which token, of whom, and what does not get through.

use crate::kit::*;
use bytes::Bytes;
use http::{Response, header::HeaderName};
use http_body_util::BodyExt;
use minos_cli::gateway::{Gateway, GatewayConfig, RunningGateway, TokenError, Verified};
use serde_json::json;
use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const OWN: &str = "Bearer 0123456789abcdef";
const OPERATOR: [(&str, &str); 1] = [("authorization", OWN)];
const ADMIN: &str = "[admin]\naddr = \"127.0.0.1:0\"\ntoken = \"0123456789abcdef\"\nrole = \"minos:operate\"\n";
const QUIET: Duration = Duration::from_millis(300);

/// A service `order` whose instances are all at one address for clients, where nobody is, and whose operators' APIs are these.
fn operated(apis: &[&Upstream]) -> String {
    let urls: Vec<String> = (1..=apis.len()).map(|n| format!("\"http://127.0.0.1:{n}\"")).collect();
    let admin: Vec<String> = apis.iter().map(|one| format!("\"{}\"", one.url())).collect();
    format!("[services.order]\nurls = [{}]\nroutes = [\"GET /orders/{{id}}\"]\nadmin = [{}]\n", urls.join(", "), admin.join(", "))
}

/// Knows two tokens.
fn verify(token: &str) -> Result<Verified, TokenError> {
    let roles = match token {
        "chief" => vec!["minos:operate".to_owned()],
        "clerk" => vec!["clerk".to_owned()],
        _ => return Err(TokenError::Wrong("nobody has made it".to_owned())),
    };
    Ok(Verified { user: token.to_owned(), roles })
}

async fn gateway_for(apis: &[&Upstream], more: &str) -> (RunningGateway, SocketAddr) {
    let config = with_port(GatewayConfig::parse(&format!("{}{ADMIN}{more}", operated(apis))).unwrap());
    let gateway = Gateway::new(config).verifier(Arc::new(verify)).start().await.unwrap();
    let admin = gateway.admin_addr().unwrap();
    (gateway, admin)
}

/// One that takes the request and closes the connection, and counts them.
async fn breaks_off() -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut upstream = Upstream::echo().await;
    upstream.addr = listener.local_addr().unwrap();
    let asked = upstream.asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            if matches!(stream.read(&mut [0; 4096]).await, Ok(1..)) {
                asked.fetch_add(1, SeqCst);
            }
        }
    });
    upstream
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_there_for_everybody_and_nothing_else() {
    let api = Upstream::echo().await;
    let (gateway, admin) = gateway_for(&[&api], "").await;
    let page = get(admin, "/console").await;
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(text.contains("data-place=\"gateway\"") && page.header("content-security-policy").unwrap().contains("script-src 'self'"));
    for file in text.split('"').filter(|part| part.starts_with("console/")) {
        assert_eq!(get(admin, &format!("/{file}")).await.status, 200, "{file}");
    }
    for path in ["/services", "/services/order/overview", "/services/nobody/overview", "/services/", "/console/nothing.js"] {
        assert_eq!(get(admin, path).await.status, 401, "{path}");
    }
    for path in ["/console", "/console/app.js", "/services", "/services/order/overview"] {
        assert_eq!(ask(gateway.addr(), "GET", path, &OPERATOR, "").await.status, 404, "{path} is not where everybody is");
    }
    assert_eq!(api.asked(), 0);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_checks_first_and_the_service_decides_for_itself() {
    let api = Upstream::echo().await;
    let (gateway, admin) = gateway_for(&[&api], "").await;
    for headers in [
        &[][..],
        &[("authorization", "Bearer clerk")],
        &[("authorization", "Bearer nobody")],
        &[("authorization", "Basic Y2hpZWY=")],
        &[("authorization", "Bearer clerk"), ("authorization", "Bearer chief")],
        &[("service-authorization", "Bearer chief")],
    ] {
        let got = ask(admin, "PUT", "/services/order/dead-letters/1/replay", headers, "").await;
        assert_eq!((got.status, got.header("minos-instance")), (401, None), "{headers:?}");
    }
    assert_eq!(api.asked(), 0, "who is no operator here gets nowhere");
    for (headers, goes_on) in [
        (&[("authorization", "Bearer chief")][..], Some("Bearer chief")),
        (&[("authorization", OWN)], None),
        (&[("authorization", OWN), ("service-authorization", "Bearer theirs")], Some("Bearer theirs")),
        (&[("authorization", "Bearer chief"), ("service-authorization", "Bearer theirs")], Some("Bearer theirs")),
    ] {
        let got = ask(admin, "GET", "/services/order/overview", headers, "").await;
        assert_eq!((got.status, got.header("minos-instance")), (200, Some("http://127.0.0.1:1")), "{headers:?}");
        let told = got.json();
        assert_eq!(header(&told, "authorization").as_deref(), goes_on, "{headers:?}");
        assert_eq!((header(&told, "service-authorization"), told["uri"].as_str()), (None, Some("/overview")));
    }
    let twice = [("authorization", OWN), ("service-authorization", "Bearer a"), ("service-authorization", "Bearer b")];
    assert_eq!(ask(admin, "GET", "/services/order/overview", &twice, "").await.status, 400);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_says_of_a_token_is_told_as_what_it_says() {
    let api = Upstream::new(async |request: http::Request<hyper::body::Incoming>| {
        let mut refused = answer(if request.method() == "GET" { 401 } else { 403 }, r#"{"detail":"the role is missing"}"#);
        refused.headers_mut().insert("www-authenticate", "Basic realm=\"give me a password\"".parse().unwrap());
        refused
    })
    .await;
    let (gateway, admin) = gateway_for(&[&api], "").await;
    let looked = ask(admin, "GET", "/services/order/overview", &OPERATOR, "").await;
    assert_eq!((looked.status, looked.header("www-authenticate")), (401, Some("Bearer")), "no browser asks for a password");
    assert_eq!((looked.json()["detail"].as_str(), looked.header("minos-instance").is_some()), (Some("the role is missing"), true));
    let changed = ask(admin, "PUT", "/services/order/dead-letters/1/replay", &OPERATOR, "").await;
    assert_eq!((changed.status, changed.header("minos-instance").is_some()), (403, true));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_operators_ask_gets_through() {
    let api = Upstream::echo().await;
    let (gateway, admin) = gateway_for(&[&api], "").await;
    for (method, path, status) in [
        ("GET", "/services/order/", 404),
        ("GET", "/services/order/health/ready", 404),
        ("GET", "/services/order/metrics", 404),
        ("GET", "/services/order/console", 404),
        ("GET", "/services/order/orders/1", 404),
        ("GET", "/services/order//overview", 404),
        ("GET", "/services/order/overview/", 404),
        ("GET", "/services/order/%6fverview", 404),
        ("GET", "/services/order/latest%2Fmeta-data", 404),
        ("GET", "/services/order/dead-letters/1/2/3", 404),
        ("GET", "/services/order/streams/Order/../../overview", 400),
        ("GET", "/services/order/streams/Order/%2e%2e", 400),
        ("GET", "/services/order/streams/Order/..%2f..%2fadmin", 400),
        ("GET", "/services/order/streams/Order/%252e%252e%252fadmin", 400),
        ("GET", "/services/order/streams/Order/..%5cadmin", 400),
        ("GET", "/services/order/streams/Order/..;x", 400),
        ("GET", "/services/order/streams/Order/a%0d%0ahost:%20b", 400),
        ("GET", "/services/../services/order/overview", 400),
        ("GET", "/services/%2e%2e/overview", 400),
        ("GET", "/services/order%2Foverview", 404),
        ("GET", "/services/nobody/overview", 404),
        ("POST", "/services/order/overview", 405),
        ("PUT", "/services/order/dead-letters", 405),
        ("GET", "/services/order/dead-letters/1/replay", 405),
        ("OPTIONS", "/services/order/overview", 405),
        ("TRACE", "/services/order/overview", 405),
        ("PATCH", "/services/order/sagas", 405),
    ] {
        let got = ask(admin, method, path, &OPERATOR, "").await;
        assert_eq!((got.status, got.header("minos-instance")), (status, None), "{method} {path}: {:?}", got.body);
    }
    let upgrade = [OPERATOR[0], ("connection", "upgrade"), ("upgrade", "websocket")];
    assert_eq!(ask(admin, "GET", "/services/order/overview", &upgrade, "").await.status, 501);
    let circle = [OPERATOR[0], ("via", "1.1 minos-gateway, 1.1 minos-gateway, 1.1 minos-gateway")];
    assert_eq!(ask(admin, "GET", "/services/order/overview", &circle, "").await.status, 508);
    assert_eq!(ask(admin, "GET", "/services/order/overview", &OPERATOR, "a body").await.status, 400);
    // What is refused by its length is not read: so it is not sent either, or the connection could end under the client's hands before it has the answer.
    let (name, token) = OPERATOR[0];
    let head = format!(
        "PUT /services/order/sagas/1/steps/a/skip HTTP/1.1\r\nHost: x\r\n{name}: {token}\r\nContent-Length: {}\r\n\r\n",
        1024 * 1024 + 1
    );
    let said = raw(admin, head.as_bytes(), QUIET).await;
    assert!(said.starts_with("HTTP/1.1 413 ") && said.contains("too large"), "{said}");
    for line in ["GET /services/order/overview", "GET http://127.0.0.1:1/services/order/streams/a/..", "CONNECT /services/order/overview"] {
        let said = raw(admin, format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes(), QUIET).await;
        assert!(said.starts_with("HTTP/1.1 4"), "{line}: {said}");
    }
    assert_eq!(api.asked(), 0, "nothing of it came there");
    let slash = ask(admin, "GET", "/services/order/streams/Order/a%2Fb?after=3&limit=4", &OPERATOR, "").await.json();
    assert_eq!(slash["uri"], "/streams/Order/a%2Fb?after=3&limit=4", "a slash of a parameter is none of the path");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_are_those_of_the_edge() {
    let api = Upstream::echo().await;
    let (gateway, admin) = gateway_for(&[&api], "[http]\nstrip = [\"x-tenant\"]").await;
    let headers = [
        OPERATOR[0],
        ("connection", "x-hop, close"),
        ("x-hop", "1"),
        ("te", "trailers"),
        ("keep-alive", "timeout=9"),
        ("x-user", "root"),
        ("x_user_roles", "minos:operate"),
        ("x-minos-user", "root"),
        ("minos-user", "root"),
        ("minos-instance", "nobody"),
        ("x-forwarded-user", "root"),
        ("x-tenant", "all"),
        ("x-forwarded-for", "6.6.6.6"),
        ("x-real-ip", "6.6.6.6"),
        ("cookie", "a=b"),
        ("origin", "https://evil.example"),
        ("referer", "https://evil.example/x"),
        ("x-correlation-id", "1b4e28ba-2fa1-11d2-883f-0016d3cca427"),
    ];
    let got = ask(admin, "PUT", "/services/order/sagas/1/steps/a/skip", &headers, "{\"value\":null}").await;
    assert_eq!(got.status, 200);
    let told = got.json();
    for name in headers[1..].iter().map(|(name, _)| *name).filter(|name| !["x-forwarded-for", "x-correlation-id"].contains(name)) {
        assert_eq!(header(&told, name), None, "{name}");
    }
    assert_eq!(header(&told, "host"), Some(api.addr.to_string()));
    assert_eq!(header(&told, "x-forwarded-for").as_deref(), Some("127.0.0.1"));
    assert_eq!(header(&told, "x-correlation-id").as_deref(), Some("1b4e28ba-2fa1-11d2-883f-0016d3cca427"));
    assert_eq!((told["method"].as_str(), told["body"].as_str()), (Some("PUT"), Some("{\"value\":null}")));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_does_nothing_to_the_browser() {
    let api = Upstream::new(async |_| {
        let mut hostile = answer(302, "<script>alert(1)</script>");
        for (name, value) in [
            ("content-type", "text/html"),
            ("location", "https://evil.example"),
            ("set-cookie", "a=b"),
            ("refresh", "0; url=https://evil.example"),
            ("clear-site-data", "\"storage\""),
            ("service-worker-allowed", "/"),
            ("access-control-allow-origin", "*"),
            ("content-security-policy", "script-src *"),
            ("cache-control", "max-age=1000"),
            ("minos-instance", "another"),
            ("link", "</x>; rel=preload"),
        ] {
            hostile.headers_mut().append(HeaderName::from_static(name), value.parse().unwrap());
        }
        hostile
    })
    .await;
    let (gateway, admin) = gateway_for(&[&api], "").await;
    let got = ask(admin, "GET", "/services/order/overview", &OPERATOR, "").await;
    let mut names: Vec<&str> = got.headers.keys().map(|name| name.as_str()).filter(|name| *name != "date").collect();
    names.sort_unstable();
    assert_eq!(
        names,
        ["cache-control", "content-length", "content-security-policy", "content-type", "minos-instance", "x-content-type-options"]
    );
    assert_eq!(got.header("content-security-policy"), Some("default-src 'none'; frame-ancestors 'none'; sandbox"));
    assert_eq!((got.header("cache-control"), got.header("minos-instance")), (Some("no-store"), Some("http://127.0.0.1:1")));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_one_that_is_wanted_is_asked_and_another_one_when_it_is_dead() {
    let (one, other) = (Upstream::echo().await, Upstream::echo().await);
    let (gateway, admin) = gateway_for(&[&one, &other], "").await;
    let wants = |id: &'static str| [OPERATOR[0], ("minos-instance", id)];
    let (first, second) = ("http://127.0.0.1:1", "http://127.0.0.1:2");
    for id in [first, second, second, first] {
        let got = ask(admin, "GET", "/services/order/overview", &wants(id), "").await;
        assert_eq!((got.status, got.header("minos-instance")), (200, Some(id)));
    }
    one.kill().await;
    let before = other.asked();
    let looked = ask(admin, "GET", "/services/order/overview", &wants(first), "").await;
    assert_eq!((looked.status, looked.header("minos-instance")), (200, Some(second)), "the next one is asked");
    let changed = ask(admin, "PUT", "/services/order/sagas/1/steps/a/skip", &wants(first), "{}").await;
    assert_eq!((changed.status, changed.header("minos-instance")), (200, Some(second)), "the dead one has seen nothing of it");
    assert_eq!((changed.json()["body"].as_str(), other.asked() - before), (Some("{}"), 2));
    other.kill().await;
    for method in ["GET", "PUT"] {
        let path = if method == "GET" { "/services/order/overview" } else { "/services/order/dead-letters/1/replay" };
        let got = ask(admin, method, path, &wants(first), "").await;
        assert_eq!((got.status, got.header("minos-instance"), got.header("retry-after").is_some()), (503, None, true));
        let detail = got.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("no instance of `order` can be reached at its operator's API") && detail.contains(first), "{detail}");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_been_done_is_not_done_again() {
    let broken = breaks_off().await;
    let good = Upstream::echo().await;
    let (gateway, admin) = gateway_for(&[&broken, &good], "").await;
    let wants = [OPERATOR[0], ("minos-instance", "http://127.0.0.1:1")];
    let changed = ask(admin, "PUT", "/services/order/dead-letters/1/replay", &wants, "").await;
    assert_eq!((changed.status, broken.asked(), good.asked()), (502, 1, 0));
    let detail = changed.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("took the request and gave no answer; whether it was done is not known"), "{detail}");
    let looked = ask(admin, "GET", "/services/order/overview", &wants, "").await;
    assert_eq!((looked.status, looked.header("minos-instance")), (200, Some("http://127.0.0.1:2")), "to look does no harm");
    gateway.stop().await;
    // Nobody else is there.
    let (gateway, admin) = gateway_for(&[&broken], "").await;
    let looked = ask(admin, "GET", "/services/order/overview", &OPERATOR, "").await;
    let detail = looked.json()["detail"].as_str().unwrap().to_owned();
    assert!(looked.status == 502 && detail.ends_with("nothing was changed"), "{detail}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn time_limits_hold() {
    let hangs = Upstream::new(async |_| std::future::pending().await).await;
    let good = Upstream::echo().await;
    let (gateway, admin) = gateway_for(&[&hangs, &good], "[upstream]\nfirst_byte_timeout = \"300ms\"").await;
    let wants = [OPERATOR[0], ("minos-instance", "http://127.0.0.1:1")];
    let looked = ask(admin, "GET", "/services/order/overview", &wants, "").await;
    assert_eq!((looked.status, looked.header("minos-instance")), (200, Some("http://127.0.0.1:2")));
    let changed = ask(admin, "DELETE", "/services/order/dead-letters/1", &wants, "").await;
    assert_eq!((changed.status, good.asked()), (504, 1));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hangs_is_not_waited_for_as_long_as_others_wait() {
    let hangs = Upstream::new(async |_| std::future::pending().await).await;
    let good = Upstream::echo().await;
    let (gateway, admin) = gateway_for(&[&hangs, &good], "").await;
    let began = Instant::now();
    let wants = [OPERATOR[0], ("minos-instance", "http://127.0.0.1:1")];
    let looked = ask(admin, "GET", "/services/order/overview", &wants, "").await;
    assert_eq!((looked.status, looked.header("minos-instance")), (200, Some("http://127.0.0.1:2")));
    assert!((8..20).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_pieces_passes_as_it_comes() {
    let (tell, hear) = tokio::sync::watch::channel(0_usize);
    let api = Upstream::new(move |_| {
        let mut hear = hear.clone();
        async move {
            let (mut sender, body) = http_body_util::channel::Channel::<Bytes, hyper::Error>::new(1);
            tokio::spawn(async move {
                for n in 0..3_usize {
                    hear.wait_for(|read| *read >= n).await.unwrap();
                    sender.send_data(Bytes::from(format!("piece {n};"))).await.unwrap();
                }
            });
            Response::new(body.boxed())
        }
    })
    .await;
    let (gateway, admin) = gateway_for(&[&api], "").await;
    let mut stream = TcpStream::connect(admin).await.unwrap();
    let head = format!("GET /services/order/events HTTP/1.1\r\nHost: x\r\nAuthorization: {OWN}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut all, mut buffer) = (String::new(), [0; 4096]);
    for n in 0..3 {
        while !all.contains(&format!("piece {n};")) {
            let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut buffer)).await.expect("it comes before the next one");
            all.push_str(std::str::from_utf8(&buffer[..read.unwrap()]).unwrap());
        }
        assert!(!all.contains(&format!("piece {};", n + 1)));
        tell.send(n + 1).unwrap();
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_say_where_its_operators_api_is_is_shown_with_what_to_do() {
    let (api, away) = (Upstream::echo().await, Upstream::echo().await);
    let config = GatewayConfig::parse(&format!(
        "{}[services.legacy]\nurls = [\"{}\"]\nroutes = [\"GET /orders/{{uuid}}\"]\n{ADMIN}",
        operated(&[&api]),
        away.url()
    ));
    let other = told("stock", &away, &[("GET", "/articles")]);
    let far = minos_runtime::discovery::Instance { admin: Some("https://pay:9090".to_owned()), ..told("pay", &away, &[]) };
    let gateway = Gateway::new(with_port(config.unwrap()));
    let (tell, hear) = tokio::sync::watch::channel(directory("1", vec![other, far]));
    let gateway = gateway.directory(hear).start().await.unwrap();
    let admin = gateway.admin_addr().unwrap();
    let all = ask(admin, "GET", "/services", &OPERATOR, "").await.json();
    let of = |all: &serde_json::Value, name: &str| all["services"].as_array().unwrap().iter().find(|one| one["service"] == name).cloned();
    let order = of(&all, "order").unwrap();
    assert_eq!((&order["missing"], &order["instances"][0]["admin"]), (&json!(null), &json!(api.url())));
    assert_eq!((&order["instances"][0]["state"], &order["routes"]), (&json!("in"), &json!([])), "{order}");
    assert_eq!(order["conflicts"], json!([{ "route": "GET /orders/{id}", "kept_by": "legacy" }]));
    for (name, told) in
        [("legacy", "in `[services.legacy]`"), ("stock", "set `[admin] addr` in its `minos.toml`"), ("pay", "only `http:` is spoken")]
    {
        let one = of(&all, name).unwrap();
        assert!(one["missing"].as_str().unwrap().contains(told) && one["instances"][0]["admin"].is_null(), "{one}");
        let got = ask(admin, "GET", &format!("/services/{name}/overview"), &OPERATOR, "").await;
        assert!(got.status == 404 && got.json()["detail"].as_str().unwrap().contains(told), "{:?}", got.body);
    }
    let nobody = ask(admin, "GET", "/services/nobody/overview", &OPERATOR, "").await;
    assert!(nobody.json()["detail"].as_str().unwrap().contains("there are: legacy, order, pay, stock"), "{:?}", nobody.body);
    // Now it says where it is.
    let said = minos_runtime::discovery::Instance { admin: Some(api.url()), ..told("stock", &away, &[("GET", "/articles")]) };
    tell.send(directory("2", vec![said])).unwrap();
    let mut status = 404;
    for _ in 0..200 {
        status = ask(admin, "GET", "/services/stock/overview", &OPERATOR, "").await.status;
        if status == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(status, 200);
    assert_eq!(of(&ask(admin, "GET", "/services", &OPERATOR, "").await.json(), "pay"), None, "who has gone is not shown");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_services_are_developed_who_sits_there_is_the_operator() {
    let api = Upstream::echo().await;
    let mut config = with_port(GatewayConfig::parse(&operated(&[&api])).unwrap());
    config.admin.addr = Some("127.0.0.1:0".parse().unwrap());
    let gateway = Gateway::new(config).local_operators().start().await.unwrap();
    let admin = gateway.admin_addr().unwrap();
    let under = async |host: &str, headers: &str| {
        let asked = format!("GET /services/order/overview HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n");
        raw(admin, asked.as_bytes(), Duration::from_secs(5)).await
    };
    for host in ["127.0.0.1:9089", "localhost:9089", "LOCALHOST", "[::1]:9089"] {
        assert!(under(host, "").await.starts_with("HTTP/1.1 200"), "{host}");
    }
    for host in ["evil.example", "evil.example:9089", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", ""] {
        let said = under(host, "").await;
        assert!(said.starts_with("HTTP/1.1 401") && said.contains("who sits at this machine"), "{host}: {said}");
    }
    assert!(under("localhost", "authorization: Bearer theirs\r\n").await.contains("Bearer theirs"), "the service may want one");
    gateway.stop().await;
    // Otherwise somebody has to be named, or nobody is the operator.
    let mut config = with_port(GatewayConfig::parse(&operated(&[&api])).unwrap());
    config.admin.addr = Some("127.0.0.1:0".parse().unwrap());
    let gateway = Gateway::new(config).start().await.unwrap();
    assert_eq!(get(gateway.admin_addr().unwrap(), "/services").await.status, 401);
    gateway.stop().await;
}
