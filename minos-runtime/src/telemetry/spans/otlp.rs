//! Spans to a collector, by OTLP over HTTP.

use super::{EndedSpan, Export, SpanKind, SpanValue};
use crate::{
    config::Config,
    error::{Error, Result},
    sync::lock,
    tls,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use opentelemetry::{
    InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId, Value,
    trace::{SpanContext, SpanKind as Kind, Status, TraceState},
};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor},
};
use rustls::RootCertStore;
use std::{
    fmt,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::runtime::Handle;
use uuid::Uuid;

/// How long a batch may take on its way, unless a standard variable says otherwise.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is told that the collector does not answer.
const TELL_AGAIN: Duration = Duration::from_secs(60);
/// Where a collector takes spans.
const PATH: &str = "/v1/traces";

/// A queue of bounded length, and a thread that empties it: what does not fit is lost.
pub(super) struct Otlp {
    processor: BatchSpanProcessor,
    scope: InstrumentationScope,
}

/// Opens the way to the collector. It need not be there yet. None if there is none to export to.
///
/// # Errors
/// If the address is none.
pub(super) fn open(config: &Config) -> Result<Option<Otlp>> {
    let var = |name: &str| config.telemetry.from_environment.then(|| std::env::var(name).ok()).flatten().filter(|text| !text.is_empty());
    if var("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let endpoint = if config.telemetry.otlp.is_empty() {
        match (var("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), var("OTEL_EXPORTER_OTLP_ENDPOINT")) {
            (Some(endpoint), _) => endpoint,
            (None, Some(base)) => of_traces(&base),
            (None, None) => return Ok(None),
        }
    } else {
        of_traces(&config.telemetry.otlp)
    };
    let wrong = |why: &dyn fmt::Display| {
        Error::invalid(format!("`telemetry.otlp` is no address of a collector ({why}): write `http://127.0.0.1:4318`"))
    };
    let uri: http::Uri = endpoint.parse().map_err(|error| wrong(&error))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
        return Err(wrong(&"it is no URL of HTTP"));
    }
    let timeout = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"].into_iter().find_map(var);
    let timeout = timeout.and_then(|text| text.parse().ok()).map_or(PATIENCE, Duration::from_millis);
    let client = Client::new(&endpoint, timeout, uri.scheme_str() == Some("https"))?;
    let exporter = SpanExporter::builder().with_http().with_http_client(client).with_endpoint(endpoint).build();
    let exporter = exporter.map_err(|error| Error::invalid(format!("traces cannot be exported: {error}")))?;
    // What the standard variables say of the queue and of batches holds: it is the library that reads them.
    let mut processor = BatchSpanProcessor::builder(exporter).build();
    processor.set_resource(&resource(config));
    let scope = InstrumentationScope::builder("minos").with_version(env!("CARGO_PKG_VERSION")).build();
    Ok(Some(Otlp { processor, scope }))
}

/// Where a collector at this address takes spans.
fn of_traces(base: &str) -> String {
    let base = base.trim_end_matches('/');
    if base.ends_with(PATH) { base.to_owned() } else { format!("{base}{PATH}") }
}

/// Who tells all this: what `OTEL_RESOURCE_ATTRIBUTES` says, and the service's own name over it.
fn resource(config: &Config) -> Resource {
    let instance = &config.service.instance;
    let instance = if instance.is_empty() { Uuid::new_v4().to_string() } else { instance.clone() };
    let name = config.service.name.clone();
    Resource::builder().with_service_name(name).with_attribute(KeyValue::new("service.instance.id", instance)).build()
}

impl Export for Otlp {
    fn take(&self, span: EndedSpan) {
        let place = |number: u64| SpanId::from_bytes(number.to_be_bytes());
        let context = SpanContext::new(
            TraceId::from_bytes(span.place.id().into_bytes()),
            place(span.place.span()),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        );
        self.processor.on_end(SpanData {
            span_context: context,
            parent_span_id: span.parent.map_or(SpanId::INVALID, place),
            parent_span_is_remote: span.is_remote,
            span_kind: kind(span.kind),
            name: span.name,
            start_time: span.start,
            end_time: span.end,
            attributes: span.values.into_iter().map(|(name, value)| KeyValue::new(name, told(value))).collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: span.error.map_or(Status::Unset, Status::error),
            instrumentation_scope: self.scope.clone(),
        });
    }

    fn close(&self, within: Duration) {
        if let Err(error) = self.processor.shutdown_with_timeout(within) {
            tracing::warn!(%error, "the last traces were not handed over");
        }
    }
}

fn kind(kind: SpanKind) -> Kind {
    match kind {
        SpanKind::Server => Kind::Server,
        SpanKind::Client => Kind::Client,
        SpanKind::Producer => Kind::Producer,
        SpanKind::Consumer => Kind::Consumer,
        SpanKind::Internal => Kind::Internal,
    }
}

fn told(value: SpanValue) -> Value {
    match value {
        SpanValue::Text(text) => Value::String(text.into_owned().into()),
        SpanValue::Number(number) => Value::I64(number),
        SpanValue::Fraction(fraction) => Value::F64(fraction),
        SpanValue::Switch(switch) => Value::Bool(switch),
    }
}

/// The client by which batches are sent. They come from the thread of the queue, and are sent by the service's own runtime.
struct Client {
    http: reqwest::Client,
    runtime: Handle,
    endpoint: String,
    trouble: Arc<Trouble>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    fn new(endpoint: &str, timeout: Duration, is_secure: bool) -> Result<Self> {
        let roots = if is_secure { tls::system_roots() } else { RootCertStore::empty() };
        let unusable = |error: &dyn fmt::Display| Error::internal(format!("traces cannot be exported: {error}"));
        let tls = tls::client(roots).map_err(|error| unusable(&error))?;
        let http = reqwest::Client::builder().tls_backend_preconfigured(tls).timeout(timeout).no_proxy();
        let http = http.build().map_err(|error| unusable(&error))?;
        Ok(Client { http, runtime: Handle::current(), endpoint: endpoint.to_owned(), trouble: Arc::default() })
    }
}

impl HttpClient for Client {
    fn send_bytes<'s, 'f>(&'s self, request: http::Request<Bytes>) -> BoxFuture<'f, Result<http::Response<Bytes>, HttpError>>
    where
        's: 'f,
        Self: 'f,
    {
        let (http, trouble) = (self.http.clone(), self.trouble.clone());
        let endpoint = self.endpoint.clone();
        let sent = self.runtime.spawn(async move {
            let answer = exchange(&http, request).await;
            trouble.learn(&endpoint, &answer);
            answer
        });
        Box::pin(async move { sent.await? })
    }
}

async fn exchange(client: &reqwest::Client, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
    let answer = client.execute(request.try_into()?).await?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut told = http::Response::new(answer.bytes().await?);
    (*told.status_mut(), *told.headers_mut()) = (status, headers);
    Ok(told)
}

/// What is known of a collector that does not take what it is sent.
#[derive(Default)]
struct Trouble(Mutex<Option<Instant>>);

impl Trouble {
    /// Tells it at once, and then now and then.
    fn learn(&self, endpoint: &str, answer: &Result<http::Response<Bytes>, HttpError>) {
        let why = match answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answers {}", answer.status())),
            Err(error) => Some(chain(&**error)),
        };
        let mut told = lock(&self.0);
        match why {
            None => {
                if told.take().is_some() {
                    tracing::info!(endpoint, "the collector takes traces again");
                }
            }
            Some(why) if told.is_none_or(|told| told.elapsed() >= TELL_AGAIN) => {
                *told = Some(Instant::now());
                tracing::warn!(
                    endpoint,
                    error = why,
                    "the collector does not take traces; what does not fit into the queue meanwhile is lost"
                );
            }
            Some(_) => {}
        }
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
