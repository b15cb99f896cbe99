//! Where spans belong, and that nothing is recorded where nobody wants it.

use super::*;
use crate::sync::lock;
use std::sync::Mutex;

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<EndedSpan>>>);

impl Export for Kept {
    fn take(&self, span: EndedSpan) {
        lock(&self.0).push(span);
    }

    fn close(&self, _: Duration) {}
}

fn spans(name: &str, sample: f64) -> (Spans, Kept) {
    let text = format!("[service]\nname = \"{name}\"\n[telemetry]\nsample = {sample:?}");
    let kept = Kept::default();
    (Spans::new(&Config::parse(&text).unwrap(), Box::new(kept.clone())), kept)
}

#[test]
fn a_span_is_a_part_of_the_one_that_asked() {
    let (spans, kept) = spans("foo", 1.0);
    let id = Uuid::now_v7();
    let mut outer = spans.begin(SpanKind::Server, None, id, None, || "outer");
    let inner = spans.begin(SpanKind::Internal, outer.place(), Uuid::nil(), Some(id), || "inner");
    assert_eq!(spans.place_of_cause(id, id), inner.place(), "it is found by the id of what it is about");
    outer.fail(|| "as told".to_owned());
    outer.set("answer", 42);
    drop(inner);
    drop(outer);
    let all = kept.0.lock().unwrap();
    let [inner, outer] = &all[..] else { panic!("{all:?}") };
    assert_eq!((outer.place.id(), outer.parent, outer.is_remote), (id, None, true), "a new trace has the id of the correlation");
    assert_eq!((inner.place.id(), inner.parent), (id, Some(outer.place.span())));
    assert_eq!((outer.error.as_deref(), &outer.values[..]), (Some("as told"), &[("answer".into(), SpanValue::Number(42))][..]));
    assert!(outer.start <= inner.start && inner.end <= outer.end);
}

#[test]
fn services_give_the_same_thing_different_numbers() {
    let ((foo, _), (bar, _)) = (spans("foo", 1.0), spans("bar", 1.0));
    let trace = Some(Trace::at(Uuid::now_v7(), 1, true));
    let message = Uuid::now_v7();
    assert_ne!(foo.place_of(trace, message), bar.place_of(trace, message));
    assert_eq!(foo.place_of(trace, message), spans("foo", 0.0).0.place_of(trace, message), "in each process of one service the same");
}

#[test]
fn who_asks_decides_whether_a_record_is_kept() {
    for (sample, asked, is_kept) in [(0.0, true, true), (1.0, false, false)] {
        let (spans, kept) = spans("foo", sample);
        let place = Trace::at(Uuid::now_v7(), 7, asked);
        let span = spans.begin(SpanKind::Server, Some(place), Uuid::now_v7(), None, || "x");
        assert_eq!((span.is_kept(), span.place() == Some(place)), (is_kept, !is_kept));
        drop(span);
        assert_eq!(kept.0.lock().unwrap().len(), usize::from(is_kept));
    }
}

#[test]
fn what_is_not_kept_is_not_kept_by_those_who_are_asked_either() {
    let (spans, kept) = spans("foo", 0.0);
    let id = Uuid::now_v7();
    let span = spans.begin(SpanKind::Server, None, id, None, || -> &str { panic!("nobody reads the name") });
    let place = span.place().unwrap();
    assert_eq!((place.id(), place.is_sampled(), spans.place_of_cause(id, id)), (id, false, None));
    drop(span);
    assert!(kept.0.lock().unwrap().is_empty());
}

#[test]
fn where_nobody_keeps_records_a_trace_is_passed_on_as_it_is() {
    let (spans, place) = (Spans::default(), Trace::at(Uuid::now_v7(), 7, true));
    assert_eq!(spans.begin(SpanKind::Server, Some(place), Uuid::nil(), None, || "x").place(), Some(place));
    assert_eq!(spans.begin(SpanKind::Server, None, Uuid::now_v7(), None, || "x").place(), None);
    assert_eq!((spans.place_of(Some(place), Uuid::now_v7()), spans.place_of_cause(Uuid::now_v7(), Uuid::now_v7())), (Some(place), None));
}

#[cfg(not(feature = "otel"))]
#[test]
fn a_build_without_export_refuses_to_be_told_where_to() {
    let text = "[service]\nname = \"foo\"\n[telemetry]\notlp = \"http://127.0.0.1:4318\"";
    let error = open(&Config::parse(text).unwrap()).err().map(|error| error.to_string());
    assert_eq!(error.as_deref(), Some("`telemetry.otlp` needs a build with the feature `otel` of `minos`"));
}
