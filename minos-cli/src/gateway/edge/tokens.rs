//! Tokens, looked at as services look at them.

use super::verify::{TokenError, Verified, Verifier, Verifying};
use minos_runtime::auth;

/// What `[auth]` says.
pub(in crate::gateway) struct Tokens(pub(in crate::gateway) auth::Verifier);

impl Verifier for Tokens {
    fn verify<'t>(&'t self, token: &'t str) -> Verifying<'t> {
        Box::pin(async move {
            match self.0.verify(token).await {
                Ok(user) => Ok(Verified { user: user.id().unwrap_or_default().to_owned(), roles: user.roles().to_vec() }),
                Err(error) if error.is_unavailable() => Err(TokenError::Unavailable(error.to_string())),
                Err(error) => Err(TokenError::Wrong(error.to_string())),
            }
        })
    }
}
