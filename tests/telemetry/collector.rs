//! A collector of traces, in this process: what OpenTelemetry's own would have got.

use http_body_util::{BodyExt, Full};
use hyper::{Response, body::Bytes, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span as ProtoSpan, span::SpanKind, status::StatusCode},
};
use prost::Message;
use std::{
    collections::BTreeMap,
    convert::Infallible,
    fmt::Write,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::net::TcpListener;

/// A span, as far as tests look at it.
#[derive(Debug, Clone)]
pub struct Span {
    pub service: String,
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub name: String,
    pub kind: SpanKind,
    pub start: u64,
    pub end: u64,
    pub values: BTreeMap<String, String>,
    /// What the status says, if it is an error.
    pub error: Option<String>,
}

#[derive(Clone)]
pub struct Collector {
    pub addr: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let collector = Collector { addr: listener.local_addr().unwrap(), spans: Arc::default() };
        let taking = collector.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let collector = taking.clone();
                let serve = service_fn(move |request| collector.clone().take(request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), serve));
            }
        });
        collector
    }

    async fn take(self, request: hyper::Request<hyper::body::Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        assert_eq!(request.uri().path(), "/v1/traces");
        assert_eq!(request.headers()["content-type"], "application/x-protobuf");
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let batch = ExportTraceServiceRequest::decode(body).unwrap();
        for of_service in batch.resource_spans {
            let resource = values(&of_service.resource.unwrap().attributes);
            assert!(!resource["service.instance.id"].is_empty(), "{resource:?}");
            let all = of_service.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.spans.lock().unwrap().extend(all.map(|span| read(&resource["service.name"], span)));
        }
        Ok(Response::default())
    }

    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }

    /// The spans of one trace.
    pub fn trace(&self, id: &str) -> Trace {
        let mut spans = self.spans();
        spans.retain(|span| span.trace == id);
        spans.sort_by_key(|span| span.start);
        Trace(spans)
    }
}

fn read(service: &str, span: ProtoSpan) -> Span {
    let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let kind = span.kind();
    let status = span.status.unwrap_or_default();
    Span {
        service: service.to_owned(),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        kind,
        start: span.start_time_unix_nano,
        end: span.end_time_unix_nano,
        values: values(&span.attributes),
        error: (status.code() == StatusCode::Error).then_some(status.message),
        name: span.name,
    }
}

fn values(all: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::BoolValue(switch) => switch.to_string(),
        Value::DoubleValue(fraction) => fraction.to_string(),
        other => format!("{other:?}"),
    };
    let value = |pair: &KeyValue| pair.value.as_ref().and_then(|value| value.value.as_ref()).map(text).unwrap_or_default();
    all.iter().map(|pair| (pair.key.clone(), value(pair))).collect()
}

/// The spans of one trace, in the order in which they began.
#[derive(Debug)]
pub struct Trace(pub Vec<Span>);

impl Trace {
    /// The only span of this name in a service.
    pub fn find(&self, service: &str, name: &str) -> &Span {
        let found: Vec<_> = self.0.iter().filter(|span| span.service == service && span.name == name).collect();
        let [span] = found[..] else { panic!("{} spans `{name}` of `{service}` in\n{}", found.len(), self.tree()) };
        span
    }

    pub fn parent(&self, span: &Span) -> &Span {
        self.0.iter().find(|other| other.id == span.parent).unwrap_or_else(|| panic!("{span:?} has no parent in\n{}", self.tree()))
    }

    /// The names from the first span down to this one.
    pub fn path(&self, span: &Span) -> Vec<String> {
        let mut path = match self.0.iter().any(|other| other.id == span.parent) {
            true => self.path(self.parent(span)),
            false => Vec::new(),
        };
        path.push(span.name.clone());
        path
    }

    /// All of it, as it is printed in the docs.
    pub fn tree(&self) -> String {
        let mut text = String::new();
        let (begin, known) = (self.0.first().map_or(0, |span| span.start), |id: &str| self.0.iter().any(|span| span.id == id));
        for root in self.0.iter().filter(|span| !known(&span.parent)) {
            self.branch(&mut text, root, 0, begin);
        }
        text
    }

    fn branch(&self, text: &mut String, span: &Span, depth: usize, begin: u64) {
        let name = format!("{:indent$}{}", "", span.name, indent = depth * 2);
        let kind = format!("{:?}", span.kind).to_lowercase();
        let millis = |nanos: u64| nanos as f64 / 1e6;
        let (at, took) = (millis(span.start - begin), millis(span.end - span.start));
        let error = span.error.as_ref().map(|error| format!("  error: {error}")).unwrap_or_default();
        writeln!(text, "{name:<44} {:<8} {kind:<9} at {at:>5.1} ms, {took:>5.1} ms{error}", span.service).unwrap();
        for child in self.0.iter().filter(|child| child.parent == span.id) {
            self.branch(text, child, depth + 1, begin);
        }
    }
}
