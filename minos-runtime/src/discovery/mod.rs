//! Which services there are, and where: who runs says so, and who wants to ask a service finds its instances.
//!
//! The port is [`Discovery`]. What an instance says of itself is an [`Instance`]; all that can be asked at a moment are a [`Directory`].
//!
//! With the feature `discovery` there are three implementations: a [registry](Registry), a [table](Table) that somebody writes, and [DNS](Dns). Whoever asks
//! services uses none of them directly, but [`Services`], which keeps the last good answer.

mod check;
#[cfg(feature = "discovery")]
mod dns;
#[cfg(feature = "discovery")]
mod doubt;
#[cfg(feature = "discovery")]
mod ejection;
#[cfg(feature = "discovery")]
mod open;
#[cfg(feature = "discovery")]
mod outgoing;
#[cfg(feature = "discovery")]
mod registration;
#[cfg(feature = "discovery")]
mod registry;
#[cfg(feature = "discovery")]
mod services;
#[cfg(any(test, feature = "testing"))]
pub mod suite;
#[cfg(feature = "discovery")]
mod table;
#[cfg(all(test, feature = "discovery"))]
mod tests;

pub use check::Unfit;
#[cfg(feature = "discovery")]
pub use dns::{Dns, Resolve};
#[cfg(feature = "discovery")]
pub use open::open;
#[cfg(feature = "discovery")]
pub use outgoing::{Readiness, client, readiness};
#[cfg(feature = "discovery")]
pub use registration::Registration;
#[cfg(feature = "discovery")]
pub use registry::Registry;
#[cfg(feature = "discovery")]
pub use services::Services;
#[cfg(feature = "discovery")]
pub use table::Table;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc, time::Duration};
use uuid::Uuid;

/// How long a question waits at most for something new, when what there is is known.
pub const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// One process of a service, and what it can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// The service's name.
    pub service: String,
    /// Which of its processes: no two that run at the same time have the same.
    pub id: String,
    /// Where it answers: `http://10.0.0.7:8080`.
    pub url: String,
    /// What it answers there.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
    /// Where its operator's API answers, if others reach that: `http://10.0.0.7:9090`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<String>,
}

/// A method, and a path with its parameters in braces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// `GET`.
    pub method: String,
    /// `/foos/{uuid}`.
    pub path: String,
}

/// All instances that can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Directory {
    /// Another one whenever something in it is another.
    pub revision: String,
    /// In the order of services and ids.
    pub instances: Vec<Instance>,
}

impl Instance {
    /// Which one it is.
    pub fn name(&self) -> InstanceName {
        InstanceName { service: self.service.clone(), id: self.id.clone() }
    }
}

/// Which instance of which service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstanceName {
    /// The service's name.
    pub service: String,
    /// Which of its processes.
    pub id: String,
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.id)
    }
}

impl Directory {
    /// A directory of these, in order. What is the same has the same revision, whoever makes it.
    pub fn of(mut instances: Vec<Instance>) -> Self {
        instances.sort_by(|a, b| (&a.service, &a.id).cmp(&(&b.service, &b.id)));
        instances.dedup_by(|a, b| a.service == b.service && a.id == b.id);
        // Only texts: there is nothing that JSON cannot say.
        let content = serde_json::to_vec(&instances).unwrap_or_default();
        Directory { revision: Uuid::new_v5(&Uuid::NAMESPACE_OID, &content).simple().to_string(), instances }
    }

    /// The instances of a service.
    pub fn instances_of<'d>(&'d self, service: &'d str) -> impl Iterator<Item = &'d Instance> {
        self.instances.iter().filter(move |instance| instance.service == service)
    }
}

/// An answer to the question which services there are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Listing {
    /// All that is known.
    #[serde(flatten)]
    pub directory: Directory,
    /// Whether who says so has begun only lately and may not have heard of all: then what is missing may be there all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub warming: bool,
    /// Of somebody who is warming: what is not there for sure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<InstanceName>,
}

impl From<Directory> for Listing {
    fn from(directory: Directory) -> Self {
        Listing { directory, warming: false, gone: Vec::new() }
    }
}

/// Why there is no answer. What was known before still holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// Nobody answers, or not in time.
    #[error("{registry} cannot be asked which services there are: {why}")]
    Unavailable {
        /// Who was asked.
        registry: String,
        /// Why not.
        why: String,
    },
    /// It says no.
    #[error("{registry} refuses this: {why}")]
    Refused {
        /// Who was asked.
        registry: String,
        /// Why.
        why: String,
    },
}

/// What a registry says.
pub type DiscoveryResult<T> = Result<T, DiscoveryError>;

/// Knows which services there are, and where.
pub trait Discovery: Send + Sync + 'static {
    /// What this is and where, for the operator. Never holds a password.
    fn describe(&self) -> String;

    /// Whether instances are told to it. Otherwise somebody else writes down where they are, and telling it does nothing.
    fn takes_announcements(&self) -> bool {
        true
    }

    /// Says that this instance runs, and goes on to: it counts for some seconds, so it is said again and again. Each time all of it is said, so it does no
    /// harm if the other side has forgotten everything.
    fn announce(&self, instance: Arc<Instance>) -> BoxFuture<'_, DiscoveryResult<()>>;

    /// Says that this instance is not to be asked any more.
    fn withdraw(&self, instance: Arc<Instance>) -> BoxFuture<'_, DiscoveryResult<()>>;

    /// All that can be asked now. If `known` is the revision that there is, it waits for another one, for [`LONGEST_WAIT`] at most.
    fn directory(&self, known: Option<&str>) -> BoxFuture<'_, DiscoveryResult<Listing>>;
}
