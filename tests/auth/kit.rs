//! An issuer of tokens, and services that believe it.

use crate::{
    common::{Answer, config, send},
    tokens::{Signed, claims, jwks, token},
};
use minos::{Running, Service};
use serde_json::{Value, json};
use std::{fs, net::SocketAddr};

/// The crate of this program, in which the modules of services are.
pub const HERE: &str = env!("CARGO_CRATE_NAME");
pub const ISSUER: &str = "https://issuer.example";

/// Publishes keys in a file.
pub struct Issuer(tempfile::TempDir);

impl Issuer {
    pub fn new(keys: &[(&str, &str)]) -> Self {
        let issuer = Issuer(tempfile::tempdir().unwrap());
        issuer.publish(keys);
        issuer
    }

    pub fn publish(&self, keys: &[(&str, &str)]) {
        fs::write(self.0.path().join("keys.json"), jwks(keys).to_string()).unwrap();
    }

    /// The section of a service that believes it.
    pub fn section(&self) -> String {
        let keys = self.0.path().join("keys.json");
        format!("\n[auth]\njwks = \"{}\"\nrefresh = \"50ms\"\nissuer = \"{ISSUER}\"\naudience = \"tests\"\n", keys.display())
    }

    /// A service with the handlers of these modules of this program.
    pub fn service(&self, name: &str, modules: &[&str]) -> Service {
        let store = format!("sqlite://{}", self.0.path().join(format!("{name}-{}.db", modules.join("-").replace("::", "-"))).display());
        let text = format!("{}{}", config(name, &store), self.section());
        let service = crate::prepared(Service::from_toml(&text).unwrap());
        modules.iter().fold(service, |service, module| service.module(format!("{HERE}::{module}")))
    }

    pub async fn start(&self, name: &str, modules: &[&str]) -> Running {
        self.service(name, modules).start().await.unwrap()
    }
}

/// The claims of a good token, with these in addition or instead.
pub fn good(other: Value) -> Value {
    let mut all = json!({ "iss": ISSUER, "aud": "tests" });
    all.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    claims(all)
}

/// A token that is signed with this key.
pub fn signed(kid: &str, name: &str, other: Value) -> String {
    token(&json!({ "alg": "RS256", "typ": "JWT", "kid": kid }), &good(other), Signed::Rsa(name))
}

/// A good token with these claims.
pub fn token_of(other: Value) -> String {
    signed("1", "rsa.der", other)
}

/// The header for it.
pub fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

pub async fn ask(addr: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    send(addr, method, path, headers, body).await.unwrap()
}
