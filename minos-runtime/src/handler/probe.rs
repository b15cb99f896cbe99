//! What a handler takes, by asking it: a request that is none goes through its parameters, each of which says what its type looks like.
//!
//! So nothing is compiled for it beside what reads the parameters anyway. The handler itself never runs: it is an `async fn`, whose future is dropped.

use super::{
    HandlerDef, Request,
    request::{Content, Parts},
};
use crate::{
    context::{Context, Environment, Reads},
    sample::{Readers, Schema},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};
use uuid::Uuid;

/// How a parameter is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// As the content.
    Input,
    /// In the query string.
    Query,
    /// In the path.
    Path,
    /// By headers, and no more is known.
    Headers,
    /// As an event, with what is known of it.
    Event,
}

/// A parameter of a handler.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) asked: Asked,
    pub(crate) schema: Schema,
    /// By what its types are read.
    pub(crate) readers: Readers,
    /// Why not all of it could be seen.
    pub(crate) hidden: Option<String>,
}

/// Collects what the parameters say.
#[derive(Debug, Default)]
pub(crate) struct Probe(Mutex<Vec<Parameter>>);

impl Probe {
    pub(super) fn tell(&self, asked: Asked, (schema, readers, hidden): (Schema, Readers, Option<String>)) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Parameter { asked, schema, readers, hidden });
    }
}

/// The parameters of a handler. Those behind one of which no sample can be made are not seen.
pub(crate) fn parameters(def: &HandlerDef, environment: &Arc<Environment>) -> Vec<Parameter> {
    let probe = Arc::new(Probe::default());
    let parts = Parts { probe: Some(probe.clone()), content: Content::None, ..Parts::new(Uuid::nil(), Uuid::nil()) };
    let request = Request::new(parts);
    let mut cx = Context::new(environment.clone(), request.cause(), Reads::ToAnswer);
    #[cfg(feature = "sensitive")]
    let _sampling = crate::sensitive::sampling();
    // A type of the user may not be made for what it is given here.
    let _ = catch_unwind(AssertUnwindSafe(|| drop((def.handle)(&mut cx, &request))));
    std::mem::take(&mut *probe.0.lock().unwrap_or_else(PoisonError::into_inner))
}
