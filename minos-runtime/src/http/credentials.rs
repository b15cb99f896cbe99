//! What a request shows of who asks: the header `Authorization` (RFC 9110, 11.6.2).

use http::{HeaderMap, header};
use subtle::ConstantTimeEq;

/// What a request shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials<'h> {
    /// Nothing.
    Nothing,
    /// A token, as RFC 6750 says. It may be empty.
    Bearer(&'h str),
    /// Something of another scheme, or of none: all of it.
    Other(&'h str),
    /// More than one thing: it cannot be said which of them is meant, and who reads the other one would see somebody else.
    Several,
    /// It is no text.
    Unreadable,
}

impl<'h> Credentials<'h> {
    /// What these headers show. The name of a scheme may be in capitals or not (RFC 9110, 11.1).
    pub fn of(headers: &'h HeaderMap) -> Self {
        let mut all = headers.get_all(header::AUTHORIZATION).iter();
        let Some(first) = all.next() else { return Credentials::Nothing };
        if all.next().is_some() {
            return Credentials::Several;
        }
        let Ok(text) = first.to_str() else { return Credentials::Unreadable };
        match text.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Credentials::Bearer(token.trim_matches(' ')),
            _ => Credentials::Other(text),
        }
    }

    /// Whether they are this token, which is not empty. How long it takes to find out tells nothing of it but its length.
    pub fn are(self, token: &str) -> bool {
        let Credentials::Bearer(shown) = self else { return false };
        !token.is_empty() && bool::from(shown.as_bytes().ct_eq(token.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn with(values: &[&[u8]]) -> HeaderMap {
        values.iter().map(|value| (header::AUTHORIZATION, HeaderValue::from_bytes(value).unwrap())).collect()
    }

    #[test]
    fn one_header_has_the_token() {
        for (values, shown) in [
            (&[][..], Credentials::Nothing),
            (&[b"Bearer a.b.c"], Credentials::Bearer("a.b.c")),
            (&[b"bEARER  a.b.c "], Credentials::Bearer("a.b.c")),
            (&[b"BEARER a b"], Credentials::Bearer("a b")),
            (&[b"Bearer "], Credentials::Bearer("")),
            (&[b"Bearer"], Credentials::Other("Bearer")),
            (&[b"Basic YWRhOng="], Credentials::Other("Basic YWRhOng=")),
            (&[b"BearerX a"], Credentials::Other("BearerX a")),
            (&[b"a.b.c"], Credentials::Other("a.b.c")),
            (&[b""], Credentials::Other("")),
            (&[b"Bearer \xff"], Credentials::Unreadable),
            (&[b"Bearer a", b"Bearer a"], Credentials::Several),
            (&[b"Basic YWRhOng=", b"Bearer a"], Credentials::Several),
        ] as [(&[&[u8]], Credentials<'_>); 13]
        {
            assert_eq!(Credentials::of(&with(values)), shown, "{values:?}");
        }
    }

    #[test]
    fn nobody_shows_a_token_that_there_is_not() {
        for (value, token, are) in [
            ("bearer the token", "the token", true),
            ("Bearer the toke", "the token", false),
            ("Bearer the tokens", "the token", false),
            ("Bearer The token", "the token", false),
            ("Basic the token", "the token", false),
            ("Bearer ", "", false),
        ] {
            assert_eq!(Credentials::of(&with(&[value.as_bytes()])).are(token), are, "{value}");
        }
        assert!(!Credentials::Nothing.are("") && !Credentials::Several.are("x"));
    }
}
