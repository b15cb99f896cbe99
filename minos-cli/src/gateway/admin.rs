//! The operator's API: what the gateway serves, how the instances stand, and what it measures. Nobody sees it without a token, but for whether it lives.

use super::{
    app::{self, App},
    edge::{
        Ids, Peer,
        problem::{document, problem, set},
    },
    metrics::standing,
    server::Answers,
    upstream::{Body, Instance},
};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use std::sync::Arc;

/// Answers the operator.
pub(super) struct Admin(pub(super) Arc<App>);

impl Answers for Admin {
    async fn answer(self: Arc<Self>, _peer: Arc<Peer>, request: Request<Incoming>) -> Response<Body> {
        self.tell(&request).await
    }
}

impl Admin {
    async fn tell(&self, request: &Request<Incoming>) -> Response<Body> {
        let ids = Ids::of(request.headers());
        let path = request.uri().path();
        if path == "/health" {
            return document("application/json", "{\"status\":\"up\"}");
        }
        if !self.0.operators.have(request.headers()).await {
            let detail =
                "this is for the operator: send `Authorization: Bearer` with `admin.token`, or with a token of the role `admin.role`";
            let mut answer = problem(StatusCode::UNAUTHORIZED, "unauthorized", detail, &ids);
            set(&mut answer, header::WWW_AUTHENTICATE, "Bearer");
            return answer;
        }
        let reads = *request.method() == Method::GET || *request.method() == Method::HEAD;
        let table = self.0.table.load();
        match path {
            "/routes" if reads => told(&Value::Array(table.routes().map(|route| self.route(route)).collect())),
            "/instances" if reads => told(&Value::Array(table.instances.iter().map(|one| instance(one)).collect())),
            "/conflicts" if reads => told(&json!(table.conflicts)),
            "/status" if reads => told(&self.status()),
            "/metrics" if reads => document("application/openmetrics-text; version=1.0.0; charset=utf-8", self.0.metrics.text(&table)),
            "/openapi.json" if reads => document("application/json", self.0.documents.text()),
            "/docs" if reads => app::page(),
            _ => self.change(request.method(), path, &ids),
        }
    }

    fn route(&self, route: &super::table::Route) -> Value {
        let instances: Vec<_> = route.instances.iter().map(|one| &one.id).collect();
        json!({ "method": route.method, "path": route.path, "service": route.service, "instances": instances })
    }

    fn status(&self) -> Value {
        let table = self.0.table.load();
        let unusable: Vec<_> = table.unusable.iter().map(|(service, why)| json!({ "service": service, "why": why })).collect();
        json!({
            "revision": table.revision,
            "routes": table.routes().count(),
            "instances": table.instances.iter().map(|one| instance(one)).collect::<Vec<_>>(),
            "conflicts": table.conflicts,
            "unusable": unusable,
            "registry": self.0.services.as_ref().map(|services| json!({ "is": services.describe(), "failing": services.failing() })),
            "undocumented": self.0.documents.missing(),
        })
    }

    /// `DELETE /instances/{service}/{id}/ejection`: an instance is asked again at once.
    fn change(&self, method: &Method, path: &str, ids: &Ids) -> Response<Body> {
        let parts: Vec<_> = path.split('/').map(|part| percent_decode_str(part).decode_utf8_lossy()).collect();
        let ["", "instances", service, id, "ejection"] = parts.iter().map(|part| &**part).collect::<Vec<_>>()[..] else {
            let known = "GET /status, /routes, /instances, /conflicts, /metrics, /openapi.json and /docs, and DELETE /instances/{service}/{id}/ejection";
            return problem(StatusCode::NOT_FOUND, "not found", &format!("there is nothing at `{path}`; there are {known}"), ids);
        };
        if *method != Method::DELETE {
            let mut answer = problem(StatusCode::METHOD_NOT_ALLOWED, "method not allowed", "DELETE is possible here", ids);
            answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("DELETE"));
            return answer;
        }
        let table = self.0.table.load();
        let Some(one) = table.instances.iter().find(|one| one.service == service && one.id == id) else {
            let detail = format!("there is no instance `{id}` of `{service}`");
            return problem(StatusCode::NOT_FOUND, "not found", &detail, ids);
        };
        one.let_in();
        tracing::info!("{} of `{service}` is asked again: the operator says so", one.url);
        told(&instance(one))
    }
}

fn instance(one: &Instance) -> Value {
    json!({
        "service": one.service,
        "id": one.id,
        "url": one.url,
        "state": standing(one.standing()),
        "under_way": one.load(),
        "idle_connections": one.idle_connections(),
        "ejections": one.ejections(),
    })
}

fn told(value: &Value) -> Response<Body> {
    document("application/json", value.to_string())
}
