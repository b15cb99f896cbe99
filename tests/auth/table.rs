//! Every route of the examples, with every token that is no good, and every way around.

use crate::{
    common::{Answer, get, until},
    kit::{HERE, Issuer, ask, bearer, good, signed, token_of},
    tokens::{Signed, key, token},
};
use minos::{
    __private::{Access, HandlerDef},
    Service,
};
use serde_json::json;
use std::{fs, path::PathBuf};

/// The services of an example, which run at once: each with its modules in this program.
pub struct Group {
    /// Its directory.
    pub example: &'static str,
    pub services: &'static [(&'static str, &'static [&'static str])],
}

/// The directory of the examples, or of one.
pub fn examples(one: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).join(one)
}

/// How many routes stand in the files of an example, as they are written.
fn routes_written(example: &str) -> usize {
    let files = fs::read_dir(examples(example)).unwrap().map(|entry| entry.unwrap().path());
    let texts = files.filter(|path| path.extension().is_some_and(|ending| ending == "rs")).map(|path| fs::read_to_string(path).unwrap());
    let written = texts.map(|text| ["GET", "POST", "PUT", "PATCH", "DELETE"].map(|method| text.matches(&format!("{method} \"/")).count()));
    written.flatten().sum()
}

/// Each route of these modules, with something for its parameters, and who may have it.
fn routes(modules: &[&str]) -> Vec<(&'static str, String, Access)> {
    let mine = |def: &&HandlerDef| modules.iter().any(|module| def.module == format!("{HERE}::{module}"));
    let defs = minos::__private::inventory::iter::<HandlerDef>.into_iter().filter(mine);
    let routes = defs.flat_map(|def| def.routes.iter().map(|route| (route, def.access))).map(|((method, path), access)| {
        let parts = path.split('/').map(|part| if part.starts_with('{') { "018f2d3c-5e50-7e5a-8c40-5bb4ad1c2a11" } else { part });
        (*method, parts.collect::<Vec<_>>().join("/"), access)
    });
    routes.collect()
}

/// A route that any known caller may have.
fn for_the_known(modules: &[&str]) -> (&'static str, String) {
    let (method, path, _) = routes(modules).into_iter().find(|(_, _, access)| *access == Access::CLOSED).unwrap();
    (method, path)
}

/// Each way to come without a good token: its name, the headers, and the status that is answered.
fn bad_tokens(now: i64) -> Vec<(&'static str, String, u16)> {
    let (pem, header) = (fs::read(key("rsa.pub.pem")).unwrap(), |alg: &str| json!({ "alg": alg, "typ": "JWT", "kid": "1" }));
    let of = |header: serde_json::Value, signed: Signed<'_>| bearer(&token(&header, &good(json!({})), signed));
    let with = |claims: serde_json::Value| bearer(&token_of(claims));
    let fine = bearer(&token_of(json!({})));
    let token = token_of(json!({}));
    vec![
        ("no token", String::new(), 401),
        ("an empty header", "authorization:\r\n".to_owned(), 401),
        ("an empty token", bearer(""), 401),
        ("another scheme", format!("authorization: Basic {token}\r\n"), 401),
        ("no scheme", format!("authorization: {token}\r\n"), 401),
        ("another header", format!("x-authorization: Bearer {token}\r\n"), 401),
        ("a cookie", format!("cookie: token={token}; access_token={token}\r\n"), 401),
        ("two tokens", format!("{fine}{fine}"), 400),
        ("alg none", of(header("none"), Signed::As(&[])), 401),
        ("alg none, but signed", of(header("none"), Signed::Rsa("rsa.der")), 401),
        ("the public key as a secret", of(header("HS256"), Signed::Secret(&pem)), 401),
        ("another key", of(header("RS256"), Signed::Rsa("other.der")), 401),
        ("another kind of key", of(header("ES256"), Signed::P256("p256.der")), 401),
        ("no signature", of(header("RS256"), Signed::As(&[])), 401),
        ("another signature", format!("{}{}\r\n", &fine[..fine.len() - 8], "AAAAAA"), 401),
        ("another audience", with(json!({ "aud": "others" })), 401),
        ("no audience", with(json!({ "aud": null })), 401),
        ("another issuer", with(json!({ "iss": "https://evil.example" })), 401),
        ("no issuer", with(json!({ "iss": null })), 401),
        ("expired", with(json!({ "exp": now - 60 })), 401),
        ("no end", with(json!({ "exp": null })), 401),
        ("not yet", with(json!({ "nbf": now + 60 })), 401),
        ("nobody", with(json!({ "sub": null })), 401),
        ("an unknown key", bearer(&signed("7", "rsa.der", json!({}))), 401),
        ("a revoked key", bearer(&signed("2", "other.der", json!({}))), 401),
        ("a huge token", with(json!({ "x": "x".repeat(16_000) })), 401),
        ("a header that says who it is", HEADERS.to_owned(), 401),
        ("the same with a token that is none", format!("{HEADERS}{}", bearer("x.y.z")), 401),
    ]
}

