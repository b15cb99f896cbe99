//! Tokens, looked at before anything is asked.

use super::{
    Ids,
    problem::{later, problem, set},
};
use crate::gateway::upstream::Body;
use http::{HeaderMap, Response, StatusCode, header};
use minos_runtime::http::Credentials;
use std::{
    future::{Future, ready},
    pin::Pin,
    sync::Arc,
};

/// Who a token says that somebody is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Whose requests are counted together.
    pub user: String,
    /// What they may do.
    pub roles: Vec<String>,
}

/// Why a token does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// What is wrong with it, and nothing else: this is told to the client.
    #[error("{0}")]
    Wrong(String),
    /// It cannot be looked at now.
    #[error("{0}")]
    Unavailable(String),
}

/// What looking at a token comes to.
pub type Verifying<'t> = Pin<Box<dyn Future<Output = Result<Verified, TokenError>> + Send + 't>>;

/// Looks at tokens.
pub trait Verifier: Send + Sync + 'static {
    /// Who it is.
    fn verify<'t>(&'t self, token: &'t str) -> Verifying<'t>;
}

/// What needs no waiting can be a function.
impl<F: Fn(&str) -> Result<Verified, TokenError> + Send + Sync + 'static> Verifier for F {
    fn verify<'t>(&'t self, token: &'t str) -> Verifying<'t> {
        Box::pin(ready(self(token)))
    }
}

/// What a request has as its token.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Token<'h> {
    None,
    Bearer(&'h str),
    /// Of another scheme, which is the service's to look at.
    Other,
    /// It cannot be read, or there are several: who reads the other one would see somebody else.
    Malformed(&'static str),
}

pub(in crate::gateway) fn token(headers: &HeaderMap) -> Token<'_> {
    match Credentials::of(headers) {
        Credentials::Nothing => Token::None,
        Credentials::Bearer(token) if !token.is_empty() => Token::Bearer(token),
        Credentials::Other(text) if is_another_scheme(text) => Token::Other,
        Credentials::Bearer(_) | Credentials::Other(_) => Token::Malformed(NO_BEARER),
        Credentials::Several => Token::Malformed("there is more than one `Authorization`"),
        Credentials::Unreadable => Token::Malformed("`Authorization` is no text"),
    }
}

const NO_BEARER: &str = "`Authorization` has to be `Bearer` and a token";

/// Whether a scheme and something behind it is said, in which nobody who reads it more loosely could find a token.
fn is_another_scheme(text: &str) -> bool {
    let is_word =
        |scheme: &str| !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let mentions_bearer = || text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word.eq_ignore_ascii_case("bearer"));
    text.split_once(' ').is_some_and(|(scheme, _)| is_word(scheme)) && !mentions_bearer()
}

/// Why a request does not say whose it is.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Unknown {
    /// It has no token.
    Nobody,
    /// It says something by another scheme.
    Scheme,
    /// It cannot be said what the token is.
    Malformed(&'static str),
    /// The token is no good.
    Wrong(String),
    /// It cannot be looked at now.
    Unavailable,
}

impl Unknown {
    /// What the client is told where somebody has to be known (RFC 6750, 3).
    pub(in crate::gateway) fn told(&self, ids: &Ids) -> Response<Body> {
        let (challenge, detail) = match self {
            Unknown::Nobody => ("Bearer", "this needs a token: send `Authorization: Bearer …`"),
            Unknown::Scheme => ("Bearer error=\"invalid_request\"", NO_BEARER),
            Unknown::Malformed(why) => ("Bearer error=\"invalid_request\"", *why),
            Unknown::Wrong(why) => ("Bearer error=\"invalid_token\"", why.as_str()),
            Unknown::Unavailable => {
                let detail = "the token cannot be looked at now; nothing was done; try again later";
                return later(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail, 1, ids);
            }
        };
        let mut answer = problem(StatusCode::UNAUTHORIZED, "unauthorized", detail, ids);
        set(&mut answer, header::WWW_AUTHENTICATE, challenge);
        answer
    }
}

/// Who may see and do what the operator may.
pub(in crate::gateway) struct Operators {
    pub(in crate::gateway) token: String,
    pub(in crate::gateway) role: String,
    pub(in crate::gateway) verifier: Option<Arc<dyn Verifier>>,
}

impl Operators {
    /// What they have shown; none if they are no operators.
    pub(in crate::gateway) async fn shown(&self, headers: &HeaderMap) -> Option<Shown> {
        if Credentials::of(headers).are(&self.token) {
            return Some(Shown::OwnToken);
        }
        let Token::Bearer(token) = token(headers) else { return None };
        let verifier = self.verifier.as_ref().filter(|_| !self.role.is_empty())?;
        verifier.verify(token).await.is_ok_and(|verified| verified.roles.contains(&self.role)).then_some(Shown::Role)
    }
}

/// What somebody has shown who is an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum Shown {
    /// `admin.token`, which is a secret between them and the gateway.
    OwnToken,
    /// A token of the role, which others may know as well.
    Role,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_token_is_one_bearer() {
        assert_eq!(token(&headers(&[])), Token::None);
        assert_eq!(token(&headers(&["Bearer abc"])), Token::Bearer("abc"));
        assert_eq!(token(&headers(&["bearer  abc"])), Token::Bearer("abc"));
        for other in ["Basic eDp5", "Digest username=\"x\"", "AWS4-HMAC-SHA256 Credential=x"] {
            assert_eq!(token(&headers(&[other])), Token::Other, "{other}");
        }
        for wrong in [
            &["Bearer a", "Bearer b"][..],
            &["Basic eDp5", "Bearer a"],
            &["Bearer"],
            &["Bearer "],
            &["Bearer\ta b"],
            &["Basic eDp5, Bearer a"],
            &["a.b.c"],
            &["a.b.c d"],
            &[" x"],
            &[""],
        ] {
            assert!(matches!(token(&headers(wrong)), Token::Malformed(_)), "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn an_operator_has_the_token_or_the_role() {
        let verifier = |token: &str| match token {
            "chief" => Ok(Verified { user: "u".into(), roles: vec!["minos:operate".into()] }),
            "clerk" => Ok(Verified { user: "u".into(), roles: vec!["clerk".into()] }),
            _ => Err(TokenError::Wrong("no".to_owned())),
        };
        let operators = Operators { token: "0123456789abcdef".into(), role: "minos:operate".into(), verifier: Some(Arc::new(verifier)) };
        for (value, expected) in [
            ("Bearer 0123456789abcdef", Some(Shown::OwnToken)),
            ("Bearer 0123456789abcdeg", None),
            ("Bearer 0123456789abcde", None),
            ("Bearer chief", Some(Shown::Role)),
            ("Bearer clerk", None),
            ("Bearer x", None),
        ] {
            assert_eq!(operators.shown(&headers(&[value])).await, expected, "{value}");
        }
        assert_eq!(operators.shown(&headers(&[])).await, None);
        let nobody = Operators { token: String::new(), role: String::new(), verifier: Some(Arc::new(verifier)) };
        for value in ["Bearer chief", "Bearer "] {
            assert_eq!(nobody.shown(&headers(&[value])).await, None, "{value}");
        }
    }
}
