//! Handlers: how they are registered, what they take and answer, and how one is run.

mod answer;
mod extract;
mod headers;
#[cfg(test)]
mod outdated;
mod registry;
mod request;
mod run;
mod strings;
mod traced;

pub use answer::{Answer, HandlerError, Response};
pub(crate) use answer::{Ended, Kept};
pub use extract::{FromRequest, Path, Query};
pub use headers::Headers;
pub use registry::{Handle, HandlerDef, Kind};
pub use request::{Content, Parameters, Request};
pub(crate) use request::{Parts, PathSource};
pub use run::{Job, Once, Runner};

/// The caller, as far as it is known.
///
/// Without `[auth]` in the configuration the service is open, and every caller is anonymous.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    id: Option<String>,
}

impl User {
    /// A caller with this id, which the service has verified or another service of the system vouches for.
    pub fn new(id: impl Into<String>) -> Self {
        User { id: Some(id.into()) }
    }

    /// A caller that is not known.
    pub fn anonymous() -> Self {
        User::default()
    }

    /// The caller's id, if known.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whether nothing is known of the caller.
    pub fn is_anonymous(&self) -> bool {
        self.id.is_none()
    }
}
