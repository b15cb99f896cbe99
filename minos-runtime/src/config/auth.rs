//! `[auth]`: by what tokens are verified, and what is read from them.

use super::{
    Secret,
    units::{duration, list},
};
use crate::error::{Error, Result};
use serde::Deserialize;
use std::time::Duration;

/// The shortest secret that is one, in bytes: as long as what HS256 makes of it (RFC 7518, 3.2).
const SHORTEST_SECRET: usize = 32;

/// `[auth]`: by what the tokens of callers are verified. If the section is there, every route and topic is closed that is not `public`.
///
/// Exactly one of `secret`, `public_key` and `jwks` is given. It takes the feature `auth`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AuthConfig {
    /// The secret that tokens are signed with by HS256: 32 bytes at least. Whoever knows it can make tokens, so it is for one service, and for trying things out.
    pub secret: Secret,
    /// A PEM file with the public key of who signs tokens: RSA for RS256, or P-256 for ES256. The text of one is as good.
    pub public_key: String,
    /// The set of keys of who signs tokens (RFC 7517): a file, or an `https://…` URL, from which it is fetched again and again.
    pub jwks: String,
    /// How often `jwks` is read again: so long a key that was taken out of it is accepted. Default `"5m"`.
    #[serde(deserialize_with = "duration")]
    pub refresh: Duration,
    /// Who has to have issued a token: its `iss`. Default: anybody who has the key.
    pub issuer: String,
    /// For whom tokens are: one of these has to be in their `aud`. Default: none, and then a token that says for whom it is is refused.
    #[serde(deserialize_with = "list")]
    pub audience: Vec<String>,
    /// How far the clocks of others may be wrong. Default `"30s"`.
    #[serde(deserialize_with = "duration")]
    pub leeway: Duration,
    /// The claim that says who the caller is. Default `"sub"`.
    pub id: String,
    /// The claim with the caller's roles: its name, or a path to it such as `"realm_access.roles"`. Default `"roles"`.
    pub roles: String,
    /// The claim with what the token is for. Default: `scope`, or `scp` if there is none.
    pub scopes: String,
    /// Claims that go with everything that follows from a request: with messages, events and sagas. Default: none, since they are stored with each event.
    #[serde(deserialize_with = "list")]
    pub carry: Vec<String>,
}

impl Default for AuthConfig {
    fn default() -> Self {
        AuthConfig {
            secret: Secret::default(),
            public_key: String::new(),
            jwks: String::new(),
            refresh: Duration::from_secs(300),
            issuer: String::new(),
            audience: Vec::new(),
            leeway: Duration::from_secs(30),
            id: "sub".to_owned(),
            roles: "roles".to_owned(),
            scopes: String::new(),
            carry: Vec::new(),
        }
    }
}

/// By what tokens are verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifiedBy<'c> {
    /// The secret that they are signed with.
    Secret(&'c Secret),
    /// A file with a public key, or its text.
    PublicKey(&'c str),
    /// A file with a set of keys, or its URL.
    Jwks(&'c str),
}

impl AuthConfig {
    /// The one thing that tokens are verified by.
    ///
    /// # Errors
    /// If it is not exactly one, or a secret that is too short to be one.
    pub fn verified_by(&self) -> Result<VerifiedBy<'_>> {
        let given = [
            (!self.secret.is_empty()).then_some(VerifiedBy::Secret(&self.secret)),
            (!self.public_key.is_empty()).then_some(VerifiedBy::PublicKey(&self.public_key)),
            (!self.jwks.is_empty()).then_some(VerifiedBy::Jwks(&self.jwks)),
        ];
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(VerifiedBy::Secret(secret)), None) if secret.expose().len() < SHORTEST_SECRET => Err(Error::invalid(format!(
                "`auth.secret` has {} bytes, and {SHORTEST_SECRET} are the least: make one with `openssl rand -base64 48`",
                secret.expose().len()
            ))),
            (Some(one), None) => Ok(one),
            (None, _) => {
                Err(Error::invalid("`[auth]` does not say by what tokens are verified: it needs one of `secret`, `public_key` and `jwks`"))
            }
            (Some(_), Some(_)) => Err(Error::invalid(
                "`[auth]` says more than one of `secret`, `public_key` and `jwks`: keep the one that tokens are signed by",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    fn wrong(lines: &str) -> String {
        Config::parse(&format!("[service]\nname = \"foo\"\n[auth]\n{lines}")).unwrap_err().to_string()
    }

    #[test]
    fn exactly_one_thing_verifies_tokens() {
        let secret = "0123456789abcdef0123456789abcdef";
        let config = Config::parse(&format!("[service]\nname = \"foo\"\n[auth]\nsecret = \"{secret}\"\naudience = \"a, b\"")).unwrap();
        assert_eq!(config.auth.as_ref().unwrap().audience, ["a", "b"]);
        assert!(!format!("{config:?}").contains(secret), "it is shown nowhere");
        let list = Config::parse(&format!("[service]\nname = \"foo\"\n[auth]\nsecret = \"{secret}\"\naudience = [\"a, b\"]")).unwrap();
        assert_eq!(list.auth.unwrap().audience, ["a, b"]);
        assert!(wrong("").ends_with("it needs one of `secret`, `public_key` and `jwks`"), "{}", wrong(""));
        assert!(wrong("secret = \"\"").ends_with("it needs one of `secret`, `public_key` and `jwks`"), "an empty variable opens nothing");
        let short = wrong("secret = \"0123456789abcdef0123456789abcde\"");
        assert!(short.contains("has 31 bytes") && !short.contains("0123456789abcde"), "{short}");
        let two = wrong(&format!("secret = \"{secret}\"\njwks = \"keys.json\""));
        assert!(two.contains("says more than one of"), "{two}");
        assert!(Config::parse("[service]\nname = \"foo\"").unwrap().auth.is_none());
    }
}
