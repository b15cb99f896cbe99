//! What the registry knows, in memory. No clock of the wall is in it: an instance counts for so long after it was last heard, by a clock that nobody sets.

use super::vitality::{State, Vitality};
use minos::discovery::{Directory, Endpoint, Instance, InstanceName, Listing, Readiness};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// The longest time that an instance may say it counts for.
pub(super) const LONGEST_TTL: Duration = Duration::from_secs(600);

/// How many times the usual pause between two looks may be, until it is this process that stood still.
const STOOD_STILL: u32 = 8;

/// What an instance says of itself, apart from its name; and what is kept of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Said {
    pub(super) url: String,
    #[serde(default)]
    pub(super) endpoints: Vec<Endpoint>,
    /// How often it says so.
    #[serde(default)]
    pub(super) renew_ms: u64,
    /// Where its operator's API is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) admin: Option<String>,
}

impl Said {
    pub(super) fn instance(&self, name: &InstanceName) -> Instance {
        Instance {
            service: name.service.clone(),
            id: name.id.clone(),
            url: self.url.clone(),
            endpoints: self.endpoints.clone(),
            admin: self.admin.clone(),
        }
    }
}

/// An instance that is known.
pub(super) struct Entry {
    pub(super) said: Said,
    pub(super) vitality: Vitality,
    /// When it was last heard of.
    pub(super) heard: Instant,
    /// When it is asked next; none while it is.
    next_check: Option<Instant>,
    /// The version of its record, if that was seen.
    pub(super) version: Option<u64>,
    /// When this process wrote it last.
    written: Option<Instant>,
}

pub(super) struct Register {
    entries: BTreeMap<InstanceName, Entry>,
    /// Who was there since the registry began, until it has heard all.
    seen: BTreeSet<InstanceName>,
    warming_until: Instant,
    swept: Instant,
    ttl: Duration,
    every: Duration,
    max: usize,
    /// Rises with everything that may change what is handed out.
    changes: u64,
    /// What was told last, and whether that was while it was warming.
    told: Option<(u64, bool)>,
}

/// What comes of an announcement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heard {
    /// Whether it has to be written.
    pub(super) write: bool,
    /// Whose place it has taken.
    pub(super) replaced: Vec<InstanceName>,
    /// How long it counts.
    pub(super) ttl: Duration,
    pub(super) is_in: bool,
}

/// There are as many instances as there may be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {0} instances already, which is as many as `max_instances` of `[registry]` allows")]
pub(super) struct Full(pub(super) usize);

impl Register {
    pub(super) fn new(ttl: Duration, every: Duration, max: usize, now: Instant) -> Self {
        Register {
            entries: BTreeMap::new(),
            seen: BTreeSet::new(),
            warming_until: now + ttl,
            swept: now,
            ttl,
            every,
            max,
            changes: 0,
            told: None,
        }
    }

    pub(super) fn entries(&self) -> &BTreeMap<InstanceName, Entry> {
        &self.entries
    }

    fn ttl_of(&self, said: &Said) -> Duration {
        Duration::from_millis(said.renew_ms).saturating_mul(3).min(LONGEST_TTL).max(self.ttl)
    }

    /// An instance says that it is there.
    pub(super) fn announced(&mut self, name: &InstanceName, said: &Said, now: Instant) -> Result<Heard, Full> {
        if !self.entries.contains_key(name) && self.entries.len() >= self.max {
            return Err(Full(self.entries.len()));
        }
        let is_new = self.entries.get(name).is_none_or(|entry| entry.said.url != said.url);
        let replaced = if is_new { self.others_at(name, &said.url) } else { Vec::new() };
        for other in &replaced {
            self.remove(other);
        }
        let ttl = self.ttl_of(said);
        let entry = self.put(name, said, now);
        // Often enough that those who share the store know, too.
        let write = entry.written.is_none_or(|written| now.duration_since(written) >= ttl / 5);
        if write {
            entry.written = Some(now);
        }
        // It lives, so it is worth asking.
        if entry.vitality.state() == State::Out && entry.next_check.is_some_and(|next| next > now) {
            entry.next_check = Some(now);
        }
        Ok(Heard { write, replaced, ttl, is_in: entry.vitality.state() == State::In })
    }

    /// Who else has this address. It is that of one process, so whoever had it before has died without a word.
    fn others_at(&self, name: &InstanceName, url: &str) -> Vec<InstanceName> {
        self.entries.iter().filter(|(other, entry)| *other != name && entry.said.url == url).map(|(other, _)| other.clone()).collect()
    }

    /// Knows of it, and that it was heard of now.
    fn put(&mut self, name: &InstanceName, said: &Said, now: Instant) -> &mut Entry {
        self.seen.insert(name.clone());
        let entry = self.entries.entry(name.clone()).or_insert_with(|| Entry {
            said: said.clone(),
            vitality: Vitality::new(),
            heard: now,
            next_check: Some(now),
            version: None,
            written: None,
        });
        if entry.said.url != said.url {
            tracing::info!(instance = %name, from = entry.said.url, to = said.url, "has another address");
            (entry.vitality, entry.next_check) = (Vitality::new(), Some(now));
        }
        if entry.said != *said {
            (entry.said, entry.written) = (said.clone(), None);
            self.changes += 1;
        }
        entry.heard = now;
        entry
    }

