//! Sets of keys, as issuers publish them (RFC 7517).

use super::key::{Algorithm, Key};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

/// A key of a set, with the name by which tokens mean it.
#[derive(Debug)]
pub(super) struct NamedKey {
    pub(super) kid: Option<String>,
    pub(super) key: Key,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// The members of a key that mean something here.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// The keys of a set by which tokens can be verified. Others may stand in it: for other purposes, or of kinds that are not known here. A secret is none of
/// them: what is published is known to everybody.
pub(super) fn read(text: &[u8]) -> Result<Vec<NamedKey>, &'static str> {
    let Set { keys } = serde_json::from_slice(text).map_err(|_| "it is no set of keys, as `{\"keys\":[…]}` is")?;
    Ok(keys.into_iter().filter_map(|key| usable(serde_json::from_value(key).ok()?)).collect())
}

fn usable(jwk: Jwk) -> Option<NamedKey> {
    let signs = jwk.r#use.as_deref().is_none_or(|r#use| r#use == "sig");
    let verifies = jwk.key_ops.as_ref().is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
    if !signs || !verifies {
        return None;
    }
    let bytes = |part: Option<String>| BASE64_URL_SAFE_NO_PAD.decode(part?).ok();
    let key = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => Key::rsa(&bytes(jwk.n)?, &bytes(jwk.e)?).ok()?,
        ("EC", Some("P-256")) => Key::p256(&[&[4][..], &bytes(jwk.x)?, &bytes(jwk.y)?].concat()).ok()?,
        _ => return None,
    };
    // The same numbers may be meant for another algorithm.
    let is_meant = jwk.alg.is_none_or(|alg| Algorithm::of(&alg) == Some(key.algorithm()));
    is_meant.then_some(NamedKey { kid: jwk.kid, key })
}
