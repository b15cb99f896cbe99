//! Who may pass: the token of a request, and what the handler demands of its user. Asked before anything else of the request is read.
//!
//! Nothing but the header `Authorization` says who somebody is. Other headers that look as if they did, and tokens in the query string, are not read.

use super::{
    credentials::Credentials,
    host::is_for_this_machine,
    problem::{self, Answer},
};
use crate::{
    auth::{Access, AuthError, Denied, User},
    config::Secret,
    handler::HandlerDef,
};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use uuid::Uuid;

/// Looks who asks, and lets nobody pass who may not.
pub struct Guard {
    #[cfg(feature = "auth")]
    verifier: Option<crate::auth::Verifier>,
    rules: Rules,
    /// What a client is to ask its user a token for: the service's name.
    realm: String,
}

/// Who may call what.
enum Rules {
    /// Each handler says it.
    OfHandlers,
    /// An operator's API: who may look, and who may change something.
    #[cfg(feature = "auth")]
    OfOperators { reads: Access, operates: Access },
    /// Who asks under a name of this machine may have everything. Others are told what to do instead.
    ThisMachine { instead: &'static str },
    /// Who shows this token may have everything. Others are told where it is to be written.
    OneToken { token: Secret, hint: &'static str },
}

/// Why somebody does not pass.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It cannot be said which of them is meant.
    TwoTokens,
    Token(AuthError),
    Denied(Denied),
    /// It is not the one token that counts; where that is to be written.
    WrongToken(&'static str),
    /// It is for this machine, and asked under another name; what can be done instead.
    Elsewhere(&'static str),
}

impl Guard {
    /// A guard of a service's handlers who knows nobody but whom a layer vouches for.
    pub fn of_handlers(service: &str) -> Self {
        Guard::new(service, Rules::OfHandlers)
    }

    /// A guard of what is open at this machine, for who is at it: it has to be asked under a name of this machine, or a page from elsewhere could ask it through a browser. Others are told what to do `instead`.
    pub fn of_this_machine(service: &str, instead: &'static str) -> Self {
        Guard::new(service, Rules::ThisMachine { instead })
    }

    /// A guard of what takes one token, which is the same for everybody. Others are told by the `hint` where to write it.
    pub fn of_token(service: &str, token: Secret, hint: &'static str) -> Self {
        Guard::new(service, Rules::OneToken { token, hint })
    }

    fn new(service: &str, rules: Rules) -> Self {
        Guard {
            #[cfg(feature = "auth")]
            verifier: None,
            rules,
            realm: service.to_owned(),
        }
    }

    /// The same who takes tokens.
    #[cfg(feature = "auth")]
    #[must_use]
    pub fn verifying(mut self, verifier: crate::auth::Verifier) -> Self {
        self.verifier = Some(verifier);
        self
    }

    /// The same for an operator's API: who has the first role or the second may look, who has the second may change something.
    #[cfg(feature = "auth")]
    #[must_use]
    pub(crate) fn of_operators(mut self, read_role: &str, operate_role: &str) -> Self {
        // What handlers demand lives as long as the program, and a program starts its services once.
        let role = |role: &str| -> &'static str { Box::leak(role.to_owned().into_boxed_str()) };
        let (read, operate) = (role(read_role), role(operate_role));
        let of = |roles: &[&'static str]| Access::of(Box::leak(Box::<[&'static str]>::from(roles)), &[]);
        self.rules = Rules::OfOperators { reads: of(&[read, operate]), operates: of(&[operate]) };
        self
    }

    /// What it looks at, for the operator.
    pub(crate) fn describe(&self) -> &'static str {
        match self.rules {
            Rules::OfHandlers => "what handlers say",
            #[cfg(feature = "auth")]
            Rules::OfOperators { .. } => "roles",
            Rules::ThisMachine { .. } => "none (open at this machine)",
            Rules::OneToken { .. } => "one token",
        }
    }

    fn access(&self, def: &HandlerDef) -> Access {
        match &self.rules {
            Rules::OfHandlers => def.access,
            // The page itself tells nothing.
            #[cfg(feature = "auth")]
            Rules::OfOperators { .. } if def.access.public => def.access,
            #[cfg(feature = "auth")]
            Rules::OfOperators { reads, .. } if def.kind == crate::handler::Kind::Query => *reads,
            #[cfg(feature = "auth")]
            Rules::OfOperators { operates, .. } => *operates,
            Rules::ThisMachine { .. } | Rules::OneToken { .. } => Access::PUBLIC,
        }
    }

    /// The user who asks for this handler, if they may have it. Where everybody may, a token that is no good says no more than none.
    pub(super) async fn admit(&self, def: &HandlerDef, uri: &Uri, headers: &HeaderMap, vouched_for: &User) -> Result<User, Refusal> {
        match &self.rules {
            _ if def.access.public => {}
            Rules::ThisMachine { instead } if !is_for_this_machine(uri, headers) => return Err(Refusal::Elsewhere(instead)),
            Rules::OneToken { token, hint } if !Credentials::of(headers).are(token.expose()) => return Err(Refusal::WrongToken(hint)),
            _ => {}
        }
        let access = self.access(def);
        let user = match self.user(headers, vouched_for).await {
            Ok(user) => user,
            Err(_) if access.public => User::anonymous(),
            Err(refusal) => return Err(refusal),
        };
        access.admit(&user).map_err(Refusal::Denied)?;
        Ok(user)
    }

