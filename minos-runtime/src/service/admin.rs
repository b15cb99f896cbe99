//! The operator's API: what could not be handled, and what to do about it. It listens on an address of its own.
//!
//! What changes something is asked with `PUT` and `DELETE`, which no page of another site can send from the operator's browser.

use crate::{
    broker::DeadLetters,
    codec::hex,
    config::HttpConfig,
    context::{Context, Environment, Resources},
    error::Result,
    handler::{FromRequest, Handle, HandlerDef, Kind, Path, Query, Request, Response, Runner},
    health::Health,
    http::{App, Layers, Routes, Server},
    store::DeadLetter,
};
use futures_util::future::{BoxFuture, FutureExt};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{future::Future, net::SocketAddr, sync::Arc};

/// How many dead letters are listed at once, unless fewer are asked for.
const PAGE: usize = 100;

static LIST: HandlerDef = def(Kind::Query, "list_dead_letters", &[("GET", "/dead-letters")], list);
static SHOW: HandlerDef = def(Kind::Query, "show_dead_letter", &[("GET", "/dead-letters/{id}")], show);
static REPLAY: HandlerDef = def(Kind::Command, "replay_dead_letter", &[("PUT", "/dead-letters/{id}/replay")], replay);
static DISCARD: HandlerDef = def(Kind::Command, "discard_dead_letter", &[("DELETE", "/dead-letters/{id}")], discard);

const fn def(kind: Kind, function: &'static str, routes: &'static [(&'static str, &'static str)], handle: Handle) -> HandlerDef {
    HandlerDef { kind, function, names: &[], routes, handle, module: "minos::admin", file: file!(), line: 0 }
}

/// A server of the operator's API of this service.
pub(super) async fn server(addr: SocketAddr, http: &HttpConfig, service: &Runner, health: &Health, letters: DeadLetters) -> Result<Server> {
    let mut resources = Resources::default();
    resources.insert(letters);
    let Environment { service, store, clock, metrics, .. } = &**service.environment();
    let environment = Environment::new(service.as_str(), store.clone(), clock.clone(), resources, metrics.clone());
    let routes = Routes::of(&[&LIST, &SHOW, &REPLAY, &DISCARD]).map_err(|wrong| crate::Error::internal(wrong.join("; ")))?;
    let mut config = http.clone();
    config.addr = addr;
    let app = App::new(routes, Runner::new(Arc::new(environment)), health.clone(), config.clone());
    Server::bind(&config, app, Layers::default()).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

fn list(cx: &mut Context, request: Request) -> BoxFuture<'_, Result<Response>> {
    respond(async move {
        let Query(Page { after, limit }) = Query::from_request(&request)?;
        let page = letters(cx)?.page(after, limit.unwrap_or(PAGE).min(PAGE)).await?;
        Ok(Value::from(page.iter().map(told).collect::<Vec<_>>()))
    })
}

fn show(cx: &mut Context, request: Request) -> BoxFuture<'_, Result<Response>> {
    respond(async move { Ok(told(&letters(cx)?.get(id(&request)?).await?)) })
}

fn replay(cx: &mut Context, request: Request) -> BoxFuture<'_, Result<Response>> {
    respond(async move { Ok(json!({ "handled": letters(cx)?.replay(id(&request)?).await? })) })
}

fn discard(cx: &mut Context, request: Request) -> BoxFuture<'_, Result<Response>> {
    respond(async move {
        letters(cx)?.discard(id(&request)?).await?;
        Ok(json!({ "discarded": 1 }))
    })
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
