//! One request is one trace, whatever services, messages and sagas it goes through.

use crate::{
    collector::{Collector, Span, Trace},
    common::{config, get, send, until},
};
use minos::{Running, prelude::*};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

async fn start(collector: &Collector, broker: &str) -> (Running, Running) {
    let service = |name: &str| {
        let config = config(name, "memory:").replace("[broker]\n", &format!("[broker]\nurl = \"{broker}\"\n"));
        let config = format!("{config}\n[telemetry]\notlp = \"http://{}\"", collector.addr);
        Service::from_toml(&config).unwrap().module(format!("telemetry::{name}"))
    };
    let mut both = Service::start_all([service("foo"), service("foobar")]).await.unwrap();
    let foobar = both.pop().unwrap();
    (both.pop().unwrap(), foobar)
}

/// What the saga of the example leaves behind, with the caller's trace.
async fn trace_of_the_saga(broker: &str, is_there: bool) -> Trace {
    let collector = Collector::start().await;
    let (foo, foobar) = start(&collector, broker).await;
    let uuid = match is_there {
        true => send(foo.addr(), "POST", "/foos", "", r#"{"bar":"x"}"#).await.unwrap().json()["uuid"].as_str().unwrap().to_owned(),
        false => Uuid::now_v7().to_string(),
    };
    let header = format!("traceparent: 00-{TRACE}-{CALLER}-01\r\n");
    let input = format!(r#"{{"uuid":"{uuid}","something":"a text"}}"#);
    let answer = send(foo.addr(), "POST", "/foo/add-foobar", &header, &input).await.unwrap();
    assert_eq!(answer.status, if is_there { 200 } else { 404 }, "{answer:?}");
    until("all is sent", async || foo.store().outbox(0, 10).await.unwrap().is_empty()).await;
    until("all is answered", async || foobar.store().outbox(0, 10).await.unwrap().is_empty()).await;
    foo.stop().await;
    foobar.stop().await;
    let trace = collector.trace(TRACE);
    eprintln!("{}", trace.tree());
    trace
}

fn assert_path(trace: &Trace, service: &str, name: &str, path: &[&str]) {
    let span = trace.find(service, name);
    assert_eq!(trace.path(span), path, "\n{}", trace.tree());
}

/// Every span but the first begins under one that is there, no earlier than that; and each is in one place.
fn assert_whole(trace: &Trace) {
    for span in &trace.0 {
        if span.parent == CALLER {
            continue;
        }
        let parent = trace.parent(span);
        assert!(parent.start <= span.start + 1_000_000, "{} before {}\n{}", span.name, parent.name, trace.tree());
        assert_eq!(trace.0.iter().filter(|other| other.id == span.id).count(), 1, "{}\n{}", span.name, trace.tree());
    }
}

const SAGA: [&str; 3] = ["POST /foo/add-foobar", "add_foobar", "saga AddFoobar"];

fn assert_saga(trace: &Trace) {
    assert_whole(trace);
    let path = |more: &[&'static str]| [&SAGA[..], more].concat();
    let asked = ["create_foobar/execute", "send CreateFooBar", "process CreateFooBar"];
    assert_path(trace, "foobar", "create_foobar", &path(&[&asked[..], &["create_foobar"]].concat()));
    assert_path(trace, "foo", "process foo.sagas", &path(&[&asked[..], &["send foo.sagas", "process foo.sagas"]].concat()));
    assert_path(trace, "foo", "update_foo/execute", &path(&["update_foo/execute"]));
    let (answered, local) = (trace.find("foo", "process foo.sagas"), trace.find("foo", "update_foo/execute"));
    assert!(answered.start <= local.start, "the local step waits for the answer\n{}", trace.tree());
    let kinds = |names: [(&str, &str); 5]| names.map(|(service, name)| trace.find(service, name).kind);
    assert_eq!(
        kinds([
            ("foo", SAGA[0]),
            ("foo", "create_foobar/execute"),
            ("foo", "send CreateFooBar"),
            ("foobar", "process CreateFooBar"),
            ("foo", "update_foo/execute")
        ]),
        [SpanKind::Server, SpanKind::Client, SpanKind::Producer, SpanKind::Consumer, SpanKind::Internal]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_over_two_services_is_one_trace() {
    let trace = trace_of_the_saga("local:", true).await;
    assert_saga(&trace);
    let first = trace.find("foo", SAGA[0]);
    assert_eq!(first.parent, CALLER, "it is a part of what the caller does");
    let value = |span: &Span, name: &str| span.values.get(name).cloned().unwrap_or_default();
    let of_first = ["http.request.method", "http.route", "url.path", "http.response.status_code", "network.protocol.version"];
    assert_eq!(of_first.map(|name| value(first, name)), ["POST", "/foo/add-foobar", "/foo/add-foobar", "200", "1.1"]);
    let message = trace.find("foobar", "process CreateFooBar");
    let of_message = ["messaging.system", "messaging.operation.type", "messaging.destination.name", "minos.saga.step"];
    assert_eq!(of_message.map(|name| value(message, name)), ["minos", "process", "CreateFooBar", "create_foobar/execute"]);
    assert_eq!(value(trace.find("foo", SAGA[2]), "minos.saga.status"), "committed");
    assert!(trace.0.iter().all(|span| span.error.is_none()), "{}", trace.tree());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_told_with_what_is_undone() {
    let trace = trace_of_the_saga("local:", false).await;
    assert_whole(&trace);
    let undone = ["create_foobar/undo", "send DeleteFooBar", "process DeleteFooBar", "delete_foobar"];
    assert_path(&trace, "foobar", "delete_foobar", &[&SAGA[..], &undone[..]].concat());
    let saga = trace.find("foo", SAGA[2]);
    assert_eq!((saga.values["minos.saga.status"].as_str(), saga.error.is_some()), ("rolled_back", true), "{saga:?}");
    assert!(trace.find("foo", "update_foo/execute").error.is_some());
    let (request, handler) = (trace.find("foo", SAGA[0]), trace.find("foo", SAGA[1]));
    assert_eq!((request.error.as_deref(), handler.error.as_deref()), (None, None), "that there is no foo is no failure of the service");
    assert_eq!(handler.values["error.type"], "not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_leads_back_to_who_recorded_it() {
    let collector = Collector::start().await;
    let config = format!("{}\n[telemetry]\notlp = \"http://{}\"", config("things", "memory:"), collector.addr);
    let things = Service::from_toml(&config).unwrap().module("telemetry::causes").start().await.unwrap();
    let answer = send(things.addr(), "POST", "/things", "", r#"{"name":"cup"}"#).await.unwrap();
    let id = answer.head.lines().find_map(|line| line.strip_prefix("x-correlation-id: ")).unwrap().replace('-', "");
    get(things.addr(), "/health/ready").await;
    get(things.addr(), "/nothing").await;
    until("the label is there", async || things.store().log(0, 10, None).await.unwrap().events.len() == 2).await;
    let position = |at: u32| format!("minos_projection_position{{service=\"things\",projection=\"Shelf\"}} {at}");
    until("the view shows it", async || [1, 2].iter().any(|at| things.metrics().contains(&position(*at)))).await;
    until("it is told", async || things.metrics().contains("minos_relay_open{service=\"things\"} 0")).await;
    things.stop().await;
    let trace = collector.trace(&id);
    assert_path(&trace, "things", "label", &["POST /things", "make_thing", "send Thing", "process Thing", "label"]);
    assert_path(&trace, "things", "project Shelf", &["POST /things", "make_thing", "project Shelf"]);
    assert_eq!(collector.spans().len(), trace.0.len(), "neither probes nor what is not there:\n{:?}", collector.spans());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_may_want_no_record() {
    let collector = Collector::start().await;
    let (foo, foobar) = start(&collector, "local:").await;
    let header = format!("traceparent: 00-{TRACE}-{CALLER}-00\r\n");
    assert_eq!(send(foo.addr(), "POST", "/foos", &header, r#"{"bar":"x"}"#).await.unwrap().status, 200);
    foo.stop().await;
    foobar.stop().await;
    assert!(collector.trace(TRACE).0.is_empty(), "{}", collector.trace(TRACE).tree());
}

/// Spans of the user's own, in a handler.
mod work {
    use minos::prelude::*;

    #[query(GET "/work/{n}")]
    async fn work(Path(n): Path<u32>) -> u32 {
        let outer = tracing::info_span!("thinking", about = n);
        let inner = outer.in_scope(|| tracing::info_span!("writing", done = false));
        inner.record("done", true);
        inner.in_scope(|| tracing::error!("no ink for {n}"));
        drop(tracing::debug_span!("too fine"));
        n
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_made_with_tracing_are_parts_of_the_handler() {
    let collector = Collector::start().await;
    let config = format!("{}\n[telemetry]\notlp = \"http://{}\"", config("work", "memory:"), collector.addr);
    let service = Service::from_toml(&config).unwrap().module("telemetry::traces::work").start().await.unwrap();
    let header = format!("traceparent: 00-{TRACE}-{CALLER}-01\r\n");
    assert_eq!(send(service.addr(), "GET", "/work/7", &header, "").await.unwrap().body, "7");
    service.stop().await;
    let trace = collector.trace(TRACE);
    assert_path(&trace, "work", "writing", &["GET /work/{n}", "work", "thinking", "writing"]);
    assert_eq!(trace.find("work", "thinking").values["about"], "7");
    let writing = trace.find("work", "writing");
    assert_eq!((writing.values["done"].as_str(), writing.error.as_deref()), ("true", Some("no ink for 7")), "{writing:?}");
    assert_eq!(trace.0.len(), 4, "{}", trace.tree());
}

#[cfg(feature = "kafka")]
#[tokio::test(flavor = "multi_thread")]
async fn the_same_over_kafka() {
    use crate::common::servers::{KAFKA, Servers};
    let Some(servers) = Servers::start("a trace over Kafka", &[KAFKA]) else { return };
    let trace = trace_of_the_saga(&servers.kafka, true).await;
    assert_saga(&trace);
    assert_eq!(trace.find("foobar", "process CreateFooBar").values["messaging.system"], "kafka");
}

#[cfg(not(feature = "kafka"))]
#[test]
fn the_same_over_kafka() {
    crate::common::not_run("a trace over Kafka, because this build is without the feature `kafka`");
}
