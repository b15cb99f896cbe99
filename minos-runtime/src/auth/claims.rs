//! What a token says, and what of it is believed when and by whom.

use super::{AuthError, Identity, User, identity::Parts};
use crate::config::AuthConfig;
use jiff::Timestamp;
use serde_json::{Map, Value};
use std::time::Duration;

/// Where scopes stand unless the configuration says otherwise: `scope` by RFC 8693, `scp` by some issuers.
const SCOPES: [&str; 2] = ["scope", "scp"];
/// The longest id of a user, in bytes.
const LONGEST_ID: usize = 255;

/// What the configuration says of claims.
pub(super) struct Rules {
    issuer: Option<String>,
    audience: Vec<String>,
    leeway: Duration,
    id: String,
    roles: String,
    scopes: Option<String>,
    carry: Vec<String>,
}

impl Rules {
    pub(super) fn of(config: &AuthConfig) -> Self {
        let given = |text: &String| (!text.is_empty()).then(|| text.clone());
        Rules {
            issuer: given(&config.issuer),
            audience: config.audience.clone(),
            leeway: config.leeway,
            id: config.id.clone(),
            roles: config.roles.clone(),
            scopes: given(&config.scopes),
            carry: config.carry.clone(),
        }
    }

    /// The user of whom a token speaks whose signature was verified, if it is to be believed here and now.
    pub(super) fn user(&self, claims: Map<String, Value>, now: Timestamp) -> Result<User, AuthError> {
        self.in_time(&claims, now)?;
        self.for_here(&claims)?;
        let id = match found(&claims, &self.id) {
            Some(Value::String(id)) => id.clone(),
            Some(_) => return Err(wrong(&self.id, "is no text")),
            None => return Err(wrong(&self.id, "is missing: it says who the caller is")),
        };
        if id.is_empty() || id.len() > LONGEST_ID || id.contains(char::is_control) {
            return Err(wrong(&self.id, "has to be a text of 1 to 255 bytes"));
        }
        let roles = words(&claims, &self.roles, false)?;
        let scopes = match &self.scopes {
            Some(name) => words(&claims, name, true)?,
            None => words(&claims, SCOPES.into_iter().find(|name| claims.contains_key(*name)).unwrap_or(SCOPES[0]), true)?,
        };
        let identity =
            Identity::new(Parts { id, is_service: false, roles, scopes, claims }, |claim| self.carry.iter().any(|name| name == claim));
        match identity.text().len() {
            bytes if bytes > Identity::LONGEST => Err(AuthError::TooMuch { bytes, limit: Identity::LONGEST }),
            _ => Ok(identity.into()),
        }
    }

    /// A token that never ends could never be taken back.
    fn in_time(&self, claims: &Map<String, Value>, now: Timestamp) -> Result<(), AuthError> {
        let (now, leeway) = (now.as_duration().as_secs_f64(), self.leeway.as_secs_f64());
        let ends = seconds(claims, "exp")?.ok_or_else(|| wrong("exp", "is missing: it says how long the token is good"))?;
        if now >= ends + leeway {
            return Err(AuthError::Expired);
        }
        match seconds(claims, "nbf")? {
            Some(begins) if now < begins - leeway => Err(AuthError::NotYet),
            _ => Ok(()),
        }
    }

    fn for_here(&self, claims: &Map<String, Value>) -> Result<(), AuthError> {
        if let Some(issuer) = &self.issuer
            && claims.get("iss").and_then(Value::as_str) != Some(issuer)
        {
            return Err(AuthError::Issuer);
        }
        let is_mine = |text: &Value| text.as_str().is_some_and(|text| self.audience.iter().any(|mine| mine == text));
        let is_for_here = match claims.get("aud") {
            None => self.audience.is_empty(),
            Some(Value::Array(all)) => all.iter().any(is_mine),
            Some(one) => is_mine(one),
        };
        if is_for_here { Ok(()) } else { Err(AuthError::Audience) }
    }
}

fn wrong(claim: &str, wrong: &'static str) -> AuthError {
    AuthError::Claim { claim: claim.to_owned(), wrong }
}

/// A claim by its name, which may have dots in it, or by the path to it.
fn found<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<&'c Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let (first, rest) = name.split_once('.')?;
    rest.split('.').try_fold(claims.get(first)?, |value, part| value.get(part))
}

/// A time, in seconds (RFC 7519, `NumericDate`).
fn seconds(claims: &Map<String, Value>, claim: &str) -> Result<Option<f64>, AuthError> {
    match claims.get(claim) {
        None => Ok(None),
        Some(value) => value.as_f64().filter(|seconds| seconds.is_finite()).map(Some).ok_or_else(|| wrong(claim, "is no time in seconds")),
    }
}

/// A list of words. One text is one word, or several with spaces between them.
fn words(claims: &Map<String, Value>, name: &str, spaced: bool) -> Result<Vec<String>, AuthError> {
    match found(claims, name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) if spaced => Ok(text.split_ascii_whitespace().map(str::to_owned).collect()),
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(Value::Array(words)) => {
            let words = words.iter().map(|word| word.as_str().map(str::to_owned)).collect::<Option<_>>();
            words.ok_or_else(|| wrong(name, "is no list of texts"))
        }
        Some(_) => Err(wrong(name, "is no list of texts")),
    }
}
