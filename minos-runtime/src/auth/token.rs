//! A token as it comes: a JWS in its compact form (RFC 7515), with claims in it (RFC 7519).

use super::{AuthError, key::Algorithm};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value};

/// How long a token may be, in bytes: what is longer holds more than belongs into each request.
pub(super) const LONGEST: usize = 8 * 1024;

/// What kinds of tokens are for access (RFC 9068). One that says it is of another kind was made for something else.
const TYPES: [&str; 2] = ["JWT", "at+jwt"];

/// A token whose form is right. Nothing that it says is true before its signature was verified.
pub(super) struct Token<'t> {
    /// Which algorithm it says that it is signed by, if it is one that is known here.
    pub(super) algorithm: Option<Algorithm>,
    /// Which key it says that it is signed with.
    pub(super) kid: Option<String>,
    /// What is signed.
    pub(super) signed: &'t [u8],
    pub(super) signature: Vec<u8>,
    claims: &'t str,
}

/// The parts of the header that mean something here. Where it says by itself which key is to be believed (`jwk`, `jku`, `x5u`), it is not listened to.
#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    typ: Option<String>,
    #[serde(default)]
    crit: Option<IgnoredAny>,
}

impl<'t> Token<'t> {
    pub(super) fn parse(text: &'t str) -> Result<Self, AuthError> {
        if text.len() > LONGEST {
            return Err(AuthError::TooLong(LONGEST));
        }
        let parts = text.rsplit_once('.').and_then(|(signed, signature)| Some((signed, signed.split_once('.')?, signature)));
        let Some((signed, (header, claims), signature)) = parts.filter(|(_, (_, claims), _)| !claims.contains('.')) else {
            return Err(AuthError::Malformed("it has three parts with `.` between them"));
        };
        let Header { alg, kid, typ, crit } =
            serde_json::from_slice(&decoded(header)?).map_err(|_| AuthError::Malformed("its header cannot be read"))?;
        if crit.is_some() {
            return Err(AuthError::Malformed("its header says that something else has to be understood"));
        }
        let kind = typ.as_deref().map(|typ| typ.strip_prefix("application/").unwrap_or(typ));
        if kind.is_some_and(|kind| !TYPES.iter().any(|known| known.eq_ignore_ascii_case(kind))) {
            return Err(AuthError::Malformed("it is of another type than `JWT`"));
        }
        Ok(Token { algorithm: Algorithm::of(&alg), kid, signed: signed.as_bytes(), signature: decoded(signature)?, claims })
    }

    /// What it says. To be asked when its signature is verified.
    pub(super) fn claims(&self) -> Result<Map<String, Value>, AuthError> {
        serde_json::from_slice(&decoded(self.claims)?).map_err(|_| AuthError::Malformed("its claims cannot be read"))
    }
}

fn decoded(part: &str) -> Result<Vec<u8>, AuthError> {
    BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| AuthError::Malformed("its parts are base64url without padding"))
}
