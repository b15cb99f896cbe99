//! A request for a handler, wherever it came from.

use super::{User, probe::Probe};
use crate::{aggregate::EventMeta, context::SagaStep, store::Cause, trace::Trace};
use bytes::Bytes;
use std::sync::Arc;
use uuid::Uuid;

/// The input of a request, still to be read.
#[derive(Debug, Clone)]
pub enum Content {
    /// JSON.
    Json(Bytes),
    /// The query string of a request without a body.
    Form,
    /// Nothing.
    None,
}

/// The parameters of the path, with their names, in the order of the route.
#[derive(Debug, Clone, Default)]
pub struct Parameters(pub Vec<(String, String)>);

/// A request for a handler, from HTTP, the broker or the schedule. Cheap to clone: a handler that conflicts runs again.
#[derive(Debug, Clone)]
pub struct Request(pub(super) Arc<Parts>);

/// What a [`Request`] is made of.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    /// Its id: the same for every attempt and every repetition.
    pub(crate) id: Uuid,
    /// The same for everything that one request from outside led to.
    pub(crate) correlation: Uuid,
    pub(crate) user: User,
    /// The place in a trace of whoever asked from outside.
    pub(crate) trace: Option<Trace>,
    pub(crate) content: Content,
    /// Names that the route gives to parts of its path. A message has no path: they are read from its content.
    pub(crate) path: PathSource,
    pub(crate) query: Option<String>,
    pub(crate) headers: http::HeaderMap,
    pub(crate) event: Option<EventMeta>,
    /// The step of a saga that this does.
    pub(crate) step: Option<SagaStep>,
    /// Whether nobody else may see what it does before its saga is decided.
    pub(crate) isolated: bool,
    /// Who wants to know what types its handler takes: then nothing is handled.
    pub(crate) probe: Option<Arc<Probe>>,
}

/// Where [`Path`](super::Path) is read from.
#[derive(Debug, Clone)]
pub(crate) enum PathSource {
    /// The request's path.
    Parameters(Parameters),
    /// Fields of the message's content, which have the names of the route's parameters.
    Content(Vec<&'static str>),
}

impl Parts {
    /// A request without input.
    pub(crate) fn new(id: Uuid, correlation: Uuid) -> Self {
        Parts {
            id,
            correlation,
            user: User::anonymous(),
            trace: None,
            content: Content::None,
            path: PathSource::Parameters(Parameters::default()),
            query: None,
            headers: http::HeaderMap::new(),
            event: None,
            step: None,
            isolated: false,
            probe: None,
        }
    }
}

impl Request {
    pub(crate) fn new(parts: Parts) -> Self {
        Request(Arc::new(parts))
    }

    /// Its id: the same for every attempt and every repetition.
    pub fn id(&self) -> Uuid {
        self.0.id
    }

    /// The same for everything that one request from outside led to.
    pub fn correlation_id(&self) -> Uuid {
        self.0.correlation
    }

    /// Who asks.
    pub fn user(&self) -> &User {
        &self.0.user
    }

    /// Why what follows from it happens.
    pub(crate) fn cause(&self) -> Cause {
        let Parts { id, correlation, user, trace, .. } = &*self.0;
        Cause { correlation: *correlation, causation: *id, user: user.identity().cloned(), trace: *trace }
    }

    /// The event that it brings, and its content.
    #[cfg(feature = "sensitive")]
    pub(super) fn event(&self) -> Option<(&EventMeta, &str)> {
        match (&self.0.event, &self.0.content) {
            (Some(event), Content::Json(json)) => Some((event, std::str::from_utf8(json).ok()?)),
            _ => None,
        }
    }

    /// The same with another content.
    #[cfg(feature = "sensitive")]
    pub(super) fn with_content(&self, content: String) -> Self {
        Request(Arc::new(Parts { content: Content::Json(content.into()), ..(*self.0).clone() }))
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.0
    }

    /// Whether this came from outside: then unknown fields are refused. A message of another service may know more than this one.
    pub(crate) fn is_strict(&self) -> bool {
        matches!(self.0.path, PathSource::Parameters(_))
    }
}
