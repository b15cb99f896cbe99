//! What the registry can be asked. Who may ask is looked at before: by the token, or by the name of the machine.

use super::{register::Said, server::Shared};
use http::{HeaderValue, StatusCode, header};
use minos::{
    config::units::duration,
    discovery::{InstanceName, LONGEST_WAIT},
    prelude::*,
};
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// The registry behind these routes.
fn registry(cx: &Context) -> Result<&Arc<Shared>> {
    cx.resource()
}

/// What becomes of an announcement.
#[derive(Serialize)]
pub(super) struct Announced {
    /// How long it counts.
    ttl_ms: u64,
    /// Whether the instance is handed out now. It is not before it was asked whether it is ready.
    handed_out: bool,
}

/// An instance says that it is there. What else it may say, in a later version, is no mistake.
#[command(PUT "/services/{service}/instances/{id}")]
async fn announce(cx: &mut Context, Path((service, id)): Path<(String, String)>, input: Value) -> Result<Announced> {
    let shared = registry(cx)?.clone();
    let said: Said =
        serde_json::from_value(input).map_err(|error| Error::invalid(format!("the announcement is not of the expected form: {error}")))?;
    let name = InstanceName { service, id };
    said.instance(&name).check().map_err(|unfit| Error::invalid(unfit.to_string()))?;
    let heard = shared.register().announced(&name, &said, Instant::now()).map_err(|full| Error::rejected(full.to_string()))?;
    shared.published.changed();
    for other in &heard.replaced {
        tracing::info!(instance = %other, by = %name, "has lost its address to another one, and is forgotten");
    }
    if (heard.write || !heard.replaced.is_empty())
        && let Err(error) = shared.records.write(&name, &said, &heard.replaced).await
    {
        // It is known, and that counts: the store only carries it on.
        shared.register().unwritten(&name);
        tracing::warn!(instance = %name, %error, "its record could not be written; will be tried again");
    }
    Ok(Announced { ttl_ms: u64::try_from(heard.ttl.as_millis()).unwrap_or(u64::MAX), handed_out: heard.is_in })
}

/// An instance says that it is not there any more.
#[command(DELETE "/services/{service}/instances/{id}")]
async fn withdraw(cx: &mut Context, Path((service, id)): Path<(String, String)>) -> Result<()> {
    let shared = registry(cx)?.clone();
    let name = InstanceName { service, id };
    if shared.register().withdrawn(&name) {
        tracing::info!(instance = %name, "withdrawn");
        shared.published.changed();
    }
    shared.records.remove(&[name]).await.map_err(|error| Error::unavailable(error.to_string()))
}

#[derive(Deserialize)]
pub(super) struct Waiting {
    /// How long to wait for something that the asker does not know.
    #[serde(default, deserialize_with = "duration")]
    wait: Duration,
}

/// All that are handed out. With `If-None-Match` and `?wait=20s` it waits for news.
#[query(GET "/directory")]
async fn directory(cx: &Context, Query(Waiting { wait }): Query<Waiting>, headers: Headers) -> Result<Response> {
    let shared = registry(cx)?;
    let known = headers.text("if-none-match").unwrap_or_default();
    let wait = if known.is_empty() { Duration::from_secs(1) } else { wait.min(LONGEST_WAIT) };
    let answer = shared.published.answer(known, wait).await.ok_or_else(|| Error::unavailable("the registry starts"))?;
    let tag = HeaderValue::from_str(&answer.tag)?;
    if answer.tag == known {
        return Ok(Response::new(StatusCode::NOT_MODIFIED).with_header(header::ETAG, tag));
    }
    let body = Response::default().with_body(HeaderValue::from_static("application/json"), answer.body.clone());
    Ok(body.with_header(header::ETAG, tag).with_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
}

/// An instance, as the operator sees it.
#[derive(Serialize)]
pub(super) struct Seen {
    service: String,
    id: String,
    url: String,
    /// Where its operator's API is.
    #[serde(skip_serializing_if = "Option::is_none")]
    admin: Option<String>,
    endpoints: usize,
    handed_out: bool,
    /// Why it is not, or might soon not be.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    heard_ms_ago: u64,
}

/// All that are known, and why who is not handed out is not.
#[query(GET "/services")]
async fn services(cx: &Context) -> Result<Vec<Seen>> {
    let shared = registry(cx)?;
    let (register, now) = (shared.register(), Instant::now());
    let seen = register.entries().iter().map(|(name, entry)| {
        let handed_out = entry.vitality.state() == super::vitality::State::In;
        let why = entry.vitality.why().map(str::to_owned);
        Seen {
            service: name.service.clone(),
            id: name.id.clone(),
            url: entry.said.url.clone(),
            admin: entry.said.admin.clone(),
            endpoints: entry.said.endpoints.len(),
            handed_out,
            why: why.or_else(|| (!handed_out).then(|| "it was not asked yet whether it is ready".to_owned())),
            heard_ms_ago: u64::try_from(now.duration_since(entry.heard).as_millis()).unwrap_or(u64::MAX),
        }
    });
    Ok(seen.collect())
}
