//! Keys of subjects, as this process knows them: asked for at once, and believed for a while.

mod sealing;
#[cfg(test)]
mod tests;

pub(super) use sealing::has_marks;

use super::store_error;
use crate::{
    error::Result,
    sensitive::{Known, Seal},
    store::{SharedStore, StoreError, StoreResult, SubjectKey},
    sync::lock,
};
use quick_cache::unsync::Cache;
use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock},
    time::Duration,
};
use tokio::time::Instant;
use uuid::Uuid;

/// How long a key is used without asking for it again: for as long, another process may go on to read what was forgotten.
const KEEP: Duration = Duration::from_secs(5);
/// How many subjects are remembered.
const SUBJECTS: usize = 10_000;

/// What is known of subjects.
type Subjects = HashMap<Uuid, Known>;

/// The keys that this process has asked for lately.
pub(crate) struct Keys {
    remembered: Mutex<Remembered>,
    /// With which keys are encrypted where they are stored.
    master: OnceLock<Seal>,
}

struct Remembered {
    subjects: Cache<Uuid, (Known, Instant)>,
    /// Raised with each subject that is forgotten: what was read before is not remembered then.
    epoch: u64,
}

impl Default for Keys {
    fn default() -> Self {
        Keys { remembered: Mutex::new(Remembered { subjects: Cache::new(SUBJECTS), epoch: 0 }), master: OnceLock::new() }
    }
}

impl Keys {
    /// What is known of these subjects: one question to the store for all of which nothing is remembered.
    async fn of(&self, store: &SharedStore, mut wanted: Vec<Uuid>) -> StoreResult<Subjects> {
        let (found, epoch) = self.remembered(&mut wanted);
        self.ask(store, wanted, found, epoch).await
    }

    /// The same as the store knows it now.
    async fn now(&self, store: &SharedStore, wanted: Vec<Uuid>) -> StoreResult<Subjects> {
        let epoch = lock(&self.remembered).epoch;
        self.ask(store, wanted, Subjects::new(), epoch).await
    }

    async fn ask(&self, store: &SharedStore, mut wanted: Vec<Uuid>, mut found: Subjects, epoch: u64) -> StoreResult<Subjects> {
        if wanted.is_empty() {
            return Ok(found);
        }
        wanted.sort_unstable();
        wanted.dedup();
        let (asked, mut read) = (Instant::now(), store.keys_of(&wanted).await?.into_iter().collect::<HashMap<_, _>>());
        for subject in wanted {
            let known = match read.remove(&subject) {
                Some(SubjectKey::Known(bytes)) => Known::Key(self.unwrap(subject, &bytes).ok_or_else(|| unusable(subject))?),
                Some(SubjectKey::Forgotten(_)) => Known::Forgotten,
                None => Known::Nothing,
            };
            self.remember(epoch, subject, &known, asked);
            found.insert(subject, known);
        }
        Ok(found)
    }

    /// What is remembered of these, which are not wanted any more then, and when that was.
    fn remembered(&self, wanted: &mut Vec<Uuid>) -> (Subjects, u64) {
        let (remembered, mut found) = (lock(&self.remembered), Subjects::with_capacity(wanted.len()));
        wanted.retain(|subject| match remembered.subjects.get(subject) {
            Some((known, since)) if since.elapsed() < KEEP => {
                found.insert(*subject, known.clone());
                false
            }
            _ => true,
        });
        (found, remembered.epoch)
    }

    fn remember(&self, epoch: u64, subject: Uuid, known: &Known, asked: Instant) {
        let mut remembered = lock(&self.remembered);
        // Somebody may have been forgotten since the store was asked. A subject without a key may get one at any time, here or in another process.
        if remembered.epoch == epoch && !matches!(known, Known::Nothing) {
            remembered.subjects.insert(subject, (known.clone(), asked));
        }
    }

    /// Whether there is a key for a subject now.
    pub(super) async fn is_known(&self, store: &SharedStore, subject: Uuid) -> Result<bool> {
        let known = self.now(store, vec![subject]).await.map_err(store_error)?;
        Ok(matches!(known.get(&subject), Some(Known::Key(_))))
    }

    /// Keys are encrypted with this one from now on. Only the first call counts.
    pub(super) fn set_master(&self, master: Seal) {
        let _ = self.master.set(master);
    }

    /// A key as it is stored.
    fn wrap(&self, subject: Uuid, bytes: &[u8]) -> Option<Vec<u8>> {
        self.master.get().map_or_else(|| Some(bytes.to_vec()), |master| master.wrap(subject, bytes))
    }

    /// The key that is stored so. Those that were there before the master key are as they were.
    fn unwrap(&self, subject: Uuid, stored: &[u8]) -> Option<Seal> {
        Seal::of(stored).or_else(|| Seal::of(&self.master.get()?.unwrap(subject, stored)?))
    }

    /// Other keys may be there for these than those that are remembered, or none.
    fn differ(&self, subjects: &[Uuid]) {
        let mut remembered = lock(&self.remembered);
        remembered.epoch += 1;
        for subject in subjects {
            remembered.subjects.remove(subject);
        }
    }
}

fn unusable(subject: Uuid) -> StoreError {
    StoreError::Corrupt(format!("the key of the subject {subject} is none, or is encrypted with another `store.master_key`"))
}
