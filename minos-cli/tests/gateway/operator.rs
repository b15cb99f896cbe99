//! What the operator sees and does.

use crate::kit::*;
use serde_json::json;

const OPERATOR: [(&str, &str); 1] = [("authorization", "Bearer 0123456789abcdef")];
const ADMIN: &str = "[admin]\naddr = \"127.0.0.1:0\"\ntoken = \"0123456789abcdef\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_sees_the_operators_api() {
    let upstream = Upstream::echo().await;
    let gateway = gateway(&format!("{}{ADMIN}", service(&[&upstream], "\"GET /foos\""))).await;
    let admin = gateway.admin_addr().unwrap();
    for path in [
        "/status",
        "/routes",
        "/instances",
        "/conflicts",
        "/metrics",
        "/openapi.json",
        "/docs",
        "/services",
        "/services/foo/overview",
        "/x",
        "//status",
    ] {
        for headers in [&[][..], &[("authorization", "Bearer 0123456789abcdeX")], &[("authorization", "0123456789abcdef")]] {
            let got = ask(admin, "GET", path, headers, "").await;
            assert_eq!((got.status, got.header("www-authenticate")), (401, Some("Bearer")), "{path} {headers:?}");
        }
    }
    assert_eq!(get(admin, "/health").await.status, 200);
    assert_eq!(get(gateway.addr(), "/health").await.status, 200);
    for path in ["/status", "/routes", "/metrics", "/instances"] {
        assert_eq!(ask(gateway.addr(), "GET", path, &OPERATOR, "").await.status, 404, "not where everybody is");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_sees_routes_and_instances_and_lets_one_back_in() {
    let (good, bad) = (Upstream::echo().await, Upstream::echo().await);
    let text = format!("{}{ADMIN}[ejection]\nfirst_pause = \"1h\"\nlongest_pause = \"1h\"", service(&[&good, &bad], "\"GET /foos/{id}\""));
    let gateway = gateway(&text).await;
    let admin = gateway.admin_addr().unwrap();
    let (addr, url) = (bad.addr, bad.url());
    bad.kill().await;
    for _ in 0..20 {
        assert_eq!(get(gateway.addr(), "/foos/1").await.status, 200);
    }
    let routes = ask(admin, "GET", "/routes", &OPERATOR, "").await.json();
    assert_eq!(routes, json!([{ "method": "GET", "path": "/foos/{id}", "service": "foo", "instances": [good.url(), url] }]));
    let state = || async { ask(admin, "GET", "/instances", &OPERATOR, "").await.json()[1].clone() };
    assert_eq!((state().await["state"].as_str(), state().await["ejections"].as_u64()), (Some("out"), Some(1)));
    let metrics = String::from_utf8(ask(admin, "GET", "/metrics", &OPERATOR, "").await.body.to_vec()).unwrap();
    for line in [
        "minos_gateway_requests_total{service=\"foo\",method=\"GET\",route=\"/foos/{id}\",status=\"200\"} 20".to_owned(),
        "minos_gateway_instances{service=\"foo\",state=\"out\"} 1".to_owned(),
        format!("minos_gateway_ejections{{service=\"foo\",instance=\"{url}\"}} 1"),
        "minos_gateway_conflicts 0".to_owned(),
    ] {
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
    let _bad = Upstream::on(addr, echo).await;
    let path = format!("/instances/foo/{}/ejection", url.replace(':', "%3A").replace('/', "%2F"));
    assert_eq!(ask(admin, "GET", &path, &OPERATOR, "").await.status, 405);
    assert_eq!(ask(admin, "DELETE", &path, &[], "").await.status, 401);
    assert_eq!(ask(admin, "DELETE", &path, &OPERATOR, "").await.status, 200);
    assert_eq!(state().await["state"], "in");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_services_are_in_one_document() {
    let documented = |path: &'static str, kind: &'static str| async move {
        let text = json!({
            "openapi": "3.1.0", "info": { "title": path, "version": "1" },
            "paths": { path: { "get": { "responses": { "200": { "description": "x", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Thing" } } } } } } }, "/secret": { "get": {} } },
            "components": { "schemas": { "Thing": { "type": kind } } },
        });
        Upstream::new(move |_| {
            let text = text.to_string();
            async move { answer(200, text) }
        })
        .await
    };
    let (one, two) = (documented("/as", "string").await, documented("/bs", "integer").await);
    let text = format!(
        "[services.a]\nurls = [\"{}\"]\nroutes = [\"GET /as\"]\n[services.b]\nurls = [\"{}\"]\nroutes = [\"GET /bs\"]\n[openapi]\ntitle = \"Shop\"",
        one.url(),
        two.url()
    );
    let gateway = gateway(&text).await;
    let mut document = json!(null);
    for _ in 0..100 {
        document = get(gateway.addr(), "/openapi.json").await.json();
        if document["paths"].as_object().is_some_and(|paths| paths.len() == 2) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(document["paths"].as_object().unwrap().keys().collect::<Vec<_>>(), ["/as", "/bs"], "only what is served");
    assert_eq!(document["components"]["schemas"], json!({ "Thing": { "type": "string" }, "b_Thing": { "type": "integer" } }));
    assert_eq!((document["info"]["title"].as_str(), document["openapi"].as_str()), (Some("Shop"), Some("3.1.0")));
    let page = get(gateway.addr(), "/docs").await;
    let html = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(page.header("content-security-policy").unwrap().contains("default-src 'none'"));
    assert!(html.contains("openapi.json") && !html.contains("http://") && !html.contains("https://"), "it needs nothing from elsewhere");
    gateway.stop().await;
}
