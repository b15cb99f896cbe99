//! What is done with a request before a service is asked: identity, tokens, limits, origins.

use crate::kit::*;
use minos_cli::gateway::{Gateway, GatewayConfig, TokenError, Verified};
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn nobody_outside_says_who_they_are() {
    let upstream = Upstream::echo().await;
    let gateway = gateway(&service(&[&upstream], "\"GET /foos\"")).await;
    let forged = ["x-user", "X-User-Id", "x_user", "x-minos-user", "minos-user", "x-forwarded-user"];
    let mut headers: Vec<_> = forged.iter().map(|name| (*name, "admin")).collect();
    headers.extend([
        ("authorization", "Bearer t"),
        ("connection", "authorization, x-kept"),
        ("x-kept", "1"),
        ("x-forwarded-for", "6.6.6.6"),
    ]);
    let told = ask(gateway.addr(), "GET", "/foos", &headers, "").await.json();
    for name in forged {
        assert_eq!(header(&told, &name.to_lowercase()), None);
    }
    assert_eq!(header(&told, "authorization").as_deref(), Some("Bearer t"), "the token goes on: the service looks at it again");
    assert_eq!(header(&told, "x-kept"), None, "of this connection only");
    assert_eq!(header(&told, "x-forwarded-for").as_deref(), Some("127.0.0.1"));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_looked_at_first() {
    let upstream = Upstream::echo().await;
    let text = format!(
        "{}[access]\nrequired = true\npublic = [\"GET /open/{{x}}\"]\n[rate]\nper_user = 2\nburst = 1",
        service(&[&upstream], "\"GET /foos\", \"GET /open/{id}\"")
    );
    let verifier = |token: &str| match token.strip_prefix("good-") {
        Some(user) => Ok(Verified { user: user.to_owned(), roles: Vec::new() }),
        None if token == "later" => Err(TokenError::Unavailable("the keys are away".to_owned())),
        None => Err(TokenError::Wrong("the token has expired".to_owned())),
    };
    let config = with_port(GatewayConfig::parse(&text).unwrap());
    let refused = Gateway::new(config.clone()).start().await.err().unwrap().to_string();
    assert!(refused.contains("`access.required` is set, and there is nothing to look at tokens with"), "{refused}");
    let gateway = Gateway::new(config).verifier(Arc::new(verifier)).start().await.unwrap();
    let asked = |path: &'static str, tokens: &'static [&'static str]| {
        let addr = gateway.addr();
        let headers: Vec<_> = tokens.iter().map(|token| ("authorization", *token)).collect();
        async move { ask(addr, "GET", path, &headers, "").await }
    };
    for (path, tokens, status, challenge) in [
        ("/foos", &[][..], 401, "Bearer"),
        ("/foos", &["Bearer bad"], 401, "Bearer error=\"invalid_token\""),
        ("/foos", &["Basic eDp5"], 401, "Bearer error=\"invalid_request\""),
        ("/foos", &["Bearer good-a", "Bearer good-b"], 401, "Bearer error=\"invalid_request\""),
        ("/foos?access_token=good-a", &[], 401, "Bearer"),
        ("/foos", &["Bearer"], 401, "Bearer error=\"invalid_request\""),
    ] {
        let got = asked(path, tokens).await;
        assert_eq!((got.status, got.header("www-authenticate")), (status, Some(challenge)), "{path} {tokens:?}");
        assert_eq!(got.header("content-type"), Some("application/problem+json"));
    }
    let later = asked("/foos", &["Bearer later"]).await;
    assert_eq!((later.status, later.header("retry-after")), (503, Some("1")));
    assert_eq!(upstream.asked(), 0);
    for (tokens, goes_on) in [
        (&[][..], None),
        (&["Bearer bad"], None),
        (&["Bearer later"], None),
        (&["Bearer"], None),
        (&["Bearer\tgood-a"], None),
        (&["Bearer good-a", "Bearer bad"], None),
        (&["Basic eDp5", "Bearer bad"], None),
        (&["Basic eDp5, Bearer bad"], None),
        (&["Basic eDp5"], Some("Basic eDp5")),
        (&["Bearer good-c"], Some("Bearer good-c")),
    ] {
        let got = asked("/open/1", tokens).await;
        assert_eq!((got.status, header(&got.json(), "authorization").as_deref()), (200, goes_on), "{tokens:?}");
    }
    let statuses = [asked("/foos", &["Bearer good-a"]).await.status, asked("/foos", &["Bearer good-a"]).await.status];
    assert_eq!(statuses, [200, 200]);
    let third = asked("/foos", &["Bearer good-a"]).await;
    assert_eq!((third.status, third.header("retry-after")), (429, Some("1")), "of one user");
    assert_eq!(asked("/foos", &["Bearer good-b"]).await.status, 200, "another one");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_have_a_rate() {
    let upstream = Upstream::echo().await;
    let text =
        format!("{}[rate]\nper_client = 5\nburst = 1\n[http]\ntrusted_proxies = [\"127.0.0.1\"]", service(&[&upstream], "\"GET /foos\""));
    let gateway = gateway(&text).await;
    let addr = gateway.addr();
    let asked = async |client: &'static str| ask(addr, "GET", "/foos", &[("x-forwarded-for", client)], "").await;
    let mut passed = 0;
    for _ in 0..20 {
        let got = asked_one(asked("9.9.9.9").await);
        passed += usize::from(got);
    }
    assert!((5..=7).contains(&passed), "{passed}");
    assert_eq!(asked("8.8.8.8").await.status, 200, "another client");
    assert_eq!(upstream.asked(), passed + 1, "what is refused is not asked");
    gateway.stop().await;
}

fn asked_one(got: Got) -> bool {
    assert!(got.status == 200 || (got.status == 429 && got.header("retry-after") == Some("1")), "{got:?}");
    got.status == 200
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_origins_are_told_what_they_may() {
    let upstream = Upstream::new(async |_| {
        let mut answer = answer(200, "{}");
        answer.headers_mut().insert("access-control-allow-origin", "*".parse().unwrap());
        // As some add to each answer, and not to those to preflights only.
        answer.headers_mut().insert("access-control-max-age", "600".parse().unwrap());
        answer
    })
    .await;
    let text = format!(
        "{}[cors]\norigins = [\"https://shop.example\"]\ncredentials = true",
        service(&[&upstream], "\"GET /foos\", \"PUT /foos\"")
    );
    let gateway = gateway(&text).await;
    let addr = gateway.addr();
    let preflight = async |origin: &'static str| {
        ask(addr, "OPTIONS", "/foos", &[("origin", origin), ("access-control-request-method", "PUT")], "").await
    };
    let good = preflight("https://shop.example").await;
    assert_eq!(
        (good.status, good.header("access-control-allow-origin"), good.header("access-control-allow-credentials")),
        (204, Some("https://shop.example"), Some("true"))
    );
    assert_eq!(good.header("access-control-allow-methods"), Some("GET, PUT, HEAD, OPTIONS"));
    assert!(
        good.header("access-control-allow-headers").unwrap().contains("authorization")
            && good.header("access-control-max-age") == Some("600")
    );
    assert_eq!(preflight("https://evil.example").await.header("access-control-allow-origin"), None);
    assert_eq!(upstream.asked(), 0, "the gateway answers preflights");
    let addr = gateway.addr();
    let asked = async |origin: &'static str| ask(addr, "GET", "/foos", &[("origin", origin)], "").await;
    let good = asked("https://shop.example").await;
    assert_eq!((good.header("access-control-allow-origin"), good.header("vary")), (Some("https://shop.example"), Some("origin")));
    assert_eq!(asked("https://evil.example").await.header("access-control-allow-origin"), None, "whatever the service says");
    let nowhere = ask(addr, "GET", "/foos", &[], "").await;
    assert_eq!(
        (nowhere.header("access-control-allow-origin"), nowhere.header("vary")),
        (None, Some("origin")),
        "a cache that keeps it knows that it is not for pages"
    );
    let missing = ask(gateway.addr(), "GET", "/x", &[("origin", "https://shop.example")], "").await;
    assert_eq!(
        (missing.status, missing.header("access-control-allow-origin")),
        (404, Some("https://shop.example")),
        "so that the page can read why"
    );
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_protocols_are_refused_and_h2c_is_not_taken_up() {
    let upstream = Upstream::echo().await;
    let gateway = gateway(&service(&[&upstream], "\"GET /foos\"")).await;
    let addr = gateway.addr();
    let upgrade = async |to: &'static str| ask(addr, "GET", "/foos", &[("connection", "upgrade"), ("upgrade", to)], "").await;
    assert_eq!(upgrade("websocket").await.status, 501);
    let got = upgrade("h2c").await;
    assert_eq!((got.status, header(&got.json(), "upgrade")), (200, None));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_in_front_of_itself_is_told() {
    let first = Upstream::echo().await;
    let addr = first.addr;
    first.kill().await;
    let text = format!("[services.foo]\nurls = [\"http://{addr}\"]\nroutes = [\"GET /foos\"]");
    let mut config = GatewayConfig::parse(&text).unwrap();
    config.http.addr = addr;
    let gateway = Gateway::new(config).start().await.unwrap();
    assert_eq!(get(addr, "/foos").await.status, 508);
    gateway.stop().await;
}

/// Of `ada`, with the role `minos:operate`, until the year 2100.
const ADA: &str = "eyJhbGciOiAiSFMyNTYiLCAidHlwIjogIkpXVCJ9.eyJzdWIiOiAiYWRhIiwgImV4cCI6IDQxMDI0NDQ4MDAsICJyb2xlcyI6IFsibWlub3M6b3BlcmF0ZSJdfQ.OIpkqhA011GvziXqOU1bbhkIcqz6zifLMDSCBo_odI8";

#[tokio::test(flavor = "multi_thread")]
async fn tokens_count_as_they_do_for_services() {
    let upstream = Upstream::echo().await;
    let auth = "[auth]\nsecret = \"0123456789abcdef0123456789abcdef\"\n[access]\nrequired = true\n[admin]\naddr = \"127.0.0.1:0\"\nrole = \"minos:operate\"";
    let gateway = gateway(&format!("{}{auth}", service(&[&upstream], "\"GET /foos\""))).await;
    let (addr, admin) = (gateway.addr(), gateway.admin_addr().unwrap());
    let (head, signature) = ADA.rsplit_once('.').unwrap();
    // {"alg":"none"}, as many have taken.
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", head.split('.').nth(1).unwrap());
    let changed = format!("{head}.{}", signature.chars().rev().collect::<String>());
    for (token, expected) in [(ADA, 200), (&unsigned, 401), (&changed, 401), ("x", 401), (&ADA[1..], 401)] {
        let bearer = format!("Bearer {token}");
        assert_eq!(ask(addr, "GET", "/foos", &[("authorization", &bearer)], "").await.status, expected, "{token}");
        assert_eq!(ask(admin, "GET", "/routes", &[("authorization", &bearer)], "").await.status, expected, "{token}");
    }
    assert_eq!((get(addr, "/foos").await.status, upstream.asked()), (401, 1));
    gateway.stop().await;
}
