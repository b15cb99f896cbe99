//! What all handlers of a service share.

use super::HotStreams;
use crate::{
    clock::Clock,
    error::{Error, Result},
    message::Envelope,
    metrics::Metrics,
    store::SharedStore,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use std::{
    any::{Any, TypeId},
    collections::HashMap,
    sync::{Arc, OnceLock},
};

/// Carries a question to another service and brings back the answer. The broker implements it.
pub trait Courier: Send + Sync + 'static {
    /// Sends the request, and waits for the content of its answer.
    fn ask(&self, request: Envelope) -> BoxFuture<'_, Result<Bytes>>;
}

/// Values that a service was given for its handlers, one of each type.
#[derive(Default)]
pub struct Resources(HashMap<TypeId, Box<dyn Any + Send + Sync>>);

impl Resources {
    /// Adds a value, in place of the one of the same type.
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.0.insert(TypeId::of::<T>(), Box::new(value));
    }

    /// The value of this type.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.0.get(&TypeId::of::<T>()).and_then(|value| value.downcast_ref())
    }
}

/// What all handlers of one service share.
pub struct Environment {
    /// The service's name.
    pub service: String,
    /// Its store.
    pub store: SharedStore,
    /// Its clock.
    pub clock: Arc<dyn Clock>,
    /// What it was given for its handlers.
    pub resources: Resources,
    /// What it measures of itself.
    pub metrics: Metrics,
    pub(crate) hot: HotStreams,
    courier: OnceLock<Arc<dyn Courier>>,
}

impl Environment {
    /// An environment that cannot ask other services yet.
    pub fn new(service: impl Into<String>, store: SharedStore, clock: Arc<dyn Clock>, resources: Resources, metrics: Metrics) -> Self {
        Environment { service: service.into(), store, clock, resources, metrics, hot: HotStreams::default(), courier: OnceLock::new() }
    }

    /// Sets who carries questions to other services. Only the first call counts.
    pub fn set_courier(&self, courier: Arc<dyn Courier>) {
        // A second courier would be a second broker of one service, which nothing builds.
        let _ = self.courier.set(courier);
    }

    pub(crate) async fn ask(&self, request: Envelope) -> Result<Bytes> {
        match self.courier.get() {
            Some(courier) => courier.ask(request).await,
            None => Err(Error::unavailable("this service has no broker to ask others")),
        }
    }
}