/// What proxies and other frameworks say users in.
const HEADERS: &str = "x-user: ada\r\nuser: {\"id\":\"ada\",\"roles\":[\"admin\"]}\r\nx-minos-user: ada\r\nx-forwarded-user: ada\r\nx-auth-request-user: ada\r\nx-roles: admin\r\nremote-user: ada\r\n";

/// Ways to write a path otherwise, none of which is a path of the service.
fn tricks(path: &str) -> Vec<String> {
    let (first, rest) = path[1..].split_once('/').map_or((&path[1..], String::new()), |(first, rest)| (first, format!("/{rest}")));
    let encoded = format!("/%{:02X}{}{rest}", first.as_bytes()[0], &first[1..]);
    vec![
        format!("/{path}"),
        format!("//{path}"),
        format!("{path}/"),
        format!("/%2e{path}"),
        format!("/.{path}"),
        format!("/x/..{path}"),
        format!("/x/%2e%2e{path}"),
        format!("/{}{rest}", first.to_uppercase()),
        format!("/{first};a=b{rest}"),
        format!("/{first}%00{rest}"),
        format!("/{first}%2F{rest}"),
        format!("/{first}%20{rest}"),
        encoded,
    ]
}

fn is_problem(answer: &Answer, what: &str) {
    assert!(answer.head.contains("application/problem+json"), "{what}: {answer:?}");
    let challenge = answer.head.to_ascii_lowercase().contains("www-authenticate: bearer realm=");
    assert_eq!(challenge, matches!(answer.status, 400 | 401 | 403), "{what}: {answer:?}");
}

/// Every route of these groups, with everything that lets nobody in.
pub async fn nobody_gets_in(groups: &[Group]) {
    let issuer = Issuer::new(&[("1", "rsa.der"), ("2", "other.der")]);
    let (now, mut seen) = (minos::Timestamp::now().as_second(), 0);
    let (mut expected, mut running_services) = (0, Vec::new());
    for group in groups {
        let services: Vec<_> = group.services.iter().map(|(name, modules)| issuer.service(name, modules)).collect();
        let running = Service::start_all(services).await.unwrap();
        running_services.extend(running.into_iter().zip(group.services));
        expected += routes_written(group.example);
    }
    let revoked = bearer(&signed("2", "other.der", json!({})));
    for (running, (_, modules)) in &running_services {
        let (method, path) = for_the_known(modules);
        assert!(![401, 403].contains(&ask(running.addr(), method, &path, &revoked, "").await.status), "the second key is good at first");
    }
    issuer.publish(&[("1", "rsa.der")]);
    let (bad, fine) = (bad_tokens(now), token_of(json!({})));
    for (running, (name, modules)) in &running_services {
        let addr = running.addr();
        let (method, path) = for_the_known(modules);
        until("the second key is revoked", async || ask(addr, method, &path, &revoked, "").await.status == 401).await;
        for (method, path, access) in routes(modules) {
            let at = |how: &str| format!("{name}: {method} {path}: {how}");
            for (how, headers, status) in &bad {
                let answer = ask(addr, method, &path, headers, "").await;
                if access.public {
                    assert_eq!(answer.status, 200, "{}: {answer:?}", at(how));
                    assert!(!answer.body.contains("ada"), "nobody is known by that: {}: {answer:?}", at(how));
                    continue;
                }
                assert_eq!(answer.status, *status, "{}: {answer:?}", at(how));
                is_problem(&answer, &at(how));
            }
            for query in [format!("access_token={fine}"), format!("token={fine}"), format!("authorization=Bearer%20{fine}")] {
                let answer = ask(addr, method, &format!("{path}?{query}"), "", "").await;
                assert_eq!(answer.status, if access.public { 200 } else { 401 }, "{}", at("a token in the query"));
            }
            for trick in tricks(&path) {
                for headers in [String::new(), bearer(&fine)] {
                    let answer = ask(addr, method, &trick, &headers, "").await;
                    assert_eq!(answer.status, 404, "{}: {answer:?}", at(&trick));
                }
            }
            let answer = ask(addr, method, &path, &bearer(&fine), "").await;
            if access.is_limited() {
                assert_eq!(answer.status, 403, "{}: {answer:?}", at("a good token of somebody else"));
                is_problem(&answer, &at("a good token of somebody else"));
            }
            let admitted = token_of(json!({ "roles": access.roles.first(), "scope": access.scopes.join(" ") }));
            let answer = ask(addr, method, &path, &bearer(&admitted), "").await;
            assert!(![401, 403].contains(&answer.status), "{}: {answer:?}", at("a good token"));
            seen += 1;
        }
        for open in ["/health", "/health/ready", "/metrics"] {
            assert_eq!(get(addr, open).await.status, 200, "{name}: {open}");
        }
    }
    assert_eq!(seen, expected, "routes that were seen, and those that stand in the files of these examples");
    for (running, _) in running_services {
        running.stop().await;
    }
}
