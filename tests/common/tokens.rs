//! Tokens, good and bad, as nobody else makes them.

#![allow(dead_code, unreachable_pub, reason = "not every test needs all of it")]

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as URL};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents},
};
use serde_json::{Value, json};
use std::{fs, path::PathBuf};

/// The secret of services that have one.
pub const SECRET: &str = "a secret of tests that is long enough";

/// A file of `tests/keys`.
pub fn key(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let root = if root.ends_with("minos-runtime") { root.join("..") } else { root };
    root.join("tests/keys").join(name)
}

/// How a token is signed.
#[derive(Clone, Copy)]
pub enum Signed<'s> {
    Secret(&'s [u8]),
    /// With the key in this file.
    Rsa(&'s str),
    P256(&'s str),
    /// With these bytes.
    As(&'s [u8]),
}

/// A token of this header and these claims, each as they are.
pub fn token(header: &Value, claims: &Value, signed: Signed<'_>) -> String {
    let text = format!("{}.{}", URL.encode(header.to_string()), URL.encode(claims.to_string()));
    let (message, random) = (text.as_bytes(), SystemRandom::new());
    let read = |name: &str| fs::read(key(name)).unwrap();
    let signature = match signed {
        Signed::Secret(secret) => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec(),
        Signed::Rsa(name) => {
            let pair = RsaKeyPair::from_pkcs8(&read(name)).unwrap();
            let mut signature = vec![0; pair.public().modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
            signature
        }
        Signed::P256(name) => {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &read(name), &random).unwrap();
            pair.sign(&random, message).unwrap().as_ref().to_vec()
        }
        Signed::As(bytes) => bytes.to_vec(),
    };
    format!("{text}.{}", URL.encode(signature))
}

/// A set with these keys: their names, and the files of the RSA keys.
pub fn jwks(keys: &[(&str, &str)]) -> Value {
    let keys = keys.iter().map(|(kid, name)| {
        let pair = RsaKeyPair::from_pkcs8(&fs::read(key(name)).unwrap()).unwrap();
        let RsaPublicKeyComponents::<Vec<u8>> { n, e } = pair.public().into();
        json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": URL.encode(n), "e": URL.encode(e) })
    });
    json!({ "keys": keys.collect::<Vec<_>>() })
}

/// The header of a token that is signed by this algorithm.
pub fn header(alg: &str) -> Value {
    json!({ "alg": alg, "typ": "JWT" })
}

/// Good claims, with these in addition or instead.
pub fn claims(other: Value) -> Value {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let mut claims = json!({ "sub": "ada", "iat": now, "exp": now + 600 });
    if let (Some(claims), Value::Object(other)) = (claims.as_object_mut(), other) {
        claims.extend(other);
        claims.retain(|_, value| !value.is_null());
    }
    claims
}
