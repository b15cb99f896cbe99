//! What is told at the start, so that a user sees that their handler is there.

use crate::{
    broker::Topics,
    handler::{HandlerDef, Kind},
    projection::Projections,
    saga::Manager,
    schedule::Periodic,
};
use std::net::SocketAddr;

/// What a service tells of itself.
pub(super) struct Banner<'b> {
    pub(super) name: &'b str,
    pub(super) store: String,
    pub(super) broker: String,
    pub(super) auth: &'b str,
    /// Whether the operator's API takes tokens, too.
    pub(super) is_closed: bool,
    pub(super) http: SocketAddr,
    pub(super) admin: Option<SocketAddr>,
    pub(super) defs: &'b [&'static HandlerDef],
    pub(super) topics: &'b Topics,
    /// Events of other services that do not come while this one runs alone.
    pub(super) awaited: &'b [String],
    pub(super) periodic: &'b Periodic,
    pub(super) sagas: &'b Manager,
    pub(super) projections: &'b Projections,
}

impl Banner<'_> {
    /// One line each: the service, then each handler with all that it answers to.
    pub(super) fn tell(&self) {
        let Banner { name, store, broker, auth, http, awaited, .. } = self;
        tracing::info!("{name}: store {store}, broker {broker}, auth {auth}");
        for line in self.lines() {
            tracing::info!("{name}: {line}");
        }
        if self.defs.is_empty() {
            tracing::warn!("{name}: no handlers. If they are in a library crate, name it once in the program: `use my_handlers as _;`");
        }
        for event in *awaited {
            tracing::warn!("{name}: {event}");
        }
        tracing::info!("{name}: listening on http://{http}");
        if let Some(admin) = self.admin {
            tracing::info!("{name}: the operator's API is on http://{admin}, and their page on http://{admin}/console");
            if !admin.ip().is_loopback() && !self.is_closed {
                tracing::warn!("{name}: who reaches {admin} may replay and discard dead letters: keep it from the public");
            }
        }
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for def in self.defs {
            lines.extend(def.routes.iter().map(|(method, path)| format!("{:<8} {method:<6} {path} -> {}", def.kind.name(), def.function)));
        }
        lines.extend(self.topics.requests().map(|(topic, def)| format!("{:<8} topic  {topic} -> {}", def.kind.name(), def.function)));
        lines.extend(self.topics.subscriptions().map(|subscription| {
            let name =
                subscription.def.names.iter().find(|name| crate::message::EventName::parse(name).as_ref() == Some(&subscription.event));
            format!("{:<8} {} -> {}", Kind::Event.name(), name.unwrap_or(&subscription.event.event), subscription.def.function)
        }));
        lines.extend(
            self.periodic.entries().map(|(schedule, def)| format!("{:<8} {} -> {}", Kind::Periodic.name(), schedule.text(), def.function)),
        );
        lines.extend(self.sagas.plans().map(|plan| format!("{:<8} {} ({} steps)", "saga", plan.name(), plan.steps().len())));
        lines.extend(self.projections.names().map(|name| format!("{:<8} {name}", "view")));
        lines
    }
}