    /// An instance says that it is not there any more. Whether it was.
    pub(super) fn withdrawn(&mut self, name: &InstanceName) -> bool {
        self.remove(name).is_some()
    }

    fn remove(&mut self, name: &InstanceName) -> Option<Entry> {
        self.changes += 1;
        self.entries.remove(name)
    }

    /// Its record could not be written: next time it is tried again.
    pub(super) fn unwritten(&mut self, name: &InstanceName) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.written = None;
        }
    }

    /// All records as they are in the store. Who is in another version was heard of by somebody who shares it, and who was there and is not was withdrawn there.
    pub(super) fn recorded(&mut self, records: &[(InstanceName, u64, Said)], now: Instant) {
        let mut gone: BTreeSet<_> =
            self.entries.iter().filter(|(_, entry)| entry.version.is_some()).map(|(name, _)| name.clone()).collect();
        for (name, version, said) in records {
            gone.remove(name);
            if self.entries.get(name).is_none_or(|entry| entry.version != Some(*version)) {
                let entry = self.put(name, said, now);
                entry.version = Some(*version);
            }
        }
        for name in gone {
            self.remove(&name);
        }
    }

    /// Removes who was not heard of for too long: their names, and the versions of their records. If this process itself stood still meanwhile, nobody could be heard, and all begin anew.
    pub(super) fn sweep(&mut self, usual: Duration, now: Instant) -> Vec<(InstanceName, Option<u64>)> {
        let since = now.duration_since(self.swept);
        self.swept = now;
        if since > usual * STOOD_STILL {
            tracing::warn!("the registry stood still for {} ms: all are given time to be heard again", since.as_millis());
            self.warming_until = now + self.ttl;
            self.entries.values_mut().for_each(|entry| entry.heard = now);
        }
        let late = |entry: &Entry| now.duration_since(entry.heard) > self.ttl_of(&entry.said);
        let expired: Vec<_> =
            self.entries.iter().filter(|(_, entry)| late(entry)).map(|(name, entry)| (name.clone(), entry.version)).collect();
        for (name, _) in &expired {
            self.remove(name);
        }
        if !self.is_warming(now) {
            self.seen.clear();
        }
        expired
    }

    /// It cannot be known who is heard of, so nobody is late.
    pub(super) fn excuse(&mut self, now: Instant) {
        self.swept = now;
        self.entries.values_mut().for_each(|entry| entry.heard = now);
    }

    /// Who is to be asked now, with the addresses.
    pub(super) fn due(&mut self, most: usize, now: Instant) -> Vec<(InstanceName, String)> {
        let due = self.entries.iter_mut().filter(|(_, entry)| entry.next_check.is_some_and(|next| next <= now)).take(most);
        due.map(|(name, entry)| {
            entry.next_check = None;
            (name.clone(), entry.said.url.clone())
        })
        .collect()
    }

    /// One was asked at this address.
    pub(super) fn checked(&mut self, name: &InstanceName, url: &str, answer: Readiness, now: Instant) {
        let every = self.every;
        let Some(entry) = self.entries.get_mut(name) else { return };
        // With another address it is another one, and waits for a question of its own.
        if entry.said.url == url {
            let before = entry.vitality.state();
            entry.vitality.answered(answer, every, now);
            let pause = entry.vitality.pause(every).mul_f64(0.9 + fastrand::f64() * 0.1);
            entry.next_check = Some(now + pause);
            if before != entry.vitality.state() {
                self.changes += 1;
            }
            match (before, entry.vitality.state()) {
                (State::In, State::Out) => tracing::warn!(instance = %name, why = entry.vitality.why(), "is handed out no more"),
                (State::New | State::Out, State::In) => tracing::info!(instance = %name, url, "is handed out"),
                _ => {}
            }
        } else if entry.next_check.is_none() {
            entry.next_check = Some(now);
        }
    }

    /// Whether it may not have heard of all yet.
    pub(super) fn is_warming(&self, now: Instant) -> bool {
        now < self.warming_until
    }

    /// What is handed out, if it may be something else than the last time.
    pub(super) fn news(&mut self, now: Instant) -> Option<Listing> {
        let state = (self.changes, self.is_warming(now));
        (self.told.replace(state) != Some(state)).then(|| self.listing(now))
    }

    /// What is handed out.
    pub(super) fn listing(&self, now: Instant) -> Listing {
        let is_in = |entry: &Entry| entry.vitality.state() == State::In;
        let instances = self.entries.iter().filter(|(_, entry)| is_in(entry)).map(|(name, entry)| entry.said.instance(name)).collect();
        let mut listing = Listing::from(Directory::of(instances));
        if self.is_warming(now) {
            listing.warming = true;
            // Whoever is new, and was not asked yet, may be there.
            let is_gone = |name: &&InstanceName| self.entries.get(*name).is_none_or(|entry| entry.vitality.state() == State::Out);
            listing.gone = self.seen.iter().filter(is_gone).cloned().collect();
            let mut hasher = DefaultHasher::new();
            listing.gone.hash(&mut hasher);
            listing.directory.revision = format!("{}-{:x}", listing.directory.revision, hasher.finish());
        }
        listing
    }
}

/// What is kept between the handlers and the loops.
pub(super) type SharedRegister = Arc<std::sync::Mutex<Register>>;
