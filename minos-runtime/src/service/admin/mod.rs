//! The operator's API: what could not be handled, and what to do about it. It listens on an address of its own, with a page for it at `/console`.
//!
//! What changes something is asked with `PUT` and `DELETE`, which no page of another site can send from the operator's browser.

mod events;

use super::console::{self, Overview};
use crate::{
    aggregate::{held_by, release_by_hand},
    auth::{Access, Identity},
    broker::{DeadLetters, Outcomes},
    codec::hex,
    config::HttpConfig,
    context::{Context, Environment, Resources},
    error::Result,
    handler::{FromRequest, Handle, HandlerDef, Kind, Path, Query, Request, Response, Runner},
    http::{App, Guard, Layers, Routes, Server, Way},
    projection::Projections,
    saga::{self, Manager, Repair, SagaDef},
    store::{DeadLetter, SagaFilter, SagaRow, StreamId},
};
use ::http::{HeaderValue, header::ACCEPT};
use futures_util::future::{BoxFuture, FutureExt};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{future::Future, net::SocketAddr, sync::Arc};
use uuid::Uuid;

/// How many dead letters are listed at once, unless fewer are asked for.
const PAGE: usize = 100;

static LIST: HandlerDef = def(Kind::Query, "list_dead_letters", &[("GET", "/dead-letters")], list);
static SHOW: HandlerDef = def(Kind::Query, "show_dead_letter", &[("GET", "/dead-letters/{id}")], show);
static REPLAY: HandlerDef = def(Kind::Command, "replay_dead_letter", &[("PUT", "/dead-letters/{id}/replay")], replay);
static DISCARD: HandlerDef = def(Kind::Command, "discard_dead_letter", &[("DELETE", "/dead-letters/{id}")], discard);

static SAGAS: HandlerDef = def(Kind::Query, "list_sagas", &[("GET", "/sagas")], list_sagas);
static SAGA: HandlerDef = def(Kind::Query, "show_saga", &[("GET", "/sagas/{id}")], show_saga);
static DIAGRAM: HandlerDef = def(Kind::Query, "diagram_of_saga", &[("GET", "/sagas/{id}/diagram")], diagram_of_saga);
static SVG: HandlerDef = def(Kind::Query, "svg_of_saga", &[("GET", "/sagas/{id}/diagram.svg")], svg_of_saga);
static DEFINITION: HandlerDef = def(Kind::Query, "diagram_of_definition", &[("GET", "/definitions/{saga}/diagram")], diagram_of_definition);
static DEFINITION_SVG: HandlerDef = def(Kind::Query, "svg_of_definition", &[("GET", "/definitions/{saga}/diagram.svg")], svg_of_definition);
static RETRY_STEP: HandlerDef = def(Kind::Command, "retry_step", &[("PUT", "/sagas/{id}/steps/{step}/retry")], retry_step);
static SKIP_STEP: HandlerDef = def(Kind::Command, "skip_step", &[("PUT", "/sagas/{id}/steps/{step}/skip")], skip_step);
static ROLLBACK: HandlerDef = def(Kind::Command, "roll_back_saga", &[("PUT", "/sagas/{id}/rollback")], roll_back_saga);

static HOLDER: HandlerDef = def(Kind::Query, "show_holder", &[("GET", "/holds/{aggregate}/{uuid}")], show_holder);
static RELEASE: HandlerDef = def(Kind::Command, "release_hold", &[("DELETE", "/holds/{aggregate}/{uuid}")], release_hold);

static KEPT: HandlerDef = def(Kind::Query, "list_kept_steps", &[("GET", "/kept-steps")], list_kept_steps);
static ASK: HandlerDef = def(Kind::Command, "ask_for_outcomes", &[("PUT", "/kept-steps/ask")], ask_for_outcomes);
static APPLY: HandlerDef = def(Kind::Command, "apply_step", &[("PUT", "/kept-steps/{execution}/{step}/apply")], apply_step);
static DROP: HandlerDef = def(Kind::Command, "drop_step", &[("PUT", "/kept-steps/{execution}/{step}/drop")], drop_step);

static PROJECTIONS: HandlerDef = def(Kind::Query, "list_projections", &[("GET", "/projections")], list_projections);
static REBUILD: HandlerDef = def(Kind::Command, "rebuild_projection", &[("PUT", "/projections/{name}/rebuild")], rebuild_projection);

/// All of it.
static DEFS: [&HandlerDef; 24] = [
    &LIST,
    &SHOW,
    &REPLAY,
    &DISCARD,
    &SAGAS,
    &SAGA,
    &DIAGRAM,
    &SVG,
    &DEFINITION,
    &DEFINITION_SVG,
    &RETRY_STEP,
    &SKIP_STEP,
    &ROLLBACK,
    &HOLDER,
    &RELEASE,
    &KEPT,
    &ASK,
    &APPLY,
    &DROP,
    &PROJECTIONS,
    &REBUILD,
    &events::HISTORY,
    &events::LOG,
    &console::OVERVIEW,
];

