//! A service with `[discovery]`: its instances are found by others, and its handlers find others.

use crate::{
    config::Config,
    context::Resources,
    error::{Error, Result},
    handler::HandlerDef,
    health::Health,
    metrics::Metrics,
};
use std::net::SocketAddr;

#[cfg(feature = "discovery")]
use crate::discovery::{Discovery, Endpoint, Instance, Registration, Services};
#[cfg(feature = "discovery")]
use std::sync::Arc;

/// What a service has of it, which is nothing without `[discovery]`.
#[cfg(feature = "discovery")]
#[derive(Default)]
pub(super) struct Registered {
    discovery: Option<Arc<dyn Discovery>>,
    instance: Option<Instance>,
    registration: Option<Registration>,
}

#[cfg(feature = "discovery")]
impl Registered {
    /// Opens what the configuration names, and gives it to the handlers.
    pub(super) fn prepare(config: &Config, resources: &mut Resources) -> Result<Self> {
        if config.discovery.url.is_empty() {
            return Ok(Registered::default());
        }
        let discovery = crate::discovery::open(&config.discovery).map_err(|error| Error::invalid(error.to_string()))?;
        if resources.get::<Services>().is_none() {
            resources.insert(Services::new(discovery.clone()));
        }
        Ok(Registered { discovery: Some(discovery), ..Registered::default() })
    }

    /// It listens here, for its operator perhaps there, and has these handlers.
    pub(super) fn listens(
        &mut self,
        config: &Config,
        addr: SocketAddr,
        admin: Option<SocketAddr>,
        defs: &[&'static HandlerDef],
    ) -> Result<()> {
        if self.discovery.as_ref().is_some_and(|discovery| discovery.takes_announcements()) {
            let routes = defs.iter().flat_map(|def| def.routes);
            let endpoints = routes.map(|(method, path)| Endpoint { method: (*method).to_owned(), path: (*path).to_owned() }).collect();
            self.instance = Some(Registration::instance(config, addr, admin, endpoints)?);
        }
        Ok(())
    }

    /// It runs.
    pub(super) fn begin(&mut self, config: &Config, health: &Health, metrics: &Metrics) {
        if let (Some(discovery), Some(instance)) = (self.discovery.clone(), self.instance.take()) {
            self.registration = Some(Registration::begin(discovery, instance, &config.discovery, health, metrics));
        }
    }

    /// It is about to stop.
    pub(super) async fn withdraw(&mut self) {
        if let Some(mut registration) = self.registration.take() {
            registration.withdraw().await;
        }
    }
}

/// What a service has of it in this build: nothing.
#[cfg(not(feature = "discovery"))]
pub(super) struct Registered;

#[cfg(not(feature = "discovery"))]
impl Registered {
    pub(super) fn prepare(config: &Config, _: &mut Resources) -> Result<Self> {
        if config.discovery.url.is_empty() {
            return Ok(Registered);
        }
        Err(Error::invalid("`discovery.url` needs a build with the feature `discovery` of `minos`"))
    }

    pub(super) fn listens(&mut self, _: &Config, _: SocketAddr, _: Option<SocketAddr>, _: &[&'static HandlerDef]) -> Result<()> {
        Ok(())
    }

    pub(super) fn begin(&mut self, _: &Config, _: &Health, _: &Metrics) {}

    pub(super) async fn withdraw(&mut self) {}
}
