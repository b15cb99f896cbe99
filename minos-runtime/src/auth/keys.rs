//! A set of keys that changes: read again and again, and at once when a token names a key that is not known.

use super::{
    AuthError,
    fetch::Place,
    jwk::{self, NamedKey},
    key::Key,
    token::Token,
};
use crate::{
    error::{Error, Result},
    sync::lock,
};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{task::JoinHandle, time::Instant};

/// The shortest pause between two readings, however many tokens name keys that are not known.
const PAUSE: Duration = Duration::from_secs(5);

/// A set of keys. Dropped, it is not read any more.
pub(super) struct KeySet {
    shared: Arc<Shared>,
    refreshing: JoinHandle<()>,
}

impl Drop for KeySet {
    fn drop(&mut self) {
        self.refreshing.abort();
    }
}

struct Shared {
    place: Place,
    /// The last good set; none before the first.
    known: Mutex<Option<Arc<[NamedKey]>>>,
    /// Held by who reads: when that was done last, and why there was nothing good.
    reading: tokio::sync::Mutex<Reading>,
}

#[derive(Default)]
struct Reading {
    last: Option<Instant>,
    failing: Option<String>,
}

impl KeySet {
    /// Reads the set, and from now on every so often. A server that does not answer is no reason not to start: it is asked again.
    ///
    /// # Errors
    /// If there is no such file, or it holds no keys.
    pub(super) async fn open(place: Place, refresh: Duration) -> Result<Self> {
        let is_file = matches!(place, Place::File(_));
        let shared = Arc::new(Shared { place, known: Mutex::default(), reading: tokio::sync::Mutex::default() });
        let read = shared.read(&mut *shared.reading.lock().await).await;
        if is_file {
            let has_keys = read.map(|()| shared.known().is_some_and(|keys| !keys.is_empty()));
            let wrong = has_keys.map_or_else(Some, |has_keys| (!has_keys).then(|| "it holds no key for RS256 or ES256".to_owned()));
            if let Some(why) = wrong {
                return Err(Error::invalid(format!("`auth.jwks` is `{}`, and {why}", shared.place)));
            }
        }
        let again = shared.clone();
        let refreshing = tokio::spawn(async move {
            loop {
                tokio::time::sleep(refresh).await;
                let _ = again.read(&mut *again.reading.lock().await).await;
            }
        });
        Ok(KeySet { shared, refreshing })
    }

    /// That a key of the set has signed the token.
    pub(super) async fn verify(&self, token: &Token<'_>) -> Result<(), AuthError> {
        let kid = token.kid.as_deref();
        let mut known = self.shared.known();
        if meant(known.as_deref(), kid).next().is_none() {
            known = self.shared.renewed(kid).await?;
        }
        // Names need not be unique: keys of two kinds may share one (RFC 7517, 4.5), and so may an old key and the one in its place.
        let mut wrong = AuthError::UnknownKey;
        for key in meant(known.as_deref(), kid) {
            match key.verify(token) {
                Ok(()) => return Ok(()),
                // That the token is of another kind than this key says less than that another key has not signed it.
                Err(AuthError::Algorithm) if wrong == AuthError::Signature => {}
                Err(why) => wrong = why,
            }
        }
        Err(wrong)
    }

    pub(super) fn describe(&self) -> String {
        self.shared.place.to_string()
    }
}

/// The keys that a token may mean: those of its name, or the only one.
fn meant<'k>(known: Option<&'k [NamedKey]>, kid: Option<&'k str>) -> impl Iterator<Item = &'k Key> {
    let keys = known.unwrap_or_default();
    let is_alone = keys.len() == 1;
    keys.iter().filter(move |key| kid.map_or(is_alone, |kid| key.kid.as_deref() == Some(kid))).map(|key| &key.key)
}

impl Shared {
    fn known(&self) -> Option<Arc<[NamedKey]>> {
        lock(&self.known).clone()
    }

    /// The set that has this key, or the newest one that could be had.
    async fn renewed(&self, kid: Option<&str>) -> Result<Option<Arc<[NamedKey]>>, AuthError> {
        let mut reading = self.reading.lock().await;
        // Somebody else may have read it meanwhile.
        let known = self.known();
        let is_recent = reading.last.is_some_and(|last| last.elapsed() < PAUSE);
        if meant(known.as_deref(), kid).next().is_none() && !is_recent {
            let _ = self.read(&mut reading).await;
        }
        match (self.known(), &reading.failing) {
            (None, why) => Err(AuthError::Unavailable(why.clone().unwrap_or_default())),
            (known, _) => Ok(known),
        }
    }

    /// Reads it. What was known stays if that fails.
    async fn read(&self, reading: &mut Reading) -> Result<(), String> {
        let read = self.place.read().await.and_then(|text| jwk::read(&text).map_err(str::to_owned));
        reading.last = Some(Instant::now());
        match read {
            Ok(keys) => {
                if keys.is_empty() {
                    // Whoever takes all keys back means it.
                    tracing::error!("{} holds no key for RS256 or ES256: no token is taken", self.place);
                }
                *lock(&self.known) = Some(keys.into());
                if reading.failing.take().is_some() {
                    tracing::info!("the keys for tokens can be had again from {}", self.place);
                }
                Ok(())
            }
            Err(why) => {
                if reading.failing.replace(why.clone()).is_none() {
                    let kept =
                        if lock(&self.known).is_some() { "those that were read before hold" } else { "no token can be verified before" };
                    tracing::error!(why, "the keys for tokens cannot be had from {}: {kept}; will be tried again", self.place);
                }
                Err(why)
            }
        }
    }
}
