//! What is told of a handler to those who call it.

use super::Response;
use crate::{
    aggregate::{self, Aggregate, PastEvent, Resolved, Root},
    document::Page,
    sample::{Look, Of, Seen, seen},
};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::any::type_name;

/// What a macro tells of its handler.
#[derive(Clone, Copy)]
pub struct About {
    /// The comment above it.
    pub doc: &'static str,
    /// What its answer looks like; nothing if that cannot be seen.
    pub answer: Option<fn() -> Seen>,
    /// What is around it, the outermost first: `v` for a list, `o` for what may be nothing.
    pub around: &'static str,
    /// The type of the answer, as it is written.
    pub answer_type: &'static str,
}

impl About {
    /// Nothing is known.
    pub const NOTHING: About = About { doc: "", answer: None, around: "", answer_type: "" };
}

impl Of<Response> {
    /// How to see it.
    pub const SEEN: Option<fn() -> Seen> = Some(Seen::free);
}

impl<A: Aggregate> Of<Root<A>> {
    /// How to see it.
    pub const SEEN: Option<fn() -> Seen> = Some(root::<A>);
}

impl<A: Aggregate> Of<aggregate::Seen<A>> {
    /// How to see it.
    pub const SEEN: Option<fn() -> Seen> = Some(root::<A>);
}

impl<T: DeserializeOwned> Of<Resolved<T>> {
    /// How to see it.
    pub const SEEN: Option<fn() -> Seen> = Some(|| seen::<T>().with_identity("Resolved"));
}

impl<A: Aggregate> Of<Page<aggregate::Seen<A>>> {
    /// How to see it.
    pub const SEEN: Option<fn() -> Seen> = Some(|| root::<A>().in_page());
}

impl Of<PastEvent> {
    /// How to see it.
    pub const SEEN: Option<fn() -> Seen> = Some(past_event);
}

fn past_event() -> Seen {
    let uuid = json!({ "type": "string", "format": "uuid" });
    Seen::named(
        "PastEvent",
        json!({
            "type": "object",
            "properties": {
                "version": { "type": "integer", "minimum": 0, "maximum": u64::MAX },
                "name": { "type": "string" },
                "at": { "type": "string", "format": "date-time" },
                "user": { "type": "string" },
                "correlation_id": uuid,
                "causation_id": uuid,
                "data": {},
            },
            "required": ["version", "name", "at", "correlation_id", "causation_id", "data"],
        }),
    )
}

/// An aggregate as it is answered.
fn root<A: Aggregate>() -> Seen {
    registered(A::NAME, type_name::<A>())
}

/// What its registration says.
fn registered(name: &str, ty: &str) -> Seen {
    aggregate::look_of(name, ty).and_then(Look::see).unwrap_or_else(|| Seen::hidden("it is not registered")).with_identity(name)
}
