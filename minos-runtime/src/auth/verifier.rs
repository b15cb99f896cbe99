//! Makes users of tokens.

use super::{AuthError, User, claims::Rules, fetch::Place, key::Key, keys::KeySet, token::Token};
use crate::{
    clock::Clock,
    config::{AuthConfig, VerifiedBy},
    error::{Error, Result},
};
use std::{fmt, sync::Arc};

/// Verifies tokens by what the section `[auth]` of a configuration says. Cheap to clone.
///
/// A token is a JWT that is signed by the one algorithm that the key is for: what the token itself says of that is compared, and never followed. It has to have
/// an end (`exp`), which is not over, and to be from whom and for whom the configuration says.
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    keys: Keys,
    rules: Rules,
    clock: Arc<dyn Clock>,
}

enum Keys {
    One(Key),
    Set(KeySet),
}

impl Verifier {
    /// Reads the keys. A set of keys is read again in the background for as long as this is there, so it takes a runtime of `tokio`.
    ///
    /// # Errors
    /// If the configuration does not say exactly one thing by which tokens are verified, or that cannot be read. A server that does not answer is no error: it is
    /// asked again.
    pub async fn open(config: &AuthConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        let keys = match config.verified_by()? {
            VerifiedBy::Secret(secret) => Keys::One(Key::secret(secret.expose().as_bytes())),
            VerifiedBy::PublicKey(place) => Keys::One(public_key(place)?),
            VerifiedBy::Jwks(place) => Keys::Set(KeySet::open(Place::of(place)?, config.refresh).await?),
        };
        Ok(Verifier(Arc::new(Inner { keys, rules: Rules::of(config), clock })))
    }

    /// The user of whom a token speaks. It waits only if the token names a key that is not known, for the set of keys to be read again.
    ///
    /// # Errors
    /// Why the token is not taken; or that the keys [cannot be had](AuthError::is_unavailable) at the moment.
    pub async fn verify(&self, token: &str) -> Result<User, AuthError> {
        let token = Token::parse(token)?;
        match &self.0.keys {
            Keys::One(key) => key.verify(&token)?,
            Keys::Set(keys) => keys.verify(&token).await?,
        }
        self.0.rules.user(token.claims()?, self.0.clock.now())
    }

    /// By what it verifies, for the operator: `RS256`, or where the keys come from.
    pub fn describe(&self) -> String {
        match &self.0.keys {
            Keys::One(key) => key.algorithm().name().to_owned(),
            Keys::Set(keys) => format!("by the keys of {}", keys.describe()),
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Verifier").field(&self.describe()).finish()
    }
}

/// The key in a file, or in the text itself, as an environment variable may have it.
fn public_key(place: &str) -> Result<Key> {
    if place.contains("-----BEGIN ") {
        return Key::pem(place).map_err(|why| Error::invalid(format!("`auth.public_key` is no public key: {why}")));
    }
    let told = |why: String| Error::invalid(format!("`auth.public_key` is `{place}`, and {why}"));
    let text = std::fs::read_to_string(place).map_err(|error| told(format!("it cannot be read: {error}")))?;
    Key::pem(&text).map_err(|why| told(why.to_owned()))
}