/// The methods and paths of all of it, without the page.
pub fn routes() -> impl Iterator<Item = (&'static str, &'static str)> {
    DEFS.iter().flat_map(|def| def.routes).copied()
}

pub(super) const fn def(kind: Kind, function: &'static str, routes: &'static [(&'static str, &'static str)], handle: Handle) -> HandlerDef {
    HandlerDef {
        kind,
        function,
        names: &[],
        routes,
        access: Access::CLOSED,
        handle,
        about: crate::handler::About::NOTHING,
        module: "minos::admin",
        file: file!(),
        line: 0,
    }
}

/// A server of the operator's API of this service.
pub(super) async fn server(
    addr: SocketAddr,
    http: &HttpConfig,
    service: &Runner,
    (letters, sagas, projections): (DeadLetters, Manager, Projections),
    overview: Overview,
    guard: Option<Guard>,
) -> Result<Server> {
    let mut resources = Resources::default();
    resources.insert(letters);
    resources.insert(sagas);
    resources.insert(projections);
    let health = overview.health().clone();
    resources.insert(overview);
    resources.insert(Outcomes::new(service.environment().clone()));
    let Environment { service, store, clock, metrics, .. } = &**service.environment();
    let environment = Environment::new(service.as_str(), store.clone(), clock.clone(), resources, metrics.clone());
    let defs: Vec<_> = DEFS.iter().chain(&console::PUBLIC).copied().collect();
    let routes = Routes::of(&defs).map_err(|wrong| crate::Error::internal(wrong.join("; ")))?;
    let mut config = http.clone();
    config.addr = addr;
    let app = App::new(routes, Runner::new(Arc::new(environment)), health, config.clone(), guard);
    Server::bind(&config, Way::new(app, Layers::default())).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

fn list<'a>(cx: &'a mut Context, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
    respond(async move {
        let Query(Page { after, limit }) = Query::from_request(request)?;
        let page = letters(cx)?.page(after, limit.unwrap_or(PAGE).min(PAGE)).await?;
        Ok(Value::from(page.iter().map(told).collect::<Vec<_>>()))
    })
}

fn show<'a>(cx: &'a mut Context, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
    respond(async move { Ok(told(&letters(cx)?.get(id(request)?).await?)) })
}

fn replay<'a>(cx: &'a mut Context, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
    respond(async move { Ok(json!({ "handled": letters(cx)?.replay(id(request)?).await? })) })
}

fn discard<'a>(cx: &'a mut Context, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
    respond(async move {
        letters(cx)?.discard(id(request)?).await?;
        Ok(json!({ "discarded": 1 }))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SagaPage {
    saga: Option<String>,
    status: Option<String>,
    after: Option<Uuid>,
    limit: Option<usize>,
}

fn list_sagas<'a>(cx: &'a mut Context, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
    respond(async move {
        let Query(SagaPage { saga, status, after, limit }) = Query::from_request(request)?;
        let rows = sagas(cx)?.list(SagaFilter { saga, status }, after, limit.unwrap_or(PAGE).min(PAGE)).await?;
        let told = |row: &SagaRow| {
            json!({
                "id": row.id, "saga": row.saga, "key": row.key, "status": row.status, "definition": row.definition, "wake": row.wake,
                "correlation_id": row.cause.correlation, "user": row.cause.user.as_ref().map(Identity::id), "started_at": row.started_at, "changed_at": row.changed_at,
            })
        };
        Ok(Value::from(rows.iter().map(told).collect::<Vec<_>>()))
    })
}

fn show_saga<'a>(cx: &'a mut Context, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
    respond(async move {
        let Path(id) = Path::from_request(request)?;
        Ok(serde_json::to_value(sagas(cx)?.show(id).await?)?)
    })
}

fn diagram_of_saga<'a>(cx: &'a mut Context, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
    async move {
        let Path(id) = Path::from_request(request)?;
        Ok(if wants_svg(request) { svg(sagas(cx)?.svg(id).await?) } else { mermaid(sagas(cx)?.diagram(id).await?) })
    }
    .boxed()
}

fn svg_of_saga<'a>(cx: &'a mut Context, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
    async move {
        let Path(id) = Path::from_request(request)?;
        Ok(svg(sagas(cx)?.svg(id).await?))
    }
    .boxed()
}

fn diagram_of_definition<'a>(cx: &'a mut Context, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
    async move {
        let def = definition(cx, request)?;
        Ok(if wants_svg(request) { svg(saga::svg(def, None)) } else { mermaid(saga::diagram(def, None)) })
    }
    .boxed()
}

fn svg_of_definition<'a>(cx: &'a mut Context, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
    async move { Ok(svg(saga::svg(definition(cx, request)?, None))) }.boxed()
}

fn definition(cx: &Context, request: &Request) -> Result<&'static SagaDef> {
    let Path(saga) = Path::<String>::from_request(request)?;
    sagas(cx)?.definition(&saga)
}

const SVG_TYPE: &str = "image/svg+xml";

/// Whether the asker would rather see it than read it.
fn wants_svg(request: &Request) -> bool {
    let accepted = request.parts().headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == SVG_TYPE))
}

