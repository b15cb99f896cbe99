//! How long it takes until a view shows an event: a span in the trace that has led to it.

use crate::{
    store::StoredEvent,
    telemetry::{Passed, SpanKind, Spans},
    trace::Trace,
};
use std::time::SystemTime;
use uuid::Uuid;

/// How many events are told of one commit. A view that has to catch up takes thousands, and nobody waits for those.
const MOST: usize = 16;

/// Events that were taken and are not committed.
#[derive(Default)]
pub(super) struct Taken(Vec<(Trace, Uuid, String, SystemTime)>);

impl Taken {
    /// An event was taken.
    pub(super) fn add(&mut self, spans: &Spans, event: &StoredEvent) {
        if !spans.are_kept() || self.0.len() >= MOST {
            return;
        }
        if let Some(place) = spans.place_of_cause(event.cause.correlation, event.cause.causation) {
            let about = Uuid::new_v5(&event.stream.uuid, event.position.to_string().as_bytes());
            self.0.push((place, about, event.name.clone(), SystemTime::now()));
        }
    }

    /// They are committed.
    pub(super) fn tell(&mut self, spans: &Spans, projection: &'static str) {
        for (place, about, event, start) in self.0.drain(..) {
            let passed = Passed {
                kind: SpanKind::Internal,
                name: format!("project {projection}").into(),
                parent: Some(place),
                // Each view takes it by itself.
                about: Uuid::new_v5(&about, projection.as_bytes()),
                start,
                end: SystemTime::now(),
                error: None,
            };
            spans.tell(passed, || vec![("minos.projection".into(), projection.into()), ("minos.event".into(), event.into())]);
        }
    }
}
