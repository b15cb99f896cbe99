//! What the service is, and how it is.

use super::super::{admin, banner::Banner};
use crate::{
    context::{Context, store_error},
    error::Result,
    handler::{HandlerDef, Kind, Request, Response},
    health::Health,
    message::EventName,
};
use futures_util::future::{BoxFuture, FutureExt};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

pub(in crate::service) static OVERVIEW: HandlerDef = admin::def(Kind::Query, "overview", &[("GET", "/overview")], show);

/// What does not change while the service runs, and its health.
pub(in crate::service) struct Overview {
    fixed: Map<String, Value>,
    health: Health,
}

impl Overview {
    /// The same as the banner tells, for programs.
    pub(in crate::service) fn of(banner: &Banner<'_>, health: &Health, now: Timestamp) -> Self {
        let Banner { name, store, broker, auth, is_closed: _, http, admin: _, defs, topics, awaited: _, periodic, sagas, projections } =
            banner;
        let routes = defs.iter().flat_map(|def| {
            def.routes
                .iter()
                .map(|(method, path)| json!({ "method": method, "path": path, "handler": def.function, "kind": def.kind.name() }))
        });
        let requests = topics.requests().map(|(topic, def)| json!({ "topic": topic, "handler": def.function, "kind": def.kind.name() }));
        let events = topics.subscriptions().map(|subscription| {
            let name = subscription.def.names.iter().find(|name| EventName::parse(name).as_ref() == Some(&subscription.event));
            json!({ "event": name.unwrap_or(&subscription.event.event), "handler": subscription.def.function })
        });
        let schedules = periodic.entries().map(|(schedule, def)| json!({ "schedule": schedule.text(), "handler": def.function }));
        let sagas = sagas.plans().map(|plan| {
            let steps: Vec<_> = plan.steps().iter().map(|step| step.name).collect();
            json!({ "saga": plan.name(), "steps": steps, "isolated": plan.is_isolated() })
        });
        let fixed = [
            ("service", Value::from(*name)),
            ("version", env!("CARGO_PKG_VERSION").into()),
            ("store", store.as_str().into()),
            ("broker", broker.as_str().into()),
            ("auth", Value::from(*auth)),
            ("http", http.to_string().into()),
            ("started_at", now.to_string().into()),
            ("routes", routes.collect()),
            ("topics", requests.collect()),
            ("events", events.collect()),
            ("schedules", schedules.collect()),
            ("sagas", sagas.collect()),
            ("projections", projections.names().map(Value::from).collect()),
        ];
        Overview { fixed: fixed.map(|(key, value)| (key.to_owned(), value)).into_iter().collect(), health: health.clone() }
    }
}

impl Overview {
    /// Whether the parts of the service work.
    pub(in crate::service) fn health(&self) -> &Health {
        &self.health
    }
}

fn show<'a>(cx: &'a mut Context, _: &'a Request) -> BoxFuture<'a, Result<Response>> {
    async move {
        let Overview { fixed, health } = cx.resource()?;
        let part = |part: crate::health::Part| {
            json!({ "works": part.works(), "vital": part.vital, "succeeded_at": part.succeeded_at, "failing": part.failing })
        };
        let parts: Map<_, _> = health.parts().into_iter().map(|(name, state)| (name, part(state))).collect();
        // The log of no aggregate is empty, and says how far it goes.
        let head = cx.environment().store.log(0, 1, Some(&[])).await.map_err(store_error)?.read;
        let mut all = fixed.clone();
        all.insert("health".to_owned(), json!({ "ready": health.is_ready(), "parts": parts }));
        all.insert("head".to_owned(), head.into());
        Response::json(&all)
    }
    .boxed()
}