fn svg(picture: String) -> Response {
    Response::default().with_body(HeaderValue::from_static(SVG_TYPE), picture)
}

fn mermaid(text: String) -> Response {
    Response::default().with_body(HeaderValue::from_static("text/plain; charset=utf-8"), text)
}

fn retry_step<'a>(cx: &'a mut Context, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
    respond(async move {
        let Path((id, step)) = Path::from_request(request)?;
        repair(cx, id, Repair::Retry { step }).await
    })
}

/// What the step yields, or nothing if it has not happened and never will.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Skipped {
    #[serde(default, deserialize_with = "given")]
    value: Option<Value>,
}

/// `null` is a value, too: that of a step which yields nothing.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

fn skip_step<'a>(cx: &'a mut Context, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
    respond(async move {
        let Path((id, step)) = Path::from_request(request)?;
        let Skipped { value } = FromRequest::from_request(request)?;
        repair(cx, id, Repair::Skip { step, value }).await
    })
}

fn roll_back_saga<'a>(cx: &'a mut Context, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
    respond(async move {
        let Path(id) = Path::from_request(request)?;
        repair(cx, id, Repair::Rollback).await
    })
}

async fn repair(cx: &Context, id: Uuid, repair: Repair) -> Result<Value> {
    let by = cx.user().map(str::to_owned);
    Ok(serde_json::to_value(sagas(cx)?.repair(id, repair, by).await?)?)
}

fn show_holder<'a>(cx: &'a mut Context, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
    respond(async move {
        let Path((aggregate, uuid)) = Path::<(String, Uuid)>::from_request(request)?;
        Ok(serde_json::to_value(held_by(&*cx.environment().store, &StreamId::new(aggregate, uuid)).await?)?)
    })
}

fn release_hold<'a>(cx: &'a mut Context, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
    respond(async move {
        let Path((aggregate, uuid)) = Path::<(String, Uuid)>::from_request(request)?;
        let by = cx.user().map(str::to_owned);
        let holder = release_by_hand(cx.environment(), StreamId::new(aggregate, uuid), by).await?;
        Ok(json!({ "released": holder }))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    limit: Option<usize>,
}

fn list_kept_steps<'a>(cx: &'a mut Context, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
    respond(async move {
        let Query(Limit { limit }) = Query::from_request(request)?;
        Ok(serde_json::to_value(cx.resource::<Outcomes>()?.list(limit.unwrap_or(PAGE).min(PAGE)).await?)?)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    execution: Option<Uuid>,
}

fn ask_for_outcomes<'a>(cx: &'a mut Context, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
    respond(async move {
        let Query(Asked { execution }) = Query::from_request(request)?;
        Ok(json!({ "asked": cx.resource::<Outcomes>()?.ask_now(execution).await? }))
    })
}

fn apply_step<'a>(cx: &'a mut Context, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
    respond(async move { settle(cx, request, true).await })
}

fn drop_step<'a>(cx: &'a mut Context, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
    respond(async move { settle(cx, request, false).await })
}

async fn settle(cx: &Context, request: &Request, apply: bool) -> Result<Value> {
    let Path((execution, step)) = Path::<(Uuid, String)>::from_request(request)?;
    let by = cx.user().map(str::to_owned);
    cx.resource::<Outcomes>()?.settle(execution, &step, apply, by).await?;
    Ok(json!({ "told": step }))
}

fn list_projections<'a>(cx: &'a mut Context, _: &'a Request) -> BoxFuture<'a, Result<Response>> {
    respond(async move { Ok(serde_json::to_value(cx.resource::<Projections>()?.list().await?)?) })
}

fn rebuild_projection<'a>(cx: &'a mut Context, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
    respond(async move {
        let Path(name) = Path::<String>::from_request(request)?;
        cx.resource::<Projections>()?.rebuild(&name).await?;
        Ok(json!({ "rebuilding": name }))
    })
}

fn sagas(cx: &Context) -> Result<&Manager> {
    cx.resource()
}

fn respond<'a>(answer: impl Future<Output = Result<Value>> + Send + 'a) -> BoxFuture<'a, Result<Response>> {
    async move { Response::json(&answer.await?) }.boxed()
}

fn letters(cx: &Context) -> Result<&DeadLetters> {
    cx.resource()
}

fn id(request: &Request) -> Result<u64> {
    Path::from_request(request).map(|Path(id)| id)
}

/// A dead letter as JSON. A content that is no text is told as hexadecimal digits.
fn told(DeadLetter { id, at, letter }: &DeadLetter) -> Value {
    let headers: Value = serde_json::from_str(&letter.headers).unwrap_or_else(|_| letter.headers.as_str().into());
    let mut told = json!({
        "id": id, "at": at, "subscriber": letter.subscriber, "key": letter.key, "topic": letter.topic, "headers": headers,
        "cause": letter.cause, "attempts": letter.attempts,
    });
    match std::str::from_utf8(&letter.content) {
        Ok(text) => told["content"] = text.into(),
        Err(_) => told["content_hex"] = hex(&letter.content).into(),
    }
    told
}