    async fn user(&self, headers: &HeaderMap, vouched_for: &User) -> Result<User, Refusal> {
        if !vouched_for.is_anonymous() {
            return Ok(vouched_for.clone());
        }
        match Credentials::of(headers) {
            Credentials::Nothing | Credentials::Other(_) => Ok(User::anonymous()),
            Credentials::Bearer(token) => self.verify(token).await.map_err(Refusal::Token),
            Credentials::Several => Err(Refusal::TwoTokens),
            Credentials::Unreadable => Err(Refusal::Token(AuthError::Malformed("it is ASCII"))),
        }
    }

    async fn verify(&self, token: &str) -> Result<User, AuthError> {
        #[cfg(feature = "auth")]
        if let Some(verifier) = &self.verifier {
            return verifier.verify(token).await;
        }
        let _ = token;
        Err(AuthError::UnknownKey)
    }

    /// What a client is told who does not pass (RFC 6750, 3).
    pub(super) fn refuse(&self, refusal: &Refusal, correlation: Uuid) -> Answer {
        let (status, title, detail, error) = match refusal {
            Refusal::TwoTokens => (
                StatusCode::BAD_REQUEST,
                "malformed request",
                "there is more than one `Authorization` header".to_owned(),
                "invalid_request",
            ),
            // Why the keys cannot be had is the operator's business.
            Refusal::Token(AuthError::Unavailable(_)) => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "tokens cannot be verified at the moment: try again later".to_owned(), "")
            }
            Refusal::Token(error) => (StatusCode::UNAUTHORIZED, "not authenticated", error.to_string(), "invalid_token"),
            Refusal::Denied(Denied::Unknown) => {
                (StatusCode::UNAUTHORIZED, "not authenticated", "this takes a token: send it as `Authorization: Bearer …`".to_owned(), "")
            }
            Refusal::Denied(denied) => (StatusCode::FORBIDDEN, "forbidden", denied.to_string(), "insufficient_scope"),
            Refusal::WrongToken(hint) => {
                let detail = format!("this wants to see its token, as `Authorization: Bearer …`: {hint}");
                (StatusCode::UNAUTHORIZED, "not authenticated", detail, "")
            }
            Refusal::Elsewhere(instead) => {
                let detail =
                    format!("this is open at this machine only: ask at 127.0.0.1 or localhost, and under no other name, or {instead}");
                (StatusCode::FORBIDDEN, "forbidden", detail, "")
            }
        };
        let mut answer = problem::with_status(status, title, Some(&detail), correlation);
        // No token would help where a name is wrong.
        if status != StatusCode::SERVICE_UNAVAILABLE && !matches!(refusal, Refusal::Elsewhere(_)) {
            let scopes = if let Refusal::Denied(Denied::Scope(scopes)) = refusal { scopes.join(" ") } else { String::new() };
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, self.challenge(error, &detail, &scopes));
        }
        answer
    }

    /// Who sends nothing is told only that a token is wanted.
    fn challenge(&self, error: &str, detail: &str, scopes: &str) -> HeaderValue {
        let mut text = format!("Bearer realm=\"{}\"", self.realm);
        for (name, value) in [("error", error), ("error_description", if error.is_empty() { "" } else { detail }), ("scope", scopes)] {
            // What may stand in it by RFC 6750, 3.
            let value: String = value.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')).collect();
            if !value.is_empty() {
                text.push_str(&format!(", {name}=\"{value}\""));
            }
        }
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("Bearer"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_by_rfc_6750() {
        let guard = Guard::of_handlers("shop");
        let told = |refusal: Refusal| {
            let answer = guard.refuse(&refusal, Uuid::nil());
            let challenge = answer.headers().get(header::WWW_AUTHENTICATE).map(|value| value.to_str().unwrap().to_owned());
            (answer.status().as_u16(), challenge.unwrap_or_default())
        };
        assert_eq!(told(Refusal::Denied(Denied::Unknown)), (401, r#"Bearer realm="shop""#.to_owned()));
        let (status, expired) = told(Refusal::Token(AuthError::Expired));
        assert_eq!((status, &*expired), (401, r#"Bearer realm="shop", error="invalid_token", error_description="the token has expired""#));
        let (status, scope) = told(Refusal::Denied(Denied::Scope(&["a:read", "b"])));
        assert_eq!(status, 403);
        assert!(scope.contains(r#"error="insufficient_scope""#) && scope.ends_with(r#"scope="a:read b""#), "{scope}");
        let (status, two) = told(Refusal::TwoTokens);
        assert!(status == 400 && two.contains(r#"error="invalid_request""#), "{two}");
        let odd = AuthError::Claim { claim: "a\"\\\r\nü".to_owned(), wrong: "is missing" };
        assert!(told(Refusal::Token(odd)).1.contains("the claim `a` of the token is missing"));
        assert_eq!(told(Refusal::Token(AuthError::Unavailable("secret place".to_owned()))), (503, String::new()));
        assert_eq!(told(Refusal::WrongToken("write it")), (401, r#"Bearer realm="shop""#.to_owned()));
        assert_eq!(told(Refusal::Elsewhere("stay away")), (403, String::new()));
    }
}
