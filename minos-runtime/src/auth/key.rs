//! The keys that tokens are verified by. Each has its algorithm, and a token cannot choose another one.

use super::{AuthError, token::Token};
use base64::{Engine, prelude::BASE64_STANDARD};
use pkcs1::RsaPublicKeyRef;
use ring::{
    hmac,
    signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey},
};
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};
use std::fmt;

/// RSA keys that are shorter are refused, in bytes.
const SHORTEST_RSA: usize = 256;
/// Longer ones cannot be used.
const LONGEST_RSA: usize = 1024;
/// A point of P-256, as it is, in bytes.
const POINT: usize = 65;

/// `rsaEncryption`.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// `id-ecPublicKey`.
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// `prime256v1`.
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// How tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Hs256,
    Rs256,
    Es256,
}

impl Algorithm {
    const ALL: [Algorithm; 3] = [Algorithm::Hs256, Algorithm::Rs256, Algorithm::Es256];

    /// Its name in tokens (RFC 7518, 3.1).
    pub(super) fn name(self) -> &'static str {
        match self {
            Algorithm::Hs256 => "HS256",
            Algorithm::Rs256 => "RS256",
            Algorithm::Es256 => "ES256",
        }
    }

    pub(super) fn of(name: &str) -> Option<Self> {
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// A key.
pub(super) enum Key {
    Secret(hmac::Key),
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(UnparsedPublicKey<Vec<u8>>),
}

impl Key {
    pub(super) fn secret(secret: &[u8]) -> Self {
        Key::Secret(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// An RSA key of these numbers.
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, &'static str> {
        let (modulus, exponent) = (without_zeros(modulus), without_zeros(exponent));
        match modulus.len() {
            SHORTEST_RSA..=LONGEST_RSA if !exponent.is_empty() => Ok(Key::Rsa { modulus: modulus.to_vec(), exponent: exponent.to_vec() }),
            0..SHORTEST_RSA => Err("an RSA key has 2048 bits at least"),
            _ => Err("an RSA key has 8192 bits at most, and an exponent"),
        }
    }

    /// A key of this point on P-256, as it is: without compression.
    pub(super) fn p256(point: &[u8]) -> Result<Self, &'static str> {
        match point {
            [4, ..] if point.len() == POINT => Ok(Key::P256(UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point.to_vec()))),
            _ => Err("a key of P-256 is a point without compression"),
        }
    }

    /// The public key in a PEM text.
    pub(super) fn pem(text: &str) -> Result<Self, &'static str> {
        let (label, bytes) = unwrapped(text).ok_or("it holds no `-----BEGIN PUBLIC KEY-----` and what belongs to it")?;
        match label {
            "PUBLIC KEY" => public(&bytes),
            "RSA PUBLIC KEY" => rsa_numbers(&bytes),
            "CERTIFICATE" => Err("it holds a certificate: take the key out of it with `openssl x509 -pubkey -noout`"),
            label if label.ends_with("PRIVATE KEY") => {
                Err("it holds a private key, which belongs to who signs tokens: make its public key with `openssl pkey -pubout`")
            }
            _ => Err("it holds no public key"),
        }
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Key::Secret(_) => Algorithm::Hs256,
            Key::Rsa { .. } => Algorithm::Rs256,
            Key::P256(_) => Algorithm::Es256,
        }
    }

    /// That this key has signed the token, by the one algorithm that the key has.
    pub(super) fn verify(&self, token: &Token<'_>) -> Result<(), AuthError> {
        if token.algorithm != Some(self.algorithm()) {
            return Err(AuthError::Algorithm);
        }
        let verified = match self {
            Key::Secret(key) => hmac::verify(key, token.signed, &token.signature),
            Key::Rsa { modulus, exponent } => {
                RsaPublicKeyComponents { n: modulus, e: exponent }.verify(&RSA_PKCS1_2048_8192_SHA256, token.signed, &token.signature)
            }
            Key::P256(key) => key.verify(token.signed, &token.signature),
        };
        verified.map_err(|_| AuthError::Signature)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.algorithm().name())
    }
}

/// A public key with its algorithm (RFC 5280, `SubjectPublicKeyInfo`).
fn public(bytes: &[u8]) -> Result<Key, &'static str> {
    let info = SubjectPublicKeyInfoRef::try_from(bytes).map_err(|_| "its public key cannot be read")?;
    let key = info.subject_public_key.as_bytes().ok_or("its public key cannot be read")?;
    match info.algorithm.oid {
        kind if kind == RSA => rsa_numbers(key),
        kind if kind == EC && info.algorithm.parameters_oid() == Ok(P256) => Key::p256(key),
        kind if kind == EC => Err("its key is on another curve than P-256, which ES256 takes"),
        _ => Err("its key is neither RSA nor of P-256: tokens are signed by RS256 or ES256"),
    }
}

/// The two numbers of an RSA key (RFC 8017, `RSAPublicKey`).
fn rsa_numbers(bytes: &[u8]) -> Result<Key, &'static str> {
    let numbers = RsaPublicKeyRef::try_from(bytes).map_err(|_| "its RSA key cannot be read")?;
    Key::rsa(numbers.modulus.as_bytes(), numbers.public_exponent.as_bytes())
}

/// The same number.
fn without_zeros(mut bytes: &[u8]) -> &[u8] {
    while let [0, rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// The first block of a PEM text: what it is, and its bytes.
fn unwrapped(text: &str) -> Option<(&str, Vec<u8>)> {
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (content, _) = rest.split_once("-----END ")?;
    let content: String = content.split_whitespace().collect();
    Some((label, BASE64_STANDARD.decode(content).ok()?))
}
