//! Why a token is not taken.

/// Why a token is not taken. None of it repeats what the token says: who sends one that is no good learns no more than that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// It is not of the form that tokens have.
    #[error("this is no token: {0}")]
    Malformed(&'static str),
    /// It is longer than any that makes sense.
    #[error("the token is longer than {0} bytes")]
    TooLong(usize),
    /// It says another algorithm than that of the key.
    #[error("the token is not signed by the algorithm that is expected here")]
    Algorithm,
    /// Nobody knows the key that it names.
    #[error("the token is signed with a key that is not known here")]
    UnknownKey,
    /// It is not signed with the key.
    #[error("the signature of the token is wrong")]
    Signature,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYet,
    /// Somebody else has issued it.
    #[error("the token is of another issuer")]
    Issuer,
    /// It is meant for others.
    #[error("the token is for another audience")]
    Audience,
    /// Something in it is missing, or makes no sense.
    #[error("the claim `{claim}` of the token {wrong}")]
    Claim {
        /// Which.
        claim: String,
        /// What is wrong with it.
        wrong: &'static str,
    },
    /// What is carried of the user with messages and events is more than fits.
    #[error("the token says more of its user than can be carried on: id, roles and scopes take {bytes} bytes, and at most {limit} fit")]
    TooMuch {
        /// How much it is.
        bytes: usize,
        /// How much it may be.
        limit: usize,
    },
    /// The keys cannot be had at the moment, so nothing is known of the token.
    #[error("the keys to verify tokens by cannot be had: {0}")]
    Unavailable(String),
}

impl AuthError {
    /// Whether nothing is wrong with the token, as far as is known: trying later may succeed.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, AuthError::Unavailable(_))
    }
}
