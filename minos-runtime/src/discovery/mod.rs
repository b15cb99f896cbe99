//! Which services there are, and where: who runs says so, and who wants to ask a service finds its instances.
//!
//! The port is [`Discovery`]. What an instance says of itself is an [`Instance`]; all that can be asked at a moment are a [`Directory`].

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

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

    /// Says that this instance runs, and goes on to: it counts for some seconds, so it is said again and again. Each time all of it is said, so it does no
    /// harm if the other side has forgotten everything.
    fn announce(&self, instance: Arc<Instance>) -> BoxFuture<'_, DiscoveryResult<()>>;

    /// Says that this instance is not to be asked any more.
    fn withdraw(&self, instance: Arc<Instance>) -> BoxFuture<'_, DiscoveryResult<()>>;

    /// All that can be asked now. If `known` is the revision that there is, it waits for another one, for some seconds at most.
    fn directory(&self, known: Option<&str>) -> BoxFuture<'_, DiscoveryResult<Directory>>;
}
