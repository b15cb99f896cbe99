//! The encryption of single values with the key of their subject.

use super::mark::Place;
use aes_gcm_siv::{
    Aes256GcmSiv, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use std::{fmt, sync::Arc};
use uuid::Uuid;
use zeroize::Zeroizing;

/// How long a key is, in bytes.
const KEY: usize = 32;

/// One nonce for all values, so that a value is sealed to the same text each time, and what has not changed is not written anew.
///
/// AES-GCM-SIV (RFC 8452) is made for that: what encrypts a message is derived from all of the message, so a nonce that comes again tells only whether two
/// messages of one key, one nonce and one associated data are equal. Here that is whether two values of one place of one person are. Each subject has a key of
/// its own, which is used for nothing else, and for far less than the 2^32 messages of which the bounds for one nonce speak.
const NONCE: [u8; 12] = *b"minos seal 1";

/// The nonce for keys, which are random, so that no two of them are the same.
const KEYS: [u8; 12] = *b"minos keys 1";

/// The key of a subject. Cheap to clone; it is overwritten when the last clone goes.
#[derive(Clone)]
pub(crate) struct Seal(Arc<Aes256GcmSiv>);

/// Without the key.
impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(…)")
    }
}

impl Seal {
    /// A key that nobody has, and its bytes.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub(crate) fn random() -> Result<(Self, Zeroizing<Vec<u8>>), String> {
        let mut bytes = Zeroizing::new(vec![0; KEY]);
        getrandom::fill(&mut bytes).map_err(|error| format!("the system gives no random numbers for a key: {error}"))?;
        let seal = Seal::of(&bytes).ok_or_else(|| "a key has the wrong length".to_owned())?;
        Ok((seal, bytes))
    }

    /// The key of these bytes; nothing if they are none.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        Aes256GcmSiv::new_from_slice(bytes).ok().map(|cipher| Seal(Arc::new(cipher)))
    }

    /// The key of a subject, encrypted with this one.
    pub(crate) fn wrap(&self, subject: Uuid, key: &[u8]) -> Option<Vec<u8>> {
        self.0.encrypt(&Nonce::from(KEYS), Payload { msg: key, aad: subject.as_bytes() }).ok()
    }

    /// The key of a subject that this one has encrypted.
    pub(crate) fn unwrap(&self, subject: Uuid, wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.0.decrypt(&Nonce::from(KEYS), Payload { msg: wrapped, aad: subject.as_bytes() }).ok().map(Zeroizing::new)
    }

    /// JSON by which this key is known again, and that tells nothing of it.
    pub(crate) fn proof(&self) -> String {
        let proof = self.0.encrypt(&Nonce::from(KEYS), Payload { msg: b"", aad: b"proof" }).unwrap_or_default();
        format!("\"{}\"", URL_SAFE_NO_PAD.encode(proof))
    }

    /// What is stored in place of a value.
    pub(super) fn seal(&self, subject: Uuid, place: Place<'_>, value: &str) -> Option<String> {
        let (bound, nonce) = (bound(subject, place), Nonce::from(NONCE));
        let sealed = self.0.encrypt(&nonce, Payload { msg: value.as_bytes(), aad: &bound }).ok()?;
        Some(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// The value in whose place this is stored; nothing if this key or place is not that of it.
    pub(super) fn open(&self, subject: Uuid, place: Place<'_>, sealed: &str) -> Option<Zeroizing<String>> {
        let (bound, nonce) = (bound(subject, place), Nonce::from(NONCE));
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let value = self.0.decrypt(&nonce, Payload { msg: &sealed, aad: &bound }).ok()?;
        String::from_utf8(value).ok().map(Zeroizing::new)
    }
}

/// What a value is bound to: whose it is, and of which aggregate. Who gets hold of a sealed value cannot have it opened by putting it into another aggregate.
fn bound(subject: Uuid, place: Place<'_>) -> Vec<u8> {
    [subject.as_bytes(), place.uuid.as_bytes(), place.aggregate.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_opened_by_its_key_in_its_place_alone() {
        let ((key, bytes), (other, _)) = (Seal::random().unwrap(), Seal::random().unwrap());
        let (ada, bob) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let place = |aggregate, uuid| Place { aggregate, uuid };
        let here = place("Person", ada);
        let sealed = key.seal(ada, here, "\"Ada\"").unwrap();
        assert!(!sealed.contains("Ada"));
        assert_eq!(*key.open(ada, here, &sealed).unwrap(), "\"Ada\"");
        assert_eq!(*Seal::of(&bytes).unwrap().open(ada, here, &sealed).unwrap(), "\"Ada\"", "by its bytes, after a restart");
        assert_eq!(key.seal(ada, here, "\"Ada\"").unwrap(), sealed, "the same each time");
        for (subject, elsewhere) in [(ada, place("Person", bob)), (ada, place("Other", ada)), (bob, here)] {
            assert_ne!(key.seal(subject, elsewhere, "\"Ada\"").unwrap(), sealed);
            assert!(key.open(subject, elsewhere, &sealed).is_none());
        }
        assert!(other.open(ada, here, &sealed).is_none());
        let mut changed = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        changed[0] ^= 1;
        assert!(key.open(ada, here, &URL_SAFE_NO_PAD.encode(changed)).is_none());
        assert!(key.open(ada, here, "no base64!").is_none() && key.open(ada, here, "").is_none());
        assert!(Seal::of(&bytes[1..]).is_none());
    }

    /// What is stored can be read for ever.
    #[test]
    fn the_form_never_changes() {
        let (key, place) = (Seal::of(&[7; KEY]).unwrap(), Place { aggregate: "Person", uuid: Uuid::from_u128(2) });
        let sealed = "aENHx_S9jiEdzvU6JRmV8nqPRsVh";
        assert_eq!(key.seal(Uuid::from_u128(1), place, "\"Ada\"").unwrap(), sealed);
    }
}
